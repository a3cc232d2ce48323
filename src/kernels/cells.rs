//! One unit's step with the default activations, tanh and sigmoid, from the preactivations on: written for few
//! divisions and a short wait.
//!
//! The gates are never computed as such. With `d(x) = 1 + exp(-x)` and `tanh(x) = n(x) / m(x)`:
//!
//! ```text
//! LSTM  c = c / d(f) + n(g) / (d(i) m(g))      h = n(c) / (d(o) m(c))          3 divisions, not 5
//! GRU   candidate = tanh(x + h / d(r))         z = 1 / d(z)                    3
//! ```
//!
//! Finite, infinite or NaN where the equations are, because `1 <= m <= 2` and `|n| <= m`, and because d becomes infinite
//! exactly where a sigmoid in floats is zero; nothing that may be infinite meets a zero that the equations don't have.
//!
//! The error of d and n/m is 2 to 3 ulp, like that of the activations by themselves, but for sigmoids below 1e-9, where
//! the shorter reduction by ln 2 in one part leaves up to 1e-7 of the value.

use super::activate::apply;
use super::isa::Arch;
use super::math::exp_tail;
use crate::{Activation, Float};

/// ln 2 in one part. A multiple of up to 30 times it is within half an ulp of 1.
#[inline(always)]
fn ln_2<T: Float>() -> T {
    T::LN2_HI + T::LN2_LO
}

/// `1 + exp(-x)`: infinite where that is larger than half of the largest number, 1 where exp(-x) is lost in it.
#[inline(always)]
fn one_plus_exp_minus<A: Arch, T: Float>(x: T) -> T {
    // Two limits at two places: side by side, the compiler makes four slow instructions of two fast ones.
    let x = if x > -T::EXPM1_LO { -T::EXPM1_LO } else { x };
    let rounded = A::mul_add(x, -T::LOG2_E, T::ROUND);
    let infinite = A::mul_add(T::EXP_HI, T::LOG2_E, T::ROUND);
    let rounded = if rounded > infinite { infinite } else { rounded };
    let n = rounded - T::ROUND;
    let r = A::mul_add(n, -ln_2::<T>(), -x);
    let rr = r * r;
    // Not p * s + (s + 1), which is NaN where s is infinite.
    let exp = A::mul_add(exp_tail::<A, T>(r, rr), rr, T::one() + r);
    A::mul_add(exp, T::power_of_two(rounded, 0), T::one())
}

/// `n, m` with `tanh(x) = n / m`, `1 <= m <= 2`, `|n| <= m`.
#[inline(always)]
fn tanh_fraction<A: Arch, T: Float>(x: T) -> (T, T) {
    let two = T::one() + T::one();
    let y = -two * x.abs();
    let y = if y < T::EXPM1_LO { T::EXPM1_LO } else { y };
    let rounded = A::mul_add(y, T::LOG2_E, T::ROUND);
    let n = rounded - T::ROUND;
    let r = A::mul_add(n, -ln_2::<T>(), y);
    let rr = r * r;
    let p = A::mul_add(exp_tail::<A, T>(r, rr), rr, r);
    let s = T::power_of_two(rounded, 0);
    let e = A::mul_add(p, s, s - T::one());
    (e.abs().copysign(x), two + e)
}

/// `h, c` of an LSTM's unit.
#[inline(always)]
pub(super) fn lstm<A: Arch, T: Float>(i: T, f: T, g: T, o: T, c: T) -> (T, T) {
    let di = one_plus_exp_minus::<A, T>(i);
    let df = one_plus_exp_minus::<A, T>(f);
    let (n, m) = tanh_fraction::<A, T>(g);
    let c = c / df + n / (di * m);
    let (n, m) = tanh_fraction::<A, T>(c);
    let d_o = one_plus_exp_minus::<A, T>(o);
    (n / (d_o * m), c)
}

/// A gate by itself: the sigmoid of these formulas.
#[inline(always)]
pub(super) fn sigmoid<A: Arch, T: Float>(z: T) -> T {
    T::one() / one_plus_exp_minus::<A, T>(z)
}

/// A candidate, or a SimpleRNN's h, by itself: the tanh of these formulas.
#[inline(always)]
pub(super) fn tanh<A: Arch, T: Float>(z: T) -> T {
    let (n, m) = tanh_fraction::<A, T>(z);
    n / m
}

/// `r h` of a GRU's unit without `reset_after`.
#[inline(always)]
pub(super) fn reset<A: Arch, T: Float>(r: T, prev: T) -> T {
    prev / one_plus_exp_minus::<A, T>(r)
}

/// `h` of a GRU's unit with `reset_after`: `x` and `h` are the candidate's two parts.
#[inline(always)]
pub(super) fn gru_after<A: Arch, T: Float>(z: T, r: T, x: T, h: T, prev: T) -> T {
    let dr = one_plus_exp_minus::<A, T>(r);
    let z = T::one() / one_plus_exp_minus::<A, T>(z);
    let (n, m) = tanh_fraction::<A, T>(x + h / dr);
    mix::<A, T>(z, prev, n / m)
}

/// `z * h + (1 - z) * candidate`.
#[inline(always)]
pub(super) fn mix<A: Arch, T: Float>(z: T, prev: T, candidate: T) -> T {
    A::mul_add(T::one() - z, candidate, z * prev)
}

/// An LSTM's step from its preactivations on, i, f, c, o in `z`, which become the gates. `c` is the state before the
/// step; `next` becomes h and c.
#[inline(always)]
pub(super) fn lstm_row<A: Arch, T: Float>(
    arch: A,
    z: &mut [T],
    c: &[T],
    next: &mut [T],
    activation: &Activation,
    recurrent_activation: &Activation,
) {
    let units = c.len();
    let (if_, co) = z.split_at_mut(2 * units);
    let (g, o) = co.split_at_mut(units);
    apply_to_gates::<A, T>(arch, recurrent_activation, if_, units);
    apply::<A, T>(arch, activation, g);
    apply::<A, T>(arch, recurrent_activation, o);
    let (i, f) = if_.split_at(units);
    let (next_h, next_c) = next.split_at_mut(units);
    let (f, g, o, next_h, next_c) = (&f[..units], &g[..units], &o[..units], &mut next_h[..units], &mut next_c[..units]);
    for u in 0..units {
        next_c[u] = A::mul_add(f[u], c[u], i[u] * g[u]);
        next_h[u] = next_c[u];
    }
    apply::<A, T>(arch, activation, next_h);
    for u in 0..units {
        next_h[u] = o[u] * next_h[u];
    }
}

/// A GRU's step with `reset_after` from its preactivations on: z, r, the candidate's part of x, its part of h. They
/// become z, r, the candidate, its part of h.
#[inline(always)]
pub(super) fn gru_after_row<A: Arch, T: Float>(
    arch: A,
    z: &mut [T],
    prev: &[T],
    next: &mut [T],
    activation: &Activation,
    recurrent_activation: &Activation,
) {
    let units = prev.len();
    let (zr, xh) = z.split_at_mut(2 * units);
    let (n, h) = xh.split_at_mut(units);
    apply_to_gates::<A, T>(arch, recurrent_activation, zr, units);
    let (z, r) = zr.split_at(units);
    let (z, r, h, next) = (&z[..units], &r[..units], &h[..units], &mut next[..units]);
    for u in 0..units {
        n[u] = A::mul_add(r[u], h[u], n[u]);
    }
    apply::<A, T>(arch, activation, n);
    for u in 0..units {
        next[u] = mix::<A, T>(z[u], prev[u], n[u]);
    }
}

/// Applies an activation to gates side by side, each a whole row for those activations that need one.
#[inline(always)]
pub(super) fn apply_to_gates<A: Arch, T: Float>(arch: A, activation: &Activation, gates: &mut [T], units: usize) {
    if activation.is_elementwise() {
        apply::<A, T>(arch, activation, gates);
    } else {
        for gate in gates.chunks_exact_mut(units) {
            apply::<A, T>(arch, activation, gate);
        }
    }
}
