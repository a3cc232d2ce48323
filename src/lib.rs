//! Recurrent layers with Keras's numbers.

#![deny(missing_docs)]

mod error;
mod float;
mod kernels;
pub mod math;
mod rows;

pub use error::{Error, Result};
pub use float::Float;
