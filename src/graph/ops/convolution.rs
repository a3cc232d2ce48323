//! Convolutions over time, sequence by sequence.

use std::sync::Arc;

use ndarray::ArrayD;

use crate::activation::Activation;
use crate::buffers::take;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Op, Operation, Role, Which, misfit};
use crate::graph::ops::activation::through_rows;
use crate::graph::ops::recent;
use crate::graph::shape::{self, Misfit, Shape, fit};
use crate::graph::stream::{Gives, Pace, Rate, Step};
use crate::graph::tensor::{Tensor, in_row_order};
use crate::layers::convolution::window::{Span, Window};
use crate::layers::convolution::{Common, Convolve, Windows};
use crate::memory::MemoryNeeds;
use crate::precision::Precision;
use crate::weights::{QuantizedVisitor, WeightVisitor, WeightVisitorMut};

/// A convolution over (batch, timesteps, channels). Masks end here.
#[derive(Debug, Clone)]
pub(crate) struct Convolution<L> {
    layer: Arc<L>,
    pace: Pace,
}

impl<L> Convolution<L> {
    pub(crate) fn new(layer: L) -> Self {
        Convolution { layer: Arc::new(layer), pace: Pace::Unknown }
    }

    /// The same at the pace of another one.
    fn at(self, pace: Pace) -> Self {
        Convolution { pace, ..self }
    }

    /// The outputs of all sequences: `x` is (batch, timesteps, channels), `out` (batch, steps, filters).
    fn whole<T: Float>(
        &self,
        timesteps: usize,
        x: &[T],
        activation: &Activation,
        out: &mut [T],
        (padded, work): (&mut Vec<T>, &mut Vec<T>),
    ) -> Result<()>
    where
        L: Convolve<T>,
    {
        let Common { input_size, output_size, window, .. } = self.layer.common();
        let span = window.span(timesteps).ok_or_else(misfit)?;
        let as_it_is = span.before == 0 && span.positions <= timesteps;
        let rows = x.chunks_exact(timesteps * input_size).zip(out.chunks_exact_mut(span.count * output_size));
        for (x, out) in rows {
            let padded = match as_it_is {
                true => x,
                false => {
                    let padded = take(padded, span.positions * input_size);
                    span.pad(x, *input_size, T::zero(), padded);
                    padded
                }
            };
            self.layer.forward(windows(window, span, 1, padded), activation, out, work);
        }
        Ok(())
    }
}

/// Padded sequences as the layer reads them.
fn windows<'x, T>(window: &Window, span: Span, batch: usize, x: &'x [T]) -> Windows<'x, T> {
    let Window { stride, dilation, .. } = *window;
    Windows { x, batch, count: span.count, stride, dilation }
}

impl<T: Float, L: Convolve<T>> Operation<T> for Convolution<L> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        self.layer.describe()
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let Common { input_size, output_size, window, .. } = self.layer.common();
        let expected = || {
            let least = if window.span(1).is_some() { 1 } else { window.reach() };
            format!("(batch, timesteps, {input_size}), {least} steps or more")
        };
        match shape::only(inputs)?[..] {
            // One step of a stream.
            [batch, Some(1), channels] if self.pace == Pace::Steps && fit(channels, Some(*input_size)) => {
                Ok(vec![vec![batch, Some(1), Some(*output_size)]])
            }
            [batch, steps, channels] if fit(channels, Some(*input_size)) => match window.outputs(steps) {
                Some(steps) => Ok(vec![vec![batch, steps, Some(*output_size)]]),
                None => shape::misfit(expected(), inputs),
            },
            _ => shape::misfit(expected(), inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let common = self.layer.common();
        if let (Some(trace), Pace::Steps) = (call.trace, self.pace) {
            recent::keep(trace, common.window, common.input_size)?;
            let batch = inputs[0].shape().first().copied().unwrap_or(0);
            return Ok(vec![Tensor::float(ArrayD::zeros(vec![batch, 1, common.output_size]))]);
        }
        let x = in_row_order(&inputs[0].value.floats());
        let &[batch, timesteps, _] = x.shape() else { return Err(misfit()) };
        let span = common.window.span(timesteps).ok_or_else(misfit)?;
        let shape = [batch, span.count, common.output_size];
        let mut needs = MemoryNeeds::default();
        needs.array::<T>(&shape);
        needs.array::<T>(&[span.positions, common.input_size]);
        needs.array::<T>(&[self.layer.work_len(span.positions, span.count).unwrap_or(usize::MAX)]);
        needs.check(&shape)?;
        let mut out = ArrayD::zeros(&shape[..]);
        let (x, to) = (x.as_slice().ok_or_else(misfit)?, out.as_slice_mut().ok_or_else(misfit)?);
        self.whole(timesteps, x, &common.activation, to, (&mut Vec::new(), &mut Vec::new()))?;
        Ok(vec![Tensor::float(out)])
    }

    fn backward(&self, mut back: Back<'_, T>, mut sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let Common { input_size, output_size, window, activation, .. } = self.layer.common();
        let (mut d, x) = (back.of_output()?, in_row_order(&back.input()?.floats()));
        let &[batch, timesteps, _] = x.shape() else { return Err(misfit()) };
        let span = window.span(timesteps).ok_or_else(misfit)?;
        let padded_len = span.positions * input_size;
        let mut padded = vec![T::zero(); batch * padded_len];
        let x = x.as_slice().ok_or_else(misfit)?;
        for (x, padded) in x.chunks_exact(timesteps * input_size).zip(padded.chunks_exact_mut(padded_len)) {
            span.pad(x, *input_size, T::zero(), padded);
        }
        let windows = windows(window, span, batch, &padded);
        let dz = d.as_slice_mut().ok_or_else(misfit)?;
        if *activation != Activation::Linear {
            let mut z = vec![T::zero(); dz.len()];
            self.layer.forward(windows, &Activation::Linear, &mut z, &mut Vec::new());
            through_rows(activation, *output_size, &z, dz);
        }
        let wanted = back.wants_input();
        let mut d_padded = vec![T::zero(); if wanted { padded.len() } else { 0 }];
        let mut sums: Vec<&mut [T]> = sums.iter_mut().filter_map(|sum| sum.as_slice_mut()).collect();
        self.layer.backward(windows, dz, wanted.then_some(&mut d_padded[..]), &mut sums);
        if !wanted {
            return Ok(vec![None]);
        }
        let mut d_x = vec![T::zero(); x.len()];
        for (d_x, from) in d_x.chunks_exact_mut(timesteps * input_size).zip(d_padded.chunks_exact(padded_len)) {
            span.unpad(from, *input_size, d_x);
        }
        let d_x = ArrayD::from_shape_vec(vec![batch, timesteps, *input_size], d_x).map_err(|_| misfit())?;
        Ok(vec![Some(d_x)])
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        let (input, common) = (step.input(0), self.layer.common());
        if let Some(kept) = step.kept {
            let taps = common.window.size;
            let x = recent::next_windows(common.window, common.input_size, input, kept, &mut step.work.more)?;
            if step.due {
                let batch = input.shape().first().copied().unwrap_or(0);
                let windows = Windows { x, batch: 1, count: batch, stride: taps, dilation: 1 };
                let out = step.outputs[0].as_floats()?;
                self.layer.forward(windows, &common.activation, out, &mut step.work.floats);
            }
            return Ok(());
        }
        let &[_, timesteps, _] = input.shape() else { return Err(misfit()) };
        let x = input.floats(&mut step.work.floats)?;
        let memory = (&mut step.work.more, &mut step.work.most);
        self.whole(timesteps, x, &common.activation, step.outputs[0].as_floats()?, memory)
    }

    /// A window of one step looks at nothing else.
    fn steps_alone(&self) -> bool {
        let window = self.layer.common().window;
        window.size == 1 && window.stride == 1
    }

    fn pace(&mut self, each_step: bool) -> Result<Gives, &'static str> {
        if each_step {
            let ways_out = "with same padding its outputs see later steps: causal padding streams, and valid padding";
            recent::check(self.layer.common().window, ways_out)?;
        }
        self.pace.choose(each_step)?;
        Ok(Gives::EachStep)
    }

    fn quantized(&self, precision: Precision) -> Result<Option<Op<T>>> {
        let quantized = self.layer.quantized(precision)?;
        quantized.map(|layer| Op::of_f32("Conv1D", Op::new(Convolution::new(layer).at(self.pace)))).transpose()
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        self.layer.visit_quantized(visitor);
    }

    fn role(&self) -> Role<'_, T> {
        self.layer.class_in_fewer_bits().map_or(Role::Plain, Role::InFewerBits)
    }

    fn rate(&self, input: Rate) -> Result<Rate, &'static str> {
        if self.pace == Pace::Steps { input.through(self.layer.common().window) } else { input.same() }
    }

    fn can_train(&self) -> Result<()> {
        self.layer.can_train()
    }

    fn visit_weights<'a>(&'a self, _which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.layer.visit_weights(visitor);
    }

    fn visit_weights_mut(&mut self, _which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        Arc::make_mut(&mut self.layer).visit_weights_mut(visitor)
    }
}
