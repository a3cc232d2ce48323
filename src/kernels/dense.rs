//! A dense layer: one product, then an activation.

use std::fmt;

use super::activate::apply;
use super::isa::{Arch, Isa, Kernel, dispatch};
use super::packed::{Grouping, PackedMatrix};
use super::project;
use crate::activation::Activation;
use crate::kernels::Element;
use crate::strided::{Rows, RowsMut};

/// The packed weights of a dense layer and what can be computed with them.
#[derive(Clone)]
pub(crate) struct DenseKernel<T: Element> {
    isa: Isa,
    input_size: usize,
    units: usize,
    matrix: PackedMatrix<T>,
}

impl<T: Element> DenseKernel<T> {
    /// The elements of the packed weights, or `None` if they could not be addressed.
    pub(crate) fn packed_len(input_size: usize, units: usize) -> Option<usize> {
        PackedMatrix::<T>::packed_len(input_size, 1, units)
    }

    /// A kernel with weights of zero. Both sizes must be at least 1 and have a [`packed_len`](Self::packed_len).
    pub(crate) fn new(input_size: usize, units: usize) -> Self {
        Self::for_isa(Isa::detect(), input_size, units)
    }

    /// The same on a given instruction set, one of [`Isa::available`].
    pub(crate) fn for_isa(isa: Isa, input_size: usize, units: usize) -> Self {
        DenseKernel { isa, input_size, units, matrix: PackedMatrix::new(input_size, 1, units, Grouping::Flat) }
    }

    /// Takes Keras's weights: `kernel` (input_size, units), `bias` (units). Allocates nothing.
    pub(crate) fn pack(&mut self, kernel: &[T], bias: Option<&[T]>) {
        assert_eq!(kernel.len(), self.input_size * self.units);
        assert!(bias.is_none_or(|b| b.len() == self.units));
        self.matrix.pack(kernel, self.units, 0, 0, 0);
        self.matrix.set_bias(0, bias);
    }

    /// Takes some columns of a wider kernel, (input_size, columns): as many as there are units, from `first` on.
    pub(crate) fn pack_columns(&mut self, kernel: &[T], columns: usize, first: usize, bias: Option<&[T]>) {
        assert!(kernel.len() == self.input_size * columns && first + self.units <= columns);
        assert!(bias.is_none_or(|b| b.len() == self.units));
        self.matrix.pack(kernel, columns, first, 0, 0);
        self.matrix.set_bias(0, bias);
    }

    /// Takes the transposed of such columns, as many as there are inputs, without a bias.
    pub(crate) fn pack_transposed(&mut self, kernel: &[T], columns: usize, first: usize) {
        assert!(kernel.len() == self.units * columns && first + self.input_size <= columns);
        self.matrix.pack_transposed(kernel, columns, first, 0, self.input_size);
    }

    /// `activation(bias + x * kernel)` of rows `0..count`.
    pub(super) fn forward_here(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>, activation: &Activation) {
        dispatch(self.isa, Forward { matrix: &self.matrix, count, x, out, activation });
    }
}

impl<T: Element> fmt::Debug for DenseKernel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DenseKernel({} -> {}, {:?})", self.input_size, self.units, self.isa)
    }
}

struct Forward<'a, T: Element> {
    matrix: &'a PackedMatrix<T>,
    count: usize,
    x: Rows<'a, T>,
    out: RowsMut<'a, T>,
    activation: &'a Activation,
}

impl<T: Element> Kernel for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(mut self, arch: A) {
        project::flat_units::<A, T>(arch, self.matrix, self.count, self.x, &mut self.out);
        for row in 0..self.count {
            apply::<A, T>(arch, self.activation, self.out.row_mut(row));
        }
    }
}
