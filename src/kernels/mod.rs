//! The arithmetic: slices and sizes only, no arrays, and the only place of `unsafe`.

#![allow(dead_code, unused_imports)] // until cells use the kernels

pub(crate) mod activate;
mod aligned;
mod blocks;
mod cells;
pub(crate) mod compiled;
mod dense;
#[doc(hidden)]
pub mod door;
mod gru;
pub(crate) mod isa;
mod lanes;
mod lstm;
pub(crate) mod math;
mod panels;
mod products;
mod project;
mod reference;
mod simple_rnn;
mod sinks;
mod tiles;

#[cfg(test)]
mod tests;

pub(crate) use dense::DenseKernel;
pub(crate) use gru::GruKernel;
pub(crate) use lstm::LstmKernel;
pub(crate) use simple_rnn::SimpleRnnKernel;

use crate::Activation;
use crate::rows::{DropoutRows, Input, Rows, RowsMut};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// What the kernels need of an element type. Implemented by `f32` and `f64` only.
pub trait Element: sealed::Sealed + Copy + Send + Sync + 'static {
    /// A line: 64 bytes, which is a cache line and the widest vector.
    #[doc(hidden)]
    type Line: lanes::Lanes<Self>;
    /// Half a line.
    #[doc(hidden)]
    type HalfLine: lanes::Lanes<Self>;
    /// The elements of a line.
    #[doc(hidden)]
    const LANES: usize = <Self::Line as lanes::Lanes<Self>>::LEN;
}

impl Element for f32 {
    type Line = [f32; 16];
    type HalfLine = [f32; 8];
}
impl Element for f64 {
    type Line = [f64; 8];
    type HalfLine = [f64; 4];
}

/// One time step of some rows.
///
/// Row `i` of each of the row sets belongs to the same sequence; only those named in `rows` are read and written.
/// A state row is h, for the LSTM h and then c.
#[derive(Debug)]
pub(crate) struct KernelStep<'a, T> {
    /// The live rows, as indices into all that follows.
    pub rows: &'a [usize],
    /// The step's input, or what `project` made of it.
    pub input: Input<'a, T>,
    /// The states before the step. Never the memory of `next`.
    pub prev: Rows<'a, T>,
    /// The states after the step.
    pub next: RowsMut<'a, T>,
    /// Where to leave what backward needs: `saved_len` elements a row.
    pub saved: Option<RowsMut<'a, T>>,
    /// Masks that multiply the operands. `dropout.input` needs [`Input::Raw`].
    pub dropout: Option<DropoutRows<'a, T>>,
    /// `scratch_len` elements of any contents.
    pub scratch: &'a mut [T],
    /// Any value gives the same bits. If it alternates from step to step, so does the order in which the weights are
    /// read, and the last ones of a step are still near when the next one begins.
    pub odd_step: bool,
    /// The activation of the candidate and, in an LSTM, of the cell state.
    pub activation: &'a Activation,
    /// The activation of the gates.
    pub recurrent_activation: &'a Activation,
}

/// The rows that an unfused step keeps in the scratch at a time.
const BATCH: usize = 32;

/// Whether the activations are those for which each cell has its own formulas.
#[inline(always)]
fn is_default(activation: &Activation, recurrent_activation: &Activation) -> bool {
    matches!((activation, recurrent_activation), (Activation::Tanh, Activation::Sigmoid))
}
