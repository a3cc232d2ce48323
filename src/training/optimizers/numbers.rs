//! The numbers of optimizers: what each may be.
//!
//! Keras checks some of them when an optimizer is made, and takes the others as they come: a learning rate of NaN makes
//! all weights NaN there. Here every number is checked before a step changes anything, in the type that it is used in.

use crate::error::{Error, Result};
use crate::float::Float;

/// A finite number, and one of the type `T` too.
fn finite<T: Float>(option: &'static str, given: f64) -> Result<()> {
    check_option(option, "a finite number", given, given.is_finite())?;
    check_option(option, "within the range of the weights' type", given, T::from_f64(given).is_finite())
}

/// A factor: a learning rate, a decay.
pub(in crate::training) fn not_negative<T: Float>(option: &'static str, given: f64) -> Result<()> {
    finite::<T>(option, given)?;
    check_option(option, "at least 0", given, given >= 0.0)
}

/// What is divided by, or is a limit.
pub(in crate::training) fn positive<T: Float>(option: &'static str, given: f64) -> Result<()> {
    finite::<T>(option, given)?;
    check_option(option, "above 0", given, given > 0.0)?;
    check_option(option, "above 0 in the weights' type", given, T::from_f64(given) > T::zero())
}

/// How much is kept of a velocity or an average.
pub(in crate::training) fn fraction(option: &'static str, given: f64) -> Result<()> {
    check_option(option, "in 0..=1", given, (0.0..=1.0).contains(&given))
}

/// A share that isn't none.
pub(in crate::training) fn share(option: &'static str, given: f64) -> Result<()> {
    check_option(option, "above 0 and at most 1", given, given > 0.0 && given <= 1.0)?;
    check_option(option, "above 0 in f32 too", given, given as f32 > 0.0)
}

/// How much is kept of a mean whose beginning is corrected by `1 / (1 - beta^t)`, with a beta in f32.
pub(in crate::training) fn beta(option: &'static str, given: f64) -> Result<()> {
    check_option(option, "in 0..1", given, (0.0..1.0).contains(&given))?;
    check_option(option, "below 1 in f32 too", given, (given as f32) < 1.0)
}

/// A count.
pub(in crate::training) fn at_least(
    option: &'static str,
    (least, expected): (u64, &'static str),
    given: u64,
) -> Result<()> {
    check_option(option, expected, given as f64, given >= least)
}

pub(in crate::training) fn check_option(
    option: &'static str,
    expected: &'static str,
    given: f64,
    sound: bool,
) -> Result<()> {
    if sound { Ok(()) } else { Err(Error::OptimizerOption { option, expected, given }) }
}
