//! The loop over one row alone: what a small cell at batch 1 feels.

use super::Recurrence;
use super::project_ahead::ProjectedInputs;
use super::states::States;
use super::steps::Steps;
use crate::cells::{Cell, FusedCell};
use crate::runner::sequence::{Sequence, SequenceMut};
use crate::strided::RowStep;

impl<C: Cell> Steps<'_, C> {
    /// All steps of a call of one row, if none of them is masked, recorded, reset, or has dropout masks.
    pub(super) fn of_one_row(&mut self) -> bool {
        let plain = self.all_live.is_some() && self.resets.is_none() && self.recorder.is_none() && self.masks.is_none();
        let (States::InTurn { even, odd }, true, 1) = (&mut self.states, plain, self.batch) else { return false };
        let states = (even.row_mut(0), odd.row_mut(0));
        let sequence = self.sequence.as_mut();
        self.recurrence.row_steps(self.timesteps, &self.input, states, sequence, &mut self.ahead, self.work, self.odd);
        true
    }
}

impl<C: Cell> Recurrence<'_, C> {
    /// The loop of [`run`](Self::run) without what small cells would feel. The two states are those before and after even steps.
    #[allow(clippy::too_many_arguments)] // the loop's own variables
    fn row_steps(
        &self,
        timesteps: usize,
        input: &Sequence<'_, C::Elem>,
        (mut prev, mut next): (&mut [C::Elem], &mut [C::Elem]),
        mut sequence: Option<&mut SequenceMut<'_, C::Elem>>,
        ahead: &mut ProjectedInputs<'_, C::Elem>,
        work: &mut [C::Elem],
        odd: &mut bool,
    ) {
        // Where a state is all output, it stays where the outputs go, and nothing is copied at each step.
        let mut in_place = sequence.take_if(|_| self.output == (0..self.state_width));
        for first in (0..timesteps).step_by(ahead.slots) {
            let steps = first..timesteps.min(first + ahead.slots);
            ahead.input(self.cell, input, 1, timesteps, first, self.go_backwards);
            for step in steps {
                let time = if self.go_backwards { timesteps - 1 - step } else { step };
                *odd = !*odd;
                let input = ahead.row(input, time);
                let (mut initial, mut row);
                row = match &mut in_place {
                    None => RowStep { input, prev, next: &mut *next },
                    Some(outputs) if step == 0 => {
                        initial = outputs.at(0);
                        RowStep { input, prev, next: initial.row_mut(0) }
                    }
                    Some(outputs) => {
                        let (prev, next) = outputs.before_and_at(step);
                        RowStep { input, prev, next }
                    }
                };
                self.cell.fused().step_row(&mut row, &mut *work, *odd);
                if let Some(sequence) = &mut sequence {
                    sequence.at(step).row_mut(0).copy_from_slice(&next[self.output.clone()]);
                }
                std::mem::swap(&mut prev, &mut next);
            }
        }
        if let Some(outputs) = in_place.filter(|_| timesteps > 0) {
            prev.copy_from_slice(outputs.at(timesteps - 1).row(0));
        }
    }
}
