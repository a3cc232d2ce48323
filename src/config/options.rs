//! A description, taken apart option by option.

use std::cell::RefCell;
use std::fmt;

use super::{Config, ConfigError, Value};
use crate::error::Error;

/// How much a description may ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The largest size.
    pub(crate) units: usize,
    /// How many descriptions may stand within each other.
    pub(crate) depth: usize,
    /// Calls of a model.
    pub(crate) calls: usize,
    /// Elements of one tensor of a model.
    pub(crate) elements: usize,
}

/// Where in a description something stands.
#[derive(Debug, Clone)]
struct At {
    /// The option, from the outermost description of a layer on: `layers[3].cell`.
    trail: String,
    bounds: Bounds,
    /// How many descriptions it stands in.
    depth: usize,
}

/// A description and where it stands.
#[derive(Debug, Clone)]
#[doc(hidden)]
pub struct Described<'c> {
    config: &'c Config,
    at: At,
}

/// The value of an option and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Item<'c> {
    value: &'c Value,
    at: At,
}

/// Options that are being taken.
#[doc(hidden)]
#[derive(Debug)]
pub struct Options<'c> {
    described: Described<'c>,
    taken: RefCell<Vec<bool>>,
}

type Read<V> = Result<V, ConfigError>;

impl<'c> Described<'c> {
    /// A whole description.
    #[cfg(feature = "file")]
    pub(crate) fn new(config: &'c Config, bounds: Bounds) -> Read<Self> {
        Described::at(config, At { trail: String::new(), bounds, depth: 0 })
    }

    fn at(config: &'c Config, mut at: At) -> Read<Self> {
        at.depth += 1;
        if at.depth > at.bounds.depth {
            return Err(ConfigError::Limit { what: "depth", limit: at.bounds.depth, given: at.depth });
        }
        Ok(Described { config, at })
    }

    /// The same as one of a layer that messages name.
    pub(crate) fn of_layer(mut self) -> Self {
        self.at.trail.clear();
        self
    }

    pub(crate) fn class(&self) -> &'c str {
        &self.config.class
    }

    /// Takes the options; what `read` leaves is refused.
    pub(crate) fn read<V>(&self, read: impl FnOnce(&Options<'c>) -> Read<V>) -> Read<V> {
        let taken = RefCell::new(vec![false; self.config.options.len()]);
        let options = Options { described: self.clone(), taken };
        let value = read(&options)?;
        options.finish()?;
        Ok(value)
    }

    /// The refusal of a class that isn't one of these.
    pub(crate) fn wrong_class(&self, expected: &str) -> ConfigError {
        let (layer, class) = (String::new(), self.config.class.clone());
        ConfigError::Class { layer, class, expected: expected.into() }
    }
}

impl<'c> Options<'c> {
    pub(crate) fn class(&self) -> &'c str {
        self.described.class()
    }

    /// An option, which must be there.
    pub(crate) fn need(&self, name: &str, expected: &str) -> Read<Item<'c>> {
        let options = &self.described.config.options;
        match options.iter().position(|(own, _)| own == name) {
            Some(place) => {
                self.taken.borrow_mut()[place] = true;
                Ok(Item { value: &options[place].1, at: self.at(name) })
            }
            None => Err(ConfigError::Option {
                layer: String::new(),
                option: self.at(name).trail,
                expected: expected.into(),
                found: "nothing".into(),
            }),
        }
    }

    /// An option that may be left out.
    pub(crate) fn said(&self, name: &str) -> Option<Item<'c>> {
        self.need(name, "").ok().and_then(Item::given)
    }

    pub(crate) fn flag(&self, name: &str) -> Read<bool> {
        self.need(name, FLAG)?.flag()
    }

    /// A size of at least one.
    pub(crate) fn size(&self, name: &str) -> Read<usize> {
        self.need(name, SIZE)?.size()
    }

    pub(crate) fn integer(&self, name: &str) -> Read<i64> {
        self.need(name, INTEGER)?.integer()
    }

    pub(crate) fn number(&self, name: &str) -> Read<f64> {
        self.need(name, NUMBER)?.number()
    }

    pub(crate) fn text(&self, name: &str, expected: &str) -> Read<&'c str> {
        self.need(name, expected)?.text(expected)
    }

    /// One of these words.
    pub(crate) fn word<V: Copy>(&self, name: &str, words: &[(&str, V)]) -> Read<V> {
        let expected = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let item = self.need(name, &expected)?;
        let text = item.text(&expected)?;
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| item.wrong(&expected))
    }

    pub(crate) fn list(&self, name: &str, expected: &str) -> Read<Vec<Item<'c>>> {
        self.need(name, expected)?.list(expected)
    }

    /// Something with options of its own.
    pub(crate) fn config(&self, name: &str, expected: &str) -> Read<Described<'c>> {
        self.need(name, expected)?.config(expected)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.described.at.bounds
    }

    /// What a builder refused.
    pub(crate) fn refused(&self, error: Error) -> ConfigError {
        ConfigError::Built { layer: String::new(), error }
    }

    fn at(&self, name: &str) -> At {
        let outer = &self.described.at;
        let dot = if outer.trail.is_empty() { "" } else { "." };
        At { trail: format!("{}{dot}{name}", outer.trail), ..outer.clone() }
    }

    fn finish(&self) -> Read<()> {
        let taken = self.taken.borrow();
        let Some(left) = taken.iter().position(|taken| !taken) else { return Ok(()) };
        let Described { config, .. } = &self.described;
        let option = self.at(&config.options[left].0).trail;
        Err(ConfigError::UnknownOption { layer: String::new(), class: config.class.clone(), option })
    }
}

const FLAG: &str = "true or false";
const SIZE: &str = "a whole number above 0";
const INTEGER: &str = "a whole number";
const NUMBER: &str = "a number";

impl<'c> Item<'c> {
    /// A value that is of no description.
    #[cfg(feature = "serde")]
    pub(crate) fn alone(value: &'c Value) -> Self {
        let bounds = Bounds { units: 1 << 24, depth: 32, calls: 1 << 16, elements: 1 << 30 };
        Item { value, at: At { trail: "it".into(), bounds, depth: 0 } }
    }

    /// Nothing if it is null.
    pub(crate) fn given(self) -> Option<Self> {
        Some(self).filter(|item| *item.value != Value::Null)
    }

    pub(crate) fn flag(&self) -> Read<bool> {
        if let Value::Flag(flag) = self.value { Ok(*flag) } else { Err(self.wrong(FLAG)) }
    }

    pub(crate) fn integer(&self) -> Read<i64> {
        if let Value::Integer(number) = self.value { Ok(*number) } else { Err(self.wrong(INTEGER)) }
    }

    pub(crate) fn number(&self) -> Read<f64> {
        match *self.value {
            Value::Float(number) => Ok(number),
            // As far as it is one, exactly.
            Value::Integer(number) if (number as f64) as i128 == i128::from(number) => Ok(number as f64),
            // Those that JSON doesn't have.
            Value::Text(ref text) => match &text[..] {
                "inf" => Ok(f64::INFINITY),
                "-inf" => Ok(f64::NEG_INFINITY),
                "nan" => Ok(f64::NAN),
                _ => Err(self.wrong(NUMBER)),
            },
            _ => Err(self.wrong(NUMBER)),
        }
    }

    pub(crate) fn size(&self) -> Read<usize> {
        match self.index(SIZE)? {
            0 => Err(self.wrong(SIZE)),
            size => match self.at.bounds.units {
                limit if size > limit => Err(ConfigError::Limit { what: "units", limit, given: size }),
                _ => Ok(size),
            },
        }
    }

    /// A whole number of at least 0.
    pub(crate) fn index(&self, expected: &str) -> Read<usize> {
        self.integer().ok().and_then(|number| usize::try_from(number).ok()).ok_or_else(|| self.wrong(expected))
    }

    pub(crate) fn text(&self, expected: &str) -> Read<&'c str> {
        if let Value::Text(text) = self.value { Ok(text) } else { Err(self.wrong(expected)) }
    }

    pub(crate) fn list(&self, expected: &str) -> Read<Vec<Item<'c>>> {
        let Value::List(list) = self.value else { return Err(self.wrong(expected)) };
        let item =
            |(place, value)| Item { value, at: At { trail: format!("{}[{place}]", self.at.trail), ..self.at.clone() } };
        Ok(list.iter().enumerate().map(item).collect())
    }

    pub(crate) fn config(&self, expected: &str) -> Read<Described<'c>> {
        match self.value {
            Value::Config(config) => Described::at(config, self.at.clone()),
            _ => Err(self.wrong(expected)),
        }
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self.value, Value::Text(_))
    }

    pub(crate) fn wrong(&self, expected: &str) -> ConfigError {
        ConfigError::Option {
            layer: String::new(),
            option: self.at.trail.clone(),
            expected: expected.into(),
            found: self.value.to_string(),
        }
    }
}

/// As it is shown in messages: not too much of it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Float(number) => write!(f, "{number:?}"),
            Value::Text(text) => match text.char_indices().nth(80) {
                Some((end, _)) => write!(f, "{:?}…", &text[..end]),
                None => write!(f, "{text:?}"),
            },
            Value::List(list) => write!(f, "a list of {}", list.len()),
            Value::Config(config) => write!(f, "a description of the class {:?}", config.class),
            Value::Entry(_) => f.write_str("another format's entry"),
        }
    }
}
