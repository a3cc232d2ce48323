//! The way back through a dense layer along any axes.

use ndarray::ArrayD;

use super::{EinsumDense, Layout, spread};
use crate::activation::Activation;
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Flow, misfit};
use crate::graph::ops::activation::through_rows;
use crate::graph::ops::places::{Read, gathered};
use crate::graph::ops::shapes::reshaped_gradient;
use crate::kernels::DenseKernel;
use crate::kernels::backward::OuterSums;
use crate::strided::{Rows, RowsMut};

/// The gradients of the input, if it was wanted, and of the weights.
pub(in crate::graph::ops) struct Found<T> {
    pub(in crate::graph::ops) input: Flow<T>,
    pub(in crate::graph::ops) kernel: ArrayD<T>,
    pub(in crate::graph::ops) bias: Option<ArrayD<T>>,
}

impl<T: Float> Found<T> {
    /// Those of the weights.
    pub(in crate::graph::ops) fn weights(&self) -> impl Iterator<Item = &ArrayD<T>> {
        [Some(&self.kernel), self.bias.as_ref()].into_iter().flatten()
    }

    /// Adds those of the weights; what is left is that of the input.
    pub(super) fn add_to(self, mut sums: GradientSums<'_, T>) -> Flow<T> {
        sums.iter_mut().zip(self.weights()).for_each(|(sum, own)| *sum += own);
        self.input
    }
}

impl<T: Float> EinsumDense<T> {
    /// From the gradient of the output, in row order.
    pub(in crate::graph::ops) fn go_back(&self, x: Read<'_, T>, d: ArrayD<T>, wants_input: bool) -> Result<Found<T>> {
        let layout = self.layout(x.shape)?;
        let dz = self.through_activation(x, d)?;
        let bias = self.bias.as_ref().map(|bias| {
            let found = gathered(dz.clone(), &spread(bias.shape(), &layout.shape));
            reshaped_gradient(found, bias.shape())
        });
        let bias = bias.transpose()?;
        let Layout { shared, rows, summed, columns, .. } = layout;
        let dz = dz.as_slice().ok_or_else(misfit)?;
        let (way_out, mut ordered) = (layout.way_out(), Vec::new());
        let dz = match layout.writes {
            true => dz,
            false => {
                ordered.extend((0..way_out.len()).map(|at| dz[way_out.at(at)]));
                &ordered[..]
            }
        };
        let mut memory = Vec::new();
        let read = layout.rows_of(x, &mut memory);
        let (matrix, mut of_matrix) = (self.matrix(), vec![T::zero(); self.kernel.len()]);
        let mut of_rows = vec![T::zero(); if wants_input { shared * rows * summed } else { 0 }];
        for at in 0..shared {
            let dz = Rows::packed(&dz[at * rows * columns..], columns);
            let mut outer = OuterSums::new(summed, columns);
            outer.add(rows, Rows::packed(&read[at * rows * summed..], summed), dz);
            outer.flush(RowsMut::packed(&mut of_matrix[at * summed * columns..], columns));
            if wants_input {
                let mut back = DenseKernel::new(columns, summed);
                back.pack_transposed(&matrix[at * summed * columns..][..summed * columns], columns, 0);
                let to = RowsMut::packed(&mut of_rows[at * rows * summed..], summed);
                back.forward(rows, dz, to, &Activation::Linear);
            }
        }
        let mut kernel = ArrayD::zeros(self.kernel.raw_dim());
        let (way, to) = (self.way_of_kernel(), kernel.as_slice_mut().ok_or_else(misfit)?);
        of_matrix.iter().enumerate().for_each(|(at, &from)| to[way.at(at)] = from);
        let input = wants_input.then(|| layout.spread(x.shape, &of_rows)).transpose()?;
        Ok(Found { input, kernel, bias })
    }

    fn through_activation(&self, x: Read<'_, T>, mut d: ArrayD<T>) -> Result<ArrayD<T>> {
        if self.activation == Activation::Linear {
            return Ok(d);
        }
        let mut z = vec![T::zero(); d.len()];
        self.compute(x, &Activation::Linear, &mut z, [&mut Vec::new(), &mut Vec::new(), &mut Vec::new()])?;
        let last = d.shape().last().map_or(1, |&last| last.max(1));
        through_rows(&self.activation, last, &z, d.as_slice_mut().ok_or_else(misfit)?);
        Ok(d)
    }
}

impl Layout {
    /// The gradient of the input from that of its elements in the order of the products.
    fn spread<T: Float>(&self, shape: &[usize], of_rows: &[T]) -> Result<ArrayD<T>> {
        let mut d_x = ArrayD::zeros(shape);
        let (way, alone) = self.ways_in(shape);
        let to = d_x.as_slice_mut().ok_or_else(misfit)?;
        for (at, &d) in of_rows.iter().enumerate() {
            let first = way.at(at);
            (0..alone.len()).for_each(|at| to[first + alone.at(at)] = d);
        }
        Ok(d_x)
    }
}
