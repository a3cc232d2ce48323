//! Layers that move elements: Flatten, Reshape, Permute, RepeatVector.

use serde_json::json;

use super::{Built, Class, Holds, INPUTS, Reading};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops::shapes::{Flatten, Permute, RepeatVector, Reshape};

impl<T: Float> Class<T> {
    pub(super) const SHAPES: &'static [Self] = &[
        Class::layer("Flatten", INPUTS, Holds::Nothing, flatten),
        Class::layer("Reshape", INPUTS, Holds::Nothing, reshape),
        Class::layer("Permute", INPUTS, Holds::Nothing, permute),
        Class::layer("RepeatVector", INPUTS, Holds::Nothing, |reading| {
            Ok(Built::with(RepeatVector(reading.size("n")?), 0))
        }),
    ];
}

fn flatten<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    // The first versions had no such option, and no other way.
    reading.fields.only("data_format", &json!("channels_last"), "only channels_last is supported")?;
    Ok(Built::with(Flatten, 0))
}

fn reshape<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let option = reading.fields.need("target_shape", "sizes")?;
    let target = option.integers()?;
    let open = target.iter().filter(|&&size| size == -1).count();
    if open > 1 || target.iter().any(|&size| size < -1) || !option.is_list() {
        return Err(option.wrong("sizes, one of which may be -1"));
    }
    Ok(Built::with(Reshape(target.iter().map(|&size| usize::try_from(size).ok()).collect()), 0))
}

fn permute<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let option = reading.fields.need("dims", "each of 1, 2, .. once")?;
    let wrong = || option.wrong("each of 1, 2, .. once");
    let dims = option.integers()?;
    let dims: Vec<usize> = dims.iter().map(|&dim| usize::try_from(dim).map_err(|_| wrong())).collect::<Found<_>>()?;
    let mut sorted = dims.clone();
    sorted.sort_unstable();
    if sorted.is_empty() || !option.is_list() || sorted.iter().enumerate().any(|(i, &dim)| dim != i + 1) {
        return Err(wrong());
    }
    Ok(Built::with(Permute(dims), 0))
}
