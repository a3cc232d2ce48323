//! Where sums are: rows that hold the z of a step, and behind it what a row of whole numbers takes.

use std::ops::Range;

use crate::strided::{Rows, RowsMut};

/// Rows `0..count`, in each of which the columns `z` are added to, and those from `encoded` on are free to be used.
pub(super) struct Work<'a> {
    pub rows: RowsMut<'a, f32>,
    pub count: usize,
    pub z: Range<usize>,
    pub encoded: usize,
}

impl Work<'_> {
    /// The same rows, of which other columns are added to.
    pub(super) fn of(&mut self, z: Range<usize>) -> Work<'_> {
        Work { rows: self.rows.reborrow(), z, ..*self }
    }

    /// What is added to, of a row.
    #[inline(always)]
    pub(super) fn z_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.rows.row_mut(row)[self.z.clone()]
    }

    /// The row of whole numbers, of so many words.
    #[inline(always)]
    pub(super) fn encoded(&self, row: usize, len: usize) -> &[f32] {
        &self.rows.row(row)[self.encoded..][..len]
    }
}

/// What is multiplied, a row for each row of a [`Work`].
#[derive(Clone)]
pub(super) enum Values<'a> {
    /// Those of `rows`, in this order.
    Rows { rows: &'a [usize], values: Rows<'a, f32> },
    /// Columns of the work itself.
    Within(Range<usize>),
}

impl Values<'_> {
    /// The values of a row.
    #[inline(always)]
    pub(super) fn row<'s>(&'s self, work: &'s Work<'_>, row: usize) -> &'s [f32] {
        match self {
            Values::Rows { rows, values } => values.row(rows[row]),
            Values::Within(columns) => &work.rows.row(row)[columns.clone()],
        }
    }
}
