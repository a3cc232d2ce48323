//! The packed form of a weight matrix: which weight lies where.
//!
//! The columns of Keras's matrices are regrouped so that a kernel reads its weights from the first to the last byte
//! without a jump, and finds what one unit needs side by side. A *line* is one vector of columns: 16 units of one gate
//! in f32, 8 in f64 (64 bytes). A *group* is a few lines that are computed together, in registers:
//!
//! ```text
//! group 0                                        group 1 ...
//! k = 0     [ line 0 ][ line 1 ]..[ line G-1 ]   the same for the next lines, `rows * G` lines further on
//! k = 1     [ line 0 ][ line 1 ]..[ line G-1 ]
//! ...       x's rows first, then h's
//! k = rows  [ line 0 ][ line 1 ]..[ line G-1 ]
//! ```
//!
//! A tile is 16 (8) units. With [`Grouping::Gates`] lines are numbered `tile * gates + gate`, and each tile is a group,
//! so that all gates of a unit are in registers at once (LSTM, GRU). The last tile is half as wide if that holds all
//! its units: 40 units are 16 + 16 + 8, not 48. [`Grouping::Flat`] makes groups of up to four lines, as equal as can
//! be, for columns that need nothing of one another (SimpleRNN, Dense): one line alone would wait for each
//! multiplication to end. Of two gates (a GRU with the reset before the product) the second one's lines come first: r
//! is needed sooner than z. Columns beyond the last unit are zero.
//!
//! A *z row* holds one value per column in the order of the lines: the bias, `bias + x * kernel` of a row of x
//! ([`Input::Projected`](crate::strided::Input)), or preactivations.

use std::ops::Range;

use super::isa::Isa;
use crate::aligned::Aligned;
use crate::kernels::Element;

/// How lines make groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grouping {
    /// A tile's gates, one line each; the last tile may be half as wide.
    Gates,
    /// Up to [`FLAT`] lines.
    Flat,
}

/// The most lines in a group of [`Grouping::Flat`].
pub(super) const FLAT: usize = 4;

/// Lines that are computed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    /// The number of lines.
    pub lines: usize,
    /// Columns in each line.
    pub lanes: usize,
    /// Where the group's values begin in a z row.
    pub z: usize,
    /// Where the group's weights begin.
    weights: usize,
}

/// The bytes of the nearest cache, in the smallest of today's larger processors.
const NEAREST_CACHE: usize = 32 << 10;

/// The bytes of a page of memory.
const PAGE: usize = 4 << 10;

/// A packed matrix and the bias, in the same order.
#[derive(Clone)]
pub(super) struct PackedMatrix<T: Element> {
    rows: usize,
    units: usize,
    gates: usize,
    z_len: usize,
    grouping: Grouping,
    near: bool,
    groups: Vec<Group>,
    weights: Aligned<T>,
    bias: Aligned<T>,
}

impl<T: Element> PackedMatrix<T> {
    /// The elements of the weights and the bias, or `None` if they could not be addressed.
    pub(super) fn packed_len(rows: usize, gates: usize, units: usize) -> Option<usize> {
        let columns = units.checked_next_multiple_of(T::LANES)?.checked_mul(gates)?;
        let len = rows.checked_add(1)?.checked_mul(columns)?;
        // The slack of an `Aligned` is a line; no buffer may be larger than isize::MAX bytes.
        let bytes = len.checked_add(T::LANES)?.checked_mul(size_of::<T>())?;
        (bytes <= isize::MAX as usize).then_some(len)
    }

    /// Zeros for a matrix of `rows` x (`gates` x `units`).
    pub(super) fn new(rows: usize, gates: usize, units: usize, grouping: Grouping) -> Self {
        let lanes = T::LANES;
        let (mut groups, mut z) = (Vec::new(), 0);
        let mut push = |lines, lanes| {
            groups.push(Group { lines, lanes, z, weights: z * rows });
            z += lines * lanes;
        };
        match grouping {
            Grouping::Gates => {
                (0..units / lanes).for_each(|_| push(gates, lanes));
                match units % lanes {
                    0 => {}
                    rest if rest <= lanes / 2 => push(gates, lanes / 2),
                    _ => push(gates, lanes),
                }
            }
            Grouping::Flat => split(units.div_ceil(lanes) * gates, FLAT).for_each(|lines| push(lines.len(), lanes)),
        }
        let near = units >= 2 * lanes && rows * z * size_of::<T>() <= NEAREST_CACHE;
        let (weights, bias) = (Aligned::zeros(rows * z), Aligned::zeros(z));
        PackedMatrix { rows, units, gates, z_len: z, grouping, near, groups, weights, bias }
    }

    /// The number of elements of a z row.
    #[inline(always)]
    pub(super) fn z_len(&self) -> usize {
        self.z_len
    }

    /// The groups, in their order in memory.
    #[inline(always)]
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The bias, as a z row.
    #[inline(always)]
    pub(super) fn bias(&self) -> &[T] {
        &self.bias
    }

    /// Sets a gate's bias; none is zeros.
    pub(super) fn set_bias(&mut self, gate: usize, bias: Option<&[T]>) {
        for unit in 0..self.units {
            let at = self.z_index(gate, unit);
            self.bias[at] = bias.map_or(T::zero(), |b| b[unit]);
        }
    }

    /// Adds to a gate's bias.
    pub(super) fn add_bias(&mut self, gate: usize, bias: Option<&[T]>) {
        for unit in 0..bias.map_or(0, |_| self.units) {
            let at = self.z_index(gate, unit);
            self.bias[at] += bias.map_or(T::zero(), |b| b[unit]);
        }
    }

    /// A group's weights: for each row the group's lines.
    #[inline(always)]
    pub(super) fn weights(&self, group: &Group) -> &[T] {
        &self.weights[group.weights..][..self.rows * group.lines * group.lanes]
    }

    /// All weights.
    #[inline(always)]
    pub(super) fn all_weights(&self) -> &[T] {
        &self.weights
    }

    /// The units.
    #[inline(always)]
    pub(super) fn units(&self) -> usize {
        self.units
    }

    /// The rows of the matrix.
    #[inline(always)]
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether a step of one row takes two tiles at a time: more chains, and each element of the row loaded half as
    /// often, which is 5 to 10 % of a step whose weights are in the nearest cache. From further away, one stream of
    /// weights is faster than two.
    #[inline(always)]
    pub(super) fn in_pairs(&self, isa: Isa) -> bool {
        self.near && isa.all_lines_at_once()
    }

    /// The group, the line in it and the lane that hold a column.
    fn place(&self, gate: usize, unit: usize) -> (Group, usize, usize) {
        let tile = unit / T::LANES;
        let line = match self.grouping {
            Grouping::Gates => tile * self.gates + gate,
            Grouping::Flat => (self.gates - 1 - gate) * self.units.div_ceil(T::LANES) + tile,
        };
        let z = line * T::LANES; // lines before this one are never half as wide
        let group = self.groups[self.groups.partition_point(|g| g.z <= z) - 1];
        // Of a narrow last group `z` above is not the line's own place, but it is in the group.
        let line = if group.lanes == T::LANES { (z - group.z) / T::LANES } else { gate };
        (group, line, unit % T::LANES)
    }

    /// Where a column's value lies in a z row.
    pub(super) fn z_index(&self, gate: usize, unit: usize) -> usize {
        let (group, line, lane) = self.place(gate, unit);
        group.z + line * group.lanes + lane
    }

    /// One column's weights, from the first row on: the way in which the scalar reference reads them.
    pub(super) fn column(&self, gate: usize, unit: usize) -> impl Iterator<Item = &T> {
        let (group, line, lane) = self.place(gate, unit);
        let width = group.lines * group.lanes;
        self.weights[group.weights + line * group.lanes + lane..].iter().step_by(width).take(self.rows)
    }

    /// Copies `matrix`, of `columns` columns, into rows `first_row ..`; `column` is that of this gate's first unit.
    pub(super) fn pack(&mut self, matrix: &[T], columns: usize, column: usize, first_row: usize, gate: usize) {
        // A line of the packed form is so many neighbours in a row of the matrix. Rows longer than a page are taken a few
        // at a time, from their beginnings to their ends, as the processor foresees addresses within a page only.
        let rows_at_once = if columns * size_of::<T>() > PAGE { 8 } else { self.rows.max(1) };
        let rows = matrix.chunks((columns * rows_at_once).max(1));
        for (rows, first_row) in rows.zip((first_row..).step_by(rows_at_once)) {
            for unit in (0..self.units).step_by(T::LANES) {
                let (group, line, _) = self.place(gate, unit);
                let (width, units) = (group.lines * group.lanes, T::LANES.min(self.units - unit));
                let start = group.weights + first_row * width + line * group.lanes;
                let lines = self.weights[start..].chunks_mut(width);
                for (to, from) in lines.zip(rows.chunks_exact(columns)) {
                    to[..units].copy_from_slice(&from[column + unit..][..units]);
                }
            }
        }
    }

    /// The transposed: row `first_row + r` is column `column + r` of `matrix`, which has `columns` columns and a row
    /// for each unit. For a matrix of one gate.
    pub(super) fn pack_transposed(
        &mut self,
        matrix: &[T],
        columns: usize,
        column: usize,
        first_row: usize,
        count: usize,
    ) {
        for group in &self.groups {
            let width = group.lines * group.lanes;
            for line in (group.z..self.units.min(group.z + width)).step_by(group.lanes) {
                let units = line..self.units.min(line + group.lanes);
                // Square blocks, so that a line that is read and one that is written serve a few times; one after the
                // other along the matrix's rows, so that the next ones are fetched ahead.
                for first in (0..count).step_by(T::LANES) {
                    let rows = T::LANES.min(count - first);
                    for unit in units.clone() {
                        let from = &matrix[unit * columns + column + first..][..rows];
                        let start = group.weights + (first_row + first) * width + unit - group.z;
                        let to = self.weights[start..].iter_mut().step_by(width);
                        for (to, &from) in to.zip(from) {
                            *to = from;
                        }
                    }
                }
            }
        }
    }
}

/// Cuts `0..count` into the fewest pieces of at most `most`, as equal as can be: 32 rows by 6 are 6, 6, 5, 5, 5, 5.
fn split(count: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let pieces = count.div_ceil(most);
    let (small, larger) = (count / pieces.max(1), count % pieces.max(1));
    let start = move |i: usize| i * small + i.min(larger);
    (0..pieces).map(move |i| start(i)..start(i + 1))
}
