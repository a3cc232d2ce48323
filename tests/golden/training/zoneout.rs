//! Zoneout around built-in cells: the equations around Keras's cells, with the masks that are drawn here.

use ndarray::prelude::*;
use recurrent::cell::Zoneout;
use recurrent::training::Tape;
use recurrent::{Cell, Gradients, Gru, Layer, Lstm, OutputGradient, Recurrent, Run, SimpleRnn};
use serde_json::Value;

use super::near;
use crate::check::data::{Element, Outcome, array, every_case, flag, float, list, text_of};

fn of_cell<T: Element, C: Cell<Elem = T>>(case: &Value, cell: C) -> Outcome {
    let rates = list(&case["rates"]);
    let seed = case["seed"].as_i64().ok_or("a seed")?;
    let cell = Zoneout::new(cell, float(&rates[0]), float(&rates[1]), seed)?;
    let mut layer = Recurrent::from_cell(cell).return_sequences(true).return_state(true);
    let names: Vec<String> = layer.weights().into_iter().map(|(name, _)| name.to_string()).collect();
    let weights: Vec<ArrayD<T>> = list(&case["weights"]).iter().map(|weight| array(&weight["values"])).collect();
    let by_name = |(name, weight): (&String, &ArrayD<T>)| -> Outcome<(String, ArrayD<T>)> {
        let shape = layer.weight(name)?.shape().to_vec();
        Ok((name.clone(), weight.to_shape(shape)?.to_owned()))
    };
    let weights: Vec<_> = names.iter().zip(&weights).map(by_name).collect::<Result<_, _>>()?;
    let views: Vec<_> = weights.iter().map(|(name, weight)| (&name[..], weight.view())).collect();
    layer.set_weights(&views)?;
    let x = array::<T>(&case["x"]).into_dimensionality::<Ix3>()?;
    let parts: Vec<String> = layer.state_layout().names().map(String::from).collect();
    let (mut initial, mut d_state) = (layer.initial_state(x.dim().0), layer.initial_state(x.dim().0));
    let upstream = list(&case["upstream"]);
    for (at, name) in parts.iter().enumerate() {
        let part = |value: &Value| array::<T>(value).into_dimensionality::<Ix2>();
        initial.set(name, &part(&case["initial"][at])?)?;
        d_state.set(name, &part(&upstream[at + 1])?)?;
    }
    let (mut tape, mut seeds, mut gradients) = (Tape::new(), layer.seeds(), Gradients::new(&layer));
    let mut run = Run::new().initial_state(&initial).record(&mut tape);
    if flag(&case["training"]) {
        run = run.training(&mut seeds);
    }
    let output = layer.run(&x, run)?;
    let tolerance = if T::DTYPE == "float64" { 1e-12 } else { 2e-6 };
    near("the outputs", output.sequence()?.view(), &array(&case["outputs"]), tolerance)?;
    for (name, theirs) in parts.iter().zip(list(&case["states"])) {
        near(name, output.state()?.get(name)?, &array(theirs), tolerance)?;
    }
    let d_sequence = array::<T>(&upstream[0]).into_dimensionality::<Ix3>()?;
    let d = OutputGradient::new().sequence(&d_sequence).state(&d_state);
    layer.backward(&mut tape, d, &mut gradients)?;
    let mut theirs = list(&case["gradients"]).iter().map(array::<T>);
    for name in &names {
        let theirs = theirs.next().ok_or("a gradient")?;
        let own = gradients.get(name)?;
        near(name, own.view(), &theirs.to_shape(own.shape())?.to_owned(), 4.0 * tolerance)?;
    }
    near("x", gradients.input()?.view(), &theirs.next().ok_or("a gradient")?, 4.0 * tolerance)?;
    for name in &parts {
        near(name, gradients.initial_state().get(name)?, &theirs.next().ok_or("a gradient")?, 4.0 * tolerance)?;
    }
    Ok(())
}

fn check<T: Element>(case: &Value) -> Outcome {
    match text_of(&case["cell"]) {
        "LSTM" => of_cell(case, Lstm::<T>::builder(2, 4).build_cell()?),
        "GRU" => of_cell(case, Gru::<T>::builder(2, 4).build_cell()?),
        "GRU before" => of_cell(case, Gru::<T>::builder(2, 4).reset_after(false).build_cell()?),
        "SimpleRNN" => of_cell(case, SimpleRnn::<T>::builder(2, 4).build_cell()?),
        other => panic!("the cell {other}"),
    }
}

#[test]
fn zoneout() {
    every_case("training/zoneout", 28, |case| by_dtype!(check, case));
}
