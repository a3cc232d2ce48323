//! The time loop for a cell. [The module above](super) prints it in five lines.
//!
//! What stands around the cell's step has a file each: [masks](masked_rows), [resets](resets), the
//! [tape](record), inputs that are [projected ahead](project_ahead); one row alone has [a loop of its own](one_row).

mod masked_rows;
mod memory_needs;
mod one_row;
mod project_ahead;
mod record;
mod resets;
mod states;
mod steps;

use std::ops::Range;

pub(crate) use masked_rows::Deferred;
pub(crate) use project_ahead::{CHUNK, PROJECT_BELOW_BATCH};

use self::masked_rows::Deferrals;
use self::project_ahead::ProjectedInputs;
use self::record::Recorder;
use self::states::States;
use self::steps::Steps;
use super::dropout::draw_masks;
use super::pass::{MaskedOutput, Pass};
use super::scratch::Scratch;
use super::threads;
use crate::buffers::take;
use crate::cells::{Cell, FusedCell, StepRows, steps_with_masks};
use crate::mask::TimeMask;
use crate::strided::{Input, Rows, RowsMut, copy_rows};

/// A cell and what a layer says about running it.
#[derive(Debug)]
pub(crate) struct Recurrence<'c, C: Cell> {
    pub(crate) cell: &'c C,
    pub(crate) state_width: usize,
    /// The columns of the state that are the output.
    pub(crate) output: Range<usize>,
    pub(crate) go_backwards: bool,
    pub(crate) masked_output: MaskedOutput,
    /// Multiplications of one row and step.
    pub(crate) work: usize,
}

impl<C: Cell> Recurrence<'_, C> {
    /// One step of every row, without masks: the door for streams.
    #[inline]
    pub(crate) fn step(
        &self,
        batch: usize,
        x: Rows<'_, C::Elem>,
        prev: Rows<'_, C::Elem>,
        next: RowsMut<'_, C::Elem>,
        carry: RowsMut<'_, C::Elem>,
        scratch: &mut Scratch<C::Elem>,
    ) {
        self.step_of(batch, Input::Raw(x), prev, next, carry, scratch);
    }

    /// [`step`](Self::step) of rows that all read the same features: they are projected once.
    pub(crate) fn step_shared(
        &self,
        batch: usize,
        x: &[C::Elem],
        prev: Rows<'_, C::Elem>,
        next: RowsMut<'_, C::Elem>,
        carry: RowsMut<'_, C::Elem>,
        scratch: &mut Scratch<C::Elem>,
    ) {
        let (fused, x) = (self.cell.fused(), Rows::new(x, 0, 0, x.len()));
        let width = fused.projected_len();
        if width == 0 {
            return self.step_of(batch, Input::Raw(x), prev, next, carry, scratch);
        }
        let mut projected = std::mem::take(&mut scratch.projected);
        let z = projected.take(width);
        fused.project(1, x, RowsMut::packed(z, width));
        self.step_of(batch, Input::Projected(Rows::new(z, 0, 0, width)), prev, next, carry, scratch);
        scratch.projected = projected;
    }

    #[inline]
    fn step_of(
        &self,
        batch: usize,
        input: Input<'_, C::Elem>,
        prev: Rows<'_, C::Elem>,
        mut next: RowsMut<'_, C::Elem>,
        carry: RowsMut<'_, C::Elem>,
        scratch: &mut Scratch<C::Elem>,
    ) {
        scratch.odd = !scratch.odd;
        self.cell.fused().step_rows(StepRows {
            rows: scratch.all_rows.up_to(batch),
            input,
            prev,
            next: next.reborrow(),
            dropout: None,
            tape: None,
            scratch: take(&mut scratch.work, self.cell.fused().rows_scratch_len(batch)),
            odd: scratch.odd,
        });
        copy_rows(batch, next.as_rows().columns(self.output.clone()), carry);
    }

    /// A whole call.
    pub(crate) fn run(&self, pass: Pass<'_, C::Elem>, scratch: &mut Scratch<C::Elem>) {
        let draws = pass.dropout.is_some() && !self.cell.dropout().is_empty();
        let all_live = matches!(pass.mask, TimeMask::All);
        if pass.batch == 1 && all_live && pass.resets.is_none() && pass.tape.is_none() && !draws {
            return self.run_row(pass, scratch);
        }
        let Pass { batch, timesteps, input, mask, resets, prev: initial, next: last, carry, sequence, .. } = pass;
        let masked_output = pass.masked_output.unwrap_or(self.masked_output);
        let masks = (pass.dropout.filter(|_| draws))
            .map(|generators| draw_masks(self.cell.dropout(), generators, (batch, timesteps), &mut scratch.dropout));

        let width = self.state_width;
        let (mut recorder, mut states, unwritten) = match pass.tape {
            None => {
                let other = RowsMut::packed(scratch.state.take(batch * width), width);
                (None, States::in_turn(last, other, timesteps), None)
            }
            Some(node) => {
                let sizes = (self.cell.input_size(), width, self.cell.tape_len());
                let (recorder, all) = Recorder::new(node, batch, timesteps, sizes, masked_output, masks);
                (Some(recorder), States::All { all, batch, width }, Some(last))
            }
        };
        copy_rows(batch, initial, states.at(0).0);

        let parts = if recorder.is_some() { threads::scratch_parts(batch, self.work) } else { 1 };
        let all_rows = scratch.all_rows.up_to(batch);
        let mut ahead = ProjectedInputs::new(self.cell, batch, timesteps, masks.is_some(), &mut scratch.projected);
        let mut steps = Steps {
            recurrence: self,
            batch,
            timesteps,
            input,
            mask,
            resets,
            masked_output,
            masks,
            mask_rows: if steps_with_masks(self.cell.dropout(), timesteps) > 1 { batch } else { 0 },
            all_live: all_live.then_some(all_rows),
            states,
            carry,
            sequence,
            recorder: recorder.as_mut(),
            deferrals: Deferrals::new(batch, &mut scratch.deferred),
            ahead: &mut ahead,
            work: take(&mut scratch.work, parts * self.cell.fused().rows_scratch_len(batch)),
            rows: &mut scratch.rows,
            before_resets: &mut scratch.cut,
            indices: &mut scratch.indices,
            odd: &mut scratch.odd,
        };
        for step in 0..timesteps {
            steps.step(step);
        }
        steps.finish(unwritten);
    }
}
