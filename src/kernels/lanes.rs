//! A vector as an array of elements.
//!
//! The loops over such an array are short, of fixed length and the same for each element, so the compiler makes each of
//! them one instruction (or two, or four) of the widest vector unit that the function may use.

use super::isa::Arch;
use crate::Float;

/// `[T; N]` for the N that the kernels use.
pub trait Lanes<T>: Copy + 'static {
    /// N.
    const LEN: usize;

    /// N times the same.
    fn splat(value: T) -> Self;

    /// The elements of `values` as vectors; what doesn't fill one is left out.
    fn slice_of(values: &[T]) -> &[Self];

    /// The first N elements; where there are fewer, `few` with them.
    fn view<'a>(values: &'a [T], few: &'a mut Self) -> &'a Self;

    /// Writes the first elements, as many as `out` takes.
    fn store(&self, out: &mut [T]);

    /// The elements.
    fn values(&self) -> &[T];

    /// The elements, to write.
    fn values_mut(&mut self) -> &mut [T];
}

impl<T: Float, const N: usize> Lanes<T> for [T; N] {
    const LEN: usize = N;

    #[inline(always)]
    fn splat(value: T) -> Self {
        [value; N]
    }

    #[inline(always)]
    fn slice_of(values: &[T]) -> &[Self] {
        values.as_chunks().0
    }

    #[inline(always)]
    fn view<'a>(values: &'a [T], few: &'a mut Self) -> &'a Self {
        match values.first_chunk() {
            Some(all) => all,
            None => {
                copy_few(values, &mut few[..values.len()]);
                few
            }
        }
    }

    #[inline(always)]
    fn store(&self, out: &mut [T]) {
        match out.first_chunk_mut() {
            Some(all) => *all = *self,
            None => {
                // Of a copy, so that `self` can stay in a register in the other case.
                let few = *self;
                copy_few(&few[..out.len()], out);
            }
        }
    }

    #[inline(always)]
    fn values(&self) -> &[T] {
        self
    }

    #[inline(always)]
    fn values_mut(&mut self) -> &mut [T] {
        self
    }
}

/// `sum + vector * factor`, for each element.
#[inline(always)]
pub(super) fn add_scaled<A: Arch, T: Float, V: Lanes<T>>(mut sum: V, vector: &V, factor: T) -> V {
    for (sum, &v) in sum.values_mut().iter_mut().zip(vector.values()) {
        *sum = A::mul_add(v, factor, *sum);
    }
    sum
}

/// Copies fewer than 16 elements without a call of `memcpy`, which costs a tenth of a small step.
#[inline(always)]
fn copy_few<T: Copy>(mut from: &[T], mut to: &mut [T]) {
    macro_rules! copy {
        ($($n:literal)*) => {$(
            let (chunk, place) = (from.split_first_chunk::<$n>(), to.first_chunk_mut::<$n>());
            if let (Some((chunk, rest)), Some(place)) = (chunk, place) {
                *place = *chunk;
                from = rest;
                to = &mut to[$n..];
            }
        )*};
    }
    copy!(8 4 2 1);
    debug_assert!(from.is_empty() && to.is_empty());
}
