//! The options of convolutions, under Keras's names.

use std::marker::PhantomData;

use super::Common;
use super::window::{Padding, Window};
use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::initializers::Initializer;
use crate::layers::builder::{check_activation, with_seed};
use crate::random::SeedSource;

/// Takes the options of a [`Conv1D`](crate::Conv1D), a [`DepthwiseConv1D`](crate::DepthwiseConv1D) or a
/// [`SeparableConv1D`](crate::SeparableConv1D) under Keras's names.
#[derive(Debug)]
#[must_use = "a builder makes nothing until `build`"]
pub struct ConvolutionBuilder<'s, L> {
    pub(super) input_size: usize,
    /// Of those layers that have filters; else one.
    pub(super) filters: usize,
    pub(super) window: Window,
    pub(super) groups: usize,
    pub(super) depth_multiplier: usize,
    activation: Activation,
    pub(super) use_bias: bool,
    /// Of the kernels, in order.
    pub(super) kernel_initializers: Vec<Initializer>,
    bias_initializer: Initializer,
    seeds: Option<&'s mut SeedSource>,
    layer: PhantomData<L>,
}

impl<L> ConvolutionBuilder<'static, L> {
    pub(super) fn new(input_size: usize, filters: usize, kernel_size: usize, kernels: usize) -> Self {
        ConvolutionBuilder {
            input_size,
            filters,
            window: Window { size: kernel_size, stride: 1, dilation: 1, padding: Padding::Valid },
            groups: 1,
            depth_multiplier: 1,
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializers: vec![Initializer::GlorotUniform { seed: None }; kernels],
            bias_initializer: Initializer::Zeros,
            seeds: None,
            layer: PhantomData,
        }
    }
}

impl<L> ConvolutionBuilder<'_, L> {
    /// The steps from one stand of the window to the next; one unless it is set.
    pub fn strides(mut self, strides: usize) -> Self {
        self.window.stride = strides;
        self
    }

    /// What stands around the sequence; nothing unless it is set.
    pub fn padding(mut self, padding: Padding) -> Self {
        self.window.padding = padding;
        self
    }

    /// The steps from one element of the window to the next; one unless it is set.
    pub fn dilation_rate(mut self, dilation_rate: usize) -> Self {
        self.window.dilation = dilation_rate;
        self
    }

    /// The activation; linear unless it is set.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Whether the layer has a bias.
    pub fn use_bias(mut self, yes: bool) -> Self {
        self.use_bias = yes;
        self
    }

    /// How `bias` is filled.
    pub fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.bias_initializer = initializer;
        self
    }

    /// All that can be wrong in every convolution before a number is drawn.
    pub(super) fn check(&self) -> Result<()> {
        let sizes = [("input_size", self.input_size), ("filters", self.filters), ("groups", self.groups)];
        for (what, size) in sizes.into_iter().chain([("depth_multiplier", self.depth_multiplier)]) {
            if size == 0 {
                return Err(Error::ZeroSize { what });
            }
        }
        check_activation(&self.activation)?;
        self.window.check("kernel_size")
    }

    /// What the layers have in common, with the seeds that are needed drawn in Keras's order.
    pub(super) fn common(&mut self, output_size: usize) -> Result<Common> {
        for initializer in self.kernel_initializers.iter_mut().chain([&mut self.bias_initializer]) {
            *initializer = with_seed(initializer.clone(), &mut self.seeds)?;
        }
        Ok(self.told(output_size))
    }

    /// The same as it was told.
    pub(super) fn told(&self, output_size: usize) -> Common {
        let (input_size, window, activation) = (self.input_size, self.window, self.activation.clone());
        let initializers = self.kernel_initializers.iter().chain([&self.bias_initializer]).cloned().collect();
        Common { input_size, output_size, window, activation, initializers }
    }
}

impl<'s, L> ConvolutionBuilder<'s, L> {
    /// Where seeds that aren't set come from: Keras's, in Keras's order. Without a source they are random.
    pub fn seeds(self, seeds: &mut SeedSource) -> ConvolutionBuilder<'_, L> {
        let ConvolutionBuilder { input_size, filters, window, groups, depth_multiplier, activation, use_bias, .. } =
            self;
        let (kernel_initializers, bias_initializer) = (self.kernel_initializers, self.bias_initializer);
        ConvolutionBuilder {
            input_size,
            filters,
            window,
            groups,
            depth_multiplier,
            activation,
            use_bias,
            kernel_initializers,
            bias_initializer,
            seeds: Some(seeds),
            layer: PhantomData,
        }
    }
}
