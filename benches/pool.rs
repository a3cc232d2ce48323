//! Pools and windows against the batches that they are made of, measured in turn in the same run, as a table in Markdown.
//!
//! ```sh
//! cargo bench --bench pool
//! taskset -c 1 cargo bench --bench pool       # quieter, if one core is free
//! ```
//!
//! - A pool of 1,000 and 10,000 streams, a random half of which has a sample at each step: to push them, to step, and to
//!   read the outputs, against a step of a `Stream` of as many rows.
//! - To insert and remove a stream.
//! - A window of 50 samples through two LSTMs: a sample, against `run_into` over the window anew, and against a step of
//!   a batch of 50 rows, of whose products a window leaves out a part, the first layer's input.
//!
//! Two ways are measured one after the other, many times, by the thread's own clock; the ratio is the median of the
//! ratios of neighbours.

#[path = "cells/clock.rs"]
#[allow(dead_code)]
mod clock;

use std::hint::black_box;

use clock::{thread_nanoseconds, thread_time};
use ndarray::prelude::*;
use recurrent::{Layer, Lstm, OutputMut, Result, Run, Scratch, Stacked, Stream, StreamId, StreamPool, Window};

/// Of two ways, the median times of a call and the median ratio.
fn compare(rounds: usize, calls: usize, mut first: impl FnMut(), mut second: impl FnMut()) -> [f64; 3] {
    let time = |call: &mut dyn FnMut()| {
        let start = thread_nanoseconds();
        (0..calls).for_each(|_| call());
        (thread_nanoseconds() - start) / calls as f64
    };
    let (mut firsts, mut seconds, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (first, second) = (time(&mut first), time(&mut second));
        // The first round is for the caches.
        if round > 0 || rounds == 0 {
            firsts.push(first);
            seconds.push(second);
            ratios.push(first / second);
        }
    }
    [firsts, seconds, ratios].map(|mut values| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    })
}

fn print(what: &str, [time, other, ratio]: [f64; 3], aim: f64) {
    println!("| {what} | {:.2} | {:.2} | {ratio:.2} | {aim:.2} |", time / 1e3, other / 1e3);
}

/// Which streams have a sample at a step: a random half.
fn halves(ids: &[StreamId], steps: usize) -> Vec<Vec<StreamId>> {
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |n: usize| {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        (word % n as u64) as usize
    };
    let mut ids = ids.to_vec();
    let mut half = || {
        for at in 0..ids.len() / 2 {
            let other = at + below(ids.len() - at);
            ids.swap(at, other);
        }
        ids[..ids.len() / 2].to_vec()
    };
    (0..steps).map(|_| half()).collect()
}

fn pool(streams: usize, rounds: usize) -> Result<()> {
    let lstm = Lstm::<f32>::new(64, 128);
    let mut pool = StreamPool::with_capacity(&lstm, streams)?;
    let ids = (0..streams).map(|_| pool.insert()).collect::<Result<Vec<_>>>()?;
    let steps = halves(&ids, 16);
    let x = Array2::from_shape_fn((streams / 2, 64), |(i, j)| ((i + 3 * j) % 17) as f32 / 17.0 - 0.5);
    let mut batch = Stream::new(&lstm, streams / 2)?;
    let mut next = 0;
    let result = compare(
        rounds,
        1,
        || {
            let ready = &steps[next % steps.len()];
            next += 1;
            for (&id, x) in ready.iter().zip(x.outer_iter()) {
                let pushed = x.to_slice().map(|x| pool.push(id, x));
                assert_eq!(pushed, Some(Ok(())));
            }
            assert_eq!(pool.step(), ready.len());
            for &id in ready {
                black_box(pool.output(id).map(|output| output[0]).ok());
            }
        },
        || {
            black_box(batch.step(&x).map(|output| output[[0, 0]]).ok());
        },
    );
    print(&format!("pool of {streams}, half of them ready; a batch of {}", streams / 2), result, 1.12);
    Ok(())
}

fn insertion() -> Result<()> {
    let lstm = Lstm::<f32>::new(64, 128);
    for (what, mut pool) in [("growing", StreamPool::new(&lstm)?), ("fixed", StreamPool::with_capacity(&lstm, 10_000)?)]
    {
        for _ in 0..5000 {
            pool.insert()?;
        }
        let both = thread_time(|| {
            let removed = pool.insert().and_then(|id| pool.remove(id));
            black_box(removed.ok());
        });
        println!("\nto insert a stream and remove it, {what}: {both:.0} ns (aim: 1000 each)");
    }
    Ok(())
}

fn window(rounds: usize) -> Result<()> {
    const FEATURES: usize = 100;
    const LENGTH: usize = 50;
    let stack = Stacked::builder()
        .layer(Lstm::<f32>::builder(FEATURES, 100).return_sequences(true).build()?)
        .layer(Lstm::new(100, 100))
        .build()?;
    let x = Array3::from_shape_fn((1, LENGTH, FEATURES), |(_, i, j)| ((i + 3 * j) % 17) as f32 / 17.0 - 0.5);
    let sample = x.index_axis(Axis(1), 3).row(0).to_vec();
    let rows = Array2::from_shape_fn((LENGTH, FEATURES), |(i, j)| x[[0, i, j]]);
    let mut window = Window::new(&stack, LENGTH)?;
    for _ in 0..LENGTH {
        window.push(&sample)?;
    }
    let (mut last, mut scratch) = (Array2::zeros((1, 100)), Scratch::new());
    let mut anew = || {
        let out = OutputMut::new().last(&mut last);
        black_box(stack.run_into(&x, Run::new(), out, &mut scratch).ok());
    };
    let mut push = || {
        black_box(window.push(&sample).map(|output| output.map(|output| output[0])).ok());
    };
    print("window of 50; the window anew", compare(rounds, 3, &mut push, &mut anew), 0.55);
    let mut batch = Stream::new(&stack, LENGTH)?;
    let mut plain = || {
        black_box(batch.step(&rows).map(|output| output[[0, 0]]).ok());
    };
    let [time, other, ratio] = compare(rounds, 3, &mut push, &mut plain);
    // Four products of 100 x 400, of which one is left out.
    let remaining = 0.75;
    print("window of 50; the same part of a batch of 50", [time, other * remaining, ratio / remaining], 1.1);
    Ok(())
}

fn main() -> Result<()> {
    // `--test` is the short run of CI.
    let short = std::env::args().any(|option| option == "--test");
    println!("| work; compared with | us | us | ratio | aim |\n|---|---|---|---|---|");
    pool(1000, if short { 1 } else { 101 })?;
    if !short {
        pool(10_000, 31)?;
    }
    window(if short { 1 } else { 201 })?;
    insertion()
}
