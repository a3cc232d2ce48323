//! The GRU layer.

use super::builder::Builder;
use super::builder::sealed::{Parts, Recipe};
use super::recurrent::Recurrent;
use crate::activation::Activation;
use crate::cells::gru::GruCell;
use crate::float::Float;
use crate::kernels::GruKernel;

/// A GRU layer: Keras's `GRU`, with its defaults. See [`GruCell`] for the equations of both forms.
///
/// Weights: `kernel` (input_size, 3 units), `recurrent_kernel` (units, 3 units), the gates in Keras's order z, r, h;
/// `bias` (2, 3 units) with `reset_after`, the input's in row 0 and the recurrent one in row 1, else (3 units).
/// State: `h`.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gru, Layer};
/// let gru = Gru::<f64>::builder(3, 4).reset_after(false).return_sequences(true).build()?;
/// assert_eq!(gru.weight("bias")?.shape(), [12]);
/// assert_eq!(gru.forward(&Array3::ones((2, 5, 3)))?.sequence()?.dim(), (2, 5, 4));
/// # Ok::<(), recurrent::Error>(())
/// ```
pub type Gru<T = f32> = Recurrent<GruCell<T>>;

/// What only a GRU's builder has.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct GruOptions {
    reset_after: bool,
}

impl Default for GruOptions {
    fn default() -> Self {
        GruOptions { reset_after: true }
    }
}

impl<T: Float> Recurrent<GruCell<T>> {
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
    pub fn builder(input_size: usize, units: usize) -> Builder<'static, GruCell<T>> {
        Builder::new(input_size, units)
    }
}

impl<T: Float> Builder<'_, GruCell<T>> {
    /// The activation of the gates.
    pub fn recurrent_activation(self, activation: Activation) -> Self {
        self.set_recurrent_activation(activation)
    }

    /// Whether the reset gate acts after the product with the recurrent kernel (cuDNN's and PyTorch's form) or before
    /// it (the paper's).
    pub fn reset_after(mut self, yes: bool) -> Self {
        self.options_mut().reset_after = yes;
        self
    }
}

impl<T: Float> Recipe for GruCell<T> {
    type Options = GruOptions;

    const GATES: usize = 3;
    const COPIES_SEED: bool = true;
    const DROPOUT_SEED_FIRST: bool = false;

    fn bias_shape(units: usize, options: &GruOptions) -> Vec<usize> {
        if options.reset_after { vec![2, 3 * units] } else { vec![3 * units] }
    }

    fn packed_len(input_size: usize, units: usize, _options: &GruOptions) -> Option<usize> {
        GruKernel::<T>::packed_len(input_size, units)
    }

    fn assemble(parts: Parts<Self>) -> Self {
        let reset_after = parts.options.reset_after;
        GruCell::new(parts.weights, parts.activation, parts.recurrent_activation, reset_after, parts.dropout)
    }
}
