//! Dropout's random state: a value that the caller holds, so that `forward(&self)` stays pure.

use crate::cells::CellDropout;
#[cfg(any(feature = "file", feature = "serde"))]
use crate::config::{Config, ConfigError, Item, Options};
use crate::error::{Error, Result};

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

    /// The generator of a layer that drops a part of what it reads, as new: it has one mask a call, of whatever size,
    /// and none in inference.
    pub(crate) fn of_noise(rate: f64, seed: i64) -> Self {
        let kind = Kind { rates: [rate.to_bits(), 0f64.to_bits()], counts: [1, 0], widths: [0, 0] };
        DropoutGenerator { seed, n: 0, per_inference: 0, kind }
    }

    /// The same of a layer that is called so many times in one run.
    pub(crate) fn called(mut self, times: u64) -> Self {
        self.per_inference = self.per_inference.saturating_mul(times);
        self
    }

    /// Whether Keras's moves in inference.
    pub(crate) fn moves_in_inference(&self) -> bool {
        self.per_inference > 0
    }

    /// All that it is, for files.
    #[cfg(any(feature = "file", feature = "serde"))]
    pub(crate) fn description(&self) -> Config {
        let Kind { rates: [rate, recurrent_rate], counts: [masks, recurrent_masks], widths: [inputs, units] } =
            self.kind;
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Config::new("Generator")
            .with("seed", self.seed)
            .with("drawn", count(self.n))
            .with("per_inference", count(self.per_inference))
            .with("dropout", f64::from_bits(rate))
            .with("recurrent_dropout", f64::from_bits(recurrent_rate))
            .with("masks", masks)
            .with("recurrent_masks", recurrent_masks)
            .with("input_size", inputs)
            .with("units", units)
    }

    /// What [`description`](Self::description) says.
    #[cfg(any(feature = "file", feature = "serde"))]
    pub(crate) fn read(options: &Options<'_>) -> std::result::Result<Self, ConfigError> {
        let expected = "a whole number of at least 0";
        let size = |name| options.need(name, expected)?.index(expected);
        let kind = Kind {
            rates: [options.number("dropout")?.to_bits(), options.number("recurrent_dropout")?.to_bits()],
            counts: [size("masks")?, size("recurrent_masks")?],
            widths: [size("input_size")?, size("units")?],
        };
        let (n, per_inference) = (size("drawn")? as u64, size("per_inference")? as u64);
        Ok(DropoutGenerator { seed: options.integer("seed")?, n, per_inference, kind })
    }

    /// Whether it is the generator that the other one is, however many masks each has drawn.
    pub(crate) fn is(&self, other: &DropoutGenerator) -> bool {
        self.seed == other.seed && self.kind == other.kind
    }

    /// Which generator it is: `seed 7, dropout 0.5 (4 masks of 3), recurrent_dropout 0 (0 masks of 4)`.
    pub(crate) fn describe(&self) -> String {
        let Kind { rates, counts: [masks, recurrent_masks], widths: [inputs, units] } = self.kind;
        let [rate, recurrent_rate] = rates.map(f64::from_bits);
        // No cell is that small.
        if units == 0 {
            return format!("seed {}, rate {rate} of a layer such as Dropout", self.seed);
        }
        let recurrent = format!("recurrent_dropout {recurrent_rate} ({recurrent_masks} masks of {units})");
        format!("seed {}, dropout {rate} ({masks} masks of {inputs}), {recurrent}", self.seed)
    }

    /// The number of the next mask, which is thereby used up.
    pub(crate) fn take(&mut self) -> u64 {
        let n = self.n;
        self.n = n.wrapping_add(1);
        n
    }
}

/// Checks that generators are those that `visit` shows: as many, each of the same seed, rates and sizes.
pub(crate) fn check_generators(
    given: &[DropoutGenerator],
    visit: impl FnOnce(&mut dyn FnMut(DropoutGenerator)),
) -> Result<()> {
    let (mut expected, mut odd) = (0, None);
    visit(&mut |own| {
        if let Some(given) = given.get(expected).filter(|given| odd.is_none() && !given.is(&own)) {
            odd = Some((expected, own.describe(), given.describe()));
        }
        expected += 1;
    });
    match odd {
        _ if expected != given.len() => Err(Error::SeedsCount { expected, given: given.len() }),
        Some((generator, expected, given)) => Err(Error::SeedsLayer { generator, expected, given }),
        None => Ok(()),
    }
}

/// The dropout generators of a layer and the layers inside, or of a model, for calls in training mode.
///
/// Get them from [`Layer::seeds`](crate::Layer::seeds), hand them to [`Run::training`](crate::Run::training); those of a
/// model from [`Model::seeds`](crate::Model::seeds), for [`Model::record_training`](crate::Model::record_training). Each
/// call draws Keras's masks and moves them on. Clone them to repeat a call. They start where a new Keras layer
/// starts; Keras doesn't save them, so a loaded model starts there too.
///
/// They belong to layers with the same generators: as many, each of the same seed, rates and sizes as the layer's own
/// (a clone's are, and those of the layer that [`cast`](crate::Lstm::cast) makes). A run refuses all others.
///
/// **A port's trap:** in Keras the generators of recurrent layers also move in inference (`predict`, `evaluate`,
/// `layer(x)`), once per call, although nothing is dropped (those of Dropout and its kin don't); here inference touches no seeds. To follow a Keras script
/// that mixes the two, say [`skip_inference`](DropoutSeeds::skip_inference) for each such call.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Layer, Lstm, Run};
///
/// let lstm = Lstm::<f32>::builder(3, 4).dropout(0.5).seed(7).build()?;
/// let (x, mut seeds) = (Array3::ones((2, 5, 3)), lstm.seeds());
/// let (before, first) = (seeds.clone(), lstm.run(&x, Run::new().training(&mut seeds))?);
/// assert_ne!(lstm.run(&x, Run::new().training(&mut seeds))?, first);           // other masks
/// assert_eq!(lstm.run(&x, Run::new().training(&mut before.clone()))?, first);  // the same again
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DropoutSeeds {
    pub(crate) states: Vec<DropoutGenerator>,
}

#[cfg(any(feature = "file", feature = "serde"))]
impl DropoutSeeds {
    /// All that they are.
    pub(crate) fn description(&self) -> Vec<Config> {
        self.states.iter().map(DropoutGenerator::description).collect()
    }

    /// What [`description`](Self::description) says.
    pub(crate) fn read(generators: &[Item<'_>]) -> std::result::Result<Self, ConfigError> {
        let generator = |item: &Item<'_>| {
            let generator = item.config("a generator")?;
            match generator.class() {
                "Generator" => generator.read(DropoutGenerator::read),
                _ => Err(generator.wrong_class("Generator")),
            }
        };
        Ok(DropoutSeeds { states: generators.iter().map(generator).collect::<std::result::Result<_, _>>()? })
    }
}

#[cfg(feature = "serde")]
crate::config::serialized::by_description!(DropoutSeeds, |seeds| Ok(seeds.description().into()), |item| {
    DropoutSeeds::read(&item.list("a list of generators")?)
});

impl DropoutSeeds {
    /// The state of each generator, in the order of the layers.
    pub fn states(&self) -> &[DropoutGenerator] {
        &self.states
    }

    /// Moves the generators as Keras does in one call that isn't training.
    pub fn skip_inference(&mut self) {
        for state in &mut self.states {
            state.n = state.n.wrapping_add(state.per_inference);
        }
    }
}
