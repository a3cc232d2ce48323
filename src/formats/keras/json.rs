//! The description of a model, taken apart value by value: the only place that looks into JSON.
//!
//! A [`Json`] is a value and where it stands. It is read as what it must be, or refused by name; nothing else can be
//! done with it. An object is opened with [`Json::fields`], which hands out its values by name, tells absent from null,
//! and refuses in the end whatever wasn't taken. So no part of a file counts as absent but what is.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Number;

use super::value::{Object, Value};
use crate::formats::error::{Found, Problem};

/// Whose value it is, for messages.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Owner<'a> {
    /// The layer's path in the model.
    pub(super) layer: String,
    pub(super) class: &'a str,
}

/// A value of the description, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Json<'a> {
    value: &'a Value<'a>,
    owner: Rc<Owner<'a>>,
    trail: Trail<'a>,
}

/// Which types of numbers a model computes in.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct DTypes {
    pub(super) float32: bool,
    pub(super) float64: bool,
}

/// Where a value stands within its layer: `config.units`, `cells[1]`.
#[derive(Debug, Clone, Copy)]
struct Trail<'a> {
    outer: &'a str,
    key: &'a str,
    index: Option<usize>,
}

impl std::fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.outer.is_empty() {
            write!(f, "{}.", self.outer)?;
        }
        f.write_str(self.key)?;
        self.index.map_or(Ok(()), |index| write!(f, "[{index}]"))
    }
}

const SHAPE: &str = "a list of at most 16 sizes and nulls";

/// Values that are read as they are, whatever the option.
impl<'a> Json<'a> {
    /// A whole description.
    pub(super) fn root(value: &'a Value<'a>) -> Self {
        let owner = Rc::new(Owner { layer: String::new(), class: "" });
        Json { value, owner, trail: Trail { outer: "", key: "the model", index: None } }
    }

    /// The same value as one of the layer `layer` of the class `class`.
    pub(super) fn of(&self, layer: String, class: &'a str) -> Self {
        Json { owner: Rc::new(Owner { layer, class }), ..*self }
    }

    /// The same value as one of the layer that `other` belongs to.
    pub(super) fn beside(&self, other: &Self) -> Self {
        Json { owner: Rc::clone(&other.owner), ..*self }
    }

    /// The path of the layer that it belongs to.
    pub(super) fn layer(&self) -> &str {
        &self.owner.layer
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub(super) fn is_text(&self) -> bool {
        self.value.as_text().is_some()
    }

    pub(super) fn is_number(&self) -> bool {
        self.value.as_number().is_some()
    }

    pub(super) fn is_list(&self) -> bool {
        self.value.as_list().is_some()
    }

    pub(super) fn is_object(&self) -> bool {
        self.value.as_object().is_some()
    }

    /// Whether both say the same.
    pub(super) fn says(&self, other: &Self) -> bool {
        self.value == other.value
    }

    /// Nothing if it is null.
    pub(super) fn given(self) -> Option<Self> {
        Some(self).filter(|json| !json.is_null())
    }

    pub(super) fn text(&self, expected: &str) -> Found<&'a str> {
        self.value.as_text().ok_or_else(|| self.wrong(expected))
    }

    pub(super) fn flag(&self) -> Found<bool> {
        self.value.as_bool().ok_or_else(|| self.wrong("true or false"))
    }

    pub(super) fn number(&self) -> Found<f64> {
        self.value.as_number().and_then(Number::as_f64).ok_or_else(|| self.wrong("a number"))
    }

    pub(super) fn integer(&self) -> Found<i64> {
        self.value.as_number().and_then(Number::as_i64).ok_or_else(|| self.wrong("a whole number"))
    }

    /// A place in a list.
    pub(super) fn index(&self, expected: &str) -> Found<usize> {
        self.value
            .as_number()
            .and_then(Number::as_u64)
            .and_then(|at| at.try_into().ok())
            .ok_or_else(|| self.wrong(expected))
    }

    /// A size of at least one, within the limit.
    pub(super) fn size(&self, limit: usize) -> Found<usize> {
        let size = self
            .value
            .as_number()
            .and_then(Number::as_u64)
            .filter(|&size| size > 0)
            .ok_or_else(|| self.wrong("a whole number above 0"))?;
        match usize::try_from(size) {
            Ok(size) if size <= limit => Ok(size),
            _ => Err(Problem::Limit { what: "units", limit: limit as u64, given: size }),
        }
    }

    /// A whole number, or a list of them.
    pub(super) fn integers(&self) -> Found<Vec<i64>> {
        if !self.is_list() {
            return Ok(vec![
                self.value.as_number().and_then(Number::as_i64).ok_or_else(|| self.wrong("whole numbers"))?,
            ]);
        }
        self.list("whole numbers")?.iter().map(Json::integer).collect()
    }

    /// A list of sizes, null for any: a shape.
    pub(super) fn shape(&self) -> Found<Vec<Option<usize>>> {
        let wrong = || self.wrong(SHAPE);
        let list = self.list(SHAPE)?;
        if list.len() > 16 {
            return Err(wrong());
        }
        let size = |size: Json<'_>| match size.given() {
            None => Ok(None),
            Some(size) => size.index(SHAPE).map(Some).map_err(|_| wrong()),
        };
        list.into_iter().map(size).collect()
    }

    /// Checks that it says nothing but `supported`.
    pub(super) fn only(&self, supported: &serde_json::Value, reason: &'static str) -> Found<()> {
        if self.value.to_json() == *supported { Ok(()) } else { Err(self.unsupported(reason)) }
    }

    pub(super) fn list(&self, expected: &str) -> Found<Vec<Json<'a>>> {
        let list = self.value.as_list().ok_or_else(|| self.wrong(expected))?;
        let item = |(index, value)| {
            let trail = match self.trail.index {
                None => Trail { index: Some(index), ..self.trail },
                Some(_) => self.trail,
            };
            Json { value, owner: Rc::clone(&self.owner), trail }
        };
        Ok(list.iter().enumerate().map(item).collect())
    }

    /// A dictionary whose keys are the user's, sorted by them, as Keras flattens it.
    pub(super) fn dictionary(&self, expected: &str) -> Found<Vec<(&'a str, Json<'a>)>> {
        let map = self.value.as_object().ok_or_else(|| self.wrong(expected))?;
        let entry = |(key, value)| {
            let trail = Trail { outer: self.trail.key, key, index: None };
            (key, Json { value, owner: Rc::clone(&self.owner), trail })
        };
        Ok(map.iter().map(entry).collect())
    }

    /// Takes an object apart; what `read` hasn't taken of it is refused.
    pub(super) fn fields<V>(&self, expected: &str, read: impl FnOnce(&Fields<'a>) -> Found<V>) -> Found<V> {
        let fields = self.open(expected)?;
        let value = read(&fields)?;
        fields.finish()?;
        Ok(value)
    }

    /// Looks at some values of an object that is taken apart elsewhere.
    pub(super) fn glance<V>(&self, expected: &str, read: impl FnOnce(&Fields<'a>) -> Found<V>) -> Found<V> {
        read(&self.open(expected)?)
    }

    fn open(&self, expected: &str) -> Found<Fields<'a>> {
        let map = self.value.as_object().ok_or_else(|| self.wrong(expected))?;
        // The options of a layer are known by their names alone.
        let outer = if self.trail.key == "config" { "" } else { self.trail.key };
        Ok(Fields { map, owner: Rc::clone(&self.owner), outer, taken: RefCell::default() })
    }

    /// Which types layers within are of, by their names or policies: a look around, which takes nothing. An input of
    /// float32 doesn't count: it gives any model its numbers.
    pub(super) fn dtypes(&self) -> DTypes {
        fn look(value: &Value<'_>, found: &mut DTypes) {
            match value {
                Value::Object(map) => {
                    let own = map.get("config").and_then(|config| config.get("dtype"));
                    let own = own.map(|own| own.get("config").and_then(|policy| policy.get("name")).unwrap_or(own));
                    match own.and_then(Value::as_text) {
                        Some("float64") => found.float64 = true,
                        Some("float32") if !found.float32 => {
                            let class = map.get("class_name").and_then(Value::as_text);
                            found.float32 = !matches!(class, Some("InputLayer" | "__keras_tensor__"));
                        }
                        _ => {}
                    }
                    map.iter().for_each(|(_, value)| look(value, found));
                }
                Value::List(list) => list.iter().for_each(|value| look(value, found)),
                _ => {}
            }
        }
        let mut found = DTypes::default();
        look(self.value, &mut found);
        found
    }

    /// The same as a value of its own.
    pub(super) fn to_json(&self) -> serde_json::Value {
        self.value.to_json()
    }

    pub(super) fn show(&self) -> String {
        self.value.show()
    }

    pub(super) fn wrong(&self, expected: &str) -> Problem {
        Problem::Config {
            layer: self.owner.layer.clone(),
            option: self.trail.to_string(),
            expected: expected.into(),
            found: self.show(),
        }
    }

    pub(super) fn unsupported(&self, reason: &'static str) -> Problem {
        Problem::UnsupportedOption {
            layer: self.owner.layer.clone(),
            class: self.owner.class.into(),
            option: self.trail.to_string(),
            value: self.show(),
            reason,
        }
    }
}

/// An object that is being taken apart.
pub(super) struct Fields<'a> {
    map: &'a Object<'a>,
    owner: Rc<Owner<'a>>,
    outer: &'a str,
    taken: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    /// A value, which may be null; nothing if it is absent.
    pub(super) fn take(&self, key: &'static str) -> Option<Json<'a>> {
        let value = self.map.get(key)?;
        self.taken.borrow_mut().push(key);
        let trail = Trail { outer: self.outer, key, index: None };
        Some(Json { value, owner: Rc::clone(&self.owner), trail })
    }

    /// A value that must be there.
    pub(super) fn need(&self, key: &'static str, expected: &str) -> Found<Json<'a>> {
        self.take(key).ok_or_else(|| self.absent(key, expected))
    }

    pub(super) fn has(&self, key: &'static str) -> bool {
        self.map.get(key).is_some()
    }

    /// An option that Keras's own files never leave out; nothing if it is left out in a description that was written
    /// by hand, where it means what it means in Keras's constructors. Keras says of each layer whether it is trainable.
    pub(super) fn option(&self, key: &'static str, expected: &str) -> Found<Option<Json<'a>>> {
        match self.take(key) {
            None if self.has("trainable") => Err(self.absent(key, expected)),
            option => Ok(option),
        }
    }

    /// A flag with the default of Keras's constructor.
    pub(super) fn default_flag(&self, key: &'static str, default: bool) -> Found<bool> {
        self.option(key, "true or false")?.map_or(Ok(default), |json| json.flag())
    }

    /// A number with the default of Keras's constructor.
    pub(super) fn default_number(&self, key: &'static str, default: f64) -> Found<f64> {
        self.option(key, "a number")?.map_or(Ok(default), |json| json.number())
    }

    /// A flag, or what its absence means.
    pub(super) fn flag_or(&self, key: &'static str, absent: bool) -> Found<bool> {
        self.take(key).map_or(Ok(absent), |json| json.flag())
    }

    pub(super) fn number_or(&self, key: &'static str, absent: f64) -> Found<f64> {
        self.take(key).map_or(Ok(absent), |json| json.number())
    }

    /// A whole number that may be null or absent.
    pub(super) fn integer_if(&self, key: &'static str) -> Found<Option<i64>> {
        self.take(key).and_then(Json::given).map(|json| json.integer()).transpose()
    }

    pub(super) fn size(&self, key: &'static str, limit: usize) -> Found<usize> {
        self.need(key, "a whole number above 0")?.size(limit)
    }

    /// An option of which one value is supported, if it is there.
    pub(super) fn only(&self, key: &'static str, supported: &serde_json::Value, reason: &'static str) -> Found<()> {
        self.take(key).map_or(Ok(()), |json| json.only(supported, reason))
    }

    /// Options that have no effect here, but must be what `is` says, or absent.
    pub(super) fn loose(&self, keys: &[&'static str], expected: &str, is: impl Fn(&Json<'a>) -> bool) -> Found<()> {
        let wrong = |json: &Json<'a>| !is(json);
        match keys.iter().filter_map(|key| self.take(key)).find(wrong) {
            Some(json) => Err(json.wrong(expected)),
            None => Ok(()),
        }
    }

    /// Numbers that have no effect here.
    pub(super) fn loose_numbers(&self, keys: &[&'static str]) -> Found<()> {
        self.loose(keys, "a number", Json::is_number)
    }

    /// Whole numbers or null that have no effect here.
    pub(super) fn loose_integers(&self, keys: &[&'static str]) -> Found<()> {
        self.loose(keys, "a whole number or null", |json| json.is_null() || json.integer().is_ok())
    }

    pub(super) fn owner(&self) -> &Owner<'a> {
        &self.owner
    }

    /// What is said of an option that must be there.
    pub(super) fn absent(&self, key: &'static str, expected: &str) -> Problem {
        Problem::Config {
            layer: self.owner.layer.clone(),
            option: Trail { outer: self.outer, key, index: None }.to_string(),
            expected: expected.into(),
            found: "nothing".into(),
        }
    }

    /// Checks that everything has been taken.
    fn finish(&self) -> Found<()> {
        let taken = self.taken.borrow();
        match self.map.iter().find(|(key, _)| !taken.contains(key)) {
            None => Ok(()),
            Some((key, _)) => Err(Problem::UnknownOption {
                layer: self.owner.layer.clone(),
                class: self.owner.class.into(),
                option: Trail { outer: self.outer, key, index: None }.to_string(),
            }),
        }
    }
}
