//! What a description says, read by name.

use std::rc::Rc;

use ndarray::{ArrayD, ArrayViewD, IxDyn};

use crate::activation::Activation;
use crate::config::{Config, Value};
use crate::float::Float;
use crate::weights::{Kept, Packed};

/// The options of something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'c>(pub(super) &'c Config);

impl<'c> Words<'c> {
    pub(super) fn class(self) -> &'c str {
        &self.0.class
    }

    pub(super) fn get(self, name: &str) -> &'c Value {
        self.0.options.iter().find(|(own, _)| own == name).map_or(&Value::Null, |(_, value)| value)
    }

    pub(super) fn flag(self, name: &str) -> bool {
        *self.get(name) == Value::Flag(true)
    }

    pub(super) fn text(self, name: &str) -> &'c str {
        if let Value::Text(text) = self.get(name) { text } else { "" }
    }

    pub(super) fn integer(self, name: &str) -> i64 {
        if let Value::Integer(number) = *self.get(name) { number } else { 0 }
    }

    pub(super) fn number(self, name: &str) -> f64 {
        number(self.get(name)).unwrap_or(0.0)
    }

    pub(super) fn size(self, name: &str) -> usize {
        usize::try_from(self.integer(name)).unwrap_or(0)
    }

    pub(super) fn is_null(self, name: &str) -> bool {
        *self.get(name) == Value::Null
    }

    pub(super) fn list(self, name: &str) -> &'c [Value] {
        if let Value::List(list) = self.get(name) { list } else { &[] }
    }

    pub(super) fn integers(self, name: &str) -> Vec<i64> {
        let integer = |value: &Value| if let Value::Integer(number) = *value { Some(number) } else { None };
        self.list(name).iter().filter_map(integer).collect()
    }

    /// Axes; none if all are meant.
    pub(super) fn axes(self, name: &str) -> Option<Vec<i64>> {
        if self.is_null(name) { None } else { Some(self.integers(name)) }
    }

    pub(super) fn numbers(self, name: &str) -> Vec<f64> {
        self.list(name).iter().filter_map(number).collect()
    }

    /// What has options of its own.
    pub(super) fn config(self, name: &str) -> Option<Words<'c>> {
        if let Value::Config(config) = self.get(name) { Some(Words(config)) } else { None }
    }

    pub(super) fn configs(self, name: &str) -> Vec<Words<'c>> {
        let config = |value: &'c Value| if let Value::Config(config) = value { Some(Words(config)) } else { None };
        self.list(name).iter().filter_map(config).collect()
    }

    /// `None`: it isn't known here.
    pub(super) fn activation(self, name: &str) -> Option<Activation> {
        if self.is_null(name) { Some(Activation::Linear) } else { activation(self.get(name)) }
    }
}

pub(super) fn number(value: &Value) -> Option<f64> {
    match *value {
        Value::Float(number) => Some(number),
        Value::Integer(number) => Some(number as f64),
        _ => None,
    }
}

/// An activation that was described.
pub(super) fn activation(value: &Value) -> Option<Activation> {
    let words = match value {
        Value::Text(name) => return name.parse().ok(),
        Value::Config(config) => Words(config),
        _ => return None,
    };
    let (alpha, threshold) = (words.number("alpha"), words.number("threshold"));
    let (slope, offset) = (words.number("slope"), words.number("offset"));
    let negative_slope = words.number("negative_slope");
    Some(match words.class() {
        "relu" => Activation::ReluWith { negative_slope, max_value: number(words.get("max_value")), threshold },
        "leaky_relu" => Activation::LeakyRelu { negative_slope },
        "elu" => Activation::Elu { alpha },
        "celu" => Activation::Celu { alpha },
        "squareplus" => Activation::Squareplus { b: words.number("b") },
        "soft_shrink" => Activation::SoftShrink { threshold },
        "hard_shrink" => Activation::HardShrink { threshold },
        "hard_sigmoid" => Activation::HardSigmoidWith { slope, offset },
        "affine" => Activation::Affine { slope, offset },
        "scaled_tanh" => Activation::ScaledTanh { scale: words.number("scale"), slope },
        "clipped" => {
            let of = Box::new(activation(words.get("of"))?);
            Activation::Clipped { bound: words.number("bound"), of }
        }
        "gelu" => Activation::Gelu { approximate: words.flag("approximate") },
        "threshold" => Activation::Threshold { threshold, default_value: words.number("default_value") },
        _ => return None,
    })
}

/// Weights by their paths.
#[derive(Debug, Clone)]
pub(super) struct Weights<'w, T> {
    all: Vec<(String, ArrayViewD<'w, T>)>,
    /// Those that are kept in fewer bits.
    kept: Rc<Vec<(String, Kept)>>,
    /// Where these are.
    prefix: String,
}

impl<'w, T: Float> Weights<'w, T> {
    pub(super) fn new(all: Vec<(String, ArrayViewD<'w, T>)>, kept: Vec<(String, Kept)>) -> Self {
        Weights { all, kept: Rc::new(kept), prefix: String::new() }
    }

    /// Bytes with their scales, of columns or of rows.
    pub(super) fn bytes(&self, path: &str) -> Option<(&[i8], &[f32])> {
        match self.kept(path)? {
            Kept::Packed(Packed::Int8 { weights, scales } | Packed::Int8Rows { weights, scales }) => {
                Some((weights, scales))
            }
            _ => None,
        }
    }

    /// The bias of a layer in fewer bits.
    pub(super) fn singles(&self, path: &str) -> Option<&[f32]> {
        if let Kept::Floats(values) = self.kept(path)? { Some(values) } else { None }
    }

    fn kept(&self, path: &str) -> Option<&Kept> {
        let path = format!("{}{path}", self.prefix);
        self.kept.iter().find(|(own, _)| *own == path).map(|(_, kept)| kept)
    }

    pub(super) fn find(&self, path: &str) -> Option<ArrayD<T>> {
        self.all.iter().find(|(own, _)| own == path).map(|(_, array)| array.to_owned())
    }

    /// One that is there.
    pub(super) fn get(&self, path: &str) -> ArrayD<T> {
        self.find(path).unwrap_or_else(|| ArrayD::zeros(IxDyn(&[0])))
    }

    /// Those of something inside.
    pub(super) fn nested(&self, prefix: &str) -> Weights<'w, T> {
        let own = |(path, array): &(String, ArrayViewD<'w, T>)| {
            let rest = path.strip_prefix(prefix)?.strip_prefix('/')?;
            Some((rest.to_string(), array.clone()))
        };
        let prefix = format!("{}{prefix}/", self.prefix);
        Weights { all: self.all.iter().filter_map(own).collect(), kept: Rc::clone(&self.kept), prefix }
    }
}
