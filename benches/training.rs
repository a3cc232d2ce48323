//! One training step, forward and backward, of a layer by itself: 64 features, 128 units, 50 steps, 32 rows.
//!
//! `cargo bench --bench training` prints a line for each case: nanoseconds for one row and step, the median of several
//! repeats. `benches/training_vs_torch.py` runs the same cases in turn with PyTorch's.

use std::hint::black_box;
use std::time::Instant;

use ndarray::Array3;
use recurrent::training::Tape;
use recurrent::{Gradients, Gru, Layer, Lstm, OutputGradient, OutputMut, Run, Scratch, SimpleRnn};

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

/// Nanoseconds per row and step of forward and backward: the median of `repeats`.
fn measure(layer: &dyn Layer<f32>, with_input: bool, repeats: usize) -> f64 {
    let number = |i: usize| ((i * 7919 % 1000) as f32 - 500.0) / 500.0;
    let x = Array3::from_shape_fn((BATCH, STEPS, INPUT), |(b, t, f)| number(b * 977 + t * 31 + f));
    let upstream = Array3::from_shape_fn((BATCH, STEPS, UNITS), |(b, t, u)| number(b * 13 + t * 571 + u));
    let mut sequence = Array3::zeros((BATCH, STEPS, UNITS));
    let (mut tape, mut scratch) = (Tape::new(), Scratch::new());
    let mut gradients = Gradients::new(layer);
    if !with_input {
        gradients = gradients.without_input();
    }
    let mut times = Vec::new();
    for repeat in 0..repeats + 2 {
        let start = Instant::now();
        let run = Run::new().record(&mut tape);
        layer.run_into(&x, run, OutputMut::new().sequence(&mut sequence), &mut scratch).expect("shapes that fit");
        gradients.clear();
        let flowing = OutputGradient::new().sequence(&upstream);
        layer.backward(&mut tape, flowing, &mut gradients).expect("a recorded run");
        black_box((&sequence, &gradients));
        // The first ones make the memory.
        if repeat >= 2 {
            times.push(start.elapsed().as_nanos() as f64 / (BATCH * STEPS) as f64);
        }
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
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
}
