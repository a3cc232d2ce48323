//! Damaged model files: an error or a model, never a panic, an abort, a hang or too much memory.
//!
//! The work is done in a child process with a limit on its memory; what it refuses is counted by error variant.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::check::write_keras::zip;
use crate::check::zip::members;
use ndarray::ArrayD;
use recurrent::keras::{File, Limits, LoadError, Options, Problem};
use recurrent::{Model, model::Input};
use serde_json::Value;

/// xorshift64*: the same cases in every run.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

fn models() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in ["models", "keras2", "versions", "others"] {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/keras_models").join(folder);
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        paths.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "keras" || extension == "h5"));
    // Those of own classes are no models, and one is refused.
    paths.retain(|path| {
        let path = path.display().to_string();
        !["mine.", ".weights.", "lora.h5"].iter().any(|part| path.contains(part))
    });
    paths.sort();
    paths
}

/// Small limits, so that a file that asks for much is refused early.
fn options() -> Options {
    let limits = Limits::new().elements(1 << 22).file_bytes(1 << 24).inflated_bytes(1 << 26);
    Options::new().limits(limits)
}

fn load<T: recurrent::Float>(bytes: &[u8]) -> Result<Model<T>, LoadError> {
    File::from_bytes("damaged", bytes.to_vec(), &options())?.model()
}

/// [`load`], half precision included.
fn load_any<T: recurrent::Float>(bytes: &[u8]) -> Result<Model<T>, LoadError> {
    File::from_bytes("damaged", bytes.to_vec(), &options().half_as_f32(true))?.model()
}

/// What a file made of, and the runs of what loaded.
#[derive(Default)]
struct Tally {
    variants: BTreeMap<String, usize>,
    loaded: usize,
    ran: usize,
    cases: usize,
    slowest: Duration,
}

impl Tally {
    /// Loads a file, and runs the model if there is one.
    fn case(&mut self, what: &str, bytes: &[u8]) {
        let started = Instant::now();
        self.cases += 1;
        match load_any::<f32>(bytes) {
            Ok(model) => {
                self.loaded += 1;
                // Of whatever shape it says that it reads; dimensions that are open get a small size.
                let shapes: Vec<Vec<usize>> = model
                    .inputs()
                    .map(|(_, shape)| shape.iter().enumerate().map(|(i, n)| n.unwrap_or(2 + i % 2).min(64)).collect())
                    .collect();
                let arrays: Vec<ArrayD<f32>> = shapes.into_iter().map(ArrayD::ones).collect();
                let inputs: Vec<Input<'_, f32>> = arrays.iter().map(Input::from).collect();
                self.ran += usize::from(model.predict(&inputs).is_ok());
                assert!(!model.to_string().is_empty());
            }
            Err(error) => {
                assert!(error.to_string().starts_with("damaged: "), "{error}");
                *self.variants.entry(variant(error.problem())).or_default() += 1;
            }
        }
        let time = started.elapsed();
        self.slowest = self.slowest.max(time);
        assert!(time < Duration::from_secs(10), "{what} took {time:?}");
    }
}

/// The name of the variant.
fn variant(problem: &Problem) -> String {
    format!("{problem:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// Damages of bytes alone.
fn damaged(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match rng.below(6) {
        0 => bytes.truncate(rng.below(bytes.len())),
        1 => {
            // An extreme length or address.
            let extremes = [u64::MAX, i64::MAX as u64, 1 << 40, u64::from(u32::MAX), 0, bytes.len() as u64, 1];
            let at = rng.below(bytes.len().saturating_sub(8)) & !7;
            let width = [8, 4, 2][rng.below(3)];
            let value = extremes[rng.below(extremes.len())].to_le_bytes();
            if let Some(place) = bytes.get_mut(at..at + width) {
                place.copy_from_slice(&value[..width]);
            }
        }
        2 => {
            // A piece of the file somewhere else: loops, shared parts.
            let length = 8 << rng.below(4);
            let (from, to) = (rng.below(bytes.len()) & !7, rng.below(bytes.len()) & !7);
            if from + length <= bytes.len() && to + length <= bytes.len() {
                bytes.copy_within(from..from + length, to);
            }
        }
        _ => {
            for _ in 0..1 + rng.below(8) {
                let at = rng.below(bytes.len());
                bytes[at] ^= 1 << rng.below(8);
            }
        }
    }
    bytes
}

/// Where the members' bytes are in a zip file that stores them.
fn members_at(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let all = members(bytes);
    let find = |data: &Vec<u8>| bytes.windows(data.len()).position(|window| window == data).unwrap();
    all.iter().map(|(_, data)| find(data)).zip(&all).map(|(start, (_, data))| start..start + data.len()).collect()
}

/// Changes one place in the description of a model.
fn change(value: &mut Value, rng: &mut Rng) {
    let count = places(value);
    let mut at = rng.below(count);
    change_at(value, &mut at, rng);
}

fn places(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(places).sum(),
        Value::Object(map) => map.values().map(places).sum(),
        _ => 0,
    }
}

fn change_at(value: &mut Value, at: &mut usize, rng: &mut Rng) -> bool {
    if *at == 0 {
        *value = match rng.below(14) {
            0 => Value::Null,
            1 => Value::from(-1),
            2 => Value::from(u64::MAX),
            3 => Value::from(1_u64 << 40),
            4 => Value::from(0),
            5 => Value::from(6.0),
            6 => Value::from("no such thing"),
            7 => Value::from(true),
            8 => Value::from(Vec::<Value>::new()),
            9 => Value::Object(serde_json::Map::new()),
            10 => Value::from(1_u64 << 20),
            // Twice the same, or one within the other.
            11 => Value::from(vec![value.clone(), value.clone()]),
            12 => Value::from(1e300),
            _ => {
                if let Value::Object(map) = value {
                    let key = map.keys().nth(rng.below(map.len())).cloned();
                    key.map(|key| map.remove(&key));
                } else if let Value::Array(list) = value {
                    let again = list.first().cloned();
                    list.extend(again);
                }
                return true;
            }
        };
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(list) => list.iter_mut().any(|value| change_at(value, at, rng)),
        Value::Object(map) => map.values_mut().any(|value| change_at(value, at, rng)),
        _ => false,
    }
}

/// Damages of packed members, of chunks and filters, and of the newest forms of HDF5; and all that can be asked of a
/// file.
fn packed(tally: &mut Tally, rng: &mut Rng, rounds: usize) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/keras_models/forms");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let config = |name: &str| {
        let parts = members(&std::fs::read(folder.join(name)).unwrap());
        parts.into_iter().find(|(name, _)| name == "config.json").unwrap().1
    };
    let (deep, wide) = (config("deep.keras"), config("wide.keras"));
    for path in paths {
        let (bytes, name) = (std::fs::read(&path).unwrap(), path.display().to_string());
        for round in 0..4 * rounds {
            let damaged = damaged(&bytes, rng);
            if name.ends_with(".keras") {
                tally.case(&format!("{name}, {round}"), &damaged);
                continue;
            }
            let started = Instant::now();
            let config = if name.contains("wide") { &wide } else { &deep };
            let file = File::from_parts("damaged", config.clone(), damaged, &options()).unwrap();
            for problem in [file.model::<f32>().map(drop).err(), file.tensors().map(drop).err()] {
                *tally.variants.entry(problem.map_or("none".into(), |error| variant(error.problem()))).or_default() +=
                    1;
            }
            for tensor in file.tensors().unwrap_or_default() {
                drop(file.tensor::<f64>(&tensor.path));
            }
            drop(file.weights_below("layers/lstm", &mut recurrent::Lstm::<f32>::new(3, 8)));
            let time = started.elapsed();
            assert!(time < Duration::from_secs(10), "{name}, {round} took {time:?}");
        }
    }
}

/// The child process of `damage`, and nothing by itself.
#[test]
fn damage_child() {
    if std::env::var_os("DAMAGE_CHILD").is_none() {
        return;
    }
    let mut tally = Tally::default();
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    let rounds = std::env::var("DAMAGE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(24_usize);
    for path in models() {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.display().to_string();
        // Undamaged files load.
        let double = File::from_bytes("it", bytes.clone(), &options()).and_then(|file| file.dtype()) == Ok("float64");
        let sound = if double { load_any::<f64>(&bytes).map(drop) } else { load_any::<f32>(&bytes).map(drop) };
        sound.unwrap_or_else(|error| panic!("{name}: {error}"));
        for round in 0..rounds {
            tally.case(&format!("{name}, {round}"), &damaged(&bytes, &mut rng));
        }
        if path.extension().is_some_and(|extension| extension == "keras") {
            let sound = members(&bytes);
            // Any change within a member is seen.
            let payload = members_at(&bytes);
            for _ in 0..rounds {
                let range = payload[rng.below(payload.len())].clone();
                let mut bytes = bytes.clone();
                bytes[range.start + rng.below(range.len())] ^= 1 << rng.below(8);
                let problem = load_any::<f64>(&bytes).expect_err(&name);
                assert!(matches!(problem.problem(), Problem::Checksum { .. }), "{name}: {problem}");
            }
            assert!(load_any::<f64>(&zip(&sound)).is_ok(), "{name}, rewritten");
            for round in 0..rounds {
                // Through the checksum: damaged weights, damaged descriptions.
                let mut parts = sound.clone();
                for (member, data) in &mut parts {
                    if member.ends_with(".h5") && round % 2 == 0 {
                        *data = damaged(data, &mut rng);
                    } else if member == "config.json" && round % 2 == 1 {
                        let mut config: Value = serde_json::from_slice(data).unwrap();
                        for _ in 0..1 + rng.below(2) {
                            change(&mut config, &mut rng);
                        }
                        *data = config.to_string().into_bytes();
                    }
                }
                tally.case(&format!("{name}, inside, {round}"), &zip(&parts));
            }
        }
    }
    packed(&mut tally, &mut rng, rounds);
    println!("{} cases, {} loaded, {} ran, slowest {:?}", tally.cases, tally.loaded, tally.ran, tally.slowest);
    println!("{:#?}", tally.variants);
    assert!(tally.cases > 170 * rounds, "{} cases", tally.cases);
    assert!(tally.variants.len() >= 15, "{:?}", tally.variants);
}

#[test]
fn damage() {
    let child = std::env::current_exe().unwrap();
    // 1 GB of address space.
    let script = "ulimit -v 1000000 && exec \"$0\" --exact hostile::damage_child --nocapture --test-threads 1";
    let output = Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(&child)
        .env("DAMAGE_CHILD", "1")
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success(), "the child ended with {}:\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "{out}");
}

/// A small model of our own making: its description, and the weights of a golden one.
fn with_config(name: &str, change: impl Fn(&mut Value)) -> Result<Model<f32>, LoadError> {
    let path = format!("{}/tests/golden/keras_models/models/{name}.keras", env!("CARGO_MANIFEST_DIR"));
    let mut parts = members(&std::fs::read(path).unwrap());
    for (member, data) in &mut parts {
        if member == "config.json" {
            let mut config: Value = serde_json::from_slice(data).unwrap();
            change(&mut config);
            *data = config.to_string().into_bytes();
        }
    }
    load(&zip(&parts))
}

fn refused(result: Result<Model<f32>, LoadError>) -> Problem {
    result.expect_err("it should be refused").problem().clone()
}

fn layer<'c>(config: &'c mut Value, name: &str) -> &'c mut Value {
    let layers = config["config"]["layers"].as_array_mut().unwrap();
    layers.iter_mut().find(|layer| layer["config"]["name"] == name).unwrap()
}

#[test]
fn sizes_that_the_file_cannot_back() {
    for units in [1_u64 << 20, 1 << 40, u64::MAX] {
        let problem = refused(with_config("lstm", |config| layer(config, "lstm")["config"]["units"] = units.into()));
        assert!(matches!(problem, Problem::TensorShape { .. } | Problem::Limit { .. }), "{problem}");
    }
    let problem = refused(with_config("repeat_vector_autoencoder", |config| {
        layer(config, "repeat_vector")["config"]["n"] = (1_u64 << 23).into();
    }));
    assert!(matches!(problem, Problem::Limit { what: "elements", .. }), "{problem}");
    let problem = refused(with_config("shapes", |config| {
        layer(config, "input_layer")["config"]["batch_shape"] =
            vec![Value::Null, (1_u64 << 33).into(), (1_u64 << 33).into()].into();
    }));
    assert!(matches!(problem, Problem::Limit { what: "elements", .. }), "{problem}");
}

#[test]
fn graphs_without_an_order() {
    // The decoder reads itself.
    let problem = refused(with_config("encoder_decoder", |config| {
        let text = layer(config, "decoder")["inbound_nodes"].to_string().replace("\"target\"", "\"head\"");
        layer(config, "decoder")["inbound_nodes"] = serde_json::from_str(&text).unwrap();
    }));
    assert_eq!(problem, Problem::Cycle { layers: vec!["decoder".into(), "head".into()] });
    let problem = refused(with_config("encoder_decoder", |config| {
        let text = layer(config, "head")["inbound_nodes"].to_string().replace("\"decoder\"", "\"nobody\"");
        layer(config, "head")["inbound_nodes"] = serde_json::from_str(&text).unwrap();
    }));
    assert!(matches!(problem, Problem::Reference { .. }), "{problem}");
}

/// Models within models, each of which calls the next one many times: the calls multiply.
#[test]
fn calls_that_multiply() {
    fn tensor(name: &str, node: usize) -> Value {
        serde_json::json!({"class_name": "__keras_tensor__",
            "config": {"shape": [null, 3], "dtype": "float32", "keras_history": [name, node, 0]}})
    }
    fn model(depth: usize, calls: usize) -> Value {
        let input = serde_json::json!({"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
            "config": {"name": "x", "batch_shape": [null, 3], "dtype": "float32"}});
        let mut inner = match depth {
            0 => serde_json::json!({"class_name": "Activation", "config": {"name": "inner", "activation": "tanh"}}),
            _ => model(depth - 1, calls),
        };
        inner["name"] = "inner".into();
        inner["config"]["name"] = "inner".into();
        let node = |i: usize| {
            let input = if i == 0 { tensor("x", 0) } else { tensor("inner", i - 1) };
            serde_json::json!({"args": [input], "kwargs": {}})
        };
        inner["inbound_nodes"] = (0..calls).map(node).collect();
        let last = if depth == 0 { calls - 1 } else { calls };
        serde_json::json!({"class_name": "Functional", "name": "m", "config": {"name": "m", "layers": [input, inner],
            "input_layers": [["x", 0, 0]], "output_layers": [["inner", last, 0]]}})
    }
    let few = with_config("lstm", |config| *config = model(3, 2)).map(drop);
    assert!(matches!(few.expect_err("weights are left").problem(), Problem::LeftoverTensor { .. }));
    let problem = refused(with_config("lstm", |config| *config = model(8, 10)));
    assert!(matches!(problem, Problem::Limit { what: "calls", .. }), "{problem}");
    let problem = refused(with_config("lstm", |config| *config = model(40, 1)));
    assert!(matches!(problem, Problem::Limit { what: "depth", .. } | Problem::Json { .. }), "{problem}");
}

#[test]
fn what_the_caller_asks_for() {
    let path = format!("{}/tests/golden/keras_models/models/lstm.keras", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap();
    let wrong = Options::new().sha256("00".repeat(32));
    let error = recurrent::keras::load_with::<f32>(&path, &wrong).unwrap_err();
    let Problem::Digest { given, .. } = error.problem().clone() else { panic!("{error}") };
    recurrent::keras::load_with::<f32>(&path, &Options::new().sha256(given.to_uppercase())).unwrap();

    let mut parts = members(&bytes);
    for (name, data) in &mut parts {
        if name.ends_with(".h5") {
            // One of the weights becomes NaN: the last four bytes of the file are of a tensor or of nothing.
            let at =
                data.chunks_exact(4).rposition(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]).abs() > 1e-3).unwrap();
            data[4 * at..4 * at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        }
    }
    let bytes = zip(&parts);
    File::from_bytes("nan", bytes.clone(), &Options::new()).unwrap().model::<f32>().unwrap();
    let strict = Options::new().refuse_non_finite(true);
    let error = File::from_bytes("nan", bytes.clone(), &strict).unwrap().model::<f32>().unwrap_err();
    assert!(matches!(error.problem(), Problem::NonFinite { .. }), "{error}");

    let small = Options::new().limits(Limits::new().file_bytes(1000));
    let error = File::from_bytes("large", bytes, &small).unwrap_err();
    assert!(matches!(error.problem(), Problem::Limit { what: "file_bytes", limit: 1000, .. }), "{error}");
    let few = Options::new().limits(Limits::new().tensors(2));
    let error = recurrent::keras::load_with::<f32>(&path, &few).unwrap_err();
    assert!(matches!(error.problem(), Problem::Limit { what: "tensors", .. }), "{error}");
}

#[test]
fn what_is_no_model_file() {
    let refuse = |bytes: &[u8]| File::from_bytes("x", bytes.to_vec(), &Options::new()).unwrap_err().problem().clone();
    for (bytes, found) in [
        (&b""[..], "an empty file"),
        (&b"\x1c\0\0\0TFL3 and so on"[..], "a TensorFlow Lite file"),
        (&b"{\"class_name\": \"Sequential\"}"[..], "JSON text without weights"),
        (&b"hello"[..], "neither zip nor HDF5"),
    ] {
        let problem = refuse(bytes);
        assert!(problem.to_string().contains(found) && problem.to_string().contains("model.keras"), "{problem}");
    }
    let folder = std::env::temp_dir().join(format!("saved-model-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("saved_model.pb"), b"\x08\x01").unwrap();
    let error = File::open(&folder).unwrap_err();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(error.to_string().contains("SavedModel"), "{error}");
    assert!(matches!(File::open("/no/such/file.keras").unwrap_err().problem(), Problem::Io { .. }));
    let empty = zip(&[("config.json".into(), b"{}".to_vec())]);
    assert!(matches!(refuse(&empty), Problem::MissingMember { member: "model.weights.h5" }));
    // Twice the same member.
    let config = ("config.json".to_string(), b"{}".to_vec());
    assert!(matches!(refuse(&zip(&[config.clone(), config])), Problem::Zip { .. }));
}

/// A B-tree node whose children are itself, a symbol table that holds its own group, and the like.
#[test]
fn hdf5_loops() {
    let path = format!("{}/tests/golden/keras_models/models/lstm.h5", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).unwrap();
    let nodes: Vec<usize> = (0..bytes.len() - 4).filter(|&at| &bytes[at..at + 4] == b"TREE").collect();
    let tables: Vec<usize> = (0..bytes.len() - 4).filter(|&at| &bytes[at..at + 4] == b"SNOD").collect();
    assert!(nodes.len() > 3 && tables.len() > 3);
    for &node in &nodes {
        for level in [1_u8, 2, 255] {
            let mut bytes = bytes.clone();
            // An inner node with many children, all of them itself.
            bytes[node + 5] = level;
            bytes[node + 6..node + 8].copy_from_slice(&16_u16.to_le_bytes());
            for child in 0..16 {
                let at = node + 24 + 8 + 16 * child;
                bytes[at..at + 8].copy_from_slice(&(node as u64).to_le_bytes());
            }
            let problem = refused(load(&bytes));
            assert!(matches!(problem, Problem::Hdf5 { .. }), "{problem}");
        }
    }
    for &table in &tables {
        let mut bytes = bytes.clone();
        // Every member of the group is the root group: ways that branch without end.
        let root = bytes[0x40..0x48].to_vec();
        for entry in 0..usize::from(bytes[table + 6]) {
            let at = table + 8 + 40 * entry + 8;
            bytes[at..at + 8].copy_from_slice(&root);
        }
        let started = Instant::now();
        assert!(load::<f32>(&bytes).is_err());
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

/// Types that aren't computed in are refused by name, and so are two in one model.
#[test]
fn types_of_numbers() {
    let policy =
        |name: &str| serde_json::json!({"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}});
    for name in ["mixed_float16", "bfloat16", "float64", "int8_from_float32"] {
        let problem = refused(with_config("lstm", |config| layer(config, "lstm")["config"]["dtype"] = policy(name)));
        assert!(matches!(&problem, Problem::DType { dtype, .. } if dtype == name), "{problem}");
    }
    let path = format!("{}/tests/golden/keras_models/models/gru.keras", env!("CARGO_MANIFEST_DIR"));
    let mut parts = members(&std::fs::read(path).unwrap());
    for (_, data) in parts.iter_mut().filter(|(name, _)| name == "config.json") {
        let mut config: Value = serde_json::from_slice(data).unwrap();
        layer(&mut config, "input_layer")["config"]["dtype"] = "float64".into();
        *data = config.to_string().into_bytes();
    }
    let problem = load::<f64>(&zip(&parts)).expect_err("two types").problem().clone();
    assert!(matches!(&problem, Problem::DType { dtype, .. } if dtype == "float32"), "{problem}");
}
