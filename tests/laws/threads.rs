//! Feature `rayon`: any number of threads gives the same bits, and more than one really runs.

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread::ThreadId;

use ndarray::prelude::*;
use recurrent::training::Tape;
use recurrent::{
    Activation, Bidirectional, Cell, Dense, Gradients, Gru, Layer, Lstm, Output, OutputGradient, Recurrent, Run,
    SimpleRnn, Stacked, StateLayout, WeightVisitor, WeightVisitorMut, cell::Step,
};

/// Adds up its input, and remembers which threads it ran on. Its weight makes it look like work.
#[derive(Debug)]
struct Adder {
    weight: Array2<f32>,
    threads: Mutex<HashSet<ThreadId>>,
}

impl Cell for Adder {
    type Elem = f32;

    fn input_size(&self) -> usize {
        2
    }

    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("h", 2)])
    }

    fn step(&self, step: Step<'_, f32>) {
        self.threads.lock().unwrap().insert(std::thread::current().id());
        std::thread::sleep(std::time::Duration::from_micros(20));
        (0..2).for_each(|j| step.next[j] = step.prev[j] + step.x[j]);
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, f32>) {
        visitor.weight("weight", &self.weight);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, f32>) {
        visitor.weight("weight", &mut self.weight);
    }
}

fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

fn input(batch: usize, timesteps: usize, features: usize) -> Array3<f32> {
    Array3::from_shape_fn((batch, timesteps, features), |(b, t, f)| ((b * 31 + t * 7 + f * 3) as f32 * 0.37).sin())
}

#[test]
fn large_calls_are_split_and_small_ones_are_not() {
    let cell = Adder { weight: Array2::zeros((1000, 1000)), threads: Mutex::default() };
    let layer = Recurrent::from_cell(cell);
    let seen = || std::mem::take(&mut *layer.cell().threads.lock().unwrap()).len();
    let x = input(9, 10, 2);
    let whole = on_threads(1, || layer.forward(&x)).unwrap();
    assert_eq!(seen(), 1);
    // Whether another thread is in time for a share is the scheduler's: on a busy machine it may miss a call.
    let shared = (0..100).any(|_| {
        let split = on_threads(3, || layer.forward(&x)).unwrap();
        assert_eq!(whole, split);
        seen() > 1
    });
    assert!(shared, "a large call runs on one thread only");
    assert_eq!(whole.last()[[8, 1]], x.slice(s![8, .., 1]).iter().fold(0.0, |sum, x| sum + x));
    on_threads(3, || layer.forward(&x.slice(s![.., ..1, ..]))).unwrap();
    assert_eq!(seen(), 1, "a single step is split");
}

#[test]
fn the_bits_are_those_of_one_thread() {
    let gru = Gru::<f32>::builder(24, 96).return_sequences(true).return_state(true).build().unwrap();
    let stack = Stacked::builder()
        .layer(Bidirectional::new(Lstm::builder(24, 48).return_sequences(true)).unwrap())
        .layer(Gru::builder(96, 64).return_sequences(true).build().unwrap())
        .layer(Dense::new(64, 5))
        .return_state(true)
        .build()
        .unwrap();
    let (batch, timesteps) = (13, 20);
    let x = input(batch, timesteps, 24);
    let flipped = x.slice(s![..;-1, ..;-1, ..]);
    let time_major = x.clone().permuted_axes([1, 0, 2]).as_standard_layout().into_owned().permuted_axes([1, 0, 2]);
    let mask = Array2::from_shape_fn((batch, timesteps), |(b, t)| !(b * 5 + t * 3).is_multiple_of(4));
    let resets = Array2::from_shape_fn((batch, timesteps), |(b, t)| (b + t) % 7 == 3);
    let lengths: Vec<usize> = (0..batch).map(|b| (b * 3) % (timesteps + 1)).collect();
    // Nearly all the work is in a few rows: the parts are of very different numbers of rows.
    let uneven: Vec<usize> = (0..batch).map(|b| if b < 9 { b % 2 } else { timesteps }).collect();
    let small = Layer::quantize(&stack, recurrent::Precision::Int8).unwrap();
    let layers: [&dyn Layer<f32>; 3] = [&gru, &stack, &*small];
    for layer in layers {
        let state = {
            let mut state = layer.initial_state(batch);
            let part = state.names().next().unwrap().to_string();
            let width = state.get(&part).unwrap().ncols();
            state.set(&part, &Array2::from_shape_fn((batch, width), |(b, u)| ((b * u) as f32).cos())).unwrap();
            state
        };
        let run = |threads: usize| -> Vec<Output<f32>> {
            on_threads(threads, || {
                vec![
                    layer.forward(&x).unwrap(),
                    layer.forward(&flipped).unwrap(),
                    layer.forward(&time_major).unwrap(),
                    layer.run(&x, Run::new().mask(&mask).resets(&resets)).unwrap(),
                    layer.run(&x, Run::new().lengths(&lengths).initial_state(&state)).unwrap(),
                    layer.run(&x, Run::new().lengths(&uneven)).unwrap(),
                ]
            })
        };
        let one = run(1);
        for threads in [2, 3, 8] {
            assert_eq!(run(threads), one);
        }
    }
}

#[test]
fn recorded_steps_of_many_rows_are_split() {
    let cell = Adder { weight: Array2::zeros((1000, 1000)), threads: Mutex::default() };
    let layer = Recurrent::from_cell(cell).return_sequences(true);
    let seen = || std::mem::take(&mut *layer.cell().threads.lock().unwrap()).len();
    let x = input(19, 6, 2);
    let mut tape = Tape::new();
    let one = on_threads(1, || layer.run(&x, Run::new().record(&mut tape))).unwrap();
    assert_eq!(seen(), 1);
    for threads in [2, 4] {
        let shared = (0..100).any(|_| {
            let more = on_threads(threads, || layer.run(&x, Run::new().record(&mut tape))).unwrap();
            assert_eq!(more, one);
            seen() > 1
        });
        assert!(shared, "a large recorded call runs on one thread only");
    }
}

/// Outputs and gradients of a recorded call and its backward pass.
fn train<T: recurrent::Float>(layer: &dyn Layer<T>, x: &Array3<T>, lengths: Option<&[usize]>) -> Vec<Vec<u64>> {
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(layer));
    let (batch, timesteps, _) = x.dim();
    let width = layer.output_size();
    let upstream = Array3::from_shape_fn((batch, timesteps, width), |(b, t, u)| {
        T::from_f64(((b * 13 + t * 5 + u * 7) as f64 * 0.71).cos())
    });
    let run = Run::new().record(&mut tape);
    let output = layer.run(
        x,
        match lengths {
            Some(lengths) => run.lengths(lengths),
            None => run,
        },
    );
    let bits = |values: &mut dyn Iterator<Item = T>| values.map(|value| value.into_f64().to_bits()).collect();
    let sequence = bits(&mut output.unwrap().sequence().unwrap().iter().copied());
    layer.backward(&mut tape, OutputGradient::new().sequence(&upstream), &mut gradients).unwrap();
    let mut found = vec![sequence, bits(&mut gradients.input().unwrap().iter().copied())];
    for (_, gradient) in gradients.iter() {
        found.push(bits(&mut gradient.iter().copied()));
    }
    assert!(found.iter().all(|values: &Vec<u64>| values.iter().any(|&bits| bits != 0)), "a gradient is zero");
    found
}

fn trained_on_any_threads<T: recurrent::Float>(layer: &dyn Layer<T>, batch: usize) {
    let x = Array3::from_shape_fn((batch, 9, layer.input_size()), |(b, t, f)| {
        T::from_f64(((b * 31 + t * 7 + f * 3) as f64 * 0.37).sin())
    });
    let lengths: Vec<usize> = (0..batch).map(|b| 1 + (b * 5) % 9).collect();
    for lengths in [None, Some(&lengths[..])] {
        let one = on_threads(1, || train(layer, &x, lengths));
        for threads in [2, 3, 4] {
            assert!(on_threads(threads, || train(layer, &x, lengths)) == one, "{} threads", threads);
        }
    }
}

#[test]
fn gradients_are_those_of_one_thread() {
    // Large enough for two or four parts of a step (a million multiplications each), and sizes that are no multiples of
    // a vector's.
    trained_on_any_threads(&Lstm::<f32>::builder(37, 131).return_sequences(true).build().unwrap(), 53);
    let gru = |after| Gru::<f32>::builder(21, 133).reset_after(after).return_sequences(true);
    trained_on_any_threads(&gru(true).build().unwrap(), 70);
    trained_on_any_threads(&gru(false).build().unwrap(), 70);
    trained_on_any_threads(&gru(true).activation(Activation::Relu).build().unwrap(), 49);
    trained_on_any_threads(&SimpleRnn::<f64>::builder(40, 190).return_sequences(true).build().unwrap(), 61);
    let both = Bidirectional::new(Lstm::<f64>::builder(30, 100).return_sequences(true)).unwrap();
    let stack = Stacked::builder().layer(both).layer(Dense::new(200, 7)).build().unwrap();
    trained_on_any_threads(&stack, 45);
}
