//! The backward pass: tapes, gradients, optimizers that don't belong together.

use ndarray::prelude::*;
use recurrent::training::{
    Adagrad, Adam, AdamW, Adamax, Constraint, CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay,
    Lion, Loss, Nadam, Optimizer, OrthogonalMode, PiecewiseConstantDecay, PolynomialDecay, Reach, ReduceLrOnPlateau,
    Regularizer, RmsProp, Schedule, Scheduled, Sgd, Tape, TruncatedBptt, WeightRules,
};
use recurrent::{
    Activation, Bidirectional, Cell, Dense, Embedding, Error, Float, Gradients, Gru, Layer, Lstm, OutputGradient,
    OutputMut, Recurrent, Run, Stacked, StateLayout, WeightVisitor, WeightVisitorMut, cell::Step,
};

use super::refusal;

fn lstm() -> Lstm {
    Lstm::builder(3, 4).return_sequences(true).build().unwrap()
}

#[test]
fn tapes() {
    let (layer, other, x) = (lstm(), lstm(), Array3::ones((2, 5, 3)));
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&layer));
    let before = gradients.clone();
    let d = Array2::ones((2, 4));
    let up = || OutputGradient::new().last(&d);
    assert_eq!(refusal(layer.backward(&mut tape, up(), &mut gradients)), Error::TapeEmpty);
    layer.run(&x, Run::new().record(&mut tape)).unwrap();
    assert_eq!(refusal(other.backward(&mut tape, up(), &mut gradients)), Error::TapeLayer);
    assert_eq!(gradients, before);
    layer.backward(&mut tape, up(), &mut gradients).unwrap();
    let after = gradients.clone();
    assert_eq!(refusal(layer.backward(&mut tape, up(), &mut gradients)), Error::TapeSpent);
    assert_eq!(gradients, after);
}

#[test]
fn gradients_of_another_layer_or_shape() {
    let (layer, x) = (lstm(), Array3::ones((2, 5, 3)));
    let mut tape = Tape::new();
    let record = |tape: &mut Tape<f32>| drop(layer.run(&x, Run::new().record(tape)).unwrap());
    record(&mut tape);
    let nothing = OutputGradient::new();
    let mut wrong = Gradients::new(&Gru::<f32>::new(3, 4));
    assert_eq!(refusal(layer.backward(&mut tape, nothing, &mut wrong)), Error::GradientsLayer);
    let mut gradients = Gradients::new(&layer);
    let before = gradients.clone();
    let shape = |what, expected: &[usize], given: &[usize]| Error::OutputShape {
        what,
        expected: expected.to_vec(),
        given: given.to_vec(),
    };
    let d = Array3::ones((2, 4, 4));
    let error = refusal(layer.backward(&mut tape, OutputGradient::new().sequence(&d), &mut gradients));
    assert_eq!(error, shape("sequence", &[2, 5, 4], &[2, 4, 4]));
    let d = Array2::ones((2, 3));
    let error = refusal(layer.backward(&mut tape, OutputGradient::new().last(&d), &mut gradients));
    assert_eq!(error, shape("last", &[2, 4], &[2, 3]));
    let state = layer.initial_state(3);
    let error = refusal(layer.backward(&mut tape, OutputGradient::new().state(&state), &mut gradients));
    assert_eq!(error, Error::StateBatch { expected: 2, given: 3 });
    let state = Gru::new(3, 4).initial_state(2);
    let error = refusal(layer.backward(&mut tape, OutputGradient::new().state(&state), &mut gradients));
    assert_eq!(error, Error::StateLayout { expected: "h (4), c (4)".into(), given: "h (4)".into() });
    assert_eq!(gradients, before);
    // After all these refusals the tape is still good.
    layer.backward(&mut tape, nothing, &mut gradients).unwrap();

    let error = refusal(gradients.get("kernels").map(|_| ()));
    assert!(matches!(error, Error::UnknownName { what: "gradient", known, .. } if known.len() == 3));
    let error = refusal(Gradients::new(&layer).without_input().input().map(|_| ()));
    assert!(matches!(error, Error::NotRequested { what: "input's gradient", .. }));
}

#[test]
fn optimizers() {
    let mut layer = lstm();
    let weights =
        |layer: &Lstm| -> Vec<ArrayD<f32>> { layer.weights().into_iter().map(|(_, array)| array.to_owned()).collect() };
    let before = weights(&layer);
    let wrong = Gradients::new(&Gru::<f32>::new(3, 4));
    assert_eq!(refusal(Sgd::new(0.1).step(&mut layer, &wrong)), Error::GradientsLayer);
    assert_eq!(refusal(Adam::new(0.1).step(&mut layer, &wrong)), Error::GradientsLayer);
    // An optimizer that has already learned another layer's shapes.
    let mut adam = Adam::new(0.1);
    let mut gru = Gru::<f32>::new(3, 4);
    adam.step(&mut gru, &wrong).unwrap();
    let own = Gradients::new(&layer);
    assert_eq!(refusal(adam.step(&mut layer, &own)), Error::GradientsLayer);
    assert_eq!(adam.iterations(), 1);
    assert_eq!(weights(&layer), before);
    // A refusal teaches it nothing: it then takes the layer that it was meant for.
    let mut adam = Adam::new(0.1);
    refusal(adam.step(&mut layer, &wrong));
    adam.step(&mut layer, &own).unwrap();
}

#[test]
fn optimizers_of_several_parts() {
    let (mut layer, mut embedding) = (Lstm::<f64>::new(3, 4), Embedding::new(7, 3));
    let table = embedding.embeddings().to_owned();
    let (mut of_layer, mut of_table) = (Gradients::new(&layer), Gradients::new(&embedding));
    of_layer.iter_mut().for_each(|(_, mut gradient)| gradient.fill(1.0));
    of_table.iter_mut().for_each(|(_, mut gradient)| gradient.fill(1.0));
    let mut sgd = Sgd::new(0.5);
    let error = refusal(sgd.step_all(&mut [(&mut embedding, &of_table), (&mut layer, &of_table)]));
    assert_eq!(error, Error::GradientsLayer);
    assert_eq!(embedding.embeddings(), table);
    sgd.step_all(&mut [(&mut embedding, &of_table), (&mut layer, &of_layer)]).unwrap();
    assert_eq!(embedding.embeddings(), &table - 0.5);
    // The parts are always the same ones, in the same order.
    let error = refusal(sgd.step_all(&mut [(&mut layer, &of_layer), (&mut embedding, &of_table)]));
    assert_eq!(error, Error::GradientsLayer);
    assert_eq!(refusal(sgd.step(&mut layer, &of_layer)), Error::GradientsLayer);
    let averaged = Sgd::new(0.5).use_ema(true);
    averaged.finalize_variable_values(&mut [&mut layer]).unwrap(); // there are none yet
    let mut averaged = averaged;
    averaged.step(&mut layer, &of_layer).unwrap();
    assert_eq!(refusal(averaged.finalize_variable_values(&mut [&mut embedding])), Error::GradientsLayer);
}

#[test]
fn options_of_optimizers() {
    let (mut layer, gradients) = (lstm(), Gradients::new(&lstm()));
    let before = layer.weight("kernel").unwrap().to_owned();
    let sgd = || Sgd::<f32>::new(0.1);
    let nan = f64::NAN;
    for (mut optimizer, option, expected, given) in [
        (sgd().momentum(1.5), "momentum", "in 0..=1", 1.5),
        (sgd().momentum(-0.1), "momentum", "in 0..=1", -0.1),
        (sgd().clipnorm(0.0), "clipnorm", "above 0", 0.0),
        (sgd().clipvalue(-1.0), "clipvalue", "above 0", -1.0),
        (sgd().global_clipnorm(-2.0), "global_clipnorm", "above 0", -2.0),
        (sgd().ema_momentum(1.01), "ema_momentum", "in 0..=1", 1.01),
        (sgd().ema_overwrite_frequency(0), "ema_overwrite_frequency", "at least 1", 0.0),
        (sgd().gradient_accumulation_steps(1), "gradient_accumulation_steps", "at least 2", 1.0),
    ] {
        let error = refusal(optimizer.step(&mut layer, &gradients));
        assert_eq!(error, Error::OptimizerOption { option, expected, given });
    }
    let mut optimizer = sgd().clipnorm(nan);
    let error = refusal(optimizer.step(&mut layer, &gradients));
    assert!(matches!(error, Error::OptimizerOption { option: "clipnorm", given, .. } if given.is_nan()));
    let mut both = Adam::new(0.1).clipnorm(1.0).clipvalue(2.0);
    assert_eq!(refusal(both.validate()), Error::OptimizerClips);
    assert_eq!(refusal(both.step(&mut layer, &gradients)), Error::OptimizerClips);
    assert_eq!(layer.weight("kernel").unwrap(), before);
}

/// A number of an optimizer: how it is set, and which values are sound.
struct Number<T> {
    option: &'static str,
    set: fn(f64) -> Box<dyn Optimizer<T>>,
    sound: &'static [f64],
    unsound: &'static [f64],
}

fn numbers<T: Float>() -> Vec<Number<T>> {
    const FACTORS: &[f64] = &[0.0, 1e-30, 0.01, 3.0];
    const NO_FACTORS: &[f64] = &[-1e-30, -1.0, 1e39, 1e300];
    const POSITIVE: &[f64] = &[1e-30, 0.5, 1e30];
    const NOT_POSITIVE: &[f64] = &[0.0, -0.0, -1e-300, -2.0];
    const FRACTIONS: &[f64] = &[0.0, 0.5, 1.0];
    const NO_FRACTIONS: &[f64] = &[-1e-300, -0.5, 1.0000001, 2.0];
    const SHARES: &[f64] = &[1e-30, 0.5, 1.0];
    const NO_SHARES: &[f64] = &[0.0, -0.5, 1.0000001, 2.0];
    const BETAS: &[f64] = &[0.0, 0.5, 0.9999999];
    // The last one is 1 in f32, in which its powers are taken.
    const NO_BETAS: &[f64] = &[-1e-300, -0.5, 1.0, 2.0, 0.999999999];
    macro_rules! number {
        ($option:literal, $sound:expr, $unsound:expr, $set:expr) => {
            Number { option: $option, set: |value| Box::new($set(value)), sound: $sound, unsound: $unsound }
        };
    }
    vec![
        number!("learning_rate", FACTORS, NO_FACTORS, Sgd::<T>::new),
        number!("learning_rate", FACTORS, NO_FACTORS, Adam::<T>::new),
        number!("learning_rate", FACTORS, NO_FACTORS, Lion::<T>::new),
        number!("weight_decay", FACTORS, NO_FACTORS, |decay| Sgd::<T>::new(0.1).weight_decay(decay)),
        number!("weight_decay", FACTORS, NO_FACTORS, |decay| Adam::<T>::new(0.1).weight_decay(decay)),
        number!("weight_decay", FACTORS, NO_FACTORS, |decay| AdamW::<T>::new(0.1).weight_decay(decay)),
        number!("rho", FRACTIONS, NO_FRACTIONS, |rho| RmsProp::<T>::new(0.1).rho(rho)),
        number!("momentum", FRACTIONS, NO_FRACTIONS, |momentum| RmsProp::<T>::new(0.1).momentum(momentum)),
        number!("epsilon", POSITIVE, NOT_POSITIVE, |epsilon| RmsProp::<T>::new(0.1).epsilon(epsilon)),
        number!("beta_1", BETAS, NO_BETAS, |beta| AdamW::<T>::new(0.1).beta_1(beta)),
        number!("beta_1", BETAS, NO_BETAS, |beta| Nadam::<T>::new(0.1).beta_1(beta)),
        number!("beta_2", BETAS, NO_BETAS, |beta| Nadam::<T>::new(0.1).beta_2(beta)),
        number!("epsilon", POSITIVE, NOT_POSITIVE, |epsilon| Nadam::<T>::new(0.1).epsilon(epsilon)),
        number!("beta_1", BETAS, NO_BETAS, |beta| Adamax::<T>::new(0.1).beta_1(beta)),
        number!("beta_2", FRACTIONS, NO_FRACTIONS, |beta| Adamax::<T>::new(0.1).beta_2(beta)),
        number!("epsilon", POSITIVE, NOT_POSITIVE, |epsilon| Adamax::<T>::new(0.1).epsilon(epsilon)),
        number!("initial_accumulator_value", FACTORS, NO_FACTORS, |value| {
            Adagrad::<T>::new(0.1).initial_accumulator_value(value)
        }),
        number!("epsilon", POSITIVE, NOT_POSITIVE, |epsilon| Adagrad::<T>::new(0.1).epsilon(epsilon)),
        number!("beta_1", SHARES, NO_SHARES, |beta| Lion::<T>::new(0.1).beta_1(beta)),
        number!("beta_2", FRACTIONS, NO_FRACTIONS, |beta| Lion::<T>::new(0.1).beta_2(beta)),
        number!("momentum", FRACTIONS, NO_FRACTIONS, |momentum| Sgd::<T>::new(0.1).momentum(momentum)),
        number!("ema_momentum", FRACTIONS, NO_FRACTIONS, |m| Sgd::<T>::new(0.1).use_ema(true).ema_momentum(m)),
        number!("beta_1", BETAS, NO_BETAS, |beta| Adam::<T>::new(0.1).beta_1(beta)),
        number!("beta_2", BETAS, NO_BETAS, |beta| Adam::<T>::new(0.1).beta_2(beta)),
        number!("epsilon", POSITIVE, NOT_POSITIVE, |epsilon| Adam::<T>::new(0.1).epsilon(epsilon)),
        number!("loss_scale_factor", POSITIVE, NOT_POSITIVE, |scale| Sgd::<T>::new(0.1).loss_scale_factor(scale)),
        number!("clipnorm", POSITIVE, NOT_POSITIVE, |norm| Sgd::<T>::new(0.1).clipnorm(norm)),
        number!("clipvalue", POSITIVE, NOT_POSITIVE, |value| Adam::<T>::new(0.1).clipvalue(value)),
        number!("global_clipnorm", POSITIVE, NOT_POSITIVE, |norm| Adam::<T>::new(0.1).global_clipnorm(norm)),
    ]
}

fn check_numbers<T: Float>(beyond: &[f64]) {
    let weights = |layer: &Lstm<T>| layer.weights().into_iter().map(|(_, w)| w.to_owned()).collect::<Vec<_>>();
    for Number { option, set, sound, unsound } in numbers::<T>() {
        let mut layer = Lstm::<T>::new(3, 4);
        let mut gradients = Gradients::new(&layer);
        gradients.iter_mut().for_each(|(_, mut gradient)| gradient.fill(T::from_f64(-0.5)));
        let before = weights(&layer);
        let is_limit = unsound.contains(&0.0);
        let beyond = beyond.iter().filter(|_| is_limit);
        for value in unsound.iter().chain(beyond).chain(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]).copied() {
            let mut optimizer = set(value);
            let (at_once, at_step) = (refusal(optimizer.validate()), refusal(optimizer.step(&mut layer, &gradients)));
            for error in [at_once, at_step] {
                match error {
                    Error::OptimizerOption { option: named, given, .. } => {
                        assert_eq!((named, given.to_bits()), (option, value.to_bits()));
                    }
                    other => panic!("{option} of {value}: {other:?}"),
                }
            }
            assert_eq!(weights(&layer), before, "{option} of {value}");
        }
        for &value in sound {
            let (mut optimizer, mut layer) = (set(value), layer.clone());
            optimizer.validate().unwrap();
            (0..3).for_each(|_| optimizer.step(&mut layer, &gradients).unwrap());
            let all: Vec<T> = weights(&layer).iter().flatten().copied().collect();
            assert!(all.iter().all(|weight| !weight.is_nan()), "{option} of {value}");
        }
    }
}

#[test]
fn numbers_of_optimizers() {
    check_numbers::<f64>(&[]);
    // Numbers that are zero or infinite in the weights' type.
    check_numbers::<f32>(&[1e-60, 1e60]);
    // Counts are asked for before they are checked.
    assert_eq!(Sgd::<f32>::new(0.1).gradient_accumulation_steps(0).iterations(), 0);
    // A learning rate that goes astray in the middle.
    let (mut layer, mut sgd) = (lstm(), Sgd::new(0.1).momentum(0.5));
    let gradients = Gradients::new(&layer);
    sgd.step(&mut layer, &gradients).unwrap();
    let error = refusal(sgd.set_learning_rate(-0.1));
    assert_eq!(error, Error::OptimizerOption { option: "learning_rate", expected: "at least 0", given: -0.1 });
    assert!(sgd.set_learning_rate(f64::NAN).is_err() && sgd.set_learning_rate(1e39).is_err());
    assert_eq!((sgd.learning_rate(), sgd.iterations()), (0.1, 1));
    sgd.set_learning_rate(0.2).unwrap();
    sgd.step(&mut layer, &gradients).unwrap();
    assert_eq!(sgd.learning_rate(), 0.2);
}

#[test]
fn schedules() {
    let nan = f64::NAN;
    let cases: Vec<(Schedule, &str, f64)> = vec![
        (ExponentialDecay::new(-0.1, 10, 0.5).into(), "initial_learning_rate", -0.1),
        (ExponentialDecay::new(0.1, 0, 0.5).into(), "decay_steps", 0.0),
        (ExponentialDecay::new(0.1, 10, nan).into(), "decay_rate", nan),
        (InverseTimeDecay::new(0.1, 10, -0.5).into(), "decay_rate", -0.5),
        (PolynomialDecay::new(0.1, 0).into(), "decay_steps", 0.0),
        (PolynomialDecay::new(0.1, 10).end_learning_rate(1e39).into(), "end_learning_rate", 1e39),
        (PolynomialDecay::new(0.1, 10).power(-1.0).into(), "power", -1.0),
        (CosineDecay::new(0.1, 0).into(), "decay_steps", 0.0),
        (CosineDecay::new(0.1, 10).alpha(-0.1).into(), "alpha", -0.1),
        (CosineDecay::new(0.1, 10).warmup(-0.1, 3).into(), "warmup_target", -0.1),
        (CosineDecayRestarts::new(0.1, 0).into(), "first_decay_steps", 0.0),
        (CosineDecayRestarts::new(0.1, 10).t_mul(0.5).into(), "t_mul", 0.5),
        (CosineDecayRestarts::new(0.1, 10).m_mul(-1.0).into(), "m_mul", -1.0),
        (CosineDecayRestarts::new(0.1, 10).alpha(nan).into(), "alpha", nan),
        (PiecewiseConstantDecay::new(&[], &[0.1]).into(), "the number of boundaries", 0.0),
        (PiecewiseConstantDecay::new(&[1, 2], &[0.1, 0.2]).into(), "the number of values", 2.0),
        (PiecewiseConstantDecay::new(&[5, 5], &[0.1, 0.2, 0.3]).into(), "each of the boundaries", 5.0),
        (PiecewiseConstantDecay::new(&[5], &[0.1, -0.2]).into(), "each of the values", -0.2),
    ];
    let (mut layer, gradients) = (lstm(), Gradients::new(&lstm()));
    for (schedule, named, value) in cases {
        // Whatever it says, it says something.
        let _ = [0, 7, 1000, u64::MAX].map(|updates| schedule.at(updates));
        let mut optimizer = Scheduled::new(Sgd::new(0.1), schedule);
        for error in [refusal(optimizer.validate()), refusal(optimizer.step(&mut layer, &gradients))] {
            match error {
                Error::OptimizerOption { option, given, .. } => {
                    assert_eq!((option, given.to_bits()), (named, value.to_bits()));
                }
                other => panic!("{named} of {value}: {other:?}"),
            }
        }
    }
    // A schedule that grows beyond all bounds is refused when it does.
    let mut optimizer = Scheduled::new(Sgd::new(0.1), ExponentialDecay::new(1.0, 1, 1e20));
    optimizer.step(&mut layer, &gradients).unwrap();
    optimizer.step(&mut layer, &gradients).unwrap();
    assert!(matches!(refusal(optimizer.step(&mut layer, &gradients)), Error::OptimizerOption { .. }));
    assert_eq!(refusal(optimizer.set_learning_rate(0.1)), Error::ScheduledRate);
    optimizer.set_schedule(ExponentialDecay::new(1.0, 1, 0.5));
    optimizer.step(&mut layer, &gradients).unwrap();
    let mut plateau = ReduceLrOnPlateau::new().patience(1);
    assert_eq!(plateau.update::<f32, _>(1.0, &mut optimizer), Ok(false));
    let before = plateau.clone();
    assert_eq!(refusal(plateau.update::<f32, _>(2.0, &mut optimizer)), Error::ScheduledRate);
    assert_eq!(plateau, before);
    let mut sgd = optimizer.into_inner();
    assert_eq!(plateau.update(2.0, &mut sgd), Ok(true));
    for (mut plateau, named) in [
        (ReduceLrOnPlateau::new().factor(1.0), "factor"),
        (ReduceLrOnPlateau::new().factor(-0.1), "factor"),
        (ReduceLrOnPlateau::new().min_delta(-0.1), "min_delta"),
        (ReduceLrOnPlateau::new().min_lr(nan), "min_lr"),
    ] {
        let error = refusal(plateau.update(2.0, &mut sgd));
        assert!(matches!(error, Error::OptimizerOption { option, .. } if option == named));
    }
    // No number isn't the best one.
    let mut plateau = ReduceLrOnPlateau::new();
    plateau.update(nan, &mut sgd).unwrap();
    assert_eq!(plateau.best(), None);
}

#[test]
fn rules_of_weights() {
    let (l2, nan) = (Regularizer::L2 { factor: 0.1 }, f64::NAN);
    let orthogonal = Regularizer::Orthogonal { factor: 0.1, mode: OrthogonalMode::Rows };
    let max = |max_value, axis: &[isize]| Constraint::MaxNorm { max_value, axis: axis.to_vec() };
    let between = |low, high, rate| Constraint::MinMaxNorm { min_value: low, max_value: high, rate, axis: vec![0] };
    let new = WeightRules::new;
    let mut layer = lstm();
    let mut gradients = Gradients::new(&layer);
    gradients.iter_mut().for_each(|(_, mut gradient)| gradient.fill(1.0));
    let (before, of_weights) = (gradients.clone(), layer.weight("kernel").unwrap().to_owned());
    for (rules, named) in [
        (new().regularizer("bias", Regularizer::L1 { factor: -0.1 }), "the factor of L1"),
        (new().regularizer("bias", Regularizer::L1L2 { l1: 0.1, l2: nan }), "the factor of L2"),
        (
            new().regularizer("kernel", l2).regularizer("bias", orthogonal),
            "the number of axes of a weight with Orthogonal",
        ),
        (new().constraint("kernel", max(-1.0, &[0])), "the max_value of MaxNorm"),
        (new().constraint("kernel", max(1.0, &[])), "the number of axes of a norm"),
        (new().constraint("kernel", max(1.0, &[2])), "an axis of a norm"),
        (new().constraint("kernel", max(1.0, &[0, -2])), "an axis of a norm"),
        (new().constraint("kernel", max(1.0, &[isize::MIN])), "an axis of a norm"),
        (new().constraint("kernel", between(0.5, 0.4, 1.0)), "the max_value of MinMaxNorm"),
        (new().constraint("kernel", between(0.5, 1.0, 1.5)), "the rate of MinMaxNorm"),
    ] {
        for error in [refusal(rules.regularize(&layer, &mut gradients)), refusal(rules.constrain(&mut layer))] {
            assert!(matches!(error, Error::WeightRule { option, .. } if option == named), "{named}: {error}");
            assert!(error.to_string().len() < 200);
        }
    }
    let unknown = new().regularizer("kernel", l2).regularizer("0/kernel", l2);
    assert!(matches!(refusal(unknown.regularize(&layer, &mut gradients)), Error::UnknownName { .. }));
    assert_eq!((&gradients, layer.weight("kernel").unwrap()), (&before, of_weights.view()));
    let mut others = Gradients::new(&Gru::<f32>::new(3, 4));
    let rules = new().regularizer("kernel", l2).constraint("bias", Constraint::NonNegative);
    assert_eq!(refusal(rules.regularize(&layer, &mut others)), Error::GradientsLayer);
    rules.regularize(&layer, &mut gradients).unwrap();
    rules.constrain(&mut layer).unwrap();
    // A row alone.
    let one = Dense::<f32>::new(1, 3);
    let rules = new().regularizer("kernel", orthogonal);
    assert!(matches!(refusal(rules.validate(&one)), Error::WeightRule { .. }));
}

#[test]
fn watched_gradients() {
    let layer = lstm();
    let mut gradients = Gradients::new(&layer);
    gradients.check_finite().unwrap();
    assert_eq!(gradients.norms().total(), 0.0);
    gradients.get_mut("bias").unwrap().fill(3e38); // whose squares are no numbers of f32
    gradients.check_finite().unwrap();
    assert!((gradients.norms().get("bias").unwrap() / 12e38 - 1.0).abs() < 1e-6);
    assert!(matches!(gradients.norms().get("0/bias"), Err(Error::UnknownName { .. })));
    gradients.get_mut("recurrent_kernel").unwrap()[[1, 2]] = f32::NEG_INFINITY;
    assert_eq!(gradients.norms().largest(), Some(("recurrent_kernel", f64::INFINITY)));
    gradients.get_mut("recurrent_kernel").unwrap()[[2, 2]] = f32::NAN;
    assert!(gradients.norms().total().is_nan() && gradients.norms().largest().unwrap().1.is_nan());
    let error = refusal(gradients.check_finite());
    assert_eq!(error, Error::GradientNotFinite { name: "recurrent_kernel".into(), given: f64::NEG_INFINITY });
    assert!(error.to_string().len() < 200, "{error}");
    // How far back: it needs steps, and numbers.
    let x = Array3::<f32>::zeros((2, 0, 3));
    assert!(matches!(refusal(Reach::of(&layer, &[(&x).into()])), Error::NoTimesteps { .. }));
    assert!(matches!(refusal(Reach::of(&layer, &[])), Error::ModelInputs { .. }));
    let x = Array3::from_elem((2, 4, 3), f32::NAN);
    assert!(matches!(refusal(Reach::of(&layer, &[(&x).into()])), Error::GradientNotFinite { .. }));
    let without = Gradients::new(&layer).without_input();
    assert!(matches!(refusal(Reach::of_gradients(&without)), Error::NotRequested { .. }));
}

/// Gradients aren't numbers of the optimizer's: NaN goes on, as in Keras.
#[test]
fn gradients_that_are_no_numbers() {
    let mut layer = lstm();
    let mut gradients = Gradients::new(&layer);
    gradients.get_mut("bias").unwrap()[3] = f32::NAN;
    Sgd::new(0.1).step(&mut layer, &gradients).unwrap();
    assert!(layer.weight("bias").unwrap()[3].is_nan());
    assert_eq!(layer.weights().iter().flat_map(|(_, weight)| weight).filter(|weight| weight.is_nan()).count(), 1);
}

#[test]
fn sizes_of_chunks_and_losses() {
    let (lstm, dense) = (lstm(), Dense::<f32>::new(3, 2));
    for batch in [1 << 50, usize::MAX / 8, usize::MAX] {
        assert!(matches!(refusal(TruncatedBptt::new(&lstm, batch)), Error::TensorTooLarge { .. }));
        assert!(matches!(refusal(TruncatedBptt::new(&dense, batch)), Error::TensorTooLarge { .. }));
    }
    TruncatedBptt::new(&lstm, 0).unwrap();
    let one = Array3::<f32>::ones((1, 1, 1));
    let wide = one.broadcast((1, 1 << 40, 2)).unwrap();
    let error = refusal(Loss::MeanSquaredError.with_gradient(&wide, &wide));
    assert_eq!(error, Error::TensorTooLarge { shape: vec![1, 1 << 40, 2] });
    // Shapes first: nothing is asked for where they differ.
    let error = refusal(Loss::MeanSquaredError.with_gradient(&wide, &one));
    assert!(matches!(error, Error::OutputShape { what: "target", .. }));
    let error = refusal(Loss::MeanSquaredError.with_gradient(&one, &wide));
    assert!(matches!(error, Error::OutputShape { what: "target", .. }));
    let none = Array2::<f32>::zeros((0, 1 << 40));
    assert_eq!(Loss::MeanSquaredError.with_gradient(&none, &none).unwrap().0, 0.0);
}

#[test]
fn clips_of_both_kinds() {
    let (mut layer, gradients) = (lstm(), Gradients::new(&lstm()));
    let before = layer.weight("kernel").unwrap().to_owned();
    let mut adam = Adam::new(0.1).clipnorm(1.0).global_clipnorm(2.0);
    assert_eq!(refusal(adam.step(&mut layer, &gradients)), Error::OptimizerClips);
    assert_eq!(layer.weight("kernel").unwrap(), before);
}

#[test]
fn the_way_back_of_an_embedding() {
    let embedding = Embedding::<f32>::new(5, 3);
    let mut gradients = Gradients::new(&embedding);
    let before = gradients.clone();
    let (ids, d_x) = (array![[1, 4], [2, 0]], Array3::ones((2, 2, 3)));
    let error = refusal(embedding.backward(&ids, &Array3::ones((2, 2, 4)), &mut gradients));
    let (expected, given) = (vec![2, 2, 3], vec![2, 2, 4]);
    assert_eq!(error, Error::OutputShape { what: "gradient of the vectors", expected, given });
    // The last id is wrong: the ones before it aren't added either.
    let error = refusal(embedding.backward(&array![[1, 4], [2, -1]], &d_x, &mut gradients));
    assert_eq!(error, Error::EmbeddingId { row: 1, time: 1, id: "-1".into(), vocabulary: 5 });
    assert_eq!(gradients, before);
    let mut wrong = Gradients::new(&Embedding::<f32>::new(5, 4));
    assert_eq!(refusal(embedding.backward(&ids, &d_x, &mut wrong)), Error::GradientsLayer);
    embedding.backward(&ids, &d_x, &mut gradients).unwrap();
}

#[test]
fn chunks() {
    let (layer, x) = (lstm(), Array3::ones((2, 5, 3)));
    let both = Bidirectional::new(Lstm::<f32>::builder(3, 4)).unwrap();
    assert!(matches!(refusal(TruncatedBptt::new(&both, 2)), Error::CannotStream { .. }));
    let mut chunks = TruncatedBptt::new(&layer, 2).unwrap();
    let mut gradients = Gradients::new(&layer);
    let nothing = OutputGradient::new();
    assert_eq!(refusal(chunks.backward(&layer, nothing, &mut gradients)), Error::TapeEmpty);
    chunks.run(&layer, &x, Run::new()).unwrap();
    let state = chunks.state().clone();
    let (mut tape, other) = (Tape::new(), Gru::<f32>::new(3, 4));
    let layouts = Error::StateLayout { expected: "h (4)".into(), given: "h (4), c (4)".into() };
    let refused = [
        (chunks.run(&layer, &x, Run::new().initial_state(&state)), Error::ChunkOption { option: "initial_state" }),
        (chunks.run(&layer, &x, Run::new().record(&mut tape)), Error::ChunkOption { option: "record" }),
        (chunks.run(&layer, &Array3::ones((3, 5, 3)), Run::new()), Error::StateBatch { expected: 3, given: 2 }),
        (chunks.run(&layer, &Array3::ones((2, 0, 3)), Run::new()), Error::NoTimesteps { given: [2, 0, 3] }),
        (chunks.run(&layer, &x, Run::new().lengths(&[5])), Error::LengthsCount { expected: 2, given: 1 }),
        (chunks.run(&other, &x, Run::new()), layouts.clone()),
    ];
    for (result, expected) in refused {
        assert_eq!(refusal(result), expected);
    }
    let mut out = Array3::zeros((2, 4, 4));
    let error = refusal(chunks.run_into(&layer, &x, Run::new(), OutputMut::new().sequence(&mut out)));
    let (expected, given) = (vec![2, 5, 4], vec![2, 4, 4]);
    assert_eq!(error, Error::OutputShape { what: "sequence", expected, given });
    let mut turned = Array2::zeros((4, 2));
    let mut turned = turned.view_mut().reversed_axes();
    let error = refusal(chunks.run_into(&layer, &x, Run::new(), OutputMut::new().last(&mut turned)));
    assert_eq!(error, Error::OutputOrder { what: "last" });
    assert_eq!(refusal(chunks.reset_row(&layer, 2)), Error::Row { row: 2, batch: 2 });
    assert_eq!(refusal(chunks.reset(&other)), layouts);
    assert_eq!(refusal(chunks.set_state(&layer, &layer.initial_state(3))), Error::StateBatch { expected: 2, given: 3 });
    assert_eq!(*chunks.state(), state);
}

#[test]
fn losses() {
    let (a, b) = (Array2::<f32>::ones((2, 3)), Array2::<f32>::ones((3, 2)));
    let error = refusal(Loss::MeanSquaredError.with_gradient(&a, &b));
    assert_eq!(error, Error::OutputShape { what: "target", expected: vec![2, 3], given: vec![3, 2] });
    let mut gradient = Array2::from_elem((2, 2), 7.0);
    let error = refusal(Loss::MeanSquaredError.gradient_into(&a, &a, &mut gradient));
    assert_eq!(error, Error::OutputShape { what: "gradient", expected: vec![2, 3], given: vec![2, 2] });
    assert_eq!(gradient, Array2::from_elem((2, 2), 7.0));
    let none = Array2::<f64>::zeros((0, 3));
    assert_eq!(Loss::MeanSquaredError.with_gradient(&none, &none).unwrap().0, 0.0);
}

#[test]
fn cells_and_activations_without_a_way_back() {
    #[derive(Debug)]
    struct Forward;
    impl Cell for Forward {
        type Elem = f32;
        fn input_size(&self) -> usize {
            1
        }
        fn state_layout(&self) -> StateLayout {
            StateLayout::new([("h", 1)])
        }
        fn step(&self, step: Step<'_, f32>) {
            step.next[0] = step.x[0];
        }
        fn visit_weights<'a>(&'a self, _: &mut WeightVisitor<'_, 'a, f32>) {}
        fn visit_weights_mut(&mut self, _: &mut WeightVisitorMut<'_, f32>) {}
        fn class_name(&self) -> &'static str {
            "Forward"
        }
    }
    let layer = Recurrent::from_cell(Forward);
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&layer));
    let result = layer
        .run(&Array3::ones((1, 2, 1)), Run::new().record(&mut tape))
        .and_then(|_| layer.backward(&mut tape, OutputGradient::new(), &mut gradients));
    assert_eq!(refusal(result), Error::NoBackward { cell: "Forward" });
    // The layers behind it have gone back already; their gradients are as before all the same.
    let stack = Stacked::builder().layer(layer.return_sequences(true)).layer(Dense::new(1, 2)).build().unwrap();
    let mut gradients = Gradients::new(&stack);
    gradients.iter_mut().for_each(|(_, mut gradient)| gradient.fill(3.0));
    let before = gradients.clone();
    stack.run(&Array3::ones((1, 2, 1)), Run::new().record(&mut tape)).unwrap();
    let d = Array2::ones((1, 2));
    let into = OutputGradient::new().last(&d);
    assert_eq!(refusal(stack.backward(&mut tape, into, &mut gradients)), Error::NoBackward { cell: "Forward" });
    assert_eq!(gradients, before);
    assert_eq!(refusal(stack.backward(&mut tape, into, &mut gradients)), Error::TapeSpent);

    let square = Activation::custom("square", |x| x * x);
    let layer = Lstm::<f32>::builder(3, 4).activation(square).build().unwrap();
    let mut tape = Tape::new();
    let error = refusal(layer.run(&Array3::ones((2, 5, 3)), Run::new().record(&mut tape)));
    assert_eq!(error, Error::NoDerivative { activation: "square".into() });
}
