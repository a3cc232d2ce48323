//! `exp`, `expm1`, sigmoid and tanh.
//!
//! ```text
//! n = round(x / ln 2)                      by adding a number so large that only integers are left
//! r = x - n ln 2,  |r| <= ln(2) / 2        ln 2 in two parts
//! p = expm1(r) = r + r^2 q(r)              q: a polynomial
//! s = 2^n                                  from n's bits
//! exp(x)   = p s + s
//! expm1(x) = p s + (s - 1)
//! ```
//!
//! Sigmoid and tanh are written with the exponential of a negative number, so that nothing overflows:
//!
//! ```text
//! e = exp(-|x|)          sigmoid(x) = (x < 0 ? e : 1) / (1 + e)
//! m = expm1(-2|x|)       tanh(|x|)  = -m / (2 + m)
//! ```
//!
//! `exp` is computed 2^64 times too large or too small, then scaled: so `s` is always a normal number, and the last
//! multiplication rounds once into the subnormals or to infinity.
//!
//! Clamps are written `if x < LO { LO } else { x }`, which keeps a NaN and is one instruction.

use crate::kernels::Element;
use crate::kernels::isa::Arch;

/// A fraction that hasn't been divided yet, so that products of gates share one division.
///
/// The functions that return one guarantee `1 <= denominator <= 2` and `|numerator| <= denominator` for every input
/// that isn't NaN (a NaN makes the denominator NaN). Hence products of fractions stay finite, and underflow only where
/// the product of the quotients does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fraction<T> {
    pub(crate) numerator: T,
    pub(crate) denominator: T,
}

impl<T: Element> Fraction<T> {
    /// The quotient: bit for bit what the function without `_fraction` in its name returns.
    #[inline(always)]
    pub(crate) fn value(self) -> T {
        self.numerator / self.denominator
    }
}

/// A number that is kept 2^64 times too large, because by itself it may be too small to be precise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scaled<T>(T);

impl<T: Element> Scaled<T> {
    /// The number.
    #[inline(always)]
    pub(crate) fn value(self) -> T {
        self.0 * constant(1.0 / TWO_TO_64)
    }

    /// The number times a factor: precise where the product is a normal number, though the number itself may not be
    /// one. Where that has become zero, zero times the factor.
    #[inline(always)]
    pub(crate) fn times(self, factor: T) -> T {
        let value = self.value();
        // Larger numbers are precise by themselves, and could overflow if they were scaled down last.
        let tiny = self.0 < T::one() && value > T::zero();
        let product = (if tiny { self.0 } else { value }) * factor;
        product * constant(if tiny { 1.0 / TWO_TO_64 } else { 1.0 })
    }
}

/// A constant that both formats hold exactly; folded when compiled.
#[inline(always)]
pub(crate) fn constant<T: Element>(value: f64) -> T {
    T::narrowed(value)
}

#[inline(always)]
fn at_least<T: Element>(bound: T, x: T) -> T {
    if x < bound { bound } else { x }
}

#[inline(always)]
fn at_most<T: Element>(bound: T, x: T) -> T {
    if x > bound { bound } else { x }
}

/// The polynomial `q`, by Estrin's scheme: as many operations as Horner's, but fewer of them wait for one another.
#[inline(always)]
pub(crate) fn exp_tail<A: Arch, T: Element>(r: T, r2: T) -> T {
    match *T::EXP_TAIL {
        [c0, c1, c2, c3, c4] => {
            let (c01, c23) = (A::mul_add(c1, r, c0), A::mul_add(c3, r, c2));
            A::mul_add(A::mul_add(c4, r2, c23), r2, c01)
        }
        [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9] => {
            let (c01, c23) = (A::mul_add(c1, r, c0), A::mul_add(c3, r, c2));
            let (c45, c67) = (A::mul_add(c5, r, c4), A::mul_add(c7, r, c6));
            let c89 = A::mul_add(c9, r, c8);
            let r4 = r2 * r2;
            let (low, high) = (A::mul_add(c23, r2, c01), A::mul_add(c67, r2, c45));
            A::mul_add(A::mul_add(c89, r4, high), r4, low)
        }
        _ => unreachable!(), // a constant of f32 or f64: one has 5 coefficients, the other 10
    }
}

/// `(n + ROUND, r)` with `x = n ln 2 + r`, for `EXP_LO <= x <= EXP_HI`.
#[inline(always)]
fn reduce<A: Arch, T: Element>(x: T) -> (T, T) {
    let rounded = A::mul_add(x, T::LOG2_E, T::ROUND);
    let n = rounded - T::ROUND;
    (rounded, A::mul_add(n, -T::LN2_LO, A::mul_add(n, -T::LN2_HI, x)))
}

/// `expm1(r)` for |r| <= ln(2) / 2.
#[inline(always)]
fn expm1_near_zero<A: Arch, T: Element>(r: T) -> T {
    let r2 = r * r;
    A::mul_add(exp_tail::<A, T>(r, r2), r2, r)
}

const TWO_TO_64: f64 = (1u128 << 64) as f64;

/// `exp(x)`.
#[inline(always)]
pub(crate) fn exp<A: Arch, T: Element>(x: T) -> T {
    let (rounded, r) = reduce::<A, T>(at_most(T::EXP_HI, at_least(T::EXP_LO, x)));
    let p = expm1_near_zero::<A, T>(r);
    let small = x < T::zero();
    let s = T::power_of_two(rounded + constant(if small { 64.0 } else { -64.0 }), 0);
    A::mul_add(p, s, s) * constant(if small { 1.0 / TWO_TO_64 } else { TWO_TO_64 })
}

/// `exp(x) - 1`.
#[inline(always)]
pub(crate) fn expm1<A: Arch, T: Element>(x: T) -> T {
    let (rounded, r) = reduce::<A, T>(at_most(T::EXP_HI, at_least(T::EXPM1_LO, x)));
    let p = expm1_near_zero::<A, T>(r);
    // For x > 1 half of it is computed, because 2^n may be infinite; below, that would lose a subnormal's last bit.
    let large = x > T::one();
    let s = T::power_of_two(rounded - constant(if large { 1.0 } else { 0.0 }), 0);
    let one = constant(if large { 0.5 } else { 1.0 });
    let y = A::mul_add(p, s, s - one) * constant(if large { 2.0 } else { 1.0 });
    // The sum above makes 0.0 of -0.0.
    if x == T::zero() { x } else { y }
}

/// `a * b` as a sum of two numbers, the second one what rounding took from the first (Dekker 1971: fused multiply-add
/// would do it in two operations, but not every machine has it).
#[inline(always)]
pub(crate) fn product(a: f64, b: f64) -> (f64, f64) {
    // Half of the bits each, so that the products of halves are exact.
    let (a_high, b_high) = (upper_half(a), upper_half(b));
    let (a_low, b_low) = (a - a_high, b - b_high);
    let rounded = a * b;
    let rest = ((a_high * b_high - rounded) + a_high * b_low + a_low * b_high) + a_low * b_low;
    (rounded, rest)
}

/// The upper 26 bits.
#[inline(always)]
fn upper_half(x: f64) -> f64 {
    f64::from_bits(x.to_bits() & !0x7ff_ffff)
}

/// `exp(x + correction)` for `x <= 0` and a correction of less than an ulp or so of `x`.
#[inline(always)]
pub(crate) fn exp_of_sum<A: Arch, T: Element>(x: T, correction: T) -> Scaled<T> {
    let (rounded, r) = reduce::<A, T>(at_least(T::EXP_LO, x));
    let p = expm1_near_zero::<A, T>(r + correction);
    let s = T::power_of_two(rounded, 64);
    Scaled(A::mul_add(p, s, s))
}

/// `exp(-|x|)`, in [0, 1].
#[inline(always)]
pub(crate) fn exp_of_minus_abs<A: Arch, T: Element>(x: T) -> Scaled<T> {
    let (rounded, r) = reduce::<A, T>(at_least(T::EXP_LO, -x.abs()));
    let p = expm1_near_zero::<A, T>(r);
    let s = T::power_of_two(rounded, 64);
    Scaled(A::mul_add(p, s, s))
}

/// [`sigmoid`] before its division.
#[inline(always)]
pub(crate) fn sigmoid_fraction<A: Arch, T: Element>(x: T) -> Fraction<T> {
    let e = exp_of_minus_abs::<A, T>(x).value();
    Fraction { numerator: if x < T::zero() { e } else { T::one() }, denominator: T::one() + e }
}

/// [`sigmoid_fraction`] of `x`, and the numerator of `1 - sigmoid(x)`, which has the same denominator and no
/// cancellation.
#[inline(always)]
pub(crate) fn sigmoid_and_rest<A: Arch, T: Element>(x: T) -> (Fraction<T>, T) {
    let e = exp_of_minus_abs::<A, T>(x).value();
    let (numerator, rest) = if x < T::zero() { (e, T::one()) } else { (T::one(), e) };
    (Fraction { numerator, denominator: T::one() + e }, rest)
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub(crate) fn sigmoid<A: Arch, T: Element>(x: T) -> T {
    sigmoid_fraction::<A, T>(x).value()
}

/// [`tanh`] before its division.
#[inline(always)]
pub(crate) fn tanh_fraction<A: Arch, T: Element>(x: T) -> Fraction<T> {
    // An addition where a product would do: multiplications are what there is most of.
    let (rounded, r) = reduce::<A, T>(at_least(T::EXPM1_LO, -(x.abs() + x.abs())));
    let p = expm1_near_zero::<A, T>(r);
    let s = T::power_of_two(rounded, 0);
    let m = A::mul_add(p, s, s - T::one());
    Fraction { numerator: m.abs().copysign(x), denominator: constant::<T>(2.0) + m }
}

/// The hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh<A: Arch, T: Element>(x: T) -> T {
    tanh_fraction::<A, T>(x).value()
}
