//! The options of one call.

use ndarray::{Array2, ArrayRef2};

use super::tape::Tape;
use crate::seeds::{DropoutGenerator, DropoutSeeds};
use crate::state::State;

/// The options of one call: what differs between two calls belongs to the call, not to the layer.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gru, Layer, Run};
/// let gru = Gru::<f32>::builder(3, 4).return_sequences(true).build()?;
/// let x = Array3::ones((2, 5, 3));
/// let state = gru.initial_state(2);
/// let output = gru.run(&x, Run::new().lengths(&[5, 2]).initial_state(&state))?;
/// assert_eq!(output.sequence()?.dim(), (2, 5, 4));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "options do nothing until a call gets them"]
pub struct Run<'a, T> {
    pub(super) mask: Option<&'a ArrayRef2<bool>>,
    pub(super) lengths: Option<&'a [usize]>,
    pub(super) resets: Option<&'a ArrayRef2<bool>>,
    pub(super) initial_state: Option<&'a State<T>>,
    pub(super) seeds: Option<&'a mut [DropoutGenerator]>,
    pub(super) tape: Option<&'a mut Tape<T>>,
}

impl<'a, T> Run<'a, T> {
    /// No options: what [`Layer::forward`](crate::Layer::forward) does.
    pub fn new() -> Self {
        Run { mask: None, lengths: None, resets: None, initial_state: None, seeds: None, tape: None }
    }

    /// Which steps are live, (batch, timesteps): at others the state stays and the output repeats the previous one
    /// (zero before the first), or is zero with `zero_output_for_mask`. Time is the input's in every direction.
    pub fn mask(mut self, mask: &'a ArrayRef2<bool>) -> Self {
        self.mask = Some(mask);
        self
    }

    /// [`mask`](Run::mask), if there is one: what an [`Embedding`](crate::Embedding) returns.
    pub fn mask_if(mut self, mask: Option<&'a Array2<bool>>) -> Self {
        self.mask = mask.map(|mask| &**mask);
        self
    }

    /// How many of the first steps of each row are live: a mask for padded rows. Steps beyond cost nothing.
    pub fn lengths(mut self, lengths: &'a [usize]) -> Self {
        self.lengths = Some(lengths);
        self
    }

    /// Where a row is reset, (batch, timesteps): true at t means that the state before step t, and the previous
    /// output, are those of a new sequence. In a backward direction the boundary is the same, between t - 1 and t.
    pub fn resets(mut self, resets: &'a ArrayRef2<bool>) -> Self {
        self.resets = Some(resets);
        self
    }

    /// The state before the first step, instead of zeros.
    pub fn initial_state(mut self, state: &'a State<T>) -> Self {
        self.initial_state = Some(state);
        self
    }

    pub(crate) fn has_initial_state(&self) -> bool {
        self.initial_state.is_some()
    }

    pub(crate) fn has_tape(&self) -> bool {
        self.tape.is_some()
    }

    /// Training mode: dropout is active, with masks drawn from these [`Layer::seeds`](crate::Layer::seeds).
    pub fn training(self, seeds: &'a mut DropoutSeeds) -> Self {
        self.drawing_from(&mut seeds.states)
    }

    /// [`training`](Run::training) with generators that stand among others.
    pub(crate) fn drawing_from(mut self, generators: &'a mut [DropoutGenerator]) -> Self {
        self.seeds = Some(generators);
        self
    }

    /// Records what [`Layer::backward`](crate::Layer::backward) needs; what the tape held before is forgotten, even if
    /// the run is refused: the tape is empty then. A run of no steps (of a stream) can't be recorded:
    /// [`Error::NoTimesteps`](crate::Error::NoTimesteps).
    pub fn record(self, tape: &'a mut Tape<T>) -> Self {
        tape.begin();
        self.record_next(tape)
    }

    /// [`record`](Run::record) that leaves the tape as it is if the run is refused.
    pub(crate) fn record_next(mut self, tape: &'a mut Tape<T>) -> Self {
        self.tape = Some(tape);
        self
    }
}

impl<T> Default for Run<'_, T> {
    fn default() -> Self {
        Run::new()
    }
}
