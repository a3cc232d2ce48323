//! JSON text as it was read.
//!
//! Names and texts that stand in the text as they are aren't copied, and an object takes no more room than its entries:
//! what a file of many layers costs is what its text does.

use std::borrow::Cow;
use std::fmt;

use serde_core::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// A value, and what is within it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Box<[Value<'a>]>),
    Object(Object<'a>),
}

/// The values of an object by their names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object<'a>(Box<[(Cow<'a, str>, Value<'a>)]>);

impl<'a> Value<'a> {
    /// Reads a text.
    pub(super) fn read(text: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn as_number(&self) -> Option<&Number> {
        if let Value::Number(number) = self { Some(number) } else { None }
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(flag) = *self { Some(flag) } else { None }
    }

    pub(super) fn as_list(&self) -> Option<&[Value<'a>]> {
        if let Value::List(list) = self { Some(list) } else { None }
    }

    pub(super) fn as_object(&self) -> Option<&Object<'a>> {
        if let Value::Object(object) = self { Some(object) } else { None }
    }

    /// A value of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.as_object().and_then(|object| object.get(name))
    }

    /// As it is shown in messages: not too much of it.
    pub(super) fn show(&self) -> String {
        let text = self.to_json().to_string();
        match text.char_indices().nth(80) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    /// The same as a value of its own.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.as_ref().into(),
            Value::List(list) => list.iter().map(Value::to_json).collect(),
            Value::Object(object) => object.iter().map(|(name, value)| (name, value.to_json())).collect(),
        }
    }
}

impl<'a> Object<'a> {
    /// Sorted by name; of several values of one name the last one counts.
    fn new(mut entries: Vec<(Cow<'a, str>, Value<'a>)>) -> Self {
        entries.sort_by(|(one, _), (other, _)| one.cmp(other)); // stable
        entries.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        Object(entries.into())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        let at = match self.0.len() {
            // Names of other lengths are told apart at a glance.
            ..=16 => self.0.iter().position(|(own, _)| own == name)?,
            _ => self.0.binary_search_by(|(own, _)| own.as_ref().cmp(name)).ok()?,
        };
        self.0.get(at).map(|(_, value)| value)
    }

    /// Takes a value out.
    pub(super) fn remove(&mut self, name: &str) -> Option<Value<'a>> {
        let mut entries = std::mem::take(&mut self.0).into_vec();
        let at = entries.binary_search_by(|(own, _)| own.as_ref().cmp(name));
        let taken = at.ok().map(|at| entries.remove(at).1);
        self.0 = entries.into();
        taken
    }

    /// In the order of the names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Value<'a>> {
        self.0.iter_mut().map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

/// The name of the one entry that serde_json gives of a number where another crate has it keep all digits
/// (`arbitrary_precision`).
const DIGITS: &str = "$serde_json::private::Number";

/// Takes whatever comes.
struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some((Name(name), value)) = items.next_entry()? {
            entries.push((name, value));
        }
        if let [(name, Value::Text(digits))] = &entries[..]
            && name == DIGITS
            && let Ok(number) = digits.parse()
        {
            return Ok(Value::Number(number));
        }
        Ok(Value::Object(Object::new(entries)))
    }
}

/// The name of an entry.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AnyName)
    }
}

struct AnyName;

impl<'de> Visitor<'de> for AnyName {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(name.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn says_what_serde_json_says() {
        let texts = [
            r#"{"b": "plain", "a": [null, true, -3, 18446744073709551615, 1.5e300], "c\u00e9": "\ud83d\ude00\n"}"#,
            r#"{"twice": 1, "other": {}, "twice": [2]}"#,
            r#"{"$serde_json::private::Number": "seven"}"#,
            "1e999",
            "[1,]",
            r#"{"a": 1"#,
            r#"{1: 2}"#,
            r#""\ud800""#,
            "\"\u{1}\"",
            "[] []",
        ];
        let deep = "[".repeat(200) + &"]".repeat(200);
        for text in texts.into_iter().chain([deep.as_str()]) {
            let ours = Value::read(text.as_bytes()).map(|value| value.to_json()).map_err(|error| error.to_string());
            let theirs = serde_json::from_str::<serde_json::Value>(text).map_err(|error| error.to_string());
            assert_eq!(ours, theirs, "{text}");
        }
    }

    #[test]
    fn finds_names_in_small_and_large_objects() {
        for count in [1, 16, 17, 100] {
            let entries: Vec<String> = (0..count).map(|i| format!("\"n{i}\":{i}")).collect();
            let text = format!("{{{}}}", entries.join(","));
            let value = Value::read(text.as_bytes()).unwrap();
            let of = |name: &str| value.get(name).map(|value| value.to_json());
            assert!((0..count).all(|i| of(&format!("n{i}")) == Some(i.into())), "{count}");
            assert_eq!(of("n"), None);
        }
    }
}
