//! What a metric says of one row of predictions.

use crate::float::Float;

/// The place of the largest number, the first of several.
pub(super) fn argmax<T: Float>(row: &[T]) -> usize {
    let mut at = 0;
    for (j, &x) in row.iter().enumerate() {
        if x > row[at] {
            at = j;
        }
    }
    at
}

/// The part of a row that lies on the target's side of the threshold.
pub(super) fn binary_accuracy<T: Float>(row: &[T], target: &[T], threshold: T) -> f64 {
    let side = |p: T| if p > threshold { T::one() } else { T::zero() };
    let right = row.iter().zip(target).filter(|&(&p, &t)| side(p) == t).count();
    right as f64 / row.len() as f64
}

/// TensorFlow's `in_top_k`: classes that are equal count for each other, and nothing is true of a row with an infinity
/// or a NaN that is looked at.
pub(super) fn in_top_k<T: Float>(row: &[T], class: i64, k: usize) -> bool {
    let own = usize::try_from(class).ok().and_then(|class| row.get(class));
    let Some(&own) = own.filter(|own| own.is_finite()) else { return false };
    let mut larger = 0;
    for &p in row {
        if !p.is_finite() {
            return false;
        }
        larger += usize::from(p > own);
        if larger > k {
            return false;
        }
    }
    larger < k
}

/// Whether each number of a row is among the `k` largest, of equal ones the first; into `kept`.
pub(super) fn top_k<T: Float>(row: &[T], k: usize, kept: &mut Vec<bool>) {
    kept.clear();
    let before = |j: usize| row.iter().enumerate().filter(|&(i, &p)| p > row[j] || (p == row[j] && i < j)).count();
    kept.extend((0..row.len()).map(|j| before(j) < k));
}

/// The mean of the squares of the differences.
pub(super) fn squared<T: Float>(row: &[T], target: &[T]) -> f64 {
    let sum = row.iter().zip(target).fold(T::zero(), |sum, (&p, &t)| sum + (p - t) * (p - t));
    sum.into_f64() / row.len() as f64
}

/// The mean of the absolute differences.
pub(super) fn absolute<T: Float>(row: &[T], target: &[T]) -> f64 {
    let sum = row.iter().zip(target).fold(T::zero(), |sum, (&p, &t)| sum + (p - t).abs());
    sum.into_f64() / row.len() as f64
}
