//! One unit's step with the default activations, tanh and sigmoid, from the preactivations on.

use super::isa::Arch;
use super::math::{sigmoid, tanh};
use crate::Float;

/// `h, c` of an LSTM's unit.
#[inline(always)]
pub(super) fn lstm<A: Arch, T: Float>(i: T, f: T, g: T, o: T, c: T) -> (T, T) {
    let ig = sigmoid::<A, T>(i) * tanh::<A, T>(g);
    let c = A::mul_add(sigmoid::<A, T>(f), c, ig);
    (sigmoid::<A, T>(o) * tanh::<A, T>(c), c)
}

/// `h` of a GRU's unit with `reset_after`: `x` and `h` are the candidate's two parts.
#[inline(always)]
pub(super) fn gru_after<A: Arch, T: Float>(z: T, r: T, x: T, h: T, prev: T) -> T {
    let n = tanh::<A, T>(A::mul_add(sigmoid::<A, T>(r), h, x));
    mix::<A, T>(sigmoid::<A, T>(z), prev, n)
}

/// `z * h + (1 - z) * candidate`.
#[inline(always)]
pub(super) fn mix<A: Arch, T: Float>(z: T, prev: T, candidate: T) -> T {
    A::mul_add(T::one() - z, candidate, z * prev)
}
