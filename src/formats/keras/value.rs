//! JSON text as it was read.
//!
//! Names and texts that stand in the text as they are aren't copied, and an object takes no more room than its entries:
//! what a file of many layers costs is what its text does.

use std::borrow::Cow;
use std::fmt;

use serde_core::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::bare_words::{Places, Word, quoted};

/// A value, and what is within it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Box<[Value<'a>]>),
    Object(Object<'a>),
    /// A number without digits: no JSON, but Python's.
    Word(Word),
    /// The name of a class whose place the program's own code takes. No text makes one: it is put there.
    Marked(Box<Marked<'a>>),
}

/// See [`Value::Marked`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Marked<'a> {
    pub(super) class: Cow<'a, str>,
    /// Which code.
    pub(super) code: usize,
}

/// The values of an object by their names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object<'a>(Box<[(Cow<'a, str>, Value<'a>)]>);

impl<'a> Value<'a> {
    /// Reads a text.
    pub(super) fn read(text: &'a [u8]) -> serde_json::Result<Self> {
        let plain = Value::read_with(text, &Places::default());
        match plain.is_err().then(|| quoted(text)).flatten() {
            Some((copy, places)) => Value::read_with(&copy, &places).map(Value::into_owned),
            None => plain,
        }
    }

    fn read_with(text: &'a [u8], places: &Places) -> serde_json::Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let value = Any(places).deserialize(&mut deserializer)?;
        deserializer.end().map(|()| value)
    }

    /// The same with all texts copied.
    pub(super) fn into_owned(self) -> Value<'static> {
        let text = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        match self {
            Value::Null => Value::Null,
            Value::Bool(flag) => Value::Bool(flag),
            Value::Number(number) => Value::Number(number),
            Value::Word(word) => Value::Word(word),
            Value::Text(own) => Value::Text(text(own)),
            Value::List(list) => Value::List(list.into_iter().map(Value::into_owned).collect()),
            Value::Object(Object(entries)) => Value::Object(Object(
                entries.into_iter().map(|(name, value)| (text(name), value.into_owned())).collect(),
            )),
            Value::Marked(marked) => Value::Marked(Box::new(Marked { class: text(marked.class), code: marked.code })),
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Marked(marked) => Some(&marked.class),
            _ => None,
        }
    }

    pub(super) fn as_number(&self) -> Option<&Number> {
        if let Value::Number(number) = self { Some(number) } else { None }
    }

    /// A number, one without digits among them.
    pub(super) fn as_any_number(&self) -> Option<f64> {
        if let Value::Word(word) = self { Some(word.number()) } else { self.as_number().and_then(Number::as_f64) }
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
        let text = file_text(&self.to_json());
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
            Value::Word(word) => word.marked().into(),
            Value::Text(text) => text.as_ref().into(),
            Value::Marked(marked) => marked.class.as_ref().into(),
            Value::List(list) => list.iter().map(Value::to_json).collect(),
            Value::Object(object) => object.iter().map(|(name, value)| (name, value.to_json())).collect(),
        }
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Value::Number(number.into())
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
        self.entry(name).map(|(_, value)| value)
    }

    /// A value with its name as it stands there.
    pub(super) fn entry(&self, name: &str) -> Option<(&str, &Value<'a>)> {
        self.0.get(self.place(name)?).map(|(own, value)| (own.as_ref(), value))
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Value<'a>> {
        let at = self.place(name)?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    fn place(&self, name: &str) -> Option<usize> {
        match self.0.len() {
            // Names of other lengths are told apart at a glance.
            ..=16 => self.0.iter().position(|(own, _)| own == name),
            _ => self.0.binary_search_by(|(own, _)| own.as_ref().cmp(name)).ok(),
        }
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

/// The name of the one entry that serde_json gives of a number where another crate has it keep all digits
/// (`arbitrary_precision`).
const DIGITS: &str = "$serde_json::private::Number";

/// Takes whatever comes. Words stand in these places.
#[derive(Clone, Copy)]
struct Any<'p>(&'p Places);

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
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
        Ok(self.0.word(text).map_or(Value::Text(Cow::Borrowed(text)), Value::Word))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::List(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some((name, value)) = items.next_entry_seed(Name(self.0), self)? {
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

/// The name of an entry, which no word is.
struct Name<'p>(&'p Places);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        match self.0.word(name) {
            None => Ok(Cow::Borrowed(name)),
            Some(word) => Err(E::custom(format!("key must be a string, not {}", word.text()))),
        }
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.into()))
    }
}

/// JSON as text, as Python writes it: words without quotes. The names are in their order, whatever serde_json's other
/// users have it do.
pub(super) fn file_text(json: &serde_json::Value) -> String {
    text_with(json, &|text| Word::of_marked(text).map(|word| word.text().into()))
}

/// The same as JSON, which other programs read; what stands for words are texts.
pub(super) fn text(json: &serde_json::Value) -> String {
    text_with(json, &|_| None)
}

fn text_with(json: &serde_json::Value, word: &dyn Fn(&str) -> Option<String>) -> String {
    use serde_json::Value;
    match json {
        Value::Object(object) => {
            let mut members: Vec<(&String, &Value)> = object.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members: Vec<String> = members
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), text_with(value, word)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(list) => {
            format!("[{}]", list.iter().map(|item| text_with(item, word)).collect::<Vec<_>>().join(","))
        }
        Value::String(text) => word(text).unwrap_or_else(|| json.to_string()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Value, file_text};

    /// Words are read where numbers stand, and nowhere else; whatever else is wrong is where it was.
    #[test]
    fn reads_words_without_quotes() {
        let text =
            br#"{"a": -Infinity, "b": [NaN,Infinity], "NaN": "Infinity", "c": "N", "d": "\"NaN", "e": "Infini"}"#;
        let value = Value::read(text).unwrap();
        let number = |name: &str| value.get(name).and_then(Value::as_any_number);
        assert_eq!(number("a"), Some(f64::NEG_INFINITY));
        assert_eq!(value.get("NaN").and_then(Value::as_text), Some("Infinity"));
        assert_eq!(value.get("c").and_then(Value::as_text), Some("N"));
        assert_eq!(value.get("d").and_then(Value::as_text), Some("\"NaN"));
        assert_eq!(value.get("e").and_then(Value::as_text), Some("Infini"));
        assert!(
            matches!(value.get("b").and_then(Value::as_list), Some([nan, _]) if nan.as_any_number().is_some_and(f64::is_nan))
        );
        let again = file_text(&value.to_json());
        assert_eq!(file_text(&Value::read(again.as_bytes()).unwrap().to_json()), again);
        assert!(again.contains(r#""a":-Infinity"#) && again.contains("[NaN,Infinity]"), "{again}");
        let deep = "[".repeat(200) + "NaN" + &"]".repeat(200);
        for wrong in
            ["{NaN: 1}", "[NaN,]", "[-NaN]", "[NaNs]", "[Infinity", "--Infinity", "NaN NaN", "[NaN\"\"]", &deep]
        {
            let error = Value::read(wrong.as_bytes()).expect_err(wrong).to_string();
            let column: usize = error.rsplit(' ').next().and_then(|last| last.parse().ok()).unwrap_or(0);
            assert!(column <= wrong.len(), "{wrong}: {error}");
        }
        let error = Value::read(b"[NaN, 1, }").expect_err("no value").to_string();
        assert!(error.ends_with("column 10"), "{error}");
    }

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
