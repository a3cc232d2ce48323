//! The loop over one row alone: what a small cell at batch 1 feels.

use super::Recurrence;
use super::project_ahead::ProjectedInputs;
use crate::buffers::take;
use crate::cells::{Cell, FusedCell};
use crate::runner::pass::Pass;
use crate::runner::scratch::Scratch;
use crate::runner::sequence::{Sequence, SequenceMut};
use crate::strided::RowStep;

impl<C: Cell> Recurrence<'_, C> {
    /// [`run`](Self::run) of one row, if no step of it is masked, reset or recorded, or has dropout masks: without what
    /// a small cell would feel.
    pub(super) fn run_row(&self, pass: Pass<'_, C::Elem>, scratch: &mut Scratch<C::Elem>) {
        let Pass { timesteps, input, prev: initial, next: mut last, mut carry, mut sequence, .. } = pass;
        let last = last.row_mut(0);
        let other = &mut scratch.state.take(self.state_width)[..];
        // So that the state after the last step is in `last`.
        let (first, second) = if timesteps.is_multiple_of(2) { (&mut *last, other) } else { (other, &mut *last) };
        first.copy_from_slice(initial.row(0));
        let mut ahead = ProjectedInputs::new(self.cell, 1, timesteps, false, &mut scratch.projected);
        let work = take(&mut scratch.work, self.cell.fused().rows_scratch_len(1));
        self.row_steps(timesteps, &input, (first, second), sequence.as_mut(), &mut ahead, work, &mut scratch.odd);
        if timesteps > 0 {
            carry.row_mut(0).copy_from_slice(&last[self.output.clone()]);
        }
    }

    /// The two states are those before and after even steps.
    #[allow(clippy::too_many_arguments)] // the loop's own variables
    #[inline]
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
