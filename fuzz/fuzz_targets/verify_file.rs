//! Any bytes as a file with examples: of our own, of Keras's tensors or of PyTorch's; checked as a whole and by parts.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recurrent::file::{self, Limits};
use recurrent::{Embedding, Layer, Model};

/// One file for all runs of a process.
static PATH: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("recurrent-fuzz-{}.safetensors", std::process::id())));

fuzz_target!(|bytes: &[u8]| {
    let path = &*PATH;
    if std::fs::write(path, bytes).is_err() {
        return;
    }
    let limits = Limits::new().units(1 << 10).elements(1 << 20).calls(1 << 10).inflated_bytes(1 << 24);
    if let Ok(verification) = file::verify_with(path, &limits) {
        let _ = verification.to_string();
    }
    // What was loaded has been loaded without its examples, too.
    if file::load_verified::<Box<dyn Layer<f32>>>(path).is_ok() {
        assert!(file::load::<Box<dyn Layer<f32>>>(path).is_ok());
    }
    if file::load_verified::<Model<f32>>(path).is_ok() {
        assert!(file::load::<Model<f32>>(path).is_ok());
    }
    let _ = file::load_verified::<Embedding<f64>>(path);
});
