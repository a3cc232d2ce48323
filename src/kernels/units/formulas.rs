//! What a unit's step with the default activations, tanh and sigmoid, is made of: written for few divisions and a short
//! wait.
//!
//! The gates are never computed as such. There are `d(x) = 1 + exp(-x)` and `tanh(x) = n(x) / m(x)`; the cells divide
//! once by products of them.
//!
//! Finite, infinite or NaN where the equations are, because `1 <= m <= 2` and `|n| <= m`, and because d becomes
//! infinite exactly where a sigmoid in floats is zero; nothing that may be infinite meets a zero that the equations
//! don't have.
//!
//! The error of d and n/m is 2 to 3 ulp, like that of the activations by themselves, but for sigmoids below 1e-9, where
//! the shorter reduction by ln 2 in one part leaves up to 1e-7 of the value.

use super::super::isa::Arch;
use super::super::math::exp_tail;
use crate::kernels::Element;

/// ln 2 in one part. A multiple of up to 30 times it is within half an ulp of 1.
#[inline(always)]
fn ln_2<T: Element>() -> T {
    T::LN2_HI + T::LN2_LO
}

/// `1 + exp(-x)`: infinite where that is larger than half of the largest number, 1 where exp(-x) is lost in it.
#[inline(always)]
pub(in crate::kernels) fn one_plus_exp_minus<A: Arch, T: Element>(x: T) -> T {
    // Trap 4: two limits at two places; side by side, the compiler makes four slow instructions of two fast ones.
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
pub(in crate::kernels) fn tanh_fraction<A: Arch, T: Element>(x: T) -> (T, T) {
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

/// A gate by itself: the sigmoid of these formulas.
#[inline(always)]
pub(in crate::kernels) fn sigmoid<A: Arch, T: Element>(z: T) -> T {
    T::one() / one_plus_exp_minus::<A, T>(z)
}

/// A candidate, or a SimpleRNN's h, by itself: the tanh of these formulas.
#[inline(always)]
pub(in crate::kernels) fn tanh<A: Arch, T: Element>(z: T) -> T {
    let (n, m) = tanh_fraction::<A, T>(z);
    n / m
}

/// `z * h + (1 - z) * candidate`.
#[inline(always)]
pub(in crate::kernels) fn mix<A: Arch, T: Element>(z: T, prev: T, candidate: T) -> T {
    A::mul_add(T::one() - z, candidate, z * prev)
}
