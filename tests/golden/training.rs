//! Every case of `tests/golden/training/`: losses and metrics by Keras, and whole runs of its `fit`.

mod activity;
mod attention;
mod conv_lstm;
mod models;
mod spectral;
mod stateful;
mod zoneout;

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

use ndarray::prelude::*;
use recurrent::training::{
    Adam, Auc, Curve, Dataset, EarlyStopping, Fit, Loss, LossFunction, Metric, Network, Precision, Recall, Reduction,
    Sgd, SummationMethod, Weighting,
};
use recurrent::{Bidirectional, Dense, Embedding, Gru, Lstm, Model, SeedSource, Sequential, SimpleRnn, Stacked};
use serde_json::Value;

use crate::check::data::{Element, Outcome, array, every_case, float, list, numbers, size, text_of, within};

const TOLERANCE: [f64; 2] = [2e-5, 1e-11];

/// What of Keras's is in f32 whatever the type is: CTC, the ln 2 of log-cosh, the sums of these metrics.
const IN_F32: [&str; 5] = ["CTC", "LogCosh", "Precision", "Recall", "AUC"];

fn tolerance<T: Element>(class: &Value) -> f64 {
    TOLERANCE[usize::from(T::DTYPE == "float64" && !IN_F32.contains(&text_of(class)))]
}

fn near<T: Element, D: Dimension>(what: &str, ours: ArrayView<'_, T, D>, keras: &ArrayD<T>, tolerance: f64) -> Outcome {
    within(what, ours, keras, |a, b| (a - b).abs() <= tolerance * b.abs().max(1.0))
}

/// An option of a case that is a number, or what it is without.
fn option(case: &Value, name: &str, default: f64) -> f64 {
    let given = &case["options"][name];
    if given.is_null() { default } else { float(given) }
}

fn loss(case: &Value) -> LossFunction {
    let from_logits = case["options"]["from_logits"].as_bool().unwrap_or(false);
    let loss = match text_of(&case["loss"]) {
        "MeanSquaredError" => Loss::MeanSquaredError,
        "MeanAbsoluteError" => Loss::MeanAbsoluteError,
        "Huber" => Loss::Huber { delta: option(case, "delta", 1.0) },
        "LogCosh" => Loss::LogCosh,
        "CosineSimilarity" => Loss::CosineSimilarity,
        "KLDivergence" => Loss::KlDivergence,
        "BinaryCrossentropy" => Loss::BinaryCrossentropy { from_logits },
        "CategoricalCrossentropy" => Loss::CategoricalCrossentropy { from_logits },
        "SparseCategoricalCrossentropy" => Loss::SparseCategoricalCrossentropy { from_logits },
        "CTC" => Loss::Ctc,
        other => panic!("the loss {other}"),
    };
    let mut function = loss.label_smoothing(option(case, "label_smoothing", 0.0));
    if let Some(class) = case["options"]["ignore_class"].as_i64() {
        function = function.ignore_class(class);
    }
    match text_of(&case["reduction"]) {
        "sum_over_batch_size" | "none" => function,
        "sum" => function.reduction(Reduction::Sum),
        "mean" => function.reduction(Reduction::Mean),
        "mean_with_sample_weight" => function.reduction(Reduction::MeanWithSampleWeight),
        other => panic!("the reduction {other}"),
    }
}

/// The arrays of a case that weigh.
struct Weights<T> {
    mask: Option<ArrayD<bool>>,
    sample_weight: Option<ArrayD<T>>,
}

impl<T: Element> Weights<T> {
    fn of(case: &Value) -> Self {
        let given = |key: &str| (!case[key].is_null()).then(|| array::<T>(&case[key]));
        Weights { mask: given("mask").map(|mask| mask.mapv(|m| m == T::one())), sample_weight: given("sample_weight") }
    }

    fn weighting(&self) -> Weighting<'_, T> {
        let mut weighting = Weighting::new();
        if let Some(mask) = &self.mask {
            weighting = weighting.mask(mask);
        }
        if let Some(weights) = &self.sample_weight {
            weighting = weighting.sample_weight(weights);
        }
        weighting
    }
}

fn check_loss<T: Element>(case: &Value) -> Outcome {
    let (function, weights) = (loss(case), Weights::<T>::of(case));
    let tolerance = tolerance::<T>(&case["loss"]);
    let (prediction, target) = (array::<T>(&case["prediction"]), array::<T>(&case["target"]));
    let d = array::<T>(&case["gradient"]);
    if text_of(&case["reduction"]) == "none" {
        let values = function.values(&prediction, &target, weights.weighting())?;
        near("the values", values.view(), &array(&case["value"]), tolerance)?;
        // Its gradient is that of the sum; a mask is not made up for.
        let (_, gradient) =
            function.reduction(Reduction::Sum).with_gradient(&prediction, &target, weights.weighting())?;
        return near("the gradient", gradient.view(), &d, tolerance);
    }
    let (value, gradient) = function.with_gradient(&prediction, &target, weights.weighting())?;
    let keras = arr0(T::from_f64(float(&case["value"]))).into_dyn();
    near("the loss", arr0(value).view(), &keras, tolerance)?;
    near("the gradient", gradient.view(), &d, tolerance)?;
    // Of any order in memory, and integers.
    let turned = prediction.t().as_standard_layout().into_owned();
    let mut other = ArrayD::zeros(turned.raw_dim());
    let again =
        function.gradient_into(&turned.t(), &target, weights.weighting(), &mut other.view_mut().reversed_axes())?;
    assert_eq!((again, other.t()), (value, gradient.view()));
    if matches!(text_of(&case["loss"]), "SparseCategoricalCrossentropy" | "CTC") {
        let target = target.mapv(|class| class.into_f64() as i32);
        assert_eq!(function.with_gradient(&prediction, &target, weights.weighting())?, (value, gradient));
    }
    Ok(())
}

#[test]
fn losses() {
    every_case("training/losses", 142, |case| by_dtype!(check_loss, case));
}

fn metric(case: &Value) -> Metric {
    let k = |default: f64| option(case, "k", default) as usize;
    let options = &case["options"];
    let chosen = |name: &str| options[name].as_u64().map(|n| n as usize);
    match text_of(&case["metric"]) {
        "BinaryAccuracy" => Metric::BinaryAccuracy { threshold: option(case, "threshold", 0.5) },
        "CategoricalAccuracy" => Metric::CategoricalAccuracy,
        "SparseCategoricalAccuracy" => Metric::SparseCategoricalAccuracy,
        "TopKCategoricalAccuracy" => Metric::TopKCategoricalAccuracy { k: k(5.0) },
        "SparseTopKCategoricalAccuracy" => Metric::SparseTopKCategoricalAccuracy { k: k(5.0) },
        "MeanSquaredError" => Metric::MeanSquaredError,
        "MeanAbsoluteError" => Metric::MeanAbsoluteError,
        "RootMeanSquaredError" => Metric::RootMeanSquaredError,
        "Precision" => {
            let mut metric = Precision::new();
            if let Some(threshold) = options["thresholds"].as_f64() {
                metric = metric.threshold(threshold);
            }
            if let Some(k) = chosen("top_k") {
                metric = metric.top_k(k);
            }
            if let Some(class) = chosen("class_id") {
                metric = metric.class_id(class);
            }
            metric.into()
        }
        "Recall" => {
            let mut metric = Recall::new();
            if let Some(threshold) = options["thresholds"].as_f64() {
                metric = metric.threshold(threshold);
            }
            if let Some(k) = chosen("top_k") {
                metric = metric.top_k(k);
            }
            if let Some(class) = chosen("class_id") {
                metric = metric.class_id(class);
            }
            metric.into()
        }
        "AUC" => {
            let mut metric = Auc::new().from_logits(options["from_logits"].as_bool().unwrap_or(false));
            if let Some(count) = chosen("num_thresholds") {
                metric = metric.num_thresholds(count);
            }
            if !options["thresholds"].is_null() {
                metric = metric.thresholds(&numbers::<f64>(&options["thresholds"]));
            }
            if options["curve"] == "PR" {
                metric = metric.curve(Curve::Pr);
            }
            match options["summation_method"].as_str() {
                Some("majoring") => metric = metric.summation_method(SummationMethod::Majoring),
                Some("minoring") => metric = metric.summation_method(SummationMethod::Minoring),
                _ => {}
            }
            metric.into()
        }
        other => panic!("the metric {other}"),
    }
}

fn check_metric<T: Element>(case: &Value) -> Outcome {
    let mut state = metric(case).start()?;
    for _ in 0..2 {
        for batch in list(&case["batches"]) {
            let (weights, target) = (Weights::<T>::of(batch), array::<T>(&batch["target"]));
            state.update(&array::<T>(&batch["prediction"]), &target, &weights.weighting())?;
            let (ours, keras) = (state.result(), float(&batch["result"]));
            if (ours - keras).abs() > tolerance::<T>(&case["metric"]) {
                return Err(format!("{ours}, Keras's is {keras}").into());
            }
        }
        state.reset();
    }
    Ok(())
}

#[test]
fn metrics() {
    every_case("training/metrics", 100, |case| by_dtype!(check_metric, case));
}

// ---------------------------------------------------------------- runs

const ROWS: usize = 20;
const STEPS: usize = 6;

/// The data of `runs.py`, by the same formulas.
fn features<T: Element>() -> Array3<T> {
    let number = |(b, t, f): (usize, usize, usize)| ((5 * b + 3 * t + 7 * f + b * t) % 17) as f64 - 8.0;
    Array3::from_shape_fn((ROWS, STEPS, 3), |at| T::from_f64(number(at) / 8.0))
}

fn ids() -> Array2<i32> {
    Array2::from_shape_fn((ROWS, STEPS), |(b, t)| if t < 2 + b % 5 { 1 + (3 * b + 5 * t) as i32 % 9 } else { 0 })
}

fn targets<T: Element>() -> Array2<T> {
    Array2::from_shape_fn((ROWS, 2), |(b, k)| T::from_f64((((3 * b + 5 * k) % 11) as f64 - 5.0) / 8.0))
}

fn classes() -> Array1<i32> {
    Array1::from_shape_fn(ROWS, |b| (b * 7 % 3) as i32)
}

fn step_classes() -> Array2<i64> {
    Array2::from_shape_fn((ROWS, STEPS), |(b, t)| ((b + 2 * t) % 3) as i64)
}

/// What a run of ours is compared by.
struct Ran<T> {
    losses: Vec<f64>,
    history: Vec<(String, Vec<f64>)>,
    prediction: ArrayD<T>,
}

fn run<T: Element, N: Network<T>, O: recurrent::training::Optimizer<T>>(
    network: &mut N,
    (fit, last): (Fit<'_, T, O>, usize),
    data: &Dataset<'_, T>,
    predict: impl Fn(&N) -> ArrayD<T>,
) -> Outcome<Ran<T>> {
    run_all(network, (fit.epochs(10), last), data, predict)
}

/// A run of as many epochs as it says.
fn run_all<T: Element, N: Network<T>, O: recurrent::training::Optimizer<T>>(
    network: &mut N,
    (fit, last): (Fit<'_, T, O>, usize),
    data: &Dataset<'_, T>,
    predict: impl Fn(&N) -> ArrayD<T>,
) -> Outcome<Ran<T>> {
    let losses = Rc::new(RefCell::new(Vec::new()));
    let (heard, mut sum, mut rows) = (Rc::clone(&losses), 0.0, 0);
    let mut fit = fit.batch_size(4).on_update(move |update| {
        // Keras logs the mean of the epoch so far. Batches have four rows but the last of a run on 14 or 15.
        let of_batch = if (update.batches, update.batch) == (Some(4), 4) { last } else { 4 };
        if update.batch == 1 {
            (sum, rows) = (0.0, 0);
        }
        sum += update.loss * of_batch as f64;
        rows += of_batch;
        heard.borrow_mut().push(sum / rows as f64);
        ControlFlow::Continue(())
    });
    let history = fit.run_on(network, data)?;
    let losses = losses.borrow().clone();
    let history = history.names().map(|name| (name.into(), history.get(name).unwrap().to_vec())).collect();
    Ok(Ran { losses, history, prediction: predict(network) })
}

fn check_run<T: Element>(case: &Value) -> Outcome {
    let name = text_of(&case["run"]);
    let mut seeds = SeedSource::keras(7);
    let (x, ids, y) = (features::<T>(), ids(), targets::<T>());
    let (classes, step_classes) = (classes(), step_classes());
    let weights = Array1::from_shape_fn(ROWS, |row| T::from_f64((1 + row % 4) as f64 / 4.0));
    let head = x.slice(s![..3, .., ..]).to_owned();
    let last = |net: &Stacked<T>| recurrent::Layer::forward(net, &head).unwrap().into_last().into_dyn();
    let predict = |model: &Model<T>| model.predict(&[(&ids.slice(s![..3, ..])).into()]).unwrap().swap_remove(0);
    let (sgd, adam) = (|| Sgd::new(0.1).momentum(0.9), || Adam::new(0.02));
    let sparse = Loss::SparseCategoricalCrossentropy { from_logits: true };
    let to_numbers = Dataset::new(&x, &y);
    let to_classes = Dataset::new(&x, &classes);
    let stack = || Stacked::<T>::builder();
    let ran = match name {
        "lstm" => {
            let lstm = Lstm::builder(3, 5).seeds(&mut seeds).build()?;
            let mut net = stack().layer(lstm).layer(Dense::builder(5, 2).seeds(&mut seeds).build()?).build()?;
            run(&mut net, (Fit::new(Loss::MeanSquaredError, sgd()), 4), &to_numbers, last)?
        }
        "gru" => {
            let gru = Gru::builder(3, 5).seeds(&mut seeds).build()?;
            let mut net = stack().layer(gru).layer(Dense::builder(5, 2).seeds(&mut seeds).build()?).build()?;
            run(&mut net, (Fit::new(Loss::Huber { delta: 1.0 }, adam()), 4), &to_numbers, last)?
        }
        "simple_rnn" => {
            let rnn = SimpleRnn::builder(3, 5).seeds(&mut seeds).build()?;
            let mut net = stack().layer(rnn).layer(Dense::builder(5, 2).seeds(&mut seeds).build()?).build()?;
            run(&mut net, (Fit::new(Loss::MeanSquaredError, adam()), 4), &to_numbers, last)?
        }
        "bidirectional" => {
            let both = Bidirectional::new(Lstm::builder(3, 4).seeds(&mut seeds))?;
            let mut net = stack().layer(both).layer(Dense::builder(8, 2).seeds(&mut seeds).build()?).build()?;
            let fit = Fit::new(Loss::LogCosh, adam()).shuffle(7);
            let fit = fit.metric(Metric::MeanAbsoluteError).metric(Metric::RootMeanSquaredError);
            run(&mut net, (fit, 4), &to_numbers, last)?
        }
        "stack" => {
            let lstm = Lstm::builder(3, 5).return_sequences(true).seeds(&mut seeds).build()?;
            let gru = Gru::builder(5, 4).seeds(&mut seeds).build()?;
            let dense = Dense::builder(4, 3).seeds(&mut seeds).build()?;
            let mut net = stack().layer(lstm).layer(gru).layer(dense).build()?;
            let fit = Fit::new(sparse, adam()).shuffle(7).validation_split(0.25);
            run(&mut net, (fit.metric(Metric::SparseCategoricalAccuracy), 3), &to_classes, last)?
        }
        "weighted" => {
            let gru = Gru::builder(3, 5).seeds(&mut seeds).build()?;
            let mut net = stack().layer(gru).layer(Dense::builder(5, 2).seeds(&mut seeds).build()?).build()?;
            let fit = Fit::new(Loss::MeanSquaredError, adam()).shuffle(7);
            let fit = fit.metric(Metric::MeanSquaredError).weighted_metric(Metric::MeanAbsoluteError);
            run(&mut net, (fit, 4), &to_numbers.sample_weight(&weights), last)?
        }
        "class_weight" => {
            let lstm = Lstm::builder(3, 5).seeds(&mut seeds).build()?;
            let mut net = stack().layer(lstm).layer(Dense::builder(5, 3).seeds(&mut seeds).build()?).build()?;
            run(&mut net, (Fit::new(sparse, adam()).class_weight(&[(0, 0.5), (2, 3.0)]), 4), &to_classes, last)?
        }
        "softmax" => {
            let lstm = Lstm::builder(3, 5).seeds(&mut seeds).build()?;
            let dense = Dense::builder(5, 3).activation(recurrent::Activation::Softmax).seeds(&mut seeds).build()?;
            let mut net = stack().layer(lstm).layer(dense).build()?;
            let loss = Loss::SparseCategoricalCrossentropy { from_logits: false };
            run(&mut net, (Fit::new(loss, adam()), 4), &to_classes, last)?
        }
        "dropout" => {
            let lstm = Lstm::builder(3, 5).dropout(0.2).recurrent_dropout(0.1).seeds(&mut seeds).build()?;
            let mut net = stack().layer(lstm).layer(Dense::builder(5, 2).seeds(&mut seeds).build()?).build()?;
            run(&mut net, (Fit::new(Loss::MeanSquaredError, adam()).shuffle(7), 4), &to_numbers, last)?
        }
        "dropout_validated" => {
            let gru = Gru::builder(3, 5).dropout(0.3).return_sequences(true).seeds(&mut seeds).build()?;
            let rnn = SimpleRnn::builder(5, 4).dropout(0.2).seeds(&mut seeds).build()?;
            let dense = Dense::builder(4, 2).seeds(&mut seeds).build()?;
            let mut net = stack().layer(gru).layer(rnn).layer(dense).build()?;
            run(&mut net, (Fit::new(Loss::MeanSquaredError, sgd()).validation_split(0.3), 2), &to_numbers, last)?
        }
        "early_stopping" => {
            let lstm = Lstm::builder(3, 5).seeds(&mut seeds).build()?;
            let mut net = stack().layer(lstm).layer(Dense::builder(5, 2).seeds(&mut seeds).build()?).build()?;
            let stop = EarlyStopping::new("val_loss").patience(2).restore_best_weights(true);
            let fit = Fit::new(Loss::MeanSquaredError, Adam::new(0.3)).validation_split(0.25).early_stopping(stop);
            run(&mut net, (fit, 3), &to_numbers, last)?
        }
        "embedding" => {
            let embedding = Embedding::builder(10, 4).mask_zero(true).seeds(&mut seeds).build()?;
            let lstm = Lstm::builder(4, 5).return_sequences(true).seeds(&mut seeds).build()?;
            let dense = Dense::builder(5, 3).seeds(&mut seeds).build()?;
            let mut model = Sequential::builder("m").layer(embedding).layer(lstm).layer(dense).build()?;
            let fit = Fit::new(sparse, adam()).shuffle(7).validation_split(0.25);
            let fit = fit.metric(Metric::SparseCategoricalAccuracy);
            run(&mut model, (fit, 3), &Dataset::new(&ids, &step_classes), predict)?
        }
        "embedding_last" => {
            let embedding = Embedding::builder(10, 4).mask_zero(true).seeds(&mut seeds).build()?;
            let both = Bidirectional::new(Gru::builder(4, 4).seeds(&mut seeds))?;
            let dense = Dense::builder(8, 3).seeds(&mut seeds).build()?;
            let mut model = Sequential::builder("m").layer(embedding).layer(both).layer(dense).build()?;
            run(&mut model, (Fit::new(sparse, adam()).shuffle(7), 4), &Dataset::new(&ids, &classes), predict)?
        }
        "two_heads" => {
            let mut graph = Model::<T>::builder("two_heads");
            let input = graph.input("x", [None, Some(3)])?;
            let h = graph.call("gru", Gru::builder(3, 5).seeds(&mut seeds).build()?, &[input])?[0];
            let value = graph.call("value", Dense::builder(5, 2).seeds(&mut seeds).build()?, &[h])?[0];
            let kind = graph.call("kind", Dense::builder(5, 3).seeds(&mut seeds).build()?, &[h])?[0];
            let mut model = graph.build(&[value, kind])?;
            let fit = Fit::new(Loss::MeanSquaredError, adam()).validation_split(0.25);
            let fit = fit.loss_of("value", Loss::MeanSquaredError, 0.3).loss_of("kind", sparse, 2.0);
            let fit = fit.metric_of("value", Metric::MeanAbsoluteError);
            let fit = fit.metric_of("kind", Metric::SparseCategoricalAccuracy);
            let data = Dataset::of(&[(&x).into()], &[(&y).into(), (&classes).into()]);
            run(&mut model, (fit, 3), &data, |model| model.predict(&[(&head).into()]).unwrap().swap_remove(0))?
        }
        other => panic!("the run {other}"),
    };
    // In f64 Keras keeps some numbers of its optimizers and losses in f32.
    compare(case, &ran, if T::DTYPE == "float64" { 1e-6 } else { 1e-4 })
}

fn compare<T: Element>(case: &Value, ran: &Ran<T>, tolerance: f64) -> Outcome {
    let same = |what: &str, ours: &[f64], keras: &[f64]| -> Outcome {
        if ours.len() != keras.len() {
            return Err(format!("{what}: {} numbers, Keras has {}", ours.len(), keras.len()).into());
        }
        let odd = ours.iter().zip(keras).position(|(a, b)| (a - b).abs() > tolerance * b.abs());
        odd.map_or(Ok(()), |at| Err(format!("{what} {at} is {}, Keras's is {}", ours[at], keras[at]).into()))
    };
    same("loss", &ran.losses, &numbers::<f64>(&case["losses"]["data"]))?;
    let names: Vec<_> = list(&case["history"]).iter().map(|entry| text_of(&entry["name"])).collect();
    // Keras calls some by the names that they were asked for with.
    let known = |name: &str| name.replace("mean_absolute_error", "mae").replace("mean_squared_error", "mse");
    let known = |name: &str| known(name).replace("root_mse", "root_mean_squared_error");
    let mut ours: Vec<_> = ran.history.iter().map(|(name, _)| known(name)).collect();
    let mut theirs: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    ours.sort();
    theirs.sort();
    if ours != theirs {
        return Err(format!("the history has {ours:?}, Keras's {theirs:?}").into());
    }
    for entry in list(&case["history"]) {
        let (_, values) = ran.history.iter().find(|(name, _)| known(name) == text_of(&entry["name"])).unwrap();
        same(text_of(&entry["name"]), values, &numbers::<f64>(&entry["values"]["data"]))?;
    }
    let tolerance = 20.0 * tolerance;
    within("the prediction", ran.prediction.view(), &array(&case["prediction"]), |a, b| {
        (a - b).abs() <= tolerance * b.abs().max(1.0)
    })
}

#[test]
fn runs() {
    every_case("training/runs", 28, |case| {
        assert!(size(&case["losses"]["shape"][0]) > 0);
        by_dtype!(check_run, case)
    });
}
