//! A convolution over time of each channel by itself, then a product of all channels.

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
use crate::kernels::DenseKernel;
use crate::kernels::backward::OuterSums;
use crate::layers::builder::check_sizes;
use crate::parameters::{Parameters, Sealed, own_parameters, stateless};
use crate::stamp::Stamp;
use crate::state::StateLayout;
use crate::strided::{Rows, RowsMut};
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// A convolution over time of each channel by itself, then a product of all channels: Keras's `SeparableConv1D`, a layer
/// of a [`Model`](crate::Model).
///
/// It reads (batch, timesteps, input_size) and gives (batch, steps, filters); [`Padding`](crate::Padding) says how many
/// steps. Masks end here, as in Keras. Weights: `depthwise_kernel` (kernel_size, input_size, depth_multiplier),
/// `pointwise_kernel` (1, input_size * depth_multiplier, filters), `bias` (filters). Unless
/// its padding is [`Same`](crate::Padding::Same) it runs step by step; [`Causal`](crate::Padding::Causal) is possible
/// here, which Keras 3 hasn't.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Padding, SeparableConv1D, Sequential};
/// let layer = SeparableConv1D::builder(4, 6, 3).strides(2).padding(Padding::Same).build()?;
/// let model = Sequential::<f32>::builder("separable").layer(layer).build()?;
/// assert_eq!(model.predict_one(&Array3::<f32>::ones((2, 7, 4)))?.shape(), [2, 4, 6]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct SeparableConv1D<T: Float = f32> {
    depthwise_kernel: Array3<T>,
    pointwise_kernel: Array3<T>,
    bias: Option<Array1<T>>,
    common: Common,
    packed: DenseKernel<T>,
    stamp: Stamp,
}

/// The shapes of both kernels.
pub(super) type Shapes = ([usize; 3], [usize; 3]);

impl<T: Float> SeparableConv1D<T> {
    /// A builder for a convolution of `input_size` channels with windows of `kernel_size` steps to `filters` channels.
    pub fn builder(input_size: usize, filters: usize, kernel_size: usize) -> ConvolutionBuilder<'static, Self> {
        ConvolutionBuilder::new(input_size, filters, kernel_size, 2)
    }

    /// All arrays in standard layout.
    pub(super) fn from_weights(kernels: (Array3<T>, Array3<T>), bias: Option<Array1<T>>, common: Common) -> Self {
        let (depthwise_kernel, pointwise_kernel) = kernels;
        let (_, width, filters) = pointwise_kernel.dim();
        let (packed, stamp) = (DenseKernel::new(width, filters), Stamp::new());
        let mut layer = SeparableConv1D { depthwise_kernel, pointwise_kernel, bias, common, packed, stamp };
        layer.pack();
        layer
    }

    fn pack(&mut self) {
        self.stamp.renew();
        let bias = self.bias.as_ref().and_then(|bias| bias.as_slice());
        self.packed.pack(slice(&self.pointwise_kernel), bias);
    }

    fn by_channel(&self) -> ByChannel {
        let (taps, channels, multiplier) = self.depthwise_kernel.dim();
        ByChannel { taps, channels, multiplier }
    }

    /// What comes out of the first part, (batch, count, width).
    fn first_part<'w>(&self, windows: Windows<'_, T>, work: &'w mut Vec<T>) -> &'w [T] {
        let sizes = self.by_channel();
        let positions = windows.sequence(0).len() / sizes.channels;
        let len = windows.batch * windows.count * sizes.width();
        let (out, work) = take(work, len + sizes.work_len(positions).unwrap_or(0)).split_at_mut(len);
        sizes.forward(slice(&self.depthwise_kernel), None, windows, out, work);
        out
    }
}

fn slice<T>(kernel: &Array3<T>) -> &[T] {
    let values = kernel.as_slice().unwrap_or_default();
    debug_assert_eq!(values.len(), kernel.len(), "weights stand in row order");
    values
}

impl<T: Float> ConvolutionBuilder<'_, SeparableConv1D<T>> {
    /// How often each channel is weighed by itself; once unless it is set.
    pub fn depth_multiplier(mut self, depth_multiplier: usize) -> Self {
        self.depth_multiplier = depth_multiplier;
        self
    }

    /// How `depthwise_kernel`, (kernel_size, input_size, depth_multiplier), is filled.
    pub fn depthwise_initializer(mut self, initializer: Initializer) -> Self {
        self.kernel_initializers[0] = initializer;
        self
    }

    /// How `pointwise_kernel`, (1, input_size * depth_multiplier, filters), is filled.
    pub fn pointwise_initializer(mut self, initializer: Initializer) -> Self {
        self.kernel_initializers[1] = initializer;
        self
    }

    /// Makes the layer.
    ///
    /// # Errors
    /// [`Error::ZeroSize`], [`Error::SizeOverflow`], [`Error::OutOfMemory`], [`Error::ActivationWidth`]; an activation's
    /// or initializer's own error.
    pub fn build(mut self) -> Result<SeparableConv1D<T>> {
        let (depthwise, pointwise) = self.kernel_shapes()?;
        let common = self.common(self.filters)?;
        let made = |initializer: &Initializer, shape: [usize; 3]| {
            let kernel = initializer.initialize(&shape)?;
            kernel.into_dimensionality::<Ix3>().map_err(|_| Error::TensorTooLarge { shape: shape.to_vec() })
        };
        let kernels = (made(&common.initializers[0], depthwise)?, made(&common.initializers[1], pointwise)?);
        let bias = self.use_bias.then(|| common.initializers[2].initialize(&[self.filters])).transpose()?;
        Ok(SeparableConv1D::from_weights(kernels, bias.map(|bias| bias.iter().copied().collect()), common))
    }

    /// The kernels' shapes, if nothing is wrong.
    pub(super) fn kernel_shapes(&self) -> Result<Shapes> {
        self.check()?;
        let depthwise = [self.window.size, self.input_size, self.depth_multiplier];
        check_sizes::<T>((self.input_size, self.filters, 1), [("depthwise_kernel", &depthwise[..])], Some(0))?;
        let pointwise = [1, self.input_size * self.depth_multiplier, self.filters];
        let packed = DenseKernel::<T>::packed_len(pointwise[1], self.filters);
        let both = [("depthwise_kernel", &depthwise[..]), ("pointwise_kernel", &pointwise[..])];
        check_sizes::<T>((self.input_size, self.filters, 1), both, packed)?;
        Ok((depthwise, pointwise))
    }
}

impl<T: Float> Convolve<T> for SeparableConv1D<T> {
    fn common(&self) -> &Common {
        &self.common
    }

    #[cfg(feature = "keras")]
    fn tell(&mut self, initializers: Vec<Initializer>) {
        self.common.initializers = initializers;
    }

    fn work_len(&self, positions: usize, count: usize) -> Option<usize> {
        let sizes = self.by_channel();
        count.checked_mul(sizes.width())?.checked_add(sizes.work_len(positions)?)
    }

    fn forward(&self, windows: Windows<'_, T>, activation: &Activation, out: &mut [T], work: &mut Vec<T>) {
        let (_, width, filters) = self.pointwise_kernel.dim();
        let first = Rows::packed(self.first_part(windows, work), width);
        self.packed.forward(windows.batch * windows.count, first, RowsMut::packed(out, filters), activation);
    }

    fn backward(&self, windows: Windows<'_, T>, dz: &[T], d_x: Option<&mut [T]>, sums: &mut [&mut [T]]) {
        let (_, width, filters) = self.pointwise_kernel.dim();
        let count = windows.batch * windows.count;
        if let [_, pointwise, rest @ ..] = sums {
            let mut work = Vec::new();
            let first = Rows::packed(self.first_part(windows, &mut work), width);
            let mut outer = OuterSums::new(width, filters);
            outer.add(count, first, Rows::packed(dz, filters));
            outer.flush(RowsMut::packed(pointwise, filters));
            if let [bias] = rest {
                super::add_rows(bias, dz);
            }
        }
        let mut back = DenseKernel::new(filters, width);
        back.pack_transposed(slice(&self.pointwise_kernel), filters, 0);
        let mut d_first = vec![T::zero(); count * width];
        let (from, to) = (Rows::packed(dz, filters), RowsMut::packed(&mut d_first, width));
        back.forward(count, from, to, &Activation::Linear);
        let d_kernel = sums.first_mut().map(|kernel| &mut **kernel);
        self.by_channel().backward(slice(&self.depthwise_kernel), windows, &d_first, d_x, d_kernel);
    }
}

impl<T: Float> Sealed for SeparableConv1D<T> {}

impl<T: Float> Parameters<T> for SeparableConv1D<T> {
    fn layout(&self) -> &Arc<StateLayout> {
        stateless()
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("depthwise_kernel", &self.depthwise_kernel);
        visitor.weight("pointwise_kernel", &self.pointwise_kernel);
        if let Some(bias) = &self.bias {
            visitor.weight("bias", bias);
        }
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        visitor.weight("depthwise_kernel", &mut self.depthwise_kernel);
        visitor.weight("pointwise_kernel", &mut self.pointwise_kernel);
        if let Some(bias) = &mut self.bias {
            visitor.weight("bias", bias);
        }
        self.pack();
        Ok(())
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        let common = &self.common;
        let config = Config::new("SeparableConv1D").with("input_size", common.input_size);
        Ok(common
            .window
            .describe(config.with("filters", common.output_size), "kernel_size")
            .with("depth_multiplier", self.depthwise_kernel.dim().2)
            .with("activation", activations::describe(&common.activation)?)
            .with("use_bias", self.bias.is_some())
            .with("depthwise_initializer", common.initializers[0].describe()?)
            .with("pointwise_initializer", common.initializers[1].describe()?)
            .with("bias_initializer", common.initializers[2].describe()?))
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.layer("SeparableConv1D", Some(self.stamp));
        visitor.value("window", self.common.window);
        visitor.value("activation", &self.common.activation);
    }

    fn unshare(&mut self) -> Result<()> {
        Ok(())
    }
}

own_parameters!([T: Float] SeparableConv1D<T>, T);

impl<T: Float> fmt::Debug for SeparableConv1D<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug(f, "SeparableConv1D", &self.common).finish_non_exhaustive()
    }
}
