//! The graph that is written: nodes, constants and names.

use std::collections::{HashMap, HashSet};

use super::wire::Message;
use crate::formats::onnx::recurrent::LSTM_IN_BYTES;
use crate::graph::shape::Shape;

/// What the numbers of a value are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Float,
    Int,
    Bool,
}

/// ONNX's numbers of types.
pub(super) mod types {
    pub(crate) const FLOAT: i64 = 1;
    pub(crate) const UINT8: i64 = 2;
    pub(crate) const INT8: i64 = 3;
    pub(crate) const UINT16: i64 = 4;
    pub(crate) const INT16: i64 = 5;
    pub(crate) const INT32: i64 = 6;
    pub(crate) const INT64: i64 = 7;
    pub(crate) const BOOL: i64 = 9;
    pub(crate) const DOUBLE: i64 = 11;
    pub(crate) const UINT32: i64 = 12;
}

/// A value of the graph.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) shape: Shape,
    pub(super) mask: Option<Mask>,
    /// Of flags that are true for the first steps of each row, the value that says how many.
    pub(super) lengths: Option<String>,
}

impl Held {
    pub(super) fn new(name: String, kind: Kind, shape: Shape) -> Self {
        Held { name, kind, shape, mask: None, lengths: None }
    }

    pub(super) fn rank(&self) -> usize {
        self.shape.len()
    }

    pub(super) fn masked(self, mask: Option<Mask>) -> Self {
        Held { mask, ..self }
    }
}

/// The mask of a value.
#[derive(Debug, Clone)]
pub(super) enum Mask {
    /// Flags: a value of the graph.
    Flags(Box<Held>),
    /// One that isn't written, which matters where it is read.
    Unwritten(&'static str),
}

/// The value of an attribute.
#[derive(Debug, Clone)]
pub(super) enum Attribute {
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<String>),
}

/// A constant: its type, its sizes and its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Constant {
    pub(super) element: i64,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Vec<u8>,
}

/// What there is so far.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Message>,
    initializers: Vec<Message>,
    names: HashSet<String>,
    nodes_named: HashSet<String>,
    /// Small constants, which are written once.
    shared: HashMap<Constant, String>,
    /// Whether a node is of ONNX Runtime's own operators.
    has_microsoft: bool,
}

/// Constants of no more bytes are shared.
const SMALL: usize = 64;

impl Graph {
    /// A name that nothing has: this one, or with a number behind it.
    pub(super) fn name(&mut self, wanted: &str) -> String {
        free(&mut self.names, wanted)
    }

    /// Adds a node; an output without a name isn't needed.
    pub(super) fn node(
        &mut self,
        name: &str,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) {
        let name = free(&mut self.nodes_named, name);
        let node = Message::new()
            .all(inputs, |node, input| node.text(1, input))
            .all(outputs, |node, output| node.text(2, output))
            .text(3, &name)
            .text(4, operator)
            .all(attributes, |node, (name, value)| node.message(5, &attribute(name, value)));
        let is_microsoft = operator == LSTM_IN_BYTES;
        self.has_microsoft |= is_microsoft;
        self.nodes.push(if is_microsoft { node.text(7, MICROSOFT) } else { node });
    }

    /// Adds a constant, if it isn't there.
    pub(super) fn constant(&mut self, wanted: &str, constant: Constant) -> String {
        if let Some(name) = self.shared.get(&constant) {
            return name.clone();
        }
        let name = self.name(wanted);
        let tensor = Message::new()
            .all(&constant.shape, |tensor, &size| tensor.whole(1, size as i64))
            .whole(2, constant.element)
            .text(8, &name)
            .bytes(9, &constant.bytes);
        self.initializers.push(tensor);
        if constant.bytes.len() <= SMALL {
            self.shared.insert(constant, name.clone());
        }
        name
    }

    /// The whole file.
    pub(super) fn into_bytes(self, name: &str, inputs: &[Message], outputs: &[Message]) -> Vec<u8> {
        let graph = Message::new()
            .all(&self.nodes, |graph, node| graph.message(1, node))
            .text(2, name)
            .all(&self.initializers, |graph, tensor| graph.message(5, tensor))
            .all(inputs, |graph, input| graph.message(11, input))
            .all(outputs, |graph, output| graph.message(12, output));
        let microsoft = self.has_microsoft.then_some(1);
        Message::new()
            .whole(1, IR_VERSION)
            .text(2, "recurrent")
            .message(7, &graph)
            .message(8, &Message::new().text(1, "").whole(2, OPSET))
            .all(microsoft, |model, version| model.message(8, &Message::new().text(1, MICROSOFT).whole(2, version)))
            .into_bytes()
    }
}

/// The domain of ONNX Runtime's own operators.
const MICROSOFT: &str = "com.microsoft";

/// That of the operators that are written.
const OPSET: i64 = 17;
/// That of the messages, as old as the operators.
const IR_VERSION: i64 = 8;

fn free(taken: &mut HashSet<String>, wanted: &str) -> String {
    let mut name = wanted.to_string();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        name = format!("{wanted}_{number}");
        number += 1;
    }
    name
}

fn attribute(name: &str, value: &Attribute) -> Message {
    let named = Message::new().text(1, name);
    match value {
        Attribute::Float(value) => named.float(2, *value).whole(20, 1),
        Attribute::Int(value) => named.whole(3, *value).whole(20, 2),
        Attribute::Text(value) => named.text(4, value).whole(20, 3),
        Attribute::Floats(values) => named.all(values, |all, value| all.float(7, *value)).whole(20, 6),
        Attribute::Ints(values) => named.all(values, |all, value| all.whole(8, *value)).whole(20, 7),
        Attribute::Texts(values) => named.all(values, |all, value| all.text(9, value)).whole(20, 8),
    }
}

/// What is told of an input or an output: sizes that aren't known have names, or none.
pub(super) fn value_info(name: &str, element: i64, shape: &[Result<usize, Option<String>>]) -> Message {
    let sizes = shape.iter().fold(Message::new(), |sizes, size| {
        let size = match size {
            Ok(size) => Message::new().whole(1, *size as i64),
            Err(Some(name)) => Message::new().text(2, name),
            Err(None) => Message::new(),
        };
        sizes.message(1, &size)
    });
    let tensor = Message::new().whole(1, element).message(2, &sizes);
    Message::new().text(1, name).message(2, &Message::new().message(1, &tensor))
}
