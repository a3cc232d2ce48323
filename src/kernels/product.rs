//! A product of two matrices that both come from outside: attention, products in a graph.
//!
//! Each element is one chain, as everywhere: zero, then one fused multiply-add for each k, in order. So it is what a
//! dense layer without a bias gives whose kernel is the second matrix. That one isn't packed: it is used once. Tiles of
//! rows and columns are summed in registers; the last one of each kind ends where the matrix does and computes anew what
//! it shares with the one before, so that there is nothing left over.

use super::isa::{Arch, Isa, Kernel, dispatch};
use super::lanes::{Lanes, add_scaled};
use super::products::unrolled;
use crate::kernels::Element;

/// Two matrices in row order and their product: (m, k) by (k, n).
pub(crate) struct Product<'a, T> {
    pub(crate) a: &'a [T],
    pub(crate) b: &'a [T],
    /// m, k, n.
    pub(crate) sizes: [usize; 3],
    pub(crate) out: &'a mut [T],
}

impl<T: Element> Product<'_, T> {
    /// Computes it.
    pub(crate) fn compute(self) {
        self.compute_on(Isa::detect());
    }

    /// The same on a given instruction set, one of [`Isa::available`].
    pub(super) fn compute_on(self, isa: Isa) {
        let [m, k, n] = self.sizes;
        assert!(self.a.len() == m * k && self.b.len() == k * n && self.out.len() == m * n);
        if m == 0 || k == 0 || n == 0 {
            self.out.fill(T::zero());
        } else {
            dispatch(isa, self);
        }
    }
}

impl<T: Element> Kernel for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arch>(mut self, _: A) {
        let [_, _, n] = self.sizes;
        if n < T::HalfLine::LEN {
            self.columns::<A, T::One, 1>(0, n);
        } else if n < T::LANES {
            self.columns::<A, T::HalfLine, 1>(0, n);
        } else if const { A::ALL_LINES_AT_ONCE } {
            let pairs = n / (2 * T::LANES) * (2 * T::LANES);
            self.columns::<A, T::Line, 2>(0, pairs);
            self.columns::<A, T::Line, 1>(pairs, n);
        } else {
            self.columns::<A, T::Line, 1>(0, n);
        }
    }
}

/// Where the tile that follows `at` begins: sooner, if there is room, where less than `width` is left before `end`.
#[inline(always)]
fn start(at: usize, end: usize, width: usize) -> usize {
    if at + width <= end { at } else { end.saturating_sub(width) }
}

impl<T: Element> Product<'_, T> {
    /// The columns `first..end`, `N` vectors of them at a time.
    #[inline(always)]
    fn columns<A: Arch, V: Lanes<T>, const N: usize>(&mut self, first: usize, end: usize) {
        let [m, _, _] = self.sizes;
        for at in (first..end).step_by(N * V::LEN) {
            let column = start(at, end, N * V::LEN);
            if const { A::MOST_ROWS[N] >= 8 } && m >= 8 {
                self.rows::<A, V, N, 8>(column);
            } else if m >= 4 {
                self.rows::<A, V, N, 4>(column);
            } else {
                self.rows::<A, V, N, 1>(column);
            }
        }
    }

    /// All rows, `M` at a time.
    #[inline(always)]
    fn rows<A: Arch, V: Lanes<T>, const N: usize, const M: usize>(&mut self, column: usize) {
        let [m, _, _] = self.sizes;
        for at in (0..m).step_by(M) {
            self.tile::<A, V, N, M>(start(at, m, M), column);
        }
    }

    /// `M` rows of `N` vectors of columns.
    #[inline(always)]
    fn tile<A: Arch, V: Lanes<T>, const N: usize, const M: usize>(&mut self, row: usize, column: usize) {
        let [_, depth, n] = self.sizes;
        let mut rows = [&[][..]; M];
        unrolled!(I in 0..M => { rows[I] = &self.a[(row + I) * depth..][..depth]; });
        let mut sums = [[V::splat(T::zero()); N]; M];
        let mut lines = [V::splat(T::zero()); N];
        for (k, of_b) in self.b.chunks_exact(n).enumerate().take(depth) {
            let of_b = V::arrays(&of_b[column..][..N * V::LEN]);
            unrolled!(J in 0..N => { lines[J] = V::of(of_b[J]); });
            unrolled!(I in 0..M => {
                let factor = rows[I][k];
                unrolled!(J in 0..N => { sums[I][J] = add_scaled::<A, T, V>(sums[I][J], lines[J], factor); });
            });
        }
        unrolled!(I in 0..M => {
            let out = V::arrays_mut(&mut self.out[(row + I) * n + column..][..N * V::LEN]);
            unrolled!(J in 0..N => { out[J] = sums[I][J].array(); });
        });
    }
}

/// The rows of a matrix, `apart` elements from one another in `from`, as columns: (columns, rows) of (rows, columns).
pub(crate) fn transpose<T: Copy>(from: &[T], apart: usize, [rows, columns]: [usize; 2], to: &mut [T]) {
    // In squares, whose lines stay near on both sides.
    const SIDE: usize = 16;
    for first in (0..columns).step_by(SIDE) {
        let end = columns.min(first + SIDE);
        for row in (0..rows).step_by(SIDE) {
            let rows_end = rows.min(row + SIDE);
            for column in first..end {
                let to = &mut to[column * rows..][row..rows_end];
                for (row, to) in (row..rows_end).zip(to) {
                    *to = from[row * apart + column];
                }
            }
        }
    }
}
