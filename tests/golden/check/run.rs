//! Sets a layer's weights and states from a case, runs it, and compares what it returns.

use ndarray::ArrayD;
use recurrent::{Layer, Output, Run, SeedSource, State};
use serde_json::Value;

use super::build::{Boxed, build};
use super::data::{Element, Outcome, array, close, list, mask, matrix, sequence, size, text_of};

/// The layer of a case, with the case's weights.
pub fn layer<T: Element>(case: &Value) -> Outcome<Boxed<T>> {
    let mut layer = build(&case["layer"], &mut SeedSource::random()?)?;
    set_weights(&mut *layer, &weights(&case["weights"]))?;
    Ok(layer)
}

/// Named arrays, in order.
pub fn weights<T: Element>(list_of_weights: &Value) -> Vec<(&str, ArrayD<T>)> {
    list(list_of_weights).iter().map(|weight| (text_of(&weight["name"]), array(&weight["array"]))).collect()
}

/// Sets all weights, whose names must be Keras's, in Keras's order.
pub fn set_weights<T: Element>(layer: &mut dyn Layer<T>, weights: &[(&str, ArrayD<T>)]) -> Outcome {
    let ours: Vec<_> = layer.weights().into_iter().map(|(name, _)| name).collect();
    same_names(ours.iter().map(String::as_str), weights.iter().map(|(name, _)| *name))?;
    let views: Vec<_> = weights.iter().map(|(name, array)| (*name, array.view())).collect();
    Ok(layer.set_weights(&views)?)
}

pub fn same_names<'a>(ours: impl Iterator<Item = &'a str>, keras: impl Iterator<Item = &'a str>) -> Outcome {
    let (ours, keras): (Vec<_>, Vec<_>) = (ours.collect(), keras.collect());
    if ours == keras { Ok(()) } else { Err(format!("names {ours:?}, Keras's are {keras:?}").into()) }
}

/// An initial state from a list of named arrays, which must be all of the layer's; `None` for null.
pub fn state<T: Element>(layer: &dyn Layer<T>, parts: &Value) -> Outcome<Option<State<T>>> {
    if parts.is_null() {
        return Ok(None);
    }
    let parts = weights::<T>(parts);
    let mut state = layer.initial_state(parts[0].1.shape()[0]);
    same_names(state.names(), parts.iter().map(|(name, _)| *name))?;
    for (name, part) in parts {
        state.set(name, &part.into_dimensionality()?)?;
    }
    Ok(Some(state))
}

/// Checks that a state has Keras's parts, in Keras's order, with Keras's numbers.
pub fn close_state<T: Element>(ours: &State<T>, parts: &Value) -> Outcome {
    let parts = weights::<T>(parts);
    same_names(ours.names(), parts.iter().map(|(name, _)| *name))?;
    parts.iter().try_for_each(|(name, part)| close(&format!("state {name}"), ours.get(name)?, part))
}

/// The inputs of a call: `{"input", "mask", "initial_state"}`.
pub struct Call<T> {
    pub x: ndarray::Array3<T>,
    mask: Option<ndarray::Array2<bool>>,
    initial_state: Option<State<T>>,
}

impl<T: Element> Call<T> {
    pub fn of(layer: &dyn Layer<T>, call: &Value) -> Outcome<Self> {
        let initial_state = state(layer, &call["initial_state"])?;
        Ok(Call { x: sequence(&call["input"]), mask: mask(&call["mask"]), initial_state })
    }

    /// The options of the call.
    pub fn options(&self) -> Run<'_, T> {
        self.with_state().mask_if(self.mask.as_ref())
    }

    /// The options without the mask.
    pub fn with_state(&self) -> Run<'_, T> {
        self.initial_state.iter().fold(Run::new(), Run::initial_state)
    }
}

/// Runs a case and checks what comes back. A mask of padding is given in both forms, as a mask and as lengths.
pub fn run_and_check<T: Element>(case: &Value) -> Outcome {
    let layer = layer::<T>(case)?;
    let call = Call::of(&*layer, case)?;
    check_output(&layer.run(&call.x, call.options())?, case)?;
    if let Some(lengths) = case["lengths"].as_array() {
        let lengths: Vec<_> = lengths.iter().map(size).collect();
        let output = layer.run(&call.x, call.with_state().lengths(&lengths))?;
        check_output(&output, case).map_err(|error| format!("with lengths: {error}"))?;
    }
    Ok(())
}

/// Output, backward output and states: what is null must not be there.
pub fn check_output<T: Element>(output: &Output<T>, keras: &Value) -> Outcome {
    check_one("output", output, &keras["output"])?;
    match (output.backward(), &keras["output_backward"]) {
        (Err(_), Value::Null) => {}
        (Err(error), _) => return Err(error.into()),
        (Ok(_), Value::Null) => return Err("a backward output, which Keras hasn't got".into()),
        (Ok(backward), keras) => check_one("output_backward", backward, keras)?,
    }
    match (output.state(), &keras["states"]) {
        (Err(_), Value::Null) => Ok(()),
        (Err(error), _) => Err(error.into()),
        (Ok(_), Value::Null) => Err("a state, which Keras hasn't got".into()),
        (Ok(state), keras) => close_state(state, keras),
    }
}

/// The sequence if there is one, else the last output.
pub fn check_one<T: Element>(what: &str, output: &Output<T>, keras: &Value) -> Outcome {
    match output.sequence() {
        Ok(ours) => close(what, ours.view(), &array(keras)),
        Err(_) => close(what, output.last().view(), &matrix(keras).into_dyn()),
    }
}
