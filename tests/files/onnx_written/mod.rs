//! What is written as ONNX: `tests/golden/onnx/written.py` has had ONNX Runtime run the very bytes, and what is read again
//! computes the same.

mod case;
#[cfg(feature = "keras")]
mod golden;
mod layers;
mod quantized;
mod recurrent;

use std::path::{Path, PathBuf};

use ::recurrent::model::AnyLayer;
use ::recurrent::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

use self::case::Case;

/// A folder among what the build leaves, where the script finds what was written.
fn target() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("onnx_written");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What written.py has found.
fn taken() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/onnx/written.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the reader says of operators that are written, and that it can't read, or not in this way.
const NOT_READ: [&str; 14] = [
    "this operator isn't supported",
    "whole numbers that are known before a call are read here",
    "what is spread to a size that isn't known can't be read here",
    "the axis of X that it takes to be the batch is another one",
    "one that is longer than 1 is supported",
    "its pads must be 0",
    "the size that is left open can't be told",
    "it is supported over the last axis alone",
    "aren't supported",
    "isn't supported",
    "it is the same whatever the inputs are",
    "must be 1 where strides are above 1",
    "flags can't be spread over the batch",
    "a product is supported of a tensor with a constant matrix, or of two tensors",
];

/// What is refused of golden models.
const REFUSED: [&str; 10] = [
    "a recurrent node of ONNX's has no such activation",
    "with stateful=true",
    "with unroll=true",
    "with mask=of",
    "with mask=read by a layer for each step",
    "it isn't written as ONNX",
    "ONNX can't say it",
    // Of Keras's quantize("int8").
    "a QuantizedDense can't be written here",
    "a QuantizedEinsumDense can't be written here",
    "a QuantizedEmbedding can't be written here",
];

#[test]
fn the_bytes_that_onnx_runtime_took() {
    let mut all = recurrent::all();
    all.extend(layers::all());
    all.extend(quantized::all());
    let own = all.len();
    #[cfg(feature = "keras")]
    all.extend(golden::all());
    let (mut failures, mut again, mut refused) = (Vec::new(), 0, 0);
    let mut written = 0;
    for (at, case) in all.iter().enumerate() {
        match &case.written {
            Ok(bytes) => {
                written += 1;
                let path = target().join(format!("{}.onnx", case.name));
                std::fs::write(&path, bytes).expect("written");
                std::fs::write(path.with_extension("json"), case.numbers().to_string()).expect("written");
                if let Err(error) = read_again(case, &mut again) {
                    failures.push(format!("{}: {error}", case.name));
                }
            }
            Err(error) if at >= own && REFUSED.iter().any(|words| error.contains(words)) => refused += 1,
            Err(error) => failures.push(format!("{} is refused: {error}", case.name)),
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    let taken = taken();
    for case in &all {
        if let Ok(bytes) = &case.written
            && taken["files"][&case.name]["sha256"] != digest(bytes)
        {
            failures.push(case.name.clone());
        }
    }
    assert!(failures.is_empty(), "run tests/golden/onnx/written.py, if the new bytes of these are meant: {failures:?}");
    if cfg!(feature = "keras") {
        assert_eq!(taken["files"].as_object().map(|files| files.len()), Some(written));
        // So many are written, so many of these are read again, and so many models are refused.
        assert_eq!((written, again, refused), (566, 387, 110));
    }
}

/// Read again it computes the same.
fn read_again(case: &Case, count: &mut usize) -> Result<(), String> {
    let outputs = match &case.again {
        Ok(outputs) => outputs,
        Err(error) if NOT_READ.iter().any(|words| error.contains(words)) => return Ok(()),
        Err(error) => return Err(format!("isn't read again: {error}")),
    };
    *count += 1;
    let all = case.quantized.as_ref().map_or(&case.outputs, |quantized| &quantized.read);
    if outputs.len() != all.len() {
        return Err(format!("{} outputs, expected {}", outputs.len(), all.len()));
    }
    for (ours, (name, expected)) in outputs.iter().zip(all) {
        if ours.shape() != expected.shape() {
            return Err(format!("{name}: {:?}, expected {:?}", ours.shape(), expected.shape()));
        }
        for (a, b) in ours.iter().zip(expected) {
            let close = a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-6 * b.abs().max(1.0);
            if !close {
                return Err(format!("{name}: {a}, expected {b}"));
            }
        }
    }
    Ok(())
}

fn told<S: onnx::Saved>(thing: &S) -> String {
    onnx::to_bytes(thing).map_or_else(|error| error.to_string(), |_| panic!("written"))
}

/// What ONNX can't say is refused by name, and an old file stays as it was.
#[test]
fn what_onnx_has_not() {
    let lstm = || Lstm::<f32>::builder(3, 4);
    let double = Activation::custom("double", |x| 2.0 * x);
    let own = Dense::<f32>::builder(3, 2).activation(double).build().expect("a layer");
    let quantized = Lstm::<f32>::new(3, 4).quantize(Precision::Bf16).expect("a layer");
    let windows = Sequential::<f32>::builder("windows").layer(Conv1D::builder(3, 4, 2).build().expect("a layer"));
    let windows = windows.build().and_then(|model| model.quantize(Precision::Int8)).expect("a model");
    let mut graph = Model::<f32>::builder("masks");
    let x = graph.input("x", [None, Some(3)]).expect("an input");
    let masked = graph.call("masking", Masking::<f32>::new(0.0).expect("a value"), &[x]).expect("a call");
    let sum = graph.call("sum", ops::Add, &[masked[0], x]).expect("a call");
    let sum = graph.build(&sum).expect("a model");
    for (given, expected) in [
        (
            told(&IndRnn::<f32>::new(3, 4)),
            "\"ind_rnn\": IndRNN can't be written: ONNX has RNN, LSTM and GRU nodes alone",
        ),
        (told(&Mgu::<f32>::new(3, 4)), "\"mgu\": MGU can't be written"),
        (told(&LayerNormLstm::<f32>::new(3, 4)), "LayerNormLSTM can't be written"),
        (
            told(&lstm().projection_units(2).build().expect("a layer")),
            "\"lstm\": LSTM with projection_units=2 can't be written: ONNX can't say it",
        ),
        (
            told(&lstm().activation(Activation::Mish).build().expect("a layer")),
            "LSTM with activation=mish can't be written: a recurrent node of ONNX's has no such activation",
        ),
        (
            told(&lstm().recurrent_activation(Activation::Softmax).build().expect("a layer")),
            "recurrent_activation=softmax can't be written",
        ),
        (
            told(&Dense::<f32>::builder(3, 2).activation(Activation::Sparsemax).build().expect("a layer")),
            "Dense with activation=sparsemax can't be written",
        ),
        (told(&own), "layer \"dense\": activation double is the program's own"),
        (told(&quantized), "a QuantizedLSTM can't be written here: recurrent::file::save writes it"),
        (told(&windows), "a QuantizedConv1D can't be written here: recurrent::file::save writes it"),
        (told(&sum), "\"sum\": Add with mask=of one of its inputs can't be written"),
    ] {
        assert!(given.contains(expected), "{given}\n{expected}");
    }
    let path = target().join("refused.txt");
    std::fs::write(&path, "old").expect("written");
    assert!(onnx::save(&path, &Mgu::<f32>::new(3, 4)).is_err());
    assert_eq!(std::fs::read(&path).expect("there"), b"old", "what was refused has changed nothing");
    let nowhere = onnx::save("/nothing/here/model.onnx", &Dense::<f32>::new(3, 2)).expect_err("no folder");
    assert!(nowhere.to_string().starts_with("/nothing/here/model.onnx: can't be written: "), "{nowhere}");
}

/// Layers by themselves are models of one, and a recurrent node can be taken out again by its layer's name.
#[test]
fn layers_alone() {
    let path = target().join("alone.onnx_");
    let layer = Gru::<f32>::builder(3, 4).reset_after(false).build().expect("a layer");
    onnx::save(&path, &layer).expect("written");
    let boxed: Box<dyn Layer<f32>> = Box::new(layer.clone());
    assert_eq!(std::fs::read(&path).expect("there"), onnx::to_bytes(&boxed).expect("written"));
    assert_eq!(onnx::to_bytes(&AnyLayer::from(layer.clone())).expect("written"), onnx::to_bytes(&layer).expect("it"));
    let again = onnx::File::open(&path).and_then(|file| file.gru::<f32>("gru/GRU")).expect("read");
    let (own, other) = (layer.weight("kernel").expect("a kernel"), again.weight("kernel").expect("a kernel"));
    assert_eq!(own, other);
}
