//! Calls: inputs, options, arrays to write into.

use ndarray::prelude::*;
use recurrent::{Bidirectional, Error, Gru, Layer, Lstm, Merge, OutputMut, Run, Scratch, SimpleRnn, Stacked};

use super::refusal;

fn lstm() -> Lstm {
    Lstm::builder(3, 4).return_sequences(true).return_state(true).build().unwrap()
}

/// (2, 5, 3)
fn x() -> Array3<f32> {
    Array3::from_shape_fn((2, 5, 3), |(i, j, k)| (i + 2 * j + 3 * k) as f32 / 10.0)
}

#[test]
fn inputs() {
    let lstm = lstm();
    let features = |given| Error::InputFeatures { expected: 3, given };
    assert_eq!(refusal(lstm.forward(&Array3::zeros((2, 5, 4)))), features([2, 5, 4]));
    assert_eq!(refusal(lstm.forward(&Array3::zeros((2, 5, 0)))), features([2, 5, 0]));
    assert_eq!(refusal(lstm.forward(&Array3::zeros((0, 5, 1)))), features([0, 5, 1]));
    assert_eq!(refusal(lstm.forward(&Array3::zeros((2, 0, 3)))), Error::NoTimesteps { given: [2, 0, 3] });
    assert_eq!(refusal(lstm.run(&Array3::zeros((0, 0, 3)), Run::new())), Error::NoTimesteps { given: [0, 0, 3] });
    let stack = Stacked::builder().layer(lstm.clone()).layer(Gru::new(4, 2)).build().unwrap();
    assert_eq!(refusal(stack.forward(&Array3::zeros((2, 5, 4)))), features([2, 5, 4]));
    let both = Bidirectional::new(Gru::<f32>::builder(3, 2)).unwrap();
    assert_eq!(refusal(both.forward(&Array3::zeros((2, 5, 4)))), features([2, 5, 4]));
    let boxed: Box<dyn Layer<f32>> = Box::new(lstm);
    assert_eq!(refusal(boxed.forward(&Array3::zeros((2, 0, 3)))), Error::NoTimesteps { given: [2, 0, 3] });
}

/// Options that don't fit an input of (2, 5, 3), and the error of each.
fn wrong_options(mut each: impl FnMut(Run<'_, f32>, Error)) {
    let flags = |shape| Array2::from_elem(shape, true);
    for given in [(2, 4), (2, 6), (1, 5), (3, 5), (5, 2), (0, 0)] {
        let error = |what| Error::MaskShape { what, expected: (2, 5), given };
        each(Run::new().mask(&flags(given)), error("mask"));
        each(Run::new().resets(&flags(given)), error("resets"));
        each(Run::new().mask(&flags((2, 5))).resets(&flags(given)), error("resets"));
    }
    each(Run::new().mask(&flags((2, 5))).lengths(&[5, 5]), Error::MaskAndLengths);
    for lengths in [&[][..], &[5], &[5, 5, 5]] {
        each(Run::new().lengths(lengths), Error::LengthsCount { expected: 2, given: lengths.len() });
    }
    each(Run::new().lengths(&[5, 6]), Error::Length { row: 1, length: 6, timesteps: 5 });
    each(Run::new().lengths(&[usize::MAX, 6]), Error::Length { row: 0, length: usize::MAX, timesteps: 5 });
    for batch in [0, 1, 3] {
        let state = lstm().initial_state(batch);
        each(Run::new().initial_state(&state), Error::StateBatch { expected: 2, given: batch });
    }
    let layout = |given: &str| Error::StateLayout { expected: "h (4), c (4)".into(), given: given.into() };
    each(Run::new().initial_state(&Gru::new(3, 4).initial_state(2)), layout("h (4)"));
    each(Run::new().initial_state(&Lstm::new(3, 5).initial_state(2)), layout("h (5), c (5)"));
    let nested = Stacked::builder().layer(lstm()).build().unwrap().initial_state(2);
    each(Run::new().initial_state(&nested), layout("0/h (4), 0/c (4)"));
    let mut seeds = SimpleRnn::<f32>::builder(3, 4).dropout(0.5).build().unwrap().seeds();
    each(Run::new().training(&mut seeds), Error::SeedsCount { expected: 0, given: 1 });
}

#[test]
fn options() {
    let (lstm, x) = (lstm(), x());
    wrong_options(|run, error| assert_eq!(refusal(lstm.run(&x, run)), error));
    let with_dropout = Lstm::<f32>::builder(3, 4).dropout(0.5).build().unwrap();
    let mut seeds = lstm.seeds();
    assert_eq!(
        refusal(with_dropout.run(&x, Run::new().training(&mut seeds))),
        Error::SeedsCount { expected: 1, given: 0 }
    );
}

#[test]
fn a_refused_run_into_writes_nothing() {
    let (lstm, x) = (lstm(), x());
    let untouched = |sequence: &Array3<f32>, last: &Array2<f32>, state: &recurrent::State<f32>| {
        assert!(sequence.iter().chain(last).chain(&state.values()).all(|&value| value == 7.0));
    };
    let make = || {
        let mut state = lstm.initial_state(2);
        for name in ["h", "c"] {
            state.set(name, &Array2::from_elem((2, 4), 7.0)).unwrap();
        }
        (Array3::from_elem((2, 5, 4), 7.0), Array2::from_elem((2, 4), 7.0), state)
    };
    let mut scratch = Scratch::new();
    wrong_options(|run, error| {
        let (mut sequence, mut last, mut state) = make();
        let out = OutputMut::new().sequence(&mut sequence).last(&mut last).state(&mut state);
        assert_eq!(refusal(lstm.run_into(&x, run, out, &mut scratch)), error);
        untouched(&sequence, &last, &state);
        // The same into arrays in another order, that are written by way of a copy.
        let out = OutputMut::new().last(&mut last);
        assert!(lstm.run_into(&x, Run::new().lengths(&[9, 9]), out, &mut scratch).is_err());
        untouched(&sequence, &last, &state);
    });

    let shape = |what, expected: &[usize], given: &[usize]| Error::OutputShape {
        what,
        expected: expected.to_vec(),
        given: given.to_vec(),
    };
    let (mut sequence, mut last, mut state) = make();
    let mut wrong = Array3::from_elem((2, 4, 5), 7.0);
    let out = OutputMut::new().sequence(&mut wrong).last(&mut last).state(&mut state);
    let error = refusal(lstm.run_into(&x, Run::new(), out, &mut scratch));
    assert_eq!(error, shape("sequence", &[2, 5, 4], &[2, 4, 5]));
    untouched(&wrong, &last, &state);
    let mut wrong = Array2::from_elem((4, 2), 7.0);
    let out = OutputMut::new().sequence(&mut sequence).last(&mut wrong).state(&mut state);
    assert_eq!(refusal(lstm.run_into(&x, Run::new(), out, &mut scratch)), shape("last", &[2, 4], &[4, 2]));
    untouched(&sequence, &wrong, &state);
    let mut wrong = lstm.initial_state(3);
    let out = OutputMut::new().sequence(&mut sequence).last(&mut last).state(&mut wrong);
    let error = refusal(lstm.run_into(&x, Run::new(), out, &mut scratch));
    assert_eq!(error, Error::StateBatch { expected: 2, given: 3 });
    let mut wrong = Gru::new(3, 4).initial_state(2);
    let out = OutputMut::new().sequence(&mut sequence).last(&mut last).state(&mut wrong);
    assert!(matches!(refusal(lstm.run_into(&x, Run::new(), out, &mut scratch)), Error::StateLayout { .. }));
    untouched(&sequence, &last, &state);
    let out = OutputMut::new().sequence(&mut sequence).last(&mut last).state(&mut state);
    let error = refusal(lstm.run_into(&Array3::zeros((2, 0, 3)), Run::new(), out, &mut scratch));
    assert_eq!(error, Error::NoTimesteps { given: [2, 0, 3] });
    untouched(&sequence, &last, &state);
}

#[test]
fn results_that_were_not_requested() {
    let output = Lstm::<f32>::new(3, 4).forward(&x()).unwrap();
    let error = |what, hint| Error::NotRequested { what, hint };
    assert_eq!(refusal(output.sequence()), error("sequence", "build the layer with return_sequences(true)"));
    assert_eq!(refusal(output.state()), error("state", "build the layer with return_state(true)"));
    let hint = "build a Bidirectional layer with merge_mode(Merge::None)";
    assert_eq!(refusal(output.backward()), error("backward output", hint));
    assert_eq!(refusal(output.clone().into_sequence()).to_string(), refusal(output.sequence()).to_string());
    assert_eq!(refusal(output.clone().into_state()).to_string(), refusal(output.state()).to_string());
    // A sequence that a stack hasn't got.
    let stack = Stacked::builder().layer(Lstm::new(3, 4)).layer(recurrent::Dense::new(4, 2)).build().unwrap();
    let mut sequence = Array3::zeros((2, 5, 2));
    let out = OutputMut::new().sequence(&mut sequence);
    let error = refusal(stack.run_into(&x(), Run::new(), out, &mut Scratch::new()));
    assert!(matches!(error, Error::NotRequested { what: "sequence", .. }), "{error:?}");
}

#[test]
fn widths_that_cannot_be_merged() {
    let forward = Lstm::<f32>::builder(3, 4).build().unwrap();
    let backward = Gru::<f32>::builder(3, 5).go_backwards(true).build().unwrap();
    let both = Bidirectional::from_layers(forward, backward).unwrap();
    assert_eq!(both.forward(&x()).unwrap().last().dim(), (2, 9));
    for merge in [Merge::Sum, Merge::Mul, Merge::Ave] {
        assert_eq!(
            refusal(both.clone().merge_mode(merge).forward(&x())),
            Error::BidirectionalPair {
                option: "units",
                forward: 4,
                backward: 5,
                expected: "they must be the same for this merge mode",
            }
        );
    }
}

#[test]
fn an_empty_batch_is_an_empty_result() {
    let both = Bidirectional::new(Gru::<f32>::builder(3, 2).return_sequences(true).return_state(true)).unwrap();
    let stack = Stacked::builder().layer(both.clone()).layer(lstm_over(4)).return_state(true).build().unwrap();
    fn lstm_over(input: usize) -> Lstm {
        Lstm::builder(input, 4).return_sequences(true).build().unwrap()
    }
    let layers: [Box<dyn Layer<f32>>; 3] = [Box::new(lstm()), Box::new(both), Box::new(stack)];
    let none = Array2::from_elem((0, 5), true);
    for layer in layers {
        for run in [Run::new(), Run::new().mask(&none), Run::new().lengths(&[]), Run::new().resets(&none)] {
            let output = layer.run(&Array3::zeros((0, 5, 3)), run).unwrap();
            assert_eq!(output.last().dim(), (0, layer.output_size()));
            assert_eq!(output.sequence().unwrap().dim(), (0, 5, layer.output_size()));
            assert_eq!(output.state().unwrap().batch(), 0);
        }
    }
}
