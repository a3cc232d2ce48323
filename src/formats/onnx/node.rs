//! A node that is being read: its attributes, each of which must be taken, and what is refused in its name.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::messages::{Attribute, NodeProto};
use super::tensor::Stored;
use crate::error::Error;
use crate::formats::error::{Found, Problem};

/// A node, and the version of its set of operators.
#[derive(Debug)]
pub(super) struct Node<'m> {
    pub(super) proto: &'m NodeProto,
    pub(super) opset: i64,
    taken: RefCell<BTreeSet<&'m str>>,
}

impl<'m> Node<'m> {
    pub(super) fn new(proto: &'m NodeProto, opset: i64) -> Self {
        Node { proto, opset, taken: RefCell::default() }
    }

    /// Its name, or that of its first output.
    pub(super) fn name(&self) -> &'m str {
        name_of(self.proto)
    }

    pub(super) fn operator(&self) -> &'m str {
        &self.proto.operator
    }

    /// An input's name; nothing for one that is left out.
    pub(super) fn input(&self, place: usize) -> Option<&'m str> {
        self.proto.inputs.get(place).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// An output's name; nothing for one that is left out.
    pub(super) fn output(&self, place: usize) -> Option<&'m str> {
        self.proto.outputs.get(place).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Refuses an input that the operator doesn't have, which nothing would read.
    pub(super) fn most_inputs(&self, most: usize) -> Found<()> {
        match (most..self.proto.inputs.len()).find_map(|place| self.input(place)) {
            Some(name) => Err(self.refuse(format!("it has {most} inputs at most, and {name:?} behind them"))),
            None => Ok(()),
        }
    }

    /// The refusal of what isn't supported, or what is wrong.
    pub(super) fn refuse(&self, reason: impl Into<String>) -> Problem {
        Problem::OnnxNode {
            node: self.name().into(),
            operator: self.operator().into(),
            opset: self.opset,
            reason: reason.into(),
        }
    }

    /// What a builder, or an operation, refuses.
    pub(super) fn built(&self, error: &Error) -> Problem {
        self.refuse(error.to_string())
    }

    fn take(&self, name: &'static str) -> Option<&'m Attribute> {
        self.taken.borrow_mut().insert(name);
        self.proto.attributes.get(name)
    }

    fn wrong<V>(&self, name: &str, expected: &str) -> Found<V> {
        Err(self.refuse(format!("its attribute {name} must be {expected}")))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.proto.attributes.contains_key(name)
    }

    pub(super) fn int(&self, name: &'static str, otherwise: i64) -> Found<i64> {
        Ok(self.int_if(name)?.unwrap_or(otherwise))
    }

    pub(super) fn int_if(&self, name: &'static str) -> Found<Option<i64>> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Int(value)) => Ok(Some(*value)),
            Some(_) => self.wrong(name, "a whole number"),
        }
    }

    pub(super) fn flag(&self, name: &'static str, otherwise: bool) -> Found<bool> {
        match self.int(name, otherwise.into())? {
            0 => Ok(false),
            1 => Ok(true),
            _ => self.wrong(name, "0 or 1"),
        }
    }

    pub(super) fn float(&self, name: &'static str, otherwise: f64) -> Found<f64> {
        Ok(self.float_if(name)?.unwrap_or(otherwise))
    }

    pub(super) fn float_if(&self, name: &'static str) -> Found<Option<f64>> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Float(value)) => Ok(Some(f64::from(*value))),
            Some(_) => self.wrong(name, "a number"),
        }
    }

    pub(super) fn text(&self, name: &'static str) -> Found<Option<&'m str>> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Text(text)) => match std::str::from_utf8(text) {
                Ok(text) => Ok(Some(text)),
                Err(_) => self.wrong(name, "a text"),
            },
            Some(_) => self.wrong(name, "a text"),
        }
    }

    pub(super) fn ints(&self, name: &'static str) -> Found<Option<&'m [i64]>> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Ints(values)) => Ok(Some(values)),
            Some(_) => self.wrong(name, "whole numbers"),
        }
    }

    pub(super) fn floats(&self, name: &'static str) -> Found<Option<&'m [f32]>> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Floats(values)) => Ok(Some(values)),
            Some(_) => self.wrong(name, "numbers"),
        }
    }

    pub(super) fn texts(&self, name: &'static str) -> Found<Option<Vec<&'m str>>> {
        let texts = match self.take(name) {
            None => return Ok(None),
            Some(Attribute::Texts(texts)) => texts.iter().map(|text| std::str::from_utf8(text).ok()).collect(),
            Some(_) => None,
        };
        texts.map_or_else(|| self.wrong(name, "texts"), |texts: Vec<&str>| Ok(Some(texts)))
    }

    pub(super) fn tensor(&self, name: &'static str) -> Found<Option<&'m Stored>> {
        match self.take(name) {
            None => Ok(None),
            Some(Attribute::Tensor(tensor)) => Ok(Some(tensor)),
            Some(_) => self.wrong(name, "a tensor"),
        }
    }

    /// Checks that every attribute was taken: nothing is ignored.
    pub(super) fn finish(&self) -> Found<()> {
        let taken = self.taken.borrow();
        match self.proto.attributes.iter().find(|(name, _)| !taken.contains(&name[..])) {
            None => Ok(()),
            Some((name, Attribute::Other(kind))) => {
                Err(self.refuse(format!("its attribute {name} is a {kind}, which isn't supported")))
            }
            Some((name, _)) => Err(self.refuse(format!("its attribute {name:?} isn't known"))),
        }
    }

    /// An attribute that changes nothing here.
    pub(super) fn ignore(&self, name: &'static str) {
        self.take(name);
    }
}

/// A node's name, or that of its first output.
pub(super) fn name_of(node: &NodeProto) -> &str {
    if !node.name.is_empty() {
        return &node.name;
    }
    node.outputs.iter().find(|output| !output.is_empty()).map_or("", String::as_str)
}
