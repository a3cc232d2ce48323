//! Layers in fewer bits: matrices of bytes or of 16-bit floats, and steps of cells with them.
//!
//! ```text
//! z = bias (GRU: of x)                  a row of all columns, in Keras's order
//! z += x kernel                         or what `project` made of both
//! z += h recurrent_kernel               (GRU: the candidate's columns apart)
//! next = cell(z, prev)                  the formulas of `units`, in f32
//! ```
//!
//! A column's sum goes to memory between the products and the formulas; against reading the weights that is little. In
//! exchange there is one loop for each format, whatever the cell, and columns stand in lines of 16 without gaps.
//!
//! # Bytes
//!
//! A column has a scale, its largest weight / 127, and weights from -127 to 127. A row of x or h has a scale too,
//! its largest magnitude / 8191 (14 bits) or / 127 (8 bits), found at each step: no number is too large for it, and
//! one that is small in all steps keeps its digits. Products and sums are whole numbers, exact in blocks of
//! [`int8::BLOCK`] rows; of each block
//!
//! ```text
//! z += f32(sum) * (scale of the row * scale of the column)
//! ```
//!
//! All multiply-adds round twice, here and in the formulas ([`TwoRoundings`](super::isa::TwoRoundings)): so a layer of
//! bytes gives the same bits on every machine, with fused multiply-add or without.
//!
//! A row with an infinity or NaN is multiplied as f32 with the weights that the bytes mean.
//!
//! What Keras's `quantize("int8")` made is bytes of 8 bits, too, with scales the other way round: 127 / (largest + 1e-7),
//! of a row and of a column. A sum is of all rows, as Keras's, and `z += f32(sum) / (scale of the row * scale of the
//! column)`; a row with an infinity or NaN gives NaN, as there.
//!
//! # 16-bit floats
//!
//! Each weight is an f32 without its lower half. Two of them stand in a word and are widened when they are read; sums
//! are those of the f32 layer with such weights, bit for bit.
//!
//! - `int8`, `bf16` - the matrices; `operand` - a row as whole numbers; `matrix` - either; `work` - where sums are
//! - `cell` - steps; `formulas` - from sums to states; `dense` - a layer's product

mod bf16;
mod cell;
mod dense;
mod formulas;
mod int8;
mod matrix;
mod operand;
#[cfg(test)]
mod tests;
mod work;

pub(crate) use cell::QuantizedKernel;
pub(crate) use dense::QuantizedDenseKernel;
pub(crate) use matrix::{Format, Unfit};

use super::isa::Arch;

/// Columns in a line.
const LINE: usize = 16;

/// The most rows that are worked on together.
pub(super) const ROWS: usize = 32;

/// Lines that are computed together: `lines` of them from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    first: usize,
    lines: usize,
}

/// Cuts `lines` into groups of `most`, the last one of what is left; the order is turned around if asked for.
#[inline(always)]
fn groups(lines: usize, most: usize, backwards: bool) -> impl Iterator<Item = Group> {
    let count = lines.div_ceil(most);
    (0..count).map(move |i| {
        let first = most * if backwards { count - 1 - i } else { i };
        Group { first, lines: most.min(lines - first) }
    })
}

/// The part of a row's z that is a line's, the last one of which may be shorter.
#[inline(always)]
fn line_of<A: Arch>(_: A, z: &mut [f32], line: usize) -> &mut [f32] {
    let end = z.len().min((line + 1) * LINE);
    &mut z[line * LINE..end]
}
