//! Layers one after another.

mod backward;
mod builder;
mod flow;
mod forward;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use builder::StackedBuilder;

use super::{Layer, quantize, summary};
use crate::buffers::take;
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory::MemoryNeeds;
use crate::parameters::{Parameters, Sealed, own_parameters};
use crate::precision::Precision;
use crate::runner::layer::{LayerCore, LayerSpec};
use crate::runner::memory::{Call, CallBack, Held};
use crate::runner::pass::{BackwardPass, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::tape::Node;
use crate::seeds::DropoutGenerator;
use crate::state::StateLayout;
use crate::strided::{RowInput, RowStep, Rows, RowsMut, copy_rows};
use crate::structure::StructureVisitor;
use crate::weights::{QuantizedVisitor, WeightVisitor, WeightVisitorMut};

/// Layers one after another, each with its own options: what a Keras `Sequential` of recurrent layers is.
///
/// It is a layer itself, so it nests, streams and takes every option of a [`Run`](crate::Run). Its weights and the
/// parts of its state are named by place: `0/kernel`, `1/forward/h`.
///
/// A mask goes on from layer to layer as in Keras: through those that return sequences, and as it is through those that
/// go backwards, though their outputs stand in the opposite order. (Resets are turned around with them.) Behind a
/// layer that returns only its last output stand only layers that need no sequence ([`Dense`](crate::Dense)).
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Activation, Dense, Layer, Lstm, Stacked};
/// let classifier = Stacked::builder()
///     .layer(Lstm::builder(3, 8).return_sequences(true).build()?)
///     .layer(Lstm::new(8, 4))
///     .layer(Dense::builder(4, 2).activation(Activation::Softmax).build()?)
///     .build()?;
/// assert_eq!(classifier.forward(&Array3::<f32>::ones((5, 7, 3)))?.last().dim(), (5, 2));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Stacked<T: Float = f32> {
    parts: Vec<Part<T>>,
    layout: Arc<StateLayout>,
    spec: LayerSpec,
    /// A layer of the model that it was made of, which does something in training only.
    left_out: Option<Arc<str>>,
}

/// A layer of the stack and where its things are.
#[derive(Debug, Clone)]
struct Part<T: Float> {
    layer: Box<dyn Layer<T>>,
    spec: LayerSpec,
    name: String,
    /// The columns of the stack's state that are the layer's.
    state: Range<usize>,
    /// The columns of the stack's previous outputs that are the layer's.
    carry: Range<usize>,
    /// The places of the layer's weights among the stack's.
    weights: Range<usize>,
    /// The end of the layers from this one on that can run a few steps at a time, one after another.
    group_end: usize,
}

impl<T: Float> Stacked<T> {
    /// An empty stack to put layers on.
    pub fn builder() -> StackedBuilder<T> {
        StackedBuilder::new()
    }

    /// The layers, the first one first.
    pub fn layers(&self) -> impl Iterator<Item = &dyn Layer<T>> {
        self.parts.iter().map(|part| &*part.layer)
    }

    /// One step of every row: the first layer by `first`, and each other one on what the one below it gave.
    #[inline]
    fn step_parts(
        &self,
        batch: usize,
        prev: Rows<'_, T>,
        mut next: RowsMut<'_, T>,
        mut carry: RowsMut<'_, T>,
        scratch: &mut Scratch<T>,
        mut first: impl FnMut(&dyn Layer<T>, Rows<'_, T>, RowsMut<'_, T>, RowsMut<'_, T>, &mut Scratch<T>),
    ) {
        let mut handed_on = std::mem::take(&mut scratch.outputs);
        let children = scratch.children(self.parts.len());
        for (i, part) in self.parts.iter().enumerate() {
            let prev = prev.columns(part.state.clone());
            let own_next = next.reborrow().columns(part.state.clone());
            let own_carry = carry.reborrow().columns(part.carry.clone());
            match i {
                0 => first(&*part.layer, prev, own_next, own_carry, &mut children[i]),
                _ => {
                    let x = Rows::packed(&handed_on, part.spec.input_size);
                    part.layer.step_into(batch, x, prev, own_next, own_carry, &mut children[i]);
                }
            }
            let outputs = part.spec.output_size;
            let output = carry.as_rows().columns(part.carry.end - outputs..part.carry.end);
            copy_rows(batch, output, RowsMut::packed(take(&mut handed_on, batch * outputs), outputs));
        }
        scratch.outputs = handed_on;
    }
}

impl<T: Float> Sealed for Stacked<T> {}

impl<T: Float> Parameters<T> for Stacked<T> {
    fn layout(&self) -> &Arc<StateLayout> {
        &self.layout
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        for part in &self.parts {
            visitor.nested(&part.name, |visitor| part.layer.visit_weights(visitor));
        }
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.unshare()?;
        self.parts
            .iter_mut()
            .try_for_each(|part| visitor.nested(&part.name, |visitor| part.layer.visit_weights_mut(visitor)))
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        for part in &self.parts {
            visitor.nested(&part.name, |visitor| part.layer.visit_quantized(visitor));
        }
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        let layers = self.parts.iter().map(|part| part.layer.describe()).collect::<Result<Vec<_>, _>>()?;
        let config = Config::new("Stacked").with("return_state", self.spec.returns_state);
        Ok(config.with_if("left_out", self.left_out.as_deref()).with("layers", layers))
    }

    fn visit_stored<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        for part in &self.parts {
            visitor.nested(&part.name, |visitor| part.layer.visit_stored(visitor));
        }
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.layer(self.class_name(), None);
        visitor.option("layers", self.parts.len() as u64, self.parts.len());
        visitor.value("return_state", self.spec.returns_state);
        for part in &self.parts {
            visitor.nested(&part.name, |visitor| part.layer.visit_structure(visitor));
        }
    }

    fn unshare(&mut self) -> Result<()> {
        self.parts.iter_mut().try_for_each(|part| part.layer.unshare())
    }
}

impl<T: Float> LayerCore<T> for Stacked<T> {
    fn spec(&self) -> LayerSpec {
        self.spec.clone()
    }

    fn streams(&self) -> Result<()> {
        self.parts.iter().try_for_each(|part| {
            part.layer.can_stream().map_err(|error| match error {
                Error::CannotStream { layer, reason } => {
                    Error::CannotStream { layer: format!("{}/{layer}", part.name), reason }
                }
                other => other,
            })
        })
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        self.parts.iter().for_each(|part| part.layer.visit_generators(show));
    }

    fn fill_initial_state(&self, row: &mut [T]) {
        for part in &self.parts {
            part.layer.fill_initial_state(&mut row[part.state.clone()]);
        }
    }

    fn outputs_from_state(&self, batch: usize, state: Rows<'_, T>, mut carry: RowsMut<'_, T>) {
        for part in &self.parts {
            let carry = carry.reborrow().columns(part.carry.clone());
            part.layer.outputs_from_state(batch, state.columns(part.state.clone()), carry);
        }
    }

    fn memory_needs(&self, call: Call, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        self.needs_of_run(call, held, needs);
    }

    fn memory_needs_backward(&self, call: CallBack, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        self.needs_of_backward(call, held, needs);
    }

    fn process(&self, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        self.run_all(pass, scratch);
    }

    fn flush_outputs(&self, state: &[T], carry: &mut [T]) {
        for part in &self.parts {
            part.layer.flush_outputs(&state[part.state.clone()], &mut carry[part.carry.clone()]);
        }
    }

    fn step_row(&self, step: &mut RowStep<'_, T>, carry: &mut [T], scratch: &mut Scratch<T>) {
        // A layer's features are the output of the one below: part of its state, or the end of its carry.
        let (mut input, mut next, mut carry) = (step.input, &mut *step.next, carry);
        let children = scratch.children(self.parts.len());
        for (part, scratch) in self.parts.iter().zip(children) {
            let (own_next, other_next) = next.split_at_mut(part.state.len());
            let (own_carry, other_carry) = carry.split_at_mut(part.carry.len());
            let prev = &step.prev[part.state.clone()];
            let mut step = RowStep { input, prev, next: &mut *own_next };
            part.layer.step_row(&mut step, &mut *own_carry, scratch);
            input = RowInput::Raw(match &part.spec.output_columns {
                Some(columns) => &own_next[columns.clone()],
                None => &own_carry[part.carry.len() - part.spec.output_size..],
            });
            (next, carry) = (other_next, other_carry);
        }
    }

    fn step_into(
        &self,
        batch: usize,
        x: Rows<'_, T>,
        prev: Rows<'_, T>,
        next: RowsMut<'_, T>,
        carry: RowsMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        self.step_parts(batch, prev, next, carry, scratch, |first, prev, next, carry, scratch| {
            first.step_into(batch, x, prev, next, carry, scratch);
        });
    }

    fn step_shared(
        &self,
        batch: usize,
        x: &[T],
        prev: Rows<'_, T>,
        next: RowsMut<'_, T>,
        carry: RowsMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        self.step_parts(batch, prev, next, carry, scratch, |first, prev, next, carry, scratch| {
            first.step_shared(batch, x, prev, next, carry, scratch);
        });
    }

    fn can_train(&self) -> Result<()> {
        self.parts.iter().try_for_each(|part| part.layer.can_train())
    }

    fn trains_as_in_keras(&self) -> Result<()> {
        match &self.left_out {
            None => self.parts.iter().try_for_each(|part| part.layer.trains_as_in_keras()),
            Some(name) => Err(Error::TrainingOption {
                option: format!("the layer {name}"),
                expected: "in the network that is trained: train the model, not the layer made of it".into(),
                given: "left out by into_layer".into(),
            }),
        }
    }

    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        self.backward_all(node, pass, scratch)
    }
}

own_parameters!([T: Float] Stacked<T>, T);

impl<T: Float> Layer<T> for Stacked<T> {
    fn parts(&self) -> Vec<(&str, &dyn Layer<T>)> {
        self.parts.iter().map(|part| (part.name.as_str(), &*part.layer)).collect()
    }

    fn boxed_clone(&self) -> Box<dyn Layer<T>> {
        Box::new(self.clone())
    }

    fn quantize(&self, precision: Precision) -> Result<Box<dyn Layer<T>>> {
        let mut builder = Stacked::builder().return_state(self.spec.returns_state);
        for part in &self.parts {
            builder = builder.boxed(quantize::inside(&part.name, &*part.layer, precision)?);
        }
        Ok(Box::new(builder.build()?))
    }
}

impl<T: Float> fmt::Display for Stacked<T> {
    /// Keras's `summary()` of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        summary::table(f, self)
    }
}
