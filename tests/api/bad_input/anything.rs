//! Whatever the shapes of a call are, it returns: a result or an error, and after an error all is as before.

use ndarray::prelude::*;
use proptest::prelude::*;
use recurrent::{Bidirectional, Dense, Gru, Layer, Lstm, OutputMut, Run, Scratch, Stacked, Stream};

fn layer(kind: usize) -> Box<dyn Layer<f32>> {
    let lstm = Lstm::builder(2, 3).return_sequences(kind.is_multiple_of(2)).return_state(true);
    let lstm = lstm.go_backwards(kind == 1).dropout(if kind == 2 { 0.5 } else { 0.0 });
    match kind {
        3 => Box::new(Bidirectional::new(lstm).unwrap()),
        4 => Box::new(Stacked::builder().layer(lstm.build().unwrap()).layer(Gru::new(3, 2)).build().unwrap()),
        5 => Box::new(Stacked::builder().layer(lstm.build().unwrap()).layer(Dense::new(3, 2)).build().unwrap()),
        _ => Box::new(lstm.build().unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { 400 },
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_call_panics(
        kind in 0..6_usize,
        x in (0..4_usize, 0..4_usize, 1..4_usize),
        mask in prop::option::of((0..4_usize, 0..4_usize)),
        lengths in prop::option::of(prop::collection::vec(0..5_usize, 0..4)),
        resets in prop::option::of((0..4_usize, 0..4_usize)),
        state in prop::option::of((0..6_usize, 0..4_usize)),
        seeds in prop::option::of(0..6_usize),
        outputs in (
            prop::option::of((0..4_usize, 0..4_usize, 1..7_usize)),
            prop::option::of((0..4_usize, 1..7_usize)),
            prop::option::of((0..6_usize, 0..4_usize)),
        ),
        batch in 0..4_usize,
    ) {
        let layer = layer(kind);
        let x = Array3::from_elem(x, 0.5);
        let flags = |shape: Option<(usize, usize)>| {
            shape.map(|shape| Array2::from_shape_fn(shape, |(row, time)| (row + time) % 2 == 0))
        };
        let (mask, resets) = (flags(mask), flags(resets));
        let state = state.map(|(kind, batch)| self::layer(kind).initial_state(batch));
        let mut seeds = seeds.map(|kind| self::layer(kind).seeds());
        macro_rules! run {
            () => {{
                let mut run = Run::new().mask_if(mask.as_ref());
                if let Some(lengths) = &lengths {
                    run = run.lengths(lengths);
                }
                if let Some(resets) = &resets {
                    run = run.resets(resets);
                }
                if let Some(state) = &state {
                    run = run.initial_state(state);
                }
                if let Some(seeds) = &mut seeds {
                    run = run.training(seeds);
                }
                run
            }};
        }
        let result = layer.run(&x, run!());
        if let Ok(output) = &result {
            prop_assert_eq!(output.last().dim(), (x.dim().0, layer.output_size()));
        }

        let (sequence, last, end) = outputs;
        let mut sequence = sequence.map(|shape| Array3::from_elem(shape, 7.0));
        let mut last = last.map(|shape| Array2::from_elem(shape, 7.0));
        let mut end = end.map(|(kind, batch)| self::layer(kind).initial_state(batch));
        let before = (sequence.clone(), last.clone(), end.clone());
        macro_rules! out {
            () => {{
                let mut out = OutputMut::new();
                if let Some(array) = &mut sequence {
                    out = out.sequence(array);
                }
                if let Some(array) = &mut last {
                    out = out.last(array);
                }
                if let Some(state) = &mut end {
                    out = out.state(state);
                }
                out
            }};
        }
        let into = layer.run_into(&x, run!(), out!(), &mut Scratch::new());
        // What is written into must fit as well; and results that fit are written, whatever the flags.
        prop_assert!(result.is_ok() || into.is_err());
        if into.is_err() {
            prop_assert_eq!(&(sequence.clone(), last.clone(), end.clone()), &before);
        }

        if let Ok(mut stream) = Stream::new(&*layer, batch) {
            let (state, output) = (stream.state().clone(), stream.output().to_owned());
            let before = (sequence.clone(), last.clone(), end.clone());
            if stream.run_into(&x, run!(), out!()).is_err() {
                prop_assert_eq!(stream.state(), &state);
                prop_assert_eq!(stream.output(), &output);
                prop_assert_eq!(&(sequence, last, end), &before);
            }
            let _ = stream.run_with(&x, run!());
        } else {
            prop_assert!(kind == 1 || kind == 3);
        }
    }
}
