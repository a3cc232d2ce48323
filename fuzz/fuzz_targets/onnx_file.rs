//! Any bytes as an ONNX file: opened, shown, its recurrent nodes taken out, its graph made a model, which is run and
//! streamed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ndarray::{Array3, ArrayD};
use recurrent::Layer;
use recurrent::model::Input;
use recurrent::onnx::{File, Limits};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::new().units(1 << 10).elements(1 << 20);
    let Ok(file) = File::from_bytes("fuzz", bytes.to_vec(), &limits) else { return };
    let _ = file.to_string();
    for layer in [file.lstm::<f32>("node"), file.gru("node"), file.rnn("node")].iter().flatten() {
        let _ = layer.forward(&Array3::ones((2, 3, layer.input_size())));
    }
    let Ok(model) = file.model::<f32>() else { return };
    let shape = |shape: &[Option<usize>]| shape.iter().map(|size| size.unwrap_or(2).min(16)).collect::<Vec<_>>();
    let inputs: Vec<ArrayD<f32>> = model.inputs().map(|(_, own)| ArrayD::ones(shape(own))).collect();
    let inputs: Vec<Input<'_, f32>> = inputs.iter().map(Into::into).collect();
    let _ = model.predict(&inputs);
    let _ = model.stream(1);
});
