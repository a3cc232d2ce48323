//! A model with numbers for its inputs, as a file and what it gives.

use ndarray::prelude::*;
use recurrent::model::Input;
use recurrent::{Float, Model, Result, onnx};
use serde_json::{Value, json};

/// A model's file, and what it computes.
pub struct Case {
    pub name: String,
    pub written: std::result::Result<Vec<u8>, String>,
    /// Names and numbers, each with its shape.
    pub inputs: Vec<(String, ArrayD<f64>)>,
    pub outputs: Vec<(String, ArrayD<f64>)>,
    /// The same by the file that is read again, or why it isn't.
    pub again: std::result::Result<Vec<ArrayD<f64>>, String>,
    /// Of a model in fewer bits.
    pub quantized: Option<Quantized>,
}

/// What is expected of a model in fewer bits, which ONNX Runtime computes in another way.
pub struct Quantized {
    /// The outputs of what is read again.
    pub read: Vec<(String, ArrayD<f64>)>,
    /// Those of the model of floats that has the weights that the bytes mean.
    pub meant: Vec<(String, ArrayD<f64>)>,
    /// Whether ONNX Runtime rounds what the weights are multiplied with.
    pub rounds: bool,
}

/// The numbers of one input.
#[derive(Clone)]
pub enum Given {
    Floats(ArrayD<f64>),
    Ids(ArrayD<i64>),
}

impl Case {
    /// Writes a model, and runs both it and what is read again.
    pub fn new<T: Float>(name: &str, model: &Model<T>, inputs: &[Given]) -> Self {
        Case::of(name, model, inputs).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The same, or why the model can't run.
    pub fn of<T: Float>(name: &str, model: &Model<T>, inputs: &[Given]) -> Result<Self> {
        let floats: Vec<Option<ArrayD<T>>> = inputs
            .iter()
            .map(|given| if let Given::Floats(array) = given { Some(array.mapv(T::from_f64)) } else { None })
            .collect();
        let arrays: Vec<Input<'_, T>> = inputs
            .iter()
            .zip(&floats)
            .map(|(given, floats)| match (given, floats) {
                (_, Some(floats)) => floats.into(),
                (Given::Ids(ids), _) => ids.into(),
                _ => unreachable!("floats were converted"),
            })
            .collect();
        let outputs = model.predict(&arrays)?;
        let wide = |outputs: Vec<ArrayD<T>>| outputs.iter().map(|output| output.mapv(Float::into_f64)).collect();
        let written = onnx::to_bytes(model).map_err(|error| error.to_string());
        let again = written.clone().and_then(|bytes| {
            let file = onnx::File::from_bytes(name, bytes, &onnx::Limits::new()).map_err(|error| error.to_string())?;
            let again = file.model::<T>().map_err(|error| error.to_string())?;
            again.predict(&arrays).map(wide).map_err(|error| error.to_string())
        });
        let numbers = |given: &Given| match given {
            Given::Floats(array) => array.clone(),
            Given::Ids(ids) => ids.mapv(|id| id as f64),
        };
        Ok(Case {
            name: name.into(),
            written,
            inputs: model.inputs().zip(inputs).map(|((name, _), given)| (name.into(), numbers(given))).collect(),
            outputs: model.outputs().map(|(name, _)| name.to_string()).zip(wide(outputs)).collect(),
            again,
            quantized: None,
        })
    }

    /// What goes in and comes out.
    pub fn numbers(&self) -> Value {
        let all = |arrays: &[(String, ArrayD<f64>)]| -> Value {
            let one = |(name, array): &(String, ArrayD<f64>)| {
                // JSON has no NaN.
                let numbers: Vec<Value> =
                    array.iter().map(|x| if x.is_finite() { json!(x) } else { json!(x.to_string()) }).collect();
                json!([name, array.shape(), numbers])
            };
            arrays.iter().map(one).collect()
        };
        let mut numbers = json!({"inputs": all(&self.inputs), "outputs": all(&self.outputs)});
        if let Some(quantized) = &self.quantized {
            numbers["meant"] = all(&quantized.meant);
            numbers["rounds"] = quantized.rounds.into();
        }
        numbers
    }
}

/// With weights that don't depend on how seeds become numbers.
pub fn weighed<T: Float>(mut model: Model<T>) -> Model<T> {
    let weights: Vec<(String, ArrayD<T>)> = model
        .weights()
        .into_iter()
        .enumerate()
        .map(|(i, (name, weight))| {
            let mut at = 11 * i;
            let numbers = ArrayD::from_shape_simple_fn(weight.shape(), || {
                at = (at * 7 + 5) % 61;
                at as f64 / 61.0 - 0.4375
            });
            // A variance isn't negative.
            let variance = name.ends_with("variance");
            (name, numbers.mapv(|number| T::from_f64(if variance { number.abs() + 0.25 } else { number })))
        })
        .collect();
    let views: Vec<_> = weights.iter().map(|(name, weight)| (&**name, weight.view())).collect();
    model.set_weights(&views).expect("all of them");
    model
}

/// Numbers of a shape, some below zero.
pub fn floats(shape: &[usize]) -> Given {
    let mut at = 3;
    Given::Floats(ArrayD::from_shape_simple_fn(shape, || {
        at = (at * 5 + 17) % 97;
        at as f64 / 32.0 - 1.5
    }))
}

/// Ids from 0 on.
pub fn ids(shape: &[usize], most: i64) -> Given {
    let mut at = 1;
    Given::Ids(ArrayD::from_shape_simple_fn(shape, || {
        at = (at * 11 + 5) % 31;
        at % (most + 1)
    }))
}
