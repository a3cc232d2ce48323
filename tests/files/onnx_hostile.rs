//! Damaged ONNX files: an error or a model, never a panic, an abort, endless work or memory beyond the file's size.
//!
//! The work is done in a child process with a limit on its memory.

use std::collections::BTreeMap;
use std::process::Command;

use ndarray::ArrayD;
use recurrent::model::Input;
use recurrent::onnx::{File, Limits};
use serde_json::Value;

fn golden(name: &str) -> String {
    format!("{}/tests/golden/onnx/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Every fifth of the files with what the frameworks gave.
fn files() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for name in ["nodes", "exported", "quantized"] {
        let text = std::fs::read_to_string(golden(&format!("{name}.json"))).expect("cases");
        let cases: Value = serde_json::from_str(&text).expect("JSON");
        let models = std::fs::read(golden(&format!("{name}.bin"))).expect("models");
        for case in cases["cases"].as_array().expect("a list").iter().step_by(5) {
            let number = |key: &str| usize::try_from(case[key].as_u64().expect("a number")).expect("a size");
            files.push(models[number("start")..number("start") + number("length")].to_vec());
        }
    }
    files
}

fn limits() -> Limits {
    Limits::new().elements(1 << 20).file_bytes(1 << 22).units(1 << 12)
}

/// What a file is made of; a model is run.
fn case(bytes: &[u8], tally: &mut BTreeMap<String, usize>) {
    let made = File::from_bytes("damaged", bytes.to_vec(), &limits()).and_then(|file| {
        let _ = file.to_string();
        file.model::<f32>()
    });
    let what = match made {
        Err(error) => {
            let message = error.to_string();
            assert!(message.len() < 1000, "{message}");
            let kind = format!("{:?}", error.problem());
            kind.split(|at: char| !at.is_alphanumeric()).next().unwrap_or("").to_string()
        }
        Ok(model) => {
            let shape =
                |shape: &[Option<usize>]| shape.iter().map(|size| size.unwrap_or(2).min(64)).collect::<Vec<_>>();
            let inputs: Vec<ArrayD<f32>> = model.inputs().map(|(_, own)| ArrayD::ones(shape(own))).collect();
            let inputs: Vec<Input<'_, f32>> = inputs.iter().map(Into::into).collect();
            let ran = model.predict(&inputs).is_ok();
            let _ = (model.stream(1).is_ok(), model.to_string());
            if ran { "ran".into() } else { "refused to run".into() }
        }
    };
    *tally.entry(what).or_default() += 1;
}

/// xorshift64*: the same cases in every run.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % n.max(1) as u64) as usize
    }
}

#[test]
fn damage_child() {
    if std::env::var_os("DAMAGE_CHILD").is_none() {
        return;
    }
    let (mut tally, mut rng) = (BTreeMap::new(), Rng(0x9e37_79b9_7f4a_7c15));
    for bytes in files() {
        for _ in 0..12 {
            case(&bytes[..rng.below(bytes.len())], &mut tally);
            let mut other = bytes.clone();
            for _ in 0..1 + rng.below(3) {
                let at = rng.below(other.len());
                other[at] = [other[at] ^ (1 << rng.below(8)), 0, 0xff, 0x7f][rng.below(4)];
            }
            case(&other, &mut tally);
            // Numbers of many bytes, where a size may stand.
            let at = rng.below(other.len());
            other.splice(at..at + 1, [0xff, 0xff, 0xff, 0xff, 0x07]);
            case(&other, &mut tally);
            let (from, to) = (rng.below(bytes.len()), rng.below(bytes.len()));
            let cut = from.min(to)..from.max(to);
            other = [&bytes[..cut.start], &bytes[cut.end..]].concat();
            case(&other, &mut tally);
        }
    }
    println!("{tally:?}");
    assert!(tally.len() > 4 && tally.contains_key("ran") && tally.contains_key("Protobuf"), "{tally:?}");
}

#[test]
fn damaged() {
    let child = std::env::current_exe().expect("this program");
    let script = "ulimit -v 1000000 && exec \"$0\" --exact onnx_hostile::damage_child --nocapture --test-threads 1";
    let output = Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(&child)
        .env("DAMAGE_CHILD", "1")
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .expect("a child process");
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
}

/// What isn't ONNX, and what is refused by name.
#[test]
fn refused() {
    for (bytes, says) in [
        (&b"PK\x03\x04...."[..], "a zip"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"", "empty"),
        (b"\x08\x08", "no model of ONNX's"),
        (b"\x3a\x02\x0a\x00", "input \"\": the graph has none"),
    ] {
        let made = File::from_bytes("it", bytes.to_vec(), &Limits::new()).and_then(|file| file.model::<f32>());
        let error = made.expect_err("refused").to_string();
        assert!(error.contains(says), "{error}, expected {says}");
    }
    let file = &files()[0];
    let small = File::from_bytes("it", file.clone(), &Limits::new().file_bytes(10)).expect_err("too large").to_string();
    assert!(small.contains("file_bytes"), "{small}");
    let small = File::from_bytes("it", file.clone(), &Limits::new().units(2)).and_then(|file| file.model::<f32>());
    assert!(small.expect_err("too many units").to_string().contains("units"));
}

/// A field of a message: a number, or a text or another message.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("a short one");
    assert!(length < 0x80 && number < 16, "one byte each");
    [&[number << 3 | 2, length], content].concat()
}

/// A model of one node, of `x` and `w` to `y`.
fn of_one_node(operator: &str, weight: &[u8]) -> Vec<u8> {
    let value = |name: &str| {
        let size = field(1, &[0x08, 3]);
        let tensor = field(1, &[vec![0x08, 1], field(2, &[size.clone(), size].concat())].concat());
        [field(1, name.as_bytes()), field(2, &tensor)].concat()
    };
    let node =
        [field(1, b"x"), field(1, b"w"), field(2, b"y"), field(3, b"here"), field(4, operator.as_bytes())].concat();
    let parts = [(1, node), (5, weight.to_vec()), (11, value("x")), (12, value("y"))];
    let graph: Vec<u8> = parts.iter().flat_map(|(number, part)| field(*number, part)).collect();
    let opset = field(8, &[0x10, 17]);
    // A graph is longer than a byte tells.
    let length = [graph.len() as u8 & 0x7f | 0x80, (graph.len() >> 7) as u8];
    [&[0x08, 8, 0x3a][..], &length, &graph, &opset].concat()
}

/// Graphs within a graph, and numbers that are in other files, are refused by name.
#[test]
fn named() {
    let told = |bytes: Vec<u8>| {
        let made = File::from_bytes("it", bytes, &Limits::new()).and_then(|file| file.model::<f32>());
        made.expect_err("refused").to_string()
    };
    let weight = [vec![0x08, 3, 0x10, 1], field(8, b"w"), field(9, &[0; 12])].concat();
    for operator in ["Loop", "Scan", "If"] {
        let error = told(of_one_node(operator, &weight));
        assert!(error.contains(operator) && error.contains("here"), "{error}");
        assert!(error.contains("graphs within a graph aren't supported"), "{error}");
    }
    assert!(told(of_one_node("Hardmax", &weight)).contains("this operator isn't supported"));
    let place = [field(1, b"location"), field(2, b"w.bin")].concat();
    let elsewhere = [vec![0x08, 3, 0x10, 1], field(8, b"w"), field(13, &place), vec![0x70, 1]].concat();
    let error = told(of_one_node("Add", &elsewhere));
    assert!(error.contains("\"w\"") && error.contains("w.bin"), "{error}");
    // A segment (field 3) of a tensor, and a weight that has the name of what the node gives.
    let error = told(of_one_node("Add", &[weight.clone(), field(3, &[0x08, 0])].concat()));
    assert!(error.contains("\"w\"") && error.contains("segment"), "{error}");
    let error = told(of_one_node("Add", &[vec![0x08, 3, 0x10, 1], field(8, b"y"), field(9, &[0; 12])].concat()));
    assert!(error.contains("weight \"y\": another value has its name"), "{error}");
    let sound = File::from_bytes("it", of_one_node("Add", &weight), &Limits::new());
    assert!(sound.and_then(|file| file.model::<f32>()).is_ok(), "it is the operator that is refused");
}
