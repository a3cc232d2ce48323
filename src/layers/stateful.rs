//! Keras's `stateful=True`.

use std::fmt;
use std::ops::Deref;

use ndarray::ArrayRef3;

use super::Layer;
use crate::error::{Error, Result, or_panic};
use crate::float::Float;
use crate::memory;
use crate::output::Output;
use crate::runner::check::check_input;
use crate::runner::execute::produce;
use crate::runner::run::Run;
use crate::runner::scratch::Scratch;
use crate::state::State;

/// A layer that begins each call with the state that the last one ended with: Keras's `stateful=True`, for code that
/// is ported. (New code may prefer a [`Stream`](crate::Stream), or to carry the [`State`] itself.)
///
/// Keras's rules: the batch is fixed; an initial state that is given replaces the kept one, and the call's final state
/// is kept; [`reset_state`](Stateful::reset_state) makes zeros. Any layer can be stateful, backward ones too. Each call
/// begins with a previous output of zero, as in Keras.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gru, Layer, Stateful};
/// let gru = Gru::<f32>::new(3, 4);
/// let x = Array3::ones((2, 6, 3));
/// let mut stateful = Stateful::new(&gru, 2);
/// stateful.forward(&x.slice(s![.., ..2, ..]))?;
/// let output = stateful.forward(&x.slice(s![.., 2.., ..]))?;
/// assert_eq!(output.last(), gru.forward(&x)?.last());
/// # Ok::<(), recurrent::Error>(())
/// ```
pub struct Stateful<T: Float, P> {
    layer: P,
    state: State<T>,
    /// Where the next call's final state goes, so that a call that is refused leaves the kept one as it was.
    next: State<T>,
    scratch: Scratch<T>,
}

impl<T: Float, P: Deref<Target: Layer<T>>> Stateful<T, P> {
    /// A layer (`&L`, `Arc<L>` or `Box<L>`) that keeps its state, for calls of `batch` rows. It begins with the layer's
    /// initial state: zeros, unless a user's cell says otherwise.
    ///
    /// # Panics
    /// If there is no memory for so many rows: use [`try_new`](Stateful::try_new) for a number that isn't known to be
    /// sound.
    #[track_caller]
    pub fn new(layer: P, batch: usize) -> Self {
        or_panic(Self::try_new(layer, batch))
    }

    /// [`new`](Stateful::new), or an error.
    ///
    /// # Errors
    /// [`Error::TensorTooLarge`] for more rows than there is memory for.
    pub fn try_new(layer: P, batch: usize) -> Result<Self> {
        let width = layer.state_layout().width();
        memory::check::<T>(memory::product(&[2, batch, width]), &[batch, width])?;
        let state = layer.try_initial_state(batch)?;
        Ok(Stateful { layer, next: state.clone(), state, scratch: Scratch::new() })
    }

    /// A call that begins with the kept state.
    ///
    /// # Errors
    /// Those of [`Layer::forward`], and [`Error::StateBatch`] for another number of rows; the state is kept then.
    pub fn forward(&mut self, x: &ArrayRef3<T>) -> Result<Output<T>> {
        self.run(x, Run::new())
    }

    /// A call with options; an initial state replaces the kept one.
    ///
    /// # Errors
    /// Those of [`Layer::run`], and [`Error::StateBatch`] for another number of rows; the state is kept then.
    pub fn run(&mut self, x: &ArrayRef3<T>, run: Run<'_, T>) -> Result<Output<T>> {
        let layer = &*self.layer;
        check_input(layer, x)?;
        let batch = x.dim().0;
        if batch != self.state.batch() {
            return Err(Error::StateBatch { expected: batch, given: self.state.batch() });
        }
        let run = if run.has_initial_state() { run } else { run.initial_state(&self.state) };
        let output = produce(layer, x, run, Some(&mut self.next), None, &mut self.scratch)?;
        std::mem::swap(&mut self.state, &mut self.next);
        Ok(output)
    }

    /// The state that the next call begins with.
    pub fn state(&self) -> &State<T> {
        &self.state
    }

    /// Makes the state zeros (and not a cell's own initial state: Keras's rule).
    pub fn reset_state(&mut self) {
        self.state.as_mut_slice().fill(T::zero());
    }

    /// The layer.
    pub fn layer(&self) -> &P::Target {
        &self.layer
    }
}

impl<T: Float, P: fmt::Debug> fmt::Debug for Stateful<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stateful")
            .field("layer", &self.layer)
            .field("batch", &self.state.batch())
            .finish_non_exhaustive()
    }
}
