//! MaxPooling1D, AveragePooling1D and the global ones; ZeroPadding1D, Cropping1D, UpSampling1D.

use super::super::json::Json;
use super::{Built, Class, Holds, INPUTS, Reading, convolution};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops::global_pooling::GlobalPooling;
use crate::graph::ops::moved_steps::{MovedSteps, Moving};
use crate::graph::ops::pooling::{Pool, Pooling};
use crate::layers::convolution::window::{Padding, Window};

impl<T: Float> Class<T> {
    pub(super) const POOLING: &'static [Self] = &[
        Class::layer("MaxPooling1D", INPUTS, Holds::Nothing, |reading| pooling(reading, Pool::Max))
            .by(convolution::written),
        Class::layer("AveragePooling1D", INPUTS, Holds::Nothing, |reading| pooling(reading, Pool::Average))
            .by(convolution::written),
        Class::layer("GlobalMaxPooling1D", INPUTS, Holds::Nothing, |reading| global(reading, Pool::Max))
            .by(convolution::written),
        Class::layer("GlobalAveragePooling1D", &["inputs", "mask"], Holds::Nothing, |reading| {
            global(reading, Pool::Average)
        })
        .by(convolution::written),
        Class::layer("ZeroPadding1D", INPUTS, Holds::Nothing, |reading| {
            let (before, after) = both(reading, "padding")?;
            let padded = Moving::from(MovedSteps::Padded(before, after));
            // Keras 2 has no channels first here.
            if reading.is_keras2() { Ok(Built::with(padded, 0)) } else { reading.in_format(padded, 0) }
        })
        .by(convolution::written),
        Class::layer("Cropping1D", INPUTS, Holds::Nothing, |reading| {
            let (before, after) = both(reading, "cropping")?;
            Ok(Built::with(Moving::from(MovedSteps::Cropped(before, after)), 0))
        }),
        Class::layer("UpSampling1D", INPUTS, Holds::Nothing, |reading| {
            Ok(Built::with(Moving::from(MovedSteps::Repeated(reading.count("size", 2)?)), 0))
        }),
    ];
}

fn pooling<T: Float>(reading: &Reading<'_, '_>, pool: Pool) -> Found<Built<T>> {
    let size = reading.one("pool_size", (pool == Pool::Max).then_some(2))?;
    let stride = match reading.fields.option("strides", "a whole number, a list of one or null")? {
        Some(json) if !json.is_null() => reading.one("strides", None)?,
        _ => size,
    };
    let padding = reading.padding(&[Padding::Valid, Padding::Same])?;
    let window = Window { size, stride, dilation: 1, padding };
    reading.in_format(Pooling::new(pool, window).map_err(|source| reading.refused(source))?, 0)
}

fn global<T: Float>(reading: &Reading<'_, '_>, pool: Pool) -> Found<Built<T>> {
    // Versions of Keras 2 before 2.6 had no such option.
    let old = reading.is_keras2() && !reading.fields.has("keepdims");
    let keepdims = reading.newer_flag("keepdims", false, old.then_some(false))?;
    reading.in_format(GlobalPooling::new(pool, keepdims), 0)
}

/// Steps at the beginning and at the end: a number for both, or a list of two.
fn both(reading: &Reading<'_, '_>, key: &'static str) -> Found<(usize, usize)> {
    const EXPECTED: &str = "a whole number of at least 0, or a list of two";
    let Some(option) = reading.fields.option(key, EXPECTED)? else { return Ok((1, 1)) };
    let index = |json: &Json<'_>| json.index(EXPECTED);
    match option.is_list() {
        true => match &option.list(EXPECTED)?[..] {
            [before, after] => Ok((index(before)?, index(after)?)),
            _ => Err(option.wrong(EXPECTED)),
        },
        false if reading.fields.has("trainable") => Err(option.wrong("a list of two whole numbers of at least 0")),
        false => index(&option).map(|both| (both, both)),
    }
}
