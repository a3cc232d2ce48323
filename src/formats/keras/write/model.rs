//! Models in Keras 3's words: their layers, inputs and outputs.

use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};

use super::super::description::join;
use super::super::words::Around;
use super::super::words::values::{object, policy};
use super::layer::{input, layer};
use super::operations::{self, KerasOperation};
use super::{Unwritten, bytes, calls, kept};
use crate::config::Config;
use crate::float::Float;
use crate::formats::save_error::SaveError;
use crate::graph::operation::{Op, Role, Which};
use crate::graph::{InputKind, InputSpec, Model, Part};
use crate::layers::summary::snake_case;
use crate::weights::WeightVisitor;

/// The type that layers of `T` compute in.
pub(super) fn dtype<T>() -> &'static str {
    if size_of::<T>() == 4 { "float32" } else { "float64" }
}

/// A model with what its layers are called in Keras, and which of Keras's its operations are.
pub(super) struct Plan<'m, T: Float> {
    pub(super) model: &'m Model<T>,
    pub(super) names: Vec<String>,
    /// Of each part; nothing of layers.
    pub(super) operations: Vec<Option<Vec<KerasOperation>>>,
    /// What all but the last of them are called.
    pub(super) before: Vec<Vec<String>>,
}

impl<'m, T: Float> Plan<'m, T> {
    /// Of the model at a path.
    pub(super) fn new(model: &'m Model<T>, path: &str) -> Result<Self, SaveError> {
        let operations = model.parts.iter().map(|part| {
            let refused = |unsaid| Unwritten::from(unsaid).of(&join(path, &part.name), &part.class);
            operations::of_part(part).transpose().map_err(refused)
        });
        let operations = operations.collect::<Result<Vec<_>, _>>()?;
        let mut taken = HashSet::new();
        let names = names(model, &mut taken);
        let before = operations.iter().zip(&names).map(|(operations, name)| {
            let all = operations.as_deref().unwrap_or_default();
            let before = &all[..all.len().saturating_sub(1)];
            before.iter().map(|one| free(format!("{name}_{}", snake_case(one.class)), &mut taken)).collect()
        });
        let before = before.collect();
        Ok(Plan { model, names, operations, before })
    }

    /// Where a tensor comes from: the layer, its call, which of the outputs.
    pub(super) fn reference(&self, tensor: usize) -> Json {
        let spec = &self.model.tensors[tensor];
        json!([self.names[spec.part], spec.node, spec.index])
    }
}

/// A model as Keras writes it; `path` is its own within others, for messages.
pub(super) fn model<T: Float>(model: &Model<T>, path: &str, name: &str) -> Result<Json, SaveError> {
    check_outside(model, path)?;
    let mut layers = Vec::new();
    let plan = Plan::new(model, path)?;
    let sequential = operations::is_sequential(model);
    for (at, part) in model.parts.iter().enumerate() {
        let own_path = join(path, &part.name);
        let mut written = match (&plan.operations[at], inputs_of(model, at)) {
            (_, Some(spec)) => input(&plan.names[at], &spec.shape, input_dtype::<T>(spec)),
            (Some(all), None) => all.last().map_or(Json::Null, |last| last.to_json(&plan.names[at])),
            (None, None) => layer_of(part, &plan.names[at], path)?,
        };
        let mut nodes = calls::nodes(&plan, at);
        let mut own = nodes.pop().unwrap_or_default();
        let kept = kept::parse(part.kept.as_deref(), &own_path)?;
        let kept = kept.map(|kept| kept::merge_calls(&mut own, kept, size_of::<T>() == 4, &own_path)).transpose()?;
        if let (false, Some(layer)) = (sequential, written.as_object_mut()) {
            layer.insert("name".into(), plan.names[at].as_str().into());
            layer.insert("inbound_nodes".into(), own.into());
        }
        kept::merge_rest(&mut written, kept, &own_path)?;
        // What is several of Keras's stands before the last of them.
        let before = plan.operations[at].iter().flatten().zip(&plan.before[at]).zip(nodes);
        layers.extend(before.map(|((operation, name), nodes)| {
            let mut one = operation.to_json(name);
            one["name"] = name.as_str().into();
            one["inbound_nodes"] = nodes.into();
            one
        }));
        layers.push(written);
    }
    let mut whole = outline(&plan, name);
    kept::merge_rest(&mut whole, kept::parse(model.kept.as_deref(), path)?, path)?;
    let config = whole.get_mut("config").and_then(Json::as_object_mut);
    let config = config.ok_or_else(|| SaveError::Kept { layer: path.into() })?;
    // What is trained here isn't frozen by the model that it is in.
    if model.parts.iter().any(|part| part.trainable > 0) {
        config.insert("trainable".into(), true.into());
    }
    config.insert("layers".into(), layers.into());
    Ok(whole)
}

/// Checks that arrays have the batch first, as Keras has it everywhere.
fn check_outside<T: Float>(model: &Model<T>, path: &str) -> Result<(), SaveError> {
    let inputs = model.inputs.iter().map(|spec| (&spec.name, spec.outside.is_some()));
    let outputs = model.output_names.iter().zip(&model.outside).map(|(name, outside)| (name, outside.is_some()));
    match inputs.chain(outputs).find(|(_, outside)| *outside) {
        None => Ok(()),
        Some((name, _)) => Err(SaveError::Class {
            prefix: join(path, name),
            class: "an input or output whose batch isn't its first axis, or is fixed".into(),
            hint: "Keras has the batch first; recurrent::file::save writes it",
        }),
    }
}

/// All of a model but its layers.
pub(super) fn outline<T: Float>(plan: &Plan<'_, T>, name: &str) -> Json {
    let model = plan.model;
    let mut config = Map::new();
    config.insert("name".into(), name_of(name).into());
    config.insert("trainable".into(), true.into());
    if operations::is_sequential(model) {
        config.insert("dtype".into(), policy(dtype::<T>()));
        if let Some(input) = model.inputs.first() {
            config.insert("build_input_shape".into(), input.shape.clone().into());
        }
        return object("keras", "Sequential", config);
    }
    let inputs = model.inputs.iter().enumerate().map(|(tensor, spec)| {
        let own = plan.reference(tensor);
        (spec.name.as_str(), model.parts[model.tensors[tensor].part].name.as_str(), own)
    });
    config.insert("input_layers".into(), structure(inputs.collect()));
    let outputs = model.outputs.iter().zip(&model.output_names).map(|(&tensor, name)| {
        let part = &model.parts[model.tensors[tensor].part];
        let mut own = plan.reference(tensor);
        // A functional model has a node of its own before those of its calls.
        let within = part.op.as_ref().map(|op| op.role());
        if matches!(within, Some(Role::Model(inner)) if !operations::is_sequential(inner)) {
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
fn names<T: Float>(model: &Model<T>, taken: &mut HashSet<String>) -> Vec<String> {
    let mut names = vec![String::new(); model.parts.len()];
    let (layers, inputs): (Vec<usize>, Vec<usize>) =
        (0..model.parts.len()).partition(|&at| model.parts[at].op.is_some());
    for at in layers.into_iter().chain(inputs) {
        names[at] = free(name_of(&model.parts[at].name), taken);
    }
    names
}

/// A name that nothing has.
fn free(mut name: String, taken: &mut HashSet<String>) -> String {
    while !taken.insert(name.clone()) {
        name.push_str("_layer");
    }
    name
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

/// A layer, or an operation, by what it says of itself alone.
pub(super) fn plain_part<T: Float>(part: &Part<T>, name: &str, path: &str) -> Result<Json, SaveError> {
    match operations::of_part(part) {
        Some(Ok(all)) => Ok(all.last().map_or(Json::Null, |last| last.to_json(name))),
        Some(Err(unsaid)) => Err(Unwritten::from(unsaid).of(&join(path, &part.name), &part.class)),
        None => layer_of(part, name, path),
    }
}

fn layer_of<T: Float>(part: &Part<T>, name: &str, path: &str) -> Result<Json, SaveError> {
    let own_path = join(path, &part.name);
    part.op.as_ref().map_or_else(|| Ok(json!({})), |op| operation(op, &around(part, name), &own_path))
}

/// What is said of a part besides its own options.
pub(super) fn around<'p, T: Float>(part: &'p Part<T>, name: &'p str) -> Around<'p> {
    let (mut learned, mut stateful) = (0, false);
    if let Some(op) = &part.op {
        op.visit_weights(Which::Trained, &mut WeightVisitor::new(&mut |_, weight| learned += weight.len()));
        stateful = matches!(op.role(), Role::Recurrent { slot: Some(_), .. });
    }
    let (class, trainable) = (keras_class(&part.class), learned == 0 || part.trainable > 0);
    Around { class, name, trainable, stateful, dtype: dtype::<T>() }
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
            described(&bytes::in_keras_words(config), around, path)
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
    if let Some(class) = config.in_fewer_bits() {
        return Err(SaveError::Quantized { layer: path.into(), class });
    }
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
        class => bytes::keras_class(class).unwrap_or(class),
    }
}
