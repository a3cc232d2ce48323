//! What a layer or a model gives here for an example.

use ndarray::{Array2, Array3, ArrayD};

use super::{Example, floats, initial};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::formats::safetensors::Values;
use crate::graph::{Input, Model, Watch};
use crate::layers::Layer;
use crate::layers::embedding::Embedding;
use crate::layers::quantized_embedding::QuantizedEmbedding;
use crate::output::Output;
use crate::runner::run::Run;

/// A layer's outputs: see [`Example`].
pub(crate) fn of_layer<T: Float>(layer: &dyn Layer<T>, example: &Example<T>) -> Result<Vec<ArrayD<T>>> {
    let x = input(example)?;
    let mut state = layer.try_initial_state(x.dim().0)?;
    if example.initial.len() > 1 {
        let given = format!("{} arrays", example.initial.len());
        return Err(Error::StateLayout { expected: "one array, the state's values".into(), given });
    }
    let mut run = Run::new();
    if !example.initial.is_empty() {
        if !initial(example, &mut state) {
            let given = example.initial.iter().map(|values| format!("{:?}", values.shape())).collect();
            return Err(Error::StateLayout { expected: format!("{:?}", state.values().shape()), given });
        }
        run = run.initial_state(&state);
    }
    let lengths = example.lengths.as_ref().map(|lengths| lengths.to_vec());
    if let Some(lengths) = &lengths {
        run = run.lengths(lengths);
    }
    let output = layer.run(&x, run)?;
    let mut outputs = Vec::new();
    push(&output, &mut outputs);
    if let Ok(state) = output.state() {
        outputs.push(state.values().to_owned().into_dyn());
    }
    Ok(outputs)
}

/// The one input of a layer.
pub(super) fn input<T: Float>(example: &Example<T>) -> Result<Array3<T>> {
    let [input] = &example.inputs[..] else {
        return Err(Error::ModelInputs { expected: 1, given: example.inputs.len() });
    };
    let x = floats(input.clone());
    let refused = rank("(batch, timesteps, features)", &x);
    x.into_dimensionality().map_err(|_| refused)
}

/// The sequence or the last output, of both directions where they aren't merged.
fn push<T: Float>(output: &Output<T>, outputs: &mut Vec<ArrayD<T>>) {
    outputs.push(match output.sequence() {
        Ok(sequence) => sequence.clone().into_dyn(),
        Err(_) => output.last().clone().into_dyn(),
    });
    if let Ok(backward) = output.backward() {
        push(backward, outputs);
    }
}

/// An embedding's vectors.
pub(crate) fn of_embedding<T: Float>(table: &Embedding<T>, example: &Example<T>) -> Result<Vec<ArrayD<T>>> {
    Ok(vec![table.forward(&ids(example)?)?.0.into_dyn()])
}

/// The same of a table in fewer bits.
pub(crate) fn of_quantized_embedding(table: &QuantizedEmbedding, example: &Example<f32>) -> Result<Vec<ArrayD<f32>>> {
    Ok(vec![table.forward(&ids(example)?)?.0.into_dyn()])
}

fn ids<T: Float>(example: &Example<T>) -> Result<Array2<i64>> {
    without_a_state(example)?;
    let ids = match &example.inputs[..] {
        [Values::Integers(ids)] => ids.clone(),
        [other] => floats(other.clone()).mapv(|id| id.into_f64() as i64),
        inputs => return Err(Error::ModelInputs { expected: 1, given: inputs.len() }),
    };
    let refused = rank("(batch, timesteps)", &ids);
    ids.into_dimensionality().map_err(|_| refused)
}

/// A model's outputs.
pub(crate) fn of_model<T: Float>(
    model: &Model<T>,
    example: &Example<T>,
    watch: Option<Watch<'_, T>>,
) -> Result<Vec<ArrayD<T>>> {
    without_a_state(example)?;
    let inputs: Vec<Input<'_, T>> = example
        .inputs
        .iter()
        .map(|input| match input {
            Values::Floats(array) => array.into(),
            Values::Integers(array) => array.into(),
            Values::Flags(array) => array.into(),
        })
        .collect();
    model.predict_watched(&inputs, watch)
}

/// Lengths and initial states are a layer's: a model has inputs for them.
fn without_a_state<T>(example: &Example<T>) -> Result<()> {
    match example.lengths.is_none() && example.initial.is_empty() {
        true => Ok(()),
        false => Err(Error::NotRequested { what: "state", hint: "lengths and an initial state are of a layer" }),
    }
}

fn rank<E>(expected: &str, given: &ArrayD<E>) -> Error {
    let (layer, given) = (String::new(), format!("{:?}", given.shape()));
    Error::ModelCall { layer, expected: expected.into(), given }
}
