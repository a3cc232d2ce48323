//! Layers of PyTorch, out of the safetensors file of a `state_dict`, and back into one.
//!
//! ```no_run
//! use ndarray::prelude::*;
//! use recurrent::{Stream, pytorch};
//! let file = pytorch::File::open("model.safetensors")?;
//! println!("{file}");
//! let mut stream = Stream::new(file.gru::<f32>("encoder")?, 1)?;
//! println!("{:?}", stream.step_one(&[0.0; 8])?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In Python, `safetensors.torch.save_file(model.state_dict(), "model.safetensors")` writes such a file. A `.pt` file
//! holds a program, and isn't read. How PyTorch's words translate is a page of its own: [`coming_from_pytorch`].
//!
//! Nothing in a file is trusted: sizes are checked before memory is taken ([`Limits`]), each byte of the data must
//! belong to one tensor, and what isn't understood is refused.

mod build;
#[cfg(doc)]
pub mod coming_from_pytorch;
mod file;
mod format;
mod modules;
mod recurrent_module;
mod save;
mod written;

pub use self::file::File;
pub use self::save::{Module, OneStep, save};
pub use super::{Difference, Limits, LoadError, Mismatch, Problem, SaveError, TensorInfo};
