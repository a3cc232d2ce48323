//! Whole models in training: what is drawn and moved, what goes on, and what is refused.

use ndarray::prelude::*;
use recurrent::training::*;
use recurrent::{
    Dense, Error, Gradients, Gru, Layer, Lstm, Masking, Model, Run, SeedSource, Sequential, file, keras, ops,
};

fn refusal<T>(result: recurrent::Result<T>) -> Error {
    result.err().expect("it must be refused")
}

/// A model with everything that does something else in training.
fn model() -> Model<f32> {
    let seeds = &mut SeedSource::keras(7);
    Sequential::builder("m")
        .layer(Masking::new(0.0).unwrap())
        .layer(Gru::builder(3, 4).dropout(0.3).return_sequences(true).seeds(seeds).build().unwrap())
        .named("norm", ops::BatchNormalization::new(4).unwrap().momentum(0.75))
        .named("drop", ops::Dropout::builder(0.4).noise_shape([None, Some(1), None]).seeds(seeds).build().unwrap())
        .named("noise", ops::Dropout::gaussian_noise(0.1).seeds(seeds).build().unwrap())
        .layer(Lstm::builder(4, 3).recurrent_dropout(0.2).seeds(seeds).build().unwrap())
        .named("head", Dense::builder(3, 2).seeds(seeds).build().unwrap())
        .build()
        .unwrap()
}

fn data() -> (Array3<f32>, Array2<f32>) {
    let live = |b: usize, t: usize| t < 3 + b % 4;
    let number = |b: usize, t: usize, f: usize| ((5 * b + 3 * t + 7 * f) % 11) as f32 / 8.0 - 0.6;
    let x = Array3::from_shape_fn((10, 6, 3), |(b, t, f)| if live(b, t) { number(b, t, f) } else { 0.0 });
    (x, Array2::from_shape_fn((10, 2), |(b, k)| ((3 * b + k) % 5) as f32 / 4.0))
}

fn fit() -> Fit<'static, f32, Adam<f32>> {
    Fit::new(Loss::MeanSquaredError, Adam::new(0.02)).batch_size(4).shuffle_each_epoch(5).validation_split(0.3)
}

fn bits(model: &Model<f32>) -> Vec<(String, Vec<u32>)> {
    let bits = |weight: ArrayViewD<'_, f32>| weight.iter().map(|w| w.to_bits()).collect();
    model.weights().into_iter().map(|(path, weight)| (path, bits(weight))).collect()
}

/// Masks, weights and statistics go on from a checkpoint, and early stopping brings the best statistics back.
#[test]
fn a_paused_run_goes_on_with_the_same_bits() {
    let folder = std::env::temp_dir().join(format!("model-training-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (path, (x, y), begun) = (folder.join("run.safetensors"), data(), model());
    let stop = EarlyStopping::new("val_loss").mode(MonitorMode::Max).patience(9).restore_best_weights(true);
    let fit = || fit().early_stopping(stop.clone());
    let mut whole = begun.clone();
    let all = fit().epochs(6).run(&mut whole, &x, &y).unwrap();
    let mut paused = begun.clone();
    fit().epochs(2).checkpoint(&path).run(&mut paused, &x, &y).unwrap();
    let mut again = begun.clone();
    let history = fit().epochs(6).resume(&path, &mut again).unwrap().run(&mut again, &x, &y).unwrap();
    assert_eq!(history.get("loss").unwrap(), &all.get("loss").unwrap()[2..]);
    assert_eq!(bits(&again), bits(&whole));
    // The best epoch isn't the last one, and its statistics aren't the last ones.
    let best = all.best_epoch().unwrap();
    let mut short = begun.clone();
    self::fit().epochs(best).run(&mut short, &x, &y).unwrap();
    assert!(best < 6);
    assert_eq!(bits(&short), bits(&whole));
    std::fs::remove_dir_all(folder).unwrap();
}

/// A model that comes back from a file trains on as the one that was saved: seeds, rates and momentum are in it.
#[test]
fn files_keep_what_training_needs() {
    let (x, y) = data();
    let mut model = model();
    fit().epochs(1).run(&mut model, &x, &y).unwrap();
    let own: Model<f32> = file::from_bytes(&file::to_bytes(&model).unwrap()).unwrap();
    let bytes = keras::to_bytes(&model).unwrap();
    let from_keras = keras::File::from_bytes("m.keras", bytes, &keras::Options::default()).unwrap().model().unwrap();
    fit().epochs(2).run(&mut model, &x, &y).unwrap();
    for mut other in [own, from_keras] {
        fit().epochs(2).run(&mut other, &x, &y).unwrap();
        let values = |model: &Model<f32>| bits(model).into_iter().map(|(_, values)| values).collect::<Vec<_>>();
        assert_eq!(values(&other), values(&model));
    }
}

/// Only training draws and moves; what it has moved by is used once.
#[test]
fn inference_and_records_leave_all_as_it_is() {
    let (x, y) = data();
    let mut model = model();
    let before = bits(&model);
    let (mut tape, mut gradients, mut seeds) = (Tape::new(), Gradients::new(&model), model.seeds());
    let expected = model.predict(&[(&x).into()]).unwrap();
    assert_eq!(model.record(&[(&x).into()], &mut tape).unwrap(), expected);
    assert_eq!(refusal(model.update_statistics(&mut tape)), Error::TapeSpent);
    assert_eq!(model.seeds().states().len(), 4);
    let trained = model.record_training(&[(&x).into()], &mut tape, &mut seeds).unwrap();
    assert_ne!(trained, expected);
    assert_eq!(seeds.states().iter().map(|state| state.n).collect::<Vec<_>>(), [1, 1, 1, 4]);
    let (_, d) = Loss::MeanSquaredError.with_gradient(&trained[0], &y.into_dyn()).unwrap();
    model.backward(&mut tape, &[&d], &mut gradients).unwrap();
    assert_eq!(bits(&model), before);
    model.update_statistics(&mut tape).unwrap();
    let changed: Vec<_> = bits(&model).into_iter().zip(&before).filter(|(new, old)| new != *old).collect();
    let changed: Vec<&str> = changed.iter().map(|((path, _), _)| path.as_str()).collect();
    assert_eq!(changed, ["norm/moving_mean", "norm/moving_variance"]);
    assert_eq!(refusal(model.update_statistics(&mut tape)), Error::TapeSpent);
    assert_eq!(refusal(model.update_statistics(&mut Tape::new())), Error::TapeEmpty);
    // Neither does a stream.
    let mut stream = model.stream(10).unwrap();
    let mut last = Array2::zeros((10, 2));
    for step in x.axis_iter(Axis(1)) {
        last = stream.step(&[(&step.to_owned()).into()]).unwrap()[0].clone().into_dimensionality().unwrap();
    }
    assert_eq!(last.into_dyn(), model.predict_one(&x).unwrap());
}

/// As Keras's `trainable=False`.
#[test]
fn a_layer_that_is_not_trained_keeps_its_statistics() {
    let (x, y) = data();
    let mut graph = Model::<f32>::builder("m");
    let input = graph.input("x", [None, Some(3)]).unwrap();
    let norm = graph.call("norm", ops::BatchNormalization::new(3).unwrap(), &[input]).unwrap();
    let last = graph.call("gru", Gru::new(3, 2), &norm).unwrap();
    let mut model = graph.build(&last).unwrap();
    model.set_trainable("norm", false).unwrap();
    let (mut tape, mut seeds) = (Tape::new(), model.seeds());
    let trained = model.record_training(&[(&x).into()], &mut tape, &mut seeds).unwrap();
    assert_eq!(trained, model.predict(&[(&x).into()]).unwrap());
    fit().run(&mut model, &x, &y).unwrap();
    assert!(model.weight("norm/moving_mean").unwrap().iter().all(|mean| *mean == 0.0));
}

/// Finite differences, with masked steps and without.
#[test]
fn gradients_by_the_batch() {
    let (x, y) = data();
    let (x, y) = (x.mapv(f64::from), y.mapv(f64::from).into_dyn());
    for masked in [false, true] {
        let seeds = &mut SeedSource::keras(3);
        let mut graph = Model::<f64>::builder("m");
        let input = graph.input("x", [None, Some(3)]).unwrap();
        let hidden =
            if masked { graph.call("masking", Masking::new(0.0).unwrap(), &[input]).unwrap()[0] } else { input };
        let norm = ops::BatchNormalization::new(3).unwrap();
        let hidden = graph.call("norm", norm, &[hidden]).unwrap();
        let drop = ops::Dropout::alpha(0.3).seeds(seeds).build().unwrap();
        let hidden = graph.call("drop", drop, &hidden).unwrap();
        let gru = Gru::builder(3, 2).seeds(seeds).build().unwrap();
        let output = graph.call("gru", gru, &hidden).unwrap();
        let mut model = graph.build(&output).unwrap();
        let gamma = array![0.5, 1.5, -0.75].into_dyn();
        model.set_weights(&[("norm/gamma", gamma.view())]).unwrap();
        let loss = |model: &Model<f64>, x: &Array3<f64>, tape: &mut Tape<f64>| {
            let outputs = model.record_training(&[x.into()], tape, &mut model.seeds()).unwrap();
            Loss::MeanSquaredError.with_gradient(&outputs[0], &y).unwrap()
        };
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&model));
        let (_, d) = loss(&model, &x, &mut tape);
        model.backward(&mut tape, &[&d], &mut gradients).unwrap();
        let step = 1e-5;
        let check = |what: &str, ours: f64, above: f64, below: f64| {
            let theirs = (above - below) / (2.0 * step);
            assert!((ours - theirs).abs() < 1e-8, "{what}, masked {masked}: {ours}, by differences {theirs}");
        };
        for at in [(0, 0, 0), (3, 2, 1), (7, 1, 2), (9, 0, 1)] {
            let moved = |by: f64| {
                let mut x = x.clone();
                x[at] += by;
                loss(&model, &x, &mut Tape::new()).0
            };
            check("the input", gradients.input_at(0).unwrap()[[at.0, at.1, at.2]], moved(step), moved(-step));
        }
        for (path, place) in [("norm/gamma", 1), ("norm/beta", 2)] {
            let moved = |by: f64| {
                let mut model = model.clone();
                let mut weight = model.weight(path).unwrap().to_owned();
                weight[[place]] += by;
                model.set_weights(&[(path, weight.view())]).unwrap();
                loss(&model, &x, &mut Tape::new()).0
            };
            check(path, gradients.get(path).unwrap()[[place]], moved(step), moved(-step));
        }
    }
}

fn stateful() -> Model<f32> {
    let seeds = &mut SeedSource::keras(7);
    let gru = Gru::builder(3, 4).dropout(0.3).seeds(seeds).build().unwrap();
    Sequential::builder("m")
        .named("kept", recurrent::model::AnyLayer::from(gru).stateful())
        .layer(Dense::builder(4, 2).seeds(seeds).build().unwrap())
        .build()
        .unwrap()
}

/// The states are in the checkpoint, and go on from run to run; without them the bits are others.
#[test]
fn a_paused_run_of_a_stateful_model_goes_on() {
    let folder = std::env::temp_dir().join(format!("stateful-training-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (path, (x, y), begun) = (folder.join("run.safetensors"), data(), stateful());
    let fit = || Fit::new(Loss::MeanSquaredError, Adam::new(0.02)).batch_size(5);
    let (mut whole, mut twice, mut paused, mut again) = (begun.clone(), begun.clone(), begun.clone(), begun.clone());
    let mut all = fit().epochs(4);
    all.run(&mut whole, &x, &y).unwrap();
    let mut halves = fit().epochs(2).checkpoint(&path);
    halves.run(&mut twice, &x, &y).unwrap();
    halves.run(&mut twice, &x, &y).unwrap();
    assert_eq!(bits(&twice), bits(&whole));
    assert_eq!(halves.model_state(), all.model_state());

    fit().epochs(2).checkpoint(&path).run(&mut paused, &x, &y).unwrap();
    fit().epochs(4).resume(&path, &mut again).unwrap().run(&mut again, &x, &y).unwrap();
    assert_eq!(bits(&again), bits(&whole));

    let mut reset = begun.clone();
    let mut each = fit().epochs(4).reset_states(true);
    each.run(&mut reset, &x, &y).unwrap();
    assert_ne!(bits(&reset), bits(&whole));
    // Of another model, found at its first batch; what keeps nothing takes none.
    let error = refusal(fit().state(all.model_state().unwrap().clone()).run(&mut stateful_lstm(), &x, &y));
    assert!(matches!(error, Error::StateLayout { .. }), "{error}");
    let error = refusal(fit().state(all.model_state().unwrap().clone()).run(&mut model(), &x, &y));
    assert!(matches!(error, Error::StateLayout { .. }), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}

fn stateful_lstm() -> Model<f32> {
    let lstm = Lstm::builder(3, 2).seeds(&mut SeedSource::keras(7)).build().unwrap();
    Sequential::builder("m").layer(recurrent::model::AnyLayer::from(lstm).stateful()).build().unwrap()
}

/// A loop of one's own keeps the state itself, with the bits of `Fit`.
#[test]
fn a_loop_of_ones_own_keeps_the_states() {
    let ((x, y), mut fitted, mut own) = (data(), stateful(), stateful());
    let mut fit = Fit::new(Loss::MeanSquaredError, Sgd::new(0.1)).batch_size(5).epochs(2);
    fit.run(&mut fitted, &x, &y).unwrap();
    let (mut state, mut seeds, mut tape) = (own.initial_state(5), own.seeds(), Tape::new());
    let (mut gradients, mut optimizer) = (Gradients::new(&own), Sgd::new(0.1));
    for _epoch in 0..2 {
        for (x, y) in x.axis_chunks_iter(Axis(0), 5).zip(y.axis_chunks_iter(Axis(0), 5)) {
            let input = [(&x).into()];
            let outputs = own.record_training_stateful(&mut state, &input, &mut tape, &mut seeds).unwrap();
            let (_, d) = Loss::MeanSquaredError.with_gradient(&outputs[0], &y.into_dyn()).unwrap();
            gradients.clear();
            own.backward(&mut tape, &[&d], &mut gradients).unwrap();
            optimizer.step(&mut own, &gradients).unwrap();
        }
    }
    assert_eq!(bits(&own), bits(&fitted));
    assert_eq!(fit.model_state(), Some(&state));
    // Batches of different sizes can't go on from one another, and without a state nothing is kept.
    let error = refusal(Fit::new(Loss::MeanSquaredError, Sgd::new(0.1)).batch_size(4).run(&mut own, &x, &y));
    assert_eq!(error, Error::StateBatch { expected: 2, given: 4 });
    let error = refusal(own.record_training(&[(&x).into()], &mut Tape::new(), &mut seeds)).to_string();
    assert_eq!(error, "stateful of kept must be false in record_training, got true: see record_training_stateful");
}

#[test]
fn what_would_train_otherwise_is_refused() {
    let (x, y) = data();
    let sequential = |layer: recurrent::model::AnyLayer<f32>| {
        Sequential::builder("m").layer(Gru::builder(3, 4).return_sequences(true).build().unwrap()).named("odd", layer)
    };
    let of = |layer: recurrent::model::AnyLayer<f32>| {
        let mut model = sequential(layer).layer(Gru::new(4, 2)).build().unwrap();
        refusal(fit().run(&mut model, &x, &y)).to_string()
    };
    let error = of(ops::Dropout::gaussian(1.0).seed(1).build().unwrap().into());
    assert_eq!(error, "rate of odd must be below 1, got 1, with which Keras fails");
    let bare = ops::BatchNormalization::new(4).unwrap().scale(false).center(false);
    let error = of(bare.into());
    assert_eq!(error, "scale and center of odd must be one of them true in a model that is trained, got false");
    let lstm = Lstm::<f32>::builder(2, 4).dropout(0.5).build().unwrap();
    let mut graph = Model::builder("m");
    let frames = graph.input("x", [Some(6), Some(3), Some(2)]).unwrap();
    let odd = graph.call("odd", recurrent::model::AnyLayer::from(lstm).for_each_step(), &[frames]).unwrap();
    let error = refusal(fit().run(&mut graph.build(&odd).unwrap(), &x, &y)).to_string();
    assert!(error.starts_with("dropout of odd must be 0 in a recurrent layer inside a TimeDistributed"), "{error}");
    // The seeds of another model.
    let (model, mut seeds) = (model(), DropoutSeeds::default());
    let input = [(&x).into()];
    let refused = |seeds: &mut DropoutSeeds| refusal(model.record_training(&input, &mut Tape::new(), seeds));
    assert_eq!(refused(&mut seeds), Error::SeedsCount { expected: 4, given: 0 });
    let mut other = sequential(ops::Dropout::builder(0.5).seed(3).build().unwrap().into()).build().unwrap().seeds();
    assert_eq!(refused(&mut other), Error::SeedsCount { expected: 4, given: 1 });
    // A layer that was made of a model.
    let mut layer = model.clone().into_layer().unwrap();
    let error = refusal(fit().run(&mut layer, &x, &y)).to_string();
    assert!(error.contains("train the model, not the layer made of it"), "{error}");
    let saved: recurrent::Stacked<f32> = {
        let layer: Box<dyn Layer<f32>> = sequential(ops::Dropout::builder(0.5).seed(3).build().unwrap().into())
            .layer(Gru::new(4, 2))
            .build()
            .unwrap()
            .into_layer()
            .unwrap();
        file::from_bytes(&file::to_bytes(&layer).unwrap()).unwrap()
    };
    let error = refusal(fit().run(&mut saved.clone(), &x, &y)).to_string();
    assert!(error.starts_with("the layer odd must be in the network that is trained"), "{error}");
    saved.run(&x, Run::new()).unwrap();
}

#[test]
fn options_of_noise() {
    let rate = |option, given| Error::DropoutRate { option, given };
    assert_eq!(refusal(ops::Dropout::builder(1.5).build()), rate("rate", 1.5));
    assert_eq!(refusal(ops::Dropout::gaussian_noise(-0.5).build()), rate("stddev", -0.5));
    let shaped = |builder: recurrent::builder::DropoutBuilder<'static>| refusal(builder.noise_shape([Some(1)]).build());
    assert!(matches!(shaped(ops::Dropout::spatial(0.5)), Error::NoiseShape { .. }));
    let zero = ops::Dropout::builder(0.5).noise_shape([None, Some(0)]).build();
    assert_eq!(refusal(zero), Error::NoiseShape { given: "(None, 0)".into() });
    // One that doesn't fit is known when it is used.
    let drop = ops::Dropout::builder(0.5).noise_shape([None, Some(2), None]).seed(1).build().unwrap();
    let mut graph = Model::<f32>::builder("m");
    let input = graph.input("x", [None, Some(3)]).unwrap();
    let output = graph.call("drop", drop, &[input]).unwrap();
    let model = graph.build(&output).unwrap();
    let x = data().0;
    let error = refusal(model.record_training(&[(&x).into()], &mut Tape::new(), &mut model.seeds())).to_string();
    assert!(error.contains("noise_shape of (None, 2, None)"), "{error}");
}
