//! Functions in f32 for schedules: computed in f64 and rounded once, the same on every machine.

use crate::math::{exp, ln};

/// Of a base of at least 0.
pub(super) fn power(base: f32, exponent: f32) -> f32 {
    if exponent == 0.0 || base == 1.0 {
        1.0
    } else if base == 0.0 {
        if exponent > 0.0 { 0.0 } else { f32::INFINITY }
    } else {
        exp(f64::from(exponent) * ln(f64::from(base))) as f32
    }
}

pub(super) fn logarithm(x: f32) -> f32 {
    ln(f64::from(x)) as f32
}

/// From 1 down to 0 while the fraction goes from 0 to 1: `(1 + cos(π fraction)) / 2`.
pub(super) fn half_wave(fraction: f32) -> f32 {
    let (_, cos) = crate::random::sin_cos_f32(std::f32::consts::PI * fraction);
    0.5 * (1.0 + cos)
}
