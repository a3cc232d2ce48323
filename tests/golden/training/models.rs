//! Whole models in training, as Keras trains them: dropout, batch normalization, their files.

use ndarray::prelude::*;
use recurrent::model::AnyLayer;
use recurrent::training::{Dataset, Fit, Loss, Sgd, Tape};
use recurrent::{
    Activation, Bidirectional, Conv1D, Dense, Embedding, Gradients, Gru, Lstm, Masking, Model, SeedSource, Sequential,
    SimpleRnn, keras, ops,
};
use serde_json::Value;

use super::{compare, features, ids, near, run_all, targets};
use crate::check::data::{Element, Outcome, array, every_case, flag, float, list, text_of};

pub(super) fn padded<T: Element>() -> Array3<T> {
    let mut x = features::<T>();
    let step = T::from_f64(1.0 / 16.0);
    x.indexed_iter_mut().for_each(|((b, t, _), x)| *x = if t < 2 + b % 5 { *x + step } else { T::zero() });
    x
}

fn text<T: Element>(seeds: &mut SeedSource) -> Outcome<Model<T>> {
    // In the order in which the script makes them.
    let lstm = Lstm::builder(4, 5).dropout(0.2).recurrent_dropout(0.1).seeds(seeds).build()?;
    let drop = ops::Dropout::builder(0.3).seeds(seeds).build()?;
    let embedding = Embedding::builder(10, 4).mask_zero(true).seeds(seeds).build()?;
    let dense = Dense::builder(5, 2).seeds(seeds).build()?;
    Ok(Sequential::builder("text").layer(embedding).layer(lstm).layer(drop).layer(dense).build()?)
}

fn pictures<T: Element>(seeds: &mut SeedSource) -> Outcome<Model<T>> {
    let mut graph = Model::builder("pictures");
    let x = graph.input("x", [Some(6), Some(3)])?;
    let conv = Conv1D::builder(3, 4, 2).activation(Activation::Relu).seeds(seeds).build()?;
    let y = graph.call("conv", conv, &[x])?;
    let y = graph.call("norm", ops::BatchNormalization::new(4)?.momentum(0.9), &y)?;
    let y = graph.call("spatial", ops::Dropout::spatial(0.2).seeds(seeds).build()?, &y)?;
    let lstm = Lstm::builder(4, 7).dropout(0.2).return_sequences(true).seeds(seeds).build()?;
    let y = graph.call("lstm", lstm, &y)?;
    let norm = ops::BatchNormalization::new(5)?.axis(1).scale(false);
    let y = graph.call("by_step", norm, &y)?;
    let y = graph.call("flat", ops::Flatten, &y)?;
    let y = graph.call("drop", ops::Dropout::builder(0.4).seeds(seeds).build()?, &y)?;
    let y = graph.call("dense", Dense::builder(35, 2).seeds(seeds).build()?, &y)?;
    Ok(graph.build(&y)?)
}

fn masked<T: Element>(seeds: &mut SeedSource) -> Outcome<Model<T>> {
    let mut graph = Model::builder("masked");
    let x = graph.input("x", [Some(6), Some(3)])?;
    let y = graph.call("masking", Masking::new(T::zero())?, &[x])?;
    let y = graph.call("lstm", Lstm::builder(3, 4).return_sequences(true).seeds(seeds).build()?, &y)?;
    let norm = ops::BatchNormalization::new(4)?.momentum(0.8).epsilon(0.01);
    let y = graph.call("norm", norm, &y)?;
    let both = Bidirectional::new(Gru::builder(4, 3).dropout(0.2).recurrent_dropout(0.3).seeds(seeds))?;
    let y = graph.call("both", both, &y)?;
    let z = graph.call("conv", Conv1D::builder(3, 3, 3).seeds(seeds).build()?, &[x])?;
    let z = graph.call("of_conv", ops::BatchNormalization::new(3)?.center(false), &z)?;
    let z = graph.call("most", ops::GlobalMaxPooling1D::new(), &z)?;
    let y = graph.call("all", ops::Concatenate::new(-1), &[y[0], z[0]])?;
    let y = graph.call("drop", ops::Dropout::builder(0.25).seeds(seeds).build()?, &y)?;
    let y = graph.call("dense", Dense::builder(9, 2).seeds(seeds).build()?, &y)?;
    Ok(graph.build(&y)?)
}

fn within_others<T: Element>(seeds: &mut SeedSource) -> Outcome<Model<T>> {
    let mut inner = Model::builder("inner");
    let x = inner.input("x", [Some(3)])?;
    let y = inner.call("dense", Dense::builder(3, 4).seeds(seeds).build()?, &[x])?;
    let y = inner.call("drop", ops::Dropout::builder(0.2).seeds(seeds).build()?, &y)?;
    let y = inner.call("norm", ops::BatchNormalization::new(4)?.momentum(0.7), &y)?;
    let inner = inner.build(&y)?;
    let mut graph = Model::builder("within");
    let shared = SimpleRnn::builder(4, 4).dropout(0.3).seeds(seeds).build()?;
    let x = graph.input("x", [Some(6), Some(3)])?;
    let y = graph.call("inner", AnyLayer::from(inner).for_each_step(), &[x])?;
    let drop = AnyLayer::from(ops::Dropout::builder(0.1).seeds(seeds).build()?).for_each_step();
    let y = graph.call("drop", drop, &y)?;
    let noisy = graph.call("noise", ops::Dropout::gaussian_noise(0.1).seeds(seeds).build()?, &y)?;
    let plain = graph.call("shared", shared, &y)?;
    let again = graph.call_again("shared", &noisy)?;
    let y = graph.call("sum", ops::Add, &[plain[0], again[0]])?;
    let y = graph.call("frozen", ops::BatchNormalization::new(4)?, &y)?;
    let y = graph.call("dense", Dense::builder(4, 2).seeds(seeds).build()?, &y)?;
    let mut model = graph.build(&y)?;
    model.set_trainable("frozen", false)?;
    Ok(model)
}

fn check_model<T: Element>(case: &Value) -> Outcome {
    let (name, mut seeds) = (text_of(&case["run"]), SeedSource::keras(7));
    let mut model = match name {
        _ if flag(&case["file"]) => {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/training");
            keras::load::<T>(format!("{folder}/{name}.keras"))?
        }
        "text" => text::<T>(&mut seeds)?,
        "pictures" => pictures(&mut seeds)?,
        "masked" => masked(&mut seeds)?,
        "within" => within_others(&mut seeds)?,
        other => panic!("the run {other}"),
    };
    let (x, padded, ids, y) = (features::<T>(), padded::<T>(), ids(), targets::<T>());
    let rate = if name == "pictures" { 1.0 / 128.0 } else { 0.125 };
    let mut fit = Fit::new(Loss::MeanSquaredError, Sgd::new(rate).momentum(0.5)).validation_split(0.2);
    if matches!(name, "pictures" | "within") {
        fit = fit.shuffle(7);
    }
    let fit = (fit.epochs(13), 4);
    let head = s![..3, .., ..];
    let ran = match name {
        "text" => run_all(&mut model, fit, &Dataset::new(&ids, &y), |model| {
            model.predict_one(ids.slice(s![..3, ..])).unwrap()
        }),
        "masked" => {
            run_all(&mut model, fit, &Dataset::new(&padded, &y), |model| model.predict_one(padded.slice(head)).unwrap())
        }
        _ => run_all(&mut model, fit, &Dataset::new(&x, &y), |model| model.predict_one(x.slice(head)).unwrap()),
    }?;
    compare(case, &ran, if T::DTYPE == "float64" { 1e-8 } else { 1e-4 })
}

#[test]
fn models() {
    every_case("training/models", 10, |case| by_dtype!(check_model, case));
}

/// Two calls in training of a layer of noise, and the way back through the second.
fn check_noise<T: Element>(case: &Value) -> Outcome {
    let rate = float(&case["rate"]);
    let mut builder = match text_of(&case["layer"]) {
        "Dropout" => ops::Dropout::builder(rate),
        "SpatialDropout1D" => ops::Dropout::spatial(rate),
        "GaussianDropout" => ops::Dropout::gaussian(rate),
        "GaussianNoise" => ops::Dropout::gaussian_noise(rate),
        "AlphaDropout" => ops::Dropout::alpha(rate),
        other => panic!("the layer {other}"),
    };
    if !case["noise_shape"].is_null() {
        let size = |size: &Value| size.as_u64().map(|size| size as usize);
        builder = builder.noise_shape(list(&case["noise_shape"]).iter().map(size).collect::<Vec<_>>());
    }
    let mut graph = Model::<T>::builder("noise");
    let input = graph.input("x", [Some(6), Some(3)])?;
    let output = graph.call("layer", builder.seed(21).build()?, &[input])?;
    let model = graph.build(&output)?;
    let x = features::<T>().slice(s![..3, .., ..]).to_owned();
    let (mut seeds, mut tape, mut gradients) = (model.seeds(), Tape::new(), Gradients::new(&model));
    // Factors of 0 and 1 / (1 - rate) are Keras's bits; a normal number's last one may be another in f64.
    let exact = matches!(text_of(&case["layer"]), "Dropout" | "SpatialDropout1D");
    let tolerance = if exact { 0.0 } else { 4.0 * T::epsilon().into_f64() };
    for call in ["first", "second"] {
        let outputs = model.record_training(&[(&x).into()], &mut tape, &mut seeds)?;
        near(call, outputs[0].view(), &array(&case[call]), tolerance)?;
    }
    let d = Array3::from_shape_fn(x.dim(), |(b, t, f)| T::from_f64((b * 18 + t * 3 + f) as f64)).into_dyn();
    model.backward(&mut tape, &[&d], &mut gradients)?;
    near("the gradient", gradients.input_at(0)?, &array(&case["d"]), 4.0 * T::epsilon().into_f64())?;
    assert_eq!(model.predict_one(&x)?, x.into_dyn());
    Ok(())
}

#[test]
fn noise() {
    every_case("training/noise", 20, |case| by_dtype!(check_noise, case));
}
