//! How a convolution over space is made, and what it says of itself.

use std::sync::Arc;

use ndarray::ArrayD;

use super::Convolution;
use crate::activation::Activation;
use crate::config::{Config, ConfigError, activations};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::ops::spatial::Windows;
use crate::kernels::DenseKernel;
use crate::layers::builder::check_activation;

/// What is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All channels of a group.
    Full,
    /// Each channel by itself.
    Depthwise,
    /// Each channel by itself, then all of them.
    Separable,
}

impl Kind {
    /// The names of the kernels.
    pub(super) fn names(self) -> [&'static str; 2] {
        [if self == Kind::Separable { "depthwise_kernel" } else { "kernel" }, "pointwise_kernel"]
    }
}

/// What a convolution is made of.
pub(crate) struct Parts<T> {
    pub(crate) windows: Windows,
    pub(crate) kind: Kind,
    pub(crate) kernel: ArrayD<T>,
    pub(crate) pointwise: Option<ArrayD<T>>,
    pub(crate) bias: Option<ArrayD<T>>,
    pub(crate) groups: usize,
    pub(crate) activation: Activation,
}

impl<T: Float> Convolution<T> {
    /// Nothing is taken that doesn't fit.
    pub(crate) fn made(parts: Parts<T>) -> Result<Self> {
        let Parts { windows, kind, kernel, pointwise, bias, groups, activation } = parts;
        check_activation(&activation)?;
        let number = |option, expected, given: usize| Error::OptionNumber { option, expected, given: given as f64 };
        let window = windows.own();
        if window.iter().any(|window| window.stride > 1)
            && window.iter().any(|window| window.dilation > 1)
            && kind == Kind::Full
        {
            let dilation = window.iter().map(|window| window.dilation).max().unwrap_or(1);
            return Err(number("dilation_rate", "1 where strides are above 1", dilation));
        }
        let shape = kernel.shape().to_vec();
        let sizes = window.iter().map(|window| window.size);
        let wrong = |name: &str, expected: Vec<usize>, given: &[usize]| Error::WeightShape {
            name: name.into(),
            expected,
            given: given.to_vec(),
        };
        let own =
            |channels: usize, filters: usize| -> Vec<usize> { sizes.clone().chain([channels, filters]).collect() };
        let [.., channels, filters] = shape[..] else { return Err(wrong("kernel", own(1, 1), &shape)) };
        if shape != own(channels, filters) || shape.contains(&0) {
            return Err(wrong("kernel", own(channels.max(1), filters.max(1)), &shape));
        }
        if groups == 0 || !filters.is_multiple_of(groups) {
            return Err(number("groups", "a divisor of the filters", groups));
        }
        let first = if kind == Kind::Full { filters } else { channels * filters };
        let mut output = first;
        if let Some(pointwise) = &pointwise {
            output = pointwise.shape().last().copied().unwrap_or(0);
            let ones = vec![1; window.len()];
            let expected = [&ones[..], &[first, output.max(1)]].concat();
            if pointwise.shape() != expected {
                return Err(wrong("pointwise_kernel", expected, pointwise.shape()));
            }
        }
        if let Some(bias) = bias.as_ref().filter(|bias| bias.shape() != [output]) {
            return Err(wrong("bias", vec![output], bias.shape()));
        }
        let (rows, columns) = match kind {
            Kind::Full => (kernel.len() / filters, filters / groups),
            Kind::Depthwise => (1, 1),
            Kind::Separable => (first, output),
        };
        let len = DenseKernel::<T>::packed_len(rows, columns).and_then(|len| len.checked_mul(groups));
        crate::memory::check::<T>(len, &shape)?;
        let packed = if kind == Kind::Depthwise { vec![] } else { vec![DenseKernel::new(rows, columns); groups] };
        let in_order = |array: ArrayD<T>| array.as_standard_layout().into_owned();
        let (kernel, pointwise, bias) = (in_order(kernel), pointwise.map(in_order), bias.map(in_order));
        let packed = Arc::new(packed);
        let mut layer = Convolution { windows, kind, kernel, pointwise, bias, groups, activation, packed };
        layer.pack();
        Ok(layer)
    }

    /// Makes the packed kernels of the weights.
    pub(in crate::graph::ops::spatial) fn pack(&mut self) {
        let widths = self.widths();
        let bias = self.bias.as_ref().and_then(|bias| bias.as_slice());
        let packed = Arc::make_mut(&mut self.packed);
        if let (Some(pointwise), [packed]) = (&self.pointwise, &mut packed[..]) {
            return packed.pack(pointwise.as_slice().unwrap_or_default(), bias);
        }
        let (kernel, width) = (self.kernel.as_slice().unwrap_or_default(), widths.first / self.groups);
        for (group, packed) in packed.iter_mut().enumerate() {
            let first = group * width;
            packed.pack_columns(kernel, widths.first, first, bias.map(|bias| &bias[first..][..width]));
        }
    }

    pub(super) fn description(&self) -> Result<Config, ConfigError> {
        let (widths, rank) = (self.widths(), self.windows.rank);
        let name = match self.kind {
            Kind::Full => "Conv",
            Kind::Depthwise => "DepthwiseConv",
            Kind::Separable => "SeparableConv",
        };
        let config = Config::new(&format!("{name}{rank}D")).with("input_size", widths.input);
        let config = match self.kind {
            Kind::Depthwise => config,
            _ => config.with("filters", widths.output),
        };
        let config = self.windows.describe(config, "kernel_size");
        let config = match self.kind {
            Kind::Full => config.with("groups", self.groups),
            _ => config.with("depth_multiplier", widths.first / widths.input),
        };
        let config = config.with("activation", activations::describe(&self.activation)?);
        Ok(config.with("use_bias", self.bias.is_some()))
    }
}
