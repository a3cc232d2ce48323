//! What is written for Keras: read again it is the same, and `tests/golden/keras_models/round_trip.py` has had Keras take
//! the very bytes.

use std::path::{Path, PathBuf};

use recurrent::{Float, Model, keras};
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
            // What is Keras 2's alone.
            Err(error) if WORDS_OF_KERAS_2.iter().any(|word| error.contains(word)) => refused += 1,
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(taken["files"].as_object().map(|files| files.len()), Some(count));
    assert_eq!((count, refused), (0, 0), "written, refused");
}

const WORDS_OF_KERAS_2: [&str; 3] = ["hard_sigmoid(slope=0.2, offset=0.5)", "mask=Keras 2's", "ThresholdedReLU"];

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
