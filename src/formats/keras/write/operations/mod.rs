//! Operations between layers in Keras 3's words: which of its classes an operation is, with which options, and what its
//! calls say besides tensors.
//!
//! An operation describes itself in this crate's words; where several classes of Keras's are one operation here (`Max`
//! and `Amax`), the class of the part of the model tells which it was. What Keras 3 has no operation for, but Keras 2
//! has, is several of Keras 3's, one after another.

mod elementwise;
mod moving;
mod products;
mod reductions;

use serde_json::{Value as Json, json};

use super::super::words::constants::constant;
use super::super::words::values::plain;
use super::super::words::{Around, Object, Unsaid};
use super::model::around;
use crate::config::{Config, Value};
use crate::float::Float;
use crate::graph::operation::Role;
use crate::graph::{Model, Part};

/// An operation of Keras's, and what each of its calls says.
#[derive(Debug)]
pub(super) struct KerasOperation {
    pub(super) class: &'static str,
    pub(super) options: Object,
    /// What the call takes, in order.
    pub(super) args: Vec<Argument>,
    /// What it says by name.
    pub(super) kwargs: Object,
}

/// What a call takes at a place.
#[derive(Debug, Clone)]
pub(super) enum Argument {
    /// The next of the inputs.
    Input,
    /// The input of this number.
    Numbered(usize),
    /// All inputs that are left, as a list.
    Inputs,
    /// What an operation before it gave, one of those that are written in the place of one.
    Result(usize),
    Constant(Json),
}

impl KerasOperation {
    fn new(class: &'static str, args: Vec<Argument>) -> Self {
        KerasOperation { class, options: Object::new(), args, kwargs: Object::new() }
    }

    /// Of one array.
    fn of_one(class: &'static str) -> Self {
        KerasOperation::new(class, vec![Argument::Input])
    }

    fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Where Keras has the class.
    pub(super) fn module(&self) -> &'static str {
        match self.class {
            "Cast" | "ConvertToTensor" | "Unstack" => "keras.src.ops.core",
            "Rsqrt" | "Logsumexp" => "keras.src.ops.math",
            "Norm" => "keras.src.ops.linalg",
            class if OF_NN.contains(&class) => "keras.src.ops.nn",
            _ => "keras.src.ops.numpy",
        }
    }

    /// As it stands in a file.
    pub(super) fn to_json(&self, name: &str) -> Json {
        let mut config = self.options.clone();
        config.insert("name".into(), name.into());
        json!({
            "module": self.module(), "class_name": self.class, "config": config, "registered_name": self.class,
        })
    }
}

const OF_NN: [&str; 19] = [
    "Elu",
    "Gelu",
    "HardSigmoid",
    "HardSilu",
    "HardTanh",
    "LeakyRelu",
    "LogSigmoid",
    "LogSoftmax",
    "Normalize",
    "OneHot",
    "Relu",
    "Relu6",
    "Selu",
    "Sigmoid",
    "Silu",
    "Softmax",
    "Softplus",
    "Softsign",
    "TanhShrink",
];

type Made = Result<Vec<KerasOperation>, Unsaid>;

/// Keras's operations that are this one, the last of which gives its outputs; nothing if it is a layer.
pub(super) fn of(described: &Config, around: &Around<'_>) -> Option<Made> {
    let words = Words { described, around };
    let one = |class| Some(Ok(vec![KerasOperation::of_one(class)]));
    let same = |class: &'static str, names: &[&str]| {
        let said =
            names.iter().fold(KerasOperation::of_one(class), |said, name| said.with(name, plain(words.get(name))));
        Some(Ok(vec![said]))
    };
    match &described.class[..] {
        "Elementwise" => Some(elementwise::function(words)),
        "Unmasked" => Some(elementwise::of_layer(words)),
        "OfTwo" => Some(elementwise::of_two(words)),
        "Where" => Some(elementwise::choose(words)),
        "NotEqual" => Some(elementwise::not_equal(words)),
        "Cast" => Some(words.type_of("to").map(|of| vec![KerasOperation::of_one("Cast").with("dtype", of)])),
        "FullLike" => Some(elementwise::full_like(words)),
        "OneHot" => Some(elementwise::one_hot(words)),
        "ZerosLike" => Some(Ok(vec![KerasOperation::of_one("ZerosLike").with("dtype", "bool")])),
        "OnesLike" => Some(Ok(vec![KerasOperation::of_one("OnesLike").with("dtype", "bool")])),
        "LogicalOr" => Some(Ok(vec![KerasOperation::new("LogicalOr", vec![Argument::Input, Argument::Input])])),
        "Reduce" => Some(reductions::of(words)),
        "Any" => Some(Ok(vec![reductions::along("Any", words).with("keepdims", plain(words.get("keepdims")))])),
        "Contract" if !words.is("pattern", "batch") => Some(products::of(words)),
        "GetItem" => Some(moving::get_item(words)),
        "Transpose" => same("Transpose", &["axes"]),
        "SwapAxes" => same("Swapaxes", &["axis1", "axis2"]),
        "MoveAxis" => Some(Ok(vec![
            KerasOperation::of_one("Moveaxis")
                .with("source", words.one_or_list("source"))
                .with("destination", words.one_or_list("destination")),
        ])),
        "Squeeze" => Some(Ok(vec![reductions::along("Squeeze", words)])),
        "Flip" => Some(Ok(vec![reductions::along("Flip", words)])),
        "ExpandDims" => same("ExpandDims", &["axis"]),
        "ReshapeAll" => Some(Ok(vec![KerasOperation::of_one("Reshape").with("newshape", plain(words.get("shape")))])),
        "BroadcastTo" => same("BroadcastTo", &["shape"]),
        "Stack" => {
            Some(Ok(vec![KerasOperation::new("Stack", vec![Argument::Inputs]).with("axis", plain(words.get("axis")))]))
        }
        "Concatenate" if words.is("masks", "none") => Some(Ok(vec![
            KerasOperation::new("Concatenate", vec![Argument::Inputs]).with("axis", plain(words.get("axis"))),
        ])),
        "Split" => Some(moving::split(words)),
        "Gather" => Some(moving::gather(words)),
        "Identity" => match around.class {
            // In Keras 2 masks end there.
            "TFOpLambda" | "Copy" => one("Copy"),
            "ConvertToTensor" => Some(Ok(vec![
                KerasOperation::of_one("ConvertToTensor")
                    .with("dtype", Json::Null)
                    .with("sparse", Json::Null)
                    .with("ragged", Json::Null),
            ])),
            _ => None,
        },
        _ => None,
    }
}

/// The same of a part of a model.
pub(super) fn of_part<T: Float>(part: &Part<T>) -> Option<Made> {
    let op = part.op.as_ref()?;
    // They are layers.
    if matches!(op.role(), Role::Model(_) | Role::TimeDistributed(_) | Role::ChannelsFirst(_)) {
        return None;
    }
    of(&op.describe().ok()?, &around(part, &part.name))
}

/// Whether a model is written as layers one after another: between those there are no operations.
pub(super) fn is_sequential<T: Float>(model: &Model<T>) -> bool {
    model.sequential && !model.parts.iter().any(|part| of_part(part).is_some())
}

/// What an operation says of itself.
#[derive(Clone, Copy)]
struct Words<'c> {
    described: &'c Config,
    around: &'c Around<'c>,
}

impl<'c> Words<'c> {
    fn get(self, name: &str) -> &'c Value {
        self.described.options.iter().find(|(own, _)| own == name).map_or(&Value::Null, |(_, value)| value)
    }

    fn is(self, name: &str, text: &str) -> bool {
        self.text(name) == text
    }

    fn text(self, name: &str) -> &'c str {
        if let Value::Text(text) = self.get(name) { text } else { "" }
    }

    fn number(self, name: &str) -> f64 {
        match *self.get(name) {
            Value::Float(number) => number,
            Value::Integer(number) => number as f64,
            _ => 0.0,
        }
    }

    fn integer(self, name: &str) -> i64 {
        if let Value::Integer(number) = *self.get(name) { number } else { 0 }
    }

    fn integers(self, name: &str) -> Vec<i64> {
        let Value::List(list) = self.get(name) else { return vec![] };
        list.iter().filter_map(|item| if let Value::Integer(number) = item { Some(*number) } else { None }).collect()
    }

    /// A list of one is that one, as people write it.
    fn one_or_list(self, name: &str) -> Json {
        match self.get(name) {
            Value::List(list) if list.len() == 1 => plain(&list[0]),
            value => plain(value),
        }
    }

    /// The class that the part of the model has, if it is one of these; else the first of them.
    fn class(self, classes: &[&'static str]) -> &'static str {
        let own = classes.iter().find(|class| **class == self.around.class);
        own.or(classes.first()).copied().unwrap_or("")
    }

    /// What it reads at a place.
    fn operand(self, name: &str) -> Result<Argument, Unsaid> {
        match self.get(name) {
            Value::Null => Ok(Argument::Input),
            value => constant(name, value, self.around.dtype).map(Argument::Constant),
        }
    }

    /// A type of this crate's as one of Keras's.
    fn type_of(self, name: &str) -> Result<Json, Unsaid> {
        Ok(match self.get(name) {
            Value::Null => Json::Null,
            Value::Text(text) => match &text[..] {
                "float" => self.around.dtype.into(),
                "through_f32" => "float32".into(),
                "int" => "int32".into(),
                _ => "bool".into(),
            },
            value => return Err(Unsaid::new(name, value)),
        })
    }

    fn unsaid(self, name: &str) -> Unsaid {
        Unsaid::new(name, self.get(name))
    }
}
