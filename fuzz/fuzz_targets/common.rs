//! What all targets do with a file.

use ndarray::ArrayD;
use recurrent::keras::{File, Limits, Options};
use recurrent::model::Input;

/// Small limits, so that the fuzzer spends its time on reading.
#[allow(dead_code)]
pub fn options() -> Options {
    Options::new().limits(Limits::new().elements(1 << 20).calls(1 << 10).inflated_bytes(1 << 24))
}

/// Loads the model, and if it loads, shows it, runs it and streams it.
#[allow(dead_code)]
pub fn use_file(file: &File) {
    let _ = file.layer_names();
    let Ok(model) = file.model::<f32>() else { return };
    let _ = model.to_string();
    let shapes = model.inputs().map(|(_, shape)| shape.iter().map(|n| n.unwrap_or(2).min(32)).collect::<Vec<_>>());
    let arrays: Vec<ArrayD<f32>> = shapes.map(ArrayD::ones).collect();
    let inputs: Vec<Input<'_, f32>> = arrays.iter().map(Input::from).collect();
    let _ = model.predict(&inputs);
    if let Ok(mut stream) = model.stream(1) {
        let _ = stream.step(&inputs);
    }
    let _ = model.into_layer();
}

/// A golden model's members.
#[allow(dead_code)]
pub fn golden() -> (Vec<u8>, Vec<u8>) {
    let bytes: &[u8] = include_bytes!("../../tests/golden/keras_models/models/nested.keras");
    let number = |at: usize, width: usize| (0..width).rev().fold(0, |n, i| n << 8 | usize::from(bytes[at + i]));
    let (mut config, mut weights, mut at) = (Vec::new(), Vec::new(), 0);
    while bytes[at..].starts_with(b"PK\x03\x04") {
        let (size, name, extra) = (number(at + 18, 4), number(at + 26, 2), number(at + 28, 2));
        let start = at + 30 + name + extra;
        match &bytes[at + 30..at + 30 + name] {
            b"config.json" => config = bytes[start..start + size].to_vec(),
            b"model.weights.h5" => weights = bytes[start..start + size].to_vec(),
            _ => {}
        }
        at = start + size;
    }
    (config, weights)
}
