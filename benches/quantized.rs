//! Times of layers in fewer bits, as parts of the f32 layer's time in the same run: steps of a stream, and batches.
//!
//! `cargo bench --bench quantized`; `RECURRENT_ISA=avx2` in the environment forces an instruction set on both sides.

use std::hint::black_box;
use std::time::Instant;

use ndarray::Array3;
use recurrent::{Gru, Layer, Lstm, Precision, SimpleRnn, Stream, limits};

/// The lower quartile of some measurements, in nanoseconds.
fn quartile(repeats: usize, mut measure: impl FnMut() -> f64) -> f64 {
    let mut times: Vec<f64> = (0..repeats).map(|_| measure()).collect();
    times.sort_by(f64::total_cmp);
    1e9 * times[repeats / 4]
}

/// A step of a stream of one row.
fn step(layer: &dyn Layer<f32>) -> f64 {
    let mut stream = Stream::new(layer, 1).expect("it can stream");
    let x: Vec<f32> = (0..layer.input_size()).map(|i| (i as f32 * 0.37).sin()).collect();
    let mut steps = |count: usize| {
        let start = Instant::now();
        for _ in 0..count {
            black_box(stream.step_one(&x).expect("an input that fits"));
        }
        start.elapsed().as_secs_f64()
    };
    let mut count = 1;
    while steps(count) < 1e-3 {
        count *= 2;
    }
    quartile(25, || steps(count) / count as f64)
}

/// A step of a row in a batch, over 50 steps.
fn batch(layer: &dyn Layer<f32>, rows: usize) -> f64 {
    let features = layer.input_size();
    let x = Array3::from_shape_fn((rows, 50, features), |(b, t, i)| ((b * 7 + t * 3 + i) as f32 * 0.37).sin());
    quartile(9, || {
        let start = Instant::now();
        black_box(layer.forward(&x).expect("an input that fits"));
        start.elapsed().as_secs_f64() / (50 * rows) as f64
    })
}

fn line(name: &str, layer: &dyn Layer<f32>, time: &dyn Fn(&dyn Layer<f32>) -> f64) {
    let f32 = time(layer);
    print!("{name:<28}{f32:>10.0}");
    for precision in Precision::ALL {
        let small = layer.quantize(precision).expect("it has this form");
        let quantized = time(&*small);
        print!("{:>16}", format!("{quantized:.0} ({:.2})", quantized / f32));
    }
    println!();
}

fn main() {
    println!("on {}, ns (ratio to f32)", limits::instruction_set());
    print!("{:<28}{:>10}", "", "f32");
    Precision::ALL.iter().for_each(|precision| print!("{:>16}", precision.name()));
    println!();
    for (inputs, units) in [(8, 16), (16, 32), (32, 64), (64, 64), (64, 128), (100, 100), (128, 256), (256, 512)] {
        line(&format!("LSTM {inputs}x{units}, step"), &Lstm::<f32>::new(inputs, units), &step);
        line(&format!("GRU {inputs}x{units}, step"), &Gru::<f32>::new(inputs, units), &step);
        line(&format!("SimpleRNN {inputs}x{units}, step"), &SimpleRnn::<f32>::new(inputs, units), &step);
    }
    for (inputs, units) in [(64, 128), (256, 512)] {
        for rows in [1, 4, 32] {
            let lstm = Lstm::<f32>::new(inputs, units);
            line(&format!("LSTM {inputs}x{units}, {rows} rows"), &lstm, &|layer| batch(layer, rows));
        }
    }
}
