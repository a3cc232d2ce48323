//! A graph of calls, built by hand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::assembly::{Assembly, Most, Refusal};
use super::layer::AnyLayer;
use super::operation::{Role, depth};
use super::{CallSpec, InputKind, Model, Part};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory;

/// Builds a [`Model`] call by call: what Keras's functional API does. Made by [`Model::builder`].
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Lstm, Model};
/// let mut graph = Model::<f32>::builder("translator");
/// // Shapes are written without the batch; None is any size.
/// let (source, target) = (graph.input("source", [None, Some(8)])?, graph.input("target", [None, Some(6)])?);
/// let encoded = graph.call("encoder", Lstm::builder(8, 16).return_state(true).build()?, &[source])?; // output, h, c
/// let decoder = Lstm::builder(6, 16).return_sequences(true).build()?;
/// let decoded = graph.call_with("decoder", decoder, &[target], |call| call.initial_state(&encoded[1..]))?;
/// let words = graph.call("words", Dense::new(16, 5), &[decoded[0]])?;
/// let model = graph.build(&[words[0]])?;
/// println!("{model}");
/// let (a, b) = (Array3::<f32>::ones((2, 9, 8)), Array3::<f32>::ones((2, 4, 6)));
/// let outputs = model.predict_named(&[("target", (&b).into()), ("source", (&a).into())])?;
/// assert_eq!(outputs[0].shape(), [2, 4, 5]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug)]
pub struct ModelBuilder<T: Float = f32> {
    assembly: Assembly<T>,
    /// The number of calls of each part.
    calls: Vec<usize>,
    /// The parts, by their names.
    names: BTreeMap<String, usize>,
    id: u64,
}

/// A tensor of a graph that is being built: an input, or what a call gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelNode {
    builder: u64,
    tensor: usize,
}

/// What a call takes besides its inputs: see [`ModelBuilder::call_with`].
#[derive(Debug, Default)]
#[must_use = "options do nothing until a call gets them"]
pub struct CallOptions {
    initial_state: Vec<ModelNode>,
    masks: Vec<ModelNode>,
}

impl CallOptions {
    /// The state that a layer over time begins with: its parts in Keras's order, as a layer with `return_state` gives
    /// them behind its output.
    pub fn initial_state(mut self, parts: &[ModelNode]) -> Self {
        self.initial_state = parts.to_vec();
        self
    }

    /// The mask, in the place of the one that the input carries: what isn't zero is live. A model as a layer takes one
    /// for each of its inputs.
    pub fn mask(mut self, masks: &[ModelNode]) -> Self {
        self.masks = masks.to_vec();
        self
    }
}

impl<T: Float> Model<T> {
    /// A builder for a model of this name, a graph of calls. One layer after another is
    /// [`Sequential::builder`](crate::Sequential::builder).
    pub fn builder(name: &str) -> ModelBuilder<T> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let assembly = Assembly::new(name, false, false, Most::default());
        ModelBuilder { assembly, calls: vec![], names: BTreeMap::new(), id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }
}

impl<T: Float> ModelBuilder<T> {
    /// An input of floats, of this shape without the batch; `None` is any size.
    ///
    /// # Errors
    /// [`Error::DuplicateName`], [`Error::TensorTooLarge`].
    pub fn input(&mut self, name: &str, shape: impl AsRef<[Option<usize>]>) -> Result<ModelNode> {
        self.add_input(name, shape.as_ref(), InputKind::Float { through_f32: false })
    }

    /// An input of integers, as an Embedding reads them.
    ///
    /// # Errors
    /// Those of [`input`](ModelBuilder::input).
    pub fn input_of_ids(&mut self, name: &str, shape: impl AsRef<[Option<usize>]>) -> Result<ModelNode> {
        self.add_input(name, shape.as_ref(), InputKind::IDS)
    }

    /// An input of flags, to be a mask.
    ///
    /// # Errors
    /// Those of [`input`](ModelBuilder::input).
    pub fn input_of_flags(&mut self, name: &str, shape: impl AsRef<[Option<usize>]>) -> Result<ModelNode> {
        self.add_input(name, shape.as_ref(), InputKind::Bool)
    }

    fn add_input(&mut self, name: &str, shape: &[Option<usize>], kind: InputKind) -> Result<ModelNode> {
        self.check_name("input", name)?;
        let part = self.assembly.add_input_layer(name);
        self.calls.push(0);
        self.names.insert(name.into(), part);
        let shape = [&[None], shape].concat();
        let tensor =
            self.assembly.add_input(name.into(), shape, kind, part).map_err(|refusal| refused(name, refusal))?;
        Ok(self.node(tensor))
    }

    /// Calls a new layer of this name on tensors, and returns what it gives: the output (two of a
    /// [`Bidirectional`](crate::Bidirectional) that doesn't merge), then with `return_state` the parts of the state.
    ///
    /// # Errors
    /// [`Error::DuplicateName`] for a name that is taken, [`Error::ForeignNode`] for a tensor of another builder,
    /// [`Error::ModelCall`] for a layer that can't read these inputs, [`Error::TensorTooLarge`],
    /// [`Error::NestedTooDeep`] for models in models in models.
    pub fn call(&mut self, name: &str, layer: impl Into<AnyLayer<T>>, inputs: &[ModelNode]) -> Result<Vec<ModelNode>> {
        self.call_with(name, layer, inputs, |call| call)
    }

    /// [`call`](ModelBuilder::call) with more said: an initial state, a mask.
    ///
    /// # Errors
    /// Those of [`call`](ModelBuilder::call).
    pub fn call_with(
        &mut self,
        name: &str,
        layer: impl Into<AnyLayer<T>>,
        inputs: &[ModelNode],
        options: impl FnOnce(CallOptions) -> CallOptions,
    ) -> Result<Vec<ModelNode>> {
        self.check_name("layer", name)?;
        let part = self.assembly.add_layer(name, layer.into())?;
        self.calls.push(0);
        self.names.insert(name.into(), part);
        self.add_call(name, part, inputs, options(CallOptions::default()))
    }

    /// Calls a layer that was called before: a shared layer, whose weights are there once.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the layers there are; those of [`call`](ModelBuilder::call).
    pub fn call_again(&mut self, name: &str, inputs: &[ModelNode]) -> Result<Vec<ModelNode>> {
        self.call_again_with(name, inputs, |call| call)
    }

    /// [`call_again`](ModelBuilder::call_again) with more said.
    ///
    /// # Errors
    /// Those of [`call_again`](ModelBuilder::call_again).
    pub fn call_again_with(
        &mut self,
        name: &str,
        inputs: &[ModelNode],
        options: impl FnOnce(CallOptions) -> CallOptions,
    ) -> Result<Vec<ModelNode>> {
        let parts = &self.assembly.model.parts;
        let part = self.names.get(name).copied().filter(|&part| parts[part].op.is_some()).ok_or_else(|| {
            let layers = parts.iter().filter(|part| part.op.is_some()).map(|part| part.name.clone());
            Error::unknown_name("layer", name, layers)
        })?;
        self.add_call(name, part, inputs, options(CallOptions::default()))
    }

    fn add_call(
        &mut self,
        name: &str,
        part: usize,
        inputs: &[ModelNode],
        options: CallOptions,
    ) -> Result<Vec<ModelNode>> {
        let inputs = self.tensors(name, inputs)?;
        let initial_state = self.tensors(name, &options.initial_state)?;
        let masks = self.tensors(name, &options.masks)?.into_iter().map(Some).collect();
        let call = CallSpec { part, inputs, masks, initial_state, outputs: vec![], drops: vec![] };
        let outputs = self.assembly.add_call(self.calls[part], call).map_err(|refusal| refused(name, refusal))?;
        self.calls[part] += 1;
        Ok(outputs.into_iter().map(|tensor| self.node(tensor)).collect())
    }

    /// Makes the model, whose outputs these are; they are named after the layers that they come from.
    ///
    /// # Errors
    /// [`Error::EmptyModel`] without an output, [`Error::Unused`] for an input or a layer that no output depends on,
    /// [`Error::ForeignNode`] for a tensor of another builder.
    pub fn build(self, outputs: &[ModelNode]) -> Result<Model<T>> {
        self.finish(outputs, vec![])
    }

    /// [`build`](ModelBuilder::build) with names for the outputs.
    ///
    /// # Errors
    /// Those of [`build`](ModelBuilder::build), and [`Error::DuplicateName`].
    pub fn build_named(self, outputs: &[(&str, ModelNode)]) -> Result<Model<T>> {
        let names: Vec<String> = outputs.iter().map(|(name, _)| (*name).into()).collect();
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                return Err(Error::DuplicateName { what: "output", name: name.clone() });
            }
        }
        let outputs: Vec<ModelNode> = outputs.iter().map(|(_, node)| *node).collect();
        self.finish(&outputs, names)
    }

    fn finish(self, outputs: &[ModelNode], names: Vec<String>) -> Result<Model<T>> {
        let outputs = self.tensors("", outputs)?;
        if outputs.is_empty() {
            return Err(Error::EmptyModel { model: self.assembly.model.name });
        }
        let mut model = self.assembly.finish(outputs, names);
        let unused = model.unused_part().map(|part| (part.op.is_none(), part.name.clone()));
        if let Some((is_input, name)) = unused {
            return Err(Error::Unused { what: if is_input { "input" } else { "layer" }, name });
        }
        model.order_parts();
        Ok(model)
    }

    fn node(&self, tensor: usize) -> ModelNode {
        ModelNode { builder: self.id, tensor }
    }

    /// The numbers of tensors, which must be this builder's.
    fn tensors(&self, layer: &str, nodes: &[ModelNode]) -> Result<Vec<usize>> {
        let own = |node: &ModelNode| match node.builder == self.id {
            true => Ok(node.tensor),
            false => Err(Error::ForeignNode { layer: layer.into() }),
        };
        nodes.iter().map(own).collect()
    }

    fn check_name(&self, what: &'static str, name: &str) -> Result<()> {
        match self.names.contains_key(name) {
            true => Err(Error::DuplicateName { what, name: name.into() }),
            false => Ok(()),
        }
    }
}

impl<T: Float> Assembly<T> {
    /// Adds a layer that is to be called; returns its number.
    pub(crate) fn add_layer(&mut self, name: &str, layer: AnyLayer<T>) -> Result<usize> {
        memory::check_depth(depth(&*layer.op))?;
        let (trainable, non_trainable) = layer.counts();
        let AnyLayer { class, mut op, states, .. } = layer;
        if matches!(op.role(), Role::TimeDistributed(_) | Role::ChannelsFirst(_)) && !states.is_empty() {
            return Err(Error::StatefulInside { layer: name.into() });
        }
        self.keep_states(&mut op, states);
        let (name, class) = (name.into(), class.into());
        Ok(self.add_part(Part { name, class, op: Some(op), trainable, non_trainable, kept: None }))
    }
}

/// A refusal as an error of the layer's.
pub(super) fn refused(layer: &str, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Call(misfit) => {
            Error::ModelCall { layer: layer.into(), expected: misfit.expected, given: misfit.found }
        }
        Refusal::TooMany { given, .. } => Error::TensorTooLarge { shape: vec![given] },
    }
}
