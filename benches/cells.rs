//! Throughput of the three cells: one step at batch 1, as a stream runs it, and whole sequences at batch 1 and 32.
//!
//! ```sh
//! cargo bench --bench cells                       # everything, about two minutes
//! cargo bench --bench cells -- lstm/step          # one group
//! ```
//!
//! Names are `lstm/step/i8_u16_b1` and `lstm/sequence/i8_u16_b32_t50`: input size, units, batch, time steps. An element
//! of the throughput is a floating-point operation of the matrix products, two for each weight, step and row; so Gelem/s
//! are GFLOP/s. All in f32, on one thread.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::prelude::*;
use recurrent::{Gru, Initializer, Layer, Lstm, OutputMut, Run, Scratch, SimpleRnn, Stream};

/// (input size, units)
const SIZES: [(usize, usize); 4] = [(8, 16), (32, 64), (64, 128), (128, 256)];
const BATCHES: [usize; 2] = [1, 32];
const TIMESTEPS: usize = 50;

/// A kind of layer by its name here, with seeded weights.
type Kind = (&'static str, fn(usize, usize) -> recurrent::Result<Box<dyn Layer<f32>>>);

const KINDS: [Kind; 3] = [
    ("simple_rnn", |i, u| {
        let builder = SimpleRnn::builder(i, u).kernel_initializer(KERNEL).recurrent_initializer(RECURRENT_KERNEL);
        Ok(Box::new(builder.build()?))
    }),
    ("lstm", |i, u| {
        let builder = Lstm::builder(i, u).kernel_initializer(KERNEL).recurrent_initializer(RECURRENT_KERNEL);
        Ok(Box::new(builder.build()?))
    }),
    ("gru", |i, u| {
        let builder = Gru::builder(i, u).kernel_initializer(KERNEL).recurrent_initializer(RECURRENT_KERNEL);
        Ok(Box::new(builder.build()?))
    }),
];

const KERNEL: Initializer = Initializer::GlorotUniform { seed: Some(1) };
const RECURRENT_KERNEL: Initializer = Initializer::Orthogonal { gain: 1.0, seed: Some(2) };

/// Floating-point operations of the matrix products, for one row and step.
fn operations(layer: &dyn Layer<f32>) -> u64 {
    let matrices = layer.weights().into_iter().filter(|(name, _)| name.ends_with("kernel"));
    matrices.map(|(_, weights)| 2 * weights.len() as u64).sum()
}

fn input(batch: usize, timesteps: usize, features: usize) -> Array3<f32> {
    let shape = [batch, timesteps, features];
    let input = Initializer::RandomNormal { mean: 0.0, stddev: 1.0, seed: Some(3) }.initialize(&shape);
    input.expect("a small input").into_dimensionality().expect("a shape of rank 3")
}

fn steps(criterion: &mut Criterion) {
    for (kind, make) in KINDS {
        let mut group = criterion.benchmark_group(format!("{kind}/step"));
        for (i, u) in SIZES {
            let layer = make(i, u).expect("sound sizes");
            group.throughput(Throughput::Elements(operations(&*layer)));
            let samples = input(1, 16, i);
            let samples: Vec<&[f32]> = samples.as_slice().expect("standard layout").chunks(i).collect();
            let mut stream = Stream::new(&*layer, 1).expect("a layer that streams");
            let mut samples = samples.iter().cycle();
            group.bench_function(format!("i{i}_u{u}_b1"), |bencher| {
                bencher.iter(|| {
                    let sample = samples.next().expect("an endless iterator");
                    black_box(stream.step_one(black_box(sample)).expect("the layer's features")[0])
                });
            });
        }
    }
}

fn sequences(criterion: &mut Criterion) {
    for (kind, make) in KINDS {
        let mut group = criterion.benchmark_group(format!("{kind}/sequence"));
        for ((i, u), batch) in SIZES.into_iter().flat_map(|sizes| BATCHES.map(|batch| (sizes, batch))) {
            let layer = make(i, u).expect("sound sizes");
            group.throughput(Throughput::Elements(operations(&*layer) * (batch * TIMESTEPS) as u64));
            let x = input(batch, TIMESTEPS, i);
            let mut sequence = Array3::zeros((batch, TIMESTEPS, u));
            let mut scratch = Scratch::new();
            group.bench_function(format!("i{i}_u{u}_b{batch}_t{TIMESTEPS}"), |bencher| {
                bencher.iter(|| {
                    let out = OutputMut::new().sequence(&mut sequence);
                    layer.run_into(black_box(&x), Run::new(), out, &mut scratch).expect("arrays that fit");
                });
            });
        }
    }
}

criterion_group! {
    name = cells;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1000))
        .sample_size(10);
    targets = steps, sequences
}
criterion_main!(cells);
