//! The register tile: a few rows times a few lines of a packed matrix, summed in registers.
//!
//! ```text
//! for k:  w[n] = weights[k][first + n]            n lines, loaded once
//!         for m: sum[m][n] += w[n] * row[m][k]    m rows
//! ```
//!
//! Each sum is one chain of fused multiply-adds in the order of k, whatever the shape of the tile. A chain waits 4
//! cycles for each link, so a tile needs at least 4 chains (8 in AVX2); what registers are left for is rows, because
//! each line that is loaded then serves more of them.
//!
//! Trap: sums that are indexed by a loop variable stay in memory (2 to 3 times slower). So the loops over rows and lines
//! are unrolled by a macro, with constant indices.

use super::isa::Arch;
use super::lanes::{Lanes, add_scaled};
use crate::Float;

/// `body` for each `i` in `0..count`, `i` being a constant in each.
macro_rules! unrolled {
    ($i:ident in 0..$count:expr => $body:block) => {
        unrolled!(@ $i, $count, $body, 0 1 2 3 4 5 6 7)
    };
    (@ $i:ident, $count:expr, $body:block, $($n:literal)*) => {
        $(if $n < $count {
            const $i: usize = $n;
            $body
        })*
    };
}

/// Sums of `M` rows and `N` lines.
pub(super) type Sums<V, const N: usize, const M: usize> = [[V; N]; M];

/// Adds the products of a group's lines `first ..` with `rows`, in the order of the rows of `weights`.
#[inline(always)]
pub(super) fn add_products<A: Arch, T: Float, V: Lanes<T>, const G: usize, const N: usize, const M: usize>(
    sums: Sums<V, N, M>,
    weights: &[[V; G]],
    first: usize,
    rows: [&[T]; M],
) -> Sums<V, N, M> {
    let mut sums = sums;
    let mut rows = rows;
    let n = weights.len();
    unrolled!(I in 0..M => { rows[I] = &rows[I][..n]; });
    assert!(first + N <= G);
    for k in 0..n {
        unrolled!(I in 0..M => {
            let factor = rows[I][k];
            unrolled!(J in 0..N => {
                sums[I][J] = add_scaled::<A, T, V>(sums[I][J], &weights[k][first + J], factor);
            });
        });
    }
    sums
}

/// The same for one row and all lines of a group.
#[inline(always)]
pub(super) fn add_products_of_row<A: Arch, T: Float, V: Lanes<T>, const G: usize>(
    mut sums: [V; G],
    weights: &[[V; G]],
    row: &[T],
) -> [V; G] {
    assert_eq!(weights.len(), row.len());
    for (lines, &factor) in weights.iter().zip(row) {
        unrolled!(J in 0..G => { sums[J] = add_scaled::<A, T, V>(sums[J], &lines[J], factor); });
    }
    sums
}
