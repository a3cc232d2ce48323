//! What a layer is made of, in neutral words: a class and its options, which any format can write and any reader can
//! hand back.
//!
//! A layer [describes](crate::Parameters) itself as a [`Config`], in the words of Keras's `get_config` where Keras has
//! them. Read back, options are taken by name ([`Options`]): one that isn't there, one of another kind and one that isn't
//! known are errors that name them. Weights come from wherever [`Tensors`] finds them, their shapes compared before
//! memory is taken.

pub(crate) mod activations;
mod entry;
mod error;
mod options;
#[cfg(any(feature = "file", feature = "serde"))]
pub(crate) mod serialized;
mod tensors;

pub use self::entry::Entry;
pub use self::error::ConfigError;
pub(crate) use self::error::join;
#[cfg(feature = "file")]
pub(crate) use self::options::Bounds;
#[cfg(feature = "file")]
pub use self::options::Described;
pub(crate) use self::options::Item;
pub use self::options::Options;
pub use self::tensors::Tensors;
#[cfg(feature = "file")]
pub(crate) use self::tensors::{SCALE, TensorSource};

/// A class and its options, in order.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq)]
#[must_use = "setters return the description"]
pub struct Config {
    pub(crate) class: String,
    pub(crate) options: Vec<(String, Value)>,
}

/// The classes whose weights are kept in fewer bits.
#[cfg(any(feature = "keras", feature = "onnx"))]
const IN_FEWER_BITS: [&str; 7] = [
    "QuantizedSimpleRNN",
    "QuantizedLSTM",
    "QuantizedGRU",
    "QuantizedDense",
    "QuantizedEmbedding",
    "QuantizedConv1D",
    "QuantizedEinsumDense",
];

/// The value of an option.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing is set.
    Null,
    /// True or false.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Any number.
    Float(f64),
    /// A name.
    Text(String),
    /// Several values.
    List(Vec<Value>),
    /// Something with options of its own.
    Config(Config),
    /// What stands for something of the program's own in the file that it came by.
    Entry(std::sync::Arc<Entry>),
}

impl Config {
    pub(crate) fn new(class: &str) -> Self {
        Config { class: class.into(), options: Vec::new() }
    }

    /// One more option.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.options.push((name.into(), value.into()));
        self
    }

    /// One more option, if there is a value.
    pub(crate) fn with_if(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The options of another one behind these.
    pub(crate) fn and(mut self, other: Config) -> Self {
        self.options.extend(other.options);
        self
    }

    /// The first class of a quantized layer here or inside: most formats have none.
    #[cfg(feature = "keras")]
    pub(crate) fn in_fewer_bits(&self) -> Option<&'static str> {
        self.in_fewer_bits_but(&|_| false)
    }

    /// The same of those that a format hasn't got.
    #[cfg(any(feature = "keras", feature = "onnx"))]
    pub(crate) fn in_fewer_bits_but(&self, has: &dyn Fn(&Config) -> bool) -> Option<&'static str> {
        fn within(value: &Value, has: &dyn Fn(&Config) -> bool) -> Option<&'static str> {
            match value {
                Value::Config(config) => config.in_fewer_bits_but(has),
                Value::List(list) => list.iter().find_map(|value| within(value, has)),
                _ => None,
            }
        }
        let own = IN_FEWER_BITS.iter().find(|class| self.class.strip_suffix("Cell").unwrap_or(&self.class) == **class);
        let own = own.filter(|_| !has(self)).copied();
        own.or_else(|| self.options.iter().find_map(|(_, value)| within(value, has)))
    }

    /// How many stand within each other, this one included.
    #[cfg(feature = "file")]
    pub(crate) fn depth(&self) -> usize {
        fn deepest(value: &Value) -> usize {
            match value {
                Value::Config(config) => config.depth(),
                Value::List(list) => list.iter().map(deepest).max().unwrap_or(0),
                _ => 0,
            }
        }
        let within = self.options.iter().map(|(_, value)| deepest(value)).max().unwrap_or(0);
        within.saturating_add(1)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Flag(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Integer(number)
    }
}

impl From<usize> for Value {
    /// No size that memory can hold is beyond an i64.
    fn from(size: usize) -> Self {
        Value::Integer(i64::try_from(size).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Float(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<Config> for Value {
    fn from(config: Config) -> Self {
        Value::Config(config)
    }
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl<V: Into<Value>> From<Vec<V>> for Value {
    fn from(list: Vec<V>) -> Self {
        Value::List(list.into_iter().map(Into::into).collect())
    }
}
