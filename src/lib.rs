//! Recurrent layers with Keras's numbers.

#![deny(missing_docs)]

mod activation;
mod error;
mod float;
mod kernels;
pub mod math;
#[allow(dead_code)] // until cells use it
mod rows;

pub use activation::{Activation, CustomActivation};
pub use error::{Error, Result};
pub use float::Float;
#[doc(hidden)]
pub use kernels::door;
