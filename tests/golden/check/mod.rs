//! What tests of files and numbers share: reading data, building layers from their descriptions, comparing, and the
//! containers of model files.

#[macro_use]
pub mod data;
pub mod build;
pub mod optimizers;
pub mod parity;
pub mod run;
#[cfg(feature = "keras")]
pub mod write_keras;
#[cfg(feature = "keras")]
pub mod zip;
