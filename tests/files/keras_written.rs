//! What is written for Keras: read again it is the same, and `tests/golden/keras_models/round_trip.py` has had Keras take
//! the very bytes.

use std::path::{Path, PathBuf};

use recurrent::{
    Activation, Bidirectional, Dense, Float, Gru, IndRnn, Layer, Lstm, Masking, Mgu, Model, Sequential, Stacked, keras,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::predictions::predict;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/keras_models")
}

/// All model files below a folder, sorted.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "keras" || ext == "h5") {
            found.push(path);
        }
    }
}

/// A folder among what the build leaves, where the script finds what was written.
fn target() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("keras_written");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a model, and reads it again: it computes the same, bit for bit, and is written in the same bytes.
fn there_and_back<T: Float>(name: &str, model: &Model<T>) -> Result<Vec<u8>, String> {
    let bytes = keras::to_bytes(model).map_err(|error| error.to_string())?;
    let file = keras::File::from_bytes(name, bytes.clone(), &keras::Options::new());
    let again = file.and_then(|file| file.model::<T>()).map_err(|error| error.to_string())?;
    if predict(&again) != predict(model) {
        return Err("it computes something else".into());
    }
    let written = keras::to_bytes(&again).map_err(|error| error.to_string())?;
    if written != bytes {
        return Err("it is written in other bytes".into());
    }
    Ok(bytes)
}

/// What round_trip.py has found.
fn taken() -> Value {
    let path = golden().join("round_trip.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

const AGAIN: &str = "run tests/golden/keras_models/round_trip.py, if the new bytes are meant";

/// The bytes that Keras has loaded, and computed with what it did with the file that they come from.
#[test]
fn the_bytes_that_keras_took() {
    let mut paths = Vec::new();
    files(&golden(), &mut paths);
    let (taken, mut count, mut refused, mut failures) = (taken(), 0, 0, Vec::new());
    for path in &paths {
        let name = path.strip_prefix(golden()).expect("below").display().to_string();
        let written = match (keras::load::<f32>(path), keras::load::<f64>(path)) {
            (Ok(model), _) => there_and_back(&name, &model),
            (_, Ok(model)) => there_and_back(&name, &model),
            // Weights alone, and what is refused there, isn't a model.
            _ => continue,
        };
        match written {
            Ok(bytes) => {
                let name = name.replace('/', "__");
                std::fs::write(target().join(format!("{name}.keras")), &bytes).expect("written");
                count += 1;
                if taken["files"][&name]["sha256"] != digest(&bytes) {
                    failures.push(format!("{name}: {AGAIN}"));
                }
            }
            // What is Keras 2's alone, or padding with infinities.
            Err(error) if NOT_WRITTEN.iter().any(|word| error.contains(word)) => refused += 1,
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(taken["files"].as_object().map(|files| files.len()), Some(count));
    assert_eq!((count, refused), (299, 41), "so many are written, so many refused");
}

const NOT_WRITTEN: [&str; 5] = [
    "Pad with fill=-inf",
    "hard_sigmoid(slope=0.2, offset=0.5)",
    "mask=Keras 2's",
    "ThresholdedReLU",
    "SeparableConv1D with padding",
];

/// The same of what was built here; and what Keras computes with it.
#[test]
fn built_by_hand() {
    let taken = taken();
    let mut failures = Vec::new();
    let all = crate::keras_by_hand::all();
    for (name, bytes, outputs) in &all {
        std::fs::write(target().join(format!("hand__{name}.keras")), bytes).expect("written");
        let keras = &taken["by_hand"][name];
        if keras["sha256"] != digest(bytes) {
            failures.push(format!("{name}: {AGAIN}"));
            continue;
        }
        let outputs = outputs.as_ref().unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = crate::check::data::list(&keras["outputs"]);
        assert_eq!(outputs.len(), expected.len(), "{name}");
        for (ours, keras) in outputs.iter().zip(expected) {
            let keras = crate::check::data::array::<f64>(keras);
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
            if let Err(error) = crate::check::data::within("output", ours.view(), &keras, close) {
                failures.push(format!("{name}: {error}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(taken["by_hand"].as_object().map(|files| files.len()), Some(all.len()));
}

/// What Keras hasn't got is refused by name, and an old file stays as it was.
#[test]
fn what_keras_has_not() {
    let path = target().join("refused.txt");
    std::fs::write(&path, "old").expect("written");
    fn told<S: keras::Saved>(path: &Path, thing: &S) -> String {
        match keras::save(path, thing) {
            Ok(()) => panic!("written"),
            Err(error) => error.to_string(),
        }
    }
    let lstm = || Lstm::<f32>::builder(3, 4);
    let sequences = |layer: Lstm<f32>| layer.return_sequences(true);
    let stack =
        Stacked::builder().layer(sequences(Lstm::new(3, 4))).layer(Mgu::<f32>::new(4, 2)).build().expect("a stack");
    let with_state = Stacked::builder().return_state(true).layer(Lstm::<f32>::new(3, 4)).build().expect("a stack");
    let celu = Dense::<f32>::builder(3, 2).activation(Activation::Celu { alpha: 0.5 }).build().expect("a layer");
    let double = Activation::custom("double", |x| 2.0 * x);
    let own = Dense::<f32>::builder(3, 2).activation(double).build().expect("a layer");
    let masked =
        Sequential::<f32>::builder("m").layer(Masking::new(0.0).expect("a value")).layer(Lstm::new(3, 4)).build();
    let masked = masked.expect("a model").into_layer().expect("a layer");
    for (given, expected) in [
        (told(&path, &IndRnn::<f32>::new(3, 4)), "\"ind_rnn\": IndRNN can't be written: Keras hasn't got it"),
        (
            told(&path, &Mgu::<f32>::new(3, 4)),
            "MGU can't be written: Keras hasn't got it; recurrent::file::save writes it",
        ),
        (told(&path, &lstm().peephole(true).build().expect("a layer")), "LSTM with peephole=true can't be written"),
        (told(&path, &lstm().clip(2.0).build().expect("a layer")), "LSTM with clip=2.0 can't be written"),
        (told(&path, &lstm().projection_units(2).build().expect("a layer")), "projection_units=2 can't be written"),
        (told(&path, &stack), "\"mgu\": MGU can't be written"),
        (told(&path, &with_state), "Stacked with return_state=true can't be written"),
        (told(&path, &celu), "Dense with activation=celu(alpha=0.5) can't be written: Keras has this activation"),
        (told(&path, &own), "layer \"dense\": activation"),
        (told(&path, &masked), "Masked can't be written"),
    ] {
        assert!(given.contains(expected), "{given}\n{expected}");
    }
    let nowhere = keras::save("/nothing/here/model.keras", &Dense::<f32>::new(3, 2)).expect_err("no folder");
    assert!(nowhere.to_string().starts_with("/nothing/here/model.keras: can't be written: "), "{nowhere}");
    assert_eq!(std::fs::read(&path).expect("there"), b"old", "what was refused has changed nothing");
}

/// Layers by themselves, and weights alone.
#[test]
fn layers_alone() {
    let (path, weights) = (target().join("alone.txt"), target().join("alone.weights.h5"));
    let layer = Bidirectional::new(Gru::<f32>::builder(3, 4)).expect("a layer");
    keras::save(&path, &layer).expect("written");
    let boxed: Box<dyn Layer<f32>> = Box::new(layer.clone());
    assert_eq!(std::fs::read(&path).expect("there"), keras::to_bytes(&boxed).expect("written"));
    let again = keras::File::open(&path).and_then(|file| file.layer::<f32>("bidirectional")).expect("read");
    assert_eq!(again.weights(), layer.weights());
    keras::save_weights(&weights, &layer).expect("written");
    let mut other = Bidirectional::new(Gru::<f32>::builder(3, 4)).expect("a layer");
    keras::load_weights(&weights, &mut other).expect("read");
    assert_eq!(other.weights(), layer.weights());
    // The initializers that were drawn, and the layer that is taken out says them.
    let said = recurrent::file::to_bytes(&again).expect("saved");
    assert_eq!(said, recurrent::file::to_bytes(&boxed).expect("saved"));
}

/// A layer of bytes that was taken out of its file; one that was quantized here has no form there.
#[test]
fn bytes_alone() {
    let open = || keras::File::open(golden().join("int8/chain.keras")).expect("opened");
    let layer: Box<dyn Layer<f32>> = open().layer("dense").expect("a layer");
    let bytes = keras::to_bytes(&layer).expect("written");
    let again = keras::File::from_bytes("alone", bytes, &keras::Options::new()).expect("opened");
    let again: Box<dyn Layer<f32>> = again.layer("quantized_dense").expect("read");
    let x = ndarray::Array3::from_shape_fn((2, 3, 4), |(i, j, k)| 0.3 * (i + 2 * j) as f32 - 0.2 * k as f32);
    assert_eq!(again.forward(&x).expect("a run"), layer.forward(&x).expect("a run"));
    assert_eq!(again.dequantized("kernel").expect("there"), layer.dequantized("kernel").expect("there"));
    let ours = Layer::quantize(&Dense::<f32>::new(3, 2), recurrent::Precision::Int8).expect("quantized");
    let refused = keras::to_bytes(&ours).expect_err("no form").to_string();
    assert!(refused.contains("a QuantizedDense can't be written here: recurrent::file::save writes it"), "{refused}");
}

/// Files of our own keep what Keras said, too.
#[test]
fn by_way_of_files_of_our_own() {
    for name in ["models/lstm_options.keras", "models/dropouts.keras", "models/nested.keras", "others/dictionary.keras"]
    {
        let model: Model<f32> = keras::load(golden().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let ours = recurrent::file::to_bytes(&model).expect("saved");
        let again: Model<f32> = recurrent::file::from_bytes(&ours).expect("loaded");
        assert_eq!(keras::to_bytes(&again).expect("written"), keras::to_bytes(&model).expect("written"), "{name}");
    }
}

/// What a file of our own keeps of Keras's words is checked: by the reader that it is an object, by the writer that it is
/// what the layer is in other words.
#[cfg(feature = "file")]
#[test]
fn kept_words_are_checked() {
    use crate::own_files::contents::Contents;
    let model: Model<f32> = keras::load(golden().join("models/lstm_options.keras")).expect("a model");
    let contents = Contents::of(&recurrent::file::to_bytes(&model).expect("saved"));
    let with = |kept: &str| {
        let mut config = contents.config();
        let layers = config["config"]["layers"].as_array_mut().expect("layers");
        let lstm = layers.iter_mut().find(|layer| layer["config"]["class"] == "LSTM").expect("an LSTM");
        lstm["config"]["kept"] = kept.into();
        recurrent::file::from_bytes::<Model<f32>>(&contents.with_config(&config)).map_err(|error| error.to_string())
    };
    for kept in ["", "[1", "null", "7", "[]", "{} {}"] {
        let error = with(kept).expect_err(kept);
        assert!(error.contains("an object of JSON"), "{error}");
    }
    assert!(keras::to_bytes(&with(r#"{"config":{"seed":5,"notes":[null]}}"#).expect("an object")).is_ok());
    for kept in [
        r#"{"config":{"units":77}}"#,
        r#"{"config":{"use_bias":false,"return_sequences":true,"units":1e300}}"#,
        r#"{"inbound_nodes":7}"#,
        r#"{"inbound_nodes":[{"args":{"0":5}}]}"#,
        r#"{"inbound_nodes":[{"args":{"9":5}}]}"#,
        r#"{"inbound_nodes":[{"kwargs":{"mask":5}}]}"#,
        r#"{"inbound_nodes":[null,null,null]}"#,
    ] {
        let error = keras::to_bytes(&with(kept).expect("an object")).expect_err(kept).to_string();
        assert!(error.contains("isn't what it is"), "{kept}: {error}");
    }
}
