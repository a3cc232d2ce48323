//! The normal distribution's cumulative function, for gelu, in `f64`.
//!
//! ```text
//! a = |x| / sqrt(2),  erfc(a) = exp(-a^2) P(t) / (1 + 2a),  t = (a - 4) / (a + 4)
//! Phi(x) = x < 0 ? erfc(a) / 2 : 1 - erfc(a) / 2
//! ```
//!
//! The change of variable is Shepherd and Laframboise's (1981): it makes one polynomial do for all a.

use super::exp::{Scaled, exp_of_sum};
use crate::kernels::isa::Arch;

/// `exp(-x^2 / 2)`, 2^64 times too large.
#[inline(always)]
pub(crate) fn bell<A: Arch>(x: f64) -> Scaled<f64> {
    // -x^2 / 2 as a sum of two numbers, the first one exact: its rounding error would be multiplied by its size.
    let head = f64::from_bits(x.to_bits() & !0x7ff_ffff);
    exp_of_sum::<A, f64>(-0.5 * head * head, -0.5 * (x - head) * (x + head))
}

/// `erfc(|x| / sqrt(2)) / 2 / exp(-x^2 / 2)`, for |x| <= 40.
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
    let a = x.abs() * std::f64::consts::FRAC_1_SQRT_2;
    let t = (a - 4.0) / (a + 4.0);
    let t2 = t * t;
    let (mut even, mut odd) = (P[22], P[23]);
    for i in (0..11).rev() {
        even = A::mul_add(even, t2, P[2 * i]);
        odd = A::mul_add(odd, t2, P[2 * i + 1]);
    }
    A::mul_add(odd, t, even) * 0.5 / A::mul_add(2.0, a, 1.0)
}
