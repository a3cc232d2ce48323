//! Rescaling, Normalization and UnitNormalization.

use ndarray::ArrayD;
use serde_json::json;

use super::super::json::{Fields, Json};
use super::super::weights::Weight;
use super::super::words::constants::numbers;
use super::super::words::{Said, Unsaid};
use super::arguments::constant;
use super::{Built, Class, Holds, INPUTS, Reading, options};
use crate::config::{Config, Value};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops::contract::Unit;
use crate::graph::ops::preprocessing::{Rescaling, Standardization};
use crate::graph::ops::unit::UnitNormalization;

impl<T: Float> Class<T> {
    pub(super) const PREPROCESSING: &'static [Self] = &[
        Class::layer("Rescaling", INPUTS, Holds::Nothing, rescaling).by(of_rescaling),
        Class::layer("Normalization", INPUTS, Holds::Weights(statistics), normalization).by(of_normalization),
        Class::layer("UnitNormalization", INPUTS, Holds::Nothing, |reading| {
            let axes = reading.fields.option("axis", "whole numbers")?.map_or(Ok(vec![-1]), |axes| axes.integers())?;
            // Keras 2's is TensorFlow's.
            let least = if reading.is_keras2() { Unit::TENSORFLOW } else { Unit::LAYER };
            Ok(Built::with(UnitNormalization { axes, least }, 0))
        })
        .by(|said| {
            // Keras 2's has another least length, of 10^-6.
            said.axis("axis");
            Ok(())
        }),
    ];
}

fn of_rescaling(said: &mut Said<'_>) -> Result<(), Unsaid> {
    for name in ["scale", "offset"] {
        let numbers = numbers(name, said.get(name).unwrap_or(&Value::Null), said.around.dtype)?;
        said.write(name, numbers);
    }
    Ok(())
}

fn of_normalization(said: &mut Said<'_>) -> Result<(), Unsaid> {
    said.same("axis")?;
    said.same("invert")?;
    let shape = said.get("shape").cloned().unwrap_or(Value::Null);
    for name in ["mean", "variance"] {
        let numbers = match said.get(name) {
            Some(given @ Value::List(_)) => {
                let array = Config::new("Constant").with("kind", "float").with("shape", shape.clone());
                numbers(name, &array.with("numbers", given.clone()).into(), said.around.dtype)?
            }
            _ => json!(null),
        };
        said.write(name, numbers);
    }
    Ok(())
}

fn rescaling<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let scale = constant(&reading.fields.need("scale", "a number or an array")?)?;
    let offset = reading.fields.option("offset", "a number or an array")?;
    let offset = offset.map(|offset| constant(&offset)).transpose()?;
    Ok(Built::with(Rescaling { scale, offset: offset.unwrap_or_default() }, 0))
}

/// What the data told, if no mean was given.
fn statistics(fields: &Fields<'_>) -> Found<Vec<&'static str>> {
    let given = fields.take("mean").and_then(Json::given);
    Ok(if given.is_some() { vec![] } else { vec!["mean", "variance", "count"] })
}

fn normalization<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let fields = reading.fields;
    let mut axes = fields
        .option("axis", "whole numbers or null")?
        .map_or(Ok(vec![-1]), |axes| axes.given().map_or(Ok(vec![]), |axes| axes.integers()))?;
    axes.sort_unstable();
    let invert = fields.flag_or("invert", false)?;
    let given = |name: &'static str| -> Found<Option<ArrayD<T>>> {
        let Some(json) = fields.take(name).and_then(Json::given) else { return Ok(None) };
        Ok(Some(constant::<T>(&json)?.into_floats()))
    };
    match (given("mean")?, given("variance")?) {
        (Some(mean), Some(variance)) => {
            Ok(Built::with(Standardization { axes, mean, variance, count: None, invert }, 0))
        }
        (None, None) => {
            let weights: Vec<Weight<T>> = reading.tensors(reading.place, &statistics(fields)?)?;
            let non_trainable = options::count(&weights);
            let mut arrays = weights.iter().map(|weight| weight.array.as_standard_layout().into_owned());
            let (mean, variance) = (arrays.next().unwrap_or_default(), arrays.next().unwrap_or_default());
            if let [mean, variance, count] = &weights[..] {
                reading.expect_shape(variance, mean.array.shape())?;
                reading.expect_shape(count, &[])?;
            }
            let layer = Standardization { axes, mean, variance, count: arrays.next(), invert };
            Ok(Built { non_trainable, ..Built::with(layer, 0) })
        }
        _ => Err(fields.absent("variance", "both a mean and a variance, or neither")),
    }
}
