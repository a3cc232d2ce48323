//! Calls of what code of the program's own takes the place of: all tensors, whatever they stand under. What else the
//! calls say is the code's to know.

use super::super::super::description::Described;
use super::super::super::json::Json;
use super::super::super::own_code::form_of;
use super::super::reference::{
    Reference, has_tensor, is_keras_tensor, is_reference, keras_tensor, references, single, three,
};
use super::operation::{CONSTANT, flat, is_legacy_tensor};
use super::{CALLS, Node};
use crate::formats::error::{Found, Problem};

/// All calls, which are the same but for their tensors.
pub(super) fn calls<'a>(layer: &Described<'a>, calls: &Json<'a>) -> Found<Vec<Node<'a>>> {
    let mut nodes = Vec::new();
    let mut form = None;
    for call in calls.list(CALLS)? {
        let own = form_of(&call.to_json());
        if form.get_or_insert_with(|| own.clone()) != &own {
            return Err(call.unsupported("all calls of a layer must say the same but for their tensors"));
        }
        let node = if call.is_object() { keras3(layer, &call) } else { keras2(layer, &call) }?;
        if node.inputs.is_empty() {
            return Err(call.wrong(CALLS));
        }
        nodes.push(node);
    }
    Ok(nodes)
}

/// The tensors among the arguments, then those under names, in the order of the names.
fn keras3<'a>(layer: &Described<'a>, call: &Json<'a>) -> Found<Node<'a>> {
    let mut node = Node::default();
    call.fields(CALLS, |fields| {
        for argument in fields.need("args", "a list of arguments")?.list("a list of arguments")? {
            tensors_in(&argument, &mut node.inputs)?;
        }
        for (name, value) in fields.need("kwargs", "arguments by name")?.dictionary("arguments by name")? {
            match name {
                "mask" if has_tensor(&value)? => {
                    node.masks = references(&value)?.into_iter().map(Some).collect();
                }
                "training" if value.flag() == Ok(true) => return Err(in_training(layer)),
                _ => tensors_in(&value, &mut node.inputs)?,
            }
        }
        Ok(())
    })?;
    Ok(node)
}

/// `["name", node, tensor, {..}]`, or a list of them, with the other arguments by name beside each.
fn keras2<'a>(layer: &Described<'a>, call: &Json<'a>) -> Found<Node<'a>> {
    let mut node = Node::default();
    let each = if is_reference(&call.list(CALLS)?) { vec![call.clone()] } else { flat(call)? };
    let mut beside = None;
    for one in &each {
        let parts = one.list(CALLS)?;
        let [name, at, index, named @ ..] = &parts[..] else { return Err(one.wrong(CALLS)) };
        if name.text(CALLS)? != CONSTANT {
            node.inputs.push(three(name, at, index)?);
        }
        beside = beside.or_else(|| named.first().cloned());
    }
    for (name, value) in beside.map_or(Ok(vec![]), |named| named.dictionary("arguments by name"))? {
        match name {
            "mask" if is_legacy_tensor(&value) => node.masks.push(Some(single(&value)?)),
            "training" if value.flag() == Ok(true) => return Err(in_training(layer)),
            _ => legacy_tensors_in(&value, &mut node.inputs)?,
        }
    }
    Ok(node)
}

fn legacy_tensors_in<'a>(json: &Json<'a>, found: &mut Vec<Reference<'a>>) -> Found<()> {
    if is_legacy_tensor(json) {
        found.push(single(json)?);
    } else if json.is_list() {
        return json.list(CALLS)?.iter().try_for_each(|item| legacy_tensors_in(item, found));
    }
    Ok(())
}

fn in_training(layer: &Described<'_>) -> Problem {
    Problem::UnsupportedOption {
        layer: layer.path().into(),
        class: layer.class().into(),
        option: "call argument training".into(),
        value: "true".into(),
        reason: "the model would be in training mode for ever: call it without training",
    }
}

fn tensors_in<'a>(json: &Json<'a>, found: &mut Vec<Reference<'a>>) -> Found<()> {
    if json.is_list() {
        return json.list(CALLS)?.iter().try_for_each(|item| tensors_in(item, found));
    }
    if !json.is_object() {
        return Ok(());
    }
    if has_tensor(json)? && is_keras_tensor(json)? {
        found.push(keras_tensor(json)?);
        return Ok(());
    }
    json.dictionary(CALLS)?.iter().try_for_each(|(_, value)| tensors_in(value, found))
}
