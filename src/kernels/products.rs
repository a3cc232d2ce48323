//! The register tile: a few rows times a few lines of a packed matrix, summed in registers.
//!
//! ```text
//! for k:  w[n] = weights[k][first + n]            N lines, loaded once
//!         for m: sum[m][n] += w[n] * row[m][k]    M rows
//! ```
//!
//! Each sum is one chain of fused multiply-adds in the order of k, whatever the shape of the tile. A chain waits 4
//! cycles for each link, so a tile needs at least 4 chains (8 with 256-bit vectors). The registers that are left go to
//! rows, because each line that is loaded then serves more of them: at one row the loads decide, at six the sums.

use super::isa::Arch;
use super::lanes::{Lanes, add_scaled, prefetch_ahead};
use crate::kernels::Element;

/// Trap 1. `body` for each `i` in `0..count`, with `i` a constant in each: sums that a loop variable indexes would stay
/// in memory, at 2 to 3 times the time. The condition is `const`, so that what it excludes isn't compiled: nine tenths
/// of all code before the optimizer, if it were.
macro_rules! unrolled {
    ($i:ident in 0..$count:expr => $body:block) => {
        unrolled!(@ $i, $count, $body, 0 1 2 3 4 5 6 7)
    };
    (@ $i:ident, $count:expr, $body:block, $($n:literal)*) => {
        $(if const { $n < $count } {
            const $i: usize = $n;
            $body
        })*
    };
}
pub(super) use unrolled;

/// Trap 9. How many k ahead lines are asked for that aren't side by side: small matrices are in the second cache, large
/// ones come from the third.
#[inline(always)]
fn ahead(count: usize) -> usize {
    (count / 8).clamp(24, 64)
}

/// The same of lines that are side by side: they come from the second cache, in time only if they are asked for.
const AHEAD: usize = 8;

/// Sums of `M` rows and `N` lines.
pub(super) type Sums<V, const N: usize, const M: usize> = [[V; N]; M];

/// Adds the products of `rows` with `N` of a group's `G` lines, from `first` on, in the order of `weights`.
#[inline(always)]
pub(super) fn add_products<A: Arch, T: Element, V: Lanes<T>, const G: usize, const N: usize, const M: usize>(
    mut sums: Sums<V, N, M>,
    weights: &[[V::Array; G]],
    first: usize,
    mut rows: [&[T]; M],
) -> Sums<V, N, M> {
    assert!(first + N <= G);
    let count = weights.len();
    unrolled!(I in 0..M => { rows[I] = &rows[I][..count]; });
    let ahead = ahead(count);
    let mut lines = [V::splat(T::zero()); N];
    for k in 0..count {
        if const { N < G } {
            prefetch_ahead(weights, k + ahead, first);
        } else {
            unrolled!(J in 0..N => { prefetch_ahead(weights, k + AHEAD, J); });
        }
        // Trap 2: a line of weights is a vector before it meets the rows.
        unrolled!(J in 0..N => { lines[J] = V::of(weights[k][first + J]); });
        unrolled!(I in 0..M => {
            let factor = rows[I][k];
            unrolled!(J in 0..N => { sums[I][J] = add_scaled::<A, T, V>(sums[I][J], lines[J], factor); });
        });
    }
    sums
}

/// The same for one row and all lines of a group.
#[inline(always)]
pub(super) fn add_products_of_row<A: Arch, T: Element, V: Lanes<T>, const G: usize>(
    mut sums: [V; G],
    weights: &[[V::Array; G]],
    row: &[T],
) -> [V; G] {
    assert_eq!(weights.len(), row.len());
    for (lines, &factor) in weights.iter().zip(row) {
        unrolled!(J in 0..G => { sums[J] = add_scaled::<A, T, V>(sums[J], V::of(lines[J]), factor); });
    }
    sums
}

/// The same for two groups at once: twice the chains, and each element of the row loaded half as often.
#[inline(always)]
pub(super) fn add_products_of_row_to_two<A: Arch, T: Element, V: Lanes<T>, const G: usize>(
    mut sums: [[V; G]; 2],
    weights: [&[[V::Array; G]]; 2],
    row: &[T],
) -> [[V; G]; 2] {
    assert!(weights[0].len() == row.len() && weights[1].len() == row.len());
    for ((first, second), &factor) in weights[0].iter().zip(weights[1]).zip(row) {
        unrolled!(J in 0..G => { sums[0][J] = add_scaled::<A, T, V>(sums[0][J], V::of(first[J]), factor); });
        unrolled!(J in 0..G => { sums[1][J] = add_scaled::<A, T, V>(sums[1][J], V::of(second[J]), factor); });
    }
    sums
}
