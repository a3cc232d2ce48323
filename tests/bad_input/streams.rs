//! Streams: what can't stream, and steps and chunks that don't fit.

use ndarray::prelude::*;
use recurrent::{Bidirectional, Dense, Error, Gru, Layer, Lstm, OutputMut, Run, Stacked, Stateful, Stream};

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
    stream.reset();
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
