//! An LSTM whose products are convolutions and whose states are pictures: Keras's `ConvLSTM1D`, `ConvLSTM2D`,
//! `ConvLSTM3D` (Shi et al. 2015, without peepholes).
//!
//! ```text
//! i, f, o = gate(K * x + b + R * h);  g = act(K * x + b + R * h);  c' = f c + i g;  h' = o act(c')
//! ```
//! `K * x` has the windows of the options, `R * h` covers as many places as there are.

mod backward;
mod dropped;
mod forward;
mod frame;

use ndarray::ArrayD;

use super::super::noise::check_rate;
use super::Windows;
use super::convolution::{Convolution, Kind, Parts as ConvolutionParts};
use crate::activation::Activation;
use crate::config::{Config, ConfigError, activations};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Role, Which};
use crate::graph::shape::{self, Misfit, Shape, fit};
use crate::graph::stream::{Gives, Pace, Step};
use crate::graph::tensor::Tensor;
use crate::graph::training::Differs;
use crate::layers::builder::check_activation;
use crate::layers::convolution::window::{Padding, Window};
use crate::seeds::DropoutGenerator;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// A convolutional LSTM over (batch, timesteps, sizes.., channels). Outputs are the sequence or the last step, then h
/// and c.
#[derive(Debug, Clone)]
pub(crate) struct ConvLstm<T: Float> {
    /// From the channels to four times the filters: i, f, g, o.
    input: Convolution<T>,
    recurrent: Convolution<T>,
    options: Options,
    pace: Pace,
}

/// What it is told.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) activation: Activation,
    pub(crate) recurrent_activation: Activation,
    pub(crate) unit_forget_bias: bool,
    /// Of training alone, as the next two.
    pub(crate) dropout: f64,
    pub(crate) recurrent_dropout: f64,
    pub(crate) seed: Option<i64>,
    pub(crate) return_sequences: bool,
    pub(crate) return_state: bool,
    pub(crate) go_backwards: bool,
    pub(crate) zero_output_for_mask: bool,
    /// Of no effect.
    pub(crate) unroll: bool,
    /// Whether frames, outputs and states have the channels before the sizes.
    pub(crate) channels_first: bool,
}

/// What it is made of: kernels of (sizes.., channels, 4 filters) and (sizes.., filters, 4 filters).
#[derive(Debug)]
pub(crate) struct Parts<T> {
    pub(crate) windows: Windows,
    pub(crate) kernel: ArrayD<T>,
    pub(crate) recurrent_kernel: ArrayD<T>,
    pub(crate) bias: Option<ArrayD<T>>,
    pub(crate) options: Options,
}

impl<T: Float> ConvLstm<T> {
    /// Nothing is taken that doesn't fit.
    pub(crate) fn made(parts: Parts<T>) -> Result<Self> {
        let Parts { windows, kernel, recurrent_kernel, bias, options } = parts;
        check_activation(&options.activation)?;
        check_activation(&options.recurrent_activation)?;
        check_rate("dropout", options.dropout)?;
        check_rate("recurrent_dropout", options.recurrent_dropout)?;
        let around = |window: &Window| Window { size: window.size, stride: 1, dilation: 1, padding: Padding::Same };
        let around = Windows::new(&windows.own().iter().map(around).collect::<Vec<_>>(), "kernel_size")?;
        let columns = kernel.shape().last().copied().unwrap_or(0);
        let filters = columns / 4;
        let sizes = windows.own().iter().map(|window| window.size);
        let expected: Vec<usize> = sizes.chain([filters, 4 * filters]).collect();
        if !columns.is_multiple_of(4) || recurrent_kernel.shape() != expected {
            let (name, given) = ("recurrent_kernel".into(), recurrent_kernel.shape().to_vec());
            return Err(Error::WeightShape { name, expected, given });
        }
        let convolution = |windows, kernel, bias| {
            let (kind, activation) = (Kind::Full, Activation::Linear);
            Convolution::made(ConvolutionParts { windows, kind, kernel, pointwise: None, bias, groups: 1, activation })
        };
        let (input, recurrent) = (convolution(windows, kernel, bias)?, convolution(around, recurrent_kernel, None)?);
        Ok(ConvLstm { input, recurrent, options, pace: Pace::Unknown })
    }

    fn rank(&self) -> usize {
        self.input.windows.rank
    }

    /// The channels that it reads.
    fn channels(&self) -> usize {
        self.input.kernel.shape().iter().rev().nth(1).copied().unwrap_or(1)
    }

    fn filters(&self) -> usize {
        self.input.kernel.shape().last().map_or(1, |columns| columns / 4)
    }

    /// Of (batch, timesteps, ..) the shape of a state; nothing if it can't be read.
    pub(in crate::graph) fn state_shape(&self, x: &Shape) -> Option<Shape> {
        let [batch, steps, frame @ ..] = &x[..] else { return None };
        if frame.len() != self.rank() + 1 || *steps == Some(0) {
            return None;
        }
        let (channels, sizes) = match self.options.channels_first {
            true => (frame[0], &frame[1..]),
            false => (frame[self.rank()], &frame[..self.rank()]),
        };
        if !fit(channels, Some(self.channels())) {
            return None;
        }
        let x = [&[*batch], sizes, &[channels]].concat();
        let mut state = self.input.windows.outputs(&x, Some(self.filters()))?;
        if self.options.channels_first {
            state[1..].rotate_right(1);
        }
        Some(state)
    }

    pub(crate) fn returns_sequences(&self) -> bool {
        self.options.return_sequences
    }
}

impl<T: Float> Operation<T> for ConvLstm<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let own = &self.options;
        let config = Config::new(&format!("ConvLSTM{}D", self.rank())).with("input_size", self.channels());
        let config = self.input.windows.describe(config.with("filters", self.filters()), "kernel_size");
        let format = if own.channels_first { "channels_first" } else { "channels_last" };
        let config = config.with("data_format", format);
        let config = config.with("activation", activations::describe(&own.activation)?);
        let config = config.with("recurrent_activation", activations::describe(&own.recurrent_activation)?);
        Ok(config
            .with("use_bias", self.input.bias.is_some())
            .with("unit_forget_bias", own.unit_forget_bias)
            .with("dropout", own.dropout)
            .with("recurrent_dropout", own.recurrent_dropout)
            .with("seed", own.seed)
            .with("return_sequences", own.return_sequences)
            .with("return_state", own.return_state)
            .with("go_backwards", own.go_backwards)
            .with("zero_output_for_mask", own.zero_output_for_mask)
            .with("unroll", own.unroll))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        let Some(state) = self.state_shape(x) else {
            let sizes = ["", "columns", "rows, columns", "depth, rows, columns"][self.rank().min(3)];
            let (channels, of) = if self.options.channels_first { ("channels, ", "") } else { ("", ", channels") };
            let shape = format!("(batch, timesteps, {channels}{sizes}{of})");
            let more = format!("{} channels, a step and room for a window", self.channels());
            return shape::misfit(format!("{shape}, {more}"), inputs);
        };
        let sequence = [&state[..1], &x[1..2], &state[1..]].concat();
        let output = if self.options.return_sequences { sequence } else { state.clone() };
        let states = if self.options.return_state { vec![state; 2] } else { vec![] };
        Ok([vec![output], states].concat())
    }

    fn differs_in_training(&self, _trainable: bool) -> Option<Differs> {
        let unknown = self.dropout().draws() > 0 && self.options.seed.is_none();
        unknown.then_some(Differs { what: "seed", expected: "set", given: "none: this system has no random numbers" })
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        let dropout = self.dropout();
        if dropout.draws() > 0 {
            show(DropoutGenerator::new(&dropout));
        }
    }

    fn trains_by_batch(&self) -> bool {
        self.dropout().draws() > 0
    }

    fn takes_mask(&self) -> bool {
        true
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        self.go(inputs, call)
    }

    fn backward(&self, back: Back<'_, T>, sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        self.go_back(back, sums)
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        self.take_step(step)
    }

    fn pace(&mut self, each_step: bool) -> Result<Gives, &'static str> {
        if each_step && self.options.go_backwards {
            return Err("it goes backwards: its first step reads the last one");
        }
        self.pace.choose(each_step)?;
        Ok(if self.options.return_sequences { Gives::EachStep } else { Gives::SoFar })
    }

    fn can_train(&self) -> Result<()> {
        self.options.activation.check_derivative()?;
        self.options.recurrent_activation.check_derivative()
    }

    fn visit_weights<'a>(&'a self, _which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("kernel", &self.input.kernel);
        visitor.weight("recurrent_kernel", &self.recurrent.kernel);
        if let Some(bias) = &self.input.bias {
            visitor.weight("bias", bias);
        }
    }

    fn visit_weights_mut(&mut self, _which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        visitor.weight("kernel", &mut self.input.kernel);
        visitor.weight("recurrent_kernel", &mut self.recurrent.kernel);
        if let Some(bias) = &mut self.input.bias {
            visitor.weight("bias", bias);
        }
        self.input.pack();
        self.recurrent.pack();
        Ok(())
    }

    fn role(&self) -> Role<'_, T> {
        Role::ConvLstm(self)
    }
}
