//! Writers: a model as a graph of ONNX's operators.
//!
//! ```text
//! mod       what can be written, into a file or as bytes
//! model     calls, inputs and outputs, and how masks go with values
//! operators what each operation is as nodes
//! writer    nodes, constants, errors    moving, activations: what many of them are made of
//! words     what a description says, and weights
//! graph     the graph as messages       wire  messages as bytes
//! ```

mod activations;
mod graph;
mod model;
mod moving;
mod operators;
mod wire;
mod words;
mod writer;

use std::path::Path;

use crate::config::{Config, ConfigError};
use crate::float::Float;
use crate::formats::disk;
use crate::formats::save_error::SaveError;
use crate::formats::saved_model::Saved;
use crate::graph::operation::{Operation, Which};
use crate::graph::weights::show_quantized;
use crate::weights::{Kept, QuantizedVisitor, WeightVisitor};

/// Writes an ONNX file, whole or not at all, of opset 17, which ONNX Runtime runs with the numbers that the model gives
/// here; with nearly these if layers are in fewer bits. What becomes of which layer, and what is refused, is on the page
/// [`coming_from_onnx`](super::coming_from_onnx#writing).
///
/// ```
/// use recurrent::{Dense, Lstm, Sequential, onnx};
/// let model = Sequential::<f32>::builder("tagger")
///     .layer(Lstm::builder(3, 8).return_sequences(true).build()?)
///     .layer(Dense::new(8, 2))
///     .build()?;
/// let bytes = onnx::to_bytes(&model)?;
/// let again = onnx::File::from_bytes("tagger.onnx", bytes, &onnx::Limits::new())?;
/// assert_eq!(again.model::<f32>()?.count_params(), model.count_params());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`SaveError::Class`], [`SaveError::Option`] and [`SaveError::Custom`] for what ONNX can't say,
/// [`SaveError::Quantized`] for layers in fewer bits that ONNX hasn't got (bfloat16, Keras's, convolutions),
/// [`SaveError::NoModel`] for a layer that is no model by itself, [`SaveError::Io`]; an old file is as it was.
pub fn save<S: Saved + ?Sized>(path: impl AsRef<Path>, thing: &S) -> Result<(), SaveError> {
    let path = path.as_ref();
    let bytes = to_bytes(thing)?;
    disk::write(path, |out| out.write_all(&bytes))
        .map_err(|error| SaveError::Io { file: path.display().to_string(), reason: error.to_string() })
}

/// What [`save`] writes, as bytes.
///
/// # Errors
/// Those of [`save`].
pub fn to_bytes<S: Saved + ?Sized>(thing: &S) -> Result<Vec<u8>, SaveError> {
    let model = thing.as_model().map_err(|source| SaveError::NoModel { source })?;
    model::bytes(&model)
}

/// A description, or why there is none.
fn described(config: Result<Config, ConfigError>, path: &str) -> Result<Config, SaveError> {
    let config = config.map_err(|error| match error.within(path) {
        ConfigError::Custom { layer, what, name } => SaveError::Custom { layer, what, name },
        other => SaveError::Custom { layer: path.into(), what: "description", name: format!("{other:?}") },
    })?;
    match config.in_fewer_bits_but(&operators::quantized::is_written) {
        Some(class) => Err(SaveError::Quantized { layer: path.into(), class }),
        None => Ok(config),
    }
}

/// The weights of an operation.
fn weights_of<T: Float>(op: &dyn Operation<T>) -> words::Weights<'_, T> {
    let mut weights = Vec::new();
    op.visit_weights(Which::All, &mut WeightVisitor::new(&mut |path, weight| weights.push((path.to_string(), weight))));
    words::Weights::new(weights, kept(op))
}

/// Those that are kept in fewer bits.
fn kept<T: Float>(op: &dyn Operation<T>) -> Vec<(String, Kept)> {
    let mut all = Vec::new();
    show_quantized(op, &mut QuantizedVisitor::new(&mut |path, weight| all.push((path.to_string(), (weight.kept)()))));
    all
}
