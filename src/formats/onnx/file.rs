//! A file that was opened: what is in it, and recurrent nodes out of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use ndarray::ArrayD;

use super::load::Importer;
use super::messages::{Dimension, ModelProto, NodeProto, ValueInfo};
use super::node::{Node, name_of};
use super::recurrent::{self, Cell, LSTM_IN_BYTES, Recurrent, Weights};
use super::tensor::type_name;
use crate::float::Float;
use crate::formats::disk;
use crate::formats::error::{Found, Problem};
use crate::formats::limits::Limits;
use crate::formats::load_error::LoadError;
use crate::graph::Model;
use crate::graph::tensor::{Value, in_row_order};
use crate::layers::Layer;

/// An ONNX file: what goes in and comes out, its nodes, and its recurrent nodes as layers.
///
/// ```no_run
/// use ndarray::prelude::*;
/// use recurrent::{Layer, Run, onnx};
/// let file = onnx::File::open("tagger.onnx")?;
/// println!("{file}"); // its inputs, outputs, operators, and each recurrent node
/// let encoder = file.lstm::<f32>("/encoder/LSTM")?; // by the node's name or that of one of its outputs
/// let output = encoder.run(&Array3::ones((2, 20, 8)), Run::new().lengths(&[20, 7]))?;
/// println!("{}", output.sequence()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct File {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) model: ModelProto,
    pub(super) limits: Limits,
}

impl File {
    /// Opens a file with the default limits.
    ///
    /// # Errors
    /// Those of [`open_with`](File::open_with).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Self::open_with(path, &Limits::new())
    }

    /// Opens a file.
    ///
    /// # Errors
    /// [`Problem::Io`], [`Problem::Format`], [`Problem::Limit`], [`Problem::Protobuf`].
    pub fn open_with(path: impl AsRef<Path>, limits: &Limits) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = disk::read(path, limits).map_err(|problem| LoadError::new(&name, problem))?;
        Self::from_bytes(&name, bytes, limits)
    }

    /// A file in memory; `name` is for messages.
    ///
    /// # Errors
    /// Those of [`open_with`](File::open_with).
    pub fn from_bytes(name: &str, bytes: Vec<u8>, limits: &Limits) -> Result<Self, LoadError> {
        let model = disk::check_size(bytes.len() as u64, limits)
            .and_then(|()| check_format(&bytes))
            .and_then(|()| ModelProto::read(&bytes, limits))
            .map_err(|problem| LoadError::new(name, problem))?;
        Ok(File { name: name.into(), bytes, model, limits: *limits })
    }

    /// The version of ONNX's operators.
    pub fn opset(&self) -> i64 {
        self.model.opset()
    }

    /// The whole graph as a model: see [`load`](super::load).
    ///
    /// # Errors
    /// [`Problem::OnnxNode`] names a node whose operator, or an option of it, isn't supported, and says what it is;
    /// [`Problem::OnnxValue`] an input or output that a model can't have. [`Problem::OnnxTensor`],
    /// [`Problem::ExternalData`], [`Problem::DType`] for tensors; [`Problem::Limit`]; [`Problem::Reference`],
    /// [`Problem::DuplicateLayer`] for a graph that isn't sound.
    pub fn model<T: Float>(&self) -> Result<Model<T>, LoadError> {
        self.told(Importer::load(self))
    }

    /// An LSTM node, by its name or that of one of its outputs, as a layer: an [`Lstm`](crate::Lstm), which
    /// `go_backwards` if the direction is reverse, or of both directions a [`Bidirectional`](crate::Bidirectional). It
    /// reads (batch, timesteps, features) whatever the node's layout is, and returns sequences and states; its outputs
    /// past a row's end are zero, as ONNX Runtime's are: `sequence_lens` is [`lengths`](crate::Run::lengths).
    ///
    /// (Of a layer that goes backwards outputs stand in the order of processing. A row of length 0 keeps its initial
    /// state here, where the node's Y_h and Y_c are zero; [`model`](File::model) has the zeros.)
    ///
    /// # Errors
    /// [`Problem::UnknownNode`] lists the LSTM nodes; [`Problem::OnnxNode`] for weights that aren't in the file, or don't
    /// have the shapes that go together, and for a DynamicQuantizeLSTM, which is read with its graph alone; those of tensors as in [`model`](File::model).
    pub fn lstm<T: Float>(&self, name: &str) -> Result<Box<dyn Layer<T>>, LoadError> {
        self.told(self.recurrent(Cell::Lstm, name))
    }

    /// A GRU node as a [`Gru`](crate::Gru), whose `reset_after` is the node's `linear_before_reset`. See
    /// [`lstm`](File::lstm).
    ///
    /// # Errors
    /// Those of [`lstm`](File::lstm).
    pub fn gru<T: Float>(&self, name: &str) -> Result<Box<dyn Layer<T>>, LoadError> {
        self.told(self.recurrent(Cell::Gru, name))
    }

    /// An RNN node as a [`SimpleRnn`](crate::SimpleRnn). See [`lstm`](File::lstm).
    ///
    /// # Errors
    /// Those of [`lstm`](File::lstm).
    pub fn rnn<T: Float>(&self, name: &str) -> Result<Box<dyn Layer<T>>, LoadError> {
        self.told(self.recurrent(Cell::Rnn, name))
    }

    fn told<V>(&self, found: Found<V>) -> Result<V, LoadError> {
        found.map_err(|problem| LoadError::new(&self.name, problem))
    }

    fn of_cell(&self, cell: Cell) -> impl Iterator<Item = &NodeProto> {
        self.model.graph.nodes.iter().filter(move |node| node.operator == cell.operator() && is_own(&node.domain))
    }

    fn recurrent<T: Float>(&self, cell: Cell, name: &str) -> Found<Box<dyn Layer<T>>> {
        let is_it =
            |node: &&NodeProto| !name.is_empty() && (node.name == name || node.outputs.iter().any(|own| own == name));
        let in_bytes = |node: &&NodeProto| cell == Cell::Lstm && node.operator == LSTM_IN_BYTES && is_it(node);
        if let Some(node) = self.model.graph.nodes.iter().find(in_bytes) {
            let reason = "it isn't read alone: load the whole graph by onnx::load";
            return Err(Node::new(node, self.opset()).refuse(reason));
        }
        let node = self.of_cell(cell).find(is_it).ok_or_else(|| Problem::UnknownNode {
            operator: cell.operator(),
            name: name.into(),
            known: self.of_cell(cell).map(|node| name_of(node).into()).collect(),
        })?;
        let node = Node::new(node, self.opset());
        let read = Recurrent::read(&node, cell)?;
        node.most_inputs(cell.inputs())?;
        let floats = |place: usize| -> Found<Option<ArrayD<T>>> {
            let Some(name) = node.input(place) else { return Ok(None) };
            self.constant::<T>(&node, name).map(|value| Some(in_row_order(&value.floats())))
        };
        let need = |place: usize, name: &str| floats(place)?.ok_or_else(|| node.refuse(format!("it has no {name}")));
        // A layer begins with zeros; states that come from the graph are the caller's.
        for place in [Cell::INITIAL_H, Cell::INITIAL_C] {
            let stored = node.input(place).map(|name| self.constant::<T>(&node, name));
            if let Some(Ok(value)) = stored
                && value.floats().iter().any(|&number| number != T::zero())
            {
                return Err(
                    node.refuse("its initial states are weights of the file: load the whole graph by onnx::load")
                );
            }
        }
        let p = if cell == Cell::Lstm { floats(Cell::PEEPHOLES)? } else { None };
        let weights = Weights { w: need(1, "W")?, r: need(2, "R")?, b: floats(3)?, p, bytes: None };
        recurrent::layer(&node, &read, &weights, true, &self.limits)
    }

    /// A weight: an initializer, or what a Constant node gives.
    fn constant<T: Float>(&self, node: &Node<'_>, name: &str) -> Found<Value<T>> {
        let graph = &self.model.graph;
        if let Some(stored) = graph.initializers.iter().find(|stored| stored.name == name) {
            return stored.value(&self.bytes);
        }
        let makes =
            |node: &&NodeProto| node.operator == "Constant" && node.outputs.first().is_some_and(|own| own == name);
        let maker = graph.nodes.iter().find(makes).map(|maker| Node::new(maker, self.opset()));
        match maker.map(|maker| maker.tensor("value")).transpose()?.flatten() {
            Some(stored) => stored.value(&self.bytes),
            None => {
                Err(node.refuse(format!("its {name} isn't a constant of the file: load the whole graph by onnx::load")))
            }
        }
    }
}

/// Whether a domain is ONNX's own.
pub(super) fn is_own(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// What isn't ONNX, told by its first bytes.
fn check_format(bytes: &[u8]) -> Found<()> {
    let (found, hint) = match bytes {
        [b'P', b'K', 3, 4, ..] => ("a zip", "Keras's .keras files are read by keras::load, PyTorch's must be exported"),
        [0x89, b'H', b'D', b'F', ..] => ("HDF5", "Keras writes it: keras::load reads it"),
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => {
            ("a TensorFlow Lite model", "export the model it was made of to ONNX")
        }
        [_, _, _, _, b'O', b'R', b'T', b'M', ..] => ("ONNX Runtime's own format", "take the .onnx file it was made of"),
        [_, _, _, _, _, _, _, _, b'{', ..] if bytes[..8] != [8; 8] && bytes[5..8] == [0; 3] => {
            ("safetensors", "pytorch::File or recurrent::file::load reads it")
        }
        [] => ("it is empty", "torch.onnx.export writes one"),
        _ => return Ok(()),
    };
    Err(Problem::Format { found, hint })
}

/// What is in the file: inputs and outputs, how often each operator is called, and recurrent nodes.
impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ModelProto { producer, producer_version, graph, ir_version, .. } = &self.model;
        let by = [&producer[..], producer_version].join(" ");
        write!(f, "{}: ONNX, opset {}, IR {ir_version}", self.name, self.opset())?;
        if !by.trim().is_empty() {
            write!(f, ", by {}", by.trim())?;
        }
        writeln!(f)?;
        let weights: Vec<&str> = graph.initializers.iter().map(|stored| &stored.name[..]).collect();
        for input in graph.inputs.iter().filter(|input| !weights.contains(&&input.name[..])) {
            writeln!(f, "input   {input}")?;
        }
        for output in &graph.outputs {
            writeln!(f, "output  {output}")?;
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        graph.nodes.iter().for_each(|node| *counts.entry(&node.operator).or_default() += 1);
        let counts: Vec<String> = counts.iter().map(|(operator, count)| format!("{operator} {count}")).collect();
        writeln!(f, "{} nodes: {}; {} tensors", graph.nodes.len(), counts.join(", "), graph.initializers.len())?;
        for node in &graph.nodes {
            if let Some(cell) = Cell::of(&node.operator).filter(|_| is_own(&node.domain)) {
                self.show_recurrent(f, node, cell)?;
            }
        }
        Ok(())
    }
}

impl File {
    fn show_recurrent(&self, f: &mut fmt::Formatter<'_>, node: &NodeProto, cell: Cell) -> fmt::Result {
        let inputs = |place: usize| node.inputs.get(place).filter(|name| !name.is_empty());
        let stored = |name: &String| self.model.graph.initializers.iter().find(|stored| stored.name == *name);
        write!(f, "{}  {}", cell.operator(), name_of(node))?;
        let of = Node::new(node, self.opset());
        let read = match Recurrent::read(&of, cell) {
            Ok(read) => read,
            Err(problem) => return writeln!(f, ": {problem}"),
        };
        let mut sizes = [1, 2].map(|place| inputs(place).and_then(stored).and_then(|stored| stored.shape().ok()));
        if let [Some(w), Some(r)] = &mut sizes {
            let last = |shape: &[usize]| shape.last().copied().unwrap_or(0);
            write!(f, ": {} features, {} units", last(w), last(r))?;
            if let Some(w) = inputs(1).and_then(stored) {
                write!(f, ", {}", w.type_name())?;
            }
        }
        write!(f, ", {}", format!("{:?}", read.direction).to_lowercase())?;
        writeln!(f, "{}", if read.batch_first { ", batch first" } else { "" })
    }
}

impl fmt::Display for ValueInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, type_name(self.element))?;
        let Some(shape) = &self.shape else { return Ok(()) };
        let sizes: Vec<String> = shape
            .iter()
            .map(|size| match size {
                Dimension::Size(size) => size.to_string(),
                Dimension::Named(name) => name.clone(),
                Dimension::Any => "?".into(),
            })
            .collect();
        write!(f, " ({})", sizes.join(", "))
    }
}
