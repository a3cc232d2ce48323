//! Attention in training, as Keras trains it: weights are dropped, with Keras's masks.

use ndarray::prelude::*;
use recurrent::training::{Dataset, Fit, Loss, Sgd, Tape};
use recurrent::{Error, Gradients, Model, file, keras, ops};
use serde_json::Value;

use super::models::padded;
use super::{compare, features, ids, run_all, targets};
use crate::check::data::{Element, Outcome, every_case, float, text_of};

fn load<T: Element>(name: &str) -> Outcome<Model<T>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/training");
    Ok(keras::load::<T>(format!("{folder}/attention_{name}_{}.keras", T::DTYPE))?)
}

fn check_run<T: Element>(case: &Value) -> Outcome {
    let name = text_of(&case["run"]);
    let model = load::<T>(name)?;
    // By way of a file of our own: the rates and the seeds are in it.
    let mut model: Model<T> = file::from_bytes(&file::to_bytes(&model)?)?;
    let (x, padded, ids, y) = (features::<T>(), padded::<T>(), ids(), targets::<T>());
    let sgd = Sgd::new(float(&case["rate"])).momentum(0.5);
    let fit = (Fit::new(Loss::MeanSquaredError, sgd).validation_split(0.2).epochs(13), 4);
    let x = if name == "heads" { padded } else { x };
    let ran = match name {
        "dot" => run_all(&mut model, fit, &Dataset::new(&ids, &y), |model| {
            model.predict_one(ids.slice(s![..3, ..])).unwrap()
        }),
        _ => run_all(&mut model, fit, &Dataset::new(&x, &y), |model| {
            model.predict_one(x.slice(s![..3, .., ..])).unwrap()
        }),
    }?;
    compare(case, &ran, if T::DTYPE == "float64" { 1e-8 } else { 1e-4 })
}

#[test]
fn attention() {
    every_case("training/attention", 8, |case| by_dtype!(check_run, case));
}

/// One of ours drops what Keras's of the same seed drops: outputs and gradients of one call in training are those of its
/// factors, and none is dropped elsewhere.
#[test]
fn attention_by_hand() -> recurrent::Result<()> {
    let build = |rate: f64| -> recurrent::Result<Model<f64>> {
        let mut graph = Model::builder("one");
        let x = graph.input("x", [None, Some(3)])?;
        let attention = ops::Attention::new().dropout(rate, 21)?.return_scores();
        let y = graph.call("attention", attention, &[x, x])?;
        graph.build(&y)
    };
    let (plain, dropping) = (build(0.0)?, build(0.4)?);
    let x = Array3::from_shape_fn((2, 5, 3), |(b, t, f)| ((b + 2 * t + 3 * f) as f64).sin());
    let (mut seeds, mut tape) = (dropping.seeds(), Tape::new());
    assert_eq!((plain.seeds().states().len(), seeds.states().len()), (0, 1));
    let outputs = dropping.record_training(&[(&x).into()], &mut tape, &mut seeds)?;
    let expected = plain.predict(&[(&x).into()])?;
    assert_eq!(dropping.predict(&[(&x).into()])?, expected);
    let kept = outputs[1].iter().zip(&expected[1]).filter(|&(given, all)| {
        assert!(*given == 0.0 || (given - all / 0.6).abs() < 1e-12, "{given} {all}");
        *given != 0.0
    });
    assert!((20..40).contains(&kept.count()), "of 50 some 30 are kept");
    // The gradient by finite differences, the same weights being dropped each time.
    let sum = |x: &Array3<f64>| -> recurrent::Result<f64> {
        let outputs = dropping.record_training(&[x.into()], &mut Tape::new(), &mut dropping.seeds())?;
        Ok(outputs.iter().flat_map(|output| output.iter()).zip(1..).map(|(y, at)| y * f64::from(at % 7)).sum())
    };
    let mut number = 0;
    let upstream: Vec<ArrayD<f64>> = outputs
        .iter()
        .map(|output| {
            output.mapv(|_| {
                number += 1;
                f64::from(number % 7)
            })
        })
        .collect();
    let mut gradients = Gradients::new(&dropping);
    dropping.backward(&mut tape, &upstream.iter().map(|d| &**d).collect::<Vec<_>>(), &mut gradients)?;
    for (at, &d) in gradients.input_at(0)?.indexed_iter() {
        let moved = |by: f64| {
            let mut x = x.clone();
            x[[at[0], at[1], at[2]]] += by;
            sum(&x)
        };
        let found = (moved(1e-5)? - moved(-1e-5)?) / 2e-5;
        assert!((found - d).abs() < 1e-7, "{at:?}: {found} {d}");
    }
    assert!(matches!(build(1.5), Err(Error::DropoutRate { option: "dropout", .. })));
    Ok(())
}
