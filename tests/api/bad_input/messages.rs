//! Messages name the thing, what was expected, what was given, and where it helps what to do.

use ndarray::prelude::*;
use recurrent::{
    Activation, Bidirectional, Dense, Embedding, Error, Gru, Initializer, Layer, Lstm, Masking, Run, Stacked, Stream,
    pad_sequences,
};

use super::refusal;

#[test]
fn messages_read_well() {
    let mut lstm = Lstm::<f32>::builder(3, 4).return_sequences(true).build().unwrap();
    let x = Array3::zeros((8, 7, 3));
    let mask = Array2::from_elem((8, 6), true);
    let both = Bidirectional::new(Lstm::<f32>::builder(3, 4)).unwrap();
    let stack = Stacked::builder().layer(Lstm::<f32>::new(3, 4)).layer(Gru::new(4, 5)).build();
    let kernel = ArrayD::zeros(vec![16, 3]);
    let errors = [
        refusal(lstm.forward(&Array3::zeros((8, 7, 4)))),
        refusal(lstm.forward(&Array3::zeros((8, 0, 3)))),
        refusal(lstm.run(&x, Run::new().mask(&mask))),
        refusal(lstm.run(&x, Run::new().lengths(&[7, 7, 9, 7, 7, 7, 7, 7]))),
        refusal(lstm.run(&x, Run::new().initial_state(&Gru::new(3, 4).initial_state(8)))),
        refusal(lstm.weight("recurrent").map(|_| ())),
        refusal(lstm.set_weights(&[("kernel", kernel.view())])),
        refusal(lstm.forward(&x).unwrap().state()),
        refusal(Lstm::<f32>::builder(3, 0).build()),
        refusal(Dense::<f32>::builder(3, usize::MAX).build()),
        refusal(Stream::new(&both, 1)),
        refusal(stack),
        refusal(Embedding::<f32>::new(5, 3).forward(&array![[0, -2]])),
        refusal(Masking::new(f64::NAN)),
        refusal(
            Lstm::<f32>::builder(3, 4)
                .kernel_initializer(Initializer::RandomNormal { mean: 0.0, stddev: -1.0, seed: None })
                .build(),
        ),
    ];
    let expected = "\
expected an input of shape (batch, timesteps, 3), got [8, 7, 4]: the kernel has 3 rows
expected at least one time step, got an input of shape [8, 0, 3]
expected mask of shape (8, 7), (batch, timesteps), got (8, 6)
row 2 is to have 9 steps, but the input has 7
expected a state with the parts h (4), c (4), got one with h (4)
there is no weight \"recurrent\": the names are kernel, recurrent_kernel, bias
weight \"kernel\" has the shape [3, 16], got [16, 3]: transposed? PyTorch and ONNX keep (gates * units, features)
the state was not requested: build the layer with return_state(true)
units must be at least 1, got 0
kernel of 3 x 1 * 18446744073709551615 elements can't be addressed on this machine
can't run step by step: Bidirectional: its backward direction needs the whole sequence
layer 1 of the stack (GRU; counted from 0) needs a sequence: give the layer before it return_sequences(true)
id -2 at row 0, step 1: the embedding has the ids 0 to 4
a mask value of NaN would mask nothing, because NaN equals nothing
RandomNormal: stddev must be finite and not negative, got -1";
    let messages: Vec<String> = errors.iter().map(Error::to_string).collect();
    assert_eq!(messages.join("\n"), expected);
    for message in messages {
        assert!(!message.ends_with('.') && message.len() < 200, "{message}");
    }
}

/// A name that is nearly one of those that there are, or another framework's; a shape the other way round.
#[test]
fn what_may_have_been_meant() {
    let lstm = Lstm::<f32>::new(3, 4);
    let meant = [
        (refusal(lstm.weight("kernels").map(|_| ())), "\"kernels\" (did you mean \"kernel\"?): the names"),
        (refusal(lstm.weight("RecurrentKernel").map(|_| ())), "(did you mean \"recurrent_kernel\"?)"),
        (
            refusal(lstm.weight("weight_ih_l0").map(|_| ())),
            "(PyTorch's name: ours are on the page pytorch::coming_from_pytorch)",
        ),
        (refusal("sigmod".parse::<Activation>()), "\"sigmod\" (did you mean \"sigmoid\"?): the names"),
        (refusal("Tanh".parse::<Activation>()), "(did you mean \"tanh\"?)"),
        (refusal("xavier_uniform".parse::<Initializer>()), "(PyTorch's name for glorot)"),
        (
            refusal(lstm.forward(&Array3::zeros((1, 3, 50)))),
            "the kernel has 3 rows; are timesteps and features swapped?",
        ),
    ];
    let rows = [Array2::<f32>::zeros((2, 3)), Array2::zeros((4, 2))];
    assert_eq!(refusal(pad_sequences(&rows)).to_string(), "row 1 has 2 features, row 0 has 3");
    for (error, part) in meant {
        assert!(error.to_string().contains(part), "{error}");
    }
    let far = [refusal(lstm.weight("").map(|_| ())), refusal(lstm.weight(&"k".repeat(70)).map(|_| ()))];
    assert!(far.iter().all(|error| !error.to_string().contains("mean")), "{far:?}");
    assert!(!refusal("gaussian".parse::<Activation>()).to_string().contains("mean"));
}

#[test]
fn errors_are_ordinary_values() {
    fn ordinary<E: std::error::Error + Clone + PartialEq + Send + Sync + 'static>(_: &E) {}
    let error = refusal(Masking::new(f32::NAN));
    ordinary(&error);
    let boxed: Box<dyn std::error::Error + Send + Sync> = error.clone().into();
    assert_eq!(boxed.downcast_ref::<Error>(), Some(&error));
    // Each result carries it: clippy complains from 128 bytes on.
    assert!(size_of::<Error>() <= 80, "{} bytes", size_of::<Error>());
}

/// No number takes a line of digits.
#[test]
fn numbers_in_few_digits() {
    for (given, said) in [
        (1e300, "1e300"),
        (-2.5e-300, "-2.5e-300"),
        (0.5, "0.5"),
        (-3.0, "-3"),
        (0.0, "0"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
    ] {
        let (option, expected) = ("learning_rate", "at least 0");
        let (parameter, value, activation, initializer) = ("alpha", given, "elu".to_string(), "Constant");
        for error in [
            Error::OptimizerOption { option, expected, given },
            Error::DropoutRate { option, given },
            Error::ActivationParameter { activation, parameter, expected, value },
            Error::InitializerParameter { initializer, parameter, expected, value },
        ] {
            assert!(error.to_string().ends_with(&format!(", got {said}")), "{error}");
        }
    }
    assert_eq!(recurrent::Activation::Elu { alpha: 1e300 }.to_string(), "elu(alpha=1e300)");
}
