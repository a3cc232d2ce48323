//! Files: readers that trust nothing, and build this crate's layers through their builders, and models by
//! `graph::assembly`; writers that take layers apart. Each format is a folder; what they share stands beside them.
//!
//! ```text
//! file (over pytorch and keras, whose files it verifies)
//! pytorch, keras, onnx
//! safetensors      hdf5, inflate, zip
//! gate_order, saved_model, tensors, disk, limits, load_error, save_error, error, mismatch, difference
//! ```
//!
//! A [`Tensor`](tensors::Tensor) is what each container gives: an element type, a shape, bytes, and the numbers that they
//! are. `disk` reads within [`Limits`], and writes whole files or none. `gate_order` names the orders of the gates, and
//! moves their blocks from one to another. Inside, whatever refuses returns a [`Problem`]; with the file's name it is a
//! [`LoadError`].
//!
//! # Another format
//!
//! - **Its folder** here, its feature in `Cargo.toml`, and that in each `cfg` that lists features: here, in `disk.rs`,
//!   in `lib.rs` (`mod formats`, the `pub use`, the table of features).
//! - **Reading**: `disk::read`, sizes against `Limits` before memory is taken, [`Problem`]s inside, a [`LoadError`]
//!   with the file's name outside. One layer: its builder, then `set_weights` (`pytorch/build.rs`). A model: call by
//!   call by `graph::assembly` (`onnx/load`).
//! - **Writing**: a model is whatever is `Saved` (`saved_model.rs`). It is walked call by call, and each operation says
//!   by `describe` what it is, by its weights what it holds (`onnx/write`). Layers under prefixes tell their options to
//!   a `StructureVisitor` (`pytorch/written.rs`). What the format can't say is a [`SaveError`]; `disk::write` writes
//!   all or nothing.
//! - **Tests**: what it must refuse beside `tests/files/hostile.rs`, a target in `fuzz`, the framework's numbers in
//!   `tests/golden`, and back again beside `tests/files/pytorch_written.rs`.

mod difference;
mod disk;
mod error;
#[cfg(feature = "file")]
pub mod file;
#[cfg(any(feature = "onnx", feature = "pytorch"))]
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
#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "pytorch")]
pub mod pytorch;
#[cfg(any(feature = "file", feature = "keras", feature = "pytorch"))]
mod safetensors;
#[cfg(any(feature = "file", feature = "keras", feature = "onnx", feature = "pytorch"))]
mod save_error;
#[cfg(any(feature = "keras", feature = "onnx"))]
mod saved_model;
#[cfg_attr(not(any(feature = "keras", feature = "pytorch")), allow(dead_code, reason = "own files have one type"))]
mod tensors;
#[cfg(feature = "keras")]
mod zip;

pub use difference::Difference;
pub use error::Problem;
pub use limits::Limits;
pub use load_error::LoadError;
#[cfg(feature = "pytorch")]
pub use mismatch::Mismatch;
#[cfg(any(feature = "file", feature = "keras", feature = "onnx", feature = "pytorch"))]
pub use save_error::SaveError;
#[cfg(any(feature = "keras", feature = "pytorch"))]
pub use tensors::TensorInfo;
