//! Dropout's random state: a value that the caller holds, so that `forward(&self)` stays pure.

/// One dropout generator: Keras's `SeedGenerator`, whose state is the pair (seed, n).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropoutState {
    /// The layer's `seed`.
    pub seed: i64,
    /// How many masks have been drawn.
    pub n: u64,
    /// How many masks Keras draws (and drops) in a call that isn't training.
    per_inference: u64,
}

impl DropoutState {
    pub(crate) fn new(seed: i64, per_inference: u64) -> Self {
        DropoutState { seed, n: 0, per_inference }
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
/// **A port's trap:** in Keras the generators of recurrent layers also move in inference (`predict`, `evaluate`,
/// `layer(x)`), once per call, although nothing is dropped; here inference touches no seeds. To follow a Keras script
/// that mixes the two, say [`skip_inference`](Seeds::skip_inference) for each such call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seeds {
    pub(crate) states: Vec<DropoutState>,
}

impl Seeds {
    /// The state of each generator, in the order of the layers.
    pub fn states(&self) -> &[DropoutState] {
        &self.states
    }

    /// Moves the generators as Keras does in one call that isn't training.
    pub fn skip_inference(&mut self) {
        for state in &mut self.states {
            state.n += state.per_inference;
        }
    }
}
