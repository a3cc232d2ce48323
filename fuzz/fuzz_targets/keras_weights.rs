//! Any bytes as the weights of a golden model, and as weights for a layer that was built by hand.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;
use recurrent::Lstm;
use recurrent::keras::File;

fuzz_target!(|weights: &[u8]| {
    let (config, _) = common::golden();
    if let Ok(file) = File::from_parts("fuzz", config, weights.to_vec(), &common::options()) {
        common::use_file(&file);
        let _ = file.weights_into(&mut Lstm::<f32>::new(3, 4));
        let _ = file.weights_below("layers/lstm", &mut Lstm::<f32>::new(3, 4));
        for tensor in file.tensors().unwrap_or_default() {
            let _ = file.tensor::<f32>(&tensor.path);
        }
    }
});
