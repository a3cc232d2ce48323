//! Dropout's random state: a value that the caller holds, so that `forward(&self)` stays pure.

use crate::cells::CellDropout;

/// One dropout generator: Keras's `SeedGenerator`, whose state is the pair (seed, n).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropoutGenerator {
    /// The layer's `seed`.
    pub seed: i64,
    /// How many masks have been drawn.
    pub n: u64,
    /// How many masks Keras draws (and drops) in a call that isn't training.
    per_inference: u64,
    kind: Kind,
}

/// The masks that a generator is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// The bits of the rates of the input's and of the hidden state's masks.
    rates: [u64; 2],
    counts: [usize; 2],
    widths: [usize; 2],
}

impl DropoutGenerator {
    /// The generator of a cell's dropout, as new.
    pub(crate) fn new(dropout: &CellDropout) -> Self {
        let kind = Kind {
            rates: [dropout.rate.to_bits(), dropout.recurrent_rate.to_bits()],
            counts: [dropout.masks, dropout.recurrent_masks],
            widths: [dropout.input_size, dropout.units],
        };
        DropoutGenerator { seed: dropout.seed, n: 0, per_inference: dropout.draws(), kind }
    }

    /// Whether it is the generator that the other one is, however many masks each has drawn.
    pub(crate) fn is(&self, other: &DropoutGenerator) -> bool {
        self.seed == other.seed && self.kind == other.kind
    }

    /// Which generator it is: `seed 7, dropout 0.5 (4 masks of 3), recurrent_dropout 0 (0 masks of 4)`.
    pub(crate) fn describe(&self) -> String {
        let Kind { rates, counts: [masks, recurrent_masks], widths: [inputs, units] } = self.kind;
        let [rate, recurrent_rate] = rates.map(f64::from_bits);
        let recurrent = format!("recurrent_dropout {recurrent_rate} ({recurrent_masks} masks of {units})");
        format!("seed {}, dropout {rate} ({masks} masks of {inputs}), {recurrent}", self.seed)
    }

    /// The number of the next mask, which is thereby used up.
    pub(crate) fn take(&mut self) -> u64 {
        self.n += 1;
        self.n - 1
    }
}

/// The dropout generators of a layer and the layers inside, for calls in training mode.
///
/// Get them from [`Layer::seeds`](crate::Layer::seeds), hand them to [`Run::training`](crate::Run::training); each
/// call draws Keras's masks and moves them on. Clone them to repeat a call. They start where a new Keras layer
/// starts; Keras doesn't save them, so a loaded model starts there too.
///
/// They belong to layers with the same generators: as many, each of the same seed, rates and sizes as the layer's own
/// (a clone's are, and those of the layer that [`cast`](crate::Lstm::cast) makes). A run refuses all others.
///
/// **A port's trap:** in Keras the generators of recurrent layers also move in inference (`predict`, `evaluate`,
/// `layer(x)`), once per call, although nothing is dropped; here inference touches no seeds. To follow a Keras script
/// that mixes the two, say [`skip_inference`](DropoutSeeds::skip_inference) for each such call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DropoutSeeds {
    pub(crate) states: Vec<DropoutGenerator>,
}

impl DropoutSeeds {
    /// The state of each generator, in the order of the layers.
    pub fn states(&self) -> &[DropoutGenerator] {
        &self.states
    }

    /// Moves the generators as Keras does in one call that isn't training.
    pub fn skip_inference(&mut self) {
        for state in &mut self.states {
            state.n += state.per_inference;
        }
    }
}
