//! Sums of outer products: `sums[k][column] += operand[row][k] * dz[row][column]` over rows, in their order.
//!
//! A few k and a few lines of columns are summed in registers over some rows, so that each sum is one chain of fused
//! multiply-adds that begins with what was there. The rows are taken in lots, and of a lot the columns one block after
//! another, whose dz then stays in the nearest cache while all k pass by.

use super::super::isa::{Arch, Kernel};
use super::super::lanes::{Lanes, add_scaled};
use super::super::products::unrolled;
use crate::Float;
use crate::rows::{Rows, RowsMut};

/// See the module.
pub(super) struct Outer<'a, T> {
    pub operand: Rows<'a, T>,
    pub dz: Rows<'a, T>,
    /// The rows that are summed.
    pub rows: &'a [usize],
    /// Row k is that of the operand's column k.
    pub sums: RowsMut<'a, T>,
}

/// Rows in a lot: four lines of each fill a cache of 32 KiB. Fewer would read and write the sums more often.
const LOT: usize = 128;

/// Values of k whose sums are in registers together: with four lines, 24 sums.
const MOST_K: usize = 6;

impl<T: Float> Kernel for Outer<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let Outer { operand, dz, rows, mut sums } = self;
        for rows in rows.chunks(LOT) {
            lot::<A, T>(Outer { operand, dz, rows, sums: sums.reborrow() });
        }
    }
}

#[inline(always)]
fn lot<A: Arch, T: Float>(mut call: Outer<'_, T>) {
    let width = call.sums.width();
    let mut column = 0;
    if A::ALL_LINES_AT_ONCE {
        while width - column >= 4 * T::LANES {
            all_k::<A, T, T::Line, 4>(&mut call, column);
            column += 4 * T::LANES;
        }
    }
    while width - column >= T::LANES {
        all_k::<A, T, T::Line, 1>(&mut call, column);
        column += T::LANES;
    }
    if width - column >= T::LANES / 2 {
        all_k::<A, T, T::HalfLine, 1>(&mut call, column);
        column += T::LANES / 2;
    }
    while width > column {
        all_k::<A, T, T::One, 1>(&mut call, column);
        column += 1;
    }
}

/// `N` lines of columns from `column` on, for every k.
#[inline(always)]
fn all_k<A: Arch, T: Float, V: Lanes<T>, const N: usize>(call: &mut Outer<'_, T>, column: usize) {
    let count = call.operand.width();
    let mut k = 0;
    while k < count {
        match count - k {
            1 => block::<A, T, V, N, 1>(call, column, k),
            2 => block::<A, T, V, N, 2>(call, column, k),
            3 => block::<A, T, V, N, 3>(call, column, k),
            4 | 5 => block::<A, T, V, N, 4>(call, column, k),
            _ => block::<A, T, V, N, MOST_K>(call, column, k),
        }
        k += match count - k {
            5 => 4,
            left => left.min(MOST_K),
        };
    }
}

#[inline(always)]
fn block<A: Arch, T: Float, V: Lanes<T>, const N: usize, const M: usize>(
    call: &mut Outer<'_, T>,
    column: usize,
    k: usize,
) {
    let mut sums = [[V::splat(T::zero()); N]; M];
    let mut lines = [V::splat(T::zero()); N];
    unrolled!(I in 0..M => {
        let lines = V::arrays(&call.sums.row(k + I)[column..][..N * V::LEN]);
        unrolled!(J in 0..N => { sums[I][J] = V::of(lines[J]); });
    });
    for &row in call.rows {
        let dz = V::arrays(&call.dz.row(row)[column..][..N * V::LEN]);
        let operand = &call.operand.row(row)[k..][..M];
        unrolled!(J in 0..N => { lines[J] = V::of(dz[J]); });
        unrolled!(I in 0..M => {
            let factor = operand[I];
            unrolled!(J in 0..N => { sums[I][J] = add_scaled::<A, T, V>(sums[I][J], lines[J], factor); });
        });
    }
    unrolled!(I in 0..M => {
        let lines = call.sums.row_mut(k + I)[column..][..N * V::LEN].chunks_exact_mut(V::LEN);
        for (line, sum) in lines.zip(&sums[I]) {
            sum.store(line);
        }
    });
}

/// `sums[column] += dz[row][column]` over rows, in their order.
pub(super) struct Sum<'a, T> {
    pub dz: Rows<'a, T>,
    pub rows: &'a [usize],
    pub sums: &'a mut [T],
}

impl<T: Float> Kernel for Sum<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
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
fn sum<T: Float, V: Lanes<T>, const N: usize>(dz: Rows<'_, T>, rows: &[usize], sums: &mut [T], column: usize) {
    let columns = column..column + N * V::LEN;
    let mut lines = [V::splat(T::zero()); N];
    let arrays = V::arrays(&sums[columns.clone()]);
    unrolled!(J in 0..N => { lines[J] = V::of(arrays[J]); });
    for &row in rows {
        let dz = V::arrays(&dz.row(row)[columns.clone()]);
        unrolled!(J in 0..N => { lines[J] = added(lines[J], V::of(dz[J])); });
    }
    let arrays = V::arrays_mut(&mut sums[columns]);
    unrolled!(J in 0..N => { arrays[J] = lines[J].array(); });
}

#[inline(always)]
fn added<T: Float, V: Lanes<T>>(a: V, b: V) -> V {
    let (mut a, b) = (a.array(), b.array());
    for (a, &b) in a.as_mut().iter_mut().zip(b.as_ref()) {
        *a += b;
    }
    V::of(a)
}
