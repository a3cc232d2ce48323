//! Activations of a few exact operations, in the order in which TensorFlow does them. A NaN stays one, but for the
//! shrinks and the thresholds, whose comparisons it fails.

use super::Pointwise;
use crate::kernels::Element;
use crate::kernels::isa::Arch;
use crate::kernels::math::constant;

/// `max(x, 0)`, NaN for NaN: in this order of the operands one instruction.
#[inline(always)]
fn positive<T: Element>(x: T) -> T {
    if x < T::zero() { T::zero() } else { x }
}

/// `min(x, 0)`, NaN for NaN.
#[inline(always)]
fn negative<T: Element>(x: T) -> T {
    if x > T::zero() { T::zero() } else { x }
}

/// `min(max(x, low), high)`, NaN for NaN.
#[inline(always)]
fn clip<T: Element>(x: T, low: T, high: T) -> T {
    let x = if x > high { high } else { x };
    if x < low { low } else { x }
}

/// `slope` where the condition holds, else zero.
#[inline(always)]
fn slope_if<T: Element>(condition: bool, slope: T) -> T {
    if condition { slope } else { T::zero() }
}

/// Rounded to `f32` even for `f64`.
#[inline(always)]
fn by_way_of_f32<T: Element>(value: f64) -> T {
    T::narrowed((value as f32).into())
}

#[derive(Clone, Copy)]
pub(super) struct Relu;

impl<T: Element> Pointwise<T> for Relu {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        // Without the zero this becomes a masked store where x is positive, which AVX2 is slow at.
        positive(x) + T::zero()
    }
    // By `y`, so that training need not keep `z`.
    #[inline(always)]
    fn slope<A: Arch>(self, _z: T, y: T) -> T {
        slope_if(y > T::zero(), T::one())
    }
}

#[derive(Clone, Copy)]
pub(super) struct LeakyRelu<T>(T);

impl<T: Element> LeakyRelu<T> {
    /// TensorFlow keeps the slope as an `f32`, whatever it multiplies.
    #[inline(always)]
    pub(super) fn new(negative_slope: f64) -> Self {
        LeakyRelu(by_way_of_f32(negative_slope))
    }
}

impl<T: Element> Pointwise<T> for LeakyRelu<T> {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        // One of the two is zero. (A choice would become a masked store, as in relu.)
        positive(x) + self.0 * negative(x)
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, _y: T) -> T {
        if z > T::zero() { T::one() } else { self.0 }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Relu6;

impl<T: Element> Pointwise<T> for Relu6 {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        clip(positive(x), T::zero(), constant(6.0))
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, _y: T) -> T {
        slope_if(z > T::zero() && z < constant(6.0), T::one())
    }
}

/// `relu` with a maximum or a threshold.
#[derive(Clone, Copy)]
pub(super) struct ReluWith<T> {
    negative_slope: T,
    max_value: Option<T>,
    threshold: T,
    /// Where the upper part begins: Keras casts the maximum and the threshold to `f32` first, but not where the lower
    /// part subtracts from the threshold.
    bend: T,
}

impl<T: Element> ReluWith<T> {
    #[inline(always)]
    pub(super) fn new(negative_slope: f64, max_value: Option<f64>, threshold: f64) -> Self {
        ReluWith {
            negative_slope: T::narrowed(negative_slope),
            max_value: max_value.map(by_way_of_f32),
            threshold: T::narrowed(threshold),
            bend: by_way_of_f32(threshold),
        }
    }
}

impl<T: Element> Pointwise<T> for ReluWith<T> {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        let ReluWith { negative_slope, max_value, threshold, bend } = self;
        let above = if threshold == T::zero() { positive(x) } else { slope_if(x > bend, x) };
        let above = if let Some(max) = max_value { clip(above, T::zero(), max) } else { above };
        // Without a slope there is no lower part, not even a 0 * infinity.
        if negative_slope == T::zero() { above } else { above - negative_slope * positive(threshold - x) }
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, _y: T) -> T {
        let ReluWith { negative_slope, max_value, threshold, bend } = self;
        // The maximum is the last point with a slope.
        let within = if let Some(max) = max_value { z <= max && max >= T::zero() } else { true };
        slope_if(z > bend && within, T::one()) + slope_if(z < threshold, negative_slope)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Softsign;

impl<T: Element> Pointwise<T> for Softsign {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        x / (T::one() + x.abs())
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, _y: T) -> T {
        let d = T::one() + z.abs();
        T::one() / (d * d)
    }
}

#[derive(Clone, Copy)]
pub(super) struct SoftShrink<T>(pub(super) T);

impl<T: Element> Pointwise<T> for SoftShrink<T> {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        let below = if x < -self.0 { x + self.0 } else { T::zero() };
        if x > self.0 { x - self.0 } else { below }
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, _y: T) -> T {
        slope_if(z > self.0 || z < -self.0, T::one())
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardShrink<T>(pub(super) T);

impl<T: Element> Pointwise<T> for HardShrink<T> {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        slope_if(x.abs() > self.0, x)
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, _y: T) -> T {
        slope_if(z.abs() > self.0, T::one())
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardTanh;

impl<T: Element> Pointwise<T> for HardTanh {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        clip(x, -T::one(), T::one())
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, _y: T) -> T {
        slope_if(z >= -T::one() && z <= T::one(), T::one())
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardSigmoid;

impl<T: Element> Pointwise<T> for HardSigmoid {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        let six = constant::<T>(6.0);
        clip(x + constant(3.0), T::zero(), six) / six
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, _y: T) -> T {
        slope_if(z > constant(-3.0) && z < constant(3.0), T::one() / constant(6.0))
    }
}

/// Each brought to the nearer end of [-bound, bound]; NaN stays.
pub(super) fn bound<T: Element>(row: &mut [T], bound: f64) {
    let bound = T::narrowed(bound);
    row.iter_mut().for_each(|x| *x = clip(*x, T::zero() - bound, bound));
}

#[derive(Clone, Copy)]
pub(super) struct Affine<T> {
    pub(super) slope: T,
    pub(super) offset: T,
}

impl<T: Element> Pointwise<T> for Affine<T> {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        self.slope * x + self.offset
    }
    #[inline(always)]
    fn slope<A: Arch>(self, _z: T, _y: T) -> T {
        self.slope
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardSigmoidWith<T> {
    pub(super) slope: T,
    pub(super) offset: T,
}

impl<T: Element> Pointwise<T> for HardSigmoidWith<T> {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        clip(self.slope * x + self.offset, T::zero(), T::one())
    }
    // Keras 2 clips with `clip_by_value`, whose ends have a slope.
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, _y: T) -> T {
        let line = self.slope * z + self.offset;
        slope_if(line >= T::zero() && line <= T::one(), self.slope)
    }
}

#[derive(Clone, Copy)]
pub(super) struct SparseSigmoid;

impl<T: Element> Pointwise<T> for SparseSigmoid {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        clip(constant::<T>(0.5) * (x + T::one()), T::zero(), T::one())
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, _y: T) -> T {
        slope_if(z > -T::one() && z < T::one(), constant(0.5))
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardSilu;

impl<T: Element> Pointwise<T> for HardSilu {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        x * HardSigmoid.value::<A>(x)
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, y: T) -> T {
        HardSigmoid.value::<A>(z) + z * Pointwise::<T>::slope::<A>(HardSigmoid, z, y)
    }
}

#[derive(Clone, Copy)]
pub(super) struct SparsePlus;

impl<T: Element> Pointwise<T> for SparsePlus {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        let x1 = x + T::one();
        let bend = if x < T::one() { constant::<T>(0.25) * (x1 * x1) } else { x };
        if x <= -T::one() { T::zero() } else { bend }
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, _y: T) -> T {
        Pointwise::<T>::value::<A>(SparseSigmoid, z)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Threshold<T> {
    pub(super) threshold: T,
    pub(super) default: T,
}

impl<T: Element> Pointwise<T> for Threshold<T> {
    #[inline(always)]
    fn value<A: Arch>(self, x: T) -> T {
        if x > self.threshold { x } else { self.default }
    }
    #[inline(always)]
    fn slope<A: Arch>(self, z: T, _y: T) -> T {
        slope_if(z > self.threshold, T::one())
    }
}
