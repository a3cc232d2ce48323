//! What a weight is to be like: penalties that pull it there, and constraints that hold it there, with Keras's numbers.

mod constraint;
mod regularizer;

pub use self::constraint::Constraint;
pub use self::regularizer::{OrthogonalMode, Regularizer};
use crate::error::{Error, Result};
use crate::float::Float;

/// A number that passes through f32, whatever the weights' type is, as it does in Keras.
fn by_f32<T: Float>(value: f64) -> T {
    T::from_f64(f64::from(value as f32))
}

/// Checks an option.
fn check(option: &'static str, expected: &'static str, given: f64, sound: bool) -> Result<()> {
    if sound { Ok(()) } else { Err(Error::WeightRule { option, expected, given }) }
}

/// Checks a number that is finite in f32 and at least 0.
fn not_negative(option: &'static str, given: f64) -> Result<()> {
    check(option, "finite and at least 0", given, given >= 0.0 && (given as f32).is_finite())
}
