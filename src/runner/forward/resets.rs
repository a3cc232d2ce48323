//! Rows that are reset before a step: what comes is a new sequence.

use super::steps::Steps;
use crate::buffers::take;
use crate::cells::Cell;
use crate::mask::Resets;

/// The rows that are reset before a step.
#[derive(Clone, Copy)]
pub(super) struct Cuts<'a> {
    resets: Resets<'a>,
    boundary: usize,
    batch: usize,
}

impl<'a> Cuts<'a> {
    fn rows(self) -> impl Iterator<Item = usize> + 'a {
        (0..self.batch).filter(move |&row| self.resets.at(row, self.boundary))
    }
}

impl<'a, C: Cell> Steps<'a, C> {
    /// Which rows are reset before a step, if any can be.
    #[inline(always)] // a part of `step`, as the two below
    pub(super) fn cuts(&self, step: usize) -> Option<Cuts<'a>> {
        let resets = self.resets?;
        let time = self.time(step);
        // The boundary lies between time - 1 and time, whichever way it is crossed.
        let boundary = if self.recurrence.go_backwards { time + 1 } else { time };
        (boundary < self.timesteps).then_some(Cuts { resets, boundary, batch: self.batch })
    }

    /// Resets the state and the previous output.
    #[inline(always)]
    pub(super) fn reset(&mut self, step: usize, cuts: Option<Cuts<'a>>) {
        let Some(cuts) = cuts else { return };
        let width = self.recurrence.state_width;
        let (mut prev, _) = self.states.at(step);
        // A tape needs what the row had before, as the state after the last step.
        let keeps = self.recorder.is_some();
        let kept = take(self.before_resets, if keeps { self.batch * width } else { 0 });
        for row in cuts.rows() {
            if keeps {
                kept[row * width..][..width].copy_from_slice(prev.row(row));
            }
            self.recurrence.cell.initial_state(prev.row_mut(row));
            self.carry.row_mut(row).fill(C::Elem::default());
            self.deferrals.cut(row);
        }
    }

    /// Marks the resets on the tape, and puts back what it needs.
    #[inline(always)]
    pub(super) fn record_resets(&mut self, step: usize, cuts: Option<Cuts<'a>>) {
        let (Some(cuts), Some(recorder)) = (cuts, &mut self.recorder) else { return };
        let width = self.recurrence.state_width;
        let (mut prev, _) = self.states.at(step);
        for row in cuts.rows() {
            prev.row_mut(row).copy_from_slice(&self.before_resets[row * width..][..width]);
            recorder.cut(step, row);
        }
    }
}
