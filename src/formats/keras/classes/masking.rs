//! Masking.

use super::{Built, Class, Holds, INPUTS};
use crate::float::Float;
use crate::graph::ops;
use crate::layers::masking::Masking;

impl<T: Float> Class<T> {
    pub(super) const MASKING: &'static [Self] = &[Class::layer("Masking", INPUTS, Holds::Nothing, |reading| {
        let value = T::from_f64(reading.fields.default_number("mask_value", 0.0)?);
        Masking::new(value).map_err(|source| reading.refused(source))?;
        Ok(Built::with(ops::masking::Masking(value), 0))
    })];
}
