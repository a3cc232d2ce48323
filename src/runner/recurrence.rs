//! The time loop for a cell. [The module above](super) prints it in five lines.

use std::ops::Range;

use super::dropout::draw_masks;
use super::pass::{MaskedOutput, Pass};
use super::scratch::{Scratch, take};
use super::sequence::Sequence;
use crate::cells::{Cell, StepRows};
use crate::float::Float;
use crate::mask::TimeMask;
use crate::rows::{Input, Rows, RowsMut};

/// Steps whose input is projected together: enough to use the batch kernel, few enough to stay in the nearest cache.
const CHUNK: usize = 24;
/// A batch of this many rows uses the batch kernel at each step anyway.
const HOIST_BELOW_BATCH: usize = 4;
/// Fewer steps than this aren't worth projecting together.
const HOIST_FROM_STEPS: usize = 4;

/// A cell and what a layer says about running it.
#[derive(Debug)]
pub(crate) struct Recurrence<'c, C: Cell> {
    pub(crate) cell: &'c C,
    pub(crate) state_width: usize,
    /// The columns of the state that are the output.
    pub(crate) output: Range<usize>,
    pub(crate) go_backwards: bool,
    pub(crate) masked_output: MaskedOutput,
}

impl<C: Cell> Recurrence<'_, C> {
    /// One step of every row, without masks: the door for streams.
    #[inline]
    pub(crate) fn step(
        &self,
        batch: usize,
        x: Rows<'_, C::Elem>,
        prev: Rows<'_, C::Elem>,
        mut next: RowsMut<'_, C::Elem>,
        mut carry: RowsMut<'_, C::Elem>,
        scratch: &mut Scratch<C::Elem>,
    ) {
        scratch.odd = !scratch.odd;
        self.cell.step_rows(StepRows {
            rows: scratch.all_rows.up_to(batch),
            input: Input::Raw(x),
            prev,
            next: next.reborrow(),
            dropout: None,
            scratch: take(&mut scratch.work, self.cell.rows_scratch_len(batch)),
            odd: scratch.odd,
        });
        for row in 0..batch {
            carry.row_mut(row).copy_from_slice(&next.row(row)[self.output.clone()]);
        }
    }

    /// A whole call.
    pub(crate) fn run(&self, pass: Pass<'_, C::Elem>, scratch: &mut Scratch<C::Elem>) {
        let Pass { batch, timesteps, input, mask, resets, prev: initial, next: last, mut carry, .. } = pass;
        let mut sequence = pass.sequence;
        let masked_output = pass.masked_output.unwrap_or(self.masked_output);
        let masks = pass
            .dropout
            .filter(|_| !self.cell.dropout().is_empty())
            .map(|generators| draw_masks(self.cell.dropout(), generators, batch, &mut scratch.dropout));

        // Two buffers in turn, begun so that the last step writes into the caller's.
        let other = RowsMut::packed(take(&mut scratch.state, batch * self.state_width), self.state_width);
        let (mut prev, mut next) = if timesteps % 2 == 0 { (last, other) } else { (other, last) };
        for row in 0..batch {
            prev.row_mut(row).copy_from_slice(initial.row(row));
        }

        let mut hoist = Hoist::new(self.cell, batch, timesteps, masks.is_some(), &mut scratch.outputs);
        let work = take(&mut scratch.work, self.cell.rows_scratch_len(batch));
        let all_live = matches!(mask, TimeMask::All);

        for step in 0..timesteps {
            let time = if self.go_backwards { timesteps - 1 - step } else { step };
            if let Some(resets) = resets {
                // The boundary lies between time - 1 and time, whichever way it is crossed.
                let boundary = if self.go_backwards { time + 1 } else { time };
                for row in 0..batch {
                    if boundary < timesteps && resets[row * timesteps + boundary] {
                        self.cell.initial_state(prev.row_mut(row));
                        carry.row_mut(row).fill(C::Elem::default());
                    }
                }
            }
            let live = if all_live {
                scratch.all_rows.up_to(batch)
            } else {
                mask.live_rows(batch, time, &mut scratch.rows);
                &scratch.rows[..]
            };
            let input = hoist.input(self.cell, &input, batch, timesteps, step, self.go_backwards);
            scratch.odd = !scratch.odd;
            if !live.is_empty() {
                self.cell.step_rows(StepRows {
                    rows: live,
                    input,
                    prev: prev.as_rows(),
                    next: next.reborrow(),
                    dropout: masks,
                    scratch: &mut *work,
                    odd: scratch.odd,
                });
            }
            if all_live {
                if let Some(sequence) = &mut sequence {
                    let mut outputs = sequence.at(step);
                    for row in 0..batch {
                        outputs.row_mut(row).copy_from_slice(&next.row(row)[self.output.clone()]);
                    }
                }
            } else {
                let mut outputs = sequence.as_mut().map(|sequence| sequence.at(step));
                let mut live = live.iter().peekable();
                for row in 0..batch {
                    if live.next_if_eq(&&row).is_some() {
                        carry.row_mut(row).copy_from_slice(&next.row(row)[self.output.clone()]);
                        if let Some(outputs) = &mut outputs {
                            outputs.row_mut(row).copy_from_slice(carry.row(row));
                        }
                    } else {
                        next.row_mut(row).copy_from_slice(prev.row(row));
                        if let Some(outputs) = &mut outputs {
                            if masked_output.zero_sequence {
                                outputs.row_mut(row).fill(C::Elem::default());
                            } else {
                                outputs.row_mut(row).copy_from_slice(carry.row(row));
                            }
                        }
                        if masked_output.zero_last {
                            carry.row_mut(row).fill(C::Elem::default());
                        }
                    }
                }
            }
            std::mem::swap(&mut prev, &mut next);
        }
        if all_live && timesteps > 0 {
            for row in 0..batch {
                carry.row_mut(row).copy_from_slice(&prev.row(row)[self.output.clone()]);
            }
        }
    }
}

/// The products of inputs and kernel, a few steps ahead of the loop: for few rows, where a step alone can't use the
/// batch kernel. The bits are those of the product within the step.
struct Hoist<'b, T> {
    /// [row][slot][projected_len], or empty: not hoisted.
    products: &'b mut [T],
    width: usize,
    slots: usize,
    /// The earliest time that is in the buffer.
    first: usize,
}

impl<'b, T: Float> Hoist<'b, T> {
    fn new<C: Cell<Elem = T>>(cell: &C, batch: usize, timesteps: usize, dropout: bool, buffer: &'b mut Vec<T>) -> Self {
        let worth = batch < HOIST_BELOW_BATCH && timesteps >= HOIST_FROM_STEPS && !dropout;
        let width = if worth { cell.projected_len() } else { 0 };
        let slots = timesteps.min(CHUNK);
        Hoist { products: take(buffer, batch * slots * width), width, slots, first: 0 }
    }

    /// The input of one step; every `CHUNK` steps this projects the next ones.
    fn input<'s, C: Cell<Elem = T>>(
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
        if step % self.slots == 0 {
            let count = self.slots.min(timesteps - step);
            // Going backwards, the chunk ends at this time instead of beginning there.
            self.first = if backwards { time + 1 - count } else { time };
            for row in 0..batch {
                let products = &mut self.products[row * self.slots * self.width..][..count * self.width];
                cell.project(count, x.steps_of(row, self.first), RowsMut::packed(products, self.width));
            }
        }
        let slot = time - self.first;
        Input::Projected(Rows::new(self.products, slot * self.width, self.slots * self.width, self.width))
    }
}
