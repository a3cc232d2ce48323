//! What a Dense says of itself, and how it is made of it again.

#[cfg(feature = "file")]
use ndarray::{Array1, Array2};

use super::Dense;
use crate::config::{Config, ConfigError, activations};
#[cfg(feature = "file")]
use crate::config::{Options, Tensors};
#[cfg(feature = "file")]
use crate::error::Error;
use crate::float::Float;
use crate::initializers::Initializer;

/// What the builder was told that doesn't show, the seeds that were drawn among it.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) kernel_initializer: Initializer,
    pub(super) bias_initializer: Initializer,
}

impl<T: Float> Dense<T> {
    pub(super) fn description(&self) -> Result<Config, ConfigError> {
        let (input_size, units) = self.kernel.dim();
        Ok(Config::new("Dense")
            .with("input_size", input_size)
            .with("units", units)
            .with("activation", activations::describe(&self.activation)?)
            .with("use_bias", self.bias.is_some())
            .with("kernel_initializer", self.told.kernel_initializer.describe()?)
            .with("bias_initializer", self.told.bias_initializer.describe()?))
    }

    /// The layer of these options, with these weights.
    #[cfg(feature = "file")]
    pub(crate) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Result<Self, ConfigError> {
        let initializer = |name| Initializer::read(&options.need(name, "an initializer")?);
        let told = Told {
            kernel_initializer: initializer("kernel_initializer")?,
            bias_initializer: initializer("bias_initializer")?,
        };
        let (rows, units) = (options.size("input_size")?, options.size("units")?);
        let activation = activations::read(&options.need("activation", "an activation")?)?;
        let use_bias = options.flag("use_bias")?;
        let refused = |error| options.refused(error);
        tensors.check("kernel", &[rows, units])?;
        Dense::<T>::builder(rows, units).activation(activation.clone()).check().map_err(refused)?;
        let shaped = |values| Array2::from_shape_vec((rows, units), values);
        let kernel = shaped(tensors.take("kernel", &[rows, units])?)
            .map_err(|_| refused(Error::TensorTooLarge { shape: vec![rows, units] }))?;
        let bias = use_bias.then(|| tensors.take("bias", &[units])).transpose()?.map(Array1::from_vec);
        Ok(Dense::from_weights(kernel, bias, activation, told))
    }
}
