//! Descriptions as JSON: `{"class_name": "LSTM", "config": {"units": 4, ..}}`.
//!
//! Numbers that JSON hasn't got are texts: `inf`, `-inf`, `nan`. Objects are descriptions and nothing else, and no key may
//! stand twice.

use std::fmt::Write as _;

use crate::config::serialized::{CLASS, OPTIONS};
use crate::config::{Config, Value};
use crate::formats::error::{Found, Problem};

/// A description as text.
pub(super) fn write(config: &Config) -> String {
    let mut text = String::new();
    write_config(&mut text, config);
    text
}

/// A description from text.
pub(super) fn read(text: &str) -> Found<Config> {
    serde_json::from_str(text).map_err(|error| Problem::Json { member: "the configuration", reason: error.to_string() })
}

fn write_config(text: &mut String, config: &Config) {
    // Into a text, which takes all that there is.
    let _ = write!(text, "{{\"{CLASS}\":{},\"{OPTIONS}\":{{", quoted(&config.class));
    for (i, (name, value)) in config.options.iter().enumerate() {
        let _ = write!(text, "{}{}:", if i == 0 { "" } else { "," }, quoted(name));
        write_value(text, value);
    }
    text.push_str("}}");
}

fn write_value(text: &mut String, value: &Value) {
    let _ = match value {
        Value::Null => write!(text, "null"),
        Value::Flag(flag) => write!(text, "{flag}"),
        Value::Integer(number) => write!(text, "{number}"),
        Value::Float(number) => match number.is_finite() {
            // With a dot or an exponent, and as short as tells it from all others.
            true => write!(text, "{number:?}"),
            false => write!(text, "\"{}\"", if number.is_nan() { "nan".into() } else { number.to_string() }),
        },
        Value::Text(own) => write!(text, "{}", quoted(own)),
        Value::List(list) => {
            text.push('[');
            for (i, value) in list.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write_value(text, value);
            }
            write!(text, "]")
        }
        Value::Config(config) => {
            write_config(text, config);
            Ok(())
        }
        // It was refused before: see `Config::without_entries`.
        Value::Entry(_) => write!(text, "null"),
    };
}

/// Text as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let numbers = [0.1, -0.0, 1e300, 5e-324, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, 1.0];
        let list: Vec<Value> = numbers.into_iter().map(Value::Float).collect();
        let config = Config::new("A \"class\"")
            .with("null", Value::Null)
            .with("flag", true)
            .with("integer", i64::MIN)
            .with("list", Value::List(list))
            .with("é", Config::new("").with("text", "\\\n"));
        let Config { class, options } = read(&write(&config)).expect("sound");
        assert_eq!(class, config.class);
        for ((name, value), (expected_name, expected)) in options.iter().zip(&config.options) {
            assert_eq!(name, expected_name);
            if name != "list" {
                assert_eq!(value, expected);
                continue;
            }
            let Value::List(list) = value else { panic!("{value:?}") };
            for (value, number) in list.iter().zip(numbers) {
                match value {
                    Value::Float(read) => assert_eq!(read.to_bits(), number.to_bits()),
                    Value::Text(text) => assert_eq!(text, &number.to_string()),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn what_is_not_a_description_is_refused() {
        for text in [
            "",
            "1",
            "null",
            "[]",
            "{}",
            "{\"class_name\":\"A\"}",
            "{\"config\":{}}",
            "{\"class_name\":1,\"config\":{}}",
            "{\"class_name\":\"A\",\"config\":[]}",
            "{\"class_name\":\"A\",\"class_name\":\"A\",\"config\":{}}",
            "{\"class_name\":\"A\",\"config\":{},\"more\":1}",
            "{\"class_name\":\"A\",\"config\":{\"a\":1,\"a\":1}}",
            "{\"class_name\":\"A\",\"config\":{\"a\":{}}}",
            "{\"class_name\":\"A\",\"config\":{\"a\":9223372036854775808}}",
            "{\"class_name\":\"A\",\"config\":{}} x",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let deep = format!("{{\"class_name\":\"A\",\"config\":{{\"a\":{}", "[".repeat(100_000));
        assert!(read(&deep).is_err());
    }
}
