//! Any bytes as a safetensors file: opened, shown, asked for every kind of module at every prefix; what is read is run,
//! and written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ndarray::Array3;
use recurrent::pytorch::{self, File, Limits};
use recurrent::model::AnyLayer;
use recurrent::{Activation, Layer};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = File::from_bytes("fuzz", bytes.to_vec(), &Limits::new().units(1 << 10)) else { return };
    let _ = file.to_string();
    let mut prefixes: Vec<&str> = vec![""];
    for tensor in file.tensors() {
        let _ = file.tensor::<f32>(&tensor.path);
        prefixes.extend(tensor.path.rsplit_once('.').map(|(prefix, _)| prefix));
    }
    prefixes.sort_unstable();
    prefixes.dedup();
    for prefix in prefixes.into_iter().take(16) {
        let layers = [
            file.rnn::<f32>(prefix, Activation::Tanh),
            file.lstm(prefix),
            file.gru(prefix),
            file.rnn_cell(prefix, Activation::Relu),
            file.lstm_cell(prefix),
            file.gru_cell(prefix),
        ];
        layers.iter().flatten().for_each(run);
        let linear = file.linear::<f32>(prefix);
        let _ = linear.as_ref().map(run);
        let _ = file.embedding::<f32>(prefix).map(AnyLayer::from);
        let _ = file.layer_norm::<f32>(prefix).map(AnyLayer::from);
        let _ = file.batch_norm::<f32>(prefix).map(AnyLayer::from);
    }
});

fn run(layer: &(impl Layer<f32> + Sized)) {
    let _ = layer.forward(&Array3::ones((2, 3, layer.input_size())));
    let _ = pytorch::save("/dev/null/fuzz", &[("a", layer)]);
}
