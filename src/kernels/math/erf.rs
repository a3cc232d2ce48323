//! Gaussian tails, for gelu, in `f64`.
//!
//! ```text
//! a = |x| c,  erfc(a) = exp(-a^2) P(t) / (1 + 9/8 a),  t = (a - 4) / (a + 4)
//! ```
//!
//! c should be sqrt(1/2). TensorFlow rounds it to `f32` even where all else is `f64`, and so do we.
//! The change of variable is Shepherd and Laframboise's (1981): it makes one polynomial do for all a. With 9/8 (theirs
//! is 2) P is nearly level at a = 0, where t is less precise than a.

use super::exp::{Scaled, exp_of_sum, product};
use crate::kernels::isa::Arch;

/// c.
pub(crate) const SQRT_HALF: f64 = std::f32::consts::FRAC_1_SQRT_2 as f64;

/// `exp(-(c x)^2)`, for |x| <= 40.
#[inline(always)]
pub(crate) fn bell<A: Arch>(x: f64) -> Scaled<f64> {
    // The rounding error of a square would be multiplied by its size, so the square is a sum of two numbers.
    let (a, a_rest) = product(x, SQRT_HALF);
    let (square, rest) = product(a, a);
    exp_of_sum::<A, f64>(-square, -A::mul_add(2.0 * a, a_rest, rest))
}

/// `erfc(|c x|) / 2` over [`bell`], for |x| <= 40.
#[inline(always)]
pub(crate) fn tail_over_bell<A: Arch>(x: f64) -> f64 {
    // tools/fit_math.py, ERFCX f64: relative error 2^-55.39
    const P: [f64; 24] = [
        0.7534970169378377,
        -0.1918791495553915,
        0.10434091383446265,
        -0.033558201786807865,
        -0.009163084533335825,
        0.025115050344186752,
        -0.023617493543463555,
        0.015287501100964612,
        -0.0073348600633559346,
        0.002480865134440063,
        -0.0004357682714751053,
        -7.752677201481155e-05,
        7.485655812573218e-05,
        -1.4557105030934487e-05,
        -5.024377322699059e-06,
        3.0326111540693737e-06,
        4.1143861980523725e-08,
        -4.2175527590053515e-07,
        5.314917987130211e-08,
        5.485552828443354e-08,
        -1.1323604290862505e-08,
        -7.00395708819397e-09,
        1.2366453758154355e-09,
        6.797601835741202e-10,
    ];
    let a = x.abs() * SQRT_HALF;
    let t = (a - 4.0) / (a + 4.0);
    let t2 = t * t;
    let (mut even, mut odd) = (P[22], P[23]);
    for i in (0..11).rev() {
        even = A::mul_add(even, t2, P[2 * i]);
        odd = A::mul_add(odd, t2, P[2 * i + 1]);
    }
    A::mul_add(odd, t, even) * 0.5 / A::mul_add(1.125, a, 1.0)
}

/// The error function itself.
#[inline(always)]
pub(crate) fn erf<A: Arch>(x: f64) -> f64 {
    const TWO_OVER_SQRT_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI;
    /// (-1)^n / (n! (2n + 1))
    const SERIES: [f64; 13] = {
        let (mut series, mut factorial, mut n) = ([0.0; 13], 1.0, 0);
        while n < 13 {
            series[n] = 1.0 / (factorial * (2 * n + 1) as f64);
            n += 1;
            factorial *= -(n as f64);
        }
        series
    };
    let a = x.abs();
    if a < 0.5 {
        let sum = SERIES.iter().rev().fold(0.0, |sum, &factor| A::mul_add(sum, x * x, factor));
        return TWO_OVER_SQRT_PI * x * sum;
    }
    let far = a / SQRT_HALF;
    let far = if far > 40.0 { 40.0 } else { far };
    let inside = 1.0 - 2.0 * bell::<A>(far).times(tail_over_bell::<A>(far));
    if x < 0.0 { -inside } else { inside }
}
