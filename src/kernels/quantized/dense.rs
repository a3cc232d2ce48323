//! A dense layer in fewer bits: one product, then an activation.

use std::fmt;

use super::super::activate::{activate, rounding_twice};
use super::super::isa::Isa;
use super::matrix::{Format, Matrix, Sets};
use super::work::{Values, Work};
use crate::activation::Activation;
use crate::strided::{Rows, RowsMut};

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
    /// Of Keras's weights, all of which must fit the format ([`Format::check`]).
    pub(crate) fn new(
        format: Format,
        (input_size, units): (usize, usize),
        (kernel, bias): (&[f32], Option<&[f32]>),
    ) -> Self {
        QuantizedDenseKernel {
            sets: Sets::of(Isa::detect()),
            format,
            input_size,
            kernel: Matrix::new(format, kernel, input_size, units, 0, units),
            bias: bias.map(<[f32]>::to_vec),
        }
    }

    pub(crate) fn input_size(&self) -> usize {
        self.input_size
    }

    pub(crate) fn units(&self) -> usize {
        self.kernel.columns()
    }

    /// What the weights mean, in Keras's shape.
    pub(crate) fn kernel(&self) -> Vec<f32> {
        let columns = self.units();
        (0..self.input_size * columns).map(|i| self.kernel.weight(i / columns, i % columns)).collect()
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
            if self.format == Format::Bf16 {
                activate(self.sets.isa, activation, out);
            } else {
                rounding_twice(activation, out);
            }
        }
    }
}

impl fmt::Debug for QuantizedDenseKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuantizedDenseKernel({} -> {}, {:?})", self.input_size, self.units(), self.format)
    }
}
