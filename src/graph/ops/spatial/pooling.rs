//! Pooling over two or three dimensions: of each stand of a window, or of all, the largest or the mean, channel by
//! channel. What is padded doesn't count; masks end here.

use ndarray::ArrayD;

use super::Windows;
#[cfg(feature = "file")]
use crate::config::Options;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, misfit};
use crate::graph::ops::global_pooling::GlobalPooling;
use crate::graph::ops::pooling::{Pool, largest, mean};
use crate::graph::ops::shapes::{reshaped, reshaped_gradient};
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tensor::{Tensor, in_row_order};

/// Pooling over (batch, sizes.., channels).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pooling {
    pub(crate) windows: Windows,
    pub(crate) pool: Pool,
}

impl Pooling {
    #[cfg(feature = "file")]
    pub(in crate::graph) fn read(pool: Pool, rank: usize, options: &Options<'_>) -> Result<Self, ConfigError> {
        let windows = Windows::read(options, "pool_size", rank)?;
        if windows.own().iter().any(|window| window.dilation != 1) {
            return Err(options.need("dilation_rate", "ones")?.wrong("ones: pooling has no gaps"));
        }
        Ok(Pooling { windows, pool })
    }

    fn whole<T: Float>(&self, shape: &[usize], x: &[T], out: &mut [T]) -> Result<()> {
        let stand = self.windows.stand(shape).ok_or_else(misfit)?;
        let channels = shape.last().copied().unwrap_or(0);
        if channels == 0 {
            return Ok(());
        }
        let rows = x.chunks_exact(stand.positions() * channels).zip(out.chunks_exact_mut(stand.count() * channels));
        for (x, out) in rows {
            for (at, out) in out.chunks_exact_mut(channels).enumerate() {
                let places = || stand.inside(at);
                let rows = places().map(|place| &x[place * channels..][..channels]);
                match self.pool {
                    Pool::Max => largest(rows, out),
                    Pool::Average => mean(rows, places().count(), out),
                }
            }
        }
        Ok(())
    }
}

impl<T: Float> Operation<T> for Pooling {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let name = if self.pool == Pool::Max { "MaxPooling" } else { "AveragePooling" };
        Ok(self.windows.describe(Config::new(&format!("{name}{}D", self.windows.rank)), "pool_size"))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        let channels = x.last().copied().flatten();
        match self.windows.outputs(x, channels) {
            Some(output) => Ok(vec![output]),
            None => super::misfit(self.windows.rank, ", with room for a window", inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = in_row_order(&inputs[0].value.floats());
        let stand = self.windows.stand(x.shape()).ok_or_else(misfit)?;
        let (shape, counts) = (x.shape(), &stand.counts()[3 - self.windows.rank..]);
        let mut out = ArrayD::zeros([&shape[..1], counts, &shape[shape.len() - 1..]].concat());
        self.whole(shape, x.as_slice().ok_or_else(misfit)?, out.as_slice_mut().ok_or_else(misfit)?)?;
        Ok(vec![Tensor::float(out)])
    }

    /// The largest gets the gradient: the first of them if they are equal, in three dimensions each of them, as in
    /// TensorFlow.
    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x) = (back.of_output()?, in_row_order(&back.input()?.floats()));
        let stand = self.windows.stand(x.shape()).ok_or_else(misfit)?;
        let channels = x.shape().last().copied().unwrap_or(0).max(1);
        let mut d_x = ArrayD::zeros(x.raw_dim());
        let (d, x) = (d.as_slice().ok_or_else(misfit)?, x.as_slice().ok_or_else(misfit)?);
        let (to, outputs) = (d_x.as_slice_mut().ok_or_else(misfit)?, stand.count());
        for (place, &d) in d.iter().enumerate() {
            let (row, at, channel) = (place / channels / outputs, place / channels % outputs, place % channels);
            let of = |position: usize| (row * stand.positions() + position) * channels + channel;
            let places = || stand.inside(at);
            match self.pool {
                Pool::Max => {
                    let first = places().next().unwrap_or(0);
                    let most =
                        places().fold(first, |most, place| if x[of(place)] > x[of(most)] { place } else { most });
                    let each = self.windows.rank == 3;
                    let gets = |&place: &usize| place == most || each && x[of(place)] == x[of(most)];
                    places().filter(gets).for_each(|place| to[of(place)] += d);
                }
                Pool::Average => {
                    let share = d / T::from_f64(places().count() as f64);
                    places().for_each(|place| to[of(place)] += share);
                }
            }
        }
        Ok(vec![Some(d_x)])
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        let x = input.floats(&mut step.work.floats)?;
        self.whole(input.shape(), x, step.outputs[0].as_floats()?)
    }
}

/// Pooling of all elements of (batch, sizes.., channels): as if they were steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Global {
    pub(crate) rank: usize,
    pub(crate) pool: Pool,
    /// Whether the dimensions stay, with one element each.
    pub(crate) keepdims: bool,
}

impl Global {
    fn steps(&self) -> GlobalPooling {
        GlobalPooling::new(self.pool, false)
    }

    /// (batch, steps, channels).
    fn flat(&self, shape: &[usize]) -> Result<[usize; 3]> {
        let sizes = super::sizes(shape, self.rank).ok_or_else(misfit)?;
        Ok([shape[0], sizes.iter().product(), shape[shape.len() - 1]])
    }
}

impl<T: Float> Operation<T> for Global {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let name = if self.pool == Pool::Max { "GlobalMaxPooling" } else { "GlobalAveragePooling" };
        Ok(Config::new(&format!("{name}{}D", self.rank)).with("keepdims", self.keepdims))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        match &shape::only(inputs)?[..] {
            [batch, sizes @ .., channels] if sizes.len() == self.rank && !sizes.contains(&Some(0)) => {
                let ones = if self.keepdims { self.rank } else { 0 };
                Ok(vec![[&[*batch], &vec![Some(1); ones][..], &[*channels]].concat()])
            }
            _ => super::misfit(self.rank, ", one element or more", inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = in_row_order(&inputs[0].value.floats());
        let [batch, steps, channels] = self.flat(x.shape())?;
        let mut out = ArrayD::zeros(vec![batch, channels]);
        let (x, to) = (x.as_slice().ok_or_else(misfit)?, out.as_slice_mut().ok_or_else(misfit)?);
        self.steps().whole([steps, channels], x, None, to);
        let ones = if self.keepdims { self.rank } else { 0 };
        let out = reshaped_gradient(out, &[&[batch], &vec![1; ones][..], &[channels]].concat())?;
        Ok(vec![Tensor::float(out)])
    }

    fn backward(&self, mut back: Back<'_, T>, sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x, y) = (back.of_output()?, back.input()?, back.output()?);
        let [batch, steps, channels] = self.flat(x.shape())?;
        let shape = x.shape().to_vec();
        let Back { record, wanted, .. } = back;
        record.inputs = vec![reshaped(&x, &[batch, steps, channels])?];
        record.outputs = vec![reshaped(&y, &[batch, channels])?];
        record.masks = vec![None];
        let upstream = vec![Some(reshaped_gradient(d, &[batch, channels])?)];
        let found = self.steps().backward(Back { record, upstream, wanted }, sums)?;
        let d_x = found.into_iter().next().flatten();
        Ok(vec![d_x.map(|d| reshaped_gradient(d, &shape)).transpose()?])
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        let [_, steps, channels] = self.flat(input.shape())?;
        let x = input.floats(&mut step.work.floats)?;
        self.steps().whole([steps, channels], x, None, step.outputs[0].as_floats()?);
        Ok(())
    }
}
