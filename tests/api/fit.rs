//! Losses, metrics and `Fit`: what is refused, and what a user sees of a run.

use std::ops::ControlFlow;

use ndarray::prelude::*;
use recurrent::training::*;
use recurrent::{Bidirectional, Dense, Embedding, Error, Gru, Layer, Lstm, Model, SeedSource, Sequential, Stacked};

fn refusal<T>(result: recurrent::Result<T>) -> Error {
    result.err().expect("it must be refused")
}

fn net() -> Stacked {
    let mut seeds = SeedSource::keras(7);
    let lstm = Lstm::<f32>::builder(3, 4).seeds(&mut seeds).build().unwrap();
    Stacked::builder().layer(lstm).layer(Dense::builder(4, 2).seeds(&mut seeds).build().unwrap()).build().unwrap()
}

fn data() -> (Array3<f32>, Array2<f32>) {
    let x = Array3::from_shape_fn((10, 6, 3), |(b, t, f)| ((5 * b + 3 * t + 7 * f) % 11) as f32 / 8.0 - 0.6);
    (x, Array2::from_shape_fn((10, 2), |(b, k)| ((3 * b + k) % 5) as f32 / 4.0))
}

type OfNet = Fit<'static, f32, Sgd<f32>>;

fn fit() -> OfNet {
    Fit::new(Loss::MeanSquaredError, Sgd::new(0.1))
}

/// Whatever is refused leaves the network as it was.
#[test]
fn options_that_make_no_sense() {
    let ((x, y), mut net) = (data(), net());
    let before: Vec<_> = net.weights().iter().map(|(_, weight)| weight.to_owned()).collect();
    let sparse = Loss::SparseCategoricalCrossentropy { from_logits: true };
    let refused: Vec<(OfNet, &str)> = vec![
        (fit().batch_size(0), "batch_size must be at least 1, got 0"),
        (
            fit().validation_split(0.0),
            "validation_split must be between 0 and 1 and leave some of 10 rows on both sides, got 0",
        ),
        (
            fit().validation_split(0.95),
            "validation_split must be between 0 and 1 and leave some of 10 rows on both sides, got 0.95",
        ),
        (
            fit().validation_split(f64::NAN),
            "validation_split must be between 0 and 1 and leave some of 10 rows on both sides, got NaN",
        ),
        (
            fit().early_stopping(EarlyStopping::new("val_loss")),
            "there is no number to monitor \"val_loss\": the names are loss",
        ),
        (fit().loss_of("words", Loss::LogCosh, 1.0), "there is no output \"words\": the names are output"),
        (fit().loss_of("output", Loss::Huber { delta: 0.0 }, 1.0), "delta must be finite and above 0, got 0"),
        (
            fit().loss_of("output", Loss::LogCosh.label_smoothing(0.1), 1.0),
            "label_smoothing must be 0 but for binary and categorical cross-entropy, got 0.1",
        ),
        (
            fit().loss_of("output", Loss::LogCosh.ignore_class(2), 1.0),
            "ignore_class must be left out but for sparse categorical cross-entropy, got 2",
        ),
        (fit().metric(Metric::TopKCategoricalAccuracy { k: 0 }), "k must be at least 1, got 0"),
        (fit().metric(Auc::new().num_thresholds(1)), "num_thresholds must be from 2 to a million, got 1"),
        (fit().metric(Auc::new().thresholds(&[0.5, 1.5])), "a threshold must be in 0..=1, got 1.5"),
        (fit().metric(Precision::new().threshold(-1.0)), "threshold must be in 0..=1, got -1"),
        (fit().metric(Recall::new().class_id(2)), "class_id must be a class of the 2 that are predicted, got 2"),
        (fit().bucket_by_length(&[1; 9]), "expected one entry for each of 10 rows, got 9"),
        (fit().bucket_by_length(&[7; 10]), "row 0 is to have 7 steps, but the input has 6"),
        (fit().loss_of("output", sparse, 1.0), "expected an array of shape [10] for the target, got [10, 2]"),
    ];
    for (mut fit, message) in refused {
        assert_eq!(refusal(fit.run(&mut net, &x, &y)).to_string(), message);
    }
    let after: Vec<_> = net.weights().iter().map(|(_, weight)| weight.to_owned()).collect();
    assert_eq!(before, after);
}

#[test]
fn data_that_make_no_sense() {
    let ((x, y), mut net) = (data(), net());
    let mut run = |data: &Dataset<'_, f32>| refusal(fit().run_on(&mut net, data)).to_string();
    let short = y.slice(s![..9, ..]);
    assert_eq!(run(&Dataset::new(&x, short)), "a target must be of 10 rows, as the first input, got 9");
    let none = x.slice(s![..0, .., ..]);
    assert_eq!(run(&Dataset::new(none, y.slice(s![..0, ..]))), "the data must be of at least one row, got none");
    assert_eq!(run(&Dataset::of(&[], &[])), "the first input must be an array of rows, got none");
    let two = Dataset::of(&[(&x).into()], &[(&y).into(), (&y).into()]);
    assert!(matches!(refusal(fit().run_on(&mut net, &two)), Error::ModelOutputs { expected: 1, given: 2 }));
    let weights = Array1::<f32>::ones(10);
    let both = Dataset::new(&x, &y).sample_weight(&weights);
    let error = refusal(fit().class_weight(&[(0, 2.0)]).run_on(&mut net, &both)).to_string();
    assert_eq!(error, "class_weight must be left out where there are sample weights, got both");
    let lengths = [6; 10];
    let mask = Array2::from_elem((10, 6), true);
    let error = refusal(fit().run_on(&mut net, &Dataset::new(&x, &y).lengths(&lengths).mask(&mask)));
    assert_eq!(error, Error::MaskAndLengths);
    // A class that there isn't, in the second batch; the update before it stays.
    let classes = Array1::from_shape_fn(10, |row| if row == 7 { 5 } else { 1 });
    let mut fit = Fit::new(Loss::SparseCategoricalCrossentropy { from_logits: true }, Sgd::new(0.1)).batch_size(4);
    assert_eq!(refusal(fit.run(&mut net, &x, &classes)), Error::TargetClass { class: 5, classes: 2 });
}

#[test]
fn models_that_would_train_otherwise() {
    let ids = Array2::<i32>::ones((4, 3));
    let y = Array2::<f32>::zeros((4, 2));
    let model = |lstm| {
        let chain = Sequential::builder("m").layer(Embedding::new(5, 3)).layer(lstm).layer(Dense::new(4, 2));
        chain.build().unwrap()
    };
    let mut plain = model(Lstm::new(3, 4));
    let lengths = [3; 4];
    let error = refusal(fit().run_on(&mut plain, &Dataset::new(&ids, &y).lengths(&lengths))).to_string();
    assert!(error.starts_with("mask or lengths must be left out for a model"), "{error}");
    fit().run(&mut plain, &ids, &y).unwrap();
}

#[test]
fn ctc_refuses() {
    let x = Array3::<f32>::zeros((2, 4, 3));
    let of = |labels: &Array2<i32>| refusal(Loss::Ctc.with_gradient(&x, labels));
    assert_eq!(of(&array![[1, 2, 0], [1, 1, 1]]), Error::CtcSteps { row: 1, needed: 5, steps: 4 });
    assert_eq!(of(&array![[1, 2, 0], [1, 3, 1]]), Error::TargetClass { class: 3, classes: 3 });
    assert_eq!(of(&array![[1, -1, 0], [1, 2, 1]]), Error::TargetClass { class: -1, classes: 3 });
    assert_eq!(
        of(&array![[1, 0, 2], [1, 2, 1]]).to_string(),
        "labels of CTC must be padded with 0, got 2 behind a 0 in row 0"
    );
    let mask = array![[true, true, false, false], [true, false, true, true]];
    let weighting = Weighting::new().mask(&mask);
    let error = refusal(LossFunction::from(Loss::Ctc).with_gradient(&x, &array![[1], [2]], weighting));
    assert_eq!(
        error.to_string(),
        "mask of CTC must be true for the first steps of each row alone, got another one in row 1"
    );
    let flat = Array2::<f32>::zeros((2, 4));
    let error = refusal(Loss::Ctc.with_gradient(&flat, &array![[1], [2]]));
    assert_eq!(error.to_string(), "prediction of CTC must be (batch, timesteps, classes), got [2, 4]");
}

/// A mask of CTC cuts each row: the same as the shorter row alone.
#[test]
fn lengths_of_ctc() {
    let x = Array3::from_shape_fn((2, 6, 4), |(b, t, k)| ((3 * b + 5 * t + 7 * k) % 9) as f64 / 3.0 - 1.0);
    let labels = array![[1, 2, 2], [3, 1, 0]];
    let mask = Array2::from_shape_fn((2, 6), |(row, t)| t < [6, 3][row]);
    let function = Loss::Ctc.reduction(Reduction::Sum);
    let (whole, d) = function.with_gradient(&x, &labels, Weighting::new().mask(&mask)).unwrap();
    let first =
        function.with_gradient(&x.slice(s![..1, .., ..]), &labels.slice(s![..1, ..]), Weighting::new()).unwrap();
    let second =
        function.with_gradient(&x.slice(s![1.., ..3, ..]), &labels.slice(s![1.., ..]), Weighting::new()).unwrap();
    assert_eq!(whole, first.0 + second.0);
    assert_eq!(d.slice(s![..1, .., ..]), first.1);
    assert_eq!(d.slice(s![1.., ..3, ..]), second.1);
    assert_eq!(d.slice(s![1.., 3.., ..]), Array3::<f64>::zeros((1, 3, 4)));
}

/// Each loss's gradient in f64 is that of differences.
#[test]
fn gradients_are_slopes() {
    let x = Array3::from_shape_fn((2, 5, 4), |(b, t, k)| ((3 * b + 5 * t + 7 * k) % 13) as f64 / 7.0 - 0.81);
    let chances = x.mapv(|x| 0.05 + (x + 0.9) / 2.2);
    let like = Array3::from_shape_fn((2, 5, 4), |(b, t, k)| ((5 * b + 2 * t + 3 * k) % 7) as f64 / 9.0 + 0.013);
    let sums = like.sum_axis(Axis(2)).insert_axis(Axis(2));
    let (shares, classes, labels) =
        (&like / &sums, array![[0, 1, 2, 3, 1], [2, 2, 0, 3, 1]], array![[1, 3, 3], [2, 0, 0]]);
    let mask = Array2::from_shape_fn((2, 5), |(b, t)| (b + t) % 3 != 1);
    let floats = [
        (Loss::MeanSquaredError.into(), false),
        (Loss::MeanAbsoluteError.into(), false),
        (Loss::Huber { delta: 0.5 }.into(), false),
        (Loss::LogCosh.into(), false),
        (Loss::CosineSimilarity.into(), false),
        (Loss::KlDivergence.into(), true),
        (Loss::BinaryCrossentropy { from_logits: true }.label_smoothing(0.1), false),
        (Loss::BinaryCrossentropy { from_logits: false }.into(), true),
        (Loss::CategoricalCrossentropy { from_logits: true }.label_smoothing(0.2), false),
        (Loss::CategoricalCrossentropy { from_logits: false }.into(), true),
    ];
    let check = |function: LossFunction, x: &Array3<f64>, target: Target<'_, f64>, masked: bool| {
        let weighting = || if masked { Weighting::new().mask(&mask) } else { Weighting::new() };
        let loss = |x: &Array3<f64>| function.with_gradient(x, target.clone(), weighting()).unwrap();
        let (_, gradient) = loss(x);
        for at in ndarray::indices(x.dim()) {
            let moved = |by: f64| {
                let mut x = x.clone();
                x[at] += by;
                loss(&x).0
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((slope - gradient[at]).abs() < 1e-8, "{function:?} {at:?}: {slope}, not {}", gradient[at]);
        }
    };
    for masked in [false, true] {
        for (function, of_chances) in floats {
            check(function, if of_chances { &chances } else { &x }, (&shares).into(), masked);
        }
        for from_logits in [false, true] {
            let function = Loss::SparseCategoricalCrossentropy { from_logits }.ignore_class(2);
            check(function, if from_logits { &x } else { &chances }, (&classes).into(), masked);
        }
    }
    check(Loss::Ctc.into(), &x, (&labels).into(), false);
}

/// Whatever is masked isn't read, and a network of several kinds gets the same from rows in buckets.
#[test]
fn what_is_masked_counts_nothing() {
    let mut x = array![[[1.0], [2.0]], [[3.0], [f64::NAN]]];
    let target = Array3::<f64>::zeros((2, 2, 1));
    let mask = array![[true, true], [true, false]];
    let weighting = || Weighting::new().mask(&mask);
    let function = LossFunction::from(Loss::MeanSquaredError);
    let (loss, gradient) = function.with_gradient(&x, &target, weighting()).unwrap();
    assert!((loss - 14.0 / 3.0).abs() < 1e-12);
    assert_eq!(gradient[[1, 1, 0]], 0.0);
    x[[0, 0, 0]] = f64::NAN;
    assert!(function.with_gradient(&x, &target, weighting()).unwrap().0.is_nan());
    let nothing = Array2::from_elem((2, 2), false);
    assert_eq!(function.with_gradient(&x, &target, Weighting::new().mask(&nothing)).unwrap().0, 0.0);
}

#[test]
fn what_isn_t_finite_stops_it() {
    let ((mut x, y), mut net) = (data(), net());
    x[[7, 2, 1]] = f32::NAN;
    let mut run = |fit: OfNet| fit.batch_size(5).epochs(3).run(&mut net, &x, &y);
    let error = refusal(run(fit()));
    assert_eq!(error, Error::NotFinite { what: "the loss".into(), update: 2, epoch: 1 });
    let history = run(fit().terminate_on_nan(false)).unwrap();
    assert!(history.get("loss").unwrap().iter().all(|loss| loss.is_nan()));
    let error = refusal(run(fit()));
    assert_eq!(error, Error::NotFinite { what: "the weight 0/kernel".into(), update: 1, epoch: 1 });
}

#[test]
fn callbacks_see_and_stop() {
    let ((x, y), mut net) = (data(), net());
    let (mut lines, mut updates) = (Vec::new(), Vec::new());
    let history = Fit::new(Loss::MeanSquaredError, Sgd::new(0.1))
        .metric(Metric::MeanAbsoluteError)
        .epochs(9)
        .batch_size(4)
        .validation_split(0.2)
        .on_update(|update| {
            updates.push((update.epoch, update.update, update.batch, update.batches));
            ControlFlow::Continue(())
        })
        .on_epoch(|progress| {
            lines.push(progress.to_string());
            assert_eq!(progress.get("val_loss").unwrap(), progress.logs().nth(2).unwrap().1);
            if progress.epoch == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .run(&mut net, &x, &y)
        .unwrap();
    assert_eq!(updates, [(1, 1, 1, Some(2)), (1, 2, 2, Some(2)), (2, 3, 1, Some(2)), (2, 4, 2, Some(2))]);
    assert_eq!(history.epochs(), 2);
    let names: Vec<_> = history.names().collect();
    assert_eq!(names, ["loss", "mean_absolute_error", "val_loss", "val_mean_absolute_error"]);
    let [first, _] = &lines[..] else { panic!("{lines:?}") };
    assert!(first.starts_with("epoch 1/9: loss 0.") && first.ends_with("s left)"), "{first}");
    assert!(first.contains(", mean_absolute_error 0.") && first.contains(", val_loss 0."), "{first}");
    let evaluated = fit().metric(Metric::MeanAbsoluteError).batch_size(4);
    let held = (x.slice(s![8.., .., ..]), y.slice(s![8.., ..]));
    let logs = evaluated.evaluate(&net, &Dataset::new(held.0, held.1)).unwrap();
    assert_eq!(logs[0], ("loss".into(), history.get("val_loss").unwrap()[1]));
    assert!(format!("{history:?}").starts_with("{\"loss\": ["), "{history:?}");
}

/// The first one who breaks ends the run before the next batch; all others hear of the update.
#[test]
fn an_update_can_be_the_last() {
    let ((x, y), mut net) = (data(), net());
    let (mut first, mut second) = (0, 0);
    let history = Fit::new(Loss::MeanSquaredError, Sgd::new(0.1))
        .epochs(5)
        .batch_size(2)
        .on_update(|update| {
            first += 1;
            if update.update == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .on_update(|_| {
            second += 1;
            ControlFlow::Continue(())
        })
        .run(&mut net, &x, &y)
        .unwrap();
    assert_eq!((first, second, history.epochs()), (7, 7, 2));
}

/// `Fit` does with rules what a loop does that calls them.
#[test]
fn rules_of_weights() {
    let ((x, y), net) = (data(), net());
    let rules = WeightRules::new()
        .regularizer("0/kernel", Regularizer::L2 { factor: 0.1 })
        .constraint("1/kernel", Constraint::MaxNorm { max_value: 0.5, axis: vec![0] });
    let (mut by_fit, mut by_hand, mut without) = (net.clone(), net.clone(), net.clone());
    let history = fit().weight_rules(rules.clone()).epochs(3).run(&mut by_fit, &x, &y).unwrap();
    let (mut tape, mut gradients, mut sgd) = (Tape::new(), recurrent::Gradients::new(&by_hand), Sgd::new(0.1));
    let mut losses = Vec::new();
    for _ in 0..3 {
        let output = by_hand.run(&x, recurrent::Run::new().record(&mut tape)).unwrap();
        let (loss, d) = Loss::MeanSquaredError.with_gradient(output.last(), &y).unwrap();
        gradients.clear();
        by_hand.backward(&mut tape, recurrent::OutputGradient::new().last(&d), &mut gradients).unwrap();
        losses.push(f64::from(loss + rules.regularize(&by_hand, &mut gradients).unwrap()));
        sgd.step(&mut by_hand, &gradients).unwrap();
        rules.constrain(&mut by_hand).unwrap();
    }
    let given = history.get("loss").unwrap();
    assert!(given.iter().zip(&losses).all(|(a, b)| (a - b).abs() < 1e-6 * b), "{given:?}, not {losses:?}");
    for (path, weight) in by_hand.weights() {
        let fitted = by_fit.weight(&path.to_string()).unwrap();
        assert!(weight.iter().zip(&fitted).all(|(a, b)| (a - b).abs() < 1e-6), "{path}");
    }
    let plain = fit().epochs(3).run(&mut without, &x, &y).unwrap();
    assert!(plain.get("loss").unwrap()[0] < given[0], "the penalty is in the loss");
    // What no weight obeys is refused before anything changes.
    let before = net.forward(&x).unwrap();
    let unknown = WeightRules::new().regularizer("0/kernal", Regularizer::L2 { factor: 0.1 });
    let mut untouched = net.clone();
    let error = refusal(fit().weight_rules(unknown).run(&mut untouched, &x, &y)).to_string();
    assert!(error.contains("0/kernal") && error.contains("0/kernel"), "{error}");
    assert_eq!(untouched.forward(&x).unwrap(), before);
}

/// An accuracy that rises is no plateau, though it doesn't fall.
#[test]
fn a_plateau_of_what_should_rise() {
    let mut dense = Dense::<f64>::builder(1, 1).activation(recurrent::Activation::Sigmoid).build().unwrap();
    dense.set_weights(&[("kernel", array![[-1.0]].view().into_dyn())]).unwrap();
    // All wrong in the first epoch, and right from its one update on.
    let x = array![[[-2.0]], [[-1.0]], [[1.0]], [[2.0]]];
    let y = x.mapv(|x: f64| if x > 0.0 { 1.0 } else { 0.0 });
    let run = |plateau: ReduceLrOnPlateau| {
        let mut net = dense.clone();
        let mut fit = Fit::new(Loss::BinaryCrossentropy { from_logits: false }, Sgd::new(100.0))
            .metric(Metric::BinaryAccuracy { threshold: 0.5 })
            .epochs(3)
            .reduce_lr_on_plateau("binary_accuracy", plateau.patience(2).factor(0.5));
        let history = fit.run(&mut net, &x, &y).unwrap();
        assert_eq!(history.get("binary_accuracy").unwrap(), [0.0, 1.0, 1.0]);
        fit.optimizer().learning_rate()
    };
    assert_eq!(run(ReduceLrOnPlateau::new()), 100.0);
    assert_eq!(run(ReduceLrOnPlateau::new().mode(MonitorMode::Min)), 50.0);
}

/// A run in two parts is the whole, if dropout and the optimizer go on.
#[test]
fn two_runs_are_one() {
    let (x, y) = data();
    let gru = Gru::<f32>::builder(3, 4).dropout(0.3).recurrent_dropout(0.2).build().unwrap();
    let net = Stacked::builder().layer(gru).layer(Dense::new(4, 2)).build().unwrap();
    let make = || Fit::new(Loss::LogCosh, Adam::new(0.01)).batch_size(3).shuffle_each_epoch(5);
    let (mut whole, mut parts, mut third) = (net.clone(), net.clone(), net);
    let all = make().epochs(4).run(&mut whole, &x, &y).unwrap();
    let mut first = make().epochs(2);
    first.run(&mut parts, &x, &y).unwrap();
    let seeds = first.dropout_seeds().unwrap().clone();
    let mut second = Fit::new(Loss::LogCosh, first.into_optimizer()).batch_size(3).shuffle_each_epoch(5);
    second = second.seeds(seeds).initial_epoch(2).epochs(4);
    let rest = second.run(&mut parts, &x, &y).unwrap();
    assert_eq!(all.get("loss").unwrap()[2..], *rest.get("loss").unwrap());
    assert_eq!(whole.forward(&x).unwrap(), parts.forward(&x).unwrap());
    // Batches of one's own, in the same order.
    let rows: Vec<usize> = (0..10).collect();
    let mut by_batches = Fit::new(Loss::LogCosh, Adam::new(0.01)).epochs(2);
    let batches = |_| rows.chunks(3).map(|rows| (x.select(Axis(0), rows), y.select(Axis(0), rows)));
    let ours = by_batches.run_batches(&mut third.clone(), batches).unwrap();
    let given = Fit::new(Loss::LogCosh, Adam::new(0.01)).epochs(2).batch_size(3).run(&mut third, &x, &y).unwrap();
    assert_eq!(ours, given);
    let error = refusal(by_batches.batch_size(3).run_batches(&mut third, batches)).to_string();
    assert_eq!(error, "batch_size must be left out where batches are given, got some");
}

/// Lengths, the mask that says the same, and rows cut in buckets.
#[test]
fn ragged_rows() {
    let x = data().0;
    let y = Array3::from_shape_fn((10, 6, 2), |(b, t, k)| ((b + 2 * t + k) % 5) as f32 / 4.0);
    let lengths = [6, 2, 5, 1, 3, 6, 4, 4, 2, 5];
    let mask = Array2::from_shape_fn((10, 6), |(row, t)| t < lengths[row]);
    let both = Bidirectional::new(Lstm::<f32>::builder(3, 4).return_sequences(true)).unwrap();
    let net = Stacked::builder().layer(both).layer(Dense::new(8, 2)).build().unwrap();
    let run = |fit: OfNet, data: &Dataset<'_, f32>| {
        let mut net = net.clone();
        fit.epochs(2).run_on(&mut net, data).unwrap()
    };
    let padded = Dataset::new(&x, &y);
    let by_length = run(fit().batch_size(4), &padded.clone().lengths(&lengths));
    assert_eq!(by_length, run(fit().batch_size(4), &padded.clone().mask(&mask)));
    assert_ne!(by_length, run(fit().batch_size(4), &padded));
    // All rows in one batch: buckets change the order alone.
    let near = |a: &History, b: &History| {
        let pairs = a.get("loss").unwrap().iter().zip(b.get("loss").unwrap());
        pairs.clone().count() == 2 && pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6)
    };
    let ragged = padded.lengths(&lengths);
    let cut = run(fit().bucket_by_length(&lengths), &ragged);
    assert!(near(&cut, &run(fit(), &ragged)));
    let mut batches = 0;
    let bucketed = Fit::new(Loss::MeanSquaredError, Sgd::new(0.1)).bucket_by_length(&lengths).batch_size(3);
    let mut bucketed = bucketed.shuffle(1).on_update(|_| {
        batches += 1;
        ControlFlow::Continue(())
    });
    bucketed.run_on(&mut net.clone(), &ragged).unwrap();
    drop(bucketed);
    assert_eq!(batches, 4);
    let mut ids = x.map_axis(Axis(2), |f| (f[0] * 8.0 + 5.0) as i32 + 1);
    ids.indexed_iter_mut().filter(|((row, t), _)| *t >= lengths[*row]).for_each(|(_, id)| *id = 0);
    let model: Model<f32> = Sequential::builder("m")
        .layer(Embedding::builder(20, 3).mask_zero(true).build().unwrap())
        .layer(Lstm::builder(3, 4).return_sequences(true).build().unwrap())
        .layer(Dense::new(4, 2))
        .build()
        .unwrap();
    let whole = fit().run(&mut model.clone(), &ids, &y).unwrap();
    let cut = fit().bucket_by_length(&lengths).run(&mut model.clone(), &ids, &y).unwrap();
    assert!((whole.get("loss").unwrap()[0] - cut.get("loss").unwrap()[0]).abs() < 1e-6);
}

#[test]
fn early_stopping_by_keras_s_rules() {
    // A learning rate that makes it worse from the first epoch on.
    let ((x, y), net) = (data(), net());
    let run = |rule: EarlyStopping| {
        let mut net = net.clone();
        let fit = Fit::new(Loss::MeanSquaredError, Sgd::new(1.5).momentum(0.9));
        let history = fit.epochs(30).early_stopping(rule).run(&mut net, &x, &y).unwrap();
        (history, net)
    };
    let (history, _) = run(EarlyStopping::new("loss").patience(2));
    let losses = history.get("loss").unwrap();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let (stopped, at) = (history.stopped_epoch().unwrap(), history.best_epoch().unwrap());
    assert_eq!((losses.len(), stopped, losses[at - 1]), (stopped, at + 2, best));
    let never = run(EarlyStopping::new("loss").mode(MonitorMode::Max).patience(30)).0;
    assert_eq!((never.epochs(), never.stopped_epoch()), (30, None));
    // No step is large enough.
    assert_eq!(run(EarlyStopping::new("loss").min_delta(1e9).patience(3)).0.epochs(), 4);
    // What can't be beaten: epochs count from the first on, until one isn't better.
    let beaten = |epoch: usize| losses[epoch - 1] >= losses[..epoch - 1].iter().copied().fold(f64::INFINITY, f64::min);
    let first = (3..).find(|&epoch| beaten(epoch));
    assert_eq!(run(EarlyStopping::new("loss").baseline(-1.0).patience(3)).0.stopped_epoch(), first);
    let late = run(EarlyStopping::new("loss").min_delta(1e9).start_from_epoch(5)).0;
    assert_eq!((late.epochs(), late.best_epoch()), (7, Some(6)));
    let (restored, net) = run(EarlyStopping::new("loss").patience(2).restore_best_weights(true));
    assert_eq!(restored, history);
    // All rows are one batch: the best epoch's weights give the loss of the epoch behind it.
    let logs = fit().evaluate(&net, &Dataset::new(&x, &y)).unwrap();
    assert!((logs[0].1 - losses[at]).abs() < 1e-5 * losses[at], "{logs:?}, not {}", losses[at]);
    assert!(losses[at] > 1.01 * best, "the weights of other epochs must give other losses");
}
