//! An audio host's callback: blocks of samples through an LSTM, new weights while it plays, and a snapshot that a later
//! process goes on from.
//!
//! ```sh
//! cargo run --release --example streaming
//! ```
//!
//! The weights are set by hand, so that what happens can be checked: the LSTM counts the samples above a threshold, and
//! the new weights have another threshold. The host plays one second, in blocks, as a sound card would ask for them.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ndarray::prelude::*;
use recurrent::{Activation, Layer, Lstm, State, Stream};

const RATE: usize = 16_000;
/// The longest block that the host asks for.
const BLOCK: usize = 512;

/// Where layers change hands, and the state can be read. The callback never waits for the lock: it comes again with the
/// next block.
struct Mailbox {
    new: Option<Arc<Lstm>>,
    old: Option<Arc<Lstm>>,
    /// A snapshot, and the samples that had been played by then.
    state: State<f32>,
    played: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    // All that allocates is done before the first callback.
    let mut stream = Stream::new(Arc::new(counter(0.5)?), 1)?;
    stream.reserve_steps(BLOCK)?;
    let mailbox = Mailbox { new: None, old: None, state: stream.state().clone(), played: 0 };
    let mailbox = Arc::new(Mutex::new(mailbox));
    let from_callback = Arc::clone(&mailbox);
    let (mut played, mut swapped_at) = (0, None);
    let mut callback = move |input: &[f32], output: &mut [f32]| {
        // New weights, if there are any. The old ones are laid aside: to free them isn't for this thread.
        if let Ok(mut mailbox) = from_callback.try_lock()
            && let Some(new) = mailbox.new.take()
        {
            match stream.replace_layer(new) {
                Ok(old) => (mailbox.old, swapped_at) = (Some(old), Some(played)),
                Err(refused) => mailbox.old = Some(refused.into_layer()),
            }
        }
        // One output for each sample, and no allocation. The lengths are the host's own, so they fit.
        if stream.process(input, output).is_err() {
            output.fill(0.0);
        }
        // A NaN would stay for ever, and what dies away slows the processor down before it is zero.
        if !stream.state().is_finite() {
            stream.reset();
        }
        stream.flush_below(1e-12);
        played += input.len();
        // A snapshot is a copy into memory that is there.
        if let Ok(mut mailbox) = from_callback.try_lock()
            && mailbox.state.copy_from(stream.state()).is_ok()
        {
            mailbox.played = played;
        }
        swapped_at
    };

    // Another thread makes new weights ("trains"), hands them over, and frees the old ones.
    let from_trainer = Arc::clone(&mailbox);
    let trainer = thread::spawn(move || -> recurrent::Result<()> {
        thread::sleep(Duration::from_millis(300));
        let new = Arc::new(counter(0.8)?);
        let lock = || from_trainer.lock().expect("nobody panics with the lock");
        lock().new = Some(new);
        let old = loop {
            let old = lock().old.take();
            match old {
                Some(old) => break old,
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        drop(old);
        Ok(())
    });

    // The host: blocks of uneven lengths in real time.
    let audio: Vec<f32> = (0..RATE).map(sample).collect();
    let (mut at, mut swapped, mut snapshot) = (0, None, None);
    let mut output = [0.0; BLOCK];
    for block in (0..).map(|i| 128 + 64 * (i % 7)) {
        let input = &audio[at..RATE.min(at + block)];
        if input.is_empty() {
            break;
        }
        let output = &mut output[..input.len()];
        let swapped_at = callback(input, output);
        if swapped_at != swapped {
            swapped = swapped_at;
            println!("{:.2} s   new weights, the count goes on", at as f64 / RATE as f64);
        }
        if snapshot.is_none() && at >= RATE * 6 / 10 {
            let mailbox = mailbox.lock().expect("nobody panics with the lock");
            snapshot = Some((mailbox.played, save(&mailbox.state)?));
        }
        if at * 5 / RATE != (at + input.len()) * 5 / RATE {
            let seconds = (at + input.len()) as f64 / RATE as f64;
            println!("{seconds:.2} s   {:>3} samples above the threshold", output[output.len() - 1]);
        }
        at += input.len();
        thread::sleep(Duration::from_secs_f64(block as f64 / RATE as f64));
    }
    trainer.join().expect("the thread doesn't panic")?;

    // What it counted is what there was to count, under the first weights and then under the second.
    let swap_at = swapped.ok_or("no new weights arrived")?;
    let above = |samples: &[f32], threshold| samples.iter().filter(|sample| **sample > threshold).count();
    let counted = above(&audio[..swap_at], 0.5) + above(&audio[swap_at..], 0.8);
    println!("counted by hand: {counted}");

    // The snapshot, as bytes for a file: another process, another stream, the rest of the second.
    let (saved_at, saved) = snapshot.ok_or("no snapshot")?;
    for (name, bytes) in &saved {
        println!("saved at {:.2} s     {name}: {bytes:?}", saved_at as f64 / RATE as f64);
    }
    let lstm = counter(if saved_at > swap_at { 0.8 } else { 0.5 })?;
    let mut restored = Stream::new(&lstm, 1)?;
    restored.set_state(&restore(lstm.initial_state(1), &saved)?)?;
    let rest = &audio[saved_at..];
    let mut output = vec![0.0; rest.len()];
    restored.process(rest, &mut output)?;
    println!("restored, and run to the end: {}", output[rest.len() - 1]);
    if saved_at > swap_at {
        assert_eq!(output[rest.len() - 1], counted as f32);
    }
    Ok(())
}

/// A quiet hum with a click every 700 samples, loud and less loud in turn.
fn sample(i: usize) -> f32 {
    let hum = 0.1 * (i as f32 * 0.02).sin();
    match i % 1400 {
        350 => 1.0 + hum,
        1050 => 0.65 + hum,
        _ => hum,
    }
}

/// An LSTM whose cell state counts the samples above the threshold.
///
/// Gates stand in Keras's order i, f, c, o. The input gate opens for x > threshold; the forget gate and the output gate
/// are open (sigmoid of 50 is 1); the candidate is 1. With a linear activation c' = c + i, and h = c.
fn counter(threshold: f32) -> recurrent::Result<Lstm> {
    let mut lstm = Lstm::builder(1, 1).activation(Activation::Linear).build()?;
    lstm.set_weights(&[
        ("kernel", array![[4000.0, 0.0, 0.0, 0.0]].view().into_dyn()),
        ("recurrent_kernel", array![[0.0, 0.0, 0.0, 0.0]].view().into_dyn()),
        ("bias", array![-4000.0 * threshold, 50.0, 1.0, 50.0].view().into_dyn()),
    ])?;
    Ok(lstm)
}

/// The parts of a state by name, as bytes.
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
