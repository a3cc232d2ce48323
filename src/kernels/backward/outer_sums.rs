//! The gradient of a matrix alone: outer products of the rows that it read and of the gradients of what it gave.

use super::super::isa::{Isa, dispatch};
use super::outer::{Flush, Outer};
use crate::aligned::Aligned;
use crate::kernels::Element;
use crate::strided::{Rows, RowsMut};

/// Sums of outer products, one chain of fused multiply-adds for each element, in the order of the rows.
pub(crate) struct OuterSums<T: Element> {
    isa: Isa,
    /// The rows and columns of the matrix.
    size: (usize, usize),
    sums: Aligned<T>,
    indices: Vec<usize>,
}

impl<T: Element> OuterSums<T> {
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        let sums = Aligned::zeros(rows * columns);
        OuterSums { isa: Isa::detect(), size: (rows, columns), sums, indices: Vec::new() }
    }

    /// Begins with zeros again.
    pub(crate) fn clear(&mut self) {
        self.sums.fill(T::zero());
    }

    /// Adds the products of rows `0..count`.
    pub(crate) fn add(&mut self, count: usize, x: Rows<'_, T>, dz: Rows<'_, T>) {
        assert_eq!((x.width(), dz.width()), self.size);
        self.indices.extend(self.indices.len()..count);
        T::outer_sums(self, count, x, dz);
    }

    pub(in crate::kernels) fn add_here(&mut self, count: usize, operand: Rows<'_, T>, dz: Rows<'_, T>) {
        let (rows, sums) = (&self.indices[..count], &mut self.sums[..]);
        dispatch(self.isa, Outer { operand, dz, rows, skip: 0, sums });
    }

    /// Adds the sums to a matrix.
    pub(crate) fn flush(&self, out: RowsMut<'_, T>) {
        assert_eq!(out.width(), self.size.1);
        T::outer_flush(self, out);
    }

    pub(in crate::kernels) fn flush_here(&self, out: RowsMut<'_, T>) {
        dispatch(self.isa, Flush { sums: &self.sums, out });
    }
}
