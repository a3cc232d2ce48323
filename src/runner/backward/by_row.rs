//! Row by row: the backward pass for any cell.

use std::ops::Range;

use super::{BackwardPath, StepBack, add};
use crate::buffers::take;
use crate::cells::{BackwardRows, Cell, FusedCell, steps_with_masks};
use crate::error::Result;
use crate::gradients::WeightGradients;
use crate::runner::forward::Recurrence;
use crate::strided::{Rows, RowsMut};

pub(super) struct ByRow<'a, C: Cell> {
    cell: &'a C,
    /// The columns of the state that are the output.
    output: Range<usize>,
    dropout: Option<Rows<'a, C::Elem>>,
    /// How many rows of masks stand between two steps.
    mask_rows: usize,
    d_x: RowsMut<'a, C::Elem>,
    scratch: &'a mut [C::Elem],
}

impl<'a, C: Cell> ByRow<'a, C> {
    /// `dropout` are the masks of all rows; `memory` is for scratch and the gradient of the features.
    pub(super) fn new(
        Recurrence { cell, output, .. }: &'a Recurrence<'_, C>,
        dropout: &'a [C::Elem],
        (batch, timesteps): (usize, usize),
        (work, outputs): (&'a mut Vec<C::Elem>, &'a mut Vec<C::Elem>),
    ) -> Self {
        let (steps, width) = (steps_with_masks(cell.dropout(), timesteps), cell.input_size());
        let masks = dropout.len() / (batch * steps).max(1);
        ByRow {
            cell,
            output: output.clone(),
            dropout: (masks > 0).then(|| Rows::packed(dropout, masks)),
            mask_rows: if steps > 1 { batch } else { 0 },
            d_x: RowsMut::packed(take(outputs, batch * width), width),
            scratch: take(work, cell.fused().rows_backward_scratch_len(batch)),
        }
    }
}

impl<C: Cell> BackwardPath<C::Elem> for ByRow<'_, C> {
    fn step(&mut self, step: StepBack<'_, '_, C::Elem>, gradients: &mut WeightGradients<'_, C::Elem>) -> Result<()> {
        if step.rows.is_empty() {
            return Ok(());
        }
        let (first, mut d_next) = (step.step * step.batch, step.d_next);
        if let Some(upstream) = step.upstream {
            for &row in step.rows {
                add(&mut d_next.row_mut(row)[self.output.clone()], upstream.here.row(row));
            }
        }
        let call = BackwardRows {
            rows: step.rows,
            x: step.x.skip(first),
            prev: step.states.skip(first),
            next: step.states.skip(first + step.batch),
            tape: step.tape.skip(first),
            dropout: self.dropout.map(|masks| masks.skip(step.step * self.mask_rows)),
            d_next: d_next.as_rows(),
            d_prev: step.d_prev,
            d_x: self.d_x.reborrow(),
            scratch: &mut *self.scratch,
        };
        self.cell.fused().step_rows_backward(call, gradients)?;
        if let Some(d_input) = step.d_input {
            let mut d_input = d_input.at(step.time);
            for &row in step.rows {
                add(d_input.row_mut(row), self.d_x.row(row));
            }
        }
        Ok(())
    }
}
