//! Files: readers that trust nothing, and build this crate's layers through their builders. Each format is a folder;
//! what they share stands beside them.
//!
//! ```text
//!                  keras
//! safetensors      hdf5, inflate
//! tensors, disk, limits, error
//! ```

mod disk;
mod error;
#[cfg(feature = "keras")]
mod hdf5;
#[cfg(feature = "keras")]
mod inflate;
#[cfg(feature = "keras")]
pub mod keras;
mod limits;
#[cfg(feature = "pytorch")]
#[allow(dead_code, unused_imports)] // its reader comes next
mod safetensors;
mod tensors;

pub use error::{LoadError, Problem};
pub use limits::Limits;
pub use tensors::TensorInfo;
