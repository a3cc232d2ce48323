//! The arithmetic: slices and sizes only, no arrays, and the only place of `unsafe`.

#![allow(dead_code, unused_imports)] // until cells use the kernels

pub(crate) mod activate;
mod aligned;
pub(crate) mod backward;
mod blocks;
mod cells;
pub(crate) mod compiled;
mod dense;
#[doc(hidden)]
mod gru;
pub(crate) mod isa;
mod lanes;
mod lstm;
pub(crate) mod math;
mod panels;
pub mod paths;
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
pub trait Element: sealed::Sealed + lanes::Vectors + Copy + Send + Sync + 'static {}

impl Element for f32 {}
impl Element for f64 {}

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

/// One time step of one row, without dropout and with nothing saved: the short way to the same result.
///
/// For small cells the way matters as much as the arithmetic. While a step's last values are on their way, the processor
/// already runs the next step's instructions, but only until 64 stores wait behind the first one that can't be done;
/// a `KernelStep` alone is 40. So a loop over one row builds none.
#[derive(Debug)]
pub(crate) struct RowStep<'a, T> {
    /// The step's input, or what `project` made of it.
    pub input: RowInput<'a, T>,
    /// The state before the step.
    pub prev: &'a [T],
    /// The state after the step.
    pub next: &'a mut [T],
    /// `scratch_len(1)` elements of any contents.
    pub scratch: &'a mut [T],
    /// As in [`KernelStep`].
    pub odd_step: bool,
    /// As in [`KernelStep`].
    pub activation: &'a Activation,
    /// As in [`KernelStep`].
    pub recurrent_activation: &'a Activation,
}

/// The input of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RowInput<'a, T> {
    /// The features.
    Raw(&'a [T]),
    /// `bias + x * kernel`, in the cell's own order.
    Projected(&'a [T]),
}

impl<'a, T: Copy> KernelStep<'a, T> {
    /// The step of the only row, if it is one that a [`RowStep`] can do.
    #[inline(always)]
    fn single_row(&mut self) -> Option<RowStep<'_, T>> {
        match *self.rows {
            [row] if self.dropout.is_none() && self.saved.is_none() => Some(RowStep {
                input: match self.input {
                    Input::Raw(x) => RowInput::Raw(x.row(row)),
                    Input::Projected(z) => RowInput::Projected(z.row(row)),
                },
                prev: self.prev.row(row),
                next: self.next.row_mut(row),
                scratch: self.scratch,
                odd_step: self.odd_step,
                activation: self.activation,
                recurrent_activation: self.recurrent_activation,
            }),
            _ => None,
        }
    }
}

impl<'a, T> RowStep<'a, T> {
    /// x, or nothing if the input is projected; and what the sums start from.
    #[inline(always)]
    fn operands<'b>(&self, bias: &'b [T]) -> (&'b [T], &'b [T])
    where
        'a: 'b,
    {
        match self.input {
            RowInput::Raw(x) => (x, bias),
            RowInput::Projected(z) => (&[], z),
        }
    }

    /// The same as a step of a list of rows.
    fn into_rows(self) -> KernelStep<'a, T> {
        KernelStep {
            rows: &[0],
            input: match self.input {
                RowInput::Raw(x) => Input::Raw(Rows::packed(x, x.len())),
                RowInput::Projected(z) => Input::Projected(Rows::packed(z, z.len())),
            },
            prev: Rows::packed(self.prev, self.prev.len()),
            next: {
                let width = self.next.len();
                RowsMut::packed(self.next, width)
            },
            saved: None,
            dropout: None,
            scratch: self.scratch,
            odd_step: self.odd_step,
            activation: self.activation,
            recurrent_activation: self.recurrent_activation,
        }
    }
}

/// The rows that an unfused step keeps in the scratch at a time.
const BATCH: usize = 32;

/// Whether the activations are those for which each cell has its own formulas.
#[inline(always)]
fn is_default(activation: &Activation, recurrent_activation: &Activation) -> bool {
    matches!((activation, recurrent_activation), (Activation::Tanh, Activation::Sigmoid))
}
