//! The output of the last few steps alone, at each step.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::step::masked_step;
use super::{Sizes, in_turn};
use crate::aligned::Aligned;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::runner::layer::LayerCore;
use crate::runner::scratch::Scratch;
use crate::state::State;
use crate::strided::RowsMut;

/// At each sample, what [`forward`](Layer::forward) gives for the last `length` of them: for a layer that was trained on
/// windows of a fixed length, and should forget what lies before.
///
/// It keeps `length` states that began one sample after the other. Each sample is one step of all of them as one batch,
/// for which the first layer's input is multiplied by its kernel once; the oldest has then seen `length` samples,
/// gives the output and begins anew. The bits are those of `forward` over the window, and a sample takes a fraction of
/// the time: the products of a batch are quicker than those of one row after the other.
///
/// [`new`](Window::new) allocates all that is needed; a [`push`](Window::push) that succeeds allocates nothing, takes no
/// lock and makes no system call. A stream that doesn't forget is a [`Stream`](crate::Stream). A model that is a chain of
/// layers has a window by [`Model::into_layer`](crate::Model::into_layer).
///
/// ```
/// use recurrent::{Lstm, Window};
/// let lstm = Lstm::<f32>::new(8, 16);
/// let mut window = Window::new(&lstm, 50)?;
/// for sample in 1..=60 {
///     let output = window.push(&[0.1; 8])?; // what forward gives for the last 50
///     assert_eq!(output.is_some(), sample >= 50);
/// }
/// # Ok::<(), recurrent::Error>(())
/// ```
pub struct Window<T: Float, P> {
    layer: P,
    /// The samples since the beginning, up to `length`.
    filled: usize,
    /// The row that begins anew with the next sample.
    next_row: usize,
    /// The state of each row, and the one that the next step writes, in turn.
    states: [State<T>; 2],
    second: bool,
    /// The previous outputs of the layer and of those inside: (length, carry width).
    carry: Aligned<T>,
    scratch: Scratch<T>,
    sizes: Sizes,
}

impl<T: Float, P: Deref<Target: Layer<T>>> Window<T, P> {
    /// A window of `length` samples.
    ///
    /// # Errors
    /// [`Error::ZeroSize`]; [`Error::CannotStream`] names the layer that needs the whole sequence: it goes backwards in
    /// time. [`Error::TensorTooLarge`] for more states than there is memory for.
    pub fn new(layer: P, length: usize) -> Result<Self> {
        if length == 0 {
            return Err(Error::ZeroSize { what: "the length of a window" });
        }
        layer.can_stream()?;
        let sizes = Sizes::of(&*layer);
        sizes.check_memory(&*layer, length)?;
        let zeros = || State::zeros(Arc::clone(layer.state_layout()), length);
        let mut window = Window {
            states: [zeros(), zeros()],
            second: false,
            carry: Aligned::zeros(length * sizes.carry),
            scratch: Scratch::new(),
            layer,
            filled: 0,
            next_row: 0,
            sizes,
        };
        // All memory that a step takes is taken now, also that of a step that a Masking layer hides.
        let (x, live) = (vec![T::one(); length * sizes.input], vec![true; length]);
        window.step(length, &x[..sizes.input]);
        let [prev, next] = &mut window.states;
        let rows = (prev.rows(), RowsMut::packed(next.as_mut_slice(), sizes.state));
        masked_step(&*window.layer, (&x, &live), sizes, rows, &mut window.carry, &mut window.scratch);
        window.step(length, &x[..sizes.input]);
        window.reset();
        Ok(window)
    }

    /// Takes a sample, of as many features as the layer reads; the output of the layer for the last
    /// [`length`](Window::length) samples, once there are so many.
    ///
    /// # Errors
    /// [`Error::StepShape`] for another number of features; the window is as before.
    pub fn push(&mut self, x: &[T]) -> Result<Option<&[T]>> {
        if x.len() != self.sizes.input {
            return Err(Error::StepShape { expected: (1, self.sizes.input), given: (1, x.len()) });
        }
        let length = self.length();
        self.begin(self.next_row);
        self.filled = (self.filled + 1).min(length);
        // Rows that haven't begun lie behind those that have.
        self.step(self.filled, x);
        self.next_row = (self.next_row + 1) % length;
        Ok(self.output())
    }

    /// The output of the last [`push`](Window::push), if there were samples enough.
    pub fn output(&self) -> Option<&[T]> {
        let Sizes { carry, output, state, output_in_state, .. } = self.sizes;
        let row = self.oldest()?;
        Some(match output_in_state {
            Some(start) => &self.states[usize::from(self.second)].as_slice()[row * state + start..][..output],
            None => &self.carry[(row + 1) * carry - output..][..output],
        })
    }

    /// The state after the last [`length`](Window::length) samples, if there were so many: what `forward` returns as
    /// its state. Allocates it.
    pub fn state(&self) -> Option<State<T>> {
        let (row, width) = (self.oldest()?, self.sizes.state);
        let mut state = State::zeros(Arc::clone(self.layer.state_layout()), 1);
        let all = self.states[usize::from(self.second)].as_slice();
        state.as_mut_slice().copy_from_slice(&all[row * width..][..width]);
        Some(state)
    }

    /// Forgets all samples. Allocates nothing.
    pub fn reset(&mut self) {
        (self.filled, self.next_row) = (0, 0);
    }

    /// The number of samples that an output is made of.
    pub fn length(&self) -> usize {
        self.states[0].batch()
    }

    /// The number of samples in the window: up to its [`length`](Window::length).
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// The layer.
    pub fn layer(&self) -> &P::Target {
        &self.layer
    }

    /// The row that has seen as many samples as the window has, if any has.
    fn oldest(&self) -> Option<usize> {
        (self.filled == self.length()).then_some(self.next_row)
    }

    /// A row begins anew.
    fn begin(&mut self, row: usize) {
        let Sizes { state, carry, .. } = self.sizes;
        let states = self.states[usize::from(self.second)].as_mut_slice();
        self.layer.fill_initial_state(&mut states[row * state..][..state]);
        self.carry[row * carry..][..carry].fill(T::zero());
    }

    /// One step of the first rows, all with the same sample.
    fn step(&mut self, rows: usize, x: &[T]) {
        let (prev, next) = in_turn(&mut self.states, self.second);
        self.layer.step_shared(
            rows,
            x,
            prev.rows(),
            RowsMut::packed(next.as_mut_slice(), self.sizes.state),
            RowsMut::packed(&mut self.carry, self.sizes.carry),
            &mut self.scratch,
        );
        self.second = !self.second;
    }
}

impl<T: Float, P: fmt::Debug> fmt::Debug for Window<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("layer", &self.layer)
            .field("length", &self.states[0].batch())
            .finish_non_exhaustive()
    }
}
