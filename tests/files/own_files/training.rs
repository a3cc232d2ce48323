//! Training that goes on after a restart, with the same bits.

use super::{bits, same_file};
use ndarray::prelude::*;
use recurrent::file::Saved;
use recurrent::training::*;
use recurrent::*;

/// A few steps, as one run and with a restart in the middle: the same weights.
fn goes_on<O: Optimizer<f32> + Saved + Clone + std::fmt::Debug>(optimizer: O) {
    let layer = Stacked::builder()
        .layer(
            Gru::<f32>::builder(3, 4)
                .return_sequences(true)
                .dropout(0.3)
                .recurrent_dropout(0.2)
                .build()
                .expect("a layer"),
        )
        .layer(Lstm::builder(4, 4).build().expect("a layer"))
        .layer(Dense::new(4, 2))
        .build()
        .expect("a stack");
    let x = Array3::from_shape_fn((2, 5, 3), |(i, j, k)| (i * 15 + j * 3 + k) as f32 / 8.0 - 1.0);
    let target = Array2::<f32>::ones((2, 2));
    let step = |layer: &mut Stacked<f32>, seeds: &mut DropoutSeeds, optimizer: &mut O| {
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(layer));
        let output = layer.run(&x, Run::new().training(seeds).record(&mut tape)).expect("run");
        let (_, d_last) = Loss::MeanSquaredError.with_gradient(output.last(), &target).expect("a loss");
        layer.backward(&mut tape, OutputGradient::new().last(&d_last), &mut gradients).expect("back");
        optimizer.step(layer, &gradients).expect("a step");
    };
    // Saved before the first step, too.
    let mut whole = (layer.clone(), layer.seeds(), same_file(&optimizer));
    (0..7).for_each(|_| step(&mut whole.0, &mut whole.1, &mut whole.2));
    let mut first = (layer.clone(), layer.seeds(), optimizer);
    (0..3).for_each(|_| step(&mut first.0, &mut first.1, &mut first.2));
    let mut second = (same_file(&first.0), same_file(&first.1), same_file(&first.2));
    assert_eq!(second.1, first.1);
    (0..4).for_each(|_| step(&mut second.0, &mut second.1, &mut second.2));
    assert_eq!(bits(&second.0), bits(&whole.0), "{:?}", first.2);
    // From its first step on it is this layer's.
    let mut other = Dense::<f32>::new(3, 4);
    let gradients = Gradients::new(&other);
    let loaded: &mut O = &mut same_file(&first.2);
    assert_eq!(loaded.step(&mut other, &gradients), Err(Error::GradientsLayer));
    step(&mut first.0, &mut first.1, loaded);
    let mut clone = Stacked::builder().layer(same_file(&first.0)).build().expect("a stack");
    let gradients = Gradients::new(&clone);
    assert_eq!(loaded.step(&mut clone, &gradients), Err(Error::GradientsLayer));
}

#[test]
fn adam() {
    goes_on(Adam::new(0.05));
    goes_on(Adam::new(0.01).beta_1(0.8).beta_2(0.99).epsilon(1e-4).amsgrad(true).clipnorm(0.5).weight_decay(0.1));
    goes_on(Adam::new(0.1).use_ema(true).ema_momentum(0.5).ema_overwrite_frequency(3).gradient_accumulation_steps(2));
}

#[test]
fn sgd() {
    goes_on(Sgd::new(0.1));
    goes_on(Sgd::new(0.05).momentum(0.9).nesterov(true).clipvalue(0.1).loss_scale_factor(2.0));
    goes_on(Sgd::new(0.05).momentum(0.5).global_clipnorm(1.0).use_ema(true));
}

#[test]
fn the_other_optimizers() {
    goes_on(AdamW::new(0.05));
    goes_on(RmsProp::new(0.05));
    goes_on(RmsProp::new(0.05).rho(0.8).momentum(0.5).centered(true).epsilon(1e-3));
    goes_on(Nadam::new(0.05).beta_1(0.8).beta_2(0.9).epsilon(1e-4).gradient_accumulation_steps(2));
    goes_on(Adamax::new(0.05).beta_1(0.8).beta_2(0.9).epsilon(1e-4));
    goes_on(Adagrad::new(0.05).initial_accumulator_value(0.3).epsilon(1e-4));
    goes_on(Lion::new(0.01).beta_1(0.8).beta_2(0.7));
}

#[test]
fn scheduled_ones() {
    let schedules: [Schedule; 6] = [
        CosineDecay::new(0.01, 5).alpha(0.1).warmup(0.1, 2).into(),
        CosineDecayRestarts::new(0.1, 3).t_mul(1.5).m_mul(0.5).alpha(0.1).into(),
        ExponentialDecay::new(0.1, 2, 0.5).staircase(true).into(),
        InverseTimeDecay::new(0.1, 2, 0.5).into(),
        PiecewiseConstantDecay::new(&[1, 4], &[0.1, 0.05, 0.01]).into(),
        PolynomialDecay::new(0.1, 4).end_learning_rate(0.01).power(2.0).cycle(true).into(),
    ];
    for schedule in schedules {
        let scheduled = Scheduled::new(RmsProp::<f32>::new(0.3), schedule);
        assert_eq!(same_file(&scheduled).schedule(), scheduled.schedule());
        goes_on(scheduled);
    }
    goes_on(Scheduled::new(Adam::new(0.1), CosineDecay::new(0.01, 5)));
    // Of another optimizer.
    let bytes = file::to_bytes(&Scheduled::new(Adam::<f32>::new(0.1), CosineDecay::new(0.01, 5))).expect("bytes");
    let error = file::from_bytes::<Scheduled<Sgd<f32>>>(&bytes).unwrap_err().to_string();
    assert!(error.contains("Sgd") && error.contains("Adam"), "{error}");
    let error = file::from_bytes::<Adam<f32>>(&bytes).unwrap_err().to_string();
    assert!(error.contains("Scheduled<Adam<f32>>"), "{error}");
}

#[test]
fn plateaus() {
    let mut sgd = Sgd::<f32>::new(0.5);
    let mut plateau = ReduceLrOnPlateau::new().factor(0.5).patience(2).cooldown(1).min_delta(0.01).min_lr(0.1);
    plateau = plateau.mode(MonitorMode::Max);
    assert_eq!(same_file(&plateau), plateau);
    for accuracy in [0.5, 0.4, 0.3, 0.2, 0.1] {
        plateau.update(accuracy, &mut sgd).expect("an update");
        assert_eq!(same_file(&plateau), plateau);
    }
    assert_eq!(sgd.learning_rate(), 0.125);
}

/// Gradients that add up over calls, saved between two of them: of an embedding, whose rows came one by one, too.
#[test]
fn gradients_that_add_up() {
    let model =
        Sequential::<f32>::builder("m").layer(Embedding::new(7, 3)).layer(Gru::new(3, 4)).build().expect("a model");
    let back = |gradients: &mut Gradients<f32>, ids: &Array2<i32>| {
        let mut tape = Tape::new();
        let outputs = model.record(&[ids.into()], &mut tape).expect("recorded");
        model.backward(&mut tape, &[&outputs[0]], gradients).expect("gradients");
    };
    let (first, second) = (array![[3, 1, 3], [0, 5, 6]], array![[1, 1, 2], [6, 6, 6]]);
    let mut whole = Gradients::new(&model);
    back(&mut whole, &first);
    let mut again: Gradients<f32> = same_file(&whole);
    for (name, gradient) in whole.iter() {
        assert_eq!(again.get(name).expect("there"), gradient, "{name}");
    }
    back(&mut whole, &second);
    back(&mut again, &second);
    assert_eq!(again, whole);
    // Keras squares and clips the rows before it adds them up: they are there.
    let step = |gradients: &Gradients<f32>| {
        let (mut model, mut optimizer) = (model.clone(), Adam::new(0.1).clipnorm(0.01));
        optimizer.step(&mut model, gradients).expect("a step");
        model.weights().into_iter().map(|(_, weight)| weight.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(step(&again), step(&whole));
    let layer = Lstm::<f64>::new(2, 3);
    let gradients = Gradients::new(&layer).without_input();
    assert_eq!(same_file(&gradients), gradients);
}
