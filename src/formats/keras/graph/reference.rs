//! References to tensors: `["name", node, tensor]`, alone, in lists and dictionaries, within Keras 3's tensors.

use super::super::identity::Identity;
use super::super::json::{Fields, Json};
use crate::formats::error::Found;

/// A tensor of a node: the layer, which of its nodes, which of the node's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Reference<'a> {
    pub(super) layer: &'a str,
    pub(super) node: usize,
    pub(super) index: usize,
}

/// Whether a list is a reference itself, or one of references.
pub(super) fn is_reference(list: &[Json<'_>]) -> bool {
    list.first().is_some_and(Json::is_text)
}

const EXPECTED: &str = "[name, node, tensor]";

/// `["name", node, tensor]`, and nothing more.
pub(super) fn reference<'a>(json: &Json<'a>) -> Found<Reference<'a>> {
    match &json.list(EXPECTED)?[..] {
        [name, node, index] => three(name, node, index),
        _ => Err(json.wrong(EXPECTED)),
    }
}

/// The three parts of a reference.
pub(super) fn three<'a>(name: &Json<'a>, node: &Json<'_>, index: &Json<'_>) -> Found<Reference<'a>> {
    Ok(Reference { layer: name.text(EXPECTED)?, node: node.index(EXPECTED)?, index: index.index(EXPECTED)? })
}

/// All tensors of a structure of lists and dictionaries, in Keras's order, which is that of the keys in dictionaries.
/// Each of its leaves must be one.
pub(super) fn references<'a>(json: &Json<'a>) -> Found<Vec<Reference<'a>>> {
    let mut found = Vec::new();
    let mut waiting = vec![json.clone()];
    while let Some(json) = waiting.pop() {
        if json.is_list() {
            let list = json.list(EXPECTED)?;
            if list.is_empty() {
                return Err(json.wrong("tensors of layers"));
            }
            match is_reference(&list) {
                true => found.push(reference(&json)?),
                false => waiting.extend(list.into_iter().rev()),
            }
        } else if is_keras_tensor(&json)? {
            found.push(keras_tensor(&json)?);
        } else {
            let entries = json.dictionary("tensors of layers")?;
            if entries.is_empty() {
                return Err(json.wrong("tensors of layers"));
            }
            waiting.extend(entries.into_iter().rev().map(|(_, json)| json));
        }
    }
    Ok(found)
}

const TENSOR: &str = "a tensor of a layer";

/// Whether an object is a tensor, and not a dictionary of them.
pub(super) fn is_keras_tensor(json: &Json<'_>) -> Found<bool> {
    Ok(json.is_object() && json.glance(TENSOR, |fields| Ok(fields.has("class_name")))?)
}

/// Whether a value is a tensor, or a list with one, and not a constant.
pub(super) fn has_tensor(json: &Json<'_>) -> Found<bool> {
    if json.is_list() {
        return json.list(TENSOR)?.iter().try_fold(false, |found, item| Ok(found || has_tensor(item)?));
    }
    let class = |fields: &Fields<'_>| match fields.take("class_name") {
        Some(class) if class.is_text() => Ok(class.text(TENSOR)? == "__keras_tensor__"),
        _ => Ok(false),
    };
    Ok(json.is_object() && json.glance(TENSOR, class)?)
}

/// A tensor of Keras 3: its shape and type are inferred, but must be there.
pub(super) fn keras_tensor<'a>(json: &Json<'a>) -> Found<Reference<'a>> {
    json.fields(TENSOR, |fields: &Fields<'a>| {
        if Identity::take(fields)?.keras(json.layer())? != "__keras_tensor__" {
            return Err(json.wrong(TENSOR));
        }
        fields.need("config", TENSOR)?.fields(TENSOR, |fields| {
            fields.need("shape", "a list of sizes and nulls")?.shape()?;
            fields.need("dtype", "a type's name")?.text("a type's name")?;
            reference(&fields.need("keras_history", "[name, node, tensor]")?)
        })
    })
}

/// One tensor, in either form.
pub(super) fn single<'a>(json: &Json<'a>) -> Found<Reference<'a>> {
    if json.is_list() { reference(json) } else { keras_tensor(json) }
}

/// The keys of a dictionary of tensors, sorted; none for what isn't one.
pub(super) fn keys(json: &Json<'_>) -> Found<Vec<String>> {
    if !json.is_object() || is_keras_tensor(json)? {
        return Ok(vec![]);
    }
    let entries = json.dictionary(EXPECTED)?;
    let flat = entries.iter().all(|(_, json)| json.list(EXPECTED).is_ok_and(|list| is_reference(&list)));
    Ok(if flat { entries.into_iter().map(|(key, _)| key.into()).collect() } else { vec![] })
}
