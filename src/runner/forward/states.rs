//! Where the states before and after each step are.

use crate::float::Float;
use crate::strided::RowsMut;

/// Where the states before and after each step are.
pub(super) enum States<'a, T> {
    /// Two buffers in turn.
    InTurn { even: RowsMut<'a, T>, odd: RowsMut<'a, T> },
    /// All of them: [timesteps + 1][row][width].
    All { all: &'a mut [T], batch: usize, width: usize },
}

impl<'a, T: Float> States<'a, T> {
    /// Begins so that the state after the last step is in `last`.
    pub(super) fn in_turn(last: RowsMut<'a, T>, other: RowsMut<'a, T>, timesteps: usize) -> Self {
        let (even, odd) = if timesteps.is_multiple_of(2) { (last, other) } else { (other, last) };
        States::InTurn { even, odd }
    }

    /// The states before and after a step.
    #[inline(always)]
    pub(super) fn at(&mut self, step: usize) -> (RowsMut<'_, T>, RowsMut<'_, T>) {
        match self {
            States::InTurn { even, odd } => match step % 2 {
                0 => (even.reborrow(), odd.reborrow()),
                _ => (odd.reborrow(), even.reborrow()),
            },
            States::All { all, batch, width } => {
                let one = *batch * *width;
                let (before, after) = all.split_at_mut((step + 1) * one);
                (RowsMut::packed(&mut before[step * one..], *width), RowsMut::packed(after, *width))
            }
        }
    }
}
