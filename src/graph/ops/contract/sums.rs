//! The sums themselves: both arrays with their axes in order, a product of matrices for each row of the common axes.

use super::labels::{Labels, MOST_LABELS};
use super::{Unit, halves};
use crate::buffers::take;
use crate::float::Float;
use crate::graph::ops::places::{Read, Walk, distances};
use crate::graph::stream::Work;
use crate::kernels::product::Product;

/// An array with the labels of its axes.
#[derive(Clone, Copy)]
pub(super) struct Side<'a, T> {
    read: Read<'a, T>,
    labels: Labels,
}

impl<'a, T: Float> Side<'a, T> {
    pub(super) fn new(read: Read<'a, T>, labels: Labels) -> Self {
        Side { read, labels }
    }

    /// The elements along these labels, in their order; an axis of one is spread.
    fn write(&self, order: impl DoubleEndedIterator<Item = usize> + Clone, sizes: &[usize], to: &mut [T]) {
        let apart = distances(self.read.shape);
        let axis = |label: usize| match self.labels.place(label) {
            Some(place) if self.read.shape[place] != 1 => (sizes[label], apart[place]),
            _ => (sizes[label], 0),
        };
        let walk = Walk::new(order.map(axis));
        to.iter_mut().enumerate().for_each(|(at, to)| *to = self.read.float(walk.at(at)));
    }
}

/// The product of two arrays, summed along what isn't in the result: each element one chain, in the order in which the
/// first array has these axes.
pub(super) fn sum<T: Float>(
    [left, right]: [Side<'_, T>; 2],
    (to, result): (&mut [T], Labels),
    sizes: &[usize; MOST_LABELS],
    unit: Option<Unit>,
    work: &mut Work<T>,
) {
    let (one, other) = (left.labels, right.labels);
    let both = result.iter().filter(move |&label| one.has(label) && other.has(label));
    let rows = result.iter().filter(move |&label| !other.has(label));
    let columns = result.iter().filter(move |&label| !one.has(label));
    let summed = one.iter().filter(move |&label| !result.has(label));
    fn count(labels: impl Iterator<Item = usize>, sizes: &[usize]) -> usize {
        labels.map(|label| sizes[label]).product()
    }
    let batch = count(both.clone(), sizes);
    let [m, k, n] = [count(rows.clone(), sizes), count(summed.clone(), sizes), count(columns.clone(), sizes)];
    let Work { floats, more, .. } = work;
    let (a, b) = halves(floats, batch * m * k, batch * k * n);
    left.write(both.clone().chain(rows.clone()).chain(summed.clone()), sizes, a);
    right.write(both.clone().chain(summed).chain(columns.clone()), sizes, b);
    if let Some(unit) = unit {
        a.chunks_exact_mut(k.max(1)).for_each(|row| shorten(unit, row, 1, 0));
        for matrix in b.chunks_exact_mut((k * n).max(1)) {
            (0..n).for_each(|column| shorten(unit, matrix, n, column));
        }
    }
    let out = take(more, batch * m * n);
    for at in 0..batch {
        let (a, b) = (&a[at * m * k..][..m * k], &b[at * k * n..][..k * n]);
        Product { a, b, sizes: [m, k, n], out: &mut out[at * m * n..][..m * n] }.compute();
    }
    // The axes of the result where they belong.
    let made = both.chain(rows).chain(columns);
    let mut apart = [0; MOST_LABELS];
    let mut distance = 1;
    for label in made.rev() {
        apart[label] = distance;
        distance *= sizes[label];
    }
    let walk = Walk::new(result.iter().map(|label| (sizes[label], apart[label])));
    to.iter_mut().enumerate().for_each(|(at, to)| *to = out[walk.at(at)]);
}

/// Makes the vector of each `apart`-th element from `first` on of length one.
fn shorten<T: Float>(unit: Unit, values: &mut [T], apart: usize, first: usize) {
    let each = values.iter().skip(first).step_by(apart);
    let factor = unit.factor(each.fold(0.0, |sum, x| sum + x.into_f64() * x.into_f64()));
    let each = values.iter_mut().skip(first).step_by(apart);
    each.for_each(|x| *x = T::from_f64(x.into_f64() * factor));
}
