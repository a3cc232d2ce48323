//! Models of ONNX files, and their recurrent nodes as layers; and back into files.
//!
//! ```no_run
//! use recurrent::onnx;
//! let policy = onnx::load::<f32>("policy.onnx")?; // inputs obs, h_in, c_in; outputs action, h_out, c_out
//! println!("{policy}"); // its layers, and which states are inputs and outputs
//! let mut stream = policy.stream_with(&[("h_in", "h_out"), ("c_in", "c_out")], 1)?;
//! println!("{:?}", stream.step_one(&[0.0; 45])?); // the action; the state is the stream's
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The numbers are those of ONNX Runtime. [`save`] writes models and layers, built, read or trained here, as ONNX. What is
//! read and written, and what is refused, is on a page of its own: [`coming_from_onnx`].
//!
//! Nothing in a file is trusted: sizes are checked before memory is taken ([`Limits`]), what is computed of constants is
//! bounded by the file's own size, and an operator, an attribute or an option that isn't understood is an error that
//! names it.

mod bytes;
#[cfg(doc)]
pub mod coming_from_onnx;
mod external;
mod file;
mod load;
mod messages;
mod node;
mod protobuf;
mod recurrent;
mod tensor;
mod write;

use std::path::Path;

pub use self::file::File;
pub use self::write::{save, to_bytes};
pub use super::saved_model::Saved;
pub use super::{Difference, Limits, LoadError, Problem, SaveError};
use crate::float::Float;
use crate::graph::Model;

/// The model of an ONNX file, with the default limits.
///
/// Its inputs and outputs are those of the graph, by their names and in their order, and their arrays have their axes as
/// there, wherever the batch is: (timesteps, batch, features) of a recurrent layer of PyTorch's that isn't
/// `batch_first`, (layers, batch, units) of its states. A number of rows or of steps that the exporter has frozen is
/// fixed here, too.
///
/// # Errors
/// Those of [`File::open`] and [`File::model`].
pub fn load<T: Float>(path: impl AsRef<Path>) -> Result<Model<T>, LoadError> {
    File::open(path)?.model()
}

/// [`load`] within other limits.
///
/// # Errors
/// Those of [`load`].
pub fn load_with<T: Float>(path: impl AsRef<Path>, limits: &Limits) -> Result<Model<T>, LoadError> {
    File::open_with(path, limits)?.model()
}
