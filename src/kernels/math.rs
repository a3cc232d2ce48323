//! Stand-in until branch `math` is merged.

use super::isa::Arch;
use crate::Float;

#[inline(always)]
pub(crate) fn sigmoid<A: Arch, T: Float>(x: T) -> T {
    T::one() / (T::one() + (-x).exp())
}

#[inline(always)]
pub(crate) fn tanh<A: Arch, T: Float>(x: T) -> T {
    x.tanh()
}
