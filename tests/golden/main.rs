//! Numbers that the frameworks computed, through the public API: see `README.md` here.

#[allow(dead_code)] // other tests use it too
#[macro_use]
mod check;

mod activations;
#[cfg(feature = "keras")]
mod file_rules;
#[cfg(feature = "keras")]
mod graphs;
mod initializers;
#[cfg(feature = "keras")]
mod int8;
#[cfg(feature = "keras")]
mod keras_io;
mod layer_gradients;
mod layers;
#[cfg(feature = "keras")]
mod model_gradients;
#[cfg(feature = "keras")]
mod models;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(feature = "onnx")]
mod onnx_quantized;
#[cfg(feature = "keras")]
mod own_code;
#[cfg(feature = "pytorch")]
mod pytorch;
mod summaries;
#[cfg(feature = "keras")]
mod texts;
mod training;
mod updates;
#[cfg(feature = "keras")]
mod upsampled;
mod weight_rules;
#[cfg(feature = "keras")]
mod what_is_read;
