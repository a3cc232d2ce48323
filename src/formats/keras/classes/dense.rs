//! Dense.

use super::super::json::Fields;
use super::{Built, Class, Holds, INPUTS_AND_TRAINING, Reading, bytes, options};
use crate::activation::Activation;
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops;
use crate::initializers::Initializer;
use crate::layers::dense::Dense;

impl<T: Float> Class<T> {
    pub(super) const DENSE: &'static [Self] =
        &[Class::layer("Dense", INPUTS_AND_TRAINING, Holds::Weights(weights), read).without(&["input_size"])];
}

fn weights(fields: &Fields<'_>) -> Found<Vec<&'static str>> {
    bytes::names(fields, ["kernel", "kernel_scale"], fields.default_flag("use_bias", true)?)
}

fn read<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    reading.made_with(&["kernel", "bias"])?;
    reading.plain()?;
    if reading.bytes && !reading.bare {
        return bytes::dense(reading);
    }
    let units = reading.size("units")?;
    let activation = reading.activation::<T>("activation", Activation::Linear)?;
    let weights = reading.floats(&weights(reading.fields)?)?;
    let input = reading.rows(&weights[0], units, 1)?;
    let mut layer = Dense::builder(input, units)
        .activation(activation)
        .use_bias(weights.len() > 1)
        .kernel_initializer(reading.initializer("kernel_initializer", Initializer::GlorotUniform { seed: None }))
        .bias_initializer(reading.initializer("bias_initializer", Initializer::Zeros))
        .build_of_zeros()
        .map_err(|source| reading.refused(source))?;
    reading.set(&mut layer, &weights)?;
    Ok(reading.built(ops::dense::Dense::new(layer), options::count(&weights)))
}
