//! The steps of a call: what goes from each to the next, and a step of all rows.

use super::Recurrence;
use super::masked_rows::Deferrals;
use super::project_ahead::ProjectedInputs;
use super::record::Recorder;
use super::states::States;
use crate::cells::{Cell, FusedCell, StepRows};
use crate::mask::{Resets, TimeMask};
use crate::runner::pass::MaskedOutput;
use crate::runner::sequence::{Sequence, SequenceMut};
use crate::runner::threads;
use crate::strided::{Rows, RowsMut, copy_rows};

/// A call on its way through time.
///
/// What is handed to functions by reference is one here too, and the parts of a step are inlined: so that all else can
/// stay in registers, as in one loop.
pub(super) struct Steps<'a, C: Cell> {
    pub(super) recurrence: &'a Recurrence<'a, C>,
    pub(super) batch: usize,
    pub(super) timesteps: usize,
    pub(super) input: Sequence<'a, C::Elem>,
    pub(super) mask: TimeMask<'a>,
    pub(super) resets: Option<Resets<'a>>,
    pub(super) masked_output: MaskedOutput,
    /// The dropout masks.
    pub(super) masks: Option<Rows<'a, C::Elem>>,
    /// How many rows of them stand between two steps: none, where all steps have the same.
    pub(super) mask_rows: usize,
    /// All rows, where no step is masked.
    pub(super) all_live: Option<&'a [usize]>,
    pub(super) states: States<'a, C::Elem>,
    /// The previous outputs, where no masked step has [deferred](super::masked_rows) them.
    pub(super) carry: RowsMut<'a, C::Elem>,
    pub(super) sequence: Option<SequenceMut<'a, C::Elem>>,
    pub(super) recorder: Option<&'a mut Recorder<'a, C::Elem>>,
    pub(super) deferrals: Deferrals<'a>,
    pub(super) ahead: &'a mut ProjectedInputs<'a, C::Elem>,
    /// What the cell works in.
    pub(super) work: &'a mut [C::Elem],
    /// The rows that are live at the step, where not all are.
    pub(super) rows: &'a mut Vec<usize>,
    /// The states of rows that are reset, as they were before.
    pub(super) before_resets: &'a mut Vec<C::Elem>,
    /// Lists of rows, for parts of a step.
    pub(super) indices: &'a mut Vec<usize>,
    /// Whether the step is an odd one of the scratch's life.
    pub(super) odd: &'a mut bool,
}

impl<C: Cell> Steps<'_, C> {
    /// The time of a step in the input.
    #[inline(always)]
    pub(super) fn time(&self, step: usize) -> usize {
        if self.recurrence.go_backwards { self.timesteps - 1 - step } else { step }
    }

    /// One step of all rows.
    #[inline(always)]
    pub(super) fn step(&mut self, step: usize) {
        *self.odd = !*self.odd;
        let cuts = self.cuts(step);
        self.reset(step, cuts);
        if self.all_live.is_none() {
            let mask = self.mask;
            mask.live_rows(self.batch, self.time(step), self.rows);
        }
        self.live_rows(step);
        if self.all_live.is_none() {
            self.masked_rows(step);
        }
        self.record_resets(step, cuts);
    }

    /// The cell's step of the rows that are live, and their outputs.
    #[inline(always)]
    fn live_rows(&mut self, step: usize) {
        let (recurrence, time) = (self.recurrence, self.time(step));
        let live = self.all_live.unwrap_or(self.rows);
        let (prev, mut next) = self.states.at(step);
        if let Some(recorder) = &mut self.recorder {
            recorder.input(step, live, self.input.at(time));
        }
        // Asked at each step, masked ones too: it projects the next steps whenever a chunk begins.
        let (batch, timesteps, backwards) = (self.batch, self.timesteps, recurrence.go_backwards);
        let input = self.input;
        let features = self.ahead.input(recurrence.cell, &input, batch, timesteps, step, backwards);
        if !live.is_empty() {
            let call = StepRows {
                rows: live,
                input: features,
                prev: prev.as_rows(),
                next: next.reborrow(),
                dropout: self.masks.map(|masks| masks.skip(step * self.mask_rows)),
                tape: self.recorder.as_mut().map(|recorder| recorder.tape(step)),
                scratch: &mut *self.work,
                odd: *self.odd,
            };
            if call.tape.is_some() {
                threads::step(recurrence.cell, call, recurrence.work, self.indices)
            } else {
                recurrence.cell.fused().step_rows(call)
            }
        }
        if let Some(sequence) = &mut self.sequence {
            let (mut outputs, output) = (sequence.at(step), recurrence.output.clone());
            for &row in live {
                outputs.row_mut(row).copy_from_slice(&next.row(row)[output.clone()]);
            }
        }
    }

    /// Puts the last outputs where they belong, and the final states where they are wanted, if they aren't there.
    #[inline(always)]
    pub(super) fn finish(mut self, unwritten: Option<RowsMut<'_, C::Elem>>) {
        let (last, _) = self.states.at(self.timesteps);
        if self.timesteps > 0 {
            let all_live = self.all_live.is_some();
            for row in (0..self.batch).filter(|&row| all_live || self.deferrals.take_output(row)) {
                let output = &last.row(row)[self.recurrence.output.clone()];
                self.carry.row_mut(row).copy_from_slice(output);
            }
        }
        if let Some(unwritten) = unwritten {
            copy_rows(self.batch, last.as_rows(), unwritten);
        }
    }
}
