//! Any bytes as a file of our own: asked for each kind of content; what is read is run, and written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ndarray::{Array3, ArrayD};
use recurrent::file::{self, Limits};
use recurrent::model::Input;
use recurrent::{Embedding, Layer, Masking, Model, State};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::new().units(1 << 10).elements(1 << 20).calls(1 << 10);
    if let Ok(layer) = file::from_bytes_with::<Box<dyn Layer<f32>>>(bytes, &limits) {
        let _ = layer.forward(&Array3::ones((2, 3, layer.input_size())));
        assert!(file::to_bytes(&layer).is_ok());
    }
    if let Ok(model) = file::from_bytes_with::<Model<f32>>(bytes, &limits) {
        let _ = model.to_string();
        let sizes = |shape: &[Option<usize>]| shape.iter().map(|n| n.unwrap_or(2).min(32)).collect::<Vec<_>>();
        let arrays: Vec<ArrayD<f32>> = model.inputs().map(|(_, shape)| ArrayD::ones(sizes(shape))).collect();
        let inputs: Vec<Input<'_, f32>> = arrays.iter().map(Input::from).collect();
        let _ = model.predict(&inputs);
        assert!(file::to_bytes(&model).is_ok());
    }
    let _ = file::from_bytes_with::<Embedding<f64>>(bytes, &limits);
    let _ = file::from_bytes_with::<Masking<f32>>(bytes, &limits);
    let _ = file::from_bytes_with::<State<f32>>(bytes, &limits);
    if let Ok(state) = State::<f32>::from_bytes(bytes) {
        assert_eq!(state.to_bytes(), bytes);
    }
});
