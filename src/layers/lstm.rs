//! The LSTM layer.

use super::builder::Builder;
use super::builder::sealed::{Parts, Recipe};
use super::recurrent::Recurrent;
use crate::activation::Activation;
use crate::cells::lstm::LstmCell;
use crate::float::Float;
use crate::kernels::LstmKernel;

/// An LSTM layer: Keras's `LSTM`, with its defaults. See [`LstmCell`] for the equations.
///
/// Weights: `kernel` (input_size, 4 units), `recurrent_kernel` (units, 4 units), `bias` (4 units), the gates in
/// Keras's order i, f, c, o. State: `h`, `c`.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Initializer, Layer, Lstm};
/// let lstm = Lstm::<f32>::builder(1, 1)
///     .kernel_initializer(Initializer::Ones)
///     .recurrent_initializer(Initializer::Zeros)
///     .activation("linear".parse()?)
///     .build()?;
/// let h = lstm.forward(&Array3::ones((1, 4, 1)))?.into_last();
/// assert!((h[[0, 0]] - 1.7850124).abs() < 1e-6); // what Keras prints
/// # Ok::<(), recurrent::Error>(())
/// ```
pub type Lstm<T = f32> = Recurrent<LstmCell<T>>;

/// What only an LSTM's builder has.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct LstmOptions {
    unit_forget_bias: bool,
}

impl Default for LstmOptions {
    fn default() -> Self {
        LstmOptions { unit_forget_bias: true }
    }
}

impl<T: Float> Recurrent<LstmCell<T>> {
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
    pub fn builder(input_size: usize, units: usize) -> Builder<'static, LstmCell<T>> {
        Builder::new(input_size, units)
    }
}

impl<T: Float> Builder<'_, LstmCell<T>> {
    /// The activation of the gates.
    pub fn recurrent_activation(self, activation: Activation) -> Self {
        self.set_recurrent_activation(activation)
    }

    /// Whether the forget gate's bias starts at one (Jozefowicz et al. 2015). The other gates' bias is what the bias
    /// initializer says, as Keras does it (and not zeros, as Keras documents it).
    pub fn unit_forget_bias(mut self, yes: bool) -> Self {
        self.options_mut().unit_forget_bias = yes;
        self
    }
}

impl<T: Float> Recipe for LstmCell<T> {
    type Options = LstmOptions;

    const GATES: usize = 4;
    const COPIES_SEED: bool = true;
    const DROPOUT_SEED_FIRST: bool = false;

    fn ones_in_bias(units: usize, options: &LstmOptions) -> Option<std::ops::Range<usize>> {
        options.unit_forget_bias.then_some(units..2 * units)
    }

    fn packed_len(input_size: usize, units: usize, _options: &LstmOptions) -> Option<usize> {
        LstmKernel::<T>::packed_len(input_size, units)
    }

    fn assemble(parts: Parts<Self>) -> Self {
        LstmCell::new(parts.weights, parts.activation, parts.recurrent_activation, parts.dropout)
    }
}
