//! One training step, forward and backward, of a layer by itself: 64 features, 128 units, 50 steps, 32 rows. And whole
//! updates (`update_*`: forward, loss, backward, Adam) of a model of a recurrent layer and a Dense(1), of that size and
//! of a small one: 8 features, 16 units, 20 steps, 8 rows.
//!
//! `cargo bench --bench training` prints a line for each case: nanoseconds for one row and step, the median of several
//! repeats. `benches/training_vs_torch.py` runs the same cases in turn with PyTorch's.

use std::hint::black_box;
use std::time::Instant;

use ndarray::{Array2, Array3};
use recurrent::training::{Adam, Loss, Optimizer, Tape};
use recurrent::{
    Dense, Gradients, Gru, Layer, Lstm, Model, OutputGradient, OutputMut, Run, Scratch, Sequential, SimpleRnn,
};

const INPUT: usize = 64;
const UNITS: usize = 128;
const STEPS: usize = 50;
const BATCH: usize = 32;

fn layer(name: &str) -> Option<Box<dyn Layer<f32>>> {
    Some(match name {
        "simple_rnn" => Box::new(SimpleRnn::<f32>::builder(INPUT, UNITS).return_sequences(true).build().ok()?),
        "lstm" => Box::new(Lstm::<f32>::builder(INPUT, UNITS).return_sequences(true).build().ok()?),
        "gru" => Box::new(Gru::<f32>::builder(INPUT, UNITS).return_sequences(true).build().ok()?),
        "gru_reset_before" => {
            let builder = Gru::<f32>::builder(INPUT, UNITS).reset_after(false);
            Box::new(builder.return_sequences(true).build().ok()?)
        }
        _ => return None,
    })
}

fn number(i: usize) -> f32 {
    ((i * 7919 % 1000) as f32 - 500.0) / 500.0
}

/// The median of `repeats` runs of what takes so many row-steps, in nanoseconds for one; the first two make the memory.
fn median(repeats: usize, row_steps: usize, mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..repeats + 2)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_nanos() as f64 / row_steps as f64
        })
        .skip(2)
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Forward and backward of a layer.
fn measure(layer: &dyn Layer<f32>, with_input: bool, repeats: usize) -> f64 {
    let x = Array3::from_shape_fn((BATCH, STEPS, INPUT), |(b, t, f)| number(b * 977 + t * 31 + f));
    let upstream = Array3::from_shape_fn((BATCH, STEPS, UNITS), |(b, t, u)| number(b * 13 + t * 571 + u));
    let mut sequence = Array3::zeros((BATCH, STEPS, UNITS));
    let (mut tape, mut scratch) = (Tape::new(), Scratch::new());
    let mut gradients = Gradients::new(layer);
    if !with_input {
        gradients = gradients.without_input();
    }
    median(repeats, BATCH * STEPS, || {
        let run = Run::new().record(&mut tape);
        layer.run_into(&x, run, OutputMut::new().sequence(&mut sequence), &mut scratch).expect("shapes that fit");
        gradients.clear();
        let flowing = OutputGradient::new().sequence(&upstream);
        layer.backward(&mut tape, flowing, &mut gradients).expect("a recorded run");
        black_box((&sequence, &gradients));
    })
}

/// A whole update of a model.
fn measure_update(cell: &str, [input, units, steps, batch]: [usize; 4], repeats: usize) -> f64 {
    let builder = Sequential::builder("update");
    let builder = match cell {
        "gru" => builder.layer(Gru::<f32>::new(input, units)),
        _ => builder.layer(Lstm::<f32>::new(input, units)),
    };
    let mut model: Model<f32> = builder.layer(Dense::new(units, 1)).build().expect("layers that fit");
    let x = Array3::from_shape_fn((batch, steps, input), |(b, t, f)| number(b * 977 + t * 31 + f));
    let y = Array2::from_shape_fn((batch, 1), |(b, _)| number(b * 13)).into_dyn();
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&model).without_input());
    let mut optimizer = Adam::new(1e-3);
    median(repeats, batch * steps, || {
        let outputs = model.record(&[(&x).into()], &mut tape).expect("shapes that fit");
        let (loss, upstream) = Loss::MeanSquaredError.with_gradient(&outputs[0], &y).expect("shapes that fit");
        gradients.clear();
        model.backward(&mut tape, &[&*upstream], &mut gradients).expect("a recorded run");
        optimizer.step(&mut model, &gradients).expect("gradients of the model");
        black_box(loss);
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--bench")).collect();
    let quick = arguments.iter().any(|argument| argument == "--test");
    let chosen = arguments.iter().find(|argument| !argument.starts_with("--"));
    for name in ["simple_rnn", "lstm", "gru", "gru_reset_before"] {
        for (with_input, suffix) in [(false, ""), (true, "_with_input")] {
            let case = format!("{name}{suffix}");
            if chosen.is_some_and(|chosen| *chosen != case) {
                continue;
            }
            let Some(layer) = layer(name) else { continue };
            println!("{case} {:.0}", measure(&*layer, with_input, if quick { 1 } else { 60 }));
        }
    }
    for cell in ["lstm", "gru"] {
        for (size, suffix) in [([INPUT, UNITS, STEPS, BATCH], ""), ([8, 16, 20, 8], "_small")] {
            let case = format!("update_{cell}{suffix}");
            if chosen.is_none_or(|chosen| *chosen == case) {
                println!("{case} {:.0}", measure_update(cell, size, if quick { 1 } else { 60 }));
            }
        }
    }
}
