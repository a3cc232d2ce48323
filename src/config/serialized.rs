//! Descriptions in serde's formats: `{"class_name": "LSTM", "config": {"units": 4, ..}}`, in JSON.
//!
//! Numbers that JSON hasn't got are texts: `inf`, `-inf`, `nan`. Objects are descriptions and nothing else, and no key may
//! stand twice.

use std::fmt;

use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Config, Value};

pub(crate) const CLASS: &str = "class_name";
pub(crate) const OPTIONS: &str = "config";

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Config(config) => Ok(config),
            _ => Err(D::Error::custom("it isn't a description")),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
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
        while let Some(item) = items.next_element()? {
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
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
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

#[cfg(feature = "serde")]
mod write {
    use serde_core::ser::{Serialize, SerializeMap, Serializer};

    use super::{CLASS, Config, OPTIONS, Value};

    impl Serialize for Config {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(2))?;
            map.serialize_entry(CLASS, &self.class)?;
            map.serialize_entry(OPTIONS, &Pairs(&self.options))?;
            map.end()
        }
    }

    /// Options, in order.
    struct Pairs<'p>(&'p [(String, Value)]);

    impl Serialize for Pairs<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
        }
    }

    impl Serialize for Value {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Value::Null => serializer.serialize_unit(),
                Value::Flag(flag) => serializer.serialize_bool(*flag),
                Value::Integer(number) => serializer.serialize_i64(*number),
                Value::Float(number) if number.is_nan() => serializer.serialize_str("nan"),
                Value::Float(number) if number.is_infinite() => serializer.serialize_str(&number.to_string()),
                Value::Float(number) => serializer.serialize_f64(*number),
                Value::Text(text) => serializer.serialize_str(text),
                Value::List(list) => list.serialize(serializer),
                Value::Config(config) => config.serialize(serializer),
                Value::Entry(_) => Err(serde_core::ser::Error::custom("a layer of the program's own can't be written")),
            }
        }
    }
}

/// A type that is written as its description and read from it.
#[cfg(feature = "serde")]
macro_rules! by_description {
    ($type:ty, $describe:expr, $read:expr) => {
        impl serde_core::Serialize for $type {
            fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let describe: fn(&$type) -> Result<$crate::config::Value, $crate::config::ConfigError> = $describe;
                describe(self).map_err(serde_core::ser::Error::custom)?.serialize(serializer)
            }
        }

        impl<'de> serde_core::Deserialize<'de> for $type {
            fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let read: fn(&$crate::config::Item<'_>) -> Result<$type, $crate::config::ConfigError> = $read;
                let value = <$crate::config::Value as serde_core::Deserialize>::deserialize(deserializer)?;
                read(&$crate::config::Item::alone(&value)).map_err(serde_core::de::Error::custom)
            }
        }
    };
}
#[cfg(feature = "serde")]
pub(crate) use by_description;
