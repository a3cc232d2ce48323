//! Keras 3's words for what a layer says of itself: the table of classes and the writers use them.

pub(super) mod constants;
pub(super) mod values;

use serde_json::{Value as Json, json};

use self::values::{activation, initializer, plain};
use crate::config::Value;

/// Options by their names.
pub(super) type Object = serde_json::Map<String, Json>;

/// An option that has no words in Keras.
#[derive(Debug)]
pub(super) struct Unsaid {
    pub(super) option: String,
    pub(super) value: String,
    pub(super) hint: &'static str,
}

pub(super) const OUR_OWN: &str = "Keras hasn't got it; recurrent::file::save writes it";

impl Unsaid {
    pub(super) fn new(option: &str, value: &Value) -> Self {
        let value = match value {
            Value::Config(config) => values::with_parameters(&config.class, config),
            value => value.to_string(),
        };
        Unsaid { option: option.into(), value, hint: OUR_OWN }
    }
}

/// What is said of a layer besides its own options.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    /// Keras's class.
    pub(super) class: &'a str,
    pub(super) name: &'a str,
    pub(super) trainable: bool,
    pub(super) stateful: bool,
    pub(super) dtype: &'a str,
}

impl<'a> Around<'a> {
    /// Something inside it, under a name of its own.
    pub(super) fn inside<'b>(&self, class: &'b str, name: &'b str) -> Around<'b>
    where
        'a: 'b,
    {
        Around { class, name, ..*self }
    }
}

/// Whether all numbers in a value have words in JSON.
fn finite(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.is_finite(),
        Value::List(list) => list.iter().all(finite),
        Value::Config(config) => config.options.iter().all(|(_, value)| finite(value)),
        _ => true,
    }
}

/// An option by its name.
pub(super) fn option(name: &str, value: &Value, around: &Around<'_>) -> Result<Json, Unsaid> {
    match value {
        value if !finite(value) => Err(Unsaid::new(name, value)),
        Value::Text(dtype) if name == "dtype" => Ok(values::policy(dtype)),
        _ if name.ends_with("activation") => activation(name, value, around.dtype),
        Value::Config(config) if name.ends_with("_initializer") => Ok(initializer(config)),
        value => Ok(plain(value)),
    }
}

/// What a layer says of itself, and what is written of it: for classes that have a way of their own.
pub(super) struct Said<'s> {
    pub(super) described: &'s [(String, Value)],
    pub(super) around: &'s Around<'s>,
    pub(super) config: &'s mut Object,
}

impl Said<'_> {
    /// An option that the layer says.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.described.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Writes an option.
    pub(super) fn write(&mut self, name: &str, value: impl Into<Json>) {
        self.config.insert(name.into(), value.into());
    }

    /// Writes an option that the layer says, as it says it.
    pub(super) fn same(&mut self, name: &str) -> Result<(), Unsaid> {
        if let Some(value) = self.get(name) {
            let value = option(name, value, self.around)?;
            self.config.insert(name.into(), value);
        }
        Ok(())
    }

    /// Writes a number that the layer says as a list of it: how Keras writes the sizes along one axis.
    pub(super) fn list_of_one(&mut self, name: &str) {
        if let Some(value) = self.get(name) {
            let list = json!([plain(value)]);
            self.write(name, list);
        }
    }

    /// A list of one as the one that it is: how Keras writes an axis.
    pub(super) fn axis(&mut self, name: &str) {
        let axis = match self.get(name) {
            Some(Value::List(list)) if list.len() == 1 => plain(&list[0]),
            Some(value) => plain(value),
            None => Json::Null,
        };
        self.write(name, axis);
    }

    /// The parameters of the activation that the layer is, with those that its name stands for.
    ///
    /// # Errors
    /// Another activation, which this layer isn't.
    pub(super) fn parameters(&mut self, activation: &str, named: &[(&str, Json)]) -> Result<(), Unsaid> {
        let given = match self.get("activation") {
            Some(Value::Config(config)) if config.class == activation => config.options.clone(),
            Some(Value::Text(name)) if name == activation => vec![],
            _ => return Err(self.unsaid("activation")),
        };
        for (name, default) in named {
            let value = given.iter().find(|(own, _)| own == name).map(|(_, value)| plain(value));
            self.write(name, value.unwrap_or_else(|| default.clone()));
        }
        Ok(())
    }

    /// Takes back what is written of every layer.
    pub(super) fn leave(&mut self, name: &str) {
        self.config.remove(name);
    }

    /// Checks that the layer says nothing but what has been written and these, unless it is off.
    pub(super) fn no_others(&self, others: &[&str]) -> Result<(), Unsaid> {
        let off = |value: &Value| matches!(value, Value::Null | Value::Flag(false));
        let left = |(name, value): &&(String, Value)| {
            // Initializers of weights that aren't there say nothing.
            let spoken = !off(value) && !name.ends_with("_initializer");
            spoken && !self.config.contains_key(name) && !others.contains(&name.as_str())
        };
        match self.described.iter().find(left) {
            Some((name, value)) => Err(Unsaid::new(name, value)),
            None => Ok(()),
        }
    }

    /// For an option that Keras hasn't got.
    pub(super) fn unsaid(&self, name: &str) -> Unsaid {
        Unsaid::new(name, self.get(name).unwrap_or(&Value::Null))
    }
}
