//! Layers one after another.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::flow::{Buffers, Flow, Group, steps_at_once};
use super::{Layer, summary};
use crate::buffers::take;
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory::{self, MemoryNeeds};
use crate::parameters::{Parameters, Sealed, own_parameters};
use crate::runner::layer::{LayerCore, LayerSpec};
use crate::runner::memory::{Call, CallBack, Held};
use crate::runner::pass::{BackwardPass, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::sequence::{Sequence, SequenceMut};
use crate::runner::tape::Node;
use crate::seeds::DropoutGenerator;
use crate::state::StateLayout;
use crate::strided::{RowInput, RowStep, Rows, RowsMut, copy_rows};
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

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
    pub(super) parts: Vec<Part<T>>,
    layout: Arc<StateLayout>,
    spec: LayerSpec,
}

/// A layer of the stack and where its things are.
#[derive(Debug, Clone)]
pub(super) struct Part<T: Float> {
    pub(super) layer: Box<dyn Layer<T>>,
    pub(super) spec: LayerSpec,
    name: String,
    /// The columns of the stack's state that are the layer's.
    pub(super) state: Range<usize>,
    /// The columns of the stack's previous outputs that are the layer's.
    pub(super) carry: Range<usize>,
    /// The places of the layer's weights among the stack's.
    weights: Range<usize>,
    /// The end of the layers from this one on that can run a few steps at a time, one after another.
    group_end: usize,
}

/// Takes the layers of a [`Stacked`], the first one first.
#[derive(Debug)]
#[must_use = "a builder makes nothing until `build`"]
pub struct StackedBuilder<T: Float> {
    layers: Vec<Box<dyn Layer<T>>>,
    return_state: bool,
}

impl<T: Float> Stacked<T> {
    /// An empty stack to put layers on.
    pub fn builder() -> StackedBuilder<T> {
        StackedBuilder { layers: Vec::new(), return_state: false }
    }

    /// The layers, the first one first.
    pub fn layers(&self) -> impl Iterator<Item = &dyn Layer<T>> {
        self.parts.iter().map(|part| &*part.layer)
    }
}

impl<T: Float> StackedBuilder<T> {
    /// Adds a layer behind the others.
    pub fn layer(mut self, layer: impl Layer<T>) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// [`layer`](Self::layer) of one that has its box.
    #[cfg(feature = "file")]
    pub(crate) fn boxed(mut self, layer: Box<dyn Layer<T>>) -> Self {
        self.layers.push(layer);
        self
    }

    /// Whether to return the states of all layers after the last step.
    pub fn return_state(mut self, yes: bool) -> Self {
        self.return_state = yes;
        self
    }

    /// Makes the stack.
    ///
    /// # Errors
    /// [`Error::EmptyStack`] without a layer, [`Error::StackWidth`] if a layer doesn't read what the one before puts
    /// out, [`Error::StackNeedsSequence`] if it needs a sequence and gets none, [`Error::StackUnmerged`] if it would
    /// read two directions that aren't merged, [`Error::NestedTooDeep`] for stacks in stacks in stacks,
    /// [`Error::WidthOverflow`] for states that can't be addressed together.
    pub fn build(self) -> Result<Stacked<T>> {
        if self.layers.is_empty() {
            return Err(Error::EmptyStack);
        }
        let mut sequence = true;
        for (index, layer) in self.layers.iter().enumerate() {
            layer.check_ready()?;
            if let Some(before) = index.checked_sub(1).and_then(|before| self.layers.get(before)) {
                let (expected, given) = (layer.input_size(), before.output_size());
                if before.spec().unmerged.is_some() {
                    return Err(Error::StackUnmerged { index: index - 1 });
                }
                if expected != given {
                    return Err(Error::StackWidth { index, expected, given });
                }
                sequence &= before.returns_sequences();
            }
            if !sequence && !layer.per_step() {
                return Err(Error::StackNeedsSequence { index, layer: layer.class_name() });
            }
        }
        let deepest = self.layers.iter().map(|layer| (**layer).spec().depth).max().unwrap_or(0);
        let depth = memory::check_depth(deepest.saturating_add(1))?;
        let layouts = self.layers.iter().enumerate().map(|(i, layer)| (i.to_string(), &**layer.state_layout()));
        let layout = Arc::new(StateLayout::nested(layouts));
        let (mut state, mut carry, mut weights) = (0, 0, 0);
        let ends = group_ends(&self.layers);
        let mut parts = Vec::with_capacity(self.layers.len());
        for (i, (layer, group_end)) in self.layers.into_iter().zip(ends).enumerate() {
            let (state_start, carry_start, weights_start) = (state, carry, weights);
            state = memory::add_width("state", state, layer.state_layout().width())?;
            let spec = layer.spec();
            carry = memory::add_width("output", carry, spec.carry_width)?;
            layer.visit_weights(&mut WeightVisitor::new(&mut |_, _| weights += 1));
            parts.push(Part {
                name: i.to_string(),
                state: state_start..state,
                carry: carry_start..carry,
                weights: weights_start..weights,
                group_end,
                layer,
                spec,
            });
        }
        let spec = LayerSpec { returns_state: self.return_state, carry_width: carry, depth, ..joined(&parts) };
        Ok(Stacked { parts, layout, spec })
    }
}

/// What follows from the layers of a stack.
fn joined<T: Float>(parts: &[Part<T>]) -> LayerSpec {
    let mut all = LayerSpec { returns_sequences: true, per_step: true, ..LayerSpec::new("Sequential", 0, 0) };
    for (i, Part { spec, state, .. }) in parts.iter().enumerate() {
        if i == 0 {
            all.input_size = spec.input_size;
        }
        // Behind a layer that returns its last output alone there is no sequence.
        all.writes_sequence = all.returns_sequences && spec.writes_sequence;
        all.returns_sequences &= spec.returns_sequences;
        all.per_step &= spec.per_step;
        all.reverses_time ^= spec.reverses_time;
        all.output_size = spec.output_size;
        all.unmerged = spec.unmerged;
        all.output_columns = spec.output_columns.as_ref().map(|own| state.start + own.start..state.start + own.end);
        all.work = all.work.saturating_add(spec.work);
        all.generators += spec.generators;
        all.may_fail_backward |= spec.may_fail_backward;
    }
    all
}

/// For each layer the end of the run of layers from it on that work step by step, each on the sequence of the one
/// before: those can all do a few steps before any of them does the next ones.
fn group_ends<T: Float>(layers: &[Box<dyn Layer<T>>]) -> Vec<usize> {
    let mut ends: Vec<usize> = (1..=layers.len()).collect();
    let streams: Vec<bool> = layers.iter().map(|layer| layer.can_stream().is_ok()).collect();
    for at in (1..layers.len()).rev() {
        if streams[at - 1] && streams[at] && layers[at - 1].returns_sequences() {
            ends[at - 1] = ends[at];
        }
    }
    ends
}

impl<T: Float> Sealed for Stacked<T> {}

impl<T: Float> Stacked<T> {
    /// The layers in groups, each of which runs so many steps at a time. Layers that can work so do it where the
    /// sequence is long and `divisible`: nothing is recorded or drawn for the whole call. All others are groups of
    /// their own.
    fn groups(&self, batch: usize, timesteps: usize, divisible: bool) -> impl Iterator<Item = Group> {
        let (mut at, mut timesteps) = (0, timesteps);
        std::iter::from_fn(move || {
            let first = self.parts.get(at)?;
            let group = at..first.group_end;
            // The last one's outputs go to the caller, whole.
            let widths = self.parts[at..group.end - 1].iter().map(|part| part.spec.output_size);
            let steps = widths.max().map_or(usize::MAX, |widest| steps_at_once::<T>(batch, widest));
            let together = divisible && steps < timesteps;
            let parts = if together { group } else { at..at + 1 };
            at = parts.end;
            if self.parts.get(at - 1).is_some_and(|part| !part.spec.returns_sequences) {
                timesteps = timesteps.min(1);
            }
            Some(Group { parts, steps: if together { steps } else { usize::MAX } })
        })
    }
}

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

    fn describe(&self) -> Result<Config, ConfigError> {
        let layers = self.parts.iter().map(|part| part.layer.describe()).collect::<Result<Vec<_>, _>>()?;
        Ok(Config::new("Stacked").with("return_state", self.spec.returns_state).with("layers", layers))
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
        let (batch, mut timesteps) = (call.batch, call.timesteps);
        let turns = call.resets && self.parts.iter().any(|part| part.spec.reverses_time);
        let turned = if turns { batch } else { 0 };
        needs.buffer::<bool>(held.in_scratch(|scratch| scratch.resets.capacity()), &[turned, timesteps]);
        let divisible = !(call.recorded || call.dropout && self.spec.generators > 0);
        // The widest sequences: of those between groups, which stand in two buffers in turn, and of those within.
        let (mut between, mut within, mut states) = ([0; 2], [0; 2], 0);
        let mut at = 0;
        for group in self.groups(batch, timesteps, divisible) {
            let Group { parts, steps } = group;
            for (i, part) in self.parts[parts.clone()].iter().enumerate() {
                let (index, outputs) = (parts.start + i, part.spec.output_size);
                let hands_on = index + 1 < self.parts.len() && part.spec.returns_sequences;
                let sequence = if index + 1 == self.parts.len() { call.sequence } else { hands_on };
                let steps = steps.min(timesteps);
                part.layer.memory_needs(Call { timesteps: steps, sequence, ..call }, held.child(index), needs);
                if index + 1 < parts.end {
                    let width = memory::product(&[outputs, steps]).unwrap_or(usize::MAX);
                    within[(i + 1) % 2] = within[(i + 1) % 2].max(width);
                    states = states.max(part.state.len());
                } else if index + 1 < self.parts.len() {
                    let width = memory::product(&[outputs, if hands_on { timesteps } else { 1 }]);
                    between[at % 2] = between[at % 2].max(width.unwrap_or(usize::MAX));
                    at += 1;
                }
                if steps < timesteps {
                    states = states.max(part.state.len());
                }
                if !part.spec.returns_sequences {
                    timesteps = timesteps.min(1);
                }
            }
        }
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.work.len()), &[batch, between[0]]);
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.outputs.len()), &[batch, between[1]]);
        for (buffer, &width) in within.iter().enumerate() {
            let inner = held.in_scratch(|scratch| scratch.chunk_outputs[buffer].len());
            needs.buffer::<T>(inner, &[batch, width]);
        }
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.chunk_states.len()), &[batch, states]);
    }

    fn memory_needs_backward(&self, call: CallBack, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        let (mut timesteps, mut widest) = (call.timesteps, 0);
        for (i, part) in self.parts.iter().enumerate() {
            if i > 0 {
                let width = memory::product(&[timesteps, part.spec.input_size]);
                widest = widest.max(width.unwrap_or(usize::MAX));
            }
            let call = CallBack { timesteps, input: call.input || i > 0, ..call };
            part.layer.memory_needs_backward(call, held.child(i), needs);
            if !part.spec.returns_sequences {
                timesteps = timesteps.min(1);
            }
        }
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.outputs.len()), &[call.batch, widest]);
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.copies[0].len()), &[call.batch, widest]);
    }

    fn process(&self, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        let (batch, timesteps) = (pass.batch, pass.timesteps);
        let divisible = pass.tape.is_none() && pass.dropout.as_ref().is_none_or(|all| all.is_empty());
        let mut between = [std::mem::take(&mut scratch.outputs), std::mem::take(&mut scratch.work)];
        let mut within = std::mem::take(&mut scratch.chunk_outputs);
        let mut states = std::mem::take(&mut scratch.chunk_states);
        let mut turned = std::mem::take(&mut scratch.resets);
        let turned_resets = pass
            .resets
            .filter(|_| self.parts.iter().any(|part| part.spec.reverses_time))
            .map(|resets| resets.turned(&mut turned));
        let nodes = pass.tape.map(|node| {
            (node.batch, node.timesteps) = (batch, timesteps);
            node.children(self.parts.len())
        });
        let mut flow = Flow {
            stack: self,
            input: pass.input,
            prev: pass.prev,
            next: pass.next,
            carry: pass.carry,
            sequence: pass.sequence,
            masked_output: pass.masked_output,
            dropout: pass.dropout,
            nodes,
            children: scratch.children(self.parts.len()),
            batch,
            timesteps,
            mask: pass.mask,
            resets: pass.resets,
            turned_resets,
        };
        let mut handed_on = 0;
        for group in self.groups(batch, timesteps, divisible) {
            // Two buffers in turn: what a group reads and what it writes.
            let [reading, writing] = &mut between;
            flow.run(group, Buffers { reading, writing, within: &mut within, states: &mut states });
            between.swap(0, 1);
            handed_on += 1;
        }
        let [first, second] = between;
        (scratch.outputs, scratch.work) = in_place(handed_on, first, second);
        (scratch.chunk_outputs, scratch.chunk_states) = (within, states);
        scratch.resets = turned;
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
        mut next: RowsMut<'_, T>,
        mut carry: RowsMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        let mut handed_on = std::mem::take(&mut scratch.outputs);
        let children = scratch.children(self.parts.len());
        for (i, part) in self.parts.iter().enumerate() {
            let x = match i {
                0 => x,
                _ => Rows::packed(&handed_on, part.spec.input_size),
            };
            part.layer.step_into(
                batch,
                x,
                prev.columns(part.state.clone()),
                next.reborrow().columns(part.state.clone()),
                carry.reborrow().columns(part.carry.clone()),
                &mut children[i],
            );
            let outputs = part.spec.output_size;
            let output = carry.as_rows().columns(part.carry.end - outputs..part.carry.end);
            copy_rows(batch, output, RowsMut::packed(take(&mut handed_on, batch * outputs), outputs));
        }
        scratch.outputs = handed_on;
    }

    fn can_train(&self) -> Result<()> {
        self.parts.iter().try_for_each(|part| part.layer.can_train())
    }

    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        let BackwardPass { d_sequence, flipped, d_last, d_state, mut d_input, mut d_initial, mut gradients } = pass;
        let batch = node.batch;
        // Two buffers in turn: the gradient of a layer's outputs and that of its inputs.
        let (mut reading, mut writing) = (std::mem::take(&mut scratch.outputs), std::mem::take(&mut scratch.copies[0]));
        let count = self.parts.len();
        let (nodes, children) = (node.children(count), scratch.children(count));
        let mut result = Ok(());
        for (i, part) in self.parts.iter().enumerate().rev() {
            let (spec, own) = (&part.spec, &mut nodes[i]);
            let (timesteps, outputs) = (own.timesteps, spec.output_size);
            let (is_last, is_first) = (i + 1 == count, i == 0);
            let (d_sequence, d_last) = match (is_last, spec.returns_sequences) {
                (true, _) => (d_sequence, d_last),
                (false, true) => (Some(Sequence::packed(&reading, timesteps, outputs)), None),
                (false, false) => (None, Some(Rows::packed(&reading, outputs))),
            };
            let d_input = if is_first {
                d_input.take()
            } else {
                let d_input = take(&mut writing, batch * timesteps * spec.input_size);
                d_input.fill(T::zero());
                Some(SequenceMut::packed(d_input, timesteps, spec.input_size))
            };
            let (_, mut from_own) = gradients.split(part.weights.start);
            let (own_gradients, _) = from_own.split(part.weights.len());
            let pass = BackwardPass {
                d_sequence,
                flipped: is_last && flipped,
                d_last,
                d_state: d_state.columns(part.state.clone()),
                d_input,
                d_initial: d_initial.reborrow().columns(part.state.clone()),
                gradients: own_gradients,
            };
            result = part.layer.backward_into(own, pass, &mut children[i]);
            if result.is_err() {
                break;
            }
            std::mem::swap(&mut reading, &mut writing);
        }
        (scratch.outputs, scratch.copies[0]) = in_place(count, reading, writing);
        result
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
}

/// Two buffers that were swapped `count` times, each where it was: else a call would find the smaller one where the
/// last call had the larger, and would allocate once more.
fn in_place<T>(count: usize, first: Vec<T>, second: Vec<T>) -> (Vec<T>, Vec<T>) {
    if count.is_multiple_of(2) { (first, second) } else { (second, first) }
}

impl<T: Float> fmt::Display for Stacked<T> {
    /// Keras's `summary()` of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        summary::table(f, self)
    }
}
