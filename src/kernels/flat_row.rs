//! The sums of one row and one flat group.

use super::isa::Arch;
use super::lanes::{Lanes, Vectors};
use super::packed::{Group, PackedMatrix};
use super::products::{add_products_of_row, unrolled};
use crate::kernels::Element;

/// `start + x * kernel + h * recurrent`, of `G` lines, in registers. `x` is empty if `start` has its products already.
#[inline(always)]
pub(super) fn group_of_row<A: Arch, T: Element, const G: usize>(
    matrix: &PackedMatrix<T>,
    group: &Group,
    start: &[T],
    x: &[T],
    h: &[T],
) -> [<T as Vectors>::Line; G] {
    let weights = T::Line::arrays(matrix.weights(group)).as_chunks::<G>().0;
    let start = &T::Line::arrays(&start[group.z..])[..G];
    let mut sums = [T::Line::splat(T::zero()); G];
    unrolled!(I in 0..G => { sums[I] = T::Line::of(start[I]); });
    let sums = add_products_of_row::<A, T, T::Line, G>(sums, &weights[..x.len()], x);
    add_products_of_row::<A, T, T::Line, G>(sums, &weights[weights.len() - h.len()..], h)
}
