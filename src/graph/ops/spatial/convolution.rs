//! Convolutions over two or three dimensions: Keras's `Conv2D`, `Conv3D`, `DepthwiseConv2D`, `SeparableConv2D`.

mod backward;
mod options;

use std::sync::Arc;

use ndarray::ArrayD;

use super::{Stand, Windows};
use crate::activation::Activation;
use crate::buffers::take;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Which, misfit};
use crate::graph::shape::{self, Misfit, Shape, fit};
use crate::graph::stream::{Step, Work};
use crate::graph::tensor::{Tensor, in_row_order};
use crate::kernels::activate::activate;
use crate::kernels::isa::Isa;
use crate::kernels::{DenseKernel, Depthwise};
use crate::memory::MemoryNeeds;
use crate::strided::{Rows, RowsMut};
use crate::weights::{WeightVisitor, WeightVisitorMut};

pub(super) use self::backward::Sums;
pub(crate) use self::options::{Kind, Parts};

/// A convolution over (batch, sizes.., channels). Masks end here.
#[derive(Debug, Clone)]
pub(crate) struct Convolution<T: Float> {
    pub(super) windows: Windows,
    kind: Kind,
    /// (sizes.., channels / groups, filters); of channels each by itself (sizes.., channels, times).
    pub(super) kernel: ArrayD<T>,
    /// Of what is separable, (1.., channels * times, filters).
    pointwise: Option<ArrayD<T>>,
    pub(super) bias: Option<ArrayD<T>>,
    groups: usize,
    activation: Activation,
    /// One for each group; of what is separable that of the second part.
    packed: Arc<Vec<DenseKernel<T>>>,
}

/// Outputs whose windows are gathered together.
const LOT: usize = 64;

/// How wide its parts are.
#[derive(Debug, Clone, Copy)]
struct Widths {
    /// Channels that are read.
    input: usize,
    /// Of the first part.
    first: usize,
    output: usize,
    taps: usize,
}

impl<T: Float> Convolution<T> {
    fn widths(&self) -> Widths {
        let shape = self.kernel.shape();
        let [.., channels, filters] = shape else { return Widths { input: 1, first: 1, output: 1, taps: 1 } };
        let taps = self.windows.taps().unwrap_or(1);
        let by_channel = self.kind != Kind::Full;
        let (input, first) =
            if by_channel { (*channels, channels * filters) } else { (channels * self.groups, *filters) };
        let output = self.pointwise.as_ref().and_then(|kernel| kernel.shape().last().copied()).unwrap_or(first);
        Widths { input, first, output, taps }
    }

    /// The elements that a call works in, if they can be counted.
    pub(super) fn work_len(&self) -> Option<usize> {
        let Widths { input, first, taps, .. } = self.widths();
        let row = taps.checked_mul(if self.kind == Kind::Full { input / self.groups } else { first })?;
        row.checked_add(first)?.checked_mul(LOT)
    }

    /// Gathers the windows of outputs from `first` on: of a group of channels a row for each output, of channels each by
    /// themselves a row for each element of a window, each channel as often as it is weighed.
    fn gather(&self, stand: &Stand, x: &[T], (first, count): (usize, usize), group: usize, to: &mut [T]) {
        let Widths { input, first: width, .. } = self.widths();
        let times = if self.kind == Kind::Full { 1 } else { width / input };
        let channels = if self.kind == Kind::Full { input / self.groups } else { input };
        let places = (first..first + count).flat_map(|output| stand.window(output));
        for (place, to) in places.zip(to.chunks_exact_mut(channels * times)) {
            let Some(place) = place else {
                to.fill(T::zero());
                continue;
            };
            let from = &x[place * input + group * channels..][..channels];
            match times {
                1 => to.copy_from_slice(from),
                _ => to.chunks_exact_mut(times).zip(from).for_each(|(to, &from)| to.fill(from)),
            }
        }
    }

    /// The first part of outputs from `first` on, and in `windows` what they read. Of a plain convolution with its bias
    /// and, if it has one group, its activation.
    fn part(
        &self,
        stand: &Stand,
        x: &[T],
        (first, count): (usize, usize),
        activation: &Activation,
        (windows, out): (&mut [T], &mut [T]),
    ) {
        let widths = self.widths();
        if self.kind == Kind::Full {
            let (width, reads) = (widths.first / self.groups, widths.taps * widths.input / self.groups);
            for (group, kernel) in self.packed.iter().enumerate() {
                self.gather(stand, x, (first, count), group, windows);
                let to = RowsMut::new(out, group * width, widths.first, width);
                let activation = if self.groups == 1 { activation } else { &Activation::Linear };
                kernel.forward(count, Rows::packed(windows, reads), to, activation);
            }
            return;
        }
        self.gather(stand, x, (first, count), 0, windows);
        let bias = self.bias.as_ref().filter(|_| self.kind == Kind::Depthwise).and_then(|bias| bias.as_slice());
        Depthwise {
            weights: Rows::packed(self.kernel.as_slice().unwrap_or_default(), widths.first),
            taps: widths.taps,
            bias,
            x: Rows::packed(windows, widths.first),
            stride: widths.taps,
            dilation: 1,
            count,
            out: RowsMut::packed(out, widths.first),
        }
        .run();
    }

    /// All outputs of all rows of the batch.
    pub(super) fn whole(
        &self,
        shape: &[usize],
        x: &[T],
        activation: &Activation,
        out: &mut [T],
        memory: &mut Vec<T>,
    ) -> Result<()> {
        let (stand, widths) = (self.windows.stand(shape).ok_or_else(misfit)?, self.widths());
        let (outputs, len) = (stand.count(), stand.positions() * widths.input);
        let work = take(memory, self.work_len().ok_or_else(misfit)?);
        let (between, windows) = work.split_at_mut(LOT * widths.first);
        let rows = x.chunks_exact(len.max(1)).zip(out.chunks_exact_mut((outputs * widths.output).max(1)));
        for (x, out) in rows {
            for (lot, out) in out.chunks_mut(LOT * widths.output).enumerate() {
                let count = out.len() / widths.output;
                let places = (lot * LOT, count);
                match self.kind {
                    Kind::Separable => {
                        self.part(&stand, x, places, activation, (windows, between));
                        let first = Rows::packed(between, widths.first);
                        self.packed[0].forward(count, first, RowsMut::packed(out, widths.output), activation);
                    }
                    Kind::Full if self.groups == 1 => self.part(&stand, x, places, activation, (windows, out)),
                    _ => {
                        self.part(&stand, x, places, activation, (windows, &mut *out));
                        out.chunks_exact_mut(widths.output).for_each(|row| activate(Isa::detect(), activation, row));
                    }
                }
            }
        }
        Ok(())
    }
}

impl<T: Float> Operation<T> for Convolution<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        self.description()
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let (x, widths) = (shape::only(inputs)?, self.widths());
        let wide = x.last().is_some_and(|&channels| fit(channels, Some(widths.input)));
        match self.windows.outputs(x, Some(widths.output)).filter(|_| wide) {
            Some(output) => Ok(vec![output]),
            None => {
                super::misfit(self.windows.rank, &format!(", {} channels and room for a window", widths.input), inputs)
            }
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = in_row_order(&inputs[0].value.floats());
        let stand = self.windows.stand(x.shape()).ok_or_else(misfit)?;
        let counts = &stand.counts()[3 - self.windows.rank..];
        let shape = [&x.shape()[..1], counts, &[self.widths().output]].concat();
        let mut needs = MemoryNeeds::default();
        needs.array::<T>(&shape);
        needs.array::<T>(&[self.work_len().unwrap_or(usize::MAX)]);
        needs.check(&shape)?;
        let mut out = ArrayD::zeros(&shape[..]);
        let (values, to) = (x.as_slice().ok_or_else(misfit)?, out.as_slice_mut().ok_or_else(misfit)?);
        self.whole(x.shape(), values, &self.activation, to, &mut Vec::new())?;
        Ok(vec![Tensor::float(out)])
    }

    fn backward(&self, back: Back<'_, T>, sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        self.go_back(back, sums)
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        let Step { outputs, work: Work { floats, more, .. }, .. } = step;
        let x = input.floats(floats)?;
        self.whole(input.shape(), x, &self.activation, outputs[0].as_floats()?, more)
    }

    fn can_train(&self) -> Result<()> {
        self.activation.check_derivative()
    }

    fn visit_weights<'a>(&'a self, _which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        let [kernel, pointwise] = self.kind.names();
        visitor.weight(kernel, &self.kernel);
        for (name, weight) in [(pointwise, &self.pointwise), ("bias", &self.bias)] {
            if let Some(weight) = weight {
                visitor.weight(name, weight);
            }
        }
    }

    fn visit_weights_mut(&mut self, _which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        let [kernel, pointwise] = self.kind.names();
        visitor.weight(kernel, &mut self.kernel);
        for (name, weight) in [(pointwise, &mut self.pointwise), ("bias", &mut self.bias)] {
            if let Some(weight) = weight {
                visitor.weight(name, weight);
            }
        }
        self.pack();
        Ok(())
    }
}
