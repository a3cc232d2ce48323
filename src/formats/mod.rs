//! Model files of other frameworks: readers that trust nothing, and build this crate's layers through their builders.

mod error;
mod hdf5;
mod inflate;
pub mod keras;
mod limits;

pub use error::{LoadError, Problem};
pub use limits::Limits;
