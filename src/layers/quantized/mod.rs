//! Layers with their weights in fewer bits.

pub(crate) mod dense;

use std::any::Any;

use super::Layer;
use super::bidirectional::Bidirectional;
use super::recurrent::Recurrent;
use super::stacked::Stacked;
use crate::cells::{Cell, QuantizedCell};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::precision::Precision;

impl<C: Cell> Recurrent<C> {
    /// The same layer with its weights in fewer bits: a layer like any other, but that its weights can't be changed nor
    /// trained, and are read by [`dequantized`](Recurrent::dequantized). Its options stay; dropout is left out.
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Gru, Layer, Precision};
    /// let gru = Gru::<f32>::builder(64, 128).return_sequences(true).build()?;
    /// let small = gru.quantize(Precision::Int8)?;
    /// assert!(small.weight_bytes() < gru.weight_bytes() * 29 / 100);
    ///
    /// let x = Array3::ones((4, 50, 64));
    /// let difference = gru.compare(&small, &x)?;
    /// assert!(difference.mean() < 0.01);
    /// println!("{difference}"); // a table: the largest and the mean error, by steps
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::CannotQuantize`] for a cell that has no such form: of f64, with options that Keras's cells don't have,
    /// of your own. [`Error::QuantizedValue`] for a weight that isn't finite.
    pub fn quantize(&self, precision: Precision) -> Result<Recurrent<QuantizedCell>> {
        Ok(Recurrent::with_options(self.cell().quantized(precision)?, self.options()))
    }
}

/// A layer of f32 as one of its wrapper's element type, which can only be that.
pub(super) fn boxed<T: Float>(layer: impl Layer<f32>) -> Result<Box<dyn Layer<T>>> {
    let class = layer.class_name();
    let layer: Box<dyn Layer<f32>> = Box::new(layer);
    let layer: Box<dyn Any> = Box::new(layer);
    let refused = Error::CannotQuantize { layer: class.into(), reason: "it is of f64" };
    layer.downcast().map(|layer| *layer).map_err(|_| refused)
}

/// Says where in a wrapper something was refused.
fn within<T>(name: &str, result: Result<T>) -> Result<T> {
    result.map_err(|error| match error {
        Error::CannotQuantize { layer, reason } => Error::CannotQuantize { layer: format!("{name}/{layer}"), reason },
        Error::QuantizedValue { weight, given } => Error::QuantizedValue { weight: format!("{name}/{weight}"), given },
        other => other,
    })
}

/// [`Layer::quantize`] of a stack: each layer's.
pub(super) fn stacked<T: Float>(stack: &Stacked<T>, precision: Precision) -> Result<Stacked<T>> {
    let mut builder = Stacked::builder().return_state(stack.returns_state());
    for (name, layer) in stack.parts() {
        builder = builder.boxed(within(name, layer.quantize(precision))?);
    }
    builder.build()
}

/// [`Layer::quantize`] of both directions.
pub(super) fn bidirectional<T: Float>(layer: &Bidirectional<T>, precision: Precision) -> Result<Bidirectional<T>> {
    let mut directions = layer.parts().into_iter();
    let mut next = || match directions.next() {
        Some((name, direction)) => within(name, direction.quantize(precision)),
        None => unreachable!("there are two directions"),
    };
    let (forward, backward) = (next()?, next()?);
    Ok(Bidirectional::from_boxed(forward, backward)?.merge_mode(layer.merge()))
}
