//! Layers that do something in training only.

use serde_json::json;

use super::{Built, Class, Holds, INPUTS, INPUTS_AND_TRAINING, Reading};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops::identity::Identity;

impl<T: Float> Class<T> {
    pub(super) const TRAINING_ONLY: &'static [Self] = &[
        Class::layer("Dropout", INPUTS_AND_TRAINING, Holds::Nothing, noise),
        Class::layer("SpatialDropout1D", INPUTS_AND_TRAINING, Holds::Nothing, noise),
        Class::layer("SpatialDropout2D", INPUTS_AND_TRAINING, Holds::Nothing, noise),
        Class::layer("SpatialDropout3D", INPUTS_AND_TRAINING, Holds::Nothing, noise),
        Class::layer("GaussianDropout", INPUTS_AND_TRAINING, Holds::Nothing, noise),
        Class::layer("GaussianNoise", INPUTS_AND_TRAINING, Holds::Nothing, noise),
        Class::layer("AlphaDropout", INPUTS_AND_TRAINING, Holds::Nothing, noise),
        Class::layer("ActivityRegularization", INPUTS, Holds::Nothing, |reading| {
            reading.fields.loose_numbers(&["l1", "l2"])?;
            Ok(Built::with(Identity { keeps_mask: true }, 0))
        }),
        Class::layer("Identity", INPUTS, Holds::Nothing, |reading| {
            Ok(Built::with(Identity { keeps_mask: !reading.is_keras2() }, 0))
        }),
    ];
}

fn noise<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let fields = reading.fields;
    fields.loose_numbers(&["rate", "stddev"])?;
    fields.loose_integers(&["seed"])?;
    fields.loose(&["noise_shape"], "a shape or null", |json| json.is_null() || json.shape().is_ok())?;
    let formats = [json!("channels_last"), json!("channels_first"), json!(null)];
    fields.loose(&["data_format"], "channels_last, channels_first or null", |json| {
        formats.iter().any(|format| json.only(format, "").is_ok())
    })?;
    Ok(Built::with(Identity { keeps_mask: true }, 0))
}
