//! What a call returns.

use ndarray::{Array2, Array3, Axis, Slice};

use crate::error::{Error, Result};
use crate::state::State;

/// The result of a call: the last output always, the sequence and the state if the layer was built to return them.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gru, Layer};
///
/// let gru = Gru::<f32>::builder(3, 4).return_sequences(true).build()?;
/// let output = gru.forward(&Array3::ones((2, 5, 3)))?;
/// assert_eq!(output.last(), output.sequence()?.index_axis(Axis(1), 4));
/// assert!(output.state().is_err());                           // it wasn't built with return_state(true)
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Output<T> {
    pub(crate) last: Array2<T>,
    pub(crate) sequence: Option<Array3<T>>,
    pub(crate) state: Option<State<T>>,
    pub(crate) backward: Option<Box<Output<T>>>,
}

impl<T: Clone> Output<T> {
    /// Takes the two directions apart: the first `forward` columns and the rest.
    pub(crate) fn split(self, forward: usize) -> Self {
        let half = |columns: Slice| Output {
            last: self.last.slice_axis(Axis(1), columns).to_owned(),
            sequence: self.sequence.as_ref().map(|sequence| sequence.slice_axis(Axis(2), columns).to_owned()),
            state: None,
            backward: None,
        };
        let (first, second) = (half(Slice::from(..forward)), half(Slice::from(forward..)));
        Output { state: self.state, backward: Some(Box::new(second)), ..first }
    }
}

impl<T> Output<T> {
    /// The output of the last step that was processed, (batch, units): what Keras returns with
    /// `return_sequences=False`. For `go_backwards` that is the step at time 0.
    pub fn last(&self) -> &Array2<T> {
        &self.last
    }

    /// The outputs of all steps in the order in which they were processed: (batch, timesteps, units).
    ///
    /// # Errors
    /// [`Error::NotRequested`] unless the layer was built with `return_sequences(true)`.
    pub fn sequence(&self) -> Result<&Array3<T>> {
        self.sequence.as_ref().ok_or(NO_SEQUENCE)
    }

    /// The state after the last step.
    ///
    /// # Errors
    /// [`Error::NotRequested`] unless the layer was built with `return_state(true)`.
    pub fn state(&self) -> Result<&State<T>> {
        self.state.as_ref().ok_or(NO_STATE)
    }

    /// The backward direction's results, of a [`Bidirectional`](crate::Bidirectional) layer that doesn't merge them.
    ///
    /// # Errors
    /// [`Error::NotRequested`] for any other layer.
    pub fn backward(&self) -> Result<&Output<T>> {
        self.backward.as_deref().ok_or(NO_BACKWARD)
    }

    /// [`last`](Output::last), owned.
    pub fn into_last(self) -> Array2<T> {
        self.last
    }

    /// [`sequence`](Output::sequence), owned.
    ///
    /// # Errors
    /// [`Error::NotRequested`] unless the layer was built with `return_sequences(true)`.
    pub fn into_sequence(self) -> Result<Array3<T>> {
        self.sequence.ok_or(NO_SEQUENCE)
    }

    /// [`state`](Output::state), owned.
    ///
    /// # Errors
    /// [`Error::NotRequested`] unless the layer was built with `return_state(true)`.
    pub fn into_state(self) -> Result<State<T>> {
        self.state.ok_or(NO_STATE)
    }
}

const NO_SEQUENCE: Error =
    Error::NotRequested { what: "sequence", hint: "build the layer with return_sequences(true)" };
const NO_STATE: Error = Error::NotRequested { what: "state", hint: "build the layer with return_state(true)" };
const NO_BACKWARD: Error =
    Error::NotRequested { what: "backward output", hint: "build a Bidirectional layer with merge_mode(Merge::None)" };
