//! A graph of ONNX's as a model: node by node, in the file's order.
//!
//! Which axis of an input is the batch no file says for certain. It is taken to be the first one, or the one whose size
//! has a name like it; where a recurrent node (or a convolution) then finds another axis in the batch's place, or in that
//! of time, all begins again with that axis: [`Again`].

mod arrange;
mod assume;
mod call;
mod ends;
mod item;
mod operators;
mod size;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use self::assume::{Again, Assumptions};
use self::item::Item;
use self::operators::quantized;
use super::File;
use super::bytes::Bytes;
use super::file::is_own;
use super::messages::NodeProto;
use super::node::Node;
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::Model;
use crate::graph::assembly::{Assembly, Most};

/// A model that is being made of a file.
#[derive(Debug)]
pub(super) struct Importer<'f, T: Float> {
    file: &'f File,
    assume: &'f Assumptions,
    assembly: Assembly<T>,
    values: HashMap<&'f str, Item<T>>,
    /// The names of layers that are taken.
    names: HashMap<String, usize>,
    /// How often each value is read.
    uses: HashMap<&'f str, usize>,
    /// Sizes that are known by the names that the file gives them, or not at all.
    sizes: BTreeMap<&'f str, usize>,
    unknown: usize,
    /// Tensors that are others with their axes in another order, or in another shape: the other one, and which.
    permuted: HashMap<usize, (usize, Vec<usize>)>,
    reshaped: HashMap<usize, (usize, Vec<size::Size>)>,
    /// How many more numbers may be computed of constants.
    budget: usize,
    /// Nodes that another one has done with.
    done: HashSet<&'f str>,
    /// Constants that were dequantized, by their names: the bytes that they are made of.
    bytes: HashMap<&'f str, Rc<Bytes>>,
    /// Tensors that layers in fewer bits give.
    of_bytes: HashSet<usize>,
    /// Outputs of DequantizeLinear nodes whose input is dequantized already.
    dequantized: HashSet<&'f str>,
}

/// Why a model isn't made, or not so.
#[derive(Debug)]
pub(super) enum Stop {
    Problem(Problem),
    Again(Again),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Stop::Problem(problem)
    }
}

/// The result of everything that makes a part of a model.
pub(super) type Made<V> = Result<V, Stop>;

impl<'f, T: Float> Importer<'f, T> {
    /// The model of a file.
    pub(super) fn load(file: &'f File) -> Found<Model<T>> {
        let mut assume = Assumptions::of(file);
        for _ in 0..assume.most() {
            match Importer::new(file, &assume).run() {
                Ok(model) => return Ok(model),
                Err(Stop::Problem(problem)) => return Err(problem),
                Err(Stop::Again(again)) => assume.change(file, again)?,
            }
        }
        let name = file.model.graph.inputs.first().map_or("", |input| &input.name[..]);
        let reason = "which of its axes is the batch can't be told: nodes take it to be different ones".into();
        Err(Problem::OnnxValue { what: "input", name: name.into(), reason })
    }

    fn new(file: &'f File, assume: &'f Assumptions) -> Self {
        let name = if file.model.graph.name.is_empty() { "onnx" } else { &file.model.graph.name };
        let most = Most { calls: file.limits.calls, elements: file.limits.elements };
        Importer {
            file,
            assume,
            assembly: Assembly::new(name, false, false, most),
            values: HashMap::new(),
            names: HashMap::new(),
            uses: HashMap::new(),
            sizes: BTreeMap::new(),
            unknown: 0,
            permuted: HashMap::new(),
            reshaped: HashMap::new(),
            budget: (1 << 20) + 16 * file.bytes.len(),
            done: HashSet::new(),
            bytes: HashMap::new(),
            of_bytes: HashSet::new(),
            dequantized: HashSet::new(),
        }
    }

    fn run(mut self) -> Made<Model<T>> {
        let file = self.file;
        let graph = &file.model.graph;
        if graph.sparse_initializers > 0 {
            let (tensor, reason) = (String::new(), "sparse tensors aren't read");
            return Err(Problem::OnnxTensor { tensor, reason }.into());
        }
        let needed = self.needed()?;
        for stored in graph.initializers.iter().filter(|stored| self.uses.contains_key(&stored.name[..])) {
            self.values.insert(&stored.name, Item::Known(stored.value(&file.bytes)?));
        }
        self.add_inputs()?;
        let opset = file.opset();
        let of_needed = || graph.nodes.iter().zip(&needed).filter_map(|(node, needed)| needed.then_some(node));
        // Before what only leads to it is: that would be an answer to another question.
        if let Some(proto) = of_needed().find(|node| operators::WITH_GRAPHS.contains(&&node.operator[..])) {
            return Err(operators::within(&Node::new(proto, opset)).into());
        }
        for proto in of_needed() {
            if proto.outputs.first().is_some_and(|output| self.done.contains(&output[..])) {
                continue;
            }
            let node = Node::new(proto, opset);
            self.add(&node)?;
        }
        self.finish()
    }

    /// The nodes that an output depends on. Counts how often each value is read.
    fn needed(&mut self) -> Made<Vec<bool>> {
        let graph = &self.file.model.graph;
        let mut makers: HashMap<&str, usize> = HashMap::new();
        for (at, node) in graph.nodes.iter().enumerate() {
            for output in node.outputs.iter().filter(|output| !output.is_empty()) {
                if makers.insert(output, at).is_some() {
                    let name = output.clone();
                    return Err(Problem::DuplicateLayer { name }.into());
                }
            }
        }
        self.check_names(&makers)?;
        let mut needed = vec![false; graph.nodes.len()];
        let mut waiting: Vec<&str> = graph.outputs.iter().map(|output| &output.name[..]).collect();
        while let Some(name) = waiting.pop() {
            *self.uses.entry(name).or_default() += 1;
            if let Some(&at) = makers.get(name)
                && !std::mem::replace(&mut needed[at], true)
            {
                waiting.extend(graph.nodes[at].inputs.iter().map(|input| &input[..]).filter(|input| !input.is_empty()));
            }
        }
        Ok(needed)
    }

    /// Checks that no other value has a weight's or an input's name. (A weight may be among the inputs, too.)
    fn check_names(&self, makers: &HashMap<&str, usize>) -> Made<()> {
        let graph = &self.file.model.graph;
        let weights: Vec<&str> = graph.initializers.iter().map(|stored| &stored.name[..]).collect();
        let inputs: Vec<&str> = graph.inputs.iter().map(|input| &input.name[..]).collect();
        for (what, names) in [("weight", weights), ("input", inputs)] {
            let mut seen = HashSet::new();
            if let Some(name) = names.into_iter().find(|name| !seen.insert(*name) || makers.contains_key(name)) {
                let reason = "another value has its name".into();
                return Err(Problem::OnnxValue { what, name: name.into(), reason }.into());
            }
        }
        Ok(())
    }

    /// Adds what a node computes.
    fn add(&mut self, node: &Node<'f>) -> Made<()> {
        if !is_own(&node.proto.domain) && !quantized::is_one(node) {
            let functions = if self.file.model.functions > 0 { ", nor are functions of the model's own" } else { "" };
            let domain = &node.proto.domain;
            return Err(node.refuse(format!("operators of the domain {domain:?} aren't supported{functions}")).into());
        }
        for input in node.proto.inputs.iter().filter(|input| !input.is_empty()) {
            if !self.values.contains_key(&input[..]) {
                let (layer, reference) = (node.name().into(), format!("the value {input:?}"));
                return Err(Problem::Reference { layer, reference }.into());
            }
        }
        self.check_parts(node)?;
        let outputs = operators::add(self, node)?;
        node.finish()?;
        for (name, item) in node.proto.outputs.iter().zip(outputs) {
            if let Some(item) = item {
                self.values.insert(name, item);
            } else if self.uses.contains_key(&name[..]) && !name.is_empty() {
                return Err(node.refuse(format!("its output {name:?} isn't supported")).into());
            }
        }
        let unmade =
            node.proto.outputs.iter().find(|name| {
                self.uses.contains_key(&name[..]) && !name.is_empty() && !self.values.contains_key(&name[..])
            });
        match unmade {
            Some(name) => Err(node.refuse(format!("it has no output {name:?}")).into()),
            None => Ok(()),
        }
    }

    /// The value of an input, which must be there.
    fn need(&self, node: &Node<'f>, place: usize) -> Found<Item<T>> {
        self.item(node, place).cloned().ok_or_else(|| node.refuse(format!("it has no input number {place}")))
    }

    /// The value of an input; nothing for one that is left out.
    fn item(&self, node: &Node<'f>, place: usize) -> Option<&Item<T>> {
        self.values.get(node.input(place)?)
    }

    /// Whether an output is read.
    fn reads(&self, node: &Node<'f>, place: usize) -> bool {
        node.output(place).is_some_and(|name| self.uses.contains_key(name))
    }

    /// The node that alone reads a value.
    fn only_reader(&self, name: &str) -> Option<&'f NodeProto> {
        if self.uses.get(name) != Some(&1) {
            return None;
        }
        // Nodes that no output needs aren't counted, but stand there.
        let nodes = &self.file.model.graph.nodes;
        let mut readers = nodes.iter().filter(|node| node.inputs.iter().any(|input| input == name));
        let only = readers.next()?;
        readers.next().is_none().then_some(only)
    }
}
