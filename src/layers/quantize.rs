//! What the layers' ways into fewer bits have in common.

use std::any::Any;

use super::Layer;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::precision::Precision;

/// A layer of f32 as one of its wrapper's element type, which can only be that.
pub(crate) fn boxed<T: Float>(layer: impl Layer<f32>) -> Result<Box<dyn Layer<T>>> {
    let class = layer.class_name();
    let layer: Box<dyn Layer<f32>> = Box::new(layer);
    let layer: Box<dyn Any> = Box::new(layer);
    let refused = Error::CannotQuantize { layer: class.into(), reason: "it is of f64" };
    layer.downcast().map(|layer| *layer).map_err(|_| refused)
}

/// A layer inside of a wrapper in fewer bits; an error says where it is.
pub(super) fn inside<T: Float>(name: &str, layer: &dyn Layer<T>, precision: Precision) -> Result<Box<dyn Layer<T>>> {
    layer.quantize(precision).map_err(|error| match error {
        Error::CannotQuantize { layer, reason } => Error::CannotQuantize { layer: format!("{name}/{layer}"), reason },
        Error::QuantizedValue { weight, given } => Error::QuantizedValue { weight: format!("{name}/{weight}"), given },
        other => other,
    })
}
