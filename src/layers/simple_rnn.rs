//! The SimpleRNN layer.

use super::builder::Builder;
use super::builder::sealed::{Parts, Recipe};
use super::recurrent::Recurrent;
use crate::cells::simple_rnn::SimpleRnnCell;
use crate::float::Float;
use crate::kernels::SimpleRnnKernel;

/// A fully connected recurrent layer: Keras's `SimpleRNN`, with its defaults. See [`SimpleRnnCell`] for the equation.
///
/// Weights: `kernel` (input_size, units), `recurrent_kernel` (units, units), `bias` (units). State: `h`.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Activation, Initializer, Layer, SimpleRnn};
/// let rnn = SimpleRnn::<f32>::builder(1, 1)
///     .kernel_initializer(Initializer::Ones)
///     .recurrent_initializer(Initializer::Ones)
///     .activation(Activation::Linear)
///     .return_sequences(true)
///     .build()?;
/// let output = rnn.forward(&Array3::ones((1, 4, 1)))?;
/// assert_eq!(output.sequence()?, array![[[1.0], [2.0], [3.0], [4.0]]]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub type SimpleRnn<T = f32> = Recurrent<SimpleRnnCell<T>>;

impl<T: Float> Recurrent<SimpleRnnCell<T>> {
    /// A layer with Keras's defaults and random weights.
    ///
    /// # Panics
    /// If a size is zero or the weights can't be addressed: use [`builder`](Self::builder) for sizes that aren't
    /// known to be sound.
    #[track_caller]
    pub fn new(input_size: usize, units: usize) -> Self {
        crate::error::or_panic(Self::builder(input_size, units).build())
    }

    /// A builder for a layer of `units` units over `input_size` features.
    pub fn builder(input_size: usize, units: usize) -> Builder<'static, SimpleRnnCell<T>> {
        Builder::new(input_size, units)
    }
}

impl<T: Float> Recipe for SimpleRnnCell<T> {
    type Options = ();

    const GATES: usize = 1;
    const COPIES_SEED: bool = false;
    const DROPOUT_SEED_FIRST: bool = true;

    fn packed_len(input_size: usize, units: usize, _options: &()) -> Option<usize> {
        SimpleRnnKernel::<T>::packed_len(input_size, units)
    }

    fn assemble(parts: Parts<Self>) -> Self {
        SimpleRnnCell::new(parts.weights, parts.activation, parts.dropout)
    }
}
