//! Models that were read from Keras's files: saved here, they are the same.

use super::models::predict;
use super::same_file;
use recurrent::{Model, keras};
use std::path::{Path, PathBuf};

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

#[test]
fn each_golden_file() {
    let mut paths = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/keras_models"), &mut paths);
    let (mut count, mut ran) = (0, 0);
    for path in &paths {
        // Weights alone, and what is refused there, isn't a model.
        let Ok(model) = keras::load::<f32>(path) else { continue };
        let loaded: Model<f32> = same_file(&model);
        assert_eq!(loaded.to_string(), model.to_string(), "{}", path.display());
        let (ours, theirs) = (predict(&loaded), predict(&model));
        assert_eq!(ours, theirs, "{}", path.display());
        count += 1;
        ran += usize::from(theirs.is_ok());
        if let Ok(model) = keras::load::<f64>(path) {
            same_file(&model);
        }
    }
    assert!(count >= 200 && ran * 10 > count * 9, "{count} of {} files were read, {ran} ran", paths.len());
}
