//! Which ways through the kernels a thread has taken: for tests, which must know that the two sides of a law differ.
//!
//! Counted only where debug assertions are on; elsewhere nothing is.

use std::cell::Cell;

use crate::strided::{Input, RowInput};

/// How often each way was taken, on this thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Paths {
    /// Steps of one row.
    pub single_rows: usize,
    /// Steps of several rows.
    pub blocks: usize,
    /// Steps whose input was projected before.
    pub projected: usize,
    /// Products of inputs with the kernel ahead of the steps.
    pub projections: usize,
}

thread_local! {
    static TAKEN: Cell<Paths> = const {
        Cell::new(Paths { single_rows: 0, blocks: 0, projected: 0, projections: 0 })
    };
}

/// What has been taken since the last call.
pub fn take_paths() -> Paths {
    TAKEN.take()
}

fn note(change: impl FnOnce(&mut Paths)) {
    if cfg!(debug_assertions) {
        let mut paths = TAKEN.get();
        change(&mut paths);
        TAKEN.set(paths);
    }
}

/// A step of this many rows.
#[inline(always)]
pub(super) fn note_step<T>(rows: usize, input: &Input<'_, T>) {
    note(|paths| {
        if rows == 1 {
            paths.single_rows += 1;
        } else {
            paths.blocks += 1;
        }
        if matches!(input, Input::Projected(_)) {
            paths.projected += 1;
        }
    });
}

/// A step of one row.
#[inline(always)]
pub(super) fn note_row<T>(input: &RowInput<'_, T>) {
    note(|paths| {
        paths.single_rows += 1;
        if matches!(input, RowInput::Projected(_)) {
            paths.projected += 1;
        }
    });
}

/// Inputs projected ahead.
#[inline(always)]
pub(super) fn note_projection() {
    note(|paths| paths.projections += 1);
}
