//! An object, taken apart value by value.

use std::cell::RefCell;
use std::rc::Rc;

use super::super::value::Object;
use super::{Json, Owner, Trail};
use crate::formats::error::{Found, Problem};

/// An object that is being taken apart.
pub(in super::super) struct Fields<'a> {
    pub(super) map: &'a Object<'a>,
    pub(super) owner: Rc<Owner<'a>>,
    pub(super) outer: &'a str,
    pub(super) taken: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    /// A value, which may be null; nothing if it is absent.
    pub(in super::super) fn take(&self, key: &'static str) -> Option<Json<'a>> {
        let value = self.map.get(key)?;
        self.taken.borrow_mut().push(key);
        let trail = Trail { outer: self.outer, key, index: None };
        Some(Json { value, owner: Rc::clone(&self.owner), trail })
    }

    /// A value that must be there.
    pub(in super::super) fn need(&self, key: &'static str, expected: &str) -> Found<Json<'a>> {
        self.take(key).ok_or_else(|| self.absent(key, expected))
    }

    pub(in super::super) fn has(&self, key: &'static str) -> bool {
        self.map.get(key).is_some()
    }

    /// An option that Keras's own files never leave out; nothing if it is left out in a description that was written
    /// by hand, where it means what it means in Keras's constructors. Keras says of each layer whether it is trainable.
    pub(in super::super) fn option(&self, key: &'static str, expected: &str) -> Found<Option<Json<'a>>> {
        match self.take(key) {
            None if self.has("trainable") => Err(self.absent(key, expected)),
            option => Ok(option),
        }
    }

    /// A flag with the default of Keras's constructor.
    pub(in super::super) fn default_flag(&self, key: &'static str, default: bool) -> Found<bool> {
        self.option(key, "true or false")?.map_or(Ok(default), |json| json.flag())
    }

    /// A number with the default of Keras's constructor.
    pub(in super::super) fn default_number(&self, key: &'static str, default: f64) -> Found<f64> {
        self.option(key, "a number")?.map_or(Ok(default), |json| json.number())
    }

    /// A flag, or what its absence means.
    pub(in super::super) fn flag_or(&self, key: &'static str, absent: bool) -> Found<bool> {
        self.take(key).map_or(Ok(absent), |json| json.flag())
    }

    pub(in super::super) fn number_or(&self, key: &'static str, absent: f64) -> Found<f64> {
        self.take(key).map_or(Ok(absent), |json| json.number())
    }

    /// A whole number that may be null or absent.
    pub(in super::super) fn integer_if(&self, key: &'static str) -> Found<Option<i64>> {
        self.take(key).and_then(Json::given).map(|json| json.integer()).transpose()
    }

    pub(in super::super) fn size(&self, key: &'static str, limit: usize) -> Found<usize> {
        self.need(key, "a whole number above 0")?.size(limit)
    }

    /// An option of which one value is supported, if it is there.
    pub(in super::super) fn only(
        &self,
        key: &'static str,
        supported: &serde_json::Value,
        reason: &'static str,
    ) -> Found<()> {
        self.take(key).map_or(Ok(()), |json| json.only(supported, reason))
    }

    /// Options that have no effect here, but must be what `is` says, or absent.
    pub(in super::super) fn loose(
        &self,
        keys: &[&'static str],
        expected: &str,
        is: impl Fn(&Json<'a>) -> bool,
    ) -> Found<()> {
        let wrong = |json: &Json<'a>| !is(json);
        match keys.iter().filter_map(|key| self.take(key)).find(wrong) {
            Some(json) => Err(json.wrong(expected)),
            None => Ok(()),
        }
    }

    /// Numbers that have no effect here.
    pub(in super::super) fn loose_numbers(&self, keys: &[&'static str]) -> Found<()> {
        self.loose(keys, "a number", Json::is_number)
    }

    pub(in super::super) fn owner(&self) -> &Owner<'a> {
        &self.owner
    }

    /// What is said of an option that must be there.
    pub(in super::super) fn absent(&self, key: &'static str, expected: &str) -> Problem {
        Problem::Config {
            layer: self.owner.layer.clone(),
            option: Trail { outer: self.outer, key, index: None }.to_string(),
            expected: expected.into(),
            found: "nothing".into(),
        }
    }

    /// Checks that everything has been taken.
    pub(super) fn finish(&self) -> Found<()> {
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
