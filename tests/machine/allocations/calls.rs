//! Whole calls: nothing once the memory has grown, or else the arrays that are returned.

use ndarray::prelude::*;
use recurrent::training::{Adam, Optimizer, Tape};
use recurrent::{Dense, Float, Gradients, Gru, Layer, Lstm, OutputGradient, OutputMut, Run, Scratch, Stacked};

use super::counter::{allocator_calls, free};
use super::layers::{INPUT, UNITS, all, numbers};

#[test]
fn run_into_allocates_nothing_once_its_scratch_has_grown() {
    fn check<T: Float>() {
        for (name, layer) in all::<T>() {
            for (batch, timesteps) in [(1, 30), (6, 4), (0, 3)] {
                let x = numbers::<T, _>((batch, timesteps, INPUT));
                let turned = numbers::<T, _>((batch, timesteps, INPUT).f());
                let mask = Array2::from_shape_fn((batch, timesteps), |(row, time)| (row + time) % 3 != 0);
                let columns = Array2::from_shape_fn((batch, timesteps).f(), |(row, time)| (row + time) % 3 != 0);
                let lengths: Vec<usize> = (0..batch).map(|row| row % (timesteps + 1)).collect();
                let state = layer.initial_state(batch);
                let outputs = layer.output_size();
                let mut sequence = Array3::zeros((batch, timesteps, outputs));
                let mut sequence_turned = Array3::zeros((batch, timesteps, outputs).f());
                let mut last = Array2::zeros((batch, outputs));
                let mut end = layer.initial_state(batch);
                let (mut scratch, mut seeds) = (Scratch::new(), layer.seeds());
                let sequences = layer.returns_sequences();
                let mut everything = |count: bool| {
                    let mut call = |what: &str, x: &Array3<T>, run: Run<'_, T>, turned: bool| {
                        let out = OutputMut::new().last(&mut last).state(&mut end);
                        let out = match (sequences, turned) {
                            (false, _) => out,
                            (true, false) => out.sequence(&mut sequence),
                            (true, true) => out.sequence(&mut sequence_turned),
                        };
                        let what = format!("{name}, ({batch}, {timesteps}), {what}");
                        let (calls, result) = allocator_calls(|| layer.run_into(x, run, out, &mut scratch));
                        result.unwrap();
                        assert!(!count || calls == 0, "{calls} calls of the allocator: {what}");
                    };
                    call("plain", &x, Run::new(), false);
                    call("mask", &x, Run::new().mask(&mask), false);
                    call("mask and resets", &x, Run::new().mask(&mask).resets(&mask), false);
                    call("lengths", &x, Run::new().lengths(&lengths), false);
                    call("initial state", &x, Run::new().initial_state(&state), false);
                    call("other layouts", &turned, Run::new().mask(&columns).resets(&columns), true);
                    call("training", &x, Run::new().training(&mut seeds), false);
                };
                everything(false);
                everything(true);

                // Once is enough.
                let mut scratch = Scratch::new();
                for calls in [None, Some(0)] {
                    let out = OutputMut::new().last(&mut last).state(&mut end);
                    let counted = allocator_calls(|| layer.run_into(&x, Run::new().mask(&mask), out, &mut scratch));
                    counted.1.unwrap();
                    let name = format!("{name}, ({batch}, {timesteps}), twice with the same mask");
                    assert!(calls.is_none_or(|calls| calls == counted.0), "{name}: {}", counted.0);
                }
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn forward_allocates_what_it_returns() {
    for (name, layer) in all::<f32>() {
        let x = numbers::<f32, _>((2, 30, INPUT));
        let mask = Array2::from_shape_fn((2, 30), |(row, time)| (row + time) % 3 != 0);
        // The last output, the sequence, the state.
        let arrays = 1 + usize::from(layer.returns_sequences()) + usize::from(layer.returns_state());
        layer.run(&x, Run::new().mask(&mask)).unwrap();
        layer.forward(&x).unwrap();
        let (calls, _output) = allocator_calls(|| layer.forward(&x).unwrap());
        assert_eq!(calls, arrays, "{name}: forward");
        let (calls, _output) = allocator_calls(|| layer.run(&x, Run::new().mask(&mask)).unwrap());
        assert_eq!(calls, arrays, "{name}: with a mask");
        let (calls, _output) = allocator_calls(|| layer.run(&x, Run::new().lengths(&[30, 4])).unwrap());
        assert_eq!(calls, arrays, "{name}: with lengths");
    }
}

#[test]
fn weights_and_updates() {
    let mut lstm = Lstm::<f32>::new(INPUT, UNITS);
    let kernel = numbers::<f32, _>((INPUT, 4 * UNITS)).into_dyn();
    // The names are made to be compared; the weights are packed again in place.
    let (calls, _) = allocator_calls(|| lstm.set_weights(&[("kernel", kernel.view())]).unwrap());
    assert!(calls < 20, "{calls}");
    free("a clone shares its weights until one is changed", || drop(lstm.clone()));

    let mut net = Stacked::builder()
        .layer(Lstm::<f32>::builder(INPUT, UNITS).return_sequences(true).build().unwrap())
        .layer(Gru::new(UNITS, 4))
        .layer(Dense::new(4, 2))
        .build()
        .unwrap();
    let (x, d_last) = (numbers::<f32, _>((3, 30, INPUT)), numbers::<f32, _>((3, 2)));
    let (mut tape, mut gradients, mut adam) = (Tape::new(), Gradients::new(&net), Adam::new(1e-3));
    let (mut last, mut scratch) = (Array2::zeros((3, 2)), Scratch::new());
    let mut train = || {
        let record = Run::new().record(&mut tape);
        let out = OutputMut::new().last(&mut last);
        let (forward, result) = allocator_calls(|| net.run_into(&x, record, out, &mut scratch));
        result.unwrap();
        gradients.clear();
        let upstream = OutputGradient::new().last(&d_last);
        let (backward, result) = allocator_calls(|| net.backward(&mut tape, upstream, &mut gradients));
        result.unwrap();
        let (update, result) = allocator_calls(|| adam.step(&mut net, &gradients));
        result.unwrap();
        [forward, backward, update]
    };
    train();
    assert_eq!(train(), [0; 3], "calls of the allocator in a step of training: forward, backward, update");
}
