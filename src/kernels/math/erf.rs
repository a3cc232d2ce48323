//! Gaussian tails, for gelu, in `f64`.
//!
//! ```text
//! a = |x| c,  erfc(a) = exp(-a^2) P(t) / (1 + 2a),  t = (a - 4) / (a + 4)
//! ```
//!
//! c should be sqrt(1/2). TensorFlow rounds it to `f32` even where all else is `f64`, and so do we.
//! The change of variable is Shepherd and Laframboise's (1981): it makes one polynomial do for all a.

use super::exp::{Scaled, exp_of_sum};
use crate::kernels::isa::Arch;

/// c.
pub(crate) const SQRT_HALF: f64 = std::f32::consts::FRAC_1_SQRT_2 as f64;

#[inline(always)]
fn head(x: f64) -> f64 {
    f64::from_bits(x.to_bits() & !0x7ff_ffff)
}

/// `exp(-(c x)^2)`, for |x| <= 40.
#[inline(always)]
pub(crate) fn bell<A: Arch>(x: f64) -> Scaled<f64> {
    // A square's rounding error would be multiplied by its size, so the square is a sum of two numbers. A head has the
    // upper 26 bits, and c has 24: the product of two of these is exact.
    let (x_head, a) = (head(x), x * SQRT_HALF);
    let a_head = head(a);
    let a_rest = (x_head * SQRT_HALF - a_head) + (x - x_head) * SQRT_HALF;
    exp_of_sum::<A, f64>(-(a_head * a_head), -(a_rest * (a + a_head)))
}

/// `erfc(|c x|) / 2` over [`bell`], for |x| <= 40.
#[inline(always)]
pub(crate) fn tail_over_bell<A: Arch>(x: f64) -> f64 {
    // tools/fit_math.py, ERFCX f64: relative error 2^-54.57.
    const P: [f64; 24] = [
        1.2329951186255526,
        -0.13962111684056253,
        0.015379652102614293,
        0.06809705425469309,
        -0.10103906603611247,
        0.09373283499836935,
        -0.06633036581530884,
        0.03716751553662983,
        -0.01619773403055537,
        0.005031969990150753,
        -0.0007577734314318803,
        -0.00019925678311145774,
        0.0001506221363184953,
        -2.4398842005037565e-05,
        -1.1222933540036063e-05,
        5.7087843398169916e-06,
        2.9480563743231797e-07,
        -8.239777063121837e-07,
        7.420463447432845e-08,
        1.0883305337703157e-07,
        -1.809604867882642e-08,
        -1.366478784487944e-08,
        2.021619721154079e-09,
        1.2643166649404374e-09,
    ];
    let a = x.abs() * SQRT_HALF;
    let t = (a - 4.0) / (a + 4.0);
    let t2 = t * t;
    let (mut even, mut odd) = (P[22], P[23]);
    for i in (0..11).rev() {
        even = A::mul_add(even, t2, P[2 * i]);
        odd = A::mul_add(odd, t2, P[2 * i + 1]);
    }
    A::mul_add(odd, t, even) * 0.5 / A::mul_add(2.0, a, 1.0)
}
