//! The way back through a convolution over space: lot by lot, as forward.

use ndarray::ArrayD;

use super::{Convolution, Kind, LOT, Widths};
use crate::activation::Activation;
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Flow, misfit};
use crate::graph::ops::activation::through_rows;
use crate::graph::ops::spatial::Stand;
use crate::graph::tensor::in_row_order;
use crate::kernels::DenseKernel;
use crate::kernels::backward::OuterSums;
use crate::strided::{Rows, RowsMut};

/// What the way back works with, and sums up.
pub(in crate::graph::ops::spatial) struct Sums<T: Float> {
    /// Of each group.
    outer: Vec<OuterSums<T>>,
    /// The kernels turned, of each group.
    back: Vec<DenseKernel<T>>,
    /// Of channels each by themselves.
    kernel: Vec<T>,
    windows: Vec<T>,
    between: Vec<T>,
    of_windows: Vec<T>,
}

impl<T: Float> Convolution<T> {
    pub(super) fn go_back(&self, mut back: Back<'_, T>, mut sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (mut d, x) = (back.of_output()?, in_row_order(&back.input()?.floats()));
        let (stand, widths) = (self.windows.stand(x.shape()).ok_or_else(misfit)?, self.widths());
        let values = x.as_slice().ok_or_else(misfit)?;
        let dz = d.as_slice_mut().ok_or_else(misfit)?;
        self.through_activation(x.shape(), values, dz)?;
        let mut own = self.sums();
        let mut d_x = ArrayD::zeros(x.raw_dim());
        let to = d_x.as_slice_mut().ok_or_else(misfit)?;
        let (len, outputs) = ((stand.positions() * widths.input).max(1), (stand.count() * widths.output).max(1));
        for ((x, d_x), dz) in values.chunks_exact(len).zip(to.chunks_exact_mut(len)).zip(dz.chunks_exact(outputs)) {
            self.row_back(&stand, x, dz, &mut own, d_x);
        }
        let mut sums: Vec<&mut [T]> = sums.iter_mut().filter_map(|sum| sum.as_slice_mut()).collect();
        self.flush(&own, &mut sums);
        if let (Some(bias), Some(_)) = (sums.last_mut(), &self.bias) {
            for row in dz.chunks_exact(widths.output) {
                bias.iter_mut().zip(row).for_each(|(sum, &d)| *sum += d);
            }
        }
        Ok(vec![back.wants_input().then_some(d_x)])
    }

    fn through_activation(&self, shape: &[usize], x: &[T], dz: &mut [T]) -> Result<()> {
        if self.activation == Activation::Linear {
            return Ok(());
        }
        let width = self.widths().output;
        let mut z = vec![T::zero(); dz.len()];
        self.whole(shape, x, &Activation::Linear, &mut z, &mut Vec::new())?;
        through_rows(&self.activation, width, &z, dz);
        Ok(())
    }

    /// Of one row of the batch: `dz` are the gradients of its preactivations, that of `x` is added to `d_x`.
    pub(in crate::graph::ops::spatial) fn row_back(
        &self,
        stand: &Stand,
        x: &[T],
        dz: &[T],
        own: &mut Sums<T>,
        d_x: &mut [T],
    ) {
        for (lot, dz) in dz.chunks(LOT * self.widths().output).enumerate() {
            self.lot_back(stand, x, (lot * LOT, dz), own, d_x);
        }
    }

    pub(in crate::graph::ops::spatial) fn sums(&self) -> Sums<T> {
        let Widths { input, first, output, taps } = self.widths();
        let (mut outer, mut back) = (Vec::new(), Vec::new());
        let (rows, columns, matrix) = match self.kind {
            Kind::Full => (taps * input / self.groups, first / self.groups, self.kernel.as_slice()),
            Kind::Separable => (first, output, self.pointwise.as_ref().and_then(|kernel| kernel.as_slice())),
            Kind::Depthwise => (0, 0, None),
        };
        for group in 0..matrix.map_or(0, |_| self.groups) {
            let mut turned = DenseKernel::new(columns, rows);
            turned.pack_transposed(matrix.unwrap_or_default(), columns * self.groups, group * columns);
            back.push(turned);
            outer.push(OuterSums::new(rows, columns));
        }
        let row = taps * if self.kind == Kind::Full { input / self.groups } else { first };
        let zeros = |len: usize| vec![T::zero(); len];
        let kernel = zeros(if self.kind == Kind::Full { 0 } else { self.kernel.len() });
        Sums {
            outer,
            back,
            kernel,
            windows: zeros(LOT * row),
            between: zeros(LOT * first),
            of_windows: zeros(LOT * row),
        }
    }

    fn lot_back(&self, stand: &Stand, x: &[T], (at, dz): (usize, &[T]), own: &mut Sums<T>, d_x: &mut [T]) {
        let Widths { input, first, output, taps } = self.widths();
        let count = dz.len() / output;
        if self.kind == Kind::Full {
            let (width, channels) = (first / self.groups, input / self.groups);
            for group in 0..self.groups {
                self.gather(stand, x, (at, count), group, &mut own.windows);
                let rows = Rows::packed(&own.windows, taps * channels);
                let dz = Rows::new(dz, group * width, first, width);
                own.outer[group].add(count, rows, dz);
                let to = RowsMut::packed(&mut own.of_windows, taps * channels);
                own.back[group].forward(count, dz, to, &Activation::Linear);
                let places = (at..at + count).flat_map(|output| stand.window(output));
                for (place, d) in places.zip(own.of_windows.chunks_exact(channels)) {
                    if let Some(place) = place {
                        let to = &mut d_x[place * input + group * channels..][..channels];
                        to.iter_mut().zip(d).for_each(|(to, &d)| *to += d);
                    }
                }
            }
            return;
        }
        self.gather(stand, x, (at, count), 0, &mut own.windows);
        let d_first: &[T] = if self.kind == Kind::Separable {
            let windows = own.windows.clone();
            self.part(stand, x, (at, count), &Activation::Linear, (&mut own.windows, &mut own.between));
            own.windows = windows;
            own.outer[0].add(count, Rows::packed(&own.between, first), Rows::packed(dz, output));
            let to = RowsMut::packed(&mut own.between, first);
            own.back[0].forward(count, Rows::packed(dz, output), to, &Activation::Linear);
            &own.between
        } else {
            dz
        };
        let kernel = self.kernel.as_slice().unwrap_or_default();
        for (output, d) in d_first.chunks_exact(first).enumerate().take(count) {
            for (tap, place) in stand.window(at + output).enumerate() {
                let Some(place) = place else { continue };
                let x = &own.windows[(output * taps + tap) * first..][..first];
                let (sums, kernel) = (&mut own.kernel[tap * first..][..first], &kernel[tap * first..][..first]);
                for (column, ((sum, &x), &d)) in sums.iter_mut().zip(x).zip(d).enumerate() {
                    *sum += x * d;
                    d_x[place * input + column / (first / input)] += d * kernel[column];
                }
            }
        }
    }

    /// Adds the sums to the gradients of the kernels.
    pub(in crate::graph::ops::spatial) fn flush(&self, own: &Sums<T>, sums: &mut [&mut [T]]) {
        let Widths { first, output, .. } = self.widths();
        let Some((kernel, rest)) = sums.split_first_mut() else { return };
        match self.kind {
            Kind::Full => {
                let width = first / self.groups;
                for (group, outer) in own.outer.iter().enumerate() {
                    outer.flush(RowsMut::new(kernel, group * width, first, width));
                }
            }
            _ => kernel.iter_mut().zip(&own.kernel).for_each(|(sum, &own)| *sum += own),
        }
        if let (Kind::Separable, Some(pointwise), Some(outer)) = (self.kind, rest.first_mut(), own.outer.first()) {
            outer.flush(RowsMut::packed(pointwise, output));
        }
    }
}
