//! Convolutional LSTMs in training, as Keras trains them: with its dropout, gate by gate.

use ndarray::prelude::*;
use recurrent::training::{Dataset, Fit, Loss, Sgd};
use recurrent::{Model, file, keras};
use serde_json::Value;

use super::{compare, features, run_all, targets};
use crate::check::data::{Element, Outcome, every_case, float, text_of};

fn check_run<T: Element>(case: &Value) -> Outcome {
    let (folder, name) = (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/training"), text_of(&case["run"]));
    let model = keras::load::<T>(format!("{folder}/conv_lstm_{name}_{}.keras", T::DTYPE))?;
    // By way of a file of our own: the rates and the seeds are in it.
    let mut model: Model<T> = file::from_bytes(&file::to_bytes(&model)?)?;
    let (x, y) = (features::<T>(), targets::<T>());
    let sgd = Sgd::new(float(&case["rate"])).momentum(0.5);
    let fit = (Fit::new(Loss::MeanSquaredError, sgd).validation_split(0.2).epochs(13), 4);
    let first = x.slice(s![..3, .., ..]);
    let ran = run_all(&mut model, fit, &Dataset::new(&x, &y), |model| model.predict_one(first).unwrap())?;
    compare(case, &ran, if T::DTYPE == "float64" { 1e-8 } else { 1e-4 })
}

#[test]
fn conv_lstm() {
    every_case("training/conv_lstm", 6, |case| by_dtype!(check_run, case));
}
