//! A dense layer in fewer bits: one product, then an activation.

use std::fmt;
use std::ops::Range;

use super::super::activate::{activate, rounding_twice};
use super::super::isa::Isa;
use super::matrix::{Format, Matrix, Sets};
use super::work::{Values, Work};
use crate::activation::Activation;
use crate::strided::{Rows, RowsMut};
use crate::weights::Packed;

/// A dense layer's weights in fewer bits and what can be computed with them.
#[derive(Clone)]
pub(crate) struct QuantizedDenseKernel {
    sets: Sets,
    format: Format,
    input_size: usize,
    kernel: Matrix,
    bias: Option<Vec<f32>>,
}

impl QuantizedDenseKernel {
    /// Of weights in Keras's shapes, packed in this format.
    pub(crate) fn new(
        format: Format,
        (input_size, units): (usize, usize),
        (kernel, bias): (&Packed, Option<Vec<f32>>),
    ) -> Self {
        Self::of_columns(format, (input_size, units), 0..units, (kernel, bias))
    }

    /// The same of some columns of a kernel, which has `all` of them.
    pub(crate) fn of_columns(
        format: Format,
        (input_size, all): (usize, usize),
        columns: Range<usize>,
        (kernel, bias): (&Packed, Option<Vec<f32>>),
    ) -> Self {
        QuantizedDenseKernel {
            sets: Sets::of(Isa::detect()),
            format,
            input_size,
            kernel: Matrix::new(format, kernel, (input_size, all), columns.start, columns.len()),
            bias,
        }
    }

    pub(crate) fn input_size(&self) -> usize {
        self.input_size
    }

    pub(crate) fn units(&self) -> usize {
        self.kernel.columns()
    }

    /// The weights, in Keras's shape.
    pub(crate) fn kernel(&self) -> Packed {
        Matrix::unpack(&[&self.kernel])
    }

    /// The weights of several whose columns stand side by side.
    pub(crate) fn side_by_side(all: &[Self]) -> Packed {
        Matrix::unpack(&all.iter().map(|one| &one.kernel).collect::<Vec<_>>())
    }

    pub(crate) fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// The bytes of the kernel's weights.
    pub(crate) fn bytes(&self) -> usize {
        self.kernel.bytes()
    }

    /// The scratch that `forward` needs.
    pub(crate) fn scratch_len(&self) -> usize {
        self.units() + self.kernel.encoded_len()
    }

    /// `activation(bias + x * kernel)` of rows `0..count`, one after the other.
    pub(crate) fn forward(
        &self,
        count: usize,
        x: Rows<'_, f32>,
        mut out: RowsMut<'_, f32>,
        activation: &Activation,
        scratch: &mut [f32],
    ) {
        let units = self.units();
        let width = self.scratch_len();
        for row in 0..count {
            let mut work = Work { rows: RowsMut::packed(&mut *scratch, width), count: 1, z: 0..units, encoded: units };
            match &self.bias {
                Some(bias) => work.z_mut(0).copy_from_slice(bias),
                None => work.z_mut(0).fill(0.0),
            }
            self.kernel.add(self.sets, &Values::Rows { rows: &[row], values: x }, work, false);
            let out = out.row_mut(row);
            out.copy_from_slice(&scratch[..units]);
            self.activate(activation, out);
        }
    }

    /// An activation of a row.
    pub(crate) fn activate(&self, activation: &Activation, row: &mut [f32]) {
        if self.format == Format::Bf16 {
            activate(self.sets.isa, activation, row);
        } else {
            rounding_twice(activation, row);
        }
    }
}

impl fmt::Debug for QuantizedDenseKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuantizedDenseKernel({} -> {}, {:?})", self.input_size, self.units(), self.format)
    }
}
