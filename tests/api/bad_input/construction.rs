//! Sizes, options, names, initializers.

use recurrent::{
    Activation, Bidirectional, Cell, Dense, Embedding, Error, FanMode, Gru, Initializer, Lstm, Merge, Recurrent,
    ScalingDistribution, SimpleRnn, Stacked, StackedCells,
};

use super::refusal;

#[test]
fn zero_sizes() {
    let zero = |what| Error::ZeroSize { what };
    assert_eq!(refusal(SimpleRnn::<f32>::builder(3, 0).build()), zero("units"));
    assert_eq!(refusal(SimpleRnn::<f64>::builder(0, 3).build()), zero("input_size"));
    assert_eq!(refusal(Lstm::<f32>::builder(3, 0).build()), zero("units"));
    assert_eq!(refusal(Lstm::<f32>::builder(0, 3).build_cell()), zero("input_size"));
    assert_eq!(refusal(Gru::<f64>::builder(3, 0).build()), zero("units"));
    assert_eq!(refusal(Gru::<f64>::builder(0, 3).build()), zero("input_size"));
    assert_eq!(refusal(Dense::<f64>::builder(0, 3).build()), zero("input_size"));
    assert_eq!(refusal(Dense::<f64>::builder(3, 0).build()), zero("units"));
    assert_eq!(refusal(Bidirectional::new(Lstm::<f32>::builder(3, 0))), zero("units"));
    assert_eq!(refusal(Embedding::<f32>::builder(0, 3).build()), zero("input_dim"));
    assert_eq!(refusal(Embedding::<f32>::builder(3, 0).build()), zero("output_dim"));
}

#[test]
fn new_panics_as_documented_and_says_why() {
    for make in [
        || drop(SimpleRnn::<f32>::new(3, 0)),
        || drop(Lstm::<f32>::new(3, 0)),
        || drop(Gru::<f32>::new(3, 0)),
        || drop(Dense::<f32>::new(3, 0)),
    ] {
        let panic = std::panic::catch_unwind(make).expect_err("zero units");
        assert_eq!(panic.downcast_ref::<String>().expect("a message"), "units must be at least 1, got 0");
    }
}

#[test]
fn activations() {
    let width = Error::ActivationWidth { activation: "glu".into() };
    assert_eq!(refusal(Lstm::<f32>::builder(3, 4).activation(Activation::Glu).build()), width);
    assert_eq!(refusal(Gru::<f32>::builder(3, 4).recurrent_activation(Activation::Glu).build()), width);
    assert_eq!(refusal(SimpleRnn::<f32>::builder(3, 4).activation(Activation::Glu).build()), width);
    assert_eq!(refusal(Dense::<f32>::builder(3, 4).activation(Activation::Glu).build()), width);
    let odd = refusal(Activation::Glu.apply(&mut [1.0_f32, 2.0, 3.0]).map(|_| ()));
    assert_eq!(odd, Error::OddWidth { activation: "glu", width: 3 });

    let parameter = |activation: &str, parameter, expected, value| Error::ActivationParameter {
        activation: activation.into(),
        parameter,
        expected,
        value,
    };
    let celu = Activation::Celu { alpha: 0.0 };
    assert_eq!(
        refusal(SimpleRnn::<f32>::builder(3, 4).activation(celu).build()),
        parameter("celu", "alpha", "finite and not zero", 0.0)
    );
    let squareplus = Activation::Squareplus { b: -1.0 };
    assert_eq!(
        refusal(Lstm::<f32>::builder(3, 4).recurrent_activation(squareplus).build()),
        parameter("squareplus", "b", "finite and not negative", -1.0)
    );
    let elu = Activation::Elu { alpha: f64::INFINITY };
    assert_eq!(
        refusal(Dense::<f32>::builder(3, 4).activation(elu).build()),
        parameter("elu", "alpha", "a finite number", f64::INFINITY)
    );

    match refusal("Tanh".parse::<Activation>()) {
        Error::UnknownActivation { name, known } => {
            assert_eq!(name, "Tanh");
            assert!(known.contains("tanh, ") && known.contains("hard_swish"), "{known}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        refusal("threshold".parse::<Activation>()),
        Error::ActivationArguments { activation: "threshold", parameters: "threshold and default_value" }
    );
}

#[test]
fn initializers() {
    match refusal("glorot".parse::<Initializer>()) {
        Error::UnknownInitializer { name, known } => {
            assert_eq!(name, "glorot");
            assert!(known.contains("glorot_normal"), "{known}");
        }
        other => panic!("{other:?}"),
    }
    let modes = "fan_in, fan_out, fan_avg".to_string();
    assert_eq!(
        refusal("fan".parse::<FanMode>()),
        Error::UnknownInitializerOption { option: "mode", name: "fan".into(), known: modes }
    );
    let distributions = "truncated_normal, normal, untruncated_normal, uniform".to_string();
    assert_eq!(
        refusal("gauss".parse::<ScalingDistribution>()),
        Error::UnknownInitializerOption { option: "distribution", name: "gauss".into(), known: distributions }
    );

    let rank = |initializer, expected, shape: &[usize]| Error::InitializerRank {
        initializer,
        expected,
        shape: shape.to_vec(),
    };
    // On a bias, which has rank 1.
    let identity = SimpleRnn::<f32>::builder(3, 4).bias_initializer(Initializer::identity());
    assert_eq!(refusal(identity.build()), rank("Identity", "2", &[4]));
    let orthogonal = SimpleRnn::<f32>::builder(3, 4).bias_initializer(Initializer::orthogonal());
    assert_eq!(refusal(orthogonal.build()), rank("Orthogonal", "2 or more", &[4]));
    assert_eq!(refusal(Initializer::identity().initialize::<f64>(&[2, 2, 2])), rank("Identity", "2", &[2, 2, 2]));

    let parameter = |initializer, parameter, expected, value| Error::InitializerParameter {
        initializer,
        parameter,
        expected,
        value,
    };
    let normal = |stddev| Initializer::RandomNormal { mean: 0.0, stddev, seed: Some(1) };
    let with = |initializer| refusal(Gru::<f32>::builder(3, 4).kernel_initializer(initializer).build());
    assert_eq!(with(normal(-0.5)), parameter("RandomNormal", "stddev", "finite and not negative", -0.5));
    assert_eq!(
        with(normal(f64::INFINITY)),
        parameter("RandomNormal", "stddev", "finite and not negative", f64::INFINITY)
    );
    assert!(matches!(
        with(normal(f64::NAN)),
        Error::InitializerParameter { initializer: "RandomNormal", parameter: "stddev", value, .. } if value.is_nan()
    ));
    // In range as f64, but not as f32.
    assert_eq!(with(normal(1e300)), parameter("RandomNormal", "stddev", "in the range of f32", 1e300));
    let uniform = Initializer::RandomUniform { minval: f64::NEG_INFINITY, maxval: 0.0, seed: None };
    assert_eq!(with(uniform), parameter("RandomUniform", "minval", "finite", f64::NEG_INFINITY));
    let scaling = |scale, axis| Initializer::VarianceScaling {
        scale,
        mode: FanMode::FanIn,
        distribution: ScalingDistribution::Uniform,
        input_axes: Some(vec![0]),
        output_axes: Some(vec![axis]),
        seed: None,
    };
    assert_eq!(with(scaling(0.0, 1)), parameter("VarianceScaling", "scale", "finite and above 0", 0.0));
    for axis in [2, -3, isize::MIN, isize::MAX] {
        assert_eq!(with(scaling(1.0, axis)), Error::InitializerAxis { axis, shape: vec![3, 12] });
    }
    let orthogonal = Initializer::Orthogonal { gain: f64::INFINITY, seed: None };
    assert_eq!(with(orthogonal), parameter("Orthogonal", "gain", "finite", f64::INFINITY));

    let custom = Initializer::from_fn(|_| ndarray::ArrayD::zeros(vec![2, 2]));
    assert_eq!(with(custom), Error::CustomInitializerShape { expected: vec![3, 12], given: vec![2, 2] });
}

#[test]
fn dropout_rates_that_are_no_numbers() {
    let error = refusal(Lstm::<f32>::builder(3, 4).dropout(f64::NAN).build());
    assert!(matches!(error, Error::DropoutRate { option: "dropout", given } if given.is_nan()));
    let error = refusal(SimpleRnn::<f32>::builder(3, 4).recurrent_dropout(f64::NAN).build());
    assert!(matches!(error, Error::DropoutRate { option: "recurrent_dropout", given } if given.is_nan()));
}

#[test]
fn stacks() {
    assert_eq!(refusal(Stacked::<f32>::builder().build()), Error::EmptyStack);
    assert_eq!(refusal(StackedCells::<f32>::builder().build()), Error::EmptyStack);
    let lstm = |input, units| Lstm::<f32>::builder(input, units).return_sequences(true).build().unwrap();
    let stack = Stacked::builder().layer(lstm(3, 4)).layer(lstm(4, 5)).layer(lstm(6, 7));
    assert_eq!(refusal(stack.build()), Error::StackWidth { index: 2, expected: 6, given: 5 });
    let stack = Stacked::builder().layer(Lstm::<f32>::new(3, 4)).layer(Gru::new(4, 5));
    assert_eq!(refusal(stack.build()), Error::StackNeedsSequence { index: 1, layer: "GRU" });
    // A dense layer in between makes no sequence of it either.
    let stack = Stacked::builder().layer(Lstm::<f32>::new(3, 4)).layer(Dense::new(4, 5)).layer(Lstm::new(5, 6));
    assert_eq!(refusal(stack.build()), Error::StackNeedsSequence { index: 2, layer: "LSTM" });
    let both = Bidirectional::new(Gru::<f32>::builder(3, 4).return_sequences(true)).unwrap();
    let stack = Stacked::builder().layer(both.merge_mode(Merge::None)).layer(Dense::new(8, 5));
    assert_eq!(refusal(stack.build()), Error::StackUnmerged { index: 0 });

    let cell = |input, units| Gru::<f32>::builder(input, units).build_cell().unwrap();
    let cells = StackedCells::builder().cell(cell(3, 4)).cell(cell(5, 6));
    assert_eq!(refusal(cells.build()), Error::StackWidth { index: 1, expected: 5, given: 4 });
    assert_eq!(refusal(Gru::<f32>::builder(3, 4).return_sequences(true).build_cell()), Error::CellOption);
    assert_eq!(refusal(Gru::<f32>::builder(3, 4).go_backwards(true).build_cell()), Error::CellOption);
}

#[test]
fn directions() {
    let recipe = || Lstm::<f32>::builder(3, 4);
    assert_eq!(refusal(Bidirectional::new(recipe().go_backwards(true))), Error::BidirectionalDirection);
    fn pair<C: Cell<Elem = f32>>(forward: Recurrent<C>, backward: Recurrent<C>) -> (&'static str, usize, usize) {
        match refusal(Bidirectional::from_layers(forward, backward)) {
            Error::BidirectionalPair { option, forward, backward, .. } => (option, forward, backward),
            other => panic!("{other:?}"),
        }
    }
    let build = |builder: recurrent::builder::Builder<'_, _>| builder.build().unwrap();
    let backward = || recipe().go_backwards(true);
    assert_eq!(pair(build(recipe()), build(recipe())), ("go_backwards", 0, 0));
    assert_eq!(pair(build(backward()), build(backward())), ("go_backwards", 1, 1));
    let sequences = build(backward().return_sequences(true));
    assert_eq!(pair(build(recipe()), sequences), ("return_sequences", 0, 1));
    let state = build(recipe().return_state(true));
    assert_eq!(pair(state, build(backward())), ("return_state", 1, 0));
    let wider = build(Lstm::builder(5, 4).go_backwards(true));
    assert_eq!(pair(build(recipe()), wider), ("input_size", 3, 5));
    assert!(matches!(
        refusal(Bidirectional::with_backward(recipe(), recipe())),
        Error::BidirectionalPair { option: "go_backwards", forward: 0, backward: 0, expected: "they must be opposite" }
    ));
}
