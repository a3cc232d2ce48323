//! Stand-in until branch `math` is merged.

use super::isa::Arch;
use super::math;
use crate::{Activation, Float};

/// Replaces each value by its activation.
#[inline(always)]
pub(crate) fn apply<A: Arch, T: Float>(activation: &Activation, values: &mut [T]) {
    match activation {
        Activation::Linear => {}
        Activation::Relu => values.iter_mut().for_each(|v| *v = if *v > T::zero() { *v } else { T::zero() }),
        Activation::Tanh => values.iter_mut().for_each(|v| *v = math::tanh::<A, T>(*v)),
        Activation::Sigmoid => values.iter_mut().for_each(|v| *v = math::sigmoid::<A, T>(*v)),
        Activation::HardSigmoid => values.iter_mut().for_each(|v| {
            let y = *v / T::from_f64(6.0) + T::from_f64(0.5);
            *v = if y < T::zero() { T::zero() } else { y };
            *v = if *v > T::one() { T::one() } else { *v };
        }),
        Activation::Softsign => values.iter_mut().for_each(|v| *v /= T::one() + v.abs()),
        Activation::Softmax => {
            let max = values.iter().copied().fold(values[0], |a, b| if b > a { b } else { a });
            let mut sum = T::zero();
            for v in values.iter_mut() {
                *v = (*v - max).exp();
                sum += *v;
            }
            values.iter_mut().for_each(|v| *v /= sum);
        }
    }
}
