//! What a file of Keras said of a layer beyond what the layer says of itself: regularizers, constraints, names of what
//! is inside, types, initializers of no effect. The reader keeps it with the layer ([`Kept`]), the writer puts it back.
//!
//! It is what differs: where the layer's own words are the file's, nothing is kept. So an option that gets a meaning
//! here later is the layer's from then on, and files of Keras 3 come out as they came in.

mod calls;

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::super::classes::initializers;
use super::super::description::Described;
use super::super::value::text;
use super::super::version::Version;
use super::super::words::Object;
use super::super::words::values::initializer_of;
use super::{model, operations};
use crate::float::Float;
use crate::formats::save_error::SaveError;
use crate::graph::operation::Role;
use crate::graph::{Kept, Model, Part};

/// What a file said of a layer, or of an input.
pub(in super::super) fn of_part<T: Float>(
    said: &Described<'_>,
    part: &Part<T>,
    model: &Model<T>,
    version: Version,
) -> Kept {
    let plain = match &part.op {
        // It has its own; here are its calls.
        Some(op) if matches!(op.role(), Role::Model(_)) => None,
        // What has no words in Keras 3 isn't written at all.
        Some(_) => Some(model::plain_part(part, &part.name, "").ok()?),
        None => model::plain_input(model, part),
    };
    let operations = operations::of_part(part).and_then(Result::ok);
    let kept = match (&operations, version) {
        // TensorFlow's words have no meaning in Keras 3.
        (Some(_), Version::Keras2) => None,
        _ => plain.and_then(|plain| of(said, &plain, version)),
    };
    let operation = operations.as_deref().and_then(<[_]>::last);
    as_text(match calls::of(said, operation, size_of::<T>() == 4) {
        None => kept,
        Some(calls) => {
            let mut kept = kept.unwrap_or_else(|| json!({}));
            kept["inbound_nodes"] = calls;
            Some(kept)
        }
    })
}

fn as_text(kept: Option<Json>) -> Kept {
    kept.map(|kept| Arc::from(text(&kept)))
}

/// What a file said of a model, but for its layers.
pub(in super::super) fn of_model<T: Float>(said: &Described<'_>, model: &Model<T>, version: Version) -> Kept {
    match version {
        Version::Keras3 => as_text(of(said, &model::outline(&model::Plan::new(model, "").ok()?, &model.name), version)),
        Version::Keras2 => None,
    }
}

fn of(said: &Described<'_>, plain: &Json, version: Version) -> Option<Json> {
    let mut raw = said.object.to_json();
    match version {
        Version::Keras3 => {
            let object = raw.as_object_mut()?;
            for key in ["inbound_nodes", "name", "compile_config"] {
                object.remove(key);
            }
            if let (true, Some(config)) = (said.is_model(), object.get_mut("config").and_then(Json::as_object_mut)) {
                config.remove("layers");
            }
            without_built(&mut raw);
            difference(plain, raw)
        }
        Version::Keras2 => of_keras_2(plain, &raw),
    }
}

/// Takes out what says nothing of the layer: for which shape it was built, and where in memory it was.
fn without_built(json: &mut Json) {
    match json {
        Json::Object(object) => {
            object.remove("shared_object_id");
            // They stand beside the weights there, and with the options here.
            for key in ["vocabulary", "idf_weights"] {
                if object.get(key).is_some_and(Json::is_null) {
                    object.remove(key);
                }
            }
            if object.contains_key("class_name") {
                object.remove("build_config");
            }
            object.values_mut().for_each(without_built);
        }
        Json::Array(list) => list.iter_mut().for_each(without_built),
        _ => {}
    }
}

/// What is said that isn't said already.
fn difference(plain: &Json, said: Json) -> Option<Json> {
    match (plain, said) {
        (plain, said) if *plain == said => None,
        // Another class has other options.
        (Json::Object(own), Json::Object(said)) if own.get("class_name") == said.get("class_name") => {
            let lost = bytes_are_lost(own.get("dtype"), said.get("dtype"));
            let differs = |(key, said): (String, Json)| match own.get(&key) {
                _ if lost && matches!(&key[..], "dtype" | "quantization_config") => None,
                Some(own) => difference(own, said).map(|said| (key, said)),
                // Nothing is what it is without a word.
                None => Some((key, said)).filter(|(_, said)| !said.is_null()),
            };
            let different: Object = said.into_iter().filter_map(differs).collect();
            if different.is_empty() { None } else { Some(different.into()) }
        }
        (Json::Array(own), Json::Array(said)) if are_objects(own, &said) => {
            let each = own.iter().zip(said).map(|(own, said)| difference(own, said).unwrap_or(Json::Null));
            Some(each.collect())
        }
        (_, said) => Some(said),
    }
}

/// Whether a layer of bytes is one of floats here: see [`Reading::floats`](super::super::classes::Reading::floats).
fn bytes_are_lost(own: Option<&Json>, said: Option<&Json>) -> bool {
    let of_bytes = |dtype: Option<&Json>| {
        dtype.is_some_and(|dtype| dtype.get("class_name").and_then(Json::as_str) == Some("QuantizedDTypePolicy"))
    };
    of_bytes(said) && !of_bytes(own)
}

/// Whether the items are objects side by side.
fn are_objects(own: &[Json], said: &[Json]) -> bool {
    own.len() == said.len()
        && own.iter().all(Json::is_object)
        && said.iter().all(|item| item.is_object() || item.is_null())
}

/// Puts back what was kept.
fn merge(plain: &mut Json, kept: Json) {
    match (plain, kept) {
        (Json::Object(own), Json::Object(kept)) if !kept.contains_key("class_name") => {
            for (key, kept) in kept {
                match own.get_mut(&key) {
                    Some(own) => merge(own, kept),
                    None => drop(own.insert(key, kept)),
                }
            }
        }
        (Json::Array(own), Json::Array(kept)) if are_objects(own, &kept) => {
            own.iter_mut().zip(kept).filter(|(_, kept)| !kept.is_null()).for_each(|(own, kept)| merge(own, kept));
        }
        (plain, kept) => *plain = kept,
    }
}

/// Whether what was kept is in other words what the layer says, or what it doesn't say: sizes, numbers and flags that
/// it says are its own, but for those of training.
fn may_stand(plain: &Json, kept: &Json) -> bool {
    match (plain, kept) {
        (Json::Object(own), Json::Object(kept)) if !kept.contains_key("class_name") => {
            kept.iter().all(|(key, kept)| {
                let free = matches!(&key[..], "seed" | "trainable" | "dtype" | "dropout");
                free || own.get(key).is_none_or(|own| may_stand(own, kept))
            })
        }
        (Json::Array(own), Json::Array(kept)) if are_objects(own, kept) => {
            own.iter().zip(kept).all(|(own, kept)| kept.is_null() || may_stand(own, kept))
        }
        (Json::Number(own), Json::Number(kept)) => {
            own.as_f64().map(|own| own as f32) == kept.as_f64().map(|kept| kept as f32)
        }
        (Json::Bool(own), Json::Bool(kept)) => own == kept,
        _ => true,
    }
}

/// What was kept of a layer, or of a model, at this path.
pub(super) fn parse(kept: Option<&str>, path: &str) -> Result<Option<Json>, SaveError> {
    let damaged = || SaveError::Kept { layer: path.into() };
    let parsed = kept.map(|kept| serde_json::from_str::<Json>(kept).ok().filter(Json::is_object).ok_or_else(damaged));
    parsed.transpose()
}

/// Puts back what was kept of calls, and returns the rest.
pub(super) fn merge_calls(nodes: &mut [Json], mut kept: Json, single: bool, path: &str) -> Result<Json, SaveError> {
    let said = kept.as_object_mut().and_then(|kept| kept.remove("inbound_nodes"));
    match said.is_none_or(|said| calls::merge(nodes, said, single).is_some()) {
        true => Ok(kept),
        false => Err(SaveError::Kept { layer: path.into() }),
    }
}

/// Puts back the rest.
pub(super) fn merge_rest(plain: &mut Json, kept: Option<Json>, path: &str) -> Result<(), SaveError> {
    let Some(kept) = kept else { return Ok(()) };
    if !may_stand(plain, &kept) {
        return Err(SaveError::Kept { layer: path.into() });
    }
    merge(plain, kept);
    Ok(())
}

/// Options of Keras 2 that mean the same in Keras 3.
const SAME: [&str; 11] =
    ["trainable", "rate", "stddev", "seed", "noise_shape", "momentum", "l1", "l2", "shared_axes", "unroll", "dropout"];

/// What Keras 2 said, in Keras 3's words.
fn of_keras_2(plain: &Json, said: &Json) -> Option<Json> {
    let (own, said) = (plain.get("config")?.as_object()?, said.get("config")?.as_object()?);
    let mut kept = Object::new();
    // An RNN of one cell is that cell's layer here.
    let of_cell =
        match (own.get("cell"), said.get("cell").and_then(|cell| cell.get("config")).and_then(Json::as_object)) {
            (None, Some(cell)) => cell.clone(),
            _ => Map::new(),
        };
    let class = plain.get("class_name").and_then(Json::as_str).unwrap_or("");
    for (key, said) in said.iter().chain(of_cell.iter().filter(|(key, _)| !said.contains_key(*key))) {
        let translated = match &key[..] {
            "layer" | "backward_layer" | "cell" => own.get(key).and_then(|own| of_keras_2(own, said)),
            "cells" => of_cells(own.get(key), said),
            // Of a kernel that the class hasn't got.
            "kernel_initializer" | "kernel_regularizer" | "kernel_constraint"
                if matches!(class, "SeparableConv1D" | "DepthwiseConv1D") =>
            {
                None
            }
            key if key.ends_with("_initializer") => of_initializer(said),
            key if key.ends_with("_regularizer") => of_class("keras.regularizers", said),
            key if key.ends_with("_constraint") => of_class("keras.constraints", said),
            "noise_shape" if class.starts_with("Spatial") => None,
            "name" => said.as_str().map(|name| model::name_of(name).into()),
            key if SAME.contains(&key) => Some(said.clone()),
            _ => None,
        };
        let nested = matches!(&key[..], "layer" | "backward_layer" | "cell" | "cells");
        let different = match (translated, own.get(key)) {
            (Some(translated), Some(own)) if !nested => difference(own, translated),
            (translated, _) => translated.filter(|translated| !translated.is_null()),
        };
        kept.extend(different.map(|different| (key.clone(), different)));
    }
    // One that was drawn here, where Keras 2 says none.
    if (class.ends_with("Attention") || class.starts_with("ConvLSTM")) && !said.contains_key("seed") {
        kept.insert("seed".into(), Json::Null);
    }
    if kept.is_empty() { None } else { Some(json!({"config": kept})) }
}

fn of_cells(own: Option<&Json>, said: &Json) -> Option<Json> {
    let (own, said) = (own?.as_array()?, said.as_array()?);
    if own.len() != said.len() {
        return None;
    }
    let each: Vec<Json> = own.iter().zip(said).map(|(own, said)| of_keras_2(own, said).unwrap_or(Json::Null)).collect();
    if each.iter().all(Json::is_null) { None } else { Some(each.into()) }
}

fn of_initializer(said: &Json) -> Option<Json> {
    let text = said.to_string();
    let value = super::super::value::Value::read(text.as_bytes()).ok()?;
    initializer_of(&initializers::read(&super::super::json::Json::root(&value))?)
}

/// A regularizer or a constraint: Keras 2 leaves out where its classes are.
fn of_class(module: &str, said: &Json) -> Option<Json> {
    let Some(object) = said.as_object() else { return Some(said.clone()) };
    let mut object = object.clone();
    let own = object.get("class_name").and_then(Json::as_str).is_some_and(|class| !class.contains('>'));
    if own {
        object.entry("module").or_insert_with(|| module.into());
        object.entry("registered_name").or_insert(Json::Null);
    }
    Some(object.into())
}
