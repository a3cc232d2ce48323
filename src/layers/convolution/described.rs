//! Convolutions made again of what they said of themselves.

use ndarray::{Array1, Array3};

use super::builder::ConvolutionBuilder;
use super::conv1d::Conv1D;
use super::depthwise::DepthwiseConv1D;
use super::quantized::QuantizedConv1D;
use super::separable::SeparableConv1D;
use super::window::Window;
use crate::cells::quantized::read;
use crate::config::{ConfigError, Options, Tensors, activations};
use crate::error::Error;
use crate::float::Float;
use crate::initializers::Initializer;
use crate::precision::Precision;

type Read<V> = Result<V, ConfigError>;

impl<L> ConvolutionBuilder<'static, L> {
    /// The options that all convolutions have; the initializers' names are those of the kernels.
    fn read(mut self, options: &Options<'_>, kernels: &[&str]) -> Read<Self> {
        let initializer = |name: &str| Initializer::read(&options.need(name, "an initializer")?);
        self.window = Window::read(options, "kernel_size")?;
        self.kernel_initializers = kernels.iter().map(|name| initializer(name)).collect::<Read<_>>()?;
        let activation = activations::read(&options.need("activation", "an activation")?)?;
        let bias = initializer("bias_initializer")?;
        Ok(self.activation(activation).bias_initializer(bias).use_bias(options.flag("use_bias")?))
    }
}

/// A kernel of this shape.
fn kernel<T: Float>(
    options: &Options<'_>,
    tensors: &mut Tensors<'_, T>,
    name: &str,
    shape: [usize; 3],
) -> Read<Array3<T>> {
    let values = tensors.take(name, &shape)?;
    Array3::from_shape_vec(shape, values).map_err(|_| options.refused(Error::TensorTooLarge { shape: shape.to_vec() }))
}

fn bias<T: Float>(tensors: &mut Tensors<'_, T>, use_bias: bool, size: usize) -> Read<Option<Array1<T>>> {
    let values = use_bias.then(|| tensors.take("bias", &[size])).transpose()?;
    Ok(values.map(Array1::from_vec))
}

impl<T: Float> Conv1D<T> {
    /// The layer of these options, with these weights.
    pub(crate) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Read<Self> {
        let builder = Conv1D::<T>::builder(options.size("input_size")?, options.size("filters")?, 1);
        let builder = builder.read(options, &["kernel_initializer"])?.groups(options.size("groups")?);
        let shape = builder.kernel_shape().map_err(|error| options.refused(error))?;
        let kernel = kernel(options, tensors, "kernel", shape)?;
        let bias = bias(tensors, builder.use_bias, builder.filters)?;
        let filters = builder.filters;
        let common = builder.told(filters);
        Ok(Conv1D::from_weights(kernel, bias, common))
    }
}

impl QuantizedConv1D {
    /// The layer of these options, with these weights. Whatever the others' numbers are, its own are of f32.
    pub(crate) fn read<T>(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Read<Self> {
        let (input_size, filters) = (options.size("input_size")?, options.size("filters")?);
        let (precision, use_bias) = (read::precision(options)?, options.flag("use_bias")?);
        let mut builder = Conv1D::<f32>::builder(input_size, filters, 1)
            .groups(options.size("groups")?)
            .activation(activations::read(&options.need("activation", "an activation")?)?);
        builder.window = Window::read(options, "kernel_size")?;
        let shape = builder.kernel_shape().map_err(|error| options.refused(error))?;
        let kernel = tensors.take_packed("kernel", &shape, (precision != Precision::Bf16, filters), false)?;
        let bias = use_bias.then(|| tensors.take_singles("bias", &[filters])).transpose()?;
        Ok(QuantizedConv1D::of_packed(precision, shape, (&kernel, bias.as_deref()), builder.told(filters)))
    }
}

impl<T: Float> DepthwiseConv1D<T> {
    /// The layer of these options, with these weights.
    pub(crate) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Read<Self> {
        let builder = DepthwiseConv1D::<T>::builder(options.size("input_size")?, 1);
        let builder = builder.read(options, &["depthwise_initializer"])?;
        let builder = builder.depth_multiplier(options.size("depth_multiplier")?);
        let shape = builder.kernel_shape().map_err(|error| options.refused(error))?;
        let kernel = kernel(options, tensors, "kernel", shape)?;
        let width = shape[1] * shape[2];
        let bias = bias(tensors, builder.use_bias, width)?;
        Ok(DepthwiseConv1D::from_weights(kernel, bias, builder.told(width)))
    }
}

impl<T: Float> SeparableConv1D<T> {
    /// The layer of these options, with these weights.
    pub(crate) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Read<Self> {
        let builder = SeparableConv1D::<T>::builder(options.size("input_size")?, options.size("filters")?, 1);
        let builder = builder.read(options, &["depthwise_initializer", "pointwise_initializer"])?;
        let builder = builder.depth_multiplier(options.size("depth_multiplier")?);
        let (depthwise, pointwise) = builder.kernel_shapes().map_err(|error| options.refused(error))?;
        let depthwise = kernel(options, tensors, "depthwise_kernel", depthwise)?;
        let pointwise = kernel(options, tensors, "pointwise_kernel", pointwise)?;
        let bias = bias(tensors, builder.use_bias, builder.filters)?;
        let filters = builder.filters;
        Ok(SeparableConv1D::from_weights((depthwise, pointwise), bias, builder.told(filters)))
    }
}
