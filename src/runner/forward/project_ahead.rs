//! Inputs that are projected a few steps ahead.

use crate::aligned::Aligned;
use crate::cells::{Cell, FusedCell};
use crate::float::Float;
use crate::runner::sequence::Sequence;
use crate::strided::{Input, RowInput, Rows, RowsMut};

/// Steps whose input is projected together: enough to use the batch kernel, few enough to stay in the nearest cache.
pub(crate) const CHUNK: usize = 24;
/// A batch of this many rows uses the batch kernel at each step anyway.
pub(crate) const PROJECT_BELOW_BATCH: usize = 4;
/// Fewer steps than this aren't worth projecting together.
const PROJECT_FROM_STEPS: usize = 4;
/// For one row, fewer weights of the input than this are read in less time in each step.
const PROJECT_FROM_WEIGHTS: usize = 4096;

/// The products of inputs and kernel, a few steps ahead of the loop: for few rows, where a step alone can't use the
/// batch kernel. The bits are those of the product within the step.
pub(super) struct ProjectedInputs<'b, T> {
    /// [row][slot][projected_len], or empty: each step projects its own.
    products: &'b mut [T],
    width: usize,
    pub(super) slots: usize,
    /// The earliest time that is in the buffer.
    first: usize,
}

impl<'b, T: Float> ProjectedInputs<'b, T> {
    pub(super) fn new<C: Cell<Elem = T>>(
        cell: &C,
        batch: usize,
        timesteps: usize,
        dropout: bool,
        buffer: &'b mut Aligned<T>,
    ) -> Self {
        let (slots, width) = Self::sizes(cell, batch, timesteps, dropout);
        ProjectedInputs { products: buffer.take(batch * slots * width), width, slots, first: 0 }
    }

    /// For how many steps there is room, and the width of each product; 0 if each step projects its own.
    pub(super) fn sizes<C: Cell<Elem = T>>(cell: &C, batch: usize, timesteps: usize, dropout: bool) -> (usize, usize) {
        let width = cell.fused().projected_len();
        let large = batch > 1 || cell.input_size().saturating_mul(width) >= PROJECT_FROM_WEIGHTS;
        let worth = large && batch < PROJECT_BELOW_BATCH && timesteps >= PROJECT_FROM_STEPS && !dropout;
        (timesteps.clamp(1, CHUNK), if worth { width } else { 0 })
    }

    /// The input of one step; every `CHUNK` steps this projects the next ones.
    pub(super) fn input<'s, C: Cell<Elem = T>>(
        &'s mut self,
        cell: &C,
        x: &Sequence<'s, T>,
        batch: usize,
        timesteps: usize,
        step: usize,
        backwards: bool,
    ) -> Input<'s, T> {
        let time = if backwards { timesteps - 1 - step } else { step };
        if self.width == 0 {
            return Input::Raw(x.at(time));
        }
        if step.is_multiple_of(self.slots) {
            let count = self.slots.min(timesteps - step);
            // Going backwards, the chunk ends at this time instead of beginning there.
            self.first = if backwards { time + 1 - count } else { time };
            for row in 0..batch {
                let products = &mut self.products[row * self.slots * self.width..][..count * self.width];
                cell.fused().project(count, x.steps_of(row, self.first), RowsMut::packed(products, self.width));
            }
        }
        let slot = time - self.first;
        Input::Projected(Rows::new(self.products, slot * self.width, self.slots * self.width, self.width))
    }

    /// The input of the only row at a time that has been projected, if any is.
    #[inline]
    pub(super) fn row<'s>(&'s self, x: &Sequence<'s, T>, time: usize) -> RowInput<'s, T> {
        match self.width {
            0 => RowInput::Raw(x.at(time).row(0)),
            width => RowInput::Projected(&self.products[(time - self.first) * width..][..width]),
        }
    }
}
