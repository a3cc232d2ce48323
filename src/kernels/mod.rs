//! The arithmetic: slices and sizes only, no arrays, and the only place of `unsafe`.
//!
//! # The idea
//!
//! A step is one product of a matrix with `[x, h]`, then a few functions of each unit's sums. The matrix is read once,
//! from its first byte to its last, and the sums of a unit's gates are in registers at the same time, so that they
//! never go to memory on their way to the new state:
//!
//! ```text
//! step of some rows:
//!     for tile of 16 units (8 in f64), in turn forwards and backwards:
//!         for block of up to 8 rows:
//!             sum[row][gate] = bias[gate], or what `project` made of x
//!             for k in x, then in h:  sum[row][gate] += weights[tile][k][gate] * row[k]     16 lanes at once
//!             new state[row] = cell(sum[row], old state[row])                               16 lanes at once
//! ```
//!
//! One row is limited by reading (or, when small, by the wait for one sum after the other), many rows by multiply-adds.
//! `project` is the same loop with time steps as rows and without h: a sequence of one row gets its input's product at
//! the speed of a batch. With other activations than tanh and sigmoid the sums go to rows in the scratch, and the
//! activations over whole rows.
//!
//! # Same bits
//!
//! Each sum is one chain: bias, x in order, h in order, one fused multiply-add for each. Tiles, blocks, projected input
//! and vector widths change which sums are computed together, never a sum. The functions of a unit are one sequence of
//! operations per cell (`units`), the same for a vector of any width. `drive::reference` is the specification: plain
//! loops that every other path must match bit for bit, which `tests` check.
//!
//! # Weights in memory
//!
//! ```text
//! LSTM, 40 units, f32: tiles of 16, 16 and 8 units; a line [ ] is 64 bytes
//!
//!            tile 0                  tile 1                  tile 2 (half lines)
//! k = 0      [i ][f ][g ][o ]        [i ][f ][g ][o ]        [i f][g o]
//! k = 1      [i ][f ][g ][o ]        [i ][f ][g ][o ]        [i f][g o]
//! ...        x's rows, then h's      ...                     ...
//!            one after the other, ---> then the next tile, --->
//! ```
//!
//! The layout doesn't depend on the instruction set. `packed` says more.
//!
//! # Where to read on
//!
//! - `isa` - the instruction sets, and the call that leads into each
//! - `lanes` - a vector value in safe code; `products` - the register tile
//! - `packed` - the packed matrix
//! - `units` - what each cell computes of a unit, a file each: equation, fused formula, specification, tape, slopes;
//!   `unit` - a unit as the drivers see it; `specified`, `slopes` - what specifications and backward passes are made of
//! - `drive` - how rows and tiles are gone through, once for all cells of one shape: one row, rows in blocks, recorded,
//!   unfused, as specified
//! - `blocks` - the sums of many rows; `flat_row` - of one; `epilogue` - sums that go to rows; `project` - the input's
//!   product
//! - `dense` - a layer's product; `depthwise` - of channels each by itself; `product` - of two matrices from outside;
//!   `compiled` - the entries of all kernels
//! - `quantized` - weights in fewer bits: matrices of bytes and of 16-bit floats, and all steps with them
//! - `backward` - the backward pass; `activate`, `math` - activations and elementary functions
//! - `limits` - what the machine does at most, for `benches/cells`, which measures all this against it
//!
//! # Traps, each measured
//!
//! The lines that obey them name them: `Trap 7`.
//!
//! 1. Sums that a loop variable indexes stay in memory, at 2 to 3 times the time: hence the macro in `products`.
//! 2. A vector that is an array between operations is 16 scalars to the compiler, which finds the vector again, mostly
//!    (a third slower where it doesn't, half in one loop): hence `lanes`. A line of weights is made a vector before it
//!    meets the rows.
//! 3. What isn't `#[inline(always)]` isn't compiled for the instruction set; a fused multiply-add is then a call.
//! 4. Two limits of a value side by side become four slow instructions: see `units::formulas`.
//! 5. A copy of a few elements of unknown number becomes a call of `memcpy`: see `lanes`.
//! 6. The processor overlaps a small step with the next one only until 64 stores wait: 22 ns of 65 were lost to a
//!    struct of arguments. Hence [`RowStep`], and two pointers into a kernel, not ten words.
//! 7. A tile order that depends on a flag in data (not in the code) delays all addresses: 17 ns of 65. Hence the
//!    constant `BACKWARDS`.
//! 8. Rows of a few sizes only (1, 2, 3, 4, 6, 8) in a block: each size is code, for each type and instruction set.
//! 9. One line of a group at a time steps over the others, and the processor, which foresees addresses within a page
//!    only, comes late at each: large matrices took twice the time (AVX2, Zen 3) until they were asked for ahead. Lines
//!    side by side come late by a twentieth (AVX-512, a Xeon).

pub(crate) mod activate;
pub(crate) mod backward;
mod blocks;
pub(crate) mod compiled;
mod dense;
mod depthwise;
mod drive;
mod epilogue;
mod flat_row;
pub(crate) mod isa;
mod lanes;
#[doc(hidden)]
pub mod limits;
pub(crate) mod math;
mod packed;
pub mod paths;
pub(crate) mod product;
mod products;
mod project;
mod quantized;
mod slopes;
mod specified;
mod unit;
mod units;

#[cfg(test)]
mod tests;

pub(crate) use dense::DenseKernel;
pub(crate) use depthwise::Depthwise;
pub(crate) use drive::LstmKernel;
pub(crate) use drive::flat::SimpleRnnKernel;
pub(crate) use drive::gru::GruKernel;
pub(crate) use quantized::{Format, QuantizedDenseKernel, QuantizedKernel, Unfit};

use crate::activation::Activation;
use crate::strided::{DropoutRows, Input, RowInput, RowStep, Rows, RowsMut};
use unit::Activations;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// What the kernels need of an element type. Implemented by `f32` and `f64` only.
pub trait Element:
    sealed::Sealed + ndarray::NdFloat + Default + lanes::Vectors + compiled::Compiled + math::Elementary
{
    /// The nearest value of this type.
    #[doc(hidden)]
    fn narrowed(value: f64) -> Self;

    /// The value as an `f64`, exactly.
    #[doc(hidden)]
    fn widened(self) -> f64;
}

impl Element for f32 {
    #[inline(always)]
    fn narrowed(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn widened(self) -> f64 {
        self.into()
    }
}

impl Element for f64 {
    #[inline(always)]
    fn narrowed(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn widened(self) -> f64 {
        self
    }
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
    /// The step's tape, to be written: `tape_len` elements a row.
    pub tape: Option<RowsMut<'a, T>>,
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

impl<'a, T: Copy> KernelStep<'a, T> {
    /// The step of one row as one of rows.
    fn of_row(step: &'a mut RowStep<'_, T>, context: StepContext<'a, T>) -> Self {
        let rows = |row: &'a [T]| Rows::packed(row, row.len());
        let input = match step.input {
            RowInput::Raw(x) => Input::Raw(rows(x)),
            RowInput::Projected(z) => Input::Projected(rows(z)),
        };
        let StepContext { scratch, odd_step, activation, recurrent_activation } = context;
        let width = step.next.len();
        KernelStep {
            rows: &[0],
            input,
            prev: rows(step.prev),
            next: RowsMut::packed(step.next, width),
            tape: None,
            dropout: None,
            scratch,
            odd_step,
            activation,
            recurrent_activation,
        }
    }

    /// Both activations.
    #[inline(always)]
    fn activations(&self) -> Activations<'a> {
        Activations { candidate: self.activation, gates: self.recurrent_activation }
    }

    /// The step of the only row, if it is one that a [`RowStep`] can do.
    #[inline(always)]
    fn single_row(&mut self) -> Option<(RowStep<'_, T>, StepContext<'_, T>)> {
        match *self.rows {
            [row] if self.dropout.is_none() && self.tape.is_none() => Some((
                RowStep { input: self.input.row(row), prev: self.prev.row(row), next: self.next.row_mut(row) },
                StepContext {
                    scratch: self.scratch,
                    odd_step: self.odd_step,
                    activation: self.activation,
                    recurrent_activation: self.recurrent_activation,
                },
            )),
            _ => None,
        }
    }
}

/// What the step of one row needs beside its row: each as in [`KernelStep`].
#[derive(Debug)]
pub(crate) struct StepContext<'a, T> {
    pub scratch: &'a mut [T],
    pub odd_step: bool,
    pub activation: &'a Activation,
    pub recurrent_activation: &'a Activation,
}

impl<'a, T> StepContext<'a, T> {
    /// Both activations.
    #[inline(always)]
    fn activations(&self) -> Activations<'a> {
        Activations { candidate: self.activation, gates: self.recurrent_activation }
    }
}
