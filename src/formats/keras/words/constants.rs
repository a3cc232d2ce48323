//! Constants among what operations read: numbers as they are, arrays with their type.

use serde_json::{Value as Json, json};

use super::super::bare_words::Word;
use super::Unsaid;
use crate::config::{Config, Value};

/// A constant, as it describes itself.
pub(in super::super) fn constant(option: &str, value: &Value, dtype: &str) -> Result<Json, Unsaid> {
    let refused = || Unsaid::new(option, value);
    let Value::Config(config) = value else { return Err(refused()) };
    let array = Array::of(config, dtype).ok_or_else(refused)?;
    if array.shape.is_empty() {
        return Ok(array.nested());
    }
    Ok(json!({"class_name": "__numpy__", "config": {"value": array.nested(), "dtype": array.dtype}}))
}

/// The same as lists alone: the option of a layer.
pub(in super::super) fn numbers(option: &str, value: &Value, dtype: &str) -> Result<Json, Unsaid> {
    let refused = || Unsaid::new(option, value);
    let Value::Config(config) = value else { return Err(refused()) };
    Ok(Array::of(config, dtype).ok_or_else(refused)?.nested())
}

/// A matrix the other way round: its last two axes.
pub(in super::super) fn transposed(option: &str, value: &Value, dtype: &str) -> Result<Json, Unsaid> {
    let refused = || Unsaid::new(option, value);
    let Value::Config(config) = value else { return Err(refused()) };
    let mut array = Array::of(config, dtype).ok_or_else(refused)?;
    let [.., rows, columns] = array.shape[..] else { return Err(refused()) };
    let all = std::mem::take(&mut array.numbers);
    for matrix in all.chunks(rows.saturating_mul(columns).max(1)) {
        array.numbers.extend((0..columns).flat_map(|column| matrix.iter().skip(column).step_by(columns)).cloned());
    }
    let rank = array.shape.len();
    array.shape.swap(rank - 2, rank - 1);
    Ok(json!({"class_name": "__numpy__", "config": {"value": array.nested(), "dtype": array.dtype}}))
}

/// A constant in a file's words.
struct Array {
    shape: Vec<usize>,
    /// In row order.
    numbers: Vec<Json>,
    dtype: &'static str,
}

impl Array {
    /// Nothing if a number has no word in JSON.
    fn of(config: &Config, dtype: &str) -> Option<Self> {
        let get = |name: &str| config.options.iter().find(|(own, _)| own == name).map(|(_, value)| value);
        let list = |name: &str| if let Some(Value::List(list)) = get(name) { Some(list) } else { None };
        let Some(Value::Text(kind)) = get("kind") else { return None };
        let size = |value: &Value| if let Value::Integer(size) = *value { usize::try_from(size).ok() } else { None };
        let shape = list("shape")?.iter().map(size).collect::<Option<Vec<_>>>()?;
        let given: Vec<f64> = list("numbers")?.iter().map(as_f64).collect::<Option<_>>()?;
        let single = dtype == "float32";
        let number = |&number: &f64| match &kind[..] {
            "bool" => Some((number != 0.0).into()),
            "int" => Some((number as i64).into()),
            _ if !number.is_finite() => Some(Word::of(number).marked().into()),
            _ => Some(if single { shortest(number) } else { number }.into()),
        };
        let numbers = given.iter().map(number).collect::<Option<_>>()?;
        let wide = given.iter().any(|&number| i32::try_from(number as i64).is_err());
        let dtype = match (&kind[..], single) {
            ("bool", _) => "bool",
            ("int", _) if wide => "int64",
            ("int", _) => "int32",
            (_, true) => "float32",
            (_, false) => "float64",
        };
        Some(Array { shape, numbers, dtype })
    }

    /// Lists within lists, or the one number.
    fn nested(&self) -> Json {
        let mut lists = self.numbers.clone();
        for &size in self.shape.iter().rev() {
            lists = match size {
                0 => vec![],
                size => lists.chunks(size).map(|row| row.to_vec().into()).collect(),
            };
        }
        lists.pop().unwrap_or_else(|| json!([]))
    }
}

fn as_f64(value: &Value) -> Option<f64> {
    match *value {
        Value::Float(number) => Some(number),
        Value::Integer(number) => Some(number as f64),
        _ => None,
    }
}

/// The shortest decimal number that is this one in f32: 1.7, as it was written, and not 1.7000000476837158.
pub(in super::super) fn shortest(number: f64) -> f64 {
    let single = number as f32;
    match single.to_string().parse::<f64>() {
        Ok(short) if f64::from(single) == number && short as f32 == single => short,
        _ => number,
    }
}
