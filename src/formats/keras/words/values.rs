//! Values of options in Keras 3's words: activations, initializers, types.

use serde_json::{Map, Value as Json, json};

use super::{Object, Unsaid};
use crate::config::{Config, Value};
use crate::initializers::Initializer;

/// An object of Keras's with a class and options.
pub(in super::super) fn object(module: &str, class: &str, config: Object) -> Json {
    json!({"module": module, "class_name": class, "config": config, "registered_name": null})
}

/// The type of what Keras's `quantize("int8")` makes of a layer.
pub(in super::super) const INT8: &str = "int8_from_float32";

/// The type in which a layer computes.
pub(in super::super) fn policy(dtype: &str) -> Json {
    if dtype == INT8 {
        let config = [("mode".to_string(), "int8".into()), ("source_name".to_string(), "float32".into())];
        return object("keras.dtype_policies", "QuantizedDTypePolicy", Map::from_iter(config));
    }
    let config = Map::from_iter([("name".to_string(), dtype.into())]);
    object("keras", "DTypePolicy", config)
}

/// The value of an option as it is.
pub(in super::super) fn plain(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Flag(flag) => (*flag).into(),
        Value::Integer(number) => (*number).into(),
        // Infinities, which have no word in JSON, don't come here: see `option`.
        Value::Float(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(list) => list.iter().map(plain).collect(),
        Value::Config(config) => options(config).into(),
        // It is a layer or a cell, which is written by itself.
        Value::Entry(_) => Json::Null,
    }
}

fn options(config: &Config) -> Object {
    config.options.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
}

/// An initializer that describes itself so.
pub(in super::super) fn initializer(config: &Config) -> Json {
    let mut options = options(config);
    match &config.class[..] {
        // Keras 3 leaves it out, and reads it.
        "Identity" if options.get("gain") == Some(&json!(1.0)) => {
            options.remove("gain");
        }
        class if class.starts_with("Glorot") || class.starts_with("He") || class.starts_with("Lecun") => {
            options.insert("input_axes".into(), Json::Null);
            options.insert("output_axes".into(), Json::Null);
        }
        _ => {}
    }
    object("keras.initializers", &config.class, options)
}

/// The same of an initializer of this crate's; nothing for one that is the program's own.
pub(in super::super) fn initializer_of(initializer: &Initializer) -> Option<Json> {
    match initializer.describe() {
        Ok(Value::Config(config)) => Some(self::initializer(&config)),
        _ => None,
    }
}

/// An activation that describes itself so: its name, or the layer that has its parameters.
pub(in super::super) fn activation(option: &str, value: &Value, dtype: &str) -> Result<Json, Unsaid> {
    let config = match value {
        Value::Config(config) => config,
        value => return Ok(plain(value)),
    };
    let class = match &config.class[..] {
        "relu" => "ReLU",
        "leaky_relu" => "LeakyReLU",
        "elu" => "ELU",
        // What has no layer of Keras's has no word there.
        class => {
            let value = with_parameters(class, config);
            return Err(Unsaid { option: option.into(), value, hint: NO_WORD });
        }
    };
    let mut all = options(config);
    all.insert("name".into(), crate::layers::summary::snake_case(class).into());
    all.insert("trainable".into(), true.into());
    all.insert("dtype".into(), policy(dtype));
    Ok(object("keras.layers", class, all))
}

/// As it is called, with its options.
pub(in super::super) fn with_parameters(name: &str, config: &Config) -> String {
    let options: Vec<String> = config.options.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{name}({})", options.join(", "))
}

const NO_WORD: &str = "Keras has this activation with its own parameters only; recurrent::file::save writes it";
