//! Options of a layer, read one by one: what nobody has read in the end is refused.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::interchange::error::{Found, Problem};
use crate::interchange::limits::Limits;

/// The `config` of a layer.
pub(super) struct Config<'a> {
    /// The layer's path, for messages.
    pub(super) layer: String,
    pub(super) class: &'a str,
    map: &'a Map<String, Value>,
    read: RefCell<BTreeSet<&'a str>>,
    limits: &'a Limits,
}

/// What has no effect on what a layer computes, or only in training.
const NO_EFFECT: [&str; 15] = [
    "name",
    "trainable",
    "kernel_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "recurrent_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
    // The shape that a layer was built for: it is inferred.
    "batch_input_shape",
    "batch_shape",
    "dtype",
];

/// JSON as it is shown in messages: not too much of it.
pub(super) fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl<'a> Config<'a> {
    pub(super) fn new(layer: String, class: &'a str, map: &'a Map<String, Value>, limits: &'a Limits) -> Self {
        let config = Config { layer, class, map, read: RefCell::default(), limits };
        config.ignore(&NO_EFFECT);
        config
    }

    /// An option; one that is null is as good as none.
    pub(super) fn get(&self, option: &str) -> Option<&'a Value> {
        let (key, value) = self.map.get_key_value(option)?;
        self.read.borrow_mut().insert(key);
        Some(value).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, option: &str) -> bool {
        self.map.contains_key(option)
    }

    /// Options that have no effect here.
    pub(super) fn ignore(&self, options: &[&str]) {
        for option in options {
            self.get(option);
        }
    }

    /// Options of which only one value is supported, if they are there.
    pub(super) fn only(&self, option: &str, supported: &Value, reason: &'static str) -> Found<()> {
        match self.get(option) {
            Some(value) if value != supported => Err(self.unsupported(option, value, reason)),
            _ => Ok(()),
        }
    }

    pub(super) fn flag(&self, option: &str, default: bool) -> Found<bool> {
        match self.get(option) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(option, "true or false", other)),
        }
    }

    pub(super) fn float(&self, option: &str, default: f64) -> Found<f64> {
        match self.get(option) {
            None => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| self.wrong(option, "a number", value)),
        }
    }

    /// A size of at least one, within the limits.
    pub(super) fn size(&self, option: &str) -> Found<usize> {
        let value = self.get(option).unwrap_or(&Value::Null);
        let size = value
            .as_u64()
            .filter(|&size| size > 0)
            .ok_or_else(|| self.wrong(option, "a whole number above 0", value))?;
        if size > self.limits.units as u64 {
            return Err(Problem::Limit { what: "units", limit: self.limits.units as u64, given: size });
        }
        Ok(size as usize)
    }

    pub(super) fn integer(&self, option: &str, default: i64) -> Found<i64> {
        match self.get(option) {
            None => Ok(default),
            Some(value) => value.as_i64().ok_or_else(|| self.wrong(option, "a whole number", value)),
        }
    }

    /// A whole number, or a list of them.
    pub(super) fn integers(&self, option: &str) -> Found<Option<Vec<i64>>> {
        let Some(value) = self.get(option) else { return Ok(None) };
        let wrong = || self.wrong(option, "whole numbers", value);
        if let Some(one) = value.as_i64() {
            return Ok(Some(vec![one]));
        }
        let list = value.as_array().ok_or_else(wrong)?;
        list.iter().map(|one| one.as_i64().ok_or_else(wrong)).collect::<Found<_>>().map(Some)
    }

    /// The layer inside of a wrapper.
    pub(super) fn object(&self, option: &str) -> Found<&'a Map<String, Value>> {
        let value = self.get(option).unwrap_or(&Value::Null);
        value.as_object().ok_or_else(|| self.wrong(option, "a layer", value))
    }

    pub(super) fn wrong(&self, option: &str, expected: &str, found: &Value) -> Problem {
        Problem::Config {
            layer: self.layer.clone(),
            option: option.into(),
            expected: expected.into(),
            found: show(found),
        }
    }

    pub(super) fn unsupported(&self, option: &str, value: &Value, reason: &'static str) -> Problem {
        Problem::UnsupportedOption {
            layer: self.layer.clone(),
            class: self.class.into(),
            option: option.into(),
            value: show(value),
            reason,
        }
    }

    /// That every option has been read.
    pub(super) fn finish(&self) -> Found<()> {
        let read = self.read.borrow();
        match self.map.keys().find(|key| !read.contains(key.as_str())) {
            None => Ok(()),
            Some(option) => Err(Problem::UnknownOption {
                layer: self.layer.clone(),
                class: self.class.into(),
                option: option.clone(),
            }),
        }
    }
}
