//! What is written for Keras: read again it is the same, and `tests/golden/keras_models/round_trip.py` has had Keras take
//! the very bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use recurrent::{Float, Model, keras};
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

/// The bytes that Keras has loaded, and computed with what it did with the file that they come from.
#[test]
fn the_bytes_that_keras_took() {
    let mut paths = Vec::new();
    files(&golden(), &mut paths);
    let (mut digests, mut failures) = (BTreeMap::new(), Vec::new());
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
                digests.insert(name, digest(&bytes));
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    println!("{} written\n{}", digests.len(), failures.join("\n"));
    assert!(failures.is_empty(), "{} failed", failures.len());
}
