//! A vector value, and arithmetic on it as a loop over its lanes.
//!
//! Each operation turns the value into an array, loops over the array, and turns the result back: a loop of fixed
//! length over numbers that don't depend on one another, which the compiler makes one instruction (or two, or four) of
//! the widest vector unit that the function may use. No instruction set is named here.
//!
//! Trap 2: between the operations the value must not be an array. Kept as arrays, sums that live across a
//! loop are 16 scalars to the compiler; mostly it finds the vectors again, but now and then it misses one, and a small
//! step takes a third longer. So the type of the value is the processor's vector type, where there is one.

use std::fmt::Debug;

use super::isa::Arch;
use crate::kernels::Element;

/// A vector of `T`s.
pub trait Lanes<T>: Copy + 'static {
    /// The number of elements.
    const LEN: usize;

    /// The elements as an array.
    type Array: AsRef<[T]> + AsMut<[T]> + Copy + Debug;

    /// The vector of an array.
    fn of(array: Self::Array) -> Self;

    /// The array of a vector.
    fn array(self) -> Self::Array;

    /// `values` as arrays; what doesn't fill one is left out.
    fn arrays(values: &[T]) -> &[Self::Array];

    /// The same, to write.
    fn arrays_mut(values: &mut [T]) -> &mut [Self::Array];

    /// The same value in each lane.
    fn splat(value: T) -> Self;

    /// The first elements; where there are too few, `few` with them.
    fn view<'a>(values: &'a [T], few: &'a mut Self::Array) -> &'a Self::Array;

    /// Writes the first elements, as many as `out` takes.
    fn store(self, out: &mut [T]);
}

macro_rules! lanes {
    ($name:ident: [$element:ty; $len:literal] as $vector:ident) => {
        #[cfg(target_arch = "x86_64")]
        type $name = std::arch::x86_64::$vector;
        #[cfg(not(target_arch = "x86_64"))]
        type $name = [$element; $len];

        #[cfg(target_arch = "x86_64")]
        lanes!($name: [$element; $len], |value| bytemuck::must_cast(value));
        #[cfg(not(target_arch = "x86_64"))]
        lanes!($name: [$element; $len], |value| value);
    };
    ($name:ty: [$element:ty; $len:literal], |$value:ident| $cast:expr) => {
        impl Lanes<$element> for $name {
            const LEN: usize = $len;
            type Array = [$element; $len];

            #[inline(always)]
            fn of($value: Self::Array) -> Self {
                $cast
            }

            #[inline(always)]
            fn array(self) -> Self::Array {
                let $value = self;
                $cast
            }

            #[inline(always)]
            fn arrays(values: &[$element]) -> &[Self::Array] {
                values.as_chunks().0
            }

            #[inline(always)]
            fn arrays_mut(values: &mut [$element]) -> &mut [Self::Array] {
                values.as_chunks_mut().0
            }

            #[inline(always)]
            fn splat(value: $element) -> Self {
                Self::of([value; $len])
            }

            #[inline(always)]
            fn view<'a>(values: &'a [$element], few: &'a mut Self::Array) -> &'a Self::Array {
                match values.first_chunk() {
                    Some(all) => all,
                    None => {
                        copy_few(values, &mut few[..values.len()]);
                        few
                    }
                }
            }

            #[inline(always)]
            fn store(self, out: &mut [$element]) {
                match out.first_chunk_mut() {
                    Some(all) => *all = self.array(),
                    None => copy_few(&self.array()[..out.len()], out),
                }
            }
        }
    };
}

lanes!(F32x16: [f32; 16] as __m512);
lanes!(F32x8: [f32; 8] as __m256);
lanes!(F64x8: [f64; 8] as __m512d);
lanes!(F64x4: [f64; 4] as __m256d);
lanes!([f32; 1]: [f32; 1], |value| value);
lanes!([f64; 1]: [f64; 1], |value| value);

/// The vectors of an element type.
pub trait Vectors: Sized {
    /// 64 bytes, which is a cache line and the widest vector.
    type Line: Lanes<Self>;
    /// Half of it.
    type HalfLine: Lanes<Self>;
    /// One element.
    type One: Lanes<Self>;
    /// The elements of a line.
    const LANES: usize = Self::Line::LEN;
}

impl Vectors for f32 {
    type Line = F32x16;
    type HalfLine = F32x8;
    type One = [f32; 1];
}

impl Vectors for f64 {
    type Line = F64x8;
    type HalfLine = F64x4;
    type One = [f64; 1];
}

/// `sum + vector * factor`, for each element.
#[inline(always)]
pub(super) fn add_scaled<A: Arch, T: Element, V: Lanes<T>>(sum: V, vector: V, factor: T) -> V {
    let (mut sum, vector) = (sum.array(), vector.array());
    for (sum, &v) in sum.as_mut().iter_mut().zip(vector.as_ref()) {
        *sum = A::mul_add(v, factor, *sum);
    }
    V::of(sum)
}

/// `sum + a * b`, for each element.
#[inline(always)]
pub(super) fn add_product<A: Arch, T: Element, V: Lanes<T>>(sum: V, a: V, b: V) -> V {
    let (mut sum, a, b) = (sum.array(), a.array(), b.array());
    for ((sum, &a), &b) in sum.as_mut().iter_mut().zip(a.as_ref()).zip(b.as_ref()) {
        *sum = A::mul_add(a, b, *sum);
    }
    V::of(sum)
}

/// `a + b`, for each element.
#[inline(always)]
pub(super) fn add<T: Element, V: Lanes<T>>(a: V, b: V) -> V {
    let (mut a, b) = (a.array(), b.array());
    for (a, &b) in a.as_mut().iter_mut().zip(b.as_ref()) {
        *a += b;
    }
    V::of(a)
}

/// Asks for the cache lines of `values`, which will be needed soon: a hint, without which the bits are the same.
#[inline(always)]
pub(super) fn prefetch<T>(values: &[T]) {
    values.chunks(64 / size_of::<T>()).for_each(prefetch_line);
}

/// Asks for the cache line of the first element.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) fn prefetch_line<T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint can't fault and changes no value, and the address is that of a borrowed slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// Asks for the cache line of a vector of one of `lines`, which may lie beyond their end.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) fn prefetch_ahead<V, const G: usize>(lines: &[[V; G]], index: usize, vector: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let vector = lines.as_ptr().wrapping_add(index).cast::<V>().wrapping_add(vector);
        // SAFETY: a hint can't fault and changes no value, whatever the address is: nothing is read through it, and
        // `wrapping_add` may leave the slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(vector.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (lines, index, vector);
}

/// Trap 5. Copies fewer than 16 elements without a call of `memcpy`, which costs a tenth of a small step.
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
