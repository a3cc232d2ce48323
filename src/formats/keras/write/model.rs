//! Models in Keras 3's words: their layers, and how these are called.

use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};

use super::super::classes::Class;
use super::super::description::join;
use super::super::words::Around;
use super::super::words::values::{object, plain, policy};
use super::layer::{input, layer};
use super::{Unwritten, kept};
use crate::config::Config;
use crate::float::Float;
use crate::formats::save_error::SaveError;
use crate::graph::operation::{Op, Role, Which};
use crate::graph::{CallSpec, InputKind, InputSpec, Model, Part};
use crate::weights::WeightVisitor;

/// The type that layers of `T` compute in.
pub(super) fn dtype<T>() -> &'static str {
    if size_of::<T>() == 4 { "float32" } else { "float64" }
}

/// A model as Keras writes it; `path` is its own within others, for messages.
pub(super) fn model<T: Float>(model: &Model<T>, path: &str, name: &str) -> Result<Json, SaveError> {
    let mut layers = Vec::new();
    let names = names(model);
    for (at, part) in model.parts.iter().enumerate() {
        let mut written = match inputs_of(model, at) {
            Some(spec) => input(&names[at], &spec.shape, input_dtype::<T>(spec)),
            None => plain_part(part, &names[at], path)?,
        };
        if let (false, Some(layer)) = (model.sequential, written.as_object_mut()) {
            layer.insert("name".into(), names[at].as_str().into());
            layer.insert("inbound_nodes".into(), nodes(model, &names, at).into());
        }
        kept::merge_text(&mut written, part.kept.as_deref(), &join(path, &part.name))?;
        layers.push(written);
    }
    let mut whole = outline(model, name);
    kept::merge_text(&mut whole, model.kept.as_deref(), path)?;
    // What is trained here isn't frozen by the model that it is in.
    if model.parts.iter().any(|part| part.trainable > 0) {
        whole["config"]["trainable"] = true.into();
    }
    if let Some(config) = whole.get_mut("config").and_then(Json::as_object_mut) {
        config.insert("layers".into(), layers.into());
    }
    Ok(whole)
}

/// All of a model but its layers.
pub(super) fn outline<T: Float>(model: &Model<T>, name: &str) -> Json {
    let mut config = Map::new();
    config.insert("name".into(), name_of(name).into());
    config.insert("trainable".into(), true.into());
    let names = names(model);
    if model.sequential {
        config.insert("dtype".into(), policy(dtype::<T>()));
        if let Some(input) = model.inputs.first() {
            config.insert("build_input_shape".into(), input.shape.clone().into());
        }
        return object("keras", "Sequential", config);
    }
    let inputs = model.inputs.iter().enumerate().map(|(tensor, spec)| {
        let own = reference(model, &names, tensor);
        (spec.name.as_str(), model.parts[model.tensors[tensor].part].name.as_str(), own)
    });
    config.insert("input_layers".into(), structure(inputs.collect()));
    let outputs = model.outputs.iter().zip(&model.output_names).map(|(&tensor, name)| {
        let part = &model.parts[model.tensors[tensor].part];
        let mut own = reference(model, &names, tensor);
        // A functional model has a node of its own before those of its calls.
        let within = part.op.as_ref().map(|op| op.role());
        if matches!(within, Some(Role::Model(inner)) if !inner.sequential) {
            own[1] = json!(model.tensors[tensor].node + 1);
        }
        (name.as_str(), part.name.as_str(), own)
    });
    config.insert("output_layers".into(), structure(outputs.collect()));
    object("keras.src.models.functional", "Functional", config)
}

/// Tensors of a model: one, a list, or, if they have names of their own, a dictionary.
fn structure(tensors: Vec<(&str, &str, Json)>) -> Json {
    if tensors.iter().any(|(name, layer, _)| name != layer) {
        return Json::Object(tensors.into_iter().map(|(name, _, tensor)| (name.into(), tensor)).collect());
    }
    match <[_; 1]>::try_from(tensors) {
        Ok([(_, _, tensor)]) => tensor,
        Err(tensors) => tensors.into_iter().map(|(_, _, tensor)| tensor).collect(),
    }
}

/// Where a tensor comes from: the layer, its call, which of the outputs.
fn reference<T: Float>(model: &Model<T>, names: &[String], tensor: usize) -> Json {
    let spec = &model.tensors[tensor];
    json!([names[spec.part], spec.node, spec.index])
}

/// An input layer by what it says of itself alone.
pub(super) fn plain_input<T: Float>(model: &Model<T>, part: &Part<T>) -> Option<Json> {
    let spec = model.inputs.last()?;
    Some(input(&part.name, &spec.shape, input_dtype::<T>(spec)))
}

/// What an input layer reads; nothing for other layers.
fn inputs_of<T: Float>(model: &Model<T>, part: usize) -> Option<&InputSpec> {
    model.inputs.iter().enumerate().find(|(tensor, _)| model.tensors[*tensor].part == part).map(|(_, spec)| spec)
}

/// The names of the layers, as Keras 3 takes them: without slashes, which those of Keras 2 may have, and each once, which
/// the input of a Sequential needn't be.
fn names<T: Float>(model: &Model<T>) -> Vec<String> {
    let mut names = vec![String::new(); model.parts.len()];
    let mut taken = HashSet::new();
    let (layers, inputs): (Vec<usize>, Vec<usize>) =
        (0..model.parts.len()).partition(|&at| model.parts[at].op.is_some());
    for at in layers.into_iter().chain(inputs) {
        let mut name = name_of(&model.parts[at].name);
        while !taken.insert(name.clone()) {
            name.push_str("_layer");
        }
        names[at] = name;
    }
    names
}

/// A name as Keras 3 takes it.
pub(super) fn name_of(name: &str) -> String {
    name.replace('/', "_")
}

fn input_dtype<T>(spec: &InputSpec) -> &'static str {
    match spec.kind {
        InputKind::Float { through_f32: true } => "float32",
        InputKind::Float { through_f32: false } => dtype::<T>(),
        InputKind::Bool => "bool",
        InputKind::Int { min, max } => {
            let all = [
                ("int8", i8::MIN.into(), i8::MAX.into()),
                ("int16", i16::MIN.into(), i16::MAX.into()),
                ("int32", i32::MIN.into(), i32::MAX.into()),
                ("uint8", 0, u8::MAX.into()),
                ("uint16", 0, u16::MAX.into()),
                ("uint32", 0, u32::MAX.into()),
            ];
            all.iter().find(|(_, least, most)| (*least, *most) == (min, max)).map_or("int64", |(name, ..)| name)
        }
    }
}

/// A layer by what it says of itself alone.
pub(super) fn plain_part<T: Float>(part: &Part<T>, name: &str, path: &str) -> Result<Json, SaveError> {
    let own_path = join(path, &part.name);
    let Some(op) = &part.op else { return Ok(json!({})) };
    let class = keras_class(&part.class);
    let mut learned = 0;
    op.visit_weights(Which::Trained, &mut WeightVisitor::new(&mut |_, weight| learned += weight.len()));
    let around = Around {
        class,
        name,
        trainable: learned == 0 || part.trainable > 0,
        stateful: matches!(op.role(), Role::Recurrent { slot: Some(_), .. }),
        dtype: dtype::<T>(),
    };
    operation(op, &around, &own_path)
}

fn operation<T: Float>(op: &Op<T>, around: &Around<'_>, path: &str) -> Result<Json, SaveError> {
    match op.role() {
        Role::Model(inner) => model(inner, path, around.name),
        Role::TimeDistributed(inner) if inner_model(inner).is_some() => {
            let Some(inner) = inner_model(inner) else { return Ok(Json::Null) };
            let inner = model(inner, path, &inner.name)?;
            // As if there were nothing inside, which is put there.
            let nothing = Config::new("TimeDistributed").with("layer", Config::new("Flatten"));
            let mut written = described(&nothing, around, path)?;
            written["config"]["layer"] = inner;
            Ok(written)
        }
        _ => {
            let config = op.describe().map_err(|error| super::of_config(error, path))?;
            described(&config, around, path)
        }
    }
}

fn inner_model<T: Float>(operation: &dyn crate::graph::operation::Operation<T>) -> Option<&Model<T>> {
    match operation.role() {
        Role::Model(model) => Some(model),
        _ => None,
    }
}

fn described(config: &Config, around: &Around<'_>, path: &str) -> Result<Json, SaveError> {
    // A stack isn't what it is written as.
    let class = if config.class == "Stacked" { "Stacked" } else { around.class };
    layer(config, around).map_err(|unwritten: Unwritten| unwritten.of(path, class))
}

/// Keras 3's name of a class.
pub(super) fn keras_class(class: &str) -> &str {
    match class {
        "CuDNNLSTM" => "LSTM",
        "CuDNNGRU" => "GRU",
        "Model" => "Functional",
        "Stacked" => "Sequential",
        "GroupedQueryAttention" => "GroupQueryAttention",
        class => class,
    }
}

/// The calls of a layer, in order.
fn nodes<T: Float>(model: &Model<T>, names: &[String], part: usize) -> Vec<Json> {
    let mut calls: Vec<&CallSpec> = model.calls.iter().filter(|call| call.part == part).collect();
    calls.sort_by_key(|call| call.outputs.first().map_or(0, |&output| model.tensors[output].node));
    calls.into_iter().map(|call| node(model, names, call)).collect()
}

fn node<T: Float>(model: &Model<T>, names: &[String], call: &CallSpec) -> Json {
    let called_with = |tensor: usize| {
        json!({
            "class_name": "__keras_tensor__",
            "config": {
                "shape": model.tensors[tensor].shape,
                "dtype": dtype::<T>(),
                "keras_history": reference(model, names, tensor),
            },
        })
    };
    let tensors = |list: &[usize]| list.iter().map(|&tensor| called_with(tensor)).collect::<Vec<_>>();
    let part = &model.parts[call.part];
    let config = part.op.as_ref().and_then(|op| op.describe().ok());
    let class = config.as_ref().and_then(|config| Class::<f32>::to_write(&part.class, config));
    let inputs = tensors(&call.inputs);
    let mut args = match class {
        Some(class) if class.takes_each_alone() => inputs,
        Some(class) if class.takes_list => vec![inputs.into()],
        _ => one_or_list(inputs),
    };
    // What it compares with is an argument, not an option.
    if let Some(config) = config.as_ref().filter(|config| config.class == "NotEqual") {
        args.extend(config.options.iter().map(|(_, number)| plain(number)));
    }
    if let Some(config) = config.as_ref().filter(|config| HEADS.contains(&&config.class[..])) {
        return of_heads(config, call, called_with);
    }
    let mut kwargs = Map::new();
    let masks = call.masks.iter().map(|mask| mask.map_or(Json::Null, called_with)).collect();
    let more = [("mask", masks), ("initial_state", tensors(&call.initial_state))];
    for (name, tensors) in more.into_iter().filter(|(_, tensors)| !tensors.is_empty()) {
        kwargs.extend(one_or_list(tensors).into_iter().map(|tensors| (name.into(), tensors)));
    }
    json!({"args": args, "kwargs": kwargs})
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

/// One by itself, several as a list.
fn one_or_list(tensors: Vec<Json>) -> Vec<Json> {
    if tensors.len() == 1 { tensors } else { vec![tensors.into()] }
}
