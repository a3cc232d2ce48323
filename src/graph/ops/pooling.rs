//! Pooling over time: of each stand of a window, the largest or the mean, channel by channel.

use ndarray::ArrayD;

#[cfg(feature = "file")]
use crate::config::Options;
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, misfit};
use crate::graph::ops::recent;
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::{Gives, Pace, Rate, Step};
use crate::graph::tensor::{Tensor, in_row_order};
use crate::layers::convolution::window::{Padding, Window};

/// What is made of the elements of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pool {
    Max,
    Average,
}

/// Pooling over (batch, timesteps, channels). What is padded doesn't count; masks end here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pooling {
    pub(crate) window: Window,
    pub(crate) pool: Pool,
    pace: Pace,
}

/// The largest of each stand of a window, channel by channel: Keras's `MaxPooling1D`. Masks end here.
///
/// As in TensorFlow, NaN is never the largest, and a window of nothing but NaN gives the smallest finite number.
///
/// Without padding it runs step by step, with an output when a window is full: see
/// [`ModelStream::push`](crate::model::ModelStream::push). What it keeps is its last pool_size - 1 inputs.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Padding, Sequential, ops};
/// let model = Sequential::<f32>::builder("pooled")
///     .layer(ops::MaxPooling1D::new(2)?)
///     .layer(ops::AveragePooling1D::new(3)?.strides(1)?.padding(Padding::Same)?)
///     .input_shape([None, Some(4)])
///     .build()?;
/// assert_eq!(model.predict_one(&Array3::<f32>::ones((2, 9, 4)))?.shape(), [2, 4, 4]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct MaxPooling1D(Pooling);

/// The mean of each stand of a window, channel by channel: Keras's `AveragePooling1D`. Masks end here; padding isn't
/// part of the mean. See [`MaxPooling1D`] for an example.
#[derive(Debug, Clone, Copy)]
pub struct AveragePooling1D(Pooling);

impl Pooling {
    pub(crate) fn new(pool: Pool, window: Window) -> Result<Self> {
        window.check("pool_size")?;
        match window.padding {
            Padding::Causal => Err(Error::OptionWord { option: "padding", expected: "valid, same", given: "causal" }),
            _ => Ok(Pooling { window, pool, pace: Pace::Unknown }),
        }
    }

    /// A window that moves by its size.
    fn of_size(pool: Pool, size: usize) -> Result<Self> {
        Self::new(pool, Window { size, stride: size, dilation: 1, padding: Padding::Valid })
    }

    #[cfg(feature = "file")]
    pub(in crate::graph) fn read(pool: Pool, options: &Options<'_>) -> Result<Self, ConfigError> {
        let window = Window::read(options, "pool_size")?;
        if window.dilation != 1 {
            return Err(options.need("dilation_rate", "1")?.wrong("1: pooling has no gaps"));
        }
        Self::new(pool, window).map_err(|error| options.refused(error))
    }

    /// The steps that output `at` of `n` steps reads.
    fn steps(&self, at: usize, before: usize, n: usize) -> std::ops::Range<usize> {
        let start = at * self.window.stride;
        start.saturating_sub(before)..(start + self.window.size).saturating_sub(before).min(n)
    }

    /// Writes (batch, steps, channels).
    fn whole<T: Float>(&self, [timesteps, channels]: [usize; 2], x: &[T], out: &mut [T]) -> Result<()> {
        let span = self.window.span(timesteps).ok_or_else(misfit)?;
        if channels == 0 {
            return Ok(());
        }
        let rows = x.chunks_exact(timesteps * channels).zip(out.chunks_exact_mut(span.count * channels));
        for (x, out) in rows {
            for (at, out) in out.chunks_exact_mut(channels).enumerate() {
                let steps = self.steps(at, span.before, timesteps);
                self.one(&x[steps.start * channels..steps.end * channels], out);
            }
        }
        Ok(())
    }

    /// Of the steps of one window.
    fn one<T: Float>(&self, x: &[T], out: &mut [T]) {
        let rows = x.chunks_exact(out.len());
        match self.pool {
            Pool::Max => largest(rows, out),
            Pool::Average => {
                let count = rows.len();
                mean(rows, count, out);
            }
        }
    }
}

/// What both have.
macro_rules! pooling {
    ($($layer:ident: $pool:ident;)*) => {$(
        impl $layer {
            /// Of windows of so many steps, side by side, where they fit.
            ///
            /// # Errors
            /// [`Error::ZeroSize`], [`Error::SizeOverflow`].
            pub fn new(pool_size: usize) -> Result<Self> {
                Pooling::of_size(Pool::$pool, pool_size).map($layer)
            }

            /// The steps from one stand of the window to the next; as many as it has unless it is set.
            ///
            /// # Errors
            /// [`Error::ZeroSize`].
            pub fn strides(self, strides: usize) -> Result<Self> {
                Pooling::new(Pool::$pool, Window { stride: strides, ..self.0.window }).map($layer)
            }

            /// What stands around the sequence: nothing unless it is set, or [`Padding::Same`].
            ///
            /// # Errors
            /// [`Error::OptionWord`] for [`Padding::Causal`], which Keras's pooling hasn't.
            pub fn padding(self, padding: Padding) -> Result<Self> {
                Pooling::new(Pool::$pool, Window { padding, ..self.0.window }).map($layer)
            }
        }

        impl From<$layer> for Pooling {
            fn from(layer: $layer) -> Self {
                layer.0
            }
        }
    )*};
}

pooling! { MaxPooling1D: Max; AveragePooling1D: Average; }

/// TensorFlow's: what is larger than the smallest finite number.
pub(super) fn largest<'x, T: Float>(rows: impl Iterator<Item = &'x [T]>, out: &mut [T]) {
    out.fill(T::min_value());
    for row in rows {
        out.iter_mut().zip(row).for_each(|(most, &x)| *most = if x > *most { x } else { *most });
    }
}

pub(super) fn mean<'x, T: Float>(rows: impl Iterator<Item = &'x [T]>, count: usize, out: &mut [T]) {
    out.fill(T::zero());
    for row in rows {
        out.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
    }
    let count = T::from_f64(count as f64);
    out.iter_mut().for_each(|sum| *sum /= count);
}

impl<T: Float> Operation<T> for Pooling {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let class = match self.pool {
            Pool::Max => "MaxPooling1D",
            Pool::Average => "AveragePooling1D",
        };
        Ok(self.window.describe(Config::new(class), "pool_size"))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let least = if self.window.padding == Padding::Valid { self.window.size } else { 1 };
        let refuse = || shape::misfit(format!("(batch, timesteps, channels), {least} steps or more"), inputs);
        match shape::only(inputs)?[..] {
            // One step of a stream.
            [batch, Some(1), channels] if self.pace == Pace::Steps => Ok(vec![vec![batch, Some(1), channels]]),
            [batch, steps, channels] => match self.window.outputs(steps) {
                Some(steps) => Ok(vec![vec![batch, steps, channels]]),
                None => refuse(),
            },
            _ => refuse(),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = in_row_order(&inputs[0].value.floats());
        let &[batch, timesteps, channels] = x.shape() else { return Err(misfit()) };
        if let (Some(trace), Pace::Steps) = (call.trace, self.pace) {
            recent::keep(trace, self.window, channels)?;
            return Ok(vec![Tensor::float(ArrayD::zeros(vec![batch, 1, channels]))]);
        }
        let span = self.window.span(timesteps).ok_or_else(misfit)?;
        let mut out = ArrayD::zeros(vec![batch, span.count, channels]);
        let (x, to) = (x.as_slice().ok_or_else(misfit)?, out.as_slice_mut().ok_or_else(misfit)?);
        self.whole([timesteps, channels], x, to)?;
        Ok(vec![Tensor::float(out)])
    }

    /// The largest gets the gradient, the first of them if they are equal.
    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x) = (back.of_output()?, in_row_order(&back.input()?.floats()));
        let &[_, timesteps, channels] = x.shape() else { return Err(misfit()) };
        let span = self.window.span(timesteps).ok_or_else(misfit)?;
        let mut d_x = ArrayD::zeros(x.raw_dim());
        let (d, x) = (d.as_slice().ok_or_else(misfit)?, x.as_slice().ok_or_else(misfit)?);
        let to = d_x.as_slice_mut().ok_or_else(misfit)?;
        for (place, &d) in d.iter().enumerate() {
            let (row, rest) = (place / (span.count * channels), place % (span.count * channels));
            let (at, channel) = (rest / channels, rest % channels);
            let steps = self.steps(at, span.before, timesteps);
            let of = |step: usize| (row * timesteps + step) * channels + channel;
            match self.pool {
                Pool::Max => {
                    let first = steps.start;
                    let most = steps.fold(first, |most, step| if x[of(step)] > x[of(most)] { step } else { most });
                    to[of(most)] += d;
                }
                Pool::Average => {
                    let share = d / T::from_f64(steps.len() as f64);
                    steps.for_each(|step| to[of(step)] += share);
                }
            }
        }
        Ok(vec![Some(d_x)])
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        let &[_, timesteps, channels] = input.shape() else { return Err(misfit()) };
        let Some(kept) = step.kept else {
            let x = input.floats(&mut step.work.floats)?;
            return self.whole([timesteps, channels], x, step.outputs[0].as_floats()?);
        };
        let windows = recent::next_windows(self.window, channels, input, kept, &mut step.work.more)?;
        if step.due && channels > 0 {
            let out = step.outputs[0].as_floats()?.chunks_exact_mut(channels);
            windows.chunks_exact(self.window.size * channels).zip(out).for_each(|(x, out)| self.one(x, out));
        }
        Ok(())
    }

    fn pace(&mut self, each_step: bool) -> Result<Gives, &'static str> {
        if each_step {
            recent::check(self.window, "with same padding its windows see later steps: valid padding streams")?;
        }
        self.pace.choose(each_step)?;
        Ok(Gives::EachStep)
    }

    fn rate(&self, input: Rate) -> Result<Rate, &'static str> {
        if self.pace == Pace::Steps { input.through(self.window) } else { input.same() }
    }
}
