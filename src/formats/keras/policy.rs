//! Types of numbers: what a layer's or an input's dtype says, and whether that can be computed.

use super::json::DTypes;
use super::options::Settings;

/// The policies that compute with 16 bits, whatever they store.
const HALF: [&str; 4] = ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"];

const WIDEN: &str = "there is no arithmetic of 16 bits here: read it with keras::Options::half_as_f32(true) to compute in \
                     f32, or set its policy to float32 in Python and save the model again";

const MIXED: &str =
    "the model has layers of float32 and of float64; set one dtype for all of them in Python and save it again";

/// Checks that a layer of this policy can be computed in `T`, or what to do: there is no arithmetic of 16 bits, and no silent loss
/// of 64. `has`: those that layers of the file compute in.
pub(super) fn check<T>(policy: &str, has: DTypes, options: &Settings) -> Result<(), &'static str> {
    let double = size_of::<T>() == 8;
    match policy {
        "float32" if double && has.float64 => Err(MIXED),
        "float32" => Ok(()),
        "float64" if double => Ok(()),
        "float64" if has.float32 => Err(MIXED),
        "float64" => Err("load the model as f64"),
        half if HALF.contains(&half) && options.half_as_f32 => check::<T>("float32", has, options),
        half if HALF.contains(&half) => Err(WIDEN),
        _ => Err("set its policy to float32 in Python and save the model again"),
    }
}

/// What to do about a layer in fewer bits that isn't read.
pub(super) const QUANTIZED: &str = "of Keras's layers in fewer bits those that quantize(\"int8\") makes of Dense, \
     EinsumDense and Embedding are read; save the model as it is before quantize() is called";

/// Checks that a layer in bytes that was of this policy can be computed in `T`.
pub(super) fn check_bytes<T>(source: &str) -> Result<(), &'static str> {
    match source {
        "float32" if size_of::<T>() == 4 => Ok(()),
        "float32" => Err("layers of int8 compute in f32: load the model as f32"),
        _ => Err("set its policy to float32 in Python before quantize(\"int8\") is called"),
    }
}

/// Whether a dtype is one of 16 bits that is read as f32.
pub(super) fn is_widened(dtype: &str, options: &Settings) -> bool {
    options.half_as_f32 && matches!(dtype, "float16" | "bfloat16")
}

/// What to do about an input of a type that isn't read.
pub(super) fn input_hint(dtype: Option<&str>) -> &'static str {
    match dtype {
        Some("float64") => "load the model as f64",
        Some("float16" | "bfloat16") => WIDEN,
        _ => "inputs of float32, float64, bool and integers of up to 64 bits are supported",
    }
}
