//! Masked steps: the state stays, and the output repeats the previous one or is zero.
//!
//! As long as a row is live its previous output need not be copied anywhere, nor its state: the next step overwrites
//! both. So they are [`Deferred`] to the row's next masked step, or to the end of the call.

use super::steps::Steps;
use crate::buffers::take;
use crate::cells::Cell;

impl<C: Cell> Steps<'_, C> {
    /// The rows that are masked at a step.
    #[inline(always)] // a part of `step`
    pub(super) fn masked_rows(&mut self, step: usize) {
        let (prev, mut next) = self.states.at(step);
        let mut outputs = self.sequence.as_mut().map(|sequence| sequence.at(step));
        let mut live = self.rows.iter().peekable();
        for row in 0..self.batch {
            if live.next_if_eq(&&row).is_some() {
                self.deferrals.live(row);
                continue;
            }
            let carry = self.carry.row_mut(row);
            if self.deferrals.take_output(row) {
                carry.copy_from_slice(&prev.row(row)[self.recurrence.output.clone()]);
            }
            // Each state of a tape is a row of its own.
            if self.deferrals.take_state(row) || self.recorder.is_some() {
                next.row_mut(row).copy_from_slice(prev.row(row));
            }
            match &mut outputs {
                Some(outputs) if self.masked_output.zero_sequence => outputs.row_mut(row).fill(C::Elem::default()),
                Some(outputs) => outputs.row_mut(row).copy_from_slice(carry),
                None => {}
            }
            if self.masked_output.zero_last {
                carry.fill(C::Elem::default());
            }
        }
    }
}

/// What of a row isn't where it belongs, because it will be overwritten as long as the row is live.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Deferred {
    /// The previous output is in the state only.
    output: bool,
    /// The state that the next step writes, of the two that alternate, differs from the one before it.
    state: bool,
}

/// What each row is [`Deferred`] with.
pub(super) struct Deferrals<'b>(&'b mut [Deferred]);

impl<'b> Deferrals<'b> {
    pub(super) fn new(batch: usize, buffer: &'b mut Vec<Deferred>) -> Self {
        let rows = take(buffer, batch);
        // The previous output is the call's; of the two states one is still empty.
        rows.fill(Deferred { output: false, state: true });
        Deferrals(rows)
    }

    /// The row has a new state and output.
    #[inline(always)]
    pub(super) fn live(&mut self, row: usize) {
        self.0[row] = Deferred { output: true, state: true };
    }

    /// The row has a new state, and its previous output is zero.
    #[inline(always)]
    pub(super) fn cut(&mut self, row: usize) {
        self.0[row] = Deferred { output: false, state: true };
    }

    /// Whether the previous output has to be taken from the state, which is done then.
    #[inline(always)]
    pub(super) fn take_output(&mut self, row: usize) -> bool {
        std::mem::take(&mut self.0[row].output)
    }

    /// Whether the state has to be copied, which is done then.
    #[inline(always)]
    pub(super) fn take_state(&mut self, row: usize) -> bool {
        std::mem::take(&mut self.0[row].state)
    }
}
