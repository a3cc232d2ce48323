//! What all operations are written with: nodes that read and give values, constants, and errors that name the layer.

use std::marker::PhantomData;

use ndarray::ArrayD;

use super::graph::{Attribute, Constant, Graph, Held, Kind, types};
use super::words::Words;
use crate::activation::Activation;
use crate::float::Float;
use crate::formats::save_error::SaveError;
use crate::graph::shape::{Shape, known};

/// The graph, and which part of the model is being written.
#[derive(Debug)]
pub(super) struct Writer<T> {
    pub(super) graph: Graph,
    /// The part's path, and its class, for names and messages.
    pub(super) path: String,
    pub(super) class: String,
    elements: PhantomData<T>,
}

/// What to do about what ONNX hasn't got.
pub(super) const HINT: &str = "ONNX can't say it; recurrent::file::save writes it";

impl<T: Float> Writer<T> {
    pub(super) fn new() -> Self {
        Writer { graph: Graph::default(), path: String::new(), class: String::new(), elements: PhantomData }
    }

    /// Whether the model computes in f64.
    pub(super) fn is_double(&self) -> bool {
        size_of::<T>() == 8
    }

    pub(super) fn element(&self, kind: Kind) -> i64 {
        match kind {
            Kind::Float if self.is_double() => types::DOUBLE,
            Kind::Float => types::FLOAT,
            Kind::Int => types::INT64,
            Kind::Bool => types::BOOL,
        }
    }

    /// The error that this layer can't be written.
    pub(super) fn refuse(&self, hint: &'static str) -> SaveError {
        SaveError::Class { prefix: self.path.clone(), class: self.class.clone(), hint }
    }

    /// The error that an option of it can't.
    pub(super) fn refuse_option(&self, option: &str, value: impl ToString, hint: &'static str) -> SaveError {
        let (prefix, class) = (self.path.clone(), self.class.clone());
        SaveError::Option { prefix, class, option: option.into(), value: value.to_string(), hint }
    }

    /// The activation of an option.
    pub(super) fn activation_of(&self, words: Words<'_>, name: &str) -> Result<Activation, SaveError> {
        let hint = "it isn't written as ONNX";
        words.activation(name).ok_or_else(|| self.refuse_option(name, "another one", hint))
    }

    /// A name below the part's.
    pub(super) fn named(&mut self, what: &str) -> String {
        let wanted = if self.path.is_empty() { what.to_string() } else { format!("{}/{what}", self.path) };
        self.graph.name(&wanted)
    }

    /// A node of so many outputs; those that aren't wanted have no name.
    pub(super) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        wanted: &[bool],
        attributes: &[(&str, Attribute)],
    ) -> Vec<String> {
        let outputs: Vec<String> =
            wanted.iter().map(|&wanted| if wanted { self.named(operator) } else { String::new() }).collect();
        let last = outputs.iter().rposition(|name| !name.is_empty()).map_or(0, |at| at + 1);
        let names: Vec<&str> = outputs[..last].iter().map(String::as_str).collect();
        let name = if self.path.is_empty() { operator.to_string() } else { format!("{}/{operator}", self.path) };
        self.graph.node(&name, operator, inputs, &names, attributes);
        outputs
    }

    /// A node of one output.
    pub(super) fn one(&mut self, operator: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> String {
        self.node(operator, inputs, &[true], attributes).pop().unwrap_or_default()
    }

    /// A node on a value that keeps its kind and its shape.
    pub(super) fn same(&mut self, operator: &str, x: &Held, attributes: &[(&str, Attribute)]) -> Held {
        Held::new(self.one(operator, &[&x.name], attributes), x.kind, x.shape.clone())
    }

    /// Numbers of the model's own type.
    pub(super) fn floats(&mut self, wanted: &str, shape: &[usize], values: impl IntoIterator<Item = T>) -> Held {
        let double = self.is_double();
        let bytes = values.into_iter().flat_map(|value| {
            let (value, narrow) = (value.into_f64(), value.into_f64() as f32);
            if double { value.to_le_bytes().to_vec() } else { narrow.to_le_bytes().to_vec() }
        });
        let constant = Constant { element: self.element(Kind::Float), shape: shape.to_vec(), bytes: bytes.collect() };
        Held::new(self.constant(wanted, constant), Kind::Float, known(shape))
    }

    pub(super) fn array(&mut self, wanted: &str, array: &ArrayD<T>) -> Held {
        self.floats(wanted, array.shape(), array.iter().copied())
    }

    /// One number.
    pub(super) fn number(&mut self, number: f64) -> Held {
        self.floats("number", &[], [T::from_f64(number)])
    }

    pub(super) fn integers(&mut self, shape: &[usize], values: &[i64]) -> Held {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let constant = Constant { element: types::INT64, shape: shape.to_vec(), bytes };
        Held::new(self.constant("integers", constant), Kind::Int, known(shape))
    }

    /// A list of whole numbers.
    pub(super) fn list(&mut self, values: &[i64]) -> String {
        self.integers(&[values.len()], values).name
    }

    /// One whole number.
    pub(super) fn integer(&mut self, value: i64) -> Held {
        self.integers(&[], &[value])
    }

    pub(super) fn flags(&mut self, shape: &[usize], values: &[bool]) -> Held {
        let bytes = values.iter().map(|&value| value.into()).collect();
        let constant = Constant { element: types::BOOL, shape: shape.to_vec(), bytes };
        Held::new(self.constant("flags", constant), Kind::Bool, known(shape))
    }

    pub(super) fn constant(&mut self, wanted: &str, constant: Constant) -> String {
        let wanted = if self.path.is_empty() { wanted.to_string() } else { format!("{}/{wanted}", self.path) };
        self.graph.constant(&wanted, constant)
    }

    /// As another kind of numbers.
    pub(super) fn cast(&mut self, x: &Held, kind: Kind) -> Held {
        if x.kind == kind {
            return Held { mask: None, ..x.clone() };
        }
        let to = self.element(kind);
        Held::new(self.one("Cast", &[&x.name], &[("to", Attribute::Int(to))]), kind, x.shape.clone())
    }

    pub(super) fn as_floats(&mut self, x: &Held) -> Held {
        self.cast(x, Kind::Float)
    }

    /// An operator on two values, which spread over each other.
    pub(super) fn two(&mut self, operator: &str, a: &Held, b: &Held) -> Held {
        let kind = match operator {
            "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Xor" => Kind::Bool,
            _ => a.kind,
        };
        let shape = spread(&a.shape, &b.shape);
        Held::new(self.one(operator, &[&a.name, &b.name], &[]), kind, shape)
    }

    /// The same with one number.
    pub(super) fn with_number(&mut self, operator: &str, a: &Held, number: f64) -> Held {
        let number = self.number(number);
        self.two(operator, a, &number)
    }

    /// One value where a condition holds, another one elsewhere.
    pub(super) fn choose(&mut self, condition: &Held, then: &Held, otherwise: &Held) -> Held {
        let shape = spread(&spread(&condition.shape, &then.shape), &otherwise.shape);
        let name = self.one("Where", &[&condition.name, &then.name, &otherwise.name], &[]);
        Held::new(name, then.kind, shape)
    }

    /// Between two numbers.
    pub(super) fn clip(&mut self, x: &Held, min: f64, max: f64) -> Held {
        let bound = |writer: &mut Self, bound: f64| match (bound.is_finite(), x.kind) {
            (false, _) => String::new(),
            (_, Kind::Int) => writer.integer(bound as i64).name,
            _ => writer.number(bound).name,
        };
        let (min, max) = (bound(self, min), bound(self, max));
        Held::new(self.one("Clip", &[&x.name, &min, &max], &[]), x.kind, x.shape.clone())
    }
}

/// What numpy's broadcasting makes of two shapes.
pub(super) fn spread(a: &[Option<usize>], b: &[Option<usize>]) -> Shape {
    let rank = a.len().max(b.len());
    let at = |shape: &[Option<usize>], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or(Some(1), |axis| shape[axis])
    };
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (Some(1), other) => other,
            (own, Some(1)) => own,
            (a, b) => a.or(b),
        })
        .collect()
}
