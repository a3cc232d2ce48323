//! From the description of a model to its graph: `Sequential`, and functional models with nodes.

mod node;
mod order;
mod parts;
mod reference;

use std::collections::{BTreeMap, HashMap, HashSet};

use self::node::Node;
use self::reference::{Reference, keys, references};
use super::classes::{Class, Reader};
use super::description::{Described, DescribedModel, join};
use super::json::Json;
use super::places;
use super::version::Version;
use super::weights::{ModelPlace, Place};
use super::write;
use crate::float::Float;
use crate::formats::error::{Found, Problem, within};
use crate::formats::limits::Limits;
use crate::graph::assembly::{Assembly, Most, Refusal};
use crate::graph::{CallSpec, InputKind, Model};

/// Builds the graph call by call.
struct Graph<'r, 'a, 'm, T: Float> {
    reader: &'r Reader<'r, 'a>,
    path: String,
    depth: usize,
    assembly: Assembly<T>,
    /// The names of the parts.
    names: HashSet<&'m str>,
    /// The numbers of the tensors.
    known: HashMap<Reference<'m>, usize>,
}

impl Reader<'_, '_> {
    /// A model, from its description.
    pub(super) fn model<T: Float>(
        &self,
        model: &Described<'_>,
        place: &ModelPlace<'_>,
        depth: usize,
    ) -> Found<Model<T>> {
        within("depth", depth, self.options.limits.depth)?;
        let described = model.model()?;
        // What is wrong with a class is said before anything about its calls or its inputs.
        for layer in described.layers.iter().filter(|layer| !layer.is_model()) {
            Class::<T>::of(layer)?;
        }
        let sequential = model.is_sequential();
        self.check_dtype::<T>(described.dtype.as_ref())?;
        let groups = match place {
            ModelPlace::Group(place) => places::of_layers(sequential, &described.layers, place, self.layout)?,
            ModelPlace::Legacy | ModelPlace::Queue(_) => vec![Place::Group(String::new()); described.layers.len()],
        };
        let mut graph = Graph {
            reader: self,
            path: model.path().into(),
            depth,
            names: HashSet::new(),
            known: HashMap::new(),
            assembly: self
                .assembly(described.name.unwrap_or(if sequential { "sequential" } else { "model" }), sequential),
        };
        if described.layers.is_empty() {
            return Err(Problem::Config {
                layer: model.path().into(),
                option: "layers".into(),
                expected: "at least one layer".into(),
                found: "[]".into(),
            });
        }
        let (outputs, names) = match sequential {
            true => (graph.sequential(model, &described, &groups, place)?, vec![]),
            false => graph.functional(model, &described, &groups, place)?,
        };
        if graph.assembly.model.inputs.is_empty() || outputs.is_empty() {
            return Err(model.config.wrong("a model with inputs and outputs"));
        }
        let mut built = graph.assembly.finish(outputs, names);
        built.kept = write::kept::of_model(model, &built, self.version);
        Ok(built)
    }

    fn assembly<T: Float>(&self, name: &str, sequential: bool) -> Assembly<T> {
        let Limits { calls, elements, .. } = self.options.limits;
        Assembly::new(name, sequential, self.version == Version::Keras2, Most { calls, elements })
    }
}

/// What an unbuilt model lacks.
const BUILT: &str =
    "the shape of the input (in Python: begin with keras.Input, or call the model once, and save it again)";

/// The error for a tensor that is not there.
fn missing(layer: &str, reference: &Reference<'_>) -> Problem {
    let Reference { layer: name, node, index } = reference;
    Problem::Reference { layer: layer.into(), reference: format!("{name}[{node}][{index}]") }
}

impl<'m, T: Float> Graph<'_, '_, 'm, T> {
    fn path_of(&self, name: &str) -> String {
        join(&self.path, name)
    }

    fn sequential(
        &mut self,
        model: &Described<'m>,
        described: &DescribedModel<'m>,
        groups: &[Place<'static>],
        place: &ModelPlace<'_>,
    ) -> Found<Vec<usize>> {
        let layers = &described.layers;
        let stated = described.build_input_shape.clone().and_then(Json::given);
        let built_for = stated.map(|shape| shape.shape()).transpose()?;
        let mut previous = vec![];
        if !layers[0].is_input() {
            previous = vec![self.add_implied_input(model, &layers[0], built_for)?];
        }
        for (i, (layer, group)) in layers.iter().zip(groups).enumerate() {
            let part = self.add_part(layer, group, place, &[])?;
            if layer.is_input() {
                if i > 0 {
                    return Err(layer.unsupported("a Sequential has one InputLayer, at its start"));
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
            previous = self.add_call(0, call)?;
            if previous.len() != 1 && i + 1 < layers.len() {
                let (expected, found) = ("one output".to_string(), format!("{} outputs", previous.len()));
                return Err(Problem::Call { layer: layer.path().into(), expected, found });
            }
        }
        Ok(previous)
    }

    /// The input of a Sequential that has no layer for it: of the shape that its first layer or itself says.
    fn add_implied_input(
        &mut self,
        model: &Described<'_>,
        first: &Described<'_>,
        built_for: Option<Vec<Option<usize>>>,
    ) -> Found<usize> {
        let stated = match first.is_model() {
            true => None,
            false => first.config.glance("an object", |fields| {
                let stated = ["batch_shape", "batch_input_shape"].into_iter().find_map(|key| fields.take(key));
                stated.and_then(Json::given).map(|shape| shape.shape()).transpose()
            })?,
        };
        let shape = stated.or(built_for).ok_or_else(|| Problem::Config {
            layer: model.path().into(),
            option: "build_input_shape".into(),
            expected: BUILT.into(),
            found: "nothing".into(),
        })?;
        let through_f32 = first.class() != "Embedding" && size_of::<T>() == 8 && self.reader.dtypes.float64;
        let part = self.assembly.add_input_layer("input");
        let input = self.assembly.add_input("input".into(), shape, InputKind::Float { through_f32 }, part);
        input.map_err(|refusal| self.refused(part, refusal))
    }

    fn functional(
        &mut self,
        model: &Described<'m>,
        described: &DescribedModel<'m>,
        groups: &[Place<'static>],
        place: &ModelPlace<'_>,
    ) -> Found<(Vec<usize>, Vec<String>)> {
        let layers = &described.layers;
        let structure = |json: &Option<Json<'m>>, option: &str| match json {
            Some(json) => references(json),
            None => Err(Problem::Config {
                layer: model.path().into(),
                option: option.into(),
                expected: "tensors of layers".into(),
                found: "nothing".into(),
            }),
        };
        let inputs = structure(&described.input_layers, "input_layers")?;
        let outputs = structure(&described.output_layers, "output_layers")?;
        let mut nodes = self.nodes(layers)?;
        let offsets = self.offsets(layers, &nodes, &outputs);
        for reference in nodes.iter_mut().flatten().flat_map(Node::references_mut) {
            rebase(reference, &offsets.inner).ok_or_else(|| missing(&self.path_of(reference.layer), reference))?;
        }
        let mut parts = HashMap::new();
        for (at, (layer, group)) in layers.iter().zip(groups).enumerate() {
            let says = nodes[at].first().map_or(&[][..], |node| &node.arguments);
            let part = self.add_part(layer, group, place, says)?;
            parts.insert(layer.name, part);
        }
        let names = described.input_layers.as_ref().map_or(Ok(vec![]), keys)?;
        self.add_inputs(model, layers, &parts, inputs, names)?;
        self.add_calls(layers, &nodes)?;
        let mut tensors = Vec::new();
        for mut reference in outputs {
            let stated = reference;
            let tensor = rebase(&mut reference, &offsets.outer).and_then(|()| self.known.get(&reference).copied());
            tensors.push(tensor.ok_or_else(|| missing(&self.path_of("output_layers"), &stated))?);
        }
        Ok((tensors, described.output_layers.as_ref().map_or(Ok(vec![]), keys)?))
    }

    /// The calls of each layer.
    fn nodes(&self, layers: &[Described<'m>]) -> Found<Vec<Vec<Node<'m>>>> {
        let mut nodes: Vec<Vec<Node<'m>>> = Vec::new();
        let mut total = 0_usize;
        for layer in layers {
            let own = Node::all(layer)?;
            if layer.is_input() && !own.is_empty() {
                return Err(layer
                    .calls
                    .as_ref()
                    .map_or_else(|| layer.unsupported(""), |calls| calls.wrong("none of an InputLayer")));
            }
            total = total.saturating_add(own.len());
            within("calls", total, self.reader.options.limits.calls)?;
            nodes.push(own);
        }
        Ok(nodes)
    }

    /// Adds the inputs, in the model's order.
    fn add_inputs(
        &mut self,
        model: &Described<'_>,
        layers: &[Described<'_>],
        parts: &HashMap<&str, usize>,
        inputs: Vec<Reference<'m>>,
        keys: Vec<String>,
    ) -> Found<()> {
        let mut keys = keys.into_iter();
        for reference in inputs {
            let at = parts.get(reference.layer).copied().filter(|&at| layers[at].is_input());
            // An input has one node with one tensor.
            let at = at.filter(|_| reference.node == 0 && reference.index == 0);
            let at = at.ok_or_else(|| missing(&join(model.path(), "input_layers"), &reference))?;
            let tensor = self.add_input(&layers[at], at)?;
            if let (Some(key), Some(input)) = (keys.next(), self.assembly.model.inputs.last_mut()) {
                input.name = key;
            }
            if self.known.insert(reference, tensor).is_some() {
                return Err(Problem::DuplicateLayer { name: layers[at].path().into() });
            }
        }
        Ok(())
    }

    /// From which number on the nodes of models within are counted.
    ///
    /// In Keras 2 such a model has a node of its own before those of the calls, which the file leaves out; in Keras 3
    /// that holds for `output_layers` only.
    fn offsets(&self, layers: &[Described<'m>], nodes: &[Vec<Node<'m>>], outputs: &[Reference<'m>]) -> Offsets<'m> {
        let mut offsets = Offsets::default();
        let mut least: HashMap<&str, usize> = HashMap::new();
        for reference in nodes.iter().flatten().flat_map(Node::references).chain(outputs) {
            let least = least.entry(reference.layer).or_insert(reference.node);
            *least = reference.node.min(*least);
        }
        for layer in layers.iter().filter(|layer| layer.is_model()) {
            if self.reader.version == Version::Keras3 {
                if !layer.is_sequential() {
                    offsets.outer.insert(layer.name, 1);
                }
            } else if least.get(layer.name).is_some_and(|&least| least > 0) {
                offsets.inner.insert(layer.name, 1);
                offsets.outer.insert(layer.name, 1);
            }
        }
        offsets
    }

    /// A refusal of a layer's call as a problem of the file.
    fn refused(&self, part: usize, refusal: Refusal) -> Problem {
        match refusal {
            Refusal::Call(misfit) => Problem::Call {
                layer: self.path_of(&self.assembly.model.parts[part].name),
                expected: misfit.expected,
                found: misfit.found,
            },
            Refusal::TooMany { what, given, most } => Problem::Limit { what, limit: most as u64, given: given as u64 },
        }
    }
}

#[derive(Debug, Default)]
struct Offsets<'m> {
    inner: BTreeMap<&'m str, usize>,
    outer: BTreeMap<&'m str, usize>,
}

/// Counts a node from its model's first call; nothing if it would be before that.
fn rebase(reference: &mut Reference<'_>, offsets: &BTreeMap<&str, usize>) -> Option<()> {
    if let Some(offset) = offsets.get(reference.layer) {
        reference.node = reference.node.checked_sub(*offset)?;
    }
    Some(())
}
