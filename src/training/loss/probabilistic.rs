//! Losses of probabilities and logits. Each function takes a row of predictions, returns the row's loss, and leaves
//! the gradient in the place of the predictions.

use crate::activation::Activation;
use crate::float::Float;
use crate::kernels::activate::activate;
use crate::kernels::isa::Isa;
use crate::math::{ln, sigmoid, softplus};

/// Keras's `epsilon()`: probabilities are clipped to it and to one less it.
const EPSILON: f64 = 1e-7;

/// A number clipped, and whether it is as it was, so that a gradient flows back through it. NaN stays.
fn clip<T: Float>(x: T, low: f64, high: f64) -> (T, bool) {
    let (low, high) = (T::from_f64(low), T::from_f64(high));
    if x < low {
        (low, false)
    } else if x > high {
        (high, false)
    } else {
        (x, true)
    }
}

fn clip_probability<T: Float>(p: T) -> (T, bool) {
    clip(p, EPSILON, 1.0 - EPSILON)
}

/// `-mean (t ln p + (1 - t) ln(1 - p))`
pub(super) fn binary<T: Float>(row: &mut [T], target: impl Fn(usize) -> T) -> T {
    let (one, count, mut sum) = (T::one(), T::from_f64(row.len() as f64), T::zero());
    for (j, x) in row.iter_mut().enumerate() {
        let (t, (p, flows)) = (target(j), clip_probability(*x));
        sum -= t * ln(p) + (one - t) * ln(one - p);
        *x = if flows { ((one - t) / (one - p) - t / p) / count } else { T::zero() };
    }
    sum / count
}

/// The same with `p = sigmoid(x)`: `mean (ln(1 + exp(x)) - t x)`.
pub(super) fn binary_from_logits<T: Float>(row: &mut [T], target: impl Fn(usize) -> T) -> T {
    let (count, mut sum) = (T::from_f64(row.len() as f64), T::zero());
    for (j, x) in row.iter_mut().enumerate() {
        let t = target(j);
        sum += softplus(*x) - t * *x;
        *x = (sigmoid(*x) - t) / count;
    }
    sum / count
}

/// `-sum t ln q` of the row `q = p / sum p`, clipped.
pub(super) fn categorical<T: Float>(row: &mut [T], target: impl Fn(usize) -> T) -> T {
    let whole = sum_of(row.iter().copied());
    let (mut loss, mut inner) = (T::zero(), T::zero());
    for (j, p) in row.iter_mut().enumerate() {
        let (t, (q, flows)) = (target(j), clip_probability(*p / whole));
        loss -= t * ln(q);
        // The derivative by q; next to it, all of the row share in the sum.
        *p = if flows { -t / q } else { T::zero() };
        inner += if flows { -t } else { T::zero() };
    }
    row.iter_mut().for_each(|d| *d = (*d - inner) / whole);
    loss
}

/// `-sum t ln softmax(x)`. The gradient is TensorFlow's, `softmax(x) - t`, which is exact for targets that sum to one.
pub(super) fn categorical_from_logits<T: Float>(row: &mut [T], target: impl Fn(usize) -> T) -> T {
    let (at, most) = largest(row);
    let (mut loss, mut whole) = (T::zero(), T::zero());
    for (j, &x) in row.iter().enumerate() {
        let t = target(j);
        if t != T::zero() {
            whole += t;
            loss += t * (most - x);
        }
    }
    softmax(row);
    // ln sum exp(x - most) is what the largest probability lacks.
    loss -= whole * row.get(at).map_or(T::zero(), |&p| ln(p));
    row.iter_mut().enumerate().for_each(|(j, p)| *p -= target(j));
    loss
}

/// `-ln p[class]` of the row p, clipped, and after that divided by its sum.
pub(super) fn sparse<T: Float>(row: &mut [T], class: usize) -> T {
    let whole = sum_of(row.iter().map(|&p| clip_probability(p).0));
    let (p, _) = clip_probability(row[class]);
    let loss = ln(whole) - ln(p);
    for (j, x) in row.iter_mut().enumerate() {
        let own = if j == class { T::one() / p } else { T::zero() };
        *x = if clip_probability(*x).1 { T::one() / whole - own } else { T::zero() };
    }
    loss
}

/// `-ln softmax(x)[class]`
pub(super) fn sparse_from_logits<T: Float>(row: &mut [T], class: usize) -> T {
    let (at, most) = largest(row);
    let below = most - row[class];
    softmax(row);
    let loss = below - ln(row[at]);
    row[class] -= T::one();
    loss
}

/// `sum t ln(t / p)`, both clipped to at least 1e-7 and at most 1.
pub(super) fn kl_divergence<T: Float>(row: &mut [T], target: &[T]) -> T {
    let mut sum = T::zero();
    for (x, &t) in row.iter_mut().zip(target) {
        let ((t, _), (p, flows)) = (clip(t, EPSILON, 1.0), clip(*x, EPSILON, 1.0));
        sum += t * ln(t / p);
        *x = if flows { -t / p } else { T::zero() };
    }
    sum
}

pub(super) fn softmax<T: Float>(row: &mut [T]) {
    activate(Isa::detect(), &Activation::Softmax, row);
}

fn sum_of<T: Float>(numbers: impl Iterator<Item = T>) -> T {
    numbers.fold(T::zero(), |sum, x| sum + x)
}

/// The largest number and its place, the first of several.
pub(super) fn largest<T: Float>(row: &[T]) -> (usize, T) {
    let first = (0, row.first().copied().unwrap_or(T::zero()));
    row.iter().enumerate().fold(first, |(at, most), (j, &x)| if x > most { (j, x) } else { (at, most) })
}
