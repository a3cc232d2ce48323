//! Losses of numbers. Each function takes a row of predictions, returns the row's loss, and leaves the gradient in the
//! place of the predictions.

use crate::float::Float;
use crate::math::{softplus, tanh};

/// The mean of `loss(p - t)`, which returns the loss and its derivative.
fn mean_of<T: Float>(row: &mut [T], target: &[T], loss: impl Fn(T) -> (T, T)) -> T {
    let (count, mut sum) = (T::from_f64(row.len() as f64), T::zero());
    for (p, &t) in row.iter_mut().zip(target) {
        let (loss, slope) = loss(*p - t);
        sum += loss;
        *p = slope / count;
    }
    sum / count
}

pub(super) fn mean_squared_error<T: Float>(row: &mut [T], target: &[T]) -> T {
    mean_of(row, target, |e| (e * e, e + e))
}

pub(super) fn mean_absolute_error<T: Float>(row: &mut [T], target: &[T]) -> T {
    mean_of(row, target, |e| (e.abs(), sign(e)))
}

pub(super) fn huber<T: Float>(row: &mut [T], target: &[T], delta: f64) -> T {
    let (delta, half) = (T::from_f64(delta), T::from_f64(0.5));
    mean_of(row, target, |e| {
        if e.abs() <= delta { (half * e * e, e) } else { (delta * e.abs() - half * delta * delta, delta * sign(e)) }
    })
}

pub(super) fn log_cosh<T: Float>(row: &mut [T], target: &[T]) -> T {
    let (two, ln_2) = (T::from_f64(2.0), T::from_f64(std::f64::consts::LN_2));
    // ln cosh e = |e| + ln(1 + exp(-2 |e|)) - ln 2, which nothing overflows in.
    mean_of(row, target, |e| (e.abs() + (softplus(-two * e.abs()) - ln_2), tanh(e)))
}

/// The sign, 0 of 0; NaN stays.
fn sign<T: Float>(x: T) -> T {
    if x == T::zero() { T::zero() } else { x.signum() }
}

/// The sums of squares are as large as 1e-14 at least, so that rows of zeros have a direction.
pub(super) fn cosine_similarity<T: Float>(row: &mut [T], target: &[T]) -> T {
    let most = T::from_f64(1e7);
    let inverse_norm = |squares: T| (T::one() / squares.sqrt()).min(most);
    let (mut dot, mut p_squares, mut t_squares) = (T::zero(), T::zero(), T::zero());
    for (&p, &t) in row.iter().zip(target) {
        dot += p * t;
        p_squares += p * p;
        t_squares += t * t;
    }
    let (of_p, of_t) = (inverse_norm(p_squares), inverse_norm(t_squares));
    let cosine = dot * of_p * of_t;
    // Of a norm that isn't its own any more, nothing flows back.
    let along = if of_p < most { cosine * of_p } else { T::zero() };
    for (p, &t) in row.iter_mut().zip(target) {
        *p = *p * along * of_p - t * of_t * of_p;
    }
    // NaN is lost in a minimum.
    if p_squares.is_nan() || t_squares.is_nan() { T::nan() } else { -cosine }
}
