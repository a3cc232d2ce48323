//! Recurrent layers with Keras's numbers.

#![deny(missing_docs)]

mod error;
mod float;
mod initializers;
mod kernels;
mod random;
mod rows;

pub use error::{Error, Result};
pub use float::Float;
pub use initializers::{CustomInitializer, FanMode, Initializer, ScalingDistribution};
pub use random::{KerasRng, SeedSource};
