//! Logarithms and softplus, in `f64`; `f32` takes them from here, rounded.
//!
//! ```text
//! 1 + f = x / 2^k,  sqrt(1/2) <= 1 + f < sqrt(2)
//! s = f / (2 + f),  log(1 + f) = 2 atanh(s) = f - f^2/2 + s (f^2/2 + R),  R = 2 (atanh(s) / s - 1)
//! log(x) = k ln 2 + log(1 + f)
//! ```
//!
//! This is the way of FreeBSD's msun (`e_log.c`, `s_log1p.c`) without its branches, and with our own fit of R.

use super::Elementary;
use super::exp::exp_of_minus_abs;
use crate::kernels::isa::Arch;

/// `k, f` with `x = 2^k (1 + f)`, for a positive normal number.
#[inline(always)]
fn reduce(x: f64) -> (f64, f64) {
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    const TWO_TO_52: f64 = (1u64 << 52) as f64;
    let bits = x.to_bits().wrapping_add(ONE - SQRT_HALF);
    // The exponent's bits as the low bits of a number between 2^52 and 2^53: a conversion that every vector unit has.
    let k = f64::from_bits((bits >> 52) | TWO_TO_52.to_bits()) - (TWO_TO_52 + 1023.0);
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + SQRT_HALF);
    (k, m - 1.0)
}

/// `k ln 2 + log(1 + f) + c`, where `c` is tiny.
#[inline(always)]
fn log_of_parts<A: Arch>(k: f64, f: f64, c: f64) -> f64 {
    // tools/fit_math.py, LOG f64: relative error of log 2^-59.44.
    const R: [f64; 7] = [
        0.6666666666666736,
        0.39999999999405483,
        0.28571428744061894,
        0.22222198426151224,
        0.18183571057432849,
        0.15313895728652202,
        0.1479736350587642,
    ];
    let s = f / (2.0 + f);
    let z = s * s;
    let z2 = z * z;
    let even = A::mul_add(A::mul_add(A::mul_add(R[6], z2, R[4]), z2, R[2]), z2, R[0]);
    let odd = A::mul_add(A::mul_add(R[5], z2, R[3]), z2, R[1]);
    let r = z * A::mul_add(odd, z, even);
    let half_square = 0.5 * f * f;
    let small = A::mul_add(s, half_square + r, A::mul_add(k, f64::LN2_LO, c));
    A::mul_add(k, f64::LN2_HI, f - (half_square - small))
}

/// What logarithms give outside of their domain: `shifted` is `x` for `ln`, `1 + x` for `ln_1p`.
#[inline(always)]
fn at_the_edges(shifted: f64, inside: f64) -> f64 {
    let y = if shifted == f64::INFINITY { f64::INFINITY } else { inside };
    let y = if shifted == 0.0 { f64::NEG_INFINITY } else { y };
    if shifted >= 0.0 { y } else { f64::NAN }
}

/// The natural logarithm.
#[inline(always)]
pub(crate) fn ln<A: Arch>(x: f64) -> f64 {
    let subnormal = x < f64::MIN_POSITIVE;
    let (k, f) = reduce(x * if subnormal { 18014398509481984.0 } else { 1.0 }); // 2^54
    let k = k - if subnormal { 54.0 } else { 0.0 };
    at_the_edges(x, log_of_parts::<A>(k, f, 0.0))
}

/// `ln(1 + x)`.
#[inline(always)]
pub(crate) fn ln_1p<A: Arch>(x: f64) -> f64 {
    let u = 1.0 + x;
    let (k, f) = reduce(u);
    // What the rounding of u left out, which is worth that over u to the logarithm.
    let c = (if x > 1.0 { 1.0 - (u - x) } else { x - (u - 1.0) }) / u;
    // Near zero nothing is added to 1, so nothing is left out.
    let near = x > -0.29 && x < 0.41;
    let (k, f, c) = (if near { 0.0 } else { k }, if near { x } else { f }, if near { 0.0 } else { c });
    let y = at_the_edges(u, log_of_parts::<A>(k, f, c));
    if x == 0.0 { x } else { y } // -0.0 stays -0.0
}

/// `ln(1 + exp(x))`.
#[inline(always)]
pub(crate) fn softplus<A: Arch>(x: f64) -> f64 {
    let above = if x < 0.0 { 0.0 } else { x };
    above + ln_1p::<A>(exp_of_minus_abs::<A, f64>(x).value())
}
