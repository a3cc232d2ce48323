//! Streams: what can't stream, and steps and chunks that don't fit.

use ndarray::prelude::*;
use recurrent::{
    Activation, Bidirectional, Dense, Error, Gru, Layer, Lstm, OutputMut, Recurrent, ReplaceError, Run, Stacked,
    StackedCells, Stateful, Stream, TimeDistributed,
};

use super::refusal;

fn lstm() -> Lstm {
    Lstm::builder(3, 4).return_sequences(true).return_state(true).build().unwrap()
}

#[test]
fn layers_that_need_the_whole_sequence() {
    let cannot = |layer: &str, reason| Error::CannotStream { layer: layer.into(), reason };
    let backwards = Gru::<f32>::builder(3, 4).go_backwards(true).return_sequences(true).build().unwrap();
    assert_eq!(refusal(Stream::new(&backwards, 1)), cannot("GRU", "it goes backwards in time"));
    let both = Bidirectional::new(Lstm::<f32>::builder(3, 4).return_sequences(true)).unwrap();
    let whole = "its backward direction needs the whole sequence";
    assert_eq!(refusal(Stream::new(&both, 1)), cannot("Bidirectional", whole));
    let stack = Stacked::builder().layer(lstm()).layer(Dense::new(4, 3)).layer(both).build().unwrap();
    assert_eq!(refusal(Stream::new(&stack, 1)), cannot("2/Bidirectional", whole));
    assert_eq!(refusal(stack.can_stream()), cannot("2/Bidirectional", whole));
    let boxed: Box<dyn Layer<f32>> = Box::new(Stacked::builder().layer(stack).build().unwrap());
    assert_eq!(refusal(Stream::new(boxed, 1)), cannot("0/2/Bidirectional", whole));
}

#[test]
fn a_refused_call_leaves_the_stream() {
    let lstm = lstm();
    let step = array![[0.5, -0.25, 1.0], [1.5, 0.75, -0.5]];
    let chunk = Array3::from_shape_fn((2, 3, 3), |(i, j, k)| (i + j + k) as f32 / 4.0);
    let (mut stream, mut twin) = (Stream::new(&lstm, 2).unwrap(), Stream::new(&lstm, 2).unwrap());
    stream.step(&step).unwrap();
    twin.step(&step).unwrap();
    let check = |stream: &Stream<f32, &Lstm>, error: Error, expected: Error| {
        assert_eq!(error, expected);
        assert_eq!(stream.state(), twin.state(), "{expected}");
        assert_eq!(stream.output(), twin.output(), "{expected}");
    };

    let shape = |given| Error::StepShape { expected: (2, 3), given };
    for given in [(1, 3), (2, 2), (3, 2), (0, 3), (2, 0)] {
        let error = refusal(stream.step(&Array2::zeros(given)).map(|_| ()));
        check(&stream, error, shape(given));
        let error = refusal(stream.step_masked(&Array2::zeros(given), &[true, true]).map(|_| ()));
        check(&stream, error, shape(given));
    }
    let error = refusal(stream.step_one(&[1.0, 2.0, 3.0]).map(|_| ()));
    check(&stream, error, shape((1, 3)));
    for live in [&[][..], &[true], &[true; 3]] {
        let error = refusal(stream.step_masked(&step, live).map(|_| ()));
        check(&stream, error, Error::LengthsCount { expected: 2, given: live.len() });
    }
    let error = refusal(stream.reset_row(2));
    check(&stream, error, Error::Row { row: 2, batch: 2 });
    let error = refusal(stream.set_state(&lstm.initial_state(3)));
    check(&stream, error, Error::StateBatch { expected: 2, given: 3 });
    let error = refusal(stream.set_state(&Gru::new(3, 4).initial_state(2)));
    check(&stream, error, Error::StateLayout { expected: "h (4), c (4)".into(), given: "h (4)".into() });

    let error = refusal(stream.run(&Array3::zeros((2, 3, 4))));
    check(&stream, error, Error::InputFeatures { expected: 3, given: [2, 3, 4] });
    let error = refusal(stream.run(&Array3::zeros((2, 0, 4))));
    check(&stream, error, Error::InputFeatures { expected: 3, given: [2, 0, 4] });
    let error = refusal(stream.run(&Array3::zeros((1, 3, 3))));
    check(&stream, error, Error::StateBatch { expected: 1, given: 2 });
    let state = lstm.initial_state(2);
    let error = refusal(stream.run_with(&chunk, Run::new().initial_state(&state)));
    check(&stream, error, Error::StreamInitialState);
    let error = refusal(stream.run_with(&chunk, Run::new().lengths(&[3, 4])));
    check(&stream, error, Error::Length { row: 1, length: 4, timesteps: 3 });
    let mask = Array2::from_elem((2, 2), true);
    let error = refusal(stream.run_with(&chunk, Run::new().mask(&mask)));
    check(&stream, error, Error::MaskShape { what: "mask", expected: (2, 3), given: (2, 2) });

    // On slices.
    let mut block = [7.0; 16];
    for (input, output) in [(12, 12), (12, 0), (0, 8), (5, 8), (13, 16), (6, 16), (12, 15)] {
        let error = refusal(stream.process(&[0.5; 13][..input], &mut block[..output]));
        check(&stream, error, Error::BlockLength { features: 6, units: 8, input, output });
    }
    assert_eq!(block, [7.0; 16]);
    for steps in [1 << 40, usize::MAX / 4, usize::MAX] {
        let error = refusal(stream.reserve_steps(steps));
        assert!(matches!(error, Error::TensorTooLarge { .. }), "{error:?}");
        check(&stream, error.clone(), error);
    }

    // Into arrays, which stay as they were too.
    let mut columns = Array3::from_elem((2, 3, 4).f(), 7.0);
    let mut last = Array2::from_elem((2, 4), 7.0);
    let out = OutputMut::new().sequence(&mut columns).last(&mut last);
    let error = refusal(stream.run_into(&chunk, Run::new(), out));
    check(&stream, error, Error::OutputOrder { what: "sequence" });
    let mut wrong = Array3::from_elem((2, 4, 4), 7.0);
    let out = OutputMut::new().sequence(&mut wrong).last(&mut last);
    let error = refusal(stream.run_into(&chunk, Run::new(), out));
    let expected = Error::OutputShape { what: "sequence", expected: vec![2, 3, 4], given: vec![2, 4, 4] };
    check(&stream, error, expected);
    let mut other = lstm.initial_state(1);
    let out = OutputMut::new().last(&mut last).state(&mut other);
    let error = refusal(stream.run_into(&chunk, Run::new(), out));
    check(&stream, error, Error::StateBatch { expected: 2, given: 1 });
    let out = OutputMut::new().last(&mut last);
    let error = refusal(stream.run_into(&chunk, Run::new().lengths(&[9, 9]), out));
    check(&stream, error, Error::Length { row: 0, length: 9, timesteps: 3 });
    assert!(columns.iter().chain(&last).chain(&wrong).all(|&value| value == 7.0));

    // And it goes on as if nothing had been.
    assert_eq!(stream.step(&step).unwrap(), twin.step(&step).unwrap());
    assert_eq!(stream.run(&chunk).unwrap(), twin.run(&chunk).unwrap());
}

#[test]
fn empty_streams_and_chunks() {
    let lstm = lstm();
    let mut stream = Stream::new(&lstm, 0).unwrap();
    assert_eq!(stream.step(&Array2::zeros((0, 3))).unwrap().dim(), (0, 4));
    assert_eq!(stream.step_masked(&Array2::zeros((0, 3)), &[]).unwrap().dim(), (0, 4));
    assert_eq!(stream.run(&Array3::zeros((0, 5, 3))).unwrap().sequence().unwrap().dim(), (0, 5, 4));
    assert_eq!(stream.run(&Array3::zeros((0, 0, 3))).unwrap().sequence().unwrap().dim(), (0, 0, 4));
    assert_eq!(
        refusal(stream.step_one(&[1.0, 2.0, 3.0]).map(|_| ())),
        Error::StepShape { expected: (0, 3), given: (1, 3) }
    );
    assert_eq!(refusal(stream.reset_row(0)), Error::Row { row: 0, batch: 0 });
    stream.reserve_steps(5).unwrap();
    stream.process(&[], &mut []).unwrap();
    let none = |input, output| Error::BlockLength { features: 0, units: 0, input, output };
    assert_eq!(refusal(stream.process(&[1.0; 3], &mut [])), none(3, 0));
    assert_eq!(refusal(stream.process(&[], &mut [1.0; 4])), none(0, 4));
    stream.reset();
    assert!(stream.state().is_finite());
    // A block of no steps leaves a stream of rows.
    let mut stream = Stream::new(&lstm, 1).unwrap();
    stream.step_one(&[0.5, 1.0, -1.0]).unwrap();
    let state = stream.state().clone();
    stream.process(&[], &mut []).unwrap();
    stream.reserve_steps(0).unwrap();
    assert_eq!(stream.state(), &state);
}

/// A layer that can't take the stream's place comes back, and the stream is as it was.
#[track_caller]
fn cannot_replace(first: impl Layer<f32>, second: impl Layer<f32>, what: &str, expected: &str, given: &str) {
    let mut stream = Stream::new(Box::new(first) as Box<dyn Layer<f32>>, 1).unwrap();
    stream.step_one(&[0.5, -0.25, 1.0]).unwrap();
    let (state, output) = (stream.state().clone(), stream.output().to_owned());
    let address: *const dyn Layer<f32> = stream.layer();
    let second: Box<dyn Layer<f32>> = Box::new(second);
    let refused: *const dyn Layer<f32> = &*second;
    let error = stream.replace_layer(second).unwrap_err();
    let (what, expected, given) = (what.to_string(), expected.to_string(), given.to_string());
    assert_eq!(*error.error(), Error::LayerStructure { what, expected, given });
    assert_eq!(error.to_string(), error.error().to_string());
    let (back, _) = error.into_parts();
    assert!(std::ptr::addr_eq(&*back as *const dyn Layer<f32>, refused));
    assert!(std::ptr::addr_eq(stream.layer() as *const dyn Layer<f32>, address));
    assert_eq!((stream.state(), stream.output()), (&state, output.view()));
}

#[test]
fn layers_of_another_structure_do_not_replace_a_streams() {
    let with = || Lstm::<f32>::builder(3, 4).return_sequences(true);
    let gru = |after| Gru::<f32>::builder(3, 4).reset_after(after).use_bias(false).build().unwrap();
    let relu = with().activation(Activation::Relu).build().unwrap();
    let gates = with().recurrent_activation(Activation::HardSigmoid).build().unwrap();
    let slope = |negative_slope| with().activation(Activation::LeakyRelu { negative_slope }).build().unwrap();
    let lasts = Lstm::<f32>::builder(3, 4).build().unwrap();
    let zero = with().zero_output_for_mask(true).build().unwrap();
    let bare = with().use_bias(false).build().unwrap();
    let lstm = || with().build().unwrap();
    cannot_replace(lstm(), Gru::new(3, 4), "class", "LSTM", "GRU");
    cannot_replace(lstm(), lasts, "return_sequences", "true", "false");
    cannot_replace(lstm(), zero, "zero_output_for_mask", "false", "true");
    cannot_replace(lstm(), with().return_state(true).build().unwrap(), "return_state", "false", "true");
    cannot_replace(lstm(), with().go_backwards(true).build().unwrap(), "go_backwards", "false", "true");
    cannot_replace(lstm(), relu, "activation", "Tanh", "Relu");
    cannot_replace(lstm(), gates, "recurrent_activation", "Sigmoid", "HardSigmoid");
    cannot_replace(
        slope(0.25),
        slope(0.5),
        "activation",
        "LeakyRelu { negative_slope: 0.25 }",
        "LeakyRelu { negative_slope: 0.5 }",
    );
    cannot_replace(gru(true), gru(false), "reset_after", "true", "false");
    cannot_replace(lstm(), bare, "what it is made of", "bias [16]", "nothing");
    let sizes = |input, units| Lstm::<f32>::builder(input, units).return_sequences(true).build().unwrap();
    cannot_replace(sizes(3, 4), sizes(2, 4), "input_size", "3", "2");
    cannot_replace(sizes(3, 4), sizes(3, 5), "output", "0..4", "0..5");

    // In stacks and wrappers, by path.
    let stack = |lstm: Lstm, units| Stacked::builder().layer(lstm).layer(Dense::new(4, units)).build().unwrap();
    let relu = || with().activation(Activation::Relu).build().unwrap();
    cannot_replace(stack(lstm(), 2), stack(relu(), 2), "0/activation", "Tanh", "Relu");
    cannot_replace(stack(lstm(), 2), stack(lstm(), 3), "1/kernel", "[4, 2]", "[4, 3]");
    cannot_replace(stack(lstm(), 2), Stacked::builder().layer(lstm()).build().unwrap(), "layers", "2", "1");
    cannot_replace(lstm(), Stacked::builder().layer(lstm()).build().unwrap(), "class", "LSTM", "Sequential");
    let time = TimeDistributed::new(Dense::new(3, 4));
    cannot_replace(Dense::new(3, 4), time, "class", "Dense", "TimeDistributed");
    let both = Bidirectional::new(Lstm::<f32>::builder(3, 2)).unwrap();
    cannot_replace(lstm(), both, "class", "LSTM", "Bidirectional");
    let cells = |first: Activation| {
        let first = Lstm::<f32>::builder(3, 5).activation(first).build_cell().unwrap();
        let cells = StackedCells::builder().cell(first).cell(Gru::builder(5, 4).build_cell().unwrap());
        Recurrent::from_cell(cells.build().unwrap())
    };
    cannot_replace(cells(Activation::Tanh), cells(Activation::Relu), "0/activation", "Tanh", "Relu");
}

#[test]
fn dropout_and_boxes_are_no_structure() {
    let lstm = |dropout| Lstm::<f32>::builder(3, 4).dropout(dropout).build().unwrap();
    let mut stream = Stream::new(Box::new(lstm(0.0)) as Box<dyn Layer<f32>>, 1).unwrap();
    stream.replace_layer(Box::new(lstm(0.5))).unwrap();
    stream.replace_layer(Box::new(Box::new(lstm(0.1)) as Box<dyn Layer<f32>>)).unwrap();
    // As an error of this crate's.
    let first = lstm(0.0);
    let wider = Lstm::new(3, 5);
    let refused = Stream::new(&first, 1).unwrap().replace_layer(&wider).map(|_| ());
    assert!(matches!(refusal(refused.map_err(ReplaceError::into_error)), Error::LayerStructure { .. }));
}

#[test]
fn the_state_goes_on_under_the_new_layers_weights() {
    let (first, second) = (lstm(), lstm());
    let x = Array3::from_shape_fn((1, 9, 3), |(_, j, k)| (j + 2 * k) as f32 / 10.0 - 0.5);
    let mut stream = Stream::new(&first, 1).unwrap();
    stream.run(&x).unwrap();
    let carried = stream.state().clone();
    stream.replace_layer(&second).unwrap();
    assert_eq!(stream.output(), first.forward(&x).unwrap().last());
    let expected = second.run(&x, Run::new().initial_state(&carried)).unwrap();
    assert_eq!(stream.run(&x).unwrap(), expected);
    assert!(std::ptr::eq(stream.layer(), &second));
}

#[test]
fn finite_and_flushed_states() {
    let lstm = lstm();
    let mut stream = Stream::new(&lstm, 2).unwrap();
    let mut state = lstm.initial_state(2);
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (row, column) in [(0, 0), (1, 3)] {
            let mut c = Array2::zeros((2, 4));
            c[[row, column]] = odd;
            state.set("c", &c).unwrap();
            stream.set_state(&state).unwrap();
            assert!(!stream.state().is_finite());
            stream.reset();
            assert!(stream.state().is_finite());
        }
    }
    let tiny = array![[1e-13, -1e-13, 1e-40, -0.0], [1e-12, -2e-12, 0.5, f32::NAN]];
    state.set("c", &tiny).unwrap();
    stream.set_state(&state).unwrap();
    for nothing in [f32::NAN, -1.0, 0.0] {
        stream.flush_below(nothing);
        assert_eq!(stream.state().get("c").unwrap().mapv(f32::to_bits), tiny.mapv(f32::to_bits));
    }
    stream.flush_below(1e-12);
    let flushed = array![[0.0, 0.0, 0.0, 0.0], [1e-12, -2e-12, 0.5, f32::NAN]];
    assert_eq!(stream.state().get("c").unwrap().mapv(f32::to_bits), flushed.mapv(f32::to_bits));
    // What was put out was put out.
    let mut stream = Stream::new(&lstm, 1).unwrap();
    let output = stream.step_one(&[0.5, 1.0, -1.0]).unwrap().to_vec();
    stream.flush_below(f32::INFINITY);
    assert_eq!(stream.output().row(0).to_vec(), output);
    assert_eq!(stream.state(), &lstm.initial_state(1));
}

#[test]
fn stateful_layers() {
    let lstm = lstm();
    let x = Array3::ones((2, 3, 3));
    let mut stateful = Stateful::new(&lstm, 2);
    stateful.forward(&x).unwrap();
    let kept = stateful.state().clone();
    let calls = [
        (refusal(stateful.forward(&Array3::ones((3, 3, 3)))), Error::StateBatch { expected: 3, given: 2 }),
        (refusal(stateful.forward(&Array3::ones((2, 0, 3)))), Error::NoTimesteps { given: [2, 0, 3] }),
        (refusal(stateful.forward(&Array3::ones((2, 3, 4)))), Error::InputFeatures { expected: 3, given: [2, 3, 4] }),
        (refusal(stateful.run(&x, Run::new().lengths(&[1, 9]))), Error::Length { row: 1, length: 9, timesteps: 3 }),
        (
            refusal(stateful.run(&x, Run::new().initial_state(&lstm.initial_state(1)))),
            Error::StateBatch { expected: 2, given: 1 },
        ),
    ];
    for (error, expected) in calls {
        assert_eq!(error, expected);
    }
    assert_eq!(stateful.state(), &kept);
}
