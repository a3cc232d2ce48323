//! A Dense's options, under Keras's names.

#[cfg(feature = "keras")]
use ndarray::{Array1, Array2};

use super::{Dense, Told};
use crate::activation::Activation;
use crate::error::Result;
use crate::float::Float;
use crate::initializers::Initializer;
use crate::kernels::DenseKernel;
use crate::layers::builder;
use crate::random::SeedSource;

/// Takes the options of a [`Dense`] under Keras's names.
///
/// ```
/// use recurrent::{Activation, Dense, SeedSource};
///
/// let mut seeds = SeedSource::keras(7);
/// let head = Dense::<f32>::builder(16, 3).activation(Activation::Softmax).seeds(&mut seeds).build()?;
/// assert_eq!(head.weight("kernel")?.shape(), [16, 3]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder makes nothing until `build`"]
pub struct DenseBuilder<'s, T: Float> {
    input_size: usize,
    units: usize,
    activation: Activation,
    use_bias: bool,
    kernel_initializer: Initializer,
    bias_initializer: Initializer,
    seeds: Option<&'s mut SeedSource>,
    element: std::marker::PhantomData<T>,
}

impl<T: Float> DenseBuilder<'static, T> {
    pub(super) fn new(input_size: usize, units: usize) -> Self {
        DenseBuilder {
            input_size,
            units,
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: Initializer::GlorotUniform { seed: None },
            bias_initializer: Initializer::Zeros,
            seeds: None,
            element: std::marker::PhantomData,
        }
    }
}

impl<T: Float> DenseBuilder<'_, T> {
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

    /// How `kernel`, (input_size, units), is filled.
    pub fn kernel_initializer(mut self, initializer: Initializer) -> Self {
        self.kernel_initializer = initializer;
        self
    }

    /// How `bias` is filled.
    pub fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.bias_initializer = initializer;
        self
    }

    /// Where seeds that aren't set come from: Keras's, in Keras's order. Without a source they are random.
    pub fn seeds(self, seeds: &mut SeedSource) -> DenseBuilder<'_, T> {
        DenseBuilder { seeds: Some(seeds), ..self }
    }

    /// Makes the layer.
    ///
    /// # Errors
    /// [`Error::ZeroSize`](crate::Error::ZeroSize), [`SizeOverflow`](crate::Error::SizeOverflow),
    /// [`OutOfMemory`](crate::Error::OutOfMemory), [`ActivationWidth`](crate::Error::ActivationWidth), an activation's
    /// or initializer's own error.
    pub fn build(mut self) -> Result<Dense<T>> {
        self.check()?;
        let (rows, units) = (self.input_size, self.units);
        let kernel_initializer = builder::with_seed(self.kernel_initializer, &mut self.seeds)?;
        let bias_initializer = builder::with_seed(self.bias_initializer, &mut self.seeds)?;
        let kernel = builder::matrix(kernel_initializer.initialize(&[rows, units])?);
        let bias = match self.use_bias {
            true => Some(bias_initializer.initialize(&[units])?.iter().copied().collect()),
            false => None,
        };
        Ok(Dense::from_weights(kernel, bias, self.activation, Told { kernel_initializer, bias_initializer }))
    }

    /// The layer with zeros for weights, which are to follow; no initializer runs, and none gets a seed.
    #[cfg(feature = "keras")]
    pub(crate) fn build_of_zeros(self) -> Result<Dense<T>> {
        self.check()?;
        let DenseBuilder { kernel_initializer, bias_initializer, .. } = self;
        let bias = self.use_bias.then(|| Array1::zeros(self.units));
        let told = Told { kernel_initializer, bias_initializer };
        Ok(Dense::from_weights(Array2::zeros((self.input_size, self.units)), bias, self.activation, told))
    }

    /// All that can be wrong before a number is drawn.
    pub(super) fn check(&self) -> Result<()> {
        let (rows, units) = (self.input_size, self.units);
        builder::check_activation(&self.activation)?;
        let packed = DenseKernel::<T>::packed_len(rows, units);
        builder::check_sizes::<T>((rows, units, 1), [("kernel", &[rows, units][..])], packed)
    }
}
