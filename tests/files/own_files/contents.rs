//! Looks into files, and changes them.

use serde_json::{Map, Value};

/// A safetensors file taken apart.
#[derive(Clone)]
pub struct Contents {
    pub header: Map<String, Value>,
    pub data: Vec<u8>,
}

impl Contents {
    pub fn of(bytes: &[u8]) -> Self {
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
        let header = serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
        Contents { header, data: bytes[8 + length..].to_vec() }
    }

    pub fn metadata(&mut self) -> &mut Map<String, Value> {
        self.header["__metadata__"].as_object_mut().expect("an object")
    }

    /// The description.
    pub fn config(&self) -> Value {
        let text = self.header["__metadata__"]["config"].as_str().expect("a description");
        serde_json::from_str(text).expect("a description")
    }

    /// The same file with another description.
    pub fn with_config(&self, config: &Value) -> Vec<u8> {
        let mut other = self.clone();
        other.metadata()["config"] = config.to_string().into();
        other.bytes()
    }

    /// The same file with other metadata.
    pub fn with(&self, key: &str, value: Option<&str>) -> Vec<u8> {
        let mut other = self.clone();
        match value {
            Some(value) => other.metadata().insert(key.into(), value.into()),
            None => other.metadata().remove(key),
        };
        other.bytes()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let header = serde_json::to_vec(&self.header).expect("JSON");
        [&(header.len() as u64).to_le_bytes()[..], &header, &self.data].concat()
    }
}

/// All class names in a description.
pub fn classes(value: &Value, found: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("class_name").and_then(Value::as_str).map(String::from));
            map.values().for_each(|value| classes(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| classes(value, found)),
        _ => {}
    }
}
