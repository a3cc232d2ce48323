//! Examples in files: those that Keras and PyTorch computed, and those that are saved here.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use recurrent::file::{self, Difference, Example, Examples, LoadError, Problem, SaveError, Verification};
use recurrent::*;
use serde_json::{Value, json};

use crate::own_files::contents::Contents;

/// A folder of a test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("recurrent-examples-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(all(feature = "keras", feature = "pytorch"))]
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/examples").join(name)
}

/// Verifies a file that was changed.
fn verify(folder: &Folder, bytes: &[u8]) -> Result<Verification, LoadError> {
    file::verify(folder.file("changed.safetensors", bytes))
}

#[cfg(all(feature = "keras", feature = "pytorch"))]
#[test]
fn of_keras() {
    for (name, examples, bound) in [
        ("sentiment.safetensors", 3, 1e-6),
        ("sentiment.h5", 3, 1e-6),
        ("sentiment.keras", 3, 1e-6),
        ("two_float64.safetensors", 2, 1e-14),
    ] {
        let verified = file::verify(golden(name)).expect("as Keras has it");
        assert!(verified.error() < bound, "{name}: {verified}");
        assert_eq!((verified.by(), verified.examples()), ("Keras 3.15.1", examples), "{name}");
        let text = format!("matches Keras 3.15.1 to {:.1e} on {examples} examples", verified.error());
        assert_eq!(verified.to_string(), text, "{name}");
    }
    let ids = array![[5, 8, 3, 0, 0], [2, 3, 5, 7, 10]];
    let whole = keras::load::<f32>(golden("sentiment.safetensors")).expect("a model");
    let model = keras::load::<f32>(golden("sentiment.keras")).expect("a model");
    assert_eq!(whole.predict_one(&ids), model.predict_one(&ids));
    assert_eq!(whole.to_string(), model.to_string());
}

#[cfg(all(feature = "keras", feature = "pytorch"))]
#[test]
fn of_pytorch() {
    for (name, bound) in [("tagger.safetensors", 1e-6), ("tagger_float64.safetensors", 1e-14)] {
        let verified = file::verify(golden(name)).expect("as PyTorch has it");
        assert!(verified.error() < bound, "{name}: {verified}");
        assert_eq!(verified.by(), "PyTorch 2.15.0");
        let parts: Vec<String> =
            verified.parts().iter().map(|it| format!("{} {} {}", it.name, it.class, it.examples)).collect();
        let expected = [
            "embed nn.Embedding 6",
            "encoder nn.GRU 6",
            "norm nn.LayerNorm 3",
            "batch_norm nn.BatchNorm1d 3",
            "decoder nn.LSTM 4",
            "rnn nn.RNN 4",
            "cell nn.LSTMCell 6",
            "relu_cell nn.RNNCell 3",
            "head nn.Linear 3",
        ];
        assert_eq!(parts.len(), expected.len(), "{parts:?}");
        for (part, expected) in parts.iter().zip(expected) {
            assert_eq!(part.split(' ').take(2).collect::<Vec<_>>(), expected.split(' ').take(2).collect::<Vec<_>>());
        }
        assert_eq!(verified.unchecked(), ["the tensors below \"\""]);
        let file = pytorch::File::open(golden(name)).expect("a file");
        assert!(file.tensors().iter().all(|tensor| !tensor.path.contains('/')), "{file}");
    }
}

/// Convolutions: their options are beside the examples, what is padded by a number is in them.
#[cfg(all(feature = "keras", feature = "pytorch"))]
#[test]
fn of_convolutions() {
    let verified = file::verify(golden("convolutions.safetensors")).expect("as PyTorch has it");
    assert!(verified.error() < 1e-6, "{verified}");
    let parts: Vec<String> =
        verified.parts().iter().map(|it| format!("{} {} {}", it.name, it.class, it.examples)).collect();
    assert_eq!(parts, ["first nn.Conv1d 3", "groups nn.Conv1d 3", "same nn.Conv1d 3"]);
    assert_eq!(verified.unchecked(), ["the tensors below \"mirrored\""]);
}

/// One number changed in each tensor in turn: the first layer that differs is named.
#[cfg(all(feature = "keras", feature = "pytorch"))]
#[test]
fn a_changed_weight_is_found() {
    let folder = Folder::new("changed");
    for (name, quoted) in [
        ("sentiment.safetensors", ["embedding", "bidirectional", "dense"].as_slice()),
        ("two_float64.safetensors", &["encoder", "decoder", "norm"]),
        (
            "tagger.safetensors",
            &["embed", "encoder", "norm", "batch_norm", "decoder", "rnn", "cell", "relu_cell", "head"],
        ),
    ] {
        let contents = Contents::of(&fs::read(golden(name)).expect("a file"));
        let mut found = Vec::new();
        for (tensor, about) in contents.header.iter().filter(|(tensor, _)| !tensor.starts_with("__")) {
            let offset = |i: usize| about["data_offsets"][i].as_u64().expect("an offset") as usize;
            if !about["dtype"].as_str().expect("a type").starts_with('F') || tensor.contains("examples/") {
                continue;
            }
            let mut changed = contents.clone();
            // The highest byte of each number: sign and exponent.
            let size = if about["dtype"] == "F32" { 4 } else { 8 };
            (offset(0)..offset(1)).skip(size - 1).step_by(size).for_each(|at| changed.data[at] ^= 0x80);
            match verify(&folder, &changed.bytes()).map_err(|error| error.problem().clone()) {
                Err(Problem::Differs { what, by, difference, .. }) => {
                    assert!(matches!(*difference, Difference::Value { error, .. } if error > 1e-5), "{tensor}");
                    assert!(by.starts_with("Keras") || by.starts_with("PyTorch"));
                    found.push(what);
                }
                // The state of a generator, a parameter that no module has, a bias of zero.
                Ok(_) => assert!(
                    tensor.contains("seed_generator") || tensor == "scale" || is_zero(&contents, about),
                    "{name}: {tensor}"
                ),
                Err(other) => panic!("{name}: {tensor}: {other}"),
            }
        }
        for layer in quoted {
            assert!(found.iter().any(|what| what.contains(&format!("{layer:?}"))), "{name}: {layer}: {found:?}");
        }
    }
}

#[cfg(all(feature = "keras", feature = "pytorch"))]
fn is_zero(contents: &Contents, about: &Value) -> bool {
    let offset = |i: usize| about["data_offsets"][i].as_u64().expect("an offset") as usize;
    contents.data[offset(0)..offset(1)].iter().all(|&byte| byte == 0)
}

fn lstm() -> Lstm<f64> {
    let lstm = Lstm::builder(3, 4).kernel_initializer(Initializer::GlorotUniform { seed: Some(5) });
    let lstm = lstm.recurrent_initializer(Initializer::Orthogonal { gain: 1.0, seed: Some(6) });
    lstm.return_sequences(true).return_state(true).build().expect("a layer")
}

/// An example of all that a layer can be called with.
fn of_lstm(lstm: &Lstm<f64>) -> Example<f64> {
    let x = Array3::from_shape_fn((2, 5, 3), |(i, j, k)| ((i + 2 * j + 3 * k) as f64).sin());
    let mut start = lstm.initial_state(2);
    start.set("c", &array![[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]).expect("a part");
    start.set("h", &array![[0.5, -0.5, 0.25, 0.75], [-0.1, 0.2, -0.3, 0.4]]).expect("a part");
    let output = lstm.run(&x, Run::new().initial_state(&start).lengths(&[5, 3])).expect("outputs");
    let (sequence, state) = (output.sequence().expect("there"), output.state().expect("there").values());
    Example::new(&[(&x).into()], &[sequence.into(), (&state).into()]).lengths(&[5, 3]).initial_state(&start)
}

#[test]
fn a_layer_with_all_that_it_is_called_with() {
    let folder = Folder::new("layer");
    let (lstm, path) = (lstm(), folder.0.join("lstm.safetensors"));
    let examples = Examples::by("itself").add(of_lstm(&lstm)).add(of_lstm(&lstm));
    file::save_with_examples(&path, &lstm, &examples).expect("saved");
    assert_eq!(file::verify(&path).expect("the same").to_string(), "matches itself to 0.0e0 on 4 examples");
    let (again, verified) = file::load_verified::<Lstm<f64>>(&path).expect("the same");
    assert_eq!((verified.examples(), verified.error()), (4, 0.0));
    assert_eq!(again.weight("kernel"), lstm.weight("kernel"));
    assert!(file::load::<Lstm<f64>>(&path).is_ok(), "examples aren't in the way");

    // Each thing of the call matters.
    let contents = Contents::of(&fs::read(&path).expect("a file"));
    for tensor in ["inputs/0", "outputs/0", "outputs/1", "lengths", "initial/0"] {
        let about = &contents.header[&format!("examples/0/1/{tensor}")];
        let mut changed = contents.clone();
        let start = about["data_offsets"][0].as_u64().expect("an offset") as usize;
        changed.data[start + if tensor == "lengths" { 8 } else { 14 }] ^= 4;
        let refused = verify(&folder, &changed.bytes()).expect_err(tensor).to_string();
        let expected = if tensor == "lengths" { "7" } else { "differs from itself in example 1" };
        assert!(refused.contains(expected), "{tensor}: {refused}");
        let also = file::load_verified::<Lstm<f64>>(folder.0.join("changed.safetensors"));
        assert!(also.is_err());
    }
}

#[test]
fn models_and_embeddings() {
    let folder = Folder::new("model");
    let path = folder.0.join("model.safetensors");
    let model = Sequential::<f32>::builder("m")
        .layer(Embedding::builder(7, 3).mask_zero(true).build().expect("a layer"))
        .layer(Gru::new(3, 4))
        .layer(Dense::new(4, 2))
        .build()
        .expect("a model");
    let ids = array![[3, 1, 0], [2, 5, 6]];
    let y = model.predict_one(&ids).expect("outputs");
    let on_the_way = Array2::<f32>::ones((2, 4));
    let example = || Example::new(&[(&ids).into()], &[(&y).into()]);
    file::save_with_examples(&path, &model, &Examples::by("itself").add(example())).expect("saved");
    assert_eq!(file::verify(&path).expect("the same").examples(), 2);

    // A wrong example isn't written.
    let before = fs::read(&path).expect("a file");
    let wrong = Examples::by("someone").add(example().layer("gru", &on_the_way));
    let refused = file::save_with_examples(&path, &model, &wrong).expect_err("another layer's output");
    assert!(matches!(&refused, SaveError::Examples { problem } if matches!(**problem, Problem::Differs { .. })));
    assert!(refused.to_string().contains("layer \"gru\" differs from someone in example 0: at ["), "{refused}");
    let unknown = Examples::by("someone").add(example().layer("no", &on_the_way));
    let refused = file::save_with_examples(&path, &model, &unknown).expect_err("no such layer").to_string();
    assert!(refused.contains("there is no layer \"no\""), "{refused}");
    assert_eq!(fs::read(&path).expect("a file"), before);

    let table = Embedding::<f32>::new(7, 3);
    let vectors = table.forward(&ids).expect("vectors").0;
    let examples = Examples::by("itself").add(Example::new(&[(&ids).into()], &[(&vectors).into()]));
    file::save_with_examples(&path, &table, &examples).expect("saved");
    assert!(file::verify(&path).is_ok());
    let table = table.quantize(Precision::Int8).expect("fewer bits");
    let vectors = table.forward(&ids).expect("vectors").0;
    let examples = Examples::by("itself").add(Example::new(&[(&ids).into()], &[(&vectors).into()]));
    file::save_with_examples(&path, &table, &examples).expect("saved");
    assert_eq!(file::verify(&path).expect("the same").examples(), 2);
    let state = Gru::<f32>::new(3, 4).initial_state(1);
    assert!(file::save_with_examples(&path, &state, &examples).is_err(), "a state gives nothing");
}

/// Whoever proves nothing doesn't say that it matches.
#[test]
fn no_proof() {
    let folder = Folder::new("no_proof");
    let path = folder.0.join("dense.safetensors");
    let dense = Dense::<f32>::new(2, 3);
    file::save_with_examples(&path, &dense, &Examples::by("no one")).expect("saved");
    assert!(file::verify(&path).expect_err("none").to_string().contains("it holds no examples"));
    let empty = Array3::<f32>::zeros((0, 4, 2));
    let y = dense.forward(&empty).expect("no rows").into_sequence().expect("there");
    let example = Example::new(&[(&empty).into()], &[(&y).into()]);
    file::save_with_examples(&path, &dense, &Examples::by("no one").add(example)).expect("saved");
    assert!(file::verify(&path).expect_err("none").to_string().contains("it holds no examples"));
    for tolerance in [f64::NAN, f64::INFINITY, -1.0] {
        let examples = Examples::by("no one").tolerance(tolerance);
        assert!(file::save_with_examples(&path, &dense, &examples).is_err(), "{tolerance}");
    }
    // What an example says of the call counts.
    let model = Sequential::<f32>::builder("m").layer(Gru::new(2, 3)).build().expect("a model");
    let x = Array3::<f32>::ones((1, 4, 2));
    let y = model.predict_one(&x).expect("outputs");
    let examples = Examples::by("no one").add(Example::new(&[(&x).into()], &[(&y).into()]).lengths(&[2]));
    let refused = file::save_with_examples(&path, &model, &examples).expect_err("lengths").to_string();
    assert!(refused.contains("lengths and an initial state are of a layer"), "{refused}");
}

#[test]
fn tolerance_and_odd_numbers() {
    let folder = Folder::new("tolerance");
    let path = folder.0.join("dense.safetensors");
    let mut dense = Dense::<f64>::new(1, 2);
    dense.set_weights(&[("kernel", array![[f64::NAN, f64::INFINITY]].view().into_dyn())]).expect("a weight");
    let x = array![[[1.0]]];
    let example = |y: Array3<f64>| Examples::by("me").add(Example::new(&[(&x).into()], &[(&y).into()]));
    let odd = array![[[f64::NAN, f64::INFINITY]]];
    file::save_with_examples(&path, &dense, &example(odd)).expect("the same");
    for y in [array![[[0.0, f64::INFINITY]]], array![[[f64::NAN, 0.0]]], array![[[f64::NAN, f64::NEG_INFINITY]]]] {
        assert!(file::save_with_examples(&path, &dense, &example(y)).is_err());
    }
    dense.set_weights(&[("kernel", array![[100.0, 0.0]].view().into_dyn())]).expect("a weight");
    let near = array![[[100.1, 0.0]]];
    assert!(file::save_with_examples(&path, &dense, &example(near.clone())).is_err());
    file::save_with_examples(&path, &dense, &example(near).tolerance(1e-2)).expect("near enough");
    let verified = file::verify(&path).expect("near enough");
    assert!((verified.error() - 0.1 / 100.1).abs() < 1e-12, "relative to the largest: {verified}");
}

#[test]
fn none_and_those_that_are_no_examples() {
    let folder = Folder::new("none");
    let bytes = file::to_bytes(&lstm()).expect("saved");
    let refused = verify(&folder, &bytes).expect_err("none").to_string();
    assert!(refused.contains("it holds no examples to check"), "{refused}");
    let path = folder.file("lstm.safetensors", &bytes);
    assert!(
        matches!(file::load_verified::<Lstm<f64>>(&path), Err(error) if matches!(error.problem(), Problem::NoExamples { .. }))
    );

    let examples = Examples::by("itself").add(of_lstm(&lstm()));
    file::save_with_examples(&path, &lstm(), &examples).expect("saved");
    let contents = Contents::of(&fs::read(&path).expect("a file"));
    let without = contents.with("examples", None);
    let refused = file::from_bytes::<Lstm<f64>>(&without).expect_err("tensors of no one").to_string();
    assert!(refused.contains("belongs to no layer"), "{refused}");
    let described: Value =
        serde_json::from_str(contents.header["__metadata__"]["examples"].as_str().expect("text")).expect("JSON");
    let call = "/config/parts/0/config/calls/0/config";
    for (place, value, expected) in [
        ("/config/by", json!(1), "by must be who computed them"),
        ("/config/parts/0/config/tolerance", json!("x"), "tolerance must be a number"),
        ("/config/parts/0/config/tolerance", json!("inf"), "tolerance must be a finite number"),
        ("/config/parts/0/config/tolerance", json!(-1), "tolerance must be a finite number"),
        ("/config/parts", json!({}), ""),
        ("/config/parts/0/class_name", json!("Whole"), "Part"),
        ("/config/parts/0/config/module", json!("GRU"), "module must be null"),
        (&format!("{call}/inputs"), json!(2), "examples/0/0/inputs/1"),
        (&format!("{call}/inputs"), json!(1_u64 << 60), "arrays of examples"),
        (&format!("{call}/outputs"), json!(1), "examples/0/0/outputs/1\" belongs to no layer"),
        (&format!("{call}/layers"), json!(["lstm"]), "examples/0/0/layers/lstm"),
        (&format!("{call}/layers"), json!(vec!["lstm"; 100]), "arrays of examples"),
        ("/config/parts", json!([]), "no layer"),
        ("/config/parts/0/config/calls", json!([]), "no layer"),
        (&format!("{call}/lengths"), json!(false), "belongs to no layer"),
    ] {
        let mut other = described.clone();
        *other.pointer_mut(place).expect(place) = value.clone();
        let refused = verify(&folder, &contents.with("examples", Some(&other.to_string())));
        let refused = refused.expect_err(&format!("{place} {value}")).to_string();
        assert!(refused.contains(expected), "{place} {value}: {refused}");
    }
}

/// Any change of a byte is refused, or what was changed makes no difference; nothing panics.
#[test]
fn bytes_that_changed() {
    let folder = Folder::new("bytes");
    let path = folder.0.join("whole.safetensors");
    file::save_with_examples(&path, &lstm(), &Examples::by("itself").add(of_lstm(&lstm()))).expect("saved");
    let mut files = vec![fs::read(&path).expect("a file")];
    #[cfg(all(feature = "keras", feature = "pytorch"))]
    files.extend(["sentiment.safetensors", "tagger.safetensors"].map(|name| fs::read(golden(name)).expect("a file")));
    let mut random = 0x1234_5678_9abc_def1_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    for bytes in files {
        let header = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize + 8;
        for round in 0..600 {
            let mut changed = bytes.clone();
            // Half of them in the header, which is the smaller part.
            let at = next(if round % 2 == 0 { header } else { bytes.len() });
            changed[at] ^= 1 << next(8);
            let _ = verify(&folder, &changed);
        }
        for _ in 0..100 {
            assert!(verify(&folder, &bytes[..next(bytes.len())]).is_err(), "an end that is missing");
        }
    }
}
