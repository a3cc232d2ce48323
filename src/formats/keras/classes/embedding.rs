//! Embedding.

use super::{Built, Class, Holds, INPUTS, Reading, bytes, options};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops;
use crate::initializers::Initializer;
use crate::layers::embedding::Embedding;

impl<T: Float> Class<T> {
    pub(super) const EMBEDDING: &'static [Self] = &[Class::layer(
        "Embedding",
        INPUTS,
        Holds::Weights(|fields| bytes::names(fields, ["embeddings", "embeddings_scale"], false)),
        read,
    )];
}

fn read<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    reading.made_with(&["embeddings"])?;
    reading.plain()?;
    // The length of sequences, which the input says.
    reading.fields.loose(&["input_length"], "a whole number, a list of them or null", |json| {
        json.is_null() || json.integers().is_ok() || json.shape().is_ok()
    })?;
    if reading.bytes && !reading.bare {
        return bytes::embedding(reading);
    }
    let (rows, columns) = (reading.size("input_dim")?, reading.size("output_dim")?);
    let weights = reading.floats(&bytes::names(reading.fields, ["embeddings", "embeddings_scale"], false)?)?;
    reading.expect_shape(&weights[0], &[rows, columns])?;
    let table =
        weights[0].array.view().into_dimensionality().map_err(|_| reading.misshapen(&weights[0], String::new()))?;
    let uniform = Initializer::random_uniform();
    let layer = Embedding::builder(rows, columns)
        .mask_zero(reading.fields.default_flag("mask_zero", false)?)
        .embeddings_initializer(reading.initializer("embeddings_initializer", uniform))
        .build_of(table.to_owned());
    Ok(reading.built(ops::embedding::Embedding::new(layer), options::count(&weights)))
}
