//! What a file of another framework said of something that is the program's own.

use ndarray::ArrayD;

use super::{Config, ConfigError, Value};

/// What stands for a layer or a cell of the program's own in the file that it came by: its words and its tensors, which
/// that format's writer puts there again.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its class, with the package or module that it is of.
    pub(crate) class: String,
    /// The class alone.
    pub(crate) bare_class: String,
    /// Its description, in that format's words.
    pub(crate) text: String,
    /// How its calls look, if it is called.
    pub(crate) call: Option<String>,
    /// Whether it is an operation, which isn't a layer there.
    pub(crate) is_operation: bool,
    /// Whether its words are those of an older version, which aren't written.
    pub(crate) is_old: bool,
    /// Its tensors by their paths within it.
    pub(crate) tensors: Vec<(String, ArrayD<f64>)>,
}

impl Entry {
    /// The class of a description that is an entry, and the name of its one option.
    pub(crate) const CLASS: &'static str = "Entry";
}

impl Config {
    /// The entry that it is.
    #[cfg_attr(not(feature = "keras"), allow(dead_code))]
    pub(crate) fn entry(&self) -> Option<&Entry> {
        match self.options.first() {
            Some((_, Value::Entry(entry))) if self.class == Entry::CLASS => Some(entry),
            _ => None,
        }
    }

    /// The same, if nothing in it is the program's own: no file of ours could give that back.
    #[cfg_attr(not(feature = "file"), allow(dead_code))]
    pub(crate) fn without_entries(self) -> Result<Config, ConfigError> {
        fn in_value(value: &Value) -> Option<ConfigError> {
            match value {
                Value::Entry(entry) => Some(ConfigError::custom("layer", &entry.class)),
                Value::Config(config) => in_config(config),
                Value::List(list) => list.iter().find_map(in_value),
                _ => None,
            }
        }
        fn in_config(config: &Config) -> Option<ConfigError> {
            let error = config.options.iter().find_map(|(_, value)| in_value(value))?;
            // The layers of a model have names.
            let named = config.options.first().filter(|(name, _)| config.class == "Layer" && name == "name");
            Some(match named {
                Some((_, Value::Text(name))) => error.within(name),
                _ => error,
            })
        }
        match in_config(&self) {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }
}
