//! Activations: by name, as objects, as layers.

use serde_json::json;

use super::super::description::Described;
use super::super::json::Json;
use super::super::words::{Said, Unsaid};
use super::{Built, Class, Holds, INPUTS, Reader, Reading, options};
use crate::activation::Activation;
use crate::config::Value;
use crate::error::Error;
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::ops::prelu::PRelu;
use crate::graph::ops::softmax::Softmax;

impl<T: Float> Class<T> {
    pub(super) const ACTIVATIONS: &'static [Self] = &[
        Class::layer("Activation", INPUTS, Holds::Nothing, |reading| {
            Ok(Built::with(reading.needed_activation::<T>("activation")?, 0))
        }),
        Class::layer("ReLU", INPUTS, Holds::Nothing, |reading| of_layer(reading, relu)).by(|said| {
            said.parameters(
                "relu",
                &[("negative_slope", json!(0.0)), ("max_value", json!(null)), ("threshold", json!(0.0))],
            )
        }),
        Class::layer("LeakyReLU", INPUTS, Holds::Nothing, |reading| of_layer(reading, leaky_relu))
            .by(|said| said.parameters("leaky_relu", &[("negative_slope", json!(0.2))])),
        Class::layer("ELU", INPUTS, Holds::Nothing, |reading| of_layer(reading, elu))
            .by(|said| said.parameters("elu", &[("alpha", json!(1.0))])),
        Class::layer("ThresholdedReLU", INPUTS, Holds::Nothing, |reading| of_layer(reading, thresholded_relu))
            // Keras 3 hasn't got it.
            .by(|said| Err(said.unsaid("activation"))),
        Class::layer("Softmax", &["inputs", "mask"], Holds::Nothing, softmax).without(&["masks"]),
        Class::layer("PReLU", INPUTS, Holds::Weights(|_| Ok(vec!["alpha"])), prelu).by(of_prelu),
    ];
}

/// A layer that is an activation.
fn of_layer<T: Float>(reading: &Reading<'_, '_>, read: fn(&Reading<'_, '_>) -> Found<Activation>) -> Found<Built<T>> {
    let activation = read(reading)?;
    activation.validate().map_err(|source| reading.refused(source))?;
    Ok(Built::with(activation, 0))
}

fn relu(reading: &Reading<'_, '_>) -> Found<Activation> {
    let fields = reading.fields;
    let max_value = fields.option("max_value", "a number or null")?.and_then(Json::given);
    let max_value = max_value.map(|json| json.number()).transpose()?;
    // Old versions had neither.
    let number = |key| if reading.is_old() { fields.number_or(key, 0.0) } else { fields.default_number(key, 0.0) };
    let (negative_slope, threshold) = (number("negative_slope")?, number("threshold")?);
    Ok(match (negative_slope == 0.0, max_value, threshold == 0.0) {
        (true, None, true) => Activation::Relu,
        _ => Activation::ReluWith { negative_slope, max_value, threshold },
    })
}

fn leaky_relu(reading: &Reading<'_, '_>) -> Found<Activation> {
    // Its name in Keras 2.
    let key = if reading.fields.has("alpha") { "alpha" } else { "negative_slope" };
    Ok(Activation::LeakyRelu { negative_slope: reading.fields.default_number(key, 0.3)? })
}

fn elu(reading: &Reading<'_, '_>) -> Found<Activation> {
    Ok(Activation::Elu { alpha: reading.fields.default_number("alpha", 1.0)? })
}

fn thresholded_relu(reading: &Reading<'_, '_>) -> Found<Activation> {
    Ok(Activation::Threshold { threshold: reading.fields.default_number("theta", 1.0)?, default_value: 0.0 })
}

fn softmax<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let axis = reading.axis()?;
    Ok(Built::with(Softmax { axis, masks: reading.reader.version.softmax_mask() }, 0))
}

fn prelu<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    reading.made_with(&["alpha"])?;
    // The shape of the weight tells which they are.
    reading
        .fields
        .loose(&["shared_axes"], "whole numbers or null", |json| json.is_null() || json.integers().is_ok())?;
    let weights = reading.tensors(reading.place, &["alpha"])?;
    let count = options::count(&weights);
    Ok(Built::with(PRelu(weights[0].array.as_standard_layout().into_owned()), count))
}

/// Axes of one weight are shared, or as long as that.
fn of_prelu(said: &mut Said<'_>) -> Result<(), Unsaid> {
    let shared: Vec<usize> = match said.get("shape") {
        Some(Value::List(shape)) => {
            (1..).zip(shape).filter(|(_, size)| **size == 1_usize.into()).map(|(at, _)| at).collect()
        }
        _ => vec![],
    };
    said.write("shared_axes", if shared.is_empty() { json!(null) } else { json!(shared) });
    Ok(())
}

impl Reading<'_, '_> {
    /// An activation by name, or the layer that stands in its place.
    pub(super) fn activation<T: Float>(&self, key: &'static str, default: Activation) -> Found<Activation> {
        match self.fields.option(key, "an activation")? {
            Some(_) => self.needed_activation::<T>(key),
            None => Ok(default),
        }
    }

    /// An activation that has no default.
    pub(super) fn needed_activation<T: Float>(&self, key: &'static str) -> Found<Activation> {
        let value = self.fields.need(key, "an activation")?;
        // By hand, `None` is linear; Keras writes its name.
        if value.is_null() && self.fields.has("trainable") {
            return Err(value.wrong("an activation: \"linear\" is none"));
        }
        let activation = self.reader.activation::<T>(&value, self.depth)?;
        activation.validate().map_err(|source| self.refused(source))?;
        Ok(activation)
    }
}

impl Reader<'_, '_> {
    fn activation<T: Float>(&self, value: &Json<'_>, depth: usize) -> Found<Activation> {
        if value.is_null() {
            return Ok(Activation::Linear);
        }
        let refused = |source: Error| Problem::Layer { layer: value.layer().into(), source };
        let by_name = |name: &str| self.version.activation(name).map_err(refused);
        if value.is_text() {
            return by_name(value.text("an activation")?);
        }
        if !value.is_object() {
            return Err(value.wrong("an activation"));
        }
        let object = Described::read(value, value.layer())?;
        let class = object.identity.keras(value.layer())?;
        if object.calls.is_some() {
            return Err(value.wrong("an activation"));
        }
        if class == "function" {
            return by_name(object.config.text("a function's name")?);
        }
        let place = super::Place::Group(String::new());
        self.open::<T, _>(&object, &place, depth + 1, |reading| match class {
            "Activation" => reading.needed_activation::<T>("activation"),
            "ReLU" => relu(reading),
            "LeakyReLU" => leaky_relu(reading),
            "ELU" => elu(reading),
            "ThresholdedReLU" => thresholded_relu(reading),
            "Softmax" => {
                let axis = reading.fields.option("axis", "a whole number")?;
                axis.map_or(Ok(()), |axis| axis.only(&json!(-1), "the last axis is supported"))?;
                Ok(Activation::Softmax)
            }
            _ => Err(value.unsupported("an activation or a layer of one is supported")),
        })
    }
}
