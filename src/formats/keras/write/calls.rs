//! How the layers and operations of a model are called, in Keras 3's words.

use serde_json::{Map, Value as Json, json};

use super::super::classes::Class;
use super::super::own_code::is_tensor;
use super::super::words::Object;
use super::model::{Plan, dtype};
use super::operations::{Argument, KerasOperation};
use crate::config::{Config, Value};
use crate::float::Float;
use crate::graph::CallSpec;
use crate::graph::shape::Shape;

/// The calls of a part, in order: of each operation that it is, the last of which is its own; of a layer these alone.
pub(super) fn nodes<T: Float>(plan: &Plan<'_, T>, part: usize) -> Vec<Vec<Json>> {
    let model = plan.model;
    let mut calls: Vec<&CallSpec> = model.calls.iter().filter(|call| call.part == part).collect();
    calls.sort_by_key(|call| call.outputs.first().map_or(0, |&output| model.tensors[output].node));
    match &plan.operations[part] {
        Some(all) => all.iter().map(|one| calls.iter().map(|call| of_operation(plan, call, one)).collect()).collect(),
        None => vec![calls.into_iter().map(|call| of_layer(plan, call)).collect()],
    }
}

/// The shape of what an operation gives that stands before the last of several.
fn shape_of_result<T: Float>(plan: &Plan<'_, T>, call: &CallSpec, number: usize) -> Shape {
    let shape_of =
        |tensor: Option<&usize>| tensor.map_or_else(Vec::new, |&tensor| plan.model.tensors[tensor].shape.clone());
    let operation = plan.operations[call.part].as_ref().and_then(|all| all.get(number));
    match operation.map(|operation| (operation.class, &operation.args[..])) {
        Some(("Swapaxes", [Argument::Numbered(input)])) => {
            let mut shape = shape_of(call.inputs.get(*input));
            if let [.., rows, columns] = &mut shape[..] {
                std::mem::swap(rows, columns);
            }
            shape
        }
        // All others give what goes on element by element.
        _ => shape_of(call.outputs.first()),
    }
}

/// A tensor that a call is given, of this shape, from where it comes.
fn tensor<T: Float>(shape: &[Option<usize>], history: Json) -> Json {
    json!({
        "class_name": "__keras_tensor__",
        "config": {
            "shape": shape,
            "dtype": dtype::<T>(),
            "keras_history": history,
        },
    })
}

fn called_with<T: Float>(plan: &Plan<'_, T>, of_model: usize) -> Json {
    tensor::<T>(&plan.model.tensors[of_model].shape, plan.reference(of_model))
}

fn of_operation<T: Float>(plan: &Plan<'_, T>, call: &CallSpec, operation: &KerasOperation) -> Json {
    let mut inputs = call.inputs.iter().map(|&input| called_with(plan, input));
    let args: Vec<Json> = operation
        .args
        .iter()
        .map(|argument| match argument {
            Argument::Input => inputs.next().unwrap_or_default(),
            Argument::Inputs => inputs.by_ref().collect(),
            Argument::Numbered(number) => {
                call.inputs.get(*number).map_or(Json::Null, |&input| called_with(plan, input))
            }
            Argument::Result(number) => {
                let node = call.outputs.first().map_or(0, |&output| plan.model.tensors[output].node);
                let name = plan.before[call.part].get(*number);
                tensor::<T>(&shape_of_result(plan, call, *number), json!([name, node, 0]))
            }
            Argument::Constant(constant) => constant.clone(),
        })
        .collect();
    json!({"args": args, "kwargs": operation.kwargs})
}

fn of_layer<T: Float>(plan: &Plan<'_, T>, call: &CallSpec) -> Json {
    let tensors = |list: &[usize]| list.iter().map(|&tensor| called_with(plan, tensor)).collect::<Vec<_>>();
    let part = &plan.model.parts[call.part];
    let config = part.op.as_ref().and_then(|op| op.describe().ok());
    let class = config.as_ref().and_then(|_| Class::<f32>::named(&part.class));
    let inputs = tensors(&call.inputs);
    if let Some(form) = config.as_ref().and_then(Config::entry).and_then(|entry| entry.call.as_deref()) {
        return own_call(form, inputs, tensors(&call.masks.iter().flatten().copied().collect::<Vec<_>>()));
    }
    if let Some(config) = config.as_ref().filter(|config| HEADS.contains(&&config.class[..])) {
        return of_heads(config, call, |tensor| called_with(plan, tensor));
    }
    let args = match class {
        Some(class) if class.takes_list => vec![inputs.into()],
        _ => one_or_list(inputs),
    };
    let mut kwargs = config.as_ref().map_or_else(Map::new, flags);
    let mut masks = &call.masks[..];
    // Of the key of an attention there is none.
    if let (true, [query, value, None]) = (config.is_some_and(|config| config.class == "Attention"), masks) {
        masks = if query.is_some() || value.is_some() { &masks[..2] } else { &[] };
    }
    let masks = masks.iter().map(|mask| mask.map_or(Json::Null, |mask| called_with(plan, mask))).collect();
    let more = [("mask", masks), ("initial_state", tensors(&call.initial_state))];
    for (name, tensors) in more.into_iter().filter(|(_, tensors)| !tensors.is_empty()) {
        kwargs.extend(one_or_list(tensors).into_iter().map(|tensors| (name.into(), tensors)));
    }
    json!({"args": args, "kwargs": kwargs})
}

/// A call in the form that the file had, with these tensors in their places.
fn own_call(form: &str, inputs: Vec<Json>, masks: Vec<Json>) -> Json {
    fn fill(json: &mut Json, tensors: &mut dyn Iterator<Item = Json>) {
        match json {
            json if is_tensor(json) => *json = tensors.next().unwrap_or(Json::Null),
            Json::Array(list) => list.iter_mut().for_each(|json| fill(json, &mut *tensors)),
            Json::Object(object) => {
                let mut members: Vec<(&String, &mut Json)> = object.iter_mut().collect();
                members.sort_by_key(|(name, _)| *name);
                members.into_iter().for_each(|(_, json)| fill(json, &mut *tensors));
            }
            _ => {}
        }
    }
    let (mut inputs, mut masks) = (inputs.into_iter(), masks.into_iter());
    let mut call: Json = serde_json::from_str(form).unwrap_or_default();
    fill(&mut call["args"], &mut inputs);
    if let Some(kwargs) = call.get_mut("kwargs").and_then(Json::as_object_mut) {
        let mut named: Vec<(&String, &mut Json)> = kwargs.iter_mut().collect();
        named.sort_by_key(|(name, _)| *name);
        for (name, value) in named {
            fill(value, if name == "mask" { &mut masks } else { &mut inputs });
        }
    }
    call
}

/// Attention whose tensors have names.
const HEADS: [&str; 2] = ["MultiHeadAttention", "GroupQueryAttention"];

/// A call of such attention.
fn of_heads(config: &Config, call: &CallSpec, called_with: impl Fn(usize) -> Json) -> Json {
    let says = |name: &str| config.options.contains(&(name.into(), true.into()));
    let mut names = vec!["query", "value"];
    names.extend(says("reads_mask").then_some("attention_mask"));
    names.extend(says("reads_key").then_some("key"));
    let mut named = names.iter().zip(&call.inputs).map(|(name, &tensor)| (*name, called_with(tensor)));
    let args: Vec<Json> = named.by_ref().take(2).map(|(_, tensor)| tensor).collect();
    let mut kwargs: Map<String, Json> = named.map(|(name, tensor)| (name.to_string(), tensor)).collect();
    for (name, mask) in names.iter().zip(&call.masks) {
        kwargs.extend(mask.map(|mask| (format!("{name}_mask"), called_with(mask))));
    }
    for (option, name) in [("returns_scores", "return_attention_scores"), ("causal", "use_causal_mask")] {
        if says(option) {
            kwargs.insert(name.into(), true.into());
        }
    }
    json!({"args": args, "kwargs": kwargs})
}

/// What the calls of an attention say, and not its options.
fn flags(config: &Config) -> Object {
    let names = [("causal", "use_causal_mask"), ("returns_scores", "return_attention_scores")];
    let said = |(own, name): (&str, &str)| {
        let set = config.options.iter().any(|(option, value)| option == own && *value == Value::Flag(true));
        (config.class == "Attention" && set).then(|| (name.to_string(), true.into()))
    };
    names.into_iter().filter_map(said).collect()
}

/// One by itself, several as a list.
fn one_or_list(tensors: Vec<Json>) -> Vec<Json> {
    if tensors.len() == 1 { tensors } else { vec![tensors.into()] }
}
