//! A model that begins behind one of its layers, which reads what there is no array for: its output becomes an input.

use serde_json::{Value as Json, json};

use super::value::{Object, Value};
use crate::formats::error::{Found, Problem};

/// Makes inputs of what these layers give, one after another.
///
/// # Errors
/// [`Problem::UnknownLayer`], [`Problem::UnsupportedClass`] for a layer whose output can't be an input.
pub(super) fn start(model: &mut Value<'_>, names: &[String]) -> Found<()> {
    names.iter().try_for_each(|name| behind(model, name))
}

fn behind(model: &mut Value<'_>, name: &str) -> Found<()> {
    let sequential = model.get("class_name").and_then(Value::as_text) == Some("Sequential");
    let config = if let Value::Object(object) = model { object.get_mut("config") } else { None };
    let Some(Value::Object(config)) = config else { return Err(unknown(name, vec![])) };
    let layers = config.get("layers").and_then(Value::as_list).unwrap_or_default();
    let at = layers.iter().position(|layer| name_of(layer) == Some(name));
    let Some(at) = at else {
        return Err(unknown(name, layers.iter().filter_map(name_of).map(String::from).collect()));
    };
    let class = layers[at].get("class_name").and_then(Value::as_text).unwrap_or("");
    let refuse = |hint: &str| Problem::UnsupportedClass {
        layer: name.into(),
        class: class.into(),
        hint: hint.to_string().into(),
    };
    if class == "InputLayer" {
        return Err(refuse("the model begins there already"));
    }
    // Of other classes there may be several with weights, which are counted by class in the file.
    if !matches!(class, "TextVectorization" | "StringLookup" | "Hashing") {
        return Err(refuse("a model can begin behind a layer that reads texts"));
    }
    let read: Vec<&str> = references(layers[at].get("inbound_nodes"));
    let is_input = |layer: &&Value<'_>| layer.get("class_name").and_then(Value::as_text) == Some("InputLayer");
    let inputs: Vec<&str> = layers.iter().filter(is_input).filter_map(name_of).collect();
    let (shape, dtype) = match sequential {
        true if at > 1 || at == 1 && !is_input(&&layers[0]) => {
            return Err(refuse("a model can begin behind its first layer"));
        }
        true => of_first(layers, at).ok_or_else(|| refuse(SHAPE))?,
        false if read.iter().any(|read| !inputs.contains(read)) => {
            return Err(refuse("a model can begin behind a layer that reads its inputs"));
        }
        false => of_output(layers, name).ok_or_else(|| refuse(SHAPE))?,
    };
    // What no other layer reads is gone.
    let others = || layers.iter().enumerate().filter(|(place, _)| *place != at);
    let read_elsewhere =
        |input: &str| others().any(|(_, layer)| references(layer.get("inbound_nodes")).contains(&input));
    let gone: Vec<String> = match sequential {
        true => layers[..at].iter().filter_map(name_of).map(String::from).collect(),
        false => read.iter().filter(|input| !read_elsewhere(input)).map(ToString::to_string).collect(),
    };
    let first = read.first().map(ToString::to_string);
    let text = entry(name, sequential, &shape, &dtype).to_string();
    let mut input = Value::read(text.as_bytes()).ok().map(Value::into_owned);
    let kept = layers
        .iter()
        .enumerate()
        .filter(|(_, layer)| !name_of(layer).is_some_and(|own| gone.iter().any(|gone| gone == own)));
    let kept = kept.map(|(place, layer)| if place == at { input.take().unwrap_or(Value::Null) } else { layer.clone() });
    let kept: Vec<Value<'_>> = kept.collect();
    if let Some(list) = config.get_mut("layers") {
        *list = Value::List(kept.into());
    }
    if let (Some(inputs), Some(first)) = (config.get_mut("input_layers"), first) {
        enter(inputs, &first, name, &gone);
    }
    Ok(())
}

/// An input in a layer's place.
fn entry(name: &str, sequential: bool, shape: &Json, dtype: &Json) -> Json {
    let mut input = json!({
        "module": "keras.layers", "class_name": "InputLayer", "registered_name": null, "name": name, "inbound_nodes": [],
        "config": {"name": name, "batch_shape": shape, "dtype": dtype, "sparse": false, "ragged": false},
    });
    if let (true, Some(input)) = (sequential, input.as_object_mut()) {
        input.remove("inbound_nodes");
    }
    input
}

const SHAPE: &str = "the shape of its output isn't in the file: it must be Keras 3's, and another layer read it";

fn unknown(name: &str, known: Vec<String>) -> Problem {
    Problem::UnknownLayer { name: name.into(), known }
}

fn name_of<'v>(layer: &'v Value<'_>) -> Option<&'v str> {
    layer.get("name").or_else(|| layer.get("config")?.get("name")).and_then(Value::as_text)
}

/// The layers whose tensors are in calls.
fn references<'v>(calls: Option<&'v Value<'_>>) -> Vec<&'v str> {
    let mut found = Vec::new();
    let mut waiting: Vec<&Value<'_>> = calls.into_iter().collect();
    while let Some(value) = waiting.pop() {
        match value {
            Value::List(list) => waiting.extend(list.iter()),
            Value::Object(object) => match object.get("keras_history").and_then(Value::as_list) {
                Some([name, ..]) => found.extend(name.as_text()),
                _ => waiting.extend(object.iter().map(|(_, value)| value)),
            },
            _ => {}
        }
    }
    found.reverse();
    found
}

/// The shape and the type of a layer's output, as those say that read it.
fn of_output(layers: &[Value<'_>], name: &str) -> Option<(Json, Json)> {
    let mut waiting: Vec<&Value<'_>> = layers.iter().filter_map(|layer| layer.get("inbound_nodes")).collect();
    while let Some(value) = waiting.pop() {
        match value {
            Value::List(list) => waiting.extend(list.iter()),
            Value::Object(object) => {
                let history = object.get("keras_history").and_then(Value::as_list);
                if history.and_then(|history| history.first()).and_then(Value::as_text) == Some(name) {
                    return Some((object.get("shape")?.to_json(), object.get("dtype")?.to_json()));
                }
                waiting.extend(object.iter().map(|(_, value)| value));
            }
            _ => {}
        }
    }
    None
}

/// Those of the first layer of a Sequential, by its options.
fn of_first(layers: &[Value<'_>], at: usize) -> Option<(Json, Json)> {
    let (layer, config) = (&layers[at], layers[at].get("config")?);
    let ids = config.get("output_mode").and_then(Value::as_text) == Some("int");
    let before = if at > 0 { layers[0].get("config")?.get("batch_shape") } else { None };
    match (layer.get("class_name")?.as_text()?, ids) {
        ("TextVectorization", true) => {
            Some((json!([null, config.get("output_sequence_length").map(Value::to_json)]), "int64".into()))
        }
        ("StringLookup", true) => Some((before?.to_json(), "int64".into())),
        ("TextVectorization", false) => {
            Some((json!([null, config.get("vocabulary_size")?.to_json()]), "float32".into()))
        }
        _ => None,
    }
}

/// Puts a layer among the inputs, before `first`, and takes those out that are gone.
fn enter(inputs: &mut Value<'_>, first: &str, name: &str, gone: &[String]) {
    let of =
        |value: &Value<'_>| value.as_list().and_then(|list| list.first()).and_then(Value::as_text).map(String::from);
    let own = || Value::List([Value::Text(name.to_string().into()), 0_u64.into(), 0_u64.into()].into());
    let is_gone = |value: &Value<'_>| of(value).is_some_and(|own| gone.contains(&own));
    match inputs {
        // The one input.
        Value::List(list) if list.first().and_then(Value::as_text).is_some() => *inputs = own(),
        Value::List(list) => {
            let mut all = Vec::new();
            for value in &**list {
                if of(value).as_deref() == Some(first) {
                    all.push(own());
                }
                if !is_gone(value) {
                    all.push(value.clone());
                }
            }
            *inputs = Value::List(all.into());
        }
        Value::Object(object) => in_dictionary(object, first, own(), is_gone),
        _ => {}
    }
}

/// An input that is known by a key keeps it.
fn in_dictionary<'a>(object: &mut Object<'a>, first: &str, own: Value<'a>, is_gone: impl Fn(&Value<'_>) -> bool) {
    let of = |value: &Value<'_>| value.as_list().and_then(|list| list.first()).and_then(Value::as_text) == Some(first);
    let key = object.iter().find(|(_, value)| of(value)).map(|(key, _)| key.to_string());
    if let Some(value) = key.and_then(|key| object.get_mut(&key)) {
        *value = own;
    }
    let gone: Vec<String> = object.iter().filter(|(_, value)| is_gone(value)).map(|(key, _)| key.to_string()).collect();
    gone.iter().for_each(|key| drop(object.remove(key)));
}
