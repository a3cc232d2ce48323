//! Descriptions as JSON: `{"class_name": "LSTM", "config": {"units": 4, ..}}`.
//!
//! Numbers that JSON hasn't got are texts: `inf`, `-inf`, `nan`. Objects are descriptions and nothing else, and no key may
//! stand twice.

use std::fmt::{self, Write as _};

use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::config::{Config, Value};
use crate::formats::error::{Found, Problem};

const CLASS: &str = "class_name";
const OPTIONS: &str = "config";

/// A description as text.
pub(super) fn write(config: &Config) -> String {
    let mut text = String::new();
    write_config(&mut text, config);
    text
}

/// A description from text.
pub(super) fn read(text: &str) -> Found<Config> {
    serde_json::from_str::<Read<Config>>(text)
        .map(|Read(config)| config)
        .map_err(|error| Problem::Json { member: "the configuration", reason: error.to_string() })
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
    };
}

/// Text as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What is read.
struct Read<V>(V);

impl<'de> Deserialize<'de> for Read<Config> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Read::<Value>::deserialize(deserializer)?.0 {
            Value::Config(config) => Ok(Read(config)),
            _ => Err(D::Error::custom("it isn't a description")),
        }
    }
}

impl<'de> Deserialize<'de> for Read<Value> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Read)
    }
}

/// Any value.
struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a description")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map(Value::Integer).map_err(|_| E::custom("a whole number is too large"))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Read(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let (mut class, mut options) = (None, None);
        while let Some(key) = members.next_key::<String>()? {
            let twice = match &key[..] {
                CLASS => class.replace(members.next_value::<String>()?).is_some(),
                OPTIONS => options.replace(members.next_value::<Members>()?).is_some(),
                _ => return Err(A::Error::custom(format!("a description has a key {key:?}, which isn't known"))),
            };
            if twice {
                return Err(A::Error::custom(format!("a description has the key {key:?} twice")));
            }
        }
        match (class, options) {
            (Some(class), Some(Members(options))) => Ok(Value::Config(Config { class, options })),
            (None, _) => Err(A::Error::missing_field(CLASS)),
            (_, None) => Err(A::Error::missing_field(OPTIONS)),
        }
    }
}

/// Options, in order.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of options")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let (mut members, mut names) = (Vec::new(), std::collections::HashSet::new());
                while let Some((name, Read(value))) = map.next_entry::<String, Read<Value>>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("there are two options {name:?}")));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
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
