//! Gradients of tables of which a call reads some rows.

use ndarray::ArrayD;

use crate::float::Float;

/// What was added to which rows of a table's gradient, in order: TensorFlow's `IndexedSlices`.
///
/// Their sum is the gradient. But Keras's optimizers don't add them up before they square or clip them, so these
/// numbers need the parts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IndexedSlices<T> {
    pub(super) rows: Vec<usize>,
    pub(super) values: Vec<T>,
}

impl<T> Default for IndexedSlices<T> {
    fn default() -> Self {
        IndexedSlices { rows: Vec::new(), values: Vec::new() }
    }
}

impl<T: Float> IndexedSlices<T> {
    pub(super) fn new() -> Self {
        IndexedSlices::default()
    }

    pub(crate) fn add(&mut self, row: usize, values: impl Iterator<Item = T>) {
        self.rows.push(row);
        self.values.extend(values);
    }

    /// Adds those of the same table that came later.
    pub(super) fn extend(&mut self, other: &Self) {
        self.rows.extend(&other.rows);
        self.values.extend(&other.values);
    }

    /// The number of values.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.values.clear();
    }

    /// The sum of what `each` makes of the values, row by row.
    pub(crate) fn sum_into(&self, sum: &mut ArrayD<T>, each: impl Fn(T) -> T) {
        sum.fill(T::zero());
        let columns = self.values.len() / self.rows.len().max(1);
        let sum = sum.as_slice_mut().unwrap_or_default();
        debug_assert!(!sum.is_empty() || self.is_empty(), "gradients stand in row order");
        for (&row, values) in self.rows.iter().zip(self.values.chunks_exact(columns.max(1))) {
            sum[row * columns..][..columns].iter_mut().zip(values).for_each(|(sum, &value)| *sum += each(value));
        }
    }
}
