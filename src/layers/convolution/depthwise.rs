//! A convolution over time of each channel by itself.

use std::fmt;
use std::sync::Arc;

use ndarray::{Array1, Array3, Ix3};

use super::builder::ConvolutionBuilder;
use super::by_channel::ByChannel;
use super::{Common, Convolve, Windows};
use crate::activation::Activation;
use crate::buffers::take;
use crate::config::{Config, ConfigError, activations};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::initializers::Initializer;
use crate::kernels::activate::activate;
use crate::kernels::isa::Isa;
use crate::layers::builder::check_sizes;
use crate::parameters::{Parameters, Sealed, own_parameters, stateless};
use crate::stamp::Stamp;
use crate::state::StateLayout;
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// A convolution over time of each channel by itself: Keras's `DepthwiseConv1D`, a layer of a
/// [`Model`](crate::Model).
///
/// It reads (batch, timesteps, input_size) and gives (batch, steps, input_size * depth_multiplier), those of one channel
/// side by side; [`Padding`](crate::Padding) says how many steps. Masks end here, as in Keras. Weights: `kernel`
/// (kernel_size, input_size, depth_multiplier), `bias` (input_size * depth_multiplier). Beyond Keras,
/// [`Padding::Causal`](crate::Padding::Causal) is possible. Unless its padding is [`Same`](crate::Padding::Same) it runs
/// step by step.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{DepthwiseConv1D, Sequential};
/// let layer = DepthwiseConv1D::builder(4, 3).depth_multiplier(2).build()?;
/// let model = Sequential::<f32>::builder("each_channel").layer(layer).build()?;
/// assert_eq!(model.predict_one(&Array3::<f32>::ones((2, 7, 4)))?.shape(), [2, 5, 8]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct DepthwiseConv1D<T: Float = f32> {
    kernel: Array3<T>,
    bias: Option<Array1<T>>,
    common: Common,
    stamp: Stamp,
}

impl<T: Float> DepthwiseConv1D<T> {
    /// A builder for windows of `kernel_size` steps over `input_size` channels.
    pub fn builder(input_size: usize, kernel_size: usize) -> ConvolutionBuilder<'static, Self> {
        ConvolutionBuilder::new(input_size, 1, kernel_size, 1)
    }

    /// Both arrays in standard layout.
    pub(super) fn from_weights(kernel: Array3<T>, bias: Option<Array1<T>>, common: Common) -> Self {
        DepthwiseConv1D { kernel, bias, common, stamp: Stamp::new() }
    }

    fn by_channel(&self) -> ByChannel {
        let (taps, channels, multiplier) = self.kernel.dim();
        ByChannel { taps, channels, multiplier }
    }

    fn slice(&self) -> &[T] {
        let kernel = self.kernel.as_slice().unwrap_or_default();
        debug_assert_eq!(kernel.len(), self.kernel.len(), "weights stand in row order");
        kernel
    }
}

impl<T: Float> ConvolutionBuilder<'_, DepthwiseConv1D<T>> {
    /// How often each channel is weighed; once unless it is set.
    pub fn depth_multiplier(mut self, depth_multiplier: usize) -> Self {
        self.depth_multiplier = depth_multiplier;
        self
    }

    /// How `kernel`, (kernel_size, input_size, depth_multiplier), is filled: Keras's `depthwise_initializer`.
    pub fn depthwise_initializer(mut self, initializer: Initializer) -> Self {
        self.kernel_initializers[0] = initializer;
        self
    }

    /// Makes the layer.
    ///
    /// # Errors
    /// [`Error::ZeroSize`], [`Error::SizeOverflow`], [`Error::OutOfMemory`], [`Error::ActivationWidth`]; an activation's
    /// or initializer's own error.
    pub fn build(mut self) -> Result<DepthwiseConv1D<T>> {
        let shape = self.kernel_shape()?;
        let width = shape[1] * shape[2];
        let common = self.common(width)?;
        let kernel = common.initializers[0].initialize(&shape)?;
        let kernel =
            kernel.into_dimensionality::<Ix3>().map_err(|_| Error::TensorTooLarge { shape: shape.to_vec() })?;
        let bias = self.use_bias.then(|| common.initializers[1].initialize(&[width])).transpose()?;
        Ok(DepthwiseConv1D::from_weights(kernel, bias.map(|bias| bias.iter().copied().collect()), common))
    }

    /// The kernel's shape, if nothing is wrong.
    pub(super) fn kernel_shape(&self) -> Result<[usize; 3]> {
        self.check()?;
        let shape = [self.window.size, self.input_size, self.depth_multiplier];
        check_sizes::<T>((self.input_size, self.depth_multiplier, 1), [("kernel", &shape[..])], Some(0))?;
        Ok(shape)
    }
}

impl<T: Float> Convolve<T> for DepthwiseConv1D<T> {
    fn common(&self) -> &Common {
        &self.common
    }

    #[cfg(feature = "keras")]
    fn tell(&mut self, initializers: Vec<Initializer>) {
        self.common.initializers = initializers;
    }

    fn work_len(&self, positions: usize, _count: usize) -> Option<usize> {
        self.by_channel().work_len(positions)
    }

    fn forward(&self, windows: Windows<'_, T>, activation: &Activation, out: &mut [T], work: &mut Vec<T>) {
        let sizes = self.by_channel();
        let positions = windows.sequence(0).len() / sizes.channels;
        let work = take(work, sizes.work_len(positions).unwrap_or(0));
        let bias = self.bias.as_ref().and_then(|bias| bias.as_slice());
        sizes.forward(self.slice(), bias, windows, out, work);
        out.chunks_exact_mut(sizes.width()).for_each(|row| activate(Isa::detect(), activation, row));
    }

    fn backward(&self, windows: Windows<'_, T>, dz: &[T], d_x: Option<&mut [T]>, sums: &mut [&mut [T]]) {
        if let [_, bias] = sums {
            super::add_rows(bias, dz);
        }
        let d_kernel = sums.first_mut().map(|kernel| &mut **kernel);
        self.by_channel().backward(self.slice(), windows, dz, d_x, d_kernel);
    }
}

impl<T: Float> Sealed for DepthwiseConv1D<T> {}

impl<T: Float> Parameters<T> for DepthwiseConv1D<T> {
    fn layout(&self) -> &Arc<StateLayout> {
        stateless()
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("kernel", &self.kernel);
        if let Some(bias) = &self.bias {
            visitor.weight("bias", bias);
        }
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.stamp.renew();
        visitor.weight("kernel", &mut self.kernel);
        if let Some(bias) = &mut self.bias {
            visitor.weight("bias", bias);
        }
        Ok(())
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        let common = &self.common;
        let config = Config::new("DepthwiseConv1D").with("input_size", common.input_size);
        Ok(common
            .window
            .describe(config, "kernel_size")
            .with("depth_multiplier", self.kernel.dim().2)
            .with("activation", activations::describe(&common.activation)?)
            .with("use_bias", self.bias.is_some())
            .with("depthwise_initializer", common.initializers[0].describe()?)
            .with("bias_initializer", common.initializers[1].describe()?))
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.layer("DepthwiseConv1D", Some(self.stamp));
        visitor.value("window", self.common.window);
        visitor.value("activation", &self.common.activation);
    }

    fn unshare(&mut self) -> Result<()> {
        Ok(())
    }
}

own_parameters!([T: Float] DepthwiseConv1D<T>, T);

impl<T: Float> fmt::Debug for DepthwiseConv1D<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug(f, "DepthwiseConv1D", &self.common).finish_non_exhaustive()
    }
}
