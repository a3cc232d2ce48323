//! Channels in groups, each normalized over all that a row of the batch has of it.

use ndarray::ArrayD;

use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Which, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape, axis_at, fit};
use crate::graph::stream::Step;
use crate::graph::tensor::{Tensor, Value, in_row_order};
use crate::memory;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// Channels in groups, each normalized over all steps (and rows and columns) of a sequence: Keras's
/// `GroupNormalization`. Its weights, `gamma` of ones and `beta` of zeros, are the model's.
///
/// ```text
/// gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance of the group
/// ```
///
/// Masks go on, and aren't looked at. Wu and He, *Group Normalization* (2018).
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Sequential, ops};
/// let model = Sequential::<f32>::builder("groups")
///     .layer(ops::GroupNormalization::new(6, 2)?)
///     .input_shape([None, Some(6)])
///     .build()?;
/// let y = model.predict_one(&Array3::from_shape_fn((2, 5, 6), |(i, j, k)| (i + 2 * j + k * k) as f32))?;
/// assert!(y.mean().is_some_and(|mean| mean.abs() < 1e-5));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct GroupNormalization<T> {
    /// None: as many as there are channels.
    pub(crate) groups: Option<usize>,
    pub(crate) axis: i64,
    pub(crate) gamma: Option<ArrayD<T>>,
    pub(crate) beta: Option<ArrayD<T>>,
    pub(crate) epsilon: f64,
}

impl<T: Float> GroupNormalization<T> {
    /// Of so many channels, the last axis, in so many groups, with Keras's epsilon of 0.001.
    ///
    /// # Errors
    /// [`Error::ZeroSize`], [`Error::TensorTooLarge`]; [`Error::OptionNumber`] for groups that don't divide the channels.
    pub fn new(channels: usize, groups: usize) -> Result<Self> {
        for (what, size) in [("channels", channels), ("groups", groups)] {
            if size == 0 {
                return Err(Error::ZeroSize { what });
            }
        }
        if !channels.is_multiple_of(groups) {
            let expected = "a divisor of the channels";
            return Err(Error::OptionNumber { option: "groups", expected, given: groups as f64 });
        }
        memory::check::<T>(channels.checked_mul(2), &[channels])?;
        let (gamma, beta) = (Some(ArrayD::ones(vec![channels])), Some(ArrayD::zeros(vec![channels])));
        Ok(GroupNormalization { groups: Some(groups), axis: -1, gamma, beta, epsilon: 1e-3 })
    }

    /// The number that is added to the variance.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    fn weights(&self) -> impl Iterator<Item = (&'static str, &ArrayD<T>)> {
        let all = [("gamma", &self.gamma), ("beta", &self.beta)];
        all.into_iter().filter_map(|(name, weight)| Some((name, weight.as_ref()?)))
    }

    /// The weights of a channel.
    fn of_channel(&self, channel: usize) -> (f64, f64) {
        let at = |weight: &Option<ArrayD<T>>, default: f64| {
            let value = weight.as_ref().and_then(|weight| weight.as_slice()).map(|weight| weight[channel]);
            value.map_or(default, |value| value.into_f64())
        };
        (at(&self.gamma, 1.0), at(&self.beta, 0.0))
    }

    fn sizes(&self, shape: &[usize]) -> Result<Sizes> {
        let at = axis_at(self.axis, shape.len()).filter(|&at| at > 0).ok_or_else(misfit)?;
        let product = |sizes: &[usize]| sizes.iter().product::<usize>();
        let [outer, channels, inner] = [product(&shape[1..at]), shape[at], product(&shape[at + 1..])];
        let groups = self.groups.unwrap_or(channels).max(1);
        Ok(Sizes { batch: shape[0], outer, channels, inner, groups })
    }

    fn apply(&self, sizes: Sizes, x: &[T], out: &mut [T]) {
        for group in sizes.all() {
            let (mean, inverse) = sizes.statistics(group, x, self.epsilon);
            for (at, channel) in sizes.places(group) {
                let (gamma, beta) = self.of_channel(channel);
                out[at] = T::from_f64((x[at].into_f64() - mean) * (inverse * gamma) + beta);
            }
        }
    }
}

/// (batch, outer, channels, inner), the channels in groups.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    batch: usize,
    outer: usize,
    channels: usize,
    inner: usize,
    groups: usize,
}

impl Sizes {
    /// All groups of all rows.
    fn all(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.batch * self.groups).map(move |at| (at / self.groups, at % self.groups))
    }

    /// The elements of a row's group, each with its channel.
    fn places(self, (row, group): (usize, usize)) -> impl Iterator<Item = (usize, usize)> + Clone {
        let Sizes { outer, channels, inner, groups, .. } = self;
        let width = channels / groups;
        (0..outer * width * inner).map(move |at| {
            let (place, channel) = (at / (width * inner), group * width + at / inner % width);
            (((row * outer + place) * channels + channel) * inner + at % inner, channel)
        })
    }

    /// The mean and the inverse deviation; the sums run in `f64`, in one order.
    fn statistics<T: Float>(self, group: (usize, usize), x: &[T], epsilon: f64) -> (f64, f64) {
        let count = (self.outer * self.channels / self.groups * self.inner) as f64;
        let values = self.places(group).map(|(at, _)| x[at].into_f64());
        let mean = values.clone().fold(0.0, |sum, x| sum + x) / count;
        let squares = values.fold(0.0, |sum, x| sum + (x - mean) * (x - mean));
        (mean, 1.0 / (squares / count + epsilon).sqrt())
    }
}

impl<T: Float> Operation<T> for GroupNormalization<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let groups = self.groups.map_or(-1, |groups| i64::try_from(groups).unwrap_or(i64::MAX));
        let width = self.weights().next().map(|(_, weight)| weight.len());
        let config = Config::new("GroupNormalization").with("groups", groups).with("axis", self.axis);
        let config = config.with("width", width).with("epsilon", self.epsilon);
        Ok(config.with("center", self.beta.is_some()).with("scale", self.gamma.is_some()))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        let channels = axis_at(self.axis, x.len()).filter(|&at| at > 0).map(|at| x[at]);
        let wide = self.weights().all(|(_, weight)| channels.is_some_and(|own| fit(own, Some(weight.len()))));
        let even = |channels: usize| self.groups.is_none_or(|groups| channels.is_multiple_of(groups));
        match channels {
            Some(channels) if wide && channels.is_none_or(even) => Ok(vec![x.clone()]),
            _ => {
                let width = self.weights().next().map_or("any".into(), |(_, weight)| weight.len().to_string());
                let groups = self.groups.map_or("one for each".into(), |groups| groups.to_string());
                shape::misfit(format!("{width} channels along axis {}, in groups: {groups}", self.axis), inputs)
            }
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        if let (true, Some(mask)) = (call.keras_2, &inputs[0].mask) {
            return Err(mismatch("no mask: Keras 2 leaves masked elements out of the mean".into(), mask.shape()));
        }
        let x = in_row_order(&inputs[0].value.floats());
        let mut out = ArrayD::zeros(x.raw_dim());
        let to = out.as_slice_mut().ok_or_else(misfit)?;
        self.apply(self.sizes(x.shape())?, x.as_slice().ok_or_else(misfit)?, to);
        call.passing(Value::Float(out.into_shared()))
    }

    /// `dx = inverse (g - mean(g) - n mean(g n))` of each group, with `g = d gamma`, `n = (x - mean) inverse`.
    fn backward(&self, mut back: Back<'_, T>, mut sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (mut d, x) = (back.of_output()?, in_row_order(&back.input()?.floats()));
        let sizes = self.sizes(x.shape())?;
        let mut sums = sums.iter_mut().filter_map(|sum| sum.as_slice_mut());
        let mut next = |weight: &Option<ArrayD<T>>| if weight.is_some() { sums.next() } else { None };
        let (mut of_gamma, mut of_beta) = (next(&self.gamma), next(&self.beta));
        let (x, d_x) = (x.as_slice().ok_or_else(misfit)?, d.as_slice_mut().ok_or_else(misfit)?);
        for group in sizes.all() {
            let (mean, inverse) = sizes.statistics(group, x, self.epsilon);
            let normal = |at: usize| (x[at].into_f64() - mean) * inverse;
            let (mut plain, mut along, mut count) = (0.0, 0.0, 0.0);
            for (at, channel) in sizes.places(group) {
                let d = d_x[at].into_f64();
                if let Some(sums) = &mut of_gamma {
                    sums[channel] += T::from_f64(d * normal(at));
                }
                if let Some(sums) = &mut of_beta {
                    sums[channel] += d_x[at];
                }
                let g = d * self.of_channel(channel).0;
                plain += g;
                along += g * normal(at);
                count += 1.0;
            }
            for (at, channel) in sizes.places(group) {
                let g = d_x[at].into_f64() * self.of_channel(channel).0;
                d_x[at] = T::from_f64(inverse * (g - plain / count - normal(at) * (along / count)));
            }
        }
        Ok(vec![Some(d)])
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        let sizes = self.sizes(input.shape())?;
        let x = input.floats(&mut step.work.floats)?;
        self.apply(sizes, x, step.outputs[0].as_floats()?);
        Ok(())
    }

    fn visit_weights<'a>(&'a self, _which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.weights().for_each(|(name, weight)| visitor.weight(name, weight));
    }

    fn visit_weights_mut(&mut self, _which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        for (name, weight) in [("gamma", &mut self.gamma), ("beta", &mut self.beta)] {
            if let Some(weight) = weight {
                visitor.weight(name, weight);
            }
        }
        Ok(())
    }
}
