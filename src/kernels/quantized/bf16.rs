//! A matrix of 16-bit floats (bfloat16: an f32 without its lower half), two in a word.

use super::super::isa::{Arch, Isa, Kernel, dispatch};
use super::super::lanes::{Lanes, Vectors, add_scaled};
use super::super::products::unrolled;
use super::work::{Values, Work};
use super::{Group, LINE, groups, line_of};
use crate::aligned::Aligned;

/// The most pairs of lines in a group.
const GROUP: usize = 4;

type Line = <f32 as Vectors>::Line;

/// Columns in lines of 16, two lines in 16 words: the first one's weights in the low halves, the second one's in the
/// high ones. Pairs of lines in groups of up to four, row after row.
#[derive(Clone)]
pub(super) struct Bf16Matrix {
    pub rows: usize,
    pub columns: usize,
    words: Aligned<u32>,
}

/// The nearest 16-bit float, ties to even, as the upper half of an f32's bits: infinite if that is too large.
pub(super) fn rounded(weight: f32) -> u16 {
    let bits = weight.to_bits();
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

impl Bf16Matrix {
    /// Of (rows, `all` columns) the columns from `first` on.
    pub(super) fn new(matrix: &[u16], rows: usize, all: usize, first: usize, columns: usize) -> Self {
        let words = Aligned::zeros(rows * pairs(columns) * LINE);
        let mut packed = Bf16Matrix { rows, columns, words };
        for (row, weights) in matrix.chunks_exact(all).take(rows).enumerate() {
            for (column, &weight) in weights[first..][..columns].iter().enumerate() {
                let (place, shift) = packed.place(row, column);
                packed.words[place] |= u32::from(weight) << shift;
            }
        }
        packed
    }

    /// The word that a weight stands in, and how far up.
    fn place(&self, row: usize, column: usize) -> (usize, u32) {
        let (pair, all) = (column / (2 * LINE), pairs(self.columns));
        let first = pair - pair % GROUP;
        let in_group = GROUP.min(all - first);
        let group = first * self.rows * LINE;
        let shift = if (column / LINE).is_multiple_of(2) { 0 } else { 16 };
        (group + (row * in_group + pair - first) * LINE + column % LINE, shift)
    }

    /// The words of some columns, into a matrix of so many.
    pub(super) fn unpack(&self, matrix: &mut [u16], all: usize, first: usize) {
        for (row, weights) in matrix.chunks_exact_mut(all).enumerate() {
            for (column, weight) in weights[first..][..self.columns].iter_mut().enumerate() {
                let (place, shift) = self.place(row, column);
                *weight = (self.words[place] >> shift) as u16;
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.words.len() * size_of::<u32>()
    }

    /// `z += values * matrix`; `z` has the matrix's columns.
    pub(super) fn add(&self, isa: Isa, values: &Values<'_>, work: &mut Work<'_>, backwards: bool) {
        dispatch(isa, Add { matrix: self, values, work, backwards });
    }
}

/// The pairs of lines of so many columns.
fn pairs(columns: usize) -> usize {
    columns.div_ceil(2 * LINE)
}

struct Add<'a, 'w> {
    matrix: &'a Bf16Matrix,
    values: &'a Values<'a>,
    work: &'a mut Work<'w>,
    /// The order of the groups.
    backwards: bool,
}

impl Kernel for Add<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(mut self, arch: A) {
        let matrix = self.matrix;
        let (words, _) = matrix.words.as_chunks::<LINE>();
        for group in groups(pairs(matrix.columns), GROUP, self.backwards) {
            let weights = &words[group.first * matrix.rows..][..matrix.rows * group.lines];
            let mut row = 0;
            while row < self.work.count {
                row += self.some_rows::<A>(arch, group, weights, row);
            }
        }
    }
}

impl Add<'_, '_> {
    /// As many rows as fit, of all pairs of a group.
    #[inline(always)]
    fn some_rows<A: Arch>(&mut self, arch: A, group: Group, weights: &[[u32; LINE]], row: usize) -> usize {
        let left = self.work.count - row;
        // Trap 8: no code for what isn't used.
        if const { A::ALL_LINES_AT_ONCE } {
            if left >= 3 {
                self.pairs_of_rows::<A, 3>(arch, group, weights, row);
                return 3;
            }
            if left == 2 {
                self.pairs_of_rows::<A, 2>(arch, group, weights, row);
                return 2;
            }
        }
        self.pairs_of_rows::<A, 1>(arch, group, weights, row);
        1
    }

    /// So many rows, as many pairs at a time as have sums that stay in registers.
    #[inline(always)]
    fn pairs_of_rows<A: Arch, const M: usize>(&mut self, arch: A, group: Group, weights: &[[u32; LINE]], row: usize) {
        let mut pair = 0;
        while pair < group.lines {
            let left = group.lines - pair;
            if const { A::ALL_LINES_AT_ONCE } && left == GROUP {
                self.tile::<A, GROUP, M>(arch, group, pair, weights, row);
                pair += GROUP;
            } else if left >= 2 {
                self.tile::<A, 2, M>(arch, group, pair, weights, row);
                pair += 2;
            } else {
                self.tile::<A, 1, M>(arch, group, pair, weights, row);
                pair += 1;
            }
        }
    }

    /// `N` pairs of lines of `M` rows, in registers.
    #[inline(always)]
    fn tile<A: Arch, const N: usize, const M: usize>(
        &mut self,
        arch: A,
        group: Group,
        pair: usize,
        weights: &[[u32; LINE]],
        row: usize,
    ) {
        let first = 2 * (group.first + pair);
        let mut starts = [[[[0.0; LINE]; 2]; N]; M];
        for (m, starts) in starts.iter_mut().enumerate() {
            let z = self.work.z_mut(row + m);
            for n in 0..2 * N {
                if (first + n) * LINE < z.len() {
                    copy(line_of(arch, z, first + n), &mut starts[n / 2][n % 2]);
                }
            }
        }
        let mut values: [&[f32]; M] = [&[]; M];
        unrolled!(I in 0..M => { values[I] = &self.values.row(self.work, row + I)[..self.matrix.rows]; });
        let ends = sums::<A, N, M>(weights, group.lines, pair, values, &starts);
        for (m, ends) in ends.iter().enumerate() {
            let z = self.work.z_mut(row + m);
            for n in 0..2 * N {
                if (first + n) * LINE < z.len() {
                    Line::of(ends[n / 2][n % 2]).store(line_of(arch, z, first + n));
                }
            }
        }
    }
}

#[inline(always)]
fn copy(from: &[f32], to: &mut [f32; LINE]) {
    let mut few = [0.0; LINE];
    *to = *Line::view(from, &mut few);
}

/// `starts` and the products of `M` rows with `N` pairs of a group of so many.
#[inline(always)]
fn sums<A: Arch, const N: usize, const M: usize>(
    weights: &[[u32; LINE]],
    pairs: usize,
    pair: usize,
    rows: [&[f32]; M],
    starts: &[[[[f32; LINE]; 2]; N]; M],
) -> [[[[f32; LINE]; 2]; N]; M] {
    let mut sums = [[[Line::splat(0.0); 2]; N]; M];
    unrolled!(I in 0..M => {
        unrolled!(J in 0..N => { sums[I][J] = [Line::of(starts[I][J][0]), Line::of(starts[I][J][1])]; });
    });
    for (k, weights) in weights.chunks_exact(pairs).enumerate() {
        let weights: &[[u32; LINE]; N] = match weights[pair..].first_chunk() {
            Some(weights) => weights,
            None => unreachable!("so many pairs are left in the group"),
        };
        // Trap 2: vectors before they meet the rows.
        let mut lines = [[Line::splat(0.0); 2]; N];
        unrolled!(J in 0..N => { lines[J] = widened(&weights[J]); });
        unrolled!(I in 0..M => {
            let factor = rows[I][k];
            unrolled!(J in 0..N => {
                sums[I][J] = [
                    add_scaled::<A, f32, Line>(sums[I][J][0], lines[J][0], factor),
                    add_scaled::<A, f32, Line>(sums[I][J][1], lines[J][1], factor),
                ];
            });
        });
    }
    // Trap 1: out of the registers before a loop looks at them.
    let mut ends = [[[[0.0; LINE]; 2]; N]; M];
    unrolled!(I in 0..M => {
        unrolled!(J in 0..N => { ends[I][J] = [sums[I][J][0].array(), sums[I][J][1].array()]; });
    });
    ends
}

/// The two lines of a pair.
#[inline(always)]
fn widened(words: &[u32; LINE]) -> [Line; 2] {
    let (mut low, mut high) = ([0.0; LINE], [0.0; LINE]);
    for i in 0..LINE {
        low[i] = f32::from_bits(words[i] << 16);
        high[i] = f32::from_bits(words[i] & 0xffff_0000);
    }
    [Line::of(low), Line::of(high)]
}
