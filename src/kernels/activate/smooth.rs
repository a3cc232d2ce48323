//! Activations that need an exponential. tanh, sigmoid and exp run in the row's own type; the others are evaluated in
//! `f64`, so that one formula without cancellation gives `f64` its few ulp and `f32` half of one.

use super::Pointwise;
use crate::kernels::Element;
use crate::kernels::isa::Arch;
use crate::kernels::math::{self, Scaled, erf, log};

#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl<T: Element> Pointwise<T> for Tanh {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        math::tanh::<A, T>(x)
    }
    #[inline(always)]
    fn slope<A: Arch>(self, _z: T, y: T) -> T {
        T::one() - y * y
    }
}

#[derive(Clone, Copy)]
pub(super) struct ScaledTanh {
    pub(super) scale: f64,
    pub(super) slope: f64,
}

impl Pointwise<f64> for ScaledTanh {
    #[inline(always)]
    fn value<A: Arch>(self, x: f64) -> f64 {
        self.scale * math::tanh::<A, f64>(self.slope * x)
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: f64, _y: f64) -> f64 {
        let tanh = math::tanh::<A, f64>(self.slope * z);
        self.scale * self.slope * (1.0 - tanh * tanh)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl<T: Element> Pointwise<T> for Sigmoid {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        math::sigmoid::<A, T>(x)
    }
    #[inline(always)]
    fn slope<A: Arch>(self, _z: T, y: T) -> T {
        y * (T::one() - y)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Exponential;

impl<T: Element> Pointwise<T> for Exponential {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        math::exp::<A, T>(x)
    }
    #[inline(always)]
    fn slope<A: Arch>(self, _z: T, y: T) -> T {
        y
    }
}

/// A function that is evaluated in `f64` whatever the row's type.
#[derive(Clone, Copy)]
pub(super) struct InF64<F>(pub(super) F);

impl<T: Element, F: Pointwise<f64>> Pointwise<T> for InF64<F> {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        T::narrowed(self.0.value::<A>(x.widened()))
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, y: T) -> T {
        T::narrowed(self.0.slope::<A>(z.widened(), y.widened()))
    }
}

#[derive(Clone, Copy)]
pub(super) struct Elu {
    pub(super) alpha: f64,
}

impl Pointwise<f64> for Elu {
    #[inline(always)]
    fn value<A: Arch>(self, x: f64) -> f64 {
        if x > 0.0 { x } else { self.alpha * math::expm1::<A, f64>(x) }
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: f64, _y: f64) -> f64 {
        if z > 0.0 { 1.0 } else { self.alpha * math::exp::<A, f64>(z) }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Celu {
    pub(super) alpha: f64,
}

impl Pointwise<f64> for Celu {
    #[inline(always)]
    fn value<A: Arch>(self, x: f64) -> f64 {
        if x > 0.0 { x } else { self.alpha * math::expm1::<A, f64>(x / self.alpha) }
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: f64, _y: f64) -> f64 {
        if z > 0.0 { 1.0 } else { math::exp::<A, f64>(z / self.alpha) }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Selu;

impl Selu {
    const SCALE: f64 = 1.0507009873554805;
    /// alpha = 1.6732632423543772 times the scale.
    const SCALE_ALPHA: f64 = 1.7580993408473768;
}

impl Pointwise<f64> for Selu {
    #[inline(always)]
    fn value<A: Arch>(self, x: f64) -> f64 {
        if x > 0.0 { Self::SCALE * x } else { Self::SCALE_ALPHA * math::expm1::<A, f64>(x) }
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: f64, _y: f64) -> f64 {
        if z < 0.0 { Self::SCALE_ALPHA * math::exp::<A, f64>(z) } else { Self::SCALE }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Softplus;

impl Pointwise<f64> for Softplus {
    #[inline(always)]
    fn value<A: Arch>(self, x: f64) -> f64 {
        log::softplus::<A>(x)
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: f64, _y: f64) -> f64 {
        math::sigmoid::<A, f64>(z)
    }
}

#[derive(Clone, Copy)]
pub(super) struct LogSigmoid;

impl Pointwise<f64> for LogSigmoid {
    #[inline(always)]
    fn value<A: Arch>(self, x: f64) -> f64 {
        -log::softplus::<A>(-x)
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: f64, _y: f64) -> f64 {
        math::sigmoid::<A, f64>(-z)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Squareplus {
    pub(super) b: f64,
}

impl Squareplus {
    /// `sqrt(x^2 + b)`.
    #[inline(always)]
    fn root(self, x: f64) -> f64 {
        let size = x.abs();
        // Up there b is lost anyway and the square overflows.
        if size > 1e150 { size } else { (x * x + self.b).sqrt() }
    }
}

impl Pointwise<f64> for Squareplus {
    #[inline(always)]
    fn value<A: Arch>(self, x: f64) -> f64 {
        let root = self.root(x);
        // (x + root) / 2 cancels for negative x, where it is the same as b / 2 / (root - x). Minus infinity is left to
        // the first form: NaN, as in Keras.
        let right = 0.5 * (x + root);
        if x < 0.0 && x > f64::NEG_INFINITY { 0.5 * self.b / (root - x) } else { right }
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: f64, _y: f64) -> f64 {
        self.value::<A>(z) / self.root(z)
    }
}

#[derive(Clone, Copy)]
pub(super) struct TanhShrink;

impl Pointwise<f64> for TanhShrink {
    /// Above 2 as it is written; below, where that cancels, by Lambert's continued fraction, all of whose terms are
    /// positive:
    ///
    /// ```text
    /// tanh(x) = x / (1 + w),  w = x^2 / (3 + x^2 / (5 + x^2 / (7 + ..)))
    /// x - tanh(x) = x w / (1 + w)
    /// ```
    #[inline(always)]
    fn value<A: Arch>(self, x: f64) -> f64 {
        let x2 = if x.abs() < 2.0 { x * x } else { 4.0 };
        // w = numerator / denominator, from the end of the fraction. 12 levels leave 2^-61 at x = 2.
        let (mut numerator, mut denominator) = (x2, 25.0);
        for level in (1..12).rev() {
            let odd = (2 * level + 1) as f64;
            (numerator, denominator) = (x2 * denominator, A::mul_add(odd, denominator, numerator));
        }
        let small = x * (numerator / (denominator + numerator));
        if x.abs() < 2.0 { small } else { x - math::tanh::<A, f64>(x) }
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: f64, _y: f64) -> f64 {
        let t = math::tanh::<A, f64>(z);
        t * t
    }
}

/// `a * sigmoid(b)`.
#[inline(always)]
pub(super) fn times_sigmoid<A: Arch>(a: f64, b: f64) -> f64 {
    times_fraction(a, math::exp_of_minus_abs::<A, f64>(b), b < 0.0)
}

/// `a / (1 + e)`, times `e` if b is negative: `a * sigmoid(b)` for `e = exp(-|b|)`.
#[inline(always)]
fn times_fraction(a: f64, e: Scaled<f64>, negative: bool) -> f64 {
    let right = a / (1.0 + e.value());
    if negative { e.times(right) } else { right }
}

#[derive(Clone, Copy)]
pub(super) struct Silu;

impl Pointwise<f64> for Silu {
    #[inline(always)]
    fn value<A: Arch>(self, x: f64) -> f64 {
        times_sigmoid::<A>(x, x)
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: f64, _y: f64) -> f64 {
        let (s, rest) = sigmoid_and_rest::<A>(z);
        A::mul_add(s * rest, z, s)
    }
}

/// `sigmoid(x)` and `1 - sigmoid(x)`.
#[inline(always)]
pub(super) fn sigmoid_and_rest<A: Arch>(x: f64) -> (f64, f64) {
    let (sigmoid, rest) = math::sigmoid_and_rest::<A, f64>(x);
    (sigmoid.value(), rest / sigmoid.denominator)
}

#[derive(Clone, Copy)]
pub(super) struct Gelu;

impl Gelu {
    /// Beyond this the density is zero.
    const FAR: f64 = 40.0;

    #[inline(always)]
    fn clamp(x: f64) -> f64 {
        let x = if x > Self::FAR { Self::FAR } else { x };
        if x < -Self::FAR { -Self::FAR } else { x }
    }
}

impl Pointwise<f64> for Gelu {
    #[inline(always)]
    fn value<A: Arch>(self, x: f64) -> f64 {
        let near = Self::clamp(x);
        // Minus infinity times the density, zero, is NaN, as in Keras; plus infinity must not meet it.
        let factor = if x < 0.0 { x } else { near };
        let outside = erf::bell::<A>(near).times(factor * erf::tail_over_bell::<A>(near)); // x times the smaller tail
        if x < 0.0 { outside } else { x - outside }
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: f64, _y: f64) -> f64 {
        const DENSITY_AT_ZERO: f64 = erf::SQRT_HALF * 0.564_189_583_547_756_3; // c / sqrt(pi)
        let z = Self::clamp(z);
        let bell = erf::bell::<A>(z).value();
        let outside = bell * erf::tail_over_bell::<A>(z);
        let inside = if z < 0.0 { outside } else { 1.0 - outside };
        A::mul_add(z * DENSITY_AT_ZERO, bell, inside)
    }
}

/// gelu's approximation. `x / 2 * (1 + tanh(u))` is `x * sigmoid(2 u)`, which doesn't cancel.
#[derive(Clone, Copy)]
pub(super) struct GeluByTanh;

impl GeluByTanh {
    /// `2 sqrt(2 / pi)`.
    const SLOPE: f64 = 2.0 * 0.7978845608028654;
    /// Another constant that TensorFlow rounds to `f32` first.
    const CUBE: f64 = 0.044715_f32 as f64;

    /// `2 u = SLOPE (x + CUBE x^3)` as a sum of two numbers, for |x| <= 40: the exponential makes of an absolute error
    /// a relative one, and 2 u reaches 700.
    #[inline(always)]
    fn argument<A: Arch>(x: f64) -> (f64, f64) {
        let (square, square_rest) = math::product(x, x);
        let (cube, cube_rest) = math::product(Self::CUBE, square);
        let sum = 1.0 + cube;
        // What rounding took from the sum (Knuth's), and from its second part.
        let shown = sum - cube;
        let sum_rest = (1.0 - shown) + (cube - (sum - shown)) + A::mul_add(Self::CUBE, square_rest, cube_rest);
        let (line, line_rest) = math::product(Self::SLOPE, x);
        let (argument, rest) = math::product(line, sum);
        (argument, rest + A::mul_add(line, sum_rest, line_rest * sum))
    }
}

impl Pointwise<f64> for GeluByTanh {
    #[inline(always)]
    fn value<A: Arch>(self, x: f64) -> f64 {
        let (argument, rest) = Self::argument::<A>(Gelu::clamp(x));
        let negative = x < 0.0;
        let e = math::exp_of_sum::<A, f64>(-argument.abs(), if negative { rest } else { -rest });
        times_fraction(x, e, negative)
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: f64, _y: f64) -> f64 {
        let z = Gelu::clamp(z);
        let (s, rest) = sigmoid_and_rest::<A>(Self::argument::<A>(z).0);
        let inner = Self::SLOPE * A::mul_add(3.0 * Self::CUBE * z, z, 1.0);
        A::mul_add(s * rest, z * inner, s)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Mish;

impl Pointwise<f64> for Mish {
    /// With `e = exp(-|x|)`, `tanh(softplus(x))` is `(1 + 2e) / (1 + 2e + 2e^2)` for positive `x`,
    /// `(2e + e^2) / (2 + 2e + e^2)` for negative ones.
    #[inline(always)]
    fn value<A: Arch>(self, x: f64) -> f64 {
        let scaled = math::exp_of_minus_abs::<A, f64>(x);
        let e = scaled.value();
        let right = 1.0 + 2.0 * e;
        let negative = x < 0.0;
        let numerator = if negative { 2.0 + e } else { right };
        let denominator = if negative { A::mul_add(numerator, e, 2.0) } else { A::mul_add(2.0 * e, e, right) };
        let quotient = x * (numerator / denominator);
        if negative { scaled.times(quotient) } else { quotient }
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: f64, _y: f64) -> f64 {
        // t = tanh(softplus(z)); its slope is sigmoid(z) (1 - t^2).
        let (sigmoid, rest) = sigmoid_and_rest::<A>(z);
        // 1 - t^2 = 4 r^2 / (1 + r^2)^2 with r = 1 - sigmoid(z).
        let r2 = rest * rest;
        let t = sigmoid * (1.0 + rest) / (1.0 + r2);
        let d = 1.0 + r2;
        A::mul_add(z, sigmoid * (4.0 * r2 / (d * d)), t)
    }
}
