//! Model files: what is read, in all the forms that users have; what is refused, by name, with a way out that works; and
//! files that were damaged or made to harm.

#[cfg(feature = "keras")]
#[allow(dead_code)] // the golden tests use the rest
#[macro_use]
#[path = "../golden/check/mod.rs"]
mod check;

#[cfg(feature = "keras")]
mod classes;
#[cfg(feature = "keras")]
mod descriptions;
#[cfg(feature = "file")]
mod examples;
#[cfg(feature = "keras")]
mod forms;
#[cfg(feature = "keras")]
mod hostile;
#[cfg(feature = "keras")]
mod keras_by_hand;
#[cfg(feature = "keras")]
mod keras_written;
#[cfg(feature = "onnx")]
mod onnx_external;
#[cfg(feature = "onnx")]
mod onnx_hostile;
#[cfg(feature = "onnx")]
mod onnx_written;
#[cfg(feature = "file")]
mod own_files;
#[cfg(any(feature = "file", feature = "keras"))]
mod predictions;
#[cfg(feature = "pytorch")]
mod pytorch_refusals;
#[cfg(feature = "pytorch")]
mod pytorch_written;
#[cfg(feature = "keras")]
mod rules;
#[cfg(feature = "keras")]
mod ways_out;
