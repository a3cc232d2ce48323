//! Layers that do something in training only.

use serde_json::json;

use super::super::words::{Said, Unsaid};
use super::{Built, Class, Holds, INPUTS, INPUTS_AND_TRAINING, Reading};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops::identity::Identity;

impl<T: Float> Class<T> {
    pub(super) const TRAINING_ONLY: &'static [Self] = &[
        Class::layer("Dropout", INPUTS_AND_TRAINING, Holds::Nothing, noise).without(SAME),
        Class::layer("SpatialDropout1D", INPUTS_AND_TRAINING, Holds::Nothing, noise).by(of_spatial),
        Class::layer("SpatialDropout2D", INPUTS_AND_TRAINING, Holds::Nothing, noise).by(of_spatial),
        Class::layer("SpatialDropout3D", INPUTS_AND_TRAINING, Holds::Nothing, noise).by(of_spatial),
        Class::layer("GaussianDropout", INPUTS_AND_TRAINING, Holds::Nothing, noise).without(SAME),
        Class::layer("GaussianNoise", INPUTS_AND_TRAINING, Holds::Nothing, noise).without(SAME),
        Class::layer("AlphaDropout", INPUTS_AND_TRAINING, Holds::Nothing, noise).without(SAME),
        Class::layer("ActivityRegularization", INPUTS, Holds::Nothing, |reading| {
            reading.fields.loose_numbers(&["l1", "l2"])?;
            Ok(Built::with(Identity { keeps_mask: true }, 0))
        })
        .without(SAME),
        Class::layer("Identity", INPUTS, Holds::Nothing, |reading| {
            Ok(Built::with(Identity { keeps_mask: !reading.is_keras2() }, 0))
        })
        .without(SAME),
    ];
}

/// All that the operation says. What is done in training was kept as the file said it.
const SAME: &[&str] = &["keeps_mask"];

/// Keras's constructors take the name and the type alone.
fn of_spatial(said: &mut Said<'_>) -> Result<(), Unsaid> {
    said.leave("trainable");
    Ok(())
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
