//! ONNX models whose weights are in files beside them: read when asked, out of one folder, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use recurrent::onnx::{File, Limits, LoadError, Problem};
use serde_json::Value;

const DATA: &str = "tagger.onnx.data";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/onnx/external")
}

/// A folder of the test's own, with the model, changed, and its data.
fn folder(name: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("recurrent-external-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let model = fs::read(golden().join("tagger.onnx")).expect("the model");
    fs::write(folder.join("tagger.onnx"), change(model)).expect("written");
    fs::copy(golden().join(DATA), folder.join(DATA)).expect("copied");
    folder
}

/// Each place of a text, by another of the same length.
fn replaced(mut bytes: Vec<u8>, old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(old.as_bytes())).collect();
    assert!(!places.is_empty(), "{old}");
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
    bytes
}

fn refused(folder: &Path) -> LoadError {
    let file = File::open(folder.join("tagger.onnx")).expect("opens");
    let error = file.with_external_data(folder).expect_err("refused");
    fs::remove_dir_all(folder).expect("removed");
    error
}

#[test]
fn weights_beside_the_model() {
    let text = fs::read_to_string(golden().join("tagger.json")).expect("the case");
    let case: Value = serde_json::from_str(&text).expect("JSON");
    let numbers = |case: &Value| -> Vec<f32> {
        case[1].as_array().expect("numbers").iter().map(|x| x.as_f64().expect("a number") as f32).collect()
    };
    let x = Array3::from_shape_vec((1, 5, 3), numbers(&case["inputs"]["x"])).expect("a shape");
    let path = golden().join("tagger.onnx");
    let file = File::open(&path).expect("opens").with_external_data(golden()).expect("reads");
    let y = file.model::<f32>().expect("a model").predict_one(&x).expect("a run");
    let expected = Array3::from_shape_vec((1, 5, 2), numbers(&case["outputs"]["y"])).expect("a shape");
    approx::assert_abs_diff_eq!(y, expected.into_dyn(), epsilon = 1e-6);
    assert!(file.lstm::<f32>("node_lstm__2").is_ok());

    // Only when asked; the message says how.
    let error = recurrent::onnx::load::<f32>(&path).expect_err("not asked");
    assert!(matches!(error.problem(), Problem::ExternalData { file, .. } if file == DATA), "{error}");
    assert!(error.to_string().contains("with_external_data"), "{error}");
}

#[test]
fn nothing_outside_of_the_folder() {
    for (name, other) in [("above", "../external.data"), ("rooted", "/etc/host.secret"), ("inside", "a/../../../b.bin")]
    {
        let error = refused(&folder(name, |bytes| replaced(bytes, DATA, other)));
        let outside = |reason: &str| reason.contains("from the folder downwards");
        assert!(
            matches!(error.problem(), Problem::ExternalPath { file, reason, .. } if file == other && outside(reason)),
            "{error}"
        );
    }
    // In the folder, but not a file.
    let place = folder("folder", |bytes| bytes);
    fs::remove_file(place.join(DATA)).expect("removed");
    fs::create_dir(place.join(DATA)).expect("a folder");
    assert!(refused(&place).to_string().contains("ordinary file"));
    let place = folder("missing", |bytes| bytes);
    fs::remove_file(place.join(DATA)).expect("removed");
    assert!(refused(&place).to_string().contains(DATA));
}

#[cfg(unix)]
#[test]
fn no_way_out_by_a_link() {
    let (secret, place) = (folder("secret", |bytes| bytes), folder("link", |bytes| bytes));
    fs::remove_file(place.join(DATA)).expect("removed");
    std::os::unix::fs::symlink(secret.join(DATA), place.join(DATA)).expect("a link");
    let error = refused(&place);
    assert!(error.to_string().contains("a link to the outside"), "{error}");
    fs::remove_dir_all(secret).expect("removed");
}

#[test]
fn places_within_the_file() {
    let wrong = |problem: &Problem| matches!(problem, Problem::OnnxTensor { .. });
    for (name, old, new) in [("long", "1024", "1025"), ("far", "384", "999"), ("words", "1024", "many")] {
        let place = folder(name, |bytes| replaced(bytes, old, new));
        let opened = File::open(place.join("tagger.onnx")).and_then(|file| file.with_external_data(&place));
        let error = opened.and_then(|file| file.model::<f32>()).expect_err(name);
        assert!(wrong(error.problem()), "{name}: {error}");
        fs::remove_dir_all(place).expect("removed");
    }
    let place = folder("short", |bytes| bytes);
    fs::write(place.join(DATA), [0; 1407]).expect("written");
    assert!(wrong(refused(&place).problem()));

    // All files together are held to the limit.
    let limits = Limits::new().file_bytes(2048);
    let file = File::open_with(golden().join("tagger.onnx"), &limits).expect("opens");
    let error = file.with_external_data(golden()).expect_err("too large");
    assert!(matches!(error.problem(), Problem::Limit { what: "file_bytes", limit: 2048, given: 2675 }), "{error}");
}

/// A field of bytes, as protobuf writes it.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 0x4000);
    let length = [bytes.len() as u8 | 0x80, (bytes.len() >> 7) as u8];
    [&[number << 3 | 2], &length[..], bytes].concat()
}

/// A model whose weights are so many numbers of f32 at the beginning of the data, each of so many bytes.
fn model_of(tensors: usize, length: usize, own: &[u8]) -> Vec<u8> {
    let entry = |key: &str, value: &str| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
    let of = |at: usize| {
        let head = [8, (length / 4) as u8 | 0x80, (length >> 9) as u8, 16, 1];
        let place = [entry("location", DATA), entry("length", &length.to_string()), vec![14 << 3, 1]].concat();
        let own = if own.is_empty() { vec![] } else { field(9, own) };
        field(5, &[&head[..], &field(8, format!("w{at}").as_bytes()), &place, &own].concat())
    };
    field(7, &(0..tensors).flat_map(of).collect::<Vec<u8>>())
}

#[test]
fn no_more_than_the_files_hold() {
    // Many tensors at one place become as many arrays.
    let limits = Limits::new().file_bytes(8000);
    let with = |tensors: usize, own: &[u8]| {
        File::from_bytes("many", model_of(tensors, 1408, own), &limits)
            .and_then(|file| file.with_external_data(golden()))
    };
    assert!(with(5, &[]).is_ok());
    let error = with(6, &[]).expect_err("too many");
    assert!(matches!(error.problem(), Problem::Limit { what: "file_bytes", limit: 8000, given: 8448 }), "{error}");
    let error = with(1, &[0; 4]).expect_err("numbers twice");
    assert!(error.to_string().contains("others in another file"), "{error}");
}
