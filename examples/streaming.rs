//! A signal that arrives sample by sample, and a layer that follows it: state saved, process gone, state restored.
//!
//! ```sh
//! cargo run --release --example streaming
//! ```
//!
//! The LSTM's weights are set by hand, so that what it does can be checked: it counts the clicks in a second of audio.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use ndarray::prelude::*;
use recurrent::{Activation, Layer, Lstm, State, Stream};

const RATE: usize = 16_000;

fn main() -> Result<(), Box<dyn Error>> {
    let counter = Arc::new(click_counter()?);
    let audio: Vec<f32> = (0..RATE).map(sample).collect();
    let clicks = audio.iter().filter(|sample| **sample > 0.5).count();

    // The first 0.6 seconds, sample by sample. From the first step on nothing is allocated and nothing is locked.
    let mut stream = Stream::new(Arc::clone(&counter), 1)?;
    let (before, after) = audio.split_at(RATE * 6 / 10);
    let start = Instant::now();
    for (i, sample) in before.iter().enumerate() {
        let count = stream.step_one(&[*sample])?[0];
        if (i + 1) % (RATE / 10) == 0 {
            println!("{:.1} s   {count:>3} clicks", (i + 1) as f64 / RATE as f64);
        }
    }
    println!("        {} ns a sample\n", start.elapsed().as_nanos() / before.len() as u128);

    // Saved: parts by name, as bytes for a file or a network.
    let saved: Vec<(String, Vec<u8>)> = save(stream.state())?;
    drop(stream);
    for (name, bytes) in &saved {
        println!("saved     {name}: {bytes:?}");
    }

    // Restored: on another thread, in another stream; the layer is shared, only the state has moved.
    let restored = restore(counter.initial_state(1), &saved)?;
    let rest = Array3::from_shape_fn((1, after.len(), 1), |(_, time, _)| after[time]);
    let shared = Arc::clone(&counter);
    let resumed = std::thread::spawn(move || -> recurrent::Result<State<f32>> {
        let mut stream = Stream::new(shared, 1)?;
        stream.set_state(&restored)?;
        stream.run(&rest)?; // a chunk of any size does what its steps would do
        Ok(stream.state().clone())
    });
    let resumed = resumed.join().expect("the thread doesn't panic")?;
    println!("restored  and run to the end: {} clicks, counted by hand: {clicks}", resumed.get("h")?[[0, 0]]);
    assert_eq!(resumed.get("h")?[[0, 0]], clicks as f32);

    let whole = Array3::from_shape_fn((1, RATE, 1), |(_, time, _)| audio[time]);
    let mut uninterrupted = Stream::new(&*counter, 1)?;
    uninterrupted.run(&whole)?;
    assert_eq!(&resumed, uninterrupted.state());
    println!("          the same bits as in one run over the whole second");
    Ok(())
}

/// A quiet hum with a click every 700 samples.
fn sample(i: usize) -> f32 {
    let hum = 0.1 * (i as f32 * 0.02).sin();
    if i % 700 == 350 { 0.9 + hum } else { hum }
}

/// An LSTM whose cell state counts the samples above 1/2.
///
/// Gates stand in Keras's order i, f, c, o. The input gate opens for x > 1/2; the forget gate and the output gate are
/// open (sigmoid of 50 is 1); the candidate is 1. With a linear activation c' = c + i, and h = c.
fn click_counter() -> recurrent::Result<Lstm> {
    let mut lstm = Lstm::builder(1, 1).activation(Activation::Linear).build()?;
    lstm.set_weights(&[
        ("kernel", array![[400.0, 0.0, 0.0, 0.0]].view().into_dyn()),
        ("recurrent_kernel", array![[0.0, 0.0, 0.0, 0.0]].view().into_dyn()),
        ("bias", array![-200.0, 50.0, 1.0, 50.0].view().into_dyn()),
    ])?;
    Ok(lstm)
}

fn save(state: &State<f32>) -> recurrent::Result<Vec<(String, Vec<u8>)>> {
    let bytes = |name: &str| -> recurrent::Result<Vec<u8>> {
        Ok(state.get(name)?.iter().flat_map(|value| value.to_le_bytes()).collect())
    };
    state.names().map(|name| Ok((name.to_string(), bytes(name)?))).collect()
}

fn restore(mut state: State<f32>, saved: &[(String, Vec<u8>)]) -> Result<State<f32>, Box<dyn Error>> {
    for (name, bytes) in saved {
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let shape = state.get(name)?.dim();
        state.set(name, &Array2::from_shape_vec(shape, values)?)?;
    }
    Ok(state)
}
