//! Models with stateful layers in `fit`: their states go on from batch to batch, into validation and the next epoch.

use std::cell::RefCell;
use std::ops::ControlFlow;

use recurrent::model::AnyLayer;
use recurrent::training::{Dataset, Fit, Loss, Sgd};
use recurrent::{Bidirectional, Dense, Gru, Lstm, Model, SeedSource, keras, ops};
use serde_json::Value;

use super::{Ran, compare, features, targets, within};
use crate::check::data::{Element, Outcome, every_case, flag, numbers, text_of};

fn model<T: Element>(name: &str) -> Outcome<Model<T>> {
    let seeds = &mut SeedSource::keras(7);
    let layers: Vec<AnyLayer<T>> = match name {
        "lstm" => vec![AnyLayer::from(Lstm::builder(3, 5).seeds(seeds).build()?).stateful()],
        "gru" => vec![AnyLayer::from(Gru::builder(3, 5).seeds(seeds).build()?).stateful()],
        "deep" => {
            let both = Bidirectional::new(Lstm::builder(3, 3).return_sequences(true).seeds(seeds))?;
            let lstm = Lstm::builder(6, 4).dropout(0.2).seeds(seeds).build()?;
            let drop = ops::Dropout::builder(0.3).seeds(seeds).build()?;
            vec![AnyLayer::from(both).stateful(), AnyLayer::from(lstm).stateful(), drop.into()]
        }
        other => panic!("the run {other}"),
    };
    let width = if name == "deep" { 4 } else { 5 };
    let mut graph = Model::builder("stateful");
    let mut y = vec![graph.input("x", [Some(6), Some(3)])?];
    for (place, layer) in layers.into_iter().enumerate() {
        y = graph.call(&format!("layer_{place}"), layer, &y)?;
    }
    let y = graph.call("dense", Dense::builder(width, 2).seeds(seeds).build()?, &y)?;
    Ok(graph.build(&y)?)
}

fn check<T: Element>(case: &Value) -> Outcome {
    let mut model = match flag(&case["file"]) {
        true => keras::load::<T>(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/training/stateful.keras"))?,
        false => model::<T>(text_of(&case["run"]))?,
    };
    let (x, y) = (features::<T>(), targets::<T>());
    let losses = RefCell::new(Vec::new());
    let mut sum = 0.0;
    let mut fit = Fit::new(Loss::MeanSquaredError, Sgd::new(0.125).momentum(0.5))
        .batch_size(4)
        .epochs(13)
        .validation_split(0.2)
        .reset_states(flag(&case["resets"]))
        .on_update(|update| {
            // Keras logs the mean of the epoch so far.
            sum = if update.batch == 1 { update.loss } else { sum + update.loss };
            losses.borrow_mut().push(sum / update.batch as f64);
            ControlFlow::Continue(())
        });
    let history = fit.run_on(&mut model, &Dataset::new(&x, &y))?;
    let mut state = fit.model_state().ok_or("the states of a stateful model")?.clone();
    let tolerance = if T::DTYPE == "float64" { 1e-8 } else { 1e-4 };
    let ours: Vec<f64> = state.states().iter().flat_map(in_parts).collect();
    let prediction = model.predict_stateful(&mut state, &[(&x.slice(ndarray::s![..4, .., ..])).into()])?.remove(0);
    drop(fit);
    let history = history.names().map(|name| (name.into(), history.get(name).unwrap().to_vec())).collect();
    compare(case, &Ran { losses: losses.into_inner(), history, prediction }, tolerance)?;
    within(
        "the states",
        ndarray::aview1(&ours).into_dyn(),
        &ndarray::Array1::from(numbers::<f64>(&case["states"]["data"])).into_dyn(),
        |a, b| (a - b).abs() <= tolerance * b.abs().max(1.0),
    )
}

/// Keras keeps the parts of a state as arrays of their own.
fn in_parts<T: Element>(state: &recurrent::State<T>) -> Vec<f64> {
    let names: Vec<String> = state.layout().names().map(String::from).collect();
    let part = |name: &String| state.get(name).unwrap().iter().map(|value| value.into_f64()).collect::<Vec<_>>();
    names.iter().flat_map(part).collect()
}

#[test]
fn stateful() {
    every_case("training/stateful", 7, |case| by_dtype!(check, case));
}
