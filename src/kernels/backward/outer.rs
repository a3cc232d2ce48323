//! Sums of outer products: `sums[k][column] += operand[row][k] * dz[row][column]` over rows, in their order.
//!
//! A few k and a few lines of columns are summed in registers over some rows, so that each sum is one chain of fused
//! multiply-adds that begins with what was there. The rows are taken in lots, and of a lot the columns one block after
//! another, whose dz then stays in the nearest cache while all k pass by. The sums lie in the order in which they are
//! read and written; [`Flush`] takes them to their places in the end.

use super::super::isa::{Arch, Kernel};
use super::super::lanes::{Lanes, add, add_scaled, prefetch};
use super::super::products::unrolled;
use crate::kernels::Element;
use crate::strided::{Rows, RowsMut};

/// See the module.
pub(super) struct Outer<'a, T> {
    pub operand: Rows<'a, T>,
    pub dz: Rows<'a, T>,
    /// The rows that are summed.
    pub rows: &'a [usize],
    /// The sums that aren't asked for, before those that are: whole rows of a block.
    pub skip: usize,
    /// Block after block of columns, as [`block_width`] cuts them; in a block, a row of it for each column of the
    /// operand.
    pub sums: &'a mut [T],
}

/// Rows in a lot: four lines of each fill a cache of 32 KiB. Fewer would read and write the sums more often.
const LOT: usize = 128;

/// Values of k whose sums are in registers together: with four lines, 24 sums.
pub(super) const MOST_K: usize = 6;

/// The columns of the next block, of those that are left; `all_lines` is [`Arch::ALL_LINES_AT_ONCE`].
#[inline(always)]
pub(super) fn block_width<T: Element>(all_lines: bool, left: usize) -> usize {
    match left {
        left if all_lines && left >= 4 * T::LANES => 4 * T::LANES,
        left if left >= T::LANES => T::LANES,
        left if left >= T::LANES / 2 => T::LANES / 2,
        _ => 1,
    }
}

impl<T: Element> Kernel for Outer<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let Outer { operand, dz, rows, skip, sums } = self;
        let (mut first, mut skipped) = (0, 0);
        let width_at = |column| block_width::<T>(A::ALL_LINES_AT_ONCE, dz.width() - column);
        while skipped + operand.width() * width_at(first) <= skip {
            skipped += operand.width() * width_at(first);
            first += width_at(first);
        }
        let first_k = (skip - skipped) / width_at(first);
        for rows in rows.chunks(LOT) {
            let (mut column, mut k, mut rest) = (first, first_k, &mut *sums);
            while !rest.is_empty() {
                let width = width_at(column);
                let count = (operand.width() - k).min(rest.len() / width);
                let (sums, others) = rest.split_at_mut(count * width);
                let operand = operand.columns(k..k + count);
                let call = &mut Lot { operand, dz: dz.columns(column..column + width), rows, sums };
                if width == 4 * T::LANES {
                    all_k::<A, T, T::Line, 4>(call);
                } else if width == T::LANES {
                    all_k::<A, T, T::Line, 1>(call);
                } else if width == T::LANES / 2 {
                    all_k::<A, T, T::HalfLine, 1>(call);
                } else {
                    all_k::<A, T, T::One, 1>(call);
                }
                (column, k, rest) = (column + width, 0, others);
            }
        }
    }
}

/// Some rows and one block of columns.
struct Lot<'a, T> {
    operand: Rows<'a, T>,
    dz: Rows<'a, T>,
    rows: &'a [usize],
    sums: &'a mut [T],
}

/// `N` lines of columns, for every k.
#[inline(always)]
fn all_k<A: Arch, T: Element, V: Lanes<T>, const N: usize>(call: &mut Lot<'_, T>) {
    let count = call.operand.width();
    let mut k = 0;
    while k < count {
        match count - k {
            1 => block::<A, T, V, N, 1>(call, k),
            2 => block::<A, T, V, N, 2>(call, k),
            3 => block::<A, T, V, N, 3>(call, k),
            4 | 5 => block::<A, T, V, N, 4>(call, k),
            _ => block::<A, T, V, N, MOST_K>(call, k),
        }
        k += match count - k {
            5 => 4,
            left => left.min(MOST_K),
        };
    }
}

#[inline(always)]
fn block<A: Arch, T: Element, V: Lanes<T>, const N: usize, const M: usize>(call: &mut Lot<'_, T>, k: usize) {
    let (here, after) = call.sums[k * N * V::LEN..].split_at_mut(M * N * V::LEN);
    // The next block's sums come from further away than a loop can wait for.
    prefetch(&after[..after.len().min(M * N * V::LEN)]);
    let here = V::arrays_mut(here).as_chunks_mut::<N>().0;
    let mut sums = [[V::splat(T::zero()); N]; M];
    let mut lines = [V::splat(T::zero()); N];
    unrolled!(I in 0..M => {
        unrolled!(J in 0..N => { sums[I][J] = V::of(here[I][J]); });
    });
    for &row in call.rows {
        let dz = V::arrays(&call.dz.row(row)[..N * V::LEN]);
        let operand = &call.operand.row(row)[k..][..M];
        unrolled!(J in 0..N => { lines[J] = V::of(dz[J]); });
        unrolled!(I in 0..M => {
            let factor = operand[I];
            unrolled!(J in 0..N => { sums[I][J] = add_scaled::<A, T, V>(sums[I][J], lines[J], factor); });
        });
    }
    unrolled!(I in 0..M => {
        unrolled!(J in 0..N => { here[I][J] = sums[I][J].array(); });
    });
}

/// Adds sums to rows of a matrix.
pub(super) struct Flush<'a, T> {
    pub sums: &'a [T],
    /// A row for each column of the operand.
    pub out: RowsMut<'a, T>,
}

impl<T: Element> Kernel for Flush<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let Flush { sums, mut out } = self;
        let columns = out.width();
        let count = sums.len() / columns;
        let (mut column, mut rest) = (0, sums);
        while column < columns {
            let width = block_width::<T>(A::ALL_LINES_AT_ONCE, columns - column);
            let (sums, others) = rest.split_at(count * width);
            for (k, sums) in sums.chunks_exact(width).enumerate() {
                let out = &mut out.row_mut(k)[column..column + width];
                for (out, &sum) in out.iter_mut().zip(sums) {
                    *out += sum;
                }
            }
            (column, rest) = (column + width, others);
        }
    }
}

/// `sums[column] += dz[row][column]` over rows, in their order.
pub(super) struct Sum<'a, T> {
    pub dz: Rows<'a, T>,
    pub rows: &'a [usize],
    pub sums: &'a mut [T],
}

impl<T: Element> Kernel for Sum<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let Sum { dz, rows, sums } = self;
        let width = sums.len();
        let mut column = 0;
        while width - column >= 4 * T::LANES {
            sum::<T, T::Line, 4>(dz, rows, sums, column);
            column += 4 * T::LANES;
        }
        while width - column >= T::LANES {
            sum::<T, T::Line, 1>(dz, rows, sums, column);
            column += T::LANES;
        }
        while width > column {
            sum::<T, T::One, 1>(dz, rows, sums, column);
            column += 1;
        }
    }
}

#[inline(always)]
fn sum<T: Element, V: Lanes<T>, const N: usize>(dz: Rows<'_, T>, rows: &[usize], sums: &mut [T], column: usize) {
    let columns = column..column + N * V::LEN;
    let mut lines = [V::splat(T::zero()); N];
    let arrays = V::arrays(&sums[columns.clone()]);
    unrolled!(J in 0..N => { lines[J] = V::of(arrays[J]); });
    for &row in rows {
        let dz = V::arrays(&dz.row(row)[columns.clone()]);
        unrolled!(J in 0..N => { lines[J] = add(lines[J], V::of(dz[J])); });
    }
    let arrays = V::arrays_mut(&mut sums[columns]);
    unrolled!(J in 0..N => { arrays[J] = lines[J].array(); });
}
