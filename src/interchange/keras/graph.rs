//! From the description of a model to its graph: `Sequential`, and functional models with nodes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::config::show;
use super::layers::{Built, Reader, class_of, name_of};
use super::policy;
use super::version::Version;
use super::weights::{Layout, Place, Queue, list, trainable};
use crate::float::Float;
use crate::interchange::error::{Found, Problem, within};
use crate::model::op::Op;
use crate::model::shape::{Shape, display, product};
use crate::model::{CallSpec, InputKind, InputSpec, Model, Part, TensorSpec};

/// A JSON object.
type Object = Map<String, Value>;

/// Whether a class is a model.
pub(super) fn is_model(object: &Object) -> bool {
    let nested = object.get("config").is_some_and(|config| config.get("layers").is_some_and(Value::is_array));
    matches!(class_of(object), "Sequential" | "Functional" | "Model") && (nested || class_of(object) == "Sequential")
}

/// Whether it is an operation that isn't a layer: those have no weights.
fn is_operation(object: &Object) -> bool {
    object.get("module").and_then(Value::as_str).is_some_and(|module| module.contains(".ops."))
        || matches!(class_of(object), "NotEqual" | "Any" | "LogicalOr" | "ExpandDims" | "ZerosLike" | "OnesLike")
}

/// The layers of a model, as the configuration lists them.
pub(super) fn layers_of<'o>(object: &'o Object, path: &str) -> Found<Vec<&'o Object>> {
    let config = object.get("config").unwrap_or(&Value::Null);
    // Old versions of Keras 2 have the list itself there.
    let list = config.get("layers").or(Some(config)).and_then(Value::as_array);
    let wrong = |found: &Value| Problem::Config {
        layer: path.into(),
        option: "layers".into(),
        expected: "a list of layers".into(),
        found: show(found),
    };
    list.ok_or_else(|| wrong(config))?.iter().map(|layer| layer.as_object().ok_or_else(|| wrong(layer))).collect()
}

/// Keras's snake case of a class, for the groups of its weights.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    // (.)([A-Z][a-z]+) to \1_\2, then ([a-z])([A-Z]) to \1_\2, matches not overlapping.
    let mut first = Vec::new();
    let mut i = 0;
    while i < letters.len() {
        first.push(letters[i]);
        let word = letters.get(i + 1).is_some_and(char::is_ascii_uppercase)
            && letters.get(i + 2).is_some_and(char::is_ascii_lowercase);
        i += 1;
        if word {
            first.push('_');
            first.push(letters[i]);
            i += 1;
            while letters.get(i).is_some_and(char::is_ascii_lowercase) {
                first.push(letters[i]);
                i += 1;
            }
        }
    }
    let mut name = String::new();
    for (i, letter) in first.iter().enumerate() {
        if i > 0 && first[i - 1].is_ascii_lowercase() && letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// The names of the groups of several cells' weights: by class, counted.
pub(super) fn group_names(objects: &[&Object]) -> Vec<String> {
    class_groups(objects.iter().map(|object| (class_of(object), 1)))
}

/// The names of groups by class, counted; each class with how many numbers it takes.
pub(super) fn class_groups<'c>(classes: impl Iterator<Item = (&'c str, usize)>) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let name = |(class, numbers): (&str, usize)| {
        let name = snake_case(class);
        let count = counts.entry(name.clone()).or_default();
        let own = *count;
        *count += numbers;
        if own == 0 { name } else { format!("{name}_{own}") }
    };
    classes.map(name).collect()
}

/// Where the weights of each layer of a model are, in Keras 3's layout.
pub(super) fn places(
    object: &Object,
    layers: &[&Object],
    place: &Place<'static>,
    layout: Layout,
) -> Vec<Place<'static>> {
    let sequential = class_of(object) == "Sequential";
    let skipped = |layer: &Object| is_operation(layer) || sequential && class_of(layer) == "InputLayer";
    let kept = layers.iter().copied().filter(|layer| !skipped(layer));
    let numbers = |layer: &Object| match layout {
        Layout::CountedTwice => layout.numbers(!trainable(layer, true).is_empty()),
        _ => 1,
    };
    let mut names = class_groups(kept.map(|layer| (class_of(layer), numbers(layer)))).into_iter();
    let inner = place.child(layout.group());
    let one =
        |layer: &&Object| if skipped(layer) { inner.clone() } else { inner.child(&names.next().unwrap_or_default()) };
    layers.iter().map(one).collect()
}

/// A tensor of a node: the layer, which of its nodes, which of the node's outputs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    layer: String,
    node: usize,
    index: usize,
}

/// A call of a layer, as the configuration has it.
#[derive(Debug, Default)]
struct Node {
    inputs: Vec<Reference>,
    masks: Vec<Option<Reference>>,
    initial_state: Vec<Reference>,
    /// A number among the inputs, which `NotEqual` compares with.
    constant: Option<f64>,
}

/// Builds the graph call by call.
struct Graph<'r, 'a, T: Float> {
    reader: &'r Reader<'r, 'a>,
    path: String,
    model: Model<T>,
    /// The numbers of the tensors.
    known: BTreeMap<Reference, usize>,
}

impl Reader<'_, '_> {
    /// A model, from its description. `legacy` is the group that holds the weights in the legacy format.
    pub(super) fn model<T: Float>(
        &self,
        object: &Object,
        path: &str,
        place: &ModelPlace<'_>,
        depth: usize,
    ) -> Found<Model<T>> {
        within("depth", depth, self.options.limits.depth)?;
        let layers = layers_of(object, path)?;
        let sequential = class_of(object) == "Sequential";
        let config = object.get("config");
        let name = config.and_then(|config| config.get("name")).and_then(Value::as_str);
        let mut graph = Graph {
            reader: self,
            path: path.into(),
            known: BTreeMap::new(),
            model: Model {
                name: name.unwrap_or(if sequential { "sequential" } else { "model" }).into(),
                sequential,
                inputs: vec![],
                parts: vec![],
                calls: vec![],
                outputs: vec![],
                output_names: vec![],
                tensors: vec![],
                stateful: vec![],
                batch: None,
                cost: 0,
                elements: self.options.limits.elements,
                state_hides_mask: self.version == Version::Keras3,
                layout: Arc::default(),
            },
        };
        let groups = match place {
            ModelPlace::Group(place) => places(object, &layers, place, self.layout),
            ModelPlace::Legacy | ModelPlace::Queue(_) => vec![Place::Group(String::new()); layers.len()],
        };
        if let Some(config) = config.and_then(Value::as_object) {
            let known = ["name", "layers", "trainable", "dtype", "build_input_shape", "input_layers", "output_layers"];
            if let Some(odd) = config.keys().find(|key| !known.contains(&key.as_str())) {
                return Err(Problem::UnknownOption {
                    layer: graph.path,
                    class: class_of(object).into(),
                    option: odd.clone(),
                });
            }
        }
        if sequential {
            graph.sequential(
                &layers,
                &groups,
                place,
                config.and_then(|config| config.get("build_input_shape")),
                depth,
            )?;
        } else {
            graph.functional(object, &layers, &groups, place, depth)?;
        }
        graph.finish()
    }
}

/// Where the weights of a model's layers are.
pub(super) enum ModelPlace<'q> {
    /// Keras 3: below this group.
    Group(Place<'static>),
    /// Legacy, the whole model: a group for each layer.
    Legacy,
    /// Legacy, a model within: the next ones in the queue of the layer that it is.
    Queue(&'q Queue),
}

impl<T: Float> Graph<'_, '_, T> {
    fn layer_path(&self, name: &str) -> String {
        if self.path.is_empty() { name.into() } else { format!("{}/{name}", self.path) }
    }

    fn problem(&self, option: &str, expected: &str, found: &Value) -> Problem {
        Problem::Config {
            layer: self.path.clone(),
            option: option.into(),
            expected: expected.into(),
            found: show(found),
        }
    }

    /// Adds a layer with its weights.
    fn add_part(
        &mut self,
        object: &Object,
        group: &Place<'static>,
        place: &ModelPlace<'_>,
        constant: Option<f64>,
        depth: usize,
    ) -> Found<usize> {
        let name = name_of(object);
        let path = self.layer_path(name);
        if self.model.parts.iter().any(|part| part.name == name) {
            return Err(Problem::DuplicateLayer { name: path });
        }
        let mut part =
            Part { name: name.into(), class: class_of(object).into(), op: None, trainable: 0, non_trainable: 0 };
        match class_of(object) {
            "InputLayer" => {}
            _ if is_operation(object) => part.op = Some(self.operation(object, &path, constant)?),
            _ => {
                let queue;
                let legacy = match place {
                    ModelPlace::Group(_) => None,
                    ModelPlace::Queue(queue) => Some(*queue),
                    ModelPlace::Legacy => {
                        queue = self.queue(object, &path)?;
                        Some(&queue)
                    }
                };
                let own = legacy.map_or(group.clone(), Place::Queue);
                if is_model(object) {
                    let place = match legacy {
                        Some(queue) => ModelPlace::Queue(queue),
                        None => ModelPlace::Group(group.clone()),
                    };
                    let mut inner = self.reader.model::<T>(object, &path, &place, depth + 1)?;
                    // The states of the stateful layers within are this model's.
                    shift_slots(&mut inner, self.model.stateful.len());
                    self.model.stateful.append(&mut inner.stateful);
                    part.trainable = inner.parts.iter().map(|part| part.trainable).sum();
                    part.non_trainable = inner.parts.iter().map(|part| part.non_trainable).sum();
                    part.op = Some(Op::Model(Box::new(inner)));
                } else {
                    let Built { mut op, trainable, non_trainable, stateful } =
                        self.reader.layer::<T>(&path, object, &own, depth)?;
                    if let (Op::Recurrent { slot, .. }, Some(layout)) = (&mut op, stateful) {
                        *slot = Some(self.model.stateful.len());
                        self.model.stateful.push(layout);
                    }
                    (part.op, part.trainable, part.non_trainable) = (Some(op), trainable, non_trainable);
                }
                if let (ModelPlace::Legacy, Some(queue)) = (place, legacy) {
                    queue.finish()?;
                }
            }
        }
        self.model.parts.push(part);
        Ok(self.model.parts.len() - 1)
    }

    /// The tensors of a layer in the legacy format.
    fn queue(&self, object: &Object, path: &str) -> Found<Queue> {
        let expected = trainable(object, true);
        let name = name_of(object);
        let Some(weights) = self.reader.weights else { return Ok(Queue::new(path, vec![], &[])) };
        let file = &weights.file;
        let root = super::legacy_root(file)?;
        let group = format!("{root}{name}");
        let Some(found) = file.find(&group)? else {
            if expected.is_empty() {
                return Ok(Queue::new(path, vec![], &[]));
            }
            return Err(Problem::MissingObject { what: "group", name: group });
        };
        let names = list(file, found, "weight_names", self.reader.options.limits.tensors)?.unwrap_or_default();
        Ok(Queue::new(path, names.iter().map(|name| format!("{group}/{name}")).collect(), &expected))
    }

    /// An operation that isn't a layer: those that masks are made with.
    fn operation(&self, object: &Object, path: &str, constant: Option<f64>) -> Found<Op<T>> {
        let config = self.reader.config(path, object)?;
        let op = match config.class {
            "NotEqual" => match constant {
                Some(value) => Op::NotEqual(value),
                None => {
                    let hint = "it is supported as a comparison with a number, which masks are made with";
                    return Err(Problem::UnsupportedClass { layer: path.into(), class: "NotEqual".into(), hint });
                }
            },
            "Any" => Op::Any { axes: config.integers("axis")?, keepdims: config.flag("keepdims", false)? },
            "LogicalOr" => Op::LogicalOr,
            "ExpandDims" => Op::ExpandDims(config.integer("axis", -1)?),
            "ZerosLike" | "OnesLike" => {
                config.only("dtype", &Value::from("bool"), "as part of a mask only")?;
                Op::Flags(config.class == "OnesLike")
            }
            "Concatenate" => Op::Concatenate { axis: config.integer("axis", -1)? },
            class => {
                let hint = "operations outside of layers are supported as far as masks are made with them";
                return Err(Problem::UnsupportedClass { layer: path.into(), class: class.into(), hint });
            }
        };
        config.finish()?;
        Ok(op)
    }

    /// Adds an input.
    fn add_input(&mut self, object: &Object, part: usize) -> Found<usize> {
        let path = self.layer_path(name_of(object));
        let config = self.reader.config(&path, object)?;
        let shape = config.get("batch_shape").or(config.get("batch_input_shape"));
        let shape = match (shape, config.get("input_shape")) {
            (Some(shape), _) => self.shape(shape)?,
            (None, Some(rest)) => [vec![None], self.shape(rest)?].concat(),
            (None, None) => return Err(config.wrong("batch_shape", "a list of sizes", &Value::Null)),
        };
        for option in ["sparse", "ragged", "optional"] {
            config.only(option, &Value::Bool(false), "only dense inputs that must be given are supported")?;
        }
        let double = size_of::<T>() == 8;
        let dtype = config.get("dtype");
        let kind = match dtype.map_or(Some("float32"), Value::as_str) {
            Some("float32") => InputKind::Float { through_f32: double && self.reader.has_float64 },
            Some("float64") if double => InputKind::Float { through_f32: false },
            Some(half) if policy::is_widened(half, self.reader.options) => InputKind::Float { through_f32: false },
            Some("int8") => InputKind::Int { min: i8::MIN.into(), max: i8::MAX.into() },
            Some("int16") => InputKind::Int { min: i16::MIN.into(), max: i16::MAX.into() },
            Some("int32") => InputKind::Int { min: i32::MIN.into(), max: i32::MAX.into() },
            Some("int64") => InputKind::Int { min: i64::MIN, max: i64::MAX },
            Some("uint8") => InputKind::Int { min: 0, max: u8::MAX.into() },
            Some("uint16") => InputKind::Int { min: 0, max: u16::MAX.into() },
            Some("uint32") => InputKind::Int { min: 0, max: u32::MAX.into() },
            Some("bool") => InputKind::Bool,
            other => {
                let hint = policy::input_hint(other);
                let dtype = dtype.map_or("unknown".into(), show);
                return Err(Problem::DType { layer: path, dtype, hint });
            }
        };
        config.finish()?;
        self.add_input_spec(name_of(object).into(), shape, kind, part)
    }

    fn add_input_spec(&mut self, name: String, shape: Shape, kind: InputKind, part: usize) -> Found<usize> {
        let batch = shape.first().copied().flatten();
        self.model.batch = self.model.batch.or(batch);
        let tensor = self.add_tensor(TensorSpec { part, node: 0, index: 0, shape: shape.clone() })?;
        self.model.inputs.push(InputSpec { name, shape, kind });
        Ok(tensor)
    }

    fn add_tensor(&mut self, tensor: TensorSpec) -> Found<usize> {
        let limits = &self.reader.options.limits;
        if let Some(elements) = product(tensor.shape.get(1..).unwrap_or(&[])) {
            within("elements", elements, limits.elements)?;
        } else if tensor.shape.iter().skip(1).all(Option::is_some) {
            within("elements", usize::MAX, limits.elements)?;
        }
        for &size in tensor.shape.iter().skip(1).flatten() {
            within("elements", size, limits.elements)?;
        }
        self.model.tensors.push(tensor);
        Ok(self.model.tensors.len() - 1)
    }

    /// A shape: a list of sizes, `null` for any.
    fn shape(&self, value: &Value) -> Found<Shape> {
        let wrong = || self.problem("batch_shape", "a list of sizes and nulls", value);
        let list = value.as_array().filter(|list| list.len() <= 16).ok_or_else(wrong)?;
        let size = |size: &Value| match size {
            Value::Null => Ok(None),
            size => size.as_u64().and_then(|size| size.try_into().ok()).map(Some).ok_or_else(wrong),
        };
        list.iter().map(size).collect()
    }

    /// Adds a call of a layer; returns the numbers of its outputs.
    fn add_call(&mut self, part: usize, node: usize, mut call: CallSpec) -> Found<Vec<usize>> {
        let Some(op) = self.model.parts.get(part).and_then(|part| part.op.as_ref()) else { return Ok(vec![]) };
        let cost = match op {
            Op::Model(inner) => inner.cost,
            _ => 1,
        };
        let cost = self.model.cost.saturating_add(cost);
        within("calls", cost, self.reader.options.limits.calls)?;
        self.model.cost = cost;
        // Keras 2 has the parts of an initial state among the inputs.
        if matches!(op, Op::Recurrent { .. }) && call.inputs.len() > 1 {
            call.initial_state.splice(0..0, call.inputs.drain(1..));
        }
        let shapes: Vec<Shape> = call.inputs.iter().map(|&input| self.model.tensors[input].shape.clone()).collect();
        let path = self.layer_path(&self.model.parts[part].name);
        let outputs = op.infer(&shapes).map_err(|misfit| Problem::Call {
            layer: path.clone(),
            expected: misfit.expected,
            found: misfit.found,
        })?;
        if let Op::Recurrent { layer, .. } = op
            && !call.initial_state.is_empty()
        {
            let layout = layer.state_layout();
            let parts: Vec<usize> = layout.names().filter_map(|name| layout.columns(name)).map(|c| c.len()).collect();
            let given: Vec<&Shape> =
                call.initial_state.iter().map(|&tensor| &self.model.tensors[tensor].shape).collect();
            let fits = parts.len() == given.len()
                && parts
                    .iter()
                    .zip(&given)
                    .all(|(&width, shape)| matches!(shape[..], [_, last] if last.is_none_or(|last| last == width)));
            if !fits {
                let found: Vec<String> = given.iter().map(|shape| display(shape)).collect();
                let expected = format!("an initial state of {layout}");
                return Err(Problem::Call { layer: path, expected, found: found.join(", ") });
            }
        } else if !call.initial_state.is_empty() {
            let (expected, found) = ("no initial state".into(), "one".into());
            return Err(Problem::Call { layer: path, expected, found });
        }
        for (index, shape) in outputs.into_iter().enumerate() {
            let tensor = self.add_tensor(TensorSpec { part, node, index, shape })?;
            call.outputs.push(tensor);
        }
        let outputs = call.outputs.clone();
        self.model.calls.push(call);
        Ok(outputs)
    }

    fn sequential(
        &mut self,
        layers: &[&Object],
        groups: &[Place<'static>],
        place: &ModelPlace<'_>,
        build_shape: Option<&Value>,
        depth: usize,
    ) -> Found<()> {
        let Some(&first) = layers.first() else {
            return Err(self.problem("layers", "at least one layer", &Value::Null));
        };
        let mut previous = vec![];
        if class_of(first) != "InputLayer" {
            let config = first.get("config");
            let stated = ["batch_shape", "batch_input_shape"].iter().find_map(|key| config.and_then(|c| c.get(*key)));
            let shape = match stated.or(build_shape).filter(|shape| shape.is_array()) {
                Some(shape) => self.shape(shape)?,
                None if is_model(first) => {
                    // The model within says what it reads.
                    let inner =
                        self.reader.model::<T>(first, "", &ModelPlace::Group(Place::Group(String::new())), depth + 1);
                    drop(inner);
                    return Err(self.problem("build_input_shape", "the shape of the input", &Value::Null));
                }
                None => return Err(self.problem("batch_input_shape", "the shape of the input", &Value::Null)),
            };
            let kind = match class_of(first) {
                "Embedding" => InputKind::Float { through_f32: false },
                _ => InputKind::Float { through_f32: size_of::<T>() == 8 && self.reader.has_float64 },
            };
            let part =
                Part { name: "input".into(), class: "InputLayer".into(), op: None, trainable: 0, non_trainable: 0 };
            self.model.parts.push(part);
            previous = vec![self.add_input_spec("input".into(), shape, kind, 0)?];
        }
        for (i, (&layer, group)) in layers.iter().zip(groups).enumerate() {
            let part = self.add_part(layer, group, place, None, depth)?;
            if class_of(layer) == "InputLayer" {
                if i > 0 {
                    return Err(self.problem(
                        "layers",
                        "an InputLayer at the start only",
                        &Value::from(name_of(layer)),
                    ));
                }
                previous = vec![self.add_input(layer, part)?];
                continue;
            }
            let call = CallSpec {
                part,
                inputs: previous,
                masks: vec![],
                initial_state: vec![],
                outputs: vec![],
                drops: vec![],
            };
            previous = self.add_call(part, 0, call)?;
            if previous.len() != 1 && i + 1 < layers.len() {
                let layer = self.layer_path(name_of(layer));
                let (expected, found) = ("one output".to_string(), format!("{} outputs", previous.len()));
                return Err(Problem::Call { layer, expected, found });
            }
        }
        self.model.outputs = previous;
        Ok(())
    }

    fn functional(
        &mut self,
        object: &Object,
        layers: &[&Object],
        groups: &[Place<'static>],
        place: &ModelPlace<'_>,
        depth: usize,
    ) -> Found<()> {
        let config = object.get("config").unwrap_or(&Value::Null);
        let mut nodes: Vec<Vec<Node>> = Vec::new();
        let mut total = 0_usize;
        for &layer in layers {
            let path = self.layer_path(name_of(layer));
            let list = layer.get("inbound_nodes").unwrap_or(&Value::Null);
            let list = list.as_array().ok_or_else(|| self.problem("inbound_nodes", "a list", list))?;
            total = total.saturating_add(list.len());
            within("calls", total, self.reader.options.limits.calls)?;
            nodes.push(list.iter().map(|node| self.node(node, layer, &path)).collect::<Found<_>>()?);
        }
        let offsets = self.offsets(layers, &nodes, config)?;
        for node in nodes.iter_mut().flatten() {
            let masks = node.masks.iter_mut().flatten();
            for reference in node.inputs.iter_mut().chain(masks).chain(&mut node.initial_state) {
                rebase(reference, &offsets.inner);
            }
        }
        let mut places = BTreeMap::new();
        for (at, (&layer, group)) in layers.iter().zip(groups).enumerate() {
            let constant = nodes[at].first().and_then(|node| node.constant);
            let part = self.add_part(layer, group, place, constant, depth)?;
            places.insert(name_of(layer).to_string(), part);
            if class_of(layer) == "InputLayer" && !nodes[at].is_empty() {
                return Err(self.problem("inbound_nodes", "none of an InputLayer", &Value::from(name_of(layer))));
            }
        }
        let mut keys = keys_of(config.get("input_layers")).into_iter();
        for mut reference in self.references("input_layers", config)? {
            rebase(&mut reference, &offsets.outer);
            let at =
                layers.iter().position(|&layer| name_of(layer) == reference.layer && class_of(layer) == "InputLayer");
            let at = at.ok_or_else(|| self.missing("input_layers", &reference))?;
            let tensor = self.add_input(layers[at], at)?;
            if let (Some(key), Some(input)) = (keys.next(), self.model.inputs.last_mut()) {
                input.name = key.clone();
            }
            if self.known.insert(Reference { node: 0, index: 0, ..reference.clone() }, tensor).is_some() {
                return Err(Problem::DuplicateLayer { name: self.layer_path(&reference.layer) });
            }
        }
        self.order(layers, nodes)?;
        for mut reference in self.references("output_layers", config)? {
            rebase(&mut reference, &offsets.outer);
            let tensor = self.known.get(&reference).copied();
            self.model.outputs.push(tensor.ok_or_else(|| self.missing("output_layers", &reference))?);
        }
        self.model.output_names = keys_of(config.get("output_layers"));
        Ok(())
    }

    /// Adds the calls in an order in which they can be done: each after those that it reads from.
    fn order(&mut self, layers: &[&Object], nodes: Vec<Vec<Node>>) -> Found<()> {
        // The calls that wait for a node, and how many nodes each still waits for.
        let mut waiting: BTreeMap<(&str, usize), Vec<(usize, usize)>> = BTreeMap::new();
        let mut missing: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut ready = VecDeque::new();
        let node_counts: BTreeMap<&str, usize> =
            layers.iter().zip(&nodes).map(|(layer, nodes)| (name_of(layer), nodes.len())).collect();
        for (part, nodes) in nodes.iter().enumerate() {
            for (index, node) in nodes.iter().enumerate() {
                let all = node.inputs.iter().chain(node.masks.iter().flatten()).chain(&node.initial_state);
                let mut needs = BTreeSet::new();
                for reference in all {
                    let input = self.known.contains_key(reference);
                    let there = node_counts.get(reference.layer.as_str()).is_some_and(|&count| reference.node < count);
                    if !input && !there {
                        return Err(self.missing(name_of(layers[part]), reference));
                    }
                    if !input {
                        needs.insert((reference.layer.as_str(), reference.node));
                    }
                }
                if needs.is_empty() {
                    ready.push_back((part, index));
                }
                missing.insert((part, index), needs.len());
                for need in needs {
                    waiting.entry(need).or_default().push((part, index));
                }
            }
        }
        let mut done = 0;
        while let Some((part, index)) = ready.pop_front() {
            done += 1;
            let node = &nodes[part][index];
            let find = |reference: &Reference| {
                let known = self.known.get(reference).copied();
                known.ok_or_else(|| self.missing(name_of(layers[part]), reference))
            };
            let mask = |mask: &Option<Reference>| mask.as_ref().map(find).transpose();
            let call = CallSpec {
                part,
                inputs: node.inputs.iter().map(find).collect::<Found<_>>()?,
                masks: node.masks.iter().map(mask).collect::<Found<_>>()?,
                initial_state: node.initial_state.iter().map(find).collect::<Found<_>>()?,
                outputs: vec![],
                drops: vec![],
            };
            let outputs = self.add_call(part, index, call)?;
            let layer = name_of(layers[part]);
            for (output, tensor) in outputs.into_iter().enumerate() {
                self.known.insert(Reference { layer: layer.into(), node: index, index: output }, tensor);
            }
            for after in waiting.remove(&(layer, index)).into_iter().flatten() {
                if let Some(count) = missing.get_mut(&after) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push_back(after);
                    }
                }
            }
        }
        if done == missing.len() {
            return Ok(());
        }
        let left =
            missing.iter().filter(|(_, count)| **count > 0).map(|((part, _), _)| name_of(layers[*part]).to_string());
        let left: BTreeSet<String> = left.collect();
        Err(Problem::Cycle { layers: left.into_iter().take(16).collect() })
    }

    fn missing(&self, layer: &str, reference: &Reference) -> Problem {
        let Reference { layer: name, node, index } = reference;
        Problem::Reference { layer: self.layer_path(layer), reference: format!("{name}[{node}][{index}]") }
    }

    /// The references in `input_layers` or `output_layers`, in the order of the model's inputs or outputs.
    fn references(&self, key: &'static str, config: &Value) -> Found<Vec<Reference>> {
        let value = config.get(key).unwrap_or(&Value::Null);
        let mut found = Vec::new();
        let mut waiting = vec![value];
        while let Some(value) = waiting.pop() {
            match value {
                Value::Array(list) if list.first().is_some_and(Value::is_string) => {
                    let reference = reference(list).ok_or_else(|| self.problem(key, "[name, node, tensor]", value))?;
                    found.push(reference);
                }
                Value::Array(list) => waiting.extend(list.iter().rev()),
                // Sorted by key, as Keras flattens it: the map is sorted.
                Value::Object(map) => waiting.extend(map.values().rev()),
                _ => return Err(self.problem(key, "tensors of layers", value)),
            }
        }
        if found.is_empty() { Err(self.problem(key, "at least one tensor", value)) } else { Ok(found) }
    }

    /// From which number on the nodes of models within are counted.
    ///
    /// In Keras 2 such a model has a node of its own before those of the calls, which the file leaves out; in Keras 3
    /// that holds for `output_layers` only.
    fn offsets(&self, layers: &[&Object], nodes: &[Vec<Node>], config: &Value) -> Found<Offsets> {
        let mut offsets = Offsets::default();
        for &layer in layers.iter().filter(|layer| is_model(layer)) {
            let name = name_of(layer);
            if self.reader.version == Version::Keras3 {
                if class_of(layer) != "Sequential" {
                    offsets.outer.insert(name.into(), 1);
                }
                continue;
            }
            let inner = nodes.iter().flatten().flat_map(|node| {
                node.inputs.iter().chain(node.masks.iter().flatten()).chain(&node.initial_state).cloned()
            });
            let outer = self.references("output_layers", config)?;
            let least = inner.chain(outer).filter(|reference| reference.layer == name).map(|r| r.node).min();
            if least.is_some_and(|least| least > 0) {
                offsets.inner.insert(name.into(), 1);
                offsets.outer.insert(name.into(), 1);
            }
        }
        Ok(offsets)
    }

    /// A call, in the form of either version.
    fn node(&self, value: &Value, layer: &Object, path: &str) -> Found<Node> {
        let wrong = |found: &Value| Problem::Config {
            layer: path.into(),
            option: "inbound_nodes".into(),
            expected: "calls on tensors of layers".into(),
            found: show(found),
        };
        let mut node = Node::default();
        if let Some(call) = value.as_object() {
            let args = call.get("args").and_then(Value::as_array).ok_or_else(|| wrong(value))?;
            let names = argument_names(class_of(layer));
            for (i, argument) in args.iter().enumerate() {
                let name = names.get(i).copied().unwrap_or("");
                self.argument(&mut node, name, argument, layer, path)?;
            }
            let empty = Map::new();
            for (name, argument) in call.get("kwargs").and_then(Value::as_object).unwrap_or(&empty) {
                let name = if names.first() == Some(&name.as_str()) { "inputs" } else { name };
                self.argument(&mut node, name, argument, layer, path)?;
            }
        } else {
            for input in value.as_array().ok_or_else(|| wrong(value))? {
                let list = input.as_array().ok_or_else(|| wrong(input))?;
                node.inputs.push(reference(list).ok_or_else(|| wrong(input))?);
                let empty = Map::new();
                let more = list.get(3).and_then(Value::as_object).unwrap_or(&empty);
                for (name, argument) in more {
                    self.argument(&mut node, name, argument, layer, path)?;
                }
            }
        }
        if node.inputs.is_empty() {
            return Err(wrong(value));
        }
        Ok(node)
    }

    /// One argument of a call.
    fn argument(&self, node: &mut Node, name: &str, value: &Value, layer: &Object, path: &str) -> Found<()> {
        let refuse = |reason| {
            Err(Problem::UnsupportedOption {
                layer: path.into(),
                class: class_of(layer).into(),
                option: format!("call argument {name}"),
                value: show(value),
                reason,
            })
        };
        let tensors = |value: &Value| self.tensors(value, path);
        match name {
            _ if value.is_null() && name != "inputs" => {}
            "inputs" | "sequences" | "x1" | "x2" | "x" if value.is_number() && class_of(layer) == "NotEqual" => {
                node.constant = value.as_f64();
            }
            "inputs" | "sequences" | "x1" | "x2" | "x" => node.inputs.extend(tensors(value)?),
            "mask" => match value {
                Value::Array(list) if !list.first().is_some_and(Value::is_string) => {
                    for mask in list {
                        node.masks.push(if mask.is_null() { None } else { tensors(mask)?.into_iter().next() });
                    }
                }
                mask => node.masks.extend(tensors(mask)?.into_iter().map(Some)),
            },
            "initial_state" => node.initial_state.extend(tensors(value)?),
            "training" if value == &Value::Bool(false) => {}
            "training" => return refuse("the model would be in training mode for ever"),
            _ => return refuse("calls with inputs, mask and initial_state are supported"),
        }
        Ok(())
    }

    /// All tensors of a nested list, in order.
    fn tensors(&self, value: &Value, path: &str) -> Found<Vec<Reference>> {
        let mut found = Vec::new();
        let mut waiting = vec![value];
        while let Some(value) = waiting.pop() {
            match value {
                Value::Array(list) if list.first().is_some_and(Value::is_string) => {
                    found.push(reference(list).ok_or_else(|| self.problem("inbound_nodes", "a tensor", value))?);
                }
                Value::Array(list) => waiting.extend(list.iter().rev()),
                Value::Object(map) if map.get("class_name").and_then(Value::as_str) == Some("__keras_tensor__") => {
                    let history = map.get("config").and_then(|config| config.get("keras_history"));
                    let list = history.and_then(Value::as_array).and_then(|list| reference(list));
                    found.push(list.ok_or_else(|| self.problem("keras_history", "a tensor of a layer", value))?);
                }
                // A dictionary of inputs, which Keras flattens sorted by key.
                Value::Object(map) if !map.contains_key("class_name") => waiting.extend(map.values().rev()),
                _ => {
                    return Err(Problem::Config {
                        layer: path.into(),
                        option: "inbound_nodes".into(),
                        expected: "tensors of layers".into(),
                        found: show(value),
                    });
                }
            }
        }
        Ok(found)
    }

    /// What each call may forget: tensors that no later call reads and that aren't outputs.
    fn finish(mut self) -> Found<Model<T>> {
        let mut seen: BTreeSet<usize> = self.model.outputs.iter().copied().collect();
        for call in self.model.calls.iter_mut().rev() {
            let masks = call.masks.iter().flatten();
            let read: Vec<usize> =
                call.inputs.iter().chain(masks).chain(&call.initial_state).chain(&call.outputs).copied().collect();
            call.drops = read.into_iter().filter(|&tensor| seen.insert(tensor)).collect();
        }
        if self.model.inputs.is_empty() || self.model.outputs.is_empty() {
            return Err(self.problem("layers", "inputs and outputs", &Value::Null));
        }
        let layer = |&output: &usize| {
            let part = self.model.tensors.get(output).and_then(|tensor| self.model.parts.get(tensor.part));
            part.map_or(String::new(), |part| part.name.clone())
        };
        if self.model.output_names.is_empty() {
            self.model.output_names = self.model.outputs.iter().map(layer).collect();
        }
        // The inputs are the first tensors: that they are was their order of being added.
        Ok(self.model)
    }
}

/// The keys of a dictionary of tensors, sorted; none for what isn't one.
fn keys_of(tensors: Option<&Value>) -> Vec<String> {
    let Some(Value::Object(map)) = tensors else { return vec![] };
    let flat =
        map.values().all(|tensor| tensor.as_array().is_some_and(|list| list.first().is_some_and(Value::is_string)));
    if flat { map.keys().cloned().collect() } else { vec![] }
}

#[derive(Debug, Default)]
struct Offsets {
    inner: BTreeMap<String, usize>,
    outer: BTreeMap<String, usize>,
}

fn rebase(reference: &mut Reference, offsets: &BTreeMap<String, usize>) {
    if let Some(offset) = offsets.get(&reference.layer) {
        reference.node = reference.node.saturating_sub(*offset);
    }
}

/// `["name", node, tensor]`.
fn reference(list: &[Value]) -> Option<Reference> {
    let number = |at: usize| list.get(at)?.as_u64()?.try_into().ok();
    Some(Reference { layer: list.first()?.as_str()?.into(), node: number(1)?, index: number(2)? })
}

/// The arguments of a layer's `call`, in order.
fn argument_names(class: &str) -> &'static [&'static str] {
    match class {
        "SimpleRNN" | "LSTM" | "GRU" | "RNN" | "Bidirectional" => &["sequences", "initial_state", "mask", "training"],
        "NotEqual" | "LogicalOr" => &["x1", "x2"],
        "Any" | "ExpandDims" | "ZerosLike" | "OnesLike" => &["x"],
        "Dropout" => &["inputs", "training"],
        "Softmax" => &["inputs", "mask"],
        _ => &["inputs", "training", "mask"],
    }
}

/// Moves the places of states behind those of the outer model.
fn shift_slots<T: Float>(model: &mut Model<T>, by: usize) {
    for part in &mut model.parts {
        match &mut part.op {
            Some(Op::Recurrent { slot: Some(slot), .. }) => *slot += by,
            Some(Op::Model(inner)) => shift_slots(inner, by),
            _ => {}
        }
    }
}
