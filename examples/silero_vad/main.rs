//! The voice detector of the Python package `silero-vad`, frame by frame:
//! `silero_vad MODEL.safetensors SOUND.f32 [EXPECTED.f32]`.
//!
//! `SOUND` has samples at 16 kHz as plain f32 numbers; a frame of 512 of them, with the 64 samples before it, gives one
//! probability that somebody speaks. `EXPECTED` has the probabilities that ONNX Runtime computed: `compare.py`, beside
//! this file, writes both and calls this program. Without them a tone and silence are made.
//!
//! The file holds PyTorch's tensors and no graph, so the graph is written down here, once: within a frame a Fourier
//! transform written as a convolution, four convolutions, then an LSTM over the frames.

use std::error::Error;
use std::time::Instant;

use ndarray::prelude::*;
use recurrent::model::AnyLayer;
use recurrent::{Activation, Conv1D, Model, ops, pytorch};

const FRAME: usize = 512;
const CONTEXT: usize = 64;
/// What the Fourier transform reads: the frame, what was before it, and its end mirrored.
const WINDOW: i64 = (CONTEXT + FRAME) as i64;
const FREQUENCIES: i64 = 129;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        return Err("silero_vad MODEL.safetensors [SOUND.f32 [EXPECTED.f32]]".into());
    };
    let sound = arguments.next().map_or_else(|| Ok(made()), |path| read(&path))?;
    let expected = arguments.next().map(|path| read(&path)).transpose()?;

    let model = voice_detector(&pytorch::File::open(path)?)?;
    println!("{model}");
    let mut stream = model.stream(1)?;
    let mut window = Array3::zeros((1, CONTEXT + FRAME, 1));
    let (mut probabilities, mut times) = (Vec::new(), Vec::new());
    for frame in sound.chunks_exact(FRAME) {
        let begun = Instant::now();
        let samples = window.as_slice_mut().ok_or("made in row order")?;
        samples.copy_within(FRAME.., 0);
        samples[CONTEXT..].copy_from_slice(frame);
        probabilities.push(stream.step(&[(&window).into()])?[0][[0, 0]]);
        times.push(begun.elapsed());
    }
    times.sort();
    let (Some(median), Some(longest)) = (times.get(times.len() / 2), times.last()) else {
        return Err("no frame".into());
    };
    println!("{} frames; a frame of 32 ms takes {median:.1?} (median), {longest:.1?} at most", times.len());
    let spoken = probabilities.iter().filter(|&&p| p > 0.5).count();
    println!("somebody speaks in {spoken} of them");
    if let Some(expected) = expected {
        let difference = probabilities.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("the largest difference from ONNX Runtime is {difference:.1e}");
        // On speech ONNX Runtime is 2e-5 away from the same in f64, and this 4e-5; on made sound both agree to 3e-6.
        if expected.len() != probabilities.len() || difference > 1e-4 {
            return Err("the probabilities differ".into());
        }
    }
    Ok(())
}

/// The detector over frames: (frames, 576 samples, 1) to (frames, 1).
fn voice_detector(file: &pytorch::File) -> Result<Model<f32>, Box<dyn Error>> {
    let mut graph = Model::builder("silero_vad");
    let frames = graph.input("frames", [None, Some(CONTEXT + FRAME), Some(1)])?;
    let features = graph.call("features", AnyLayer::from(features(file)?).for_each_step(), &[frames])?;
    let lstm = file.lstm_cell("lstm_cell")?;
    let h = graph.call("lstm", lstm, &features)?;
    let h = graph.call("relu", Activation::Relu, &h[..1])?;
    let speech = convolution(file, "final_conv", 1, Activation::Sigmoid)?;
    let speech = graph.call("speech", speech, &h)?;
    Ok(graph.build(&speech)?)
}

/// What the LSTM reads of one frame: (576 samples, 1) to (128,).
fn features(file: &pytorch::File) -> Result<Model<f32>, Box<dyn Error>> {
    let mut graph = Model::builder("features");
    let x = graph.input("frame", [Some(CONTEXT + FRAME), Some(1)])?;
    let end = graph.call("end", ops::GetItem::range(1, Some(WINDOW - 65), Some(WINDOW - 1)), &[x])?;
    let mirrored = graph.call("mirrored", ops::Flip::new(1), &end)?;
    let x = graph.call("padded", ops::Concatenate::new(1), &[x, mirrored[0]])?;

    let spectrum = graph.call("spectrum", convolution(file, "stft_conv", 128, Activation::Linear)?, &x)?;
    let parts = [("real", None, Some(FREQUENCIES)), ("imaginary", Some(FREQUENCIES), None)];
    let [real, imaginary] = parts.map(|(name, start, stop)| -> recurrent::Result<_> {
        let part = graph.call(name, ops::GetItem::range(2, start, stop), &spectrum)?;
        graph.call(&format!("{name}_squared"), ops::Square, &part)
    });
    let power = graph.call("power", ops::Add, &[real?[0], imaginary?[0]])?;
    let mut x = graph.call("magnitude", ops::Sqrt, &power)?;

    for (name, strides) in [("conv1", 1), ("conv2", 2), ("conv3", 2), ("conv4", 1)] {
        x = graph.call(&format!("{name}_padding"), ops::ZeroPadding1D::new(1, 1), &x)?;
        x = graph.call(name, convolution(file, name, strides, Activation::Relu)?, &x)?;
    }
    let x = graph.call("of_the_frame", ops::Flatten, &x)?;
    Ok(graph.build(&x)?)
}

fn convolution(
    file: &pytorch::File,
    name: &str,
    strides: usize,
    activation: Activation,
) -> Result<Conv1D<f32>, Box<dyn Error>> {
    Ok(file.conv1d(name, 1, |conv| conv.strides(strides).activation(activation))?)
}

fn read(path: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    Ok(bytes.chunks_exact(4).map(|number| f32::from_le_bytes([number[0], number[1], number[2], number[3]])).collect())
}

/// A second of a tone, and one of silence.
fn made() -> Vec<f32> {
    let tone = (0..16_000).map(|at| 0.3 * (at as f32 * 440.0 * std::f32::consts::TAU / 16_000.0).sin());
    tone.chain(std::iter::repeat_n(0.0, 16_000)).collect()
}
