//! Activations of a whole row. Sums run in `f64`, in one order: eight partial sums, then those.

use super::smooth::{sigmoid_and_rest, times_sigmoid};
use crate::kernels::Element;
use crate::kernels::isa::Arch;
use crate::kernels::math::{self, log};

/// The larger one; keeps a NaN once it is there.
#[inline(always)]
fn larger<T: Element>(max: T, x: T) -> T {
    if x > max || x.is_nan() { x } else { max }
}

/// The largest element and its place, NaN if there is one.
#[inline(always)]
fn largest<T: Element>(row: &[T]) -> (usize, T) {
    let mut max = row[0];
    let (blocks, rest) = row.as_chunks::<16>();
    if let Some((first, blocks)) = blocks.split_first() {
        // Sixteen that don't wait for one another.
        let mut of_lanes = *first;
        for block in blocks {
            for (max, &x) in of_lanes.iter_mut().zip(block) {
                *max = larger(*max, x);
            }
        }
        for x in of_lanes {
            max = larger(max, x);
        }
    }
    for &x in rest {
        max = larger(max, x);
    }
    (row.iter().position(|&x| x == max).unwrap_or(0), max)
}

/// `exp(x - max)` for `x <= max`.
#[inline(always)]
fn exp_below<A: Arch, T: Element>(x: T, max: f64) -> f64 {
    let x = x.widened();
    let difference = x - max;
    // What rounding took from it (Knuth's sum): an exponential makes of an absolute error a relative one.
    let shown = difference - x;
    let lost = (x - (difference - shown)) - (max + shown);
    // Where an operand is infinite nothing was lost.
    let lost = if difference > -1000.0 { lost } else { 0.0 };
    math::exp_of_sum::<A, f64>(difference, lost).value()
}

/// Adds eight numbers after the other to eight sums.
#[inline(always)]
fn add_exps(partial: &mut [f64; 8], exps: &[f64]) {
    let (eights, rest) = exps.as_chunks::<8>();
    for eight in eights {
        for (sum, exp) in partial.iter_mut().zip(eight) {
            *sum += exp;
        }
    }
    for (sum, exp) in partial.iter_mut().zip(rest) {
        *sum += exp;
    }
}

#[inline(always)]
fn whole([a, b, c, d, e, f, g, h]: [f64; 8]) -> f64 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// The sum of `exp(x - max)`.
#[inline(always)]
fn sum_of_exps<A: Arch, T: Element>(row: &[T], max: f64) -> f64 {
    let mut partial = [0.0; 8];
    for block in row.chunks(64) {
        // First a flat loop, which the compiler vectorises, then the sums.
        let mut exps = [0.0; 64];
        for (exp, &x) in exps.iter_mut().zip(block) {
            *exp = exp_below::<A, T>(x, max);
        }
        add_exps(&mut partial, &exps[..block.len()]);
    }
    whole(partial)
}

/// The largest element, and the sum of `exp(x - max)` over all the others: kept apart from its own `exp(0) = 1`, so
/// that the logarithm of the whole stays precise.
#[inline(always)]
fn largest_and_others<A: Arch, T: Element>(row: &[T]) -> (f64, f64) {
    let (at, max) = largest(row);
    let max = max.widened();
    let others = sum_of_exps::<A, T>(&row[..at], max) + sum_of_exps::<A, T>(&row[at + 1..], max);
    (max, others)
}

/// The longest row whose exponentials are kept on the stack.
const REMEMBERED: usize = 256;

#[inline(always)]
pub(super) fn softmax<A: Arch, T: Element>(row: &mut [T]) {
    if row.is_empty() {
        return;
    }
    if row.len() > REMEMBERED {
        let (max, others) = largest_and_others::<A, T>(row);
        let sum = 1.0 + others;
        for x in row {
            *x = T::narrowed(exp_below::<A, T>(*x, max) / sum);
        }
        return;
    }
    // The same sums, of exponentials that are computed once.
    let (at, max) = largest(row);
    let (max, mut exps) = (max.widened(), [0.0; REMEMBERED]);
    let exps = &mut exps[..row.len()];
    for (exp, &x) in exps.iter_mut().zip(&*row) {
        *exp = exp_below::<A, T>(x, max);
    }
    let mut partial = [[0.0; 8]; 2];
    add_exps(&mut partial[0], &exps[..at]);
    add_exps(&mut partial[1], &exps[at + 1..]);
    let sum = 1.0 + (whole(partial[0]) + whole(partial[1]));
    for (x, &mut exp) in row.iter_mut().zip(exps) {
        *x = T::narrowed(exp / sum);
    }
}

/// `dz = y (dy - sum(dy y))`
#[inline(always)]
pub(super) fn softmax_backward<A: Arch, T: Element>(y: &[T], dy: &mut [T]) {
    let mut sum = 0.0;
    for (&dy, &y) in dy.iter().zip(y) {
        sum = A::mul_add(dy.widened(), y.widened(), sum);
    }
    for (dy, &y) in dy.iter_mut().zip(y) {
        *dy = T::narrowed(y.widened() * (dy.widened() - sum));
    }
}

#[inline(always)]
pub(super) fn log_softmax<A: Arch, T: Element>(row: &mut [T]) {
    if row.is_empty() {
        return;
    }
    let (max, others) = largest_and_others::<A, T>(row);
    let log_sum = log::ln_1p::<A>(others);
    for x in row {
        *x = T::narrowed((x.widened() - max) - log_sum);
    }
}

/// `dz = dy - exp(y) sum(dy)`
#[inline(always)]
pub(super) fn log_softmax_backward<A: Arch, T: Element>(y: &[T], dy: &mut [T]) {
    let mut sum = 0.0;
    for dy in dy.iter() {
        sum += dy.widened();
    }
    for (dy, &y) in dy.iter_mut().zip(y) {
        *dy = T::narrowed(A::mul_add(-math::exp::<A, f64>(y.widened()), sum, dy.widened()));
    }
}

/// The support's size `k` and the threshold of Keras's sparsemax.
///
/// With the row sorted in descending order, the support is where `s[j] - (s[1] + .. + s[j] - 1) / j > 0`, and tau is
/// `(C - 1) / k`, C being the sum of all the support's cumulative sums. (Right would be the last one alone. We follow
/// Keras.) Nothing is sorted, since that would need memory: the largest element is looked for, then the largest one
/// below it, and so on until the support ends, which in sensible rows is soon.
#[inline(always)]
fn sparsemax_threshold<T: Element>(row: &[T]) -> (f64, f64) {
    let (mut k, mut cumulative, mut total) = (0.0, 0.0, 0.0);
    let mut value = largest(row).1;
    loop {
        let mut next = T::neg_infinity();
        let mut more = false;
        for &x in row {
            if x == value {
                let sum = cumulative + x.widened();
                if x.widened() - (sum - 1.0) / (k + 1.0) > 0.0 {
                    (k, cumulative, total) = (k + 1.0, sum, total + sum);
                    more = true;
                }
            } else if x < value && x > next {
                next = x;
            }
        }
        if !more || next == T::neg_infinity() {
            return (k, (total - 1.0) / k);
        }
        value = next;
    }
}

#[inline(always)]
pub(super) fn sparsemax<T: Element>(row: &mut [T]) {
    if row.is_empty() {
        return;
    }
    let (_, tau) = sparsemax_threshold(row);
    for x in row {
        let above = x.widened() - tau;
        *x = T::narrowed(if above < 0.0 { 0.0 } else { above });
    }
}

/// The derivative of what [`sparsemax`] computes: with `g = dy` where `z >= tau`, else 0, and `rank` a support
/// element's place in descending order from 0 on, `dz = g - sum(g) (k - rank) / k`.
#[inline(always)]
pub(super) fn sparsemax_backward<T: Element>(z: &[T], dy: &mut [T]) {
    if z.is_empty() {
        return;
    }
    let (k, tau) = sparsemax_threshold(z);
    let mut sum = 0.0;
    for (dy, &z) in dy.iter_mut().zip(z) {
        if z.widened() - tau < 0.0 {
            *dy = T::zero();
        }
        sum += dy.widened();
    }
    for (i, dy) in dy.iter_mut().enumerate() {
        // Of equal elements the first comes first.
        let before = |j: usize| z[j] > z[i] || (z[j] == z[i] && j < i);
        let rank = (0..z.len()).filter(|&j| before(j)).count() as f64;
        if rank < k {
            *dy = T::narrowed(dy.widened() - sum * (k - rank) / k);
        }
    }
}

#[inline(always)]
pub(super) fn glu<A: Arch, T: Element>(row: &mut [T]) {
    let (a, b) = row.split_at_mut(row.len() / 2);
    for (a, &b) in a.iter_mut().zip(&*b) {
        *a = T::narrowed(times_sigmoid::<A>(a.widened(), b.widened()));
    }
}

/// `da = dy s(b)`, `db = dy a s(b) (1 - s(b))`
#[inline(always)]
pub(super) fn glu_backward<A: Arch, T: Element>(z: &[T], dy: &mut [T]) {
    let (a, b) = z.split_at(z.len() / 2);
    let (da, db) = dy.split_at_mut(z.len() / 2);
    for (((da, db), &a), &b) in da.iter_mut().zip(db).zip(a).zip(b) {
        let (sigmoid, rest) = sigmoid_and_rest::<A>(b.widened());
        let dy = da.widened();
        *da = T::narrowed(dy * sigmoid);
        *db = T::narrowed(dy * a.widened() * sigmoid * rest);
    }
}
