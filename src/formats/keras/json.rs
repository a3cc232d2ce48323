//! The description of a model, taken apart value by value: the only place that looks into JSON.
//!
//! A [`Json`] is a value and where it stands. It is read as what it must be, or refused by name; nothing else can be
//! done with it. An object is opened with [`Json::fields`], which hands out its values by name, tells absent from null,
//! and refuses in the end whatever wasn't taken. So no part of a file counts as absent but what is.

mod fields;

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Number;

pub(super) use self::fields::Fields;
use super::value::Value;
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
        self.value.as_any_number().is_some()
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

    /// A number, or an infinity or NaN.
    pub(super) fn any_number(&self) -> Found<f64> {
        self.value.as_any_number().ok_or_else(|| self.wrong("a number"))
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

    /// A value of an object, by whatever name, that somebody else takes.
    pub(super) fn member(&self, name: &str) -> Option<Self> {
        let (key, value) = self.value.as_object()?.entry(name)?;
        let trail = Trail { outer: "", key, index: None };
        Some(Json { value, owner: Rc::clone(&self.owner), trail })
    }

    /// What is said of a value of an object that must be there.
    pub(super) fn lacks(&self, name: &str, expected: &str) -> Problem {
        let (layer, option) = (self.owner.layer.clone(), name.into());
        Problem::Config { layer, option, expected: expected.into(), found: "nothing".into() }
    }

    /// The number of the code that takes this class's place, if it is marked so.
    pub(super) fn code(&self) -> Option<usize> {
        if let Value::Marked(marked) = self.value { Some(marked.code) } else { None }
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
