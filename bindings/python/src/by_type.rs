//! Things that are there in two types of numbers.

use numpy::Element;
use recurrent::Float;

use crate::errors::{Outcome, refuse};

/// A type that models compute in.
pub trait Number: Float + Element {
    /// numpy's name of it.
    const DTYPE: &'static str;
}

impl Number for f32 {
    const DTYPE: &'static str = "float32";
}

impl Number for f64 {
    const DTYPE: &'static str = "float64";
}

/// One thing, in one of the two types.
#[derive(Debug, Clone)]
pub enum ByType<A, B> {
    F32(A),
    F64(B),
}

/// The same code for either type.
macro_rules! each {
    ($value:expr, $x:pat => $body:expr) => {
        match $value {
            $crate::by_type::ByType::F32($x) => $body,
            $crate::by_type::ByType::F64($x) => $body,
        }
    };
}
pub(crate) use each;

/// The same, and the result is in the same type.
macro_rules! map {
    ($value:expr, $x:pat => $body:expr) => {
        match $value {
            $crate::by_type::ByType::F32($x) => $crate::by_type::ByType::F32($body),
            $crate::by_type::ByType::F64($x) => $crate::by_type::ByType::F64($body),
        }
    };
}
pub(crate) use map;

impl<A, B> ByType<A, B> {
    pub fn dtype(&self) -> &'static str {
        match self {
            ByType::F32(_) => f32::DTYPE,
            ByType::F64(_) => f64::DTYPE,
        }
    }
}

/// Whether numbers are float64; none if it isn't said.
pub fn is_double(dtype: Option<&str>) -> Outcome<Option<bool>> {
    match dtype {
        None => Ok(None),
        Some("float32") => Ok(Some(false)),
        Some("float64") => Ok(Some(true)),
        Some(other) => refuse(format!("dtype must be \"float32\" or \"float64\", got {other:?}")),
    }
}
