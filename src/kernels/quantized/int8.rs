//! A matrix of bytes, with a scale for each column.

use super::super::isa::bytes::{ByteLine, ByteProducts};
use super::super::isa::{Arch, ByteIsa, Kernel, dispatch_bytes};
use super::super::products::unrolled;
use super::operand::{Bits, Encoded, encoded_len};
use super::work::Work;
use super::{Group, LINE, groups, line_of};
use crate::aligned::Aligned;

/// Rows whose products add up to a whole number of 32 bits, whatever they are: 127 * 8191 * 2048 < 2^31.
pub(super) const BLOCK: usize = 2048;

/// The most lines in a group.
const GROUP: usize = 8;

/// Zero, as a byte.
const ZERO: u8 = 128;

/// Numbers as bytes from -127 to 127, the largest of which is the largest of them, and what a byte stands for.
pub(super) fn whole_numbers<'m, I: Iterator<Item = &'m f32>>(numbers: impl Fn() -> I) -> (impl Fn(f32) -> i8, f32) {
    let largest = numbers().fold(0.0_f32, |largest, number| largest.max(number.abs()));
    let scale = (f64::from(largest) / LIMIT) as f32;
    let whole = move |number: f32| match scale > 0.0 {
        true => (f64::from(number) * LIMIT / f64::from(largest)).round_ties_even() as i8,
        false => 0,
    };
    (whole, scale)
}

/// The largest weight of a column.
const LIMIT: f64 = 127.0;

/// Columns in lines of 16, of four rows each, 64 bytes; lines in groups of up to eight:
///
/// ```text
/// group 0: rows 0-3 [line 0]..[line 7], rows 4-7 [line 0]..[line 7], ...          group 1 ...
/// line:    column 0 [4 rows], column 1 [4 rows], ..
/// ```
#[derive(Clone)]
pub(super) struct Int8Matrix {
    pub rows: usize,
    pub columns: usize,
    /// 128 too large each: see `isa::bytes`.
    weights: Aligned<u8>,
    /// To the end of the last line.
    scales: Aligned<f32>,
}

impl Int8Matrix {
    /// Of (rows, all columns) and a scale for each the columns from `first` on.
    pub(super) fn new(matrix: &[i8], of_columns: &[f32], rows: usize, first: usize, columns: usize) -> Self {
        let lines = columns.div_ceil(LINE);
        let (mut weights, mut scales) = (Aligned::zeros(rows.div_ceil(4) * lines * 64), Aligned::zeros(lines * LINE));
        weights.fill(ZERO);
        scales[..columns].copy_from_slice(&of_columns[first..][..columns]);
        let mut packed = Int8Matrix { rows, columns, weights, scales };
        for (row, weights) in matrix.chunks_exact(of_columns.len()).take(rows).enumerate() {
            for (column, &weight) in weights[first..][..columns].iter().enumerate() {
                let place = packed.place(row, column);
                packed.weights[place] = (i16::from(weight) + i16::from(ZERO)) as u8;
            }
        }
        packed
    }

    /// The bytes of some columns, and their scales, into a matrix of all of them.
    pub(super) fn unpack(&self, matrix: &mut [i8], of_columns: &mut [f32], first: usize) {
        of_columns[first..][..self.columns].copy_from_slice(&self.scales[..self.columns]);
        for (row, weights) in matrix.chunks_exact_mut(of_columns.len()).enumerate() {
            for (column, weight) in weights[first..][..self.columns].iter_mut().enumerate() {
                *weight = self.whole(row, column);
            }
        }
    }

    fn place(&self, row: usize, column: usize) -> usize {
        let (line, lines) = (column / LINE, self.columns.div_ceil(LINE));
        let first = line - line % GROUP;
        let in_group = GROUP.min(lines - first);
        let group = first * self.rows.div_ceil(4) * 64;
        group + (row / 4 * in_group + line - first) * 64 + column % LINE * 4 + row % 4
    }

    /// A weight as a whole number.
    #[inline]
    fn whole(&self, row: usize, column: usize) -> i8 {
        (i16::from(self.weights[self.place(row, column)]) - i16::from(ZERO)) as i8
    }

    /// What a weight means.
    #[inline]
    pub(super) fn weight(&self, row: usize, column: usize) -> f32 {
        f32::from(self.whole(row, column)) * self.scales[column]
    }

    pub(super) fn bytes(&self) -> usize {
        self.weights.len() + self.scales.len() * size_of::<f32>()
    }

    /// `z += rows * matrix`, of encoded rows; `z` has the matrix's columns.
    pub(super) fn add(&self, isa: ByteIsa, bits: Bits, work: &mut Work<'_>, backwards: bool) {
        let divides = bits == Bits::Keras;
        match (bits, isa) {
            (Bits::Eight | Bits::Keras, ByteIsa::Vnni(_)) => {
                dispatch_bytes(isa, Add::<false> { matrix: self, work, divides, backwards })
            }
            // Pairs of 16 bits are what they are.
            _ => dispatch_bytes(isa, Add::<true> { matrix: self, work, divides, backwards }),
        }
    }
}

struct Add<'a, 'w, const IN_TWO: bool> {
    matrix: &'a Int8Matrix,
    work: &'a mut Work<'w>,
    /// Whether sums are divided by the scales, as Keras's are, and are of all rows.
    divides: bool,
    /// The order of the groups.
    backwards: bool,
}

impl<const IN_TWO: bool> Kernel for Add<'_, '_, IN_TWO> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        // Trap 8: no code for what isn't used.
        if const { IN_TWO || <A::Bytes as ByteProducts<A>>::AS_BYTES } {
            self.all(arch);
        } else {
            unreachable!("`Int8Matrix::add` doesn't ask for it");
        }
    }
}

impl<const IN_TWO: bool> Add<'_, '_, IN_TWO> {
    /// All groups and rows.
    #[inline(always)]
    fn all<A: Arch>(mut self, arch: A) {
        let (matrix, count) = (self.matrix, self.work.count);
        let fours = matrix.rows.div_ceil(4);
        let (lines, _) = matrix.weights.as_chunks::<64>();
        // Keras's sums of bytes fit, or are wrapped in Keras, too.
        let length = if self.divides { 4 * fours.max(1) } else { BLOCK };
        for block in (0..matrix.rows).step_by(length) {
            for group in groups(matrix.columns.div_ceil(LINE), GROUP, self.backwards) {
                let first = group.first * fours + block / 4 * group.lines;
                let weights = &lines[first..][..(fours - block / 4).min(length / 4) * group.lines];
                let mut row = 0;
                while row < count {
                    row += self.some_rows::<A>(arch, group, weights, block / length, row);
                }
            }
        }
    }

    /// As many rows as fit, of all lines of a group.
    #[inline(always)]
    fn some_rows<A: Arch>(&mut self, arch: A, group: Group, weights: &[ByteLine], block: usize, row: usize) -> usize {
        let left = self.work.count - row;
        // Trap 8: no code for what isn't used.
        if const { <A::Bytes as ByteProducts<A>>::ROWS >= 3 } {
            if left >= 3 {
                self.lines_of_rows::<A, 3>(arch, group, weights, block, row);
                return 3;
            }
            if left == 2 {
                self.lines_of_rows::<A, 2>(arch, group, weights, block, row);
                return 2;
            }
        }
        if const { <A::Bytes as ByteProducts<A>>::EIGHT_LINES } && group.lines == GROUP {
            self.tile::<A, GROUP, 1>(arch, group, 0, weights, block, row);
        } else {
            self.lines_of_rows::<A, 1>(arch, group, weights, block, row);
        }
        1
    }

    /// So many rows, four lines at a time.
    #[inline(always)]
    fn lines_of_rows<A: Arch, const M: usize>(
        &mut self,
        arch: A,
        group: Group,
        weights: &[ByteLine],
        block: usize,
        row: usize,
    ) {
        let mut line = 0;
        while line < group.lines {
            match group.lines - line {
                1 => self.tile::<A, 1, M>(arch, group, line, weights, block, row),
                2 | 3 => self.tile::<A, 2, M>(arch, group, line, weights, block, row),
                _ => self.tile::<A, 4, M>(arch, group, line, weights, block, row),
            }
            line += match group.lines - line {
                1 => 1,
                2 | 3 => 2,
                _ => 4,
            };
        }
    }

    /// `N` lines of `M` rows, in registers.
    #[inline(always)]
    fn tile<A: Arch, const N: usize, const M: usize>(
        &mut self,
        arch: A,
        group: Group,
        line: usize,
        weights: &[ByteLine],
        block: usize,
        row: usize,
    ) {
        let width = self.matrix.rows;
        let len = encoded_len(width);
        let mut encoded = [Encoded::new(self.work.encoded(row, len), width); M];
        unrolled!(I in 0..M => { encoded[I] = Encoded::new(self.work.encoded(row + I, len), width); });
        let totals = sums::<A, IN_TWO, N, M>(arch, weights, group.lines, line, &encoded, block * (BLOCK / 4));
        let (mut row_scales, mut corrections) = ([0.0; M], [0; M]);
        for m in 0..M {
            row_scales[m] = encoded[m].scale;
            let sums = if self.divides { encoded[m].sums } else { &encoded[m].sums[block..=block] };
            let sum = sums.iter().fold(0_i32, |all, sum| all.wrapping_add(sum.to_bits() as i32));
            corrections[m] = sum.wrapping_mul(i32::from(ZERO));
        }
        for (m, totals) in totals.iter().enumerate() {
            let z = self.work.z_mut(row + m);
            for (n, total) in totals.iter().enumerate() {
                let line = group.first + line + n;
                let scales = &self.matrix.scales[line * LINE..][..LINE];
                let z = line_of(arch, z, line);
                let line = match self.divides {
                    false => multiplied(total, corrections[m], row_scales[m], scales),
                    true => divided(total, corrections[m], row_scales[m], scales),
                };
                add_line(&line, z);
            }
        }
    }
}

/// The sums of `M` rows and `N` lines of a group of so many.
#[inline(always)]
fn sums<A: Arch, const IN_TWO: bool, const N: usize, const M: usize>(
    arch: A,
    weights: &[ByteLine],
    lines: usize,
    line: usize,
    rows: &[Encoded<'_>; M],
    from: usize,
) -> [[[i32; LINE]; N]; M] {
    let count = weights.len() / lines;
    let mut first: [&[f32]; M] = [&[]; M];
    let mut second: [&[f32]; M] = [&[]; M];
    unrolled!(I in 0..M => {
        first[I] = &rows[I].first[from..][..count];
        second[I] = &rows[I].second[from..][..count];
    });
    let mut sums = [[<A::Bytes as ByteProducts<A>>::zero(arch); N]; M];
    for (k, weights) in weights.chunks_exact(lines).enumerate() {
        let weights: &[ByteLine; N] = match weights[line..].first_chunk() {
            Some(weights) => weights,
            None => unreachable!("so many lines are left in the group"),
        };
        unrolled!(I in 0..M => {
            let words = [first[I][k].to_bits(), second[I][k].to_bits()];
            unrolled!(J in 0..N => {
                sums[I][J] = <A::Bytes as ByteProducts<A>>::add::<IN_TWO>(arch, sums[I][J], &weights[J], words);
            });
        });
    }
    // Trap 1: out of the registers before a loop looks at them.
    let mut totals = [[[0; LINE]; N]; M];
    unrolled!(I in 0..M => {
        unrolled!(J in 0..N => { totals[I][J] = <A::Bytes as ByteProducts<A>>::total::<IN_TWO>(arch, sums[I][J]); });
    });
    totals
}

/// `f32(sum - correction) * (row scale * column scale)`, each operation rounded by itself.
#[inline(always)]
fn multiplied(total: &[i32; LINE], correction: i32, scale: f32, scales: &[f32]) -> [f32; LINE] {
    let mut line = [0.0; LINE];
    for i in 0..LINE {
        let scale = scale * scales[i];
        // Infinite times a sum of zero would be NaN.
        let scale = if scale > f32::MAX { f32::MAX } else { scale };
        line[i] = total[i].wrapping_sub(correction) as f32 * scale;
    }
    line
}

/// `f32(sum - correction) / (row scale * column scale)`, which is what Keras computes.
#[inline(always)]
fn divided(total: &[i32; LINE], correction: i32, scale: f32, scales: &[f32]) -> [f32; LINE] {
    let mut line = [0.0; LINE];
    for i in 0..LINE {
        line[i] = total[i].wrapping_sub(correction) as f32 / (scale * scales[i]);
    }
    line
}

/// `z += line`.
#[inline(always)]
fn add_line(line: &[f32; LINE], z: &mut [f32]) {
    match z.first_chunk_mut::<LINE>() {
        Some(z) => {
            for i in 0..LINE {
                z[i] += line[i];
            }
        }
        None => {
            for (z, line) in z.iter_mut().zip(line) {
                *z += line;
            }
        }
    }
}
