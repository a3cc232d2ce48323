//! Regularizers and constraints that files of Keras say: training here with them is Keras's (`keras_models/rules.py`).

use ndarray::prelude::*;
use recurrent::training::{Fit, Loss, Sgd};
use recurrent::{Gradients, keras};
use serde_json::Value;

use crate::check::data::{Outcome, array, every_case, float, list, text_of, within};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/keras_models");

fn near(what: &str, ours: ArrayViewD<'_, f32>, theirs: &ArrayD<f32>) -> Outcome {
    within(what, ours, theirs, |a, b| (a - b).abs() <= 1e-4 * b.abs().max(0.1))
}

fn run(case: &Value) -> Outcome {
    let name = text_of(&case["name"]);
    let mut model = keras::load::<f32>(format!("{FOLDER}/rules/{name}.keras"))?;
    let rules = keras::weight_rules(&model)?;
    let penalty = rules.regularize(&model, &mut Gradients::new(&model))?;
    let theirs = float(&case["penalty"]) as f32;
    near("penalty", arr0(penalty).view().into_dyn(), &arr0(theirs).into_dyn())?;
    let target = array::<f32>(&case["target"]).into_dimensionality::<Ix2>()?;
    let mut fit = Fit::new(Loss::MeanSquaredError, Sgd::new(0.2)).weight_rules(rules).batch_size(7);
    fit = fit.epochs(list(&case["losses"]).len());
    let x = array::<f32>(&case["input"]);
    let history = match x.ndim() {
        2 => fit.run(&mut model, &x.mapv(|id| id as i32).into_dimensionality::<Ix2>()?, &target)?,
        _ => fit.run(&mut model, &x.into_dimensionality::<Ix3>()?, &target)?,
    };
    let losses = history.get("loss")?;
    for (epoch, (ours, theirs)) in losses.iter().zip(list(&case["losses"])).enumerate() {
        near(&format!("loss {epoch}"), arr0(*ours as f32).view().into_dyn(), &arr0(float(theirs) as f32).into_dyn())?;
    }
    // By the weights' shapes, in any order: Keras's isn't ours where a class has several.
    let mut ours: Vec<(String, ArrayD<f32>)> =
        model.weights().into_iter().map(|(path, weight)| (path, weight.to_owned())).collect();
    for theirs in list(&case["trained"]) {
        let theirs_data = array::<f32>(theirs);
        let is_it = |(_, ours): &(String, ArrayD<f32>)| {
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * b.abs().max(0.1);
            ours.shape() == theirs_data.shape() && ours.iter().zip(&theirs_data).all(close)
        };
        let at = ours.iter().position(is_it).ok_or_else(|| format!("no weight is {}", text_of(&theirs["path"])))?;
        ours.swap_remove(at);
    }
    Ok(())
}

#[test]
fn rules_of_files() {
    every_case("keras_models/rules", 4, run);
}
