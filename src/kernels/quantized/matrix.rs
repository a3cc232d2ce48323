//! A matrix in either format.

use super::super::isa::{ByteIsa, Isa};
use super::bf16::{self, Bf16Matrix};
use super::int8::{Int8Matrix, whole_numbers};
use super::operand::{Bits, encode, encoded_len};
use super::work::{Values, Work};
use crate::weights::Packed;

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
    /// Keras's bytes and scales, which are divided by: they come from its files, and nothing is packed as such.
    pub(crate) const INT8_KERAS: Format = Format::Int8(Bits::Keras);
}

/// A weight that a format has no number for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Unfit(pub f32);

impl Format {
    /// Whether all weights have numbers in this format: infinities and NaN don't, nor what rounds to an infinity.
    pub(crate) fn check(self, weights: &[f32]) -> Result<(), Unfit> {
        let fits = |weight: f32| match self {
            Format::Int8(_) => weight.is_finite(),
            Format::Bf16 => weight.is_finite() && f32::from_bits(u32::from(bf16::rounded(weight)) << 16).is_finite(),
        };
        weights.iter().find(|&&weight| !fits(weight)).map_or(Ok(()), |&weight| Err(Unfit(weight)))
    }

    /// A table whose rows are read one by one in this format, bytes with a scale for each row.
    pub(crate) fn pack_rows(self, table: &[f32], columns: usize) -> Packed {
        match self {
            Format::Bf16 => self.pack(table, columns),
            Format::Int8(_) => {
                let (mut weights, mut scales) = (Vec::with_capacity(table.len()), Vec::new());
                for row in table.chunks_exact(columns) {
                    let (whole, scale) = whole_numbers(|| row.iter());
                    scales.push(scale);
                    weights.extend(row.iter().map(|&weight| whole(weight)));
                }
                Packed::Int8Rows { weights, scales }
            }
        }
    }

    /// A matrix of so many columns in this format, all of whose weights have numbers in it.
    pub(crate) fn pack(self, matrix: &[f32], columns: usize) -> Packed {
        match self {
            Format::Bf16 => Packed::Bf16(matrix.iter().map(|&weight| bf16::rounded(weight)).collect()),
            Format::Int8(_) => {
                let (mut weights, mut scales) = (vec![0; matrix.len()], vec![0.0; columns]);
                for (column, of_column) in scales.iter_mut().enumerate() {
                    let (whole, scale) = whole_numbers(|| matrix[column..].iter().step_by(columns));
                    *of_column = scale;
                    let places = weights[column..].iter_mut().step_by(columns);
                    places.zip(matrix[column..].iter().step_by(columns)).for_each(|(q, &weight)| *q = whole(weight));
                }
                Packed::Int8 { weights, scales }
            }
        }
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
    /// Of (rows, `all` columns) the columns from `first` on; bytes are multiplied with numbers of the format's bits.
    pub(super) fn new(
        format: Format,
        matrix: &Packed,
        (rows, all): (usize, usize),
        first: usize,
        columns: usize,
    ) -> Self {
        match matrix {
            Packed::Int8 { weights, scales } | Packed::Int8Rows { weights, scales } => {
                let bits = if let Format::Int8(bits) = format { bits } else { Bits::Fourteen };
                Matrix::Int8(Int8Matrix::new(weights, scales, rows, first, columns), bits)
            }
            Packed::Bf16(words) => Matrix::Bf16(Bf16Matrix::new(words, rows, all, first, columns)),
        }
    }

    /// What `new` made it of, from matrices that stand side by side.
    pub(super) fn unpack(side_by_side: &[&Matrix]) -> Packed {
        let all: usize = side_by_side.iter().map(|matrix| matrix.columns()).sum();
        let elements = side_by_side.first().map_or(0, |matrix| matrix.rows() * all);
        let mut packed = match side_by_side.first() {
            Some(Matrix::Bf16(_)) => Packed::Bf16(vec![0; elements]),
            _ => Packed::Int8 { weights: vec![0; elements], scales: vec![0.0; all] },
        };
        let mut first = 0;
        for matrix in side_by_side {
            match (matrix, &mut packed) {
                (Matrix::Int8(matrix, _), Packed::Int8 { weights, scales }) => matrix.unpack(weights, scales, first),
                (Matrix::Bf16(matrix), Packed::Bf16(words)) => matrix.unpack(words, all, first),
                _ => unreachable!("a layer's matrices are of one format"),
            }
            first += matrix.columns();
        }
        packed
    }

    fn rows(&self) -> usize {
        match self {
            Matrix::Int8(matrix, _) => matrix.rows,
            Matrix::Bf16(matrix) => matrix.rows,
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
