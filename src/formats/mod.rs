//! Files: readers that trust nothing, and build this crate's layers through their builders, and models by
//! `graph::assembly`. Each format is a folder;
//! what they share stands beside them.
//!
//! ```text
//! pytorch, file    keras
//! safetensors      hdf5, inflate
//! gate_order, tensors, disk, limits, load_error, save_error, error, mismatch
//! ```

mod disk;
mod error;
#[cfg(feature = "file")]
pub mod file;
#[cfg(feature = "pytorch")]
mod gate_order;
#[cfg(feature = "keras")]
mod hdf5;
#[cfg(feature = "keras")]
mod inflate;
#[cfg(feature = "keras")]
pub mod keras;
mod limits;
mod load_error;
mod mismatch;
#[cfg(feature = "pytorch")]
pub mod pytorch;
#[cfg(any(feature = "file", feature = "pytorch"))]
mod safetensors;
#[cfg(any(feature = "file", feature = "pytorch"))]
mod save_error;
#[cfg_attr(not(any(feature = "keras", feature = "pytorch")), allow(dead_code, reason = "own files have one type"))]
mod tensors;

pub use error::Problem;
pub use limits::Limits;
pub use load_error::LoadError;
#[cfg(feature = "pytorch")]
pub use mismatch::Mismatch;
#[cfg(any(feature = "file", feature = "pytorch"))]
pub use save_error::SaveError;
#[cfg(any(feature = "keras", feature = "pytorch"))]
pub use tensors::TensorInfo;
