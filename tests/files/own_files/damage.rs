//! Files that were damaged, and descriptions that say something else: refused, or the same numbers.

use super::contents::Contents;
use super::models::{all, predict};
use ndarray::prelude::*;
use recurrent::file;
use recurrent::{Layer, Model};
use serde_json::{Value, json};

/// What a file gives, if it is taken.
fn outputs(name: &str, bytes: &[u8]) -> Option<Vec<Vec<u64>>> {
    if name == "layer" {
        let layer: Box<dyn Layer<f32>> = file::from_bytes(bytes).ok()?;
        let x = Array3::from_shape_fn((2, 3, layer.input_size()), |(i, j, k)| (i + 2 * j + k) as f32 / 4.0 - 0.75);
        return Some(vec![layer.forward(&x).ok()?.last().iter().map(|value| u64::from(value.to_bits())).collect()]);
    }
    predict(&file::from_bytes::<Model<f32>>(bytes).ok()?).ok()
}

/// Any change of a byte is refused or gives a layer; nothing panics.
#[test]
fn bytes_that_changed() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    for (name, bytes) in all() {
        for _ in 0..600 {
            let mut changed = bytes.clone();
            for _ in 0..=next(3) {
                let at = next(changed.len());
                changed[at] ^= 1 << next(8);
            }
            outputs(name, &changed);
        }
        for _ in 0..300 {
            assert!(outputs(name, &bytes[..next(bytes.len())]).is_none(), "{name}: an end that is missing");
        }
    }
}

/// The places of all values in a description.
fn places(value: &Value, at: &mut Vec<String>, found: &mut Vec<String>) {
    let mut inside = |key: String, value: &Value| {
        at.push(key.replace('~', "~0").replace('/', "~1"));
        found.push(format!("/{}", at.join("/")));
        places(value, at, found);
        at.pop();
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| inside(key.clone(), value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, value)| inside(i.to_string(), value)),
        _ => {}
    }
}

/// Each value as each other type, each key dropped, unknown keys added: refused, or what is told makes no difference.
#[test]
fn descriptions_that_changed() {
    let others = [
        json!(null),
        json!(true),
        json!(false),
        json!(-1),
        json!(0),
        json!(3),
        json!(1_i64 << 40),
        json!(0.5),
        json!(-1e300),
        json!("x"),
        json!("nan"),
        json!([]),
        json!([1]),
        json!({}),
        json!({"class_name": "GRU", "config": {}}),
    ];
    // What changes with these, and only these, is what they are there for.
    let tells = [
        "/seed",
        "activation",
        "/value",
        "/gain",
        "/mean",
        "/stddev",
        "return_",
        "go_backwards",
        "zero_output",
        "mask",
        "/epsilon",
        "/axis",
        "/number",
        "/keepdims",
        "/shape",
        "/dims",
        "/n",
        "/name",
        "/merge_mode",
        "/state",
        "inputs",
        "/initial_state",
        "/outputs",
        "/target_shape",
        "/alpha",
        "/class_name",
        "/layer",
        "/reset_after",
    ];
    let (mut refused, mut same, mut told) = (0, 0, 0);
    for (name, bytes) in all() {
        let contents = Contents::of(&bytes);
        let (config, expected) = (contents.config(), outputs(name, &bytes).expect("sound"));
        let mut found = Vec::new();
        places(&config, &mut Vec::new(), &mut found);
        // The longer the description, the fewer of its places.
        let every = (found.len() / 100).max(1);
        for (i, place) in found.iter().step_by(every).enumerate() {
            let mut changes = Vec::new();
            for other in &others[i % 3..] {
                let mut config = config.clone();
                *config.pointer_mut(place).expect("there") = other.clone();
                changes.push((config, other.to_string()));
            }
            let (outer, key) = place.rsplit_once('/').expect("a place");
            let mut dropped = config.clone();
            match dropped.pointer_mut(outer).expect("there") {
                Value::Object(map) => {
                    map.remove(key);
                    let mut added = config.clone();
                    added
                        .pointer_mut(outer)
                        .and_then(Value::as_object_mut)
                        .expect("there")
                        .insert("new".into(), json!(1));
                    assert!(outputs(name, &contents.with_config(&added)).is_none(), "{name}: a new key at {outer}");
                    // Without its momentum a BatchNormalization predicts; it can't be trained.
                    let refused = outputs(name, &contents.with_config(&dropped)).is_none();
                    assert!(refused || key == "momentum", "{name}: without {place}");
                }
                Value::Array(list) => {
                    list.remove(key.parse().expect("a place"));
                    changes.push((dropped, "nothing".into()));
                }
                _ => {}
            }
            for (changed, other) in changes.into_iter().filter(|(changed, _)| *changed != config) {
                match outputs(name, &contents.with_config(&changed)) {
                    None => refused += 1,
                    Some(outputs) if outputs == expected => same += 1,
                    Some(_) => {
                        assert!(tells.iter().any(|option| place.contains(option)), "{name}: {place} as {other}");
                        told += 1;
                    }
                }
            }
        }
    }
    assert!(refused > 20 * told && same > 0, "{refused} were refused, {same} made no difference, {told} did");
}
