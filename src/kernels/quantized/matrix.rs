//! A matrix in either format.

use super::super::isa::{ByteIsa, Isa};
use super::bf16::{self, Bf16Matrix};
use super::int8::Int8Matrix;
use super::operand::{Bits, encode, encoded_len};
use super::work::{Values, Work};

/// How weights stand in memory, and what they are multiplied with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Bytes, with numbers of so many bits.
    Int8(Bits),
    /// 16-bit floats, with f32.
    Bf16,
}

impl Format {
    pub(crate) const INT8: Format = Format::Int8(Bits::Fourteen);
    pub(crate) const INT8_FAST: Format = Format::Int8(Bits::Eight);
}

/// A weight that a format has no number for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Unfit(pub f32);

impl Format {
    /// Whether all weights have numbers in this format: infinities and NaN don't, nor what rounds to an infinity.
    pub(crate) fn check(self, weights: &[f32]) -> Result<(), Unfit> {
        let fits = |weight: f32| match self {
            Format::Int8(_) => weight.is_finite(),
            Format::Bf16 => weight.is_finite() && f32::from_bits(bf16::rounded(weight) << 16).is_finite(),
        };
        weights.iter().find(|&&weight| !fits(weight)).map_or(Ok(()), |&weight| Err(Unfit(weight)))
    }
}

/// Some columns of a matrix.
#[derive(Clone)]
pub(super) enum Matrix {
    Int8(Int8Matrix, Bits),
    Bf16(Bf16Matrix),
}

/// The instruction sets that a layer runs on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sets {
    pub isa: Isa,
    pub bytes: ByteIsa,
}

impl Sets {
    pub(super) fn of(isa: Isa) -> Self {
        Sets { isa, bytes: ByteIsa::of(isa) }
    }
}

impl Matrix {
    /// Of (rows, `all` columns) the columns from `first` on.
    pub(super) fn new(format: Format, matrix: &[f32], rows: usize, all: usize, first: usize, columns: usize) -> Self {
        match format {
            Format::Int8(bits) => Matrix::Int8(Int8Matrix::new(matrix, rows, all, first, columns), bits),
            Format::Bf16 => Matrix::Bf16(Bf16Matrix::new(matrix, rows, all, first, columns)),
        }
    }

    /// What a weight means.
    pub(super) fn weight(&self, row: usize, column: usize) -> f32 {
        match self {
            Matrix::Int8(matrix, _) => matrix.weight(row, column),
            Matrix::Bf16(matrix) => matrix.weight(row, column),
        }
    }

    pub(super) fn columns(&self) -> usize {
        match self {
            Matrix::Int8(matrix, _) => matrix.columns,
            Matrix::Bf16(matrix) => matrix.columns,
        }
    }

    /// The bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Matrix::Int8(matrix, _) => matrix.bytes(),
            Matrix::Bf16(matrix) => matrix.bytes(),
        }
    }

    /// The columns behind `z` that a row of a work has for `add`.
    pub(super) fn encoded_len(&self) -> usize {
        match self {
            Matrix::Int8(matrix, _) => encoded_len(matrix.rows),
            Matrix::Bf16(_) => 0,
        }
    }

    /// `z += values * matrix`. `backwards` is the order in which the matrix is read, and changes no bit.
    pub(super) fn add(&self, sets: Sets, values: &Values<'_>, mut work: Work<'_>, backwards: bool) {
        debug_assert_eq!(work.z.len(), self.columns());
        match self {
            Matrix::Bf16(matrix) => matrix.add(sets.isa, values, &mut work, backwards),
            Matrix::Int8(matrix, bits) => {
                if !encode(sets.bytes, *bits, values, &mut work) {
                    add_as_floats(matrix, values, &mut work);
                }
                matrix.add(sets.bytes, *bits, &mut work, backwards);
            }
        }
    }
}

/// The products of those rows that have an infinity or NaN, which are encoded as zeros: in f32, each operation rounded
/// by itself, in the order of the row.
#[cold]
fn add_as_floats(matrix: &Int8Matrix, values: &Values<'_>, work: &mut Work<'_>) {
    for row in 0..work.count {
        if values.row(work, row).iter().all(|value| value.is_finite()) {
            continue;
        }
        for k in 0..matrix.rows {
            let value = values.row(work, row)[k];
            for (column, z) in work.z_mut(row).iter_mut().enumerate() {
                *z += value * matrix.weight(k, column);
            }
        }
    }
}
