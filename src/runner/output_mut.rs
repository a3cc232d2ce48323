//! Where a call writes: arrays of the caller's, and the same as slices.

use ndarray::{ArrayRef2, ArrayRef3};

use crate::state::State;

/// Arrays of the caller's that a call writes its results into: what is given is written, whatever the layer's flags.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Layer, Lstm, OutputMut, Run, Scratch};
///
/// let lstm = Lstm::<f32>::new(3, 4);
/// let (x, mut sequence) = (Array3::ones((2, 5, 3)), Array3::zeros((2, 5, 4)));
/// let mut scratch = Scratch::new();
/// for _ in 0..3 {
///     // From the second call on nothing is allocated.
///     lstm.run_into(&x, Run::new(), OutputMut::new().sequence(&mut sequence), &mut scratch)?;
/// }
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "options do nothing until a call gets them"]
pub struct OutputMut<'a, T> {
    pub(super) sequence: Option<&'a mut ArrayRef3<T>>,
    pub(super) last: Option<&'a mut ArrayRef2<T>>,
    pub(super) state: Option<&'a mut State<T>>,
}

impl<'a, T> OutputMut<'a, T> {
    /// Nothing is written.
    pub fn new() -> Self {
        OutputMut { sequence: None, last: None, state: None }
    }

    /// The outputs of all steps: (batch, timesteps, output_size).
    pub fn sequence(mut self, sequence: &'a mut ArrayRef3<T>) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// The output of the last step: (batch, output_size).
    pub fn last(mut self, last: &'a mut ArrayRef2<T>) -> Self {
        self.last = Some(last);
        self
    }

    /// The state after the last step.
    pub fn state(mut self, state: &'a mut State<T>) -> Self {
        self.state = Some(state);
        self
    }

    #[allow(clippy::type_complexity)]
    pub(crate) fn into_parts(
        self,
    ) -> (Option<&'a mut ArrayRef3<T>>, Option<&'a mut ArrayRef2<T>>, Option<&'a mut State<T>>) {
        (self.sequence, self.last, self.state)
    }
}

impl<T> Default for OutputMut<'_, T> {
    fn default() -> Self {
        OutputMut::new()
    }
}

/// Where a call writes: slices in row order, of the right lengths.
pub(crate) struct OutputSlices<'a, T> {
    pub(crate) sequence: Option<&'a mut [T]>,
    pub(crate) last: Option<&'a mut [T]>,
    pub(crate) state: Option<&'a mut [T]>,
}
