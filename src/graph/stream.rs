//! A model that is run one time step at a time, whatever its graph.

use std::fmt;
use std::sync::Arc;

use ndarray::{ArrayD, Axis};

use super::chain::{WHOLE, cannot};
use super::operation::{Role, SharedLayer};
use super::run::ModelState;
use super::tensor::{Input, Tensor, Value, in_row_order};
use super::{CallSpec, Model};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::runner::scratch::Scratch;
use crate::runner::stream::Stream;

/// A model that was trained on whole sequences, run one time step at a time: each recurrent layer goes on from its own
/// state. Several inputs and outputs, shared layers, masks by Embedding and Masking, and integer ids are all
/// possible; where a layer needs the whole sequence, [`new`](ModelStream::new) names it.
///
/// The steps give what the whole run gives. An output that belongs to the whole sequence (of a layer that returns its
/// last output only) is at each step what the run up to there would give.
///
/// Each step allocates its inputs, outputs and what goes from operation to operation, so it isn't for a thread that must
/// not wait. For a chain of layers a [`Stream`] over [`Model::into_layer`] (which reads floats) or
/// [`Model::into_embedding_and_layer`] (ids) does the same without allocating, takes blocks on plain slices, and has its
/// weights swapped while it runs.
///
/// ```no_run
/// use ndarray::prelude::*;
/// use recurrent::{ModelStream, keras};
/// let model = keras::load::<f32>("next_word.keras")?; // Embedding, LSTM, Dense
/// let mut stream = ModelStream::new(&model, 1)?;
/// for id in [3, 1, 4] {
///     let outputs = stream.step(&[(&array![id]).into()])?; // (batch,) ids
///     println!("{}", outputs[0]); // (batch, features)
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ModelStream<T: Float> {
    /// The model, with fixed numbers of time steps forgotten.
    model: Model<T>,
    batch: usize,
    streams: Streams<T>,
    /// Which inputs and outputs have a time axis.
    inputs: Vec<Kind>,
    outputs: Vec<Kind>,
    scratch: Scratch<T>,
}

/// A stream that shares a layer of the model.
type OwnStream<T> = Stream<T, SharedLayer<T>>;

/// The streams of the recurrent layers, one for each call, in the order in which calls are done.
pub(crate) struct Streams<T: Float> {
    list: Vec<OwnStream<T>>,
    next: usize,
}

/// What a tensor is while steps are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// (batch, timesteps, ..): one step of it.
    Sequence,
    /// Without a time axis: as it is up to here.
    Steady,
}

impl<T: Float> ModelStream<T> {
    /// A stream of `batch` rows.
    ///
    /// # Errors
    /// [`Error::CannotStream`] names the layer that needs the whole sequence: one that goes backwards, or works along
    /// the time axis, or begins with a state from the graph, or with that of its other call.
    pub fn new(model: &Model<T>, batch: usize) -> Result<Self> {
        let mut model = model.clone();
        let inputs = model.input_kinds();
        let mut layers = Vec::new();
        let outputs = plan(&mut model, &inputs, &mut layers)?;
        let list = layers.into_iter().map(|(layer, _)| Stream::new(layer, batch)).collect::<Result<_>>()?;
        let streams = Streams { list, next: 0 };
        Ok(ModelStream { model, batch, streams, inputs, outputs, scratch: Scratch::new() })
    }

    /// One step: the inputs without their time axis, (batch, features) or (batch,) ids. Inputs that have no time axis
    /// are given as they are. Returns the outputs, without their time axis too.
    ///
    /// # Errors
    /// [`Error::ModelInputs`], [`Error::ModelInput`], [`Error::StateBatch`] for another number of rows;
    /// [`Error::InLayer`] for what a layer refuses, an id that isn't in an Embedding's table;
    /// [`Error::TensorTooLarge`]. The stream is as before then.
    pub fn step(&mut self, inputs: &[Input<'_, T>]) -> Result<Vec<ArrayD<T>>> {
        let given = inputs.len();
        if given != self.inputs.len() {
            return Err(Error::ModelInputs { expected: self.inputs.len(), given });
        }
        Input::check_room(inputs)?;
        let mut tensors: Vec<Tensor<T>> = Vec::new();
        for ((spec, input), kind) in self.model.inputs.iter().zip(inputs).zip(&self.inputs) {
            let rows = input.shape().first().copied().unwrap_or(0);
            if rows != self.batch || input.shape().is_empty() {
                return Err(Error::StateBatch { expected: rows, given: self.batch });
            }
            let mut value = input.copied();
            if *kind == Kind::Sequence {
                value = match value {
                    Value::Float(x) => Value::Float(x.insert_axis(Axis(1))),
                    Value::Int(x) => Value::Int(x.insert_axis(Axis(1))),
                    Value::Bool(x) => Value::Bool(x.insert_axis(Axis(1))),
                };
            }
            tensors.push(Tensor::unmasked(spec.convert(value)?));
        }
        let before = self.state();
        self.streams.next = 0;
        let outputs = self.model.execute(tensors, &mut [], &mut self.scratch, Some(&mut self.streams), None);
        if outputs.is_err() {
            self.set_state(&before)?;
        }
        let without_time = |(output, kind): (Tensor<T>, &Kind)| {
            let array = in_row_order(&output.value.floats());
            if *kind == Kind::Sequence { array.index_axis_move(Axis(1), 0) } else { array }
        };
        Ok(outputs?.into_iter().zip(&self.outputs).map(without_time).collect())
    }

    /// The states of the recurrent layers now, one for each call.
    pub fn state(&self) -> ModelState<T> {
        ModelState::of(self.streams.list.iter().map(|stream| stream.state().clone()).collect(), self.batch)
    }

    /// Goes on from a state that was saved.
    ///
    /// # Errors
    /// [`Error::StateLayout`], [`Error::StateBatch`] for a state of another model or batch; the stream is as before.
    pub fn set_state(&mut self, state: &ModelState<T>) -> Result<()> {
        state.check(self.streams.list.iter().map(|stream| stream.state().layout()), self.batch)?;
        self.streams.list.iter_mut().zip(state.states()).try_for_each(|(stream, state)| stream.set_state(state))
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.streams.list.iter_mut().for_each(Stream::reset);
    }

    /// The number of rows.
    pub fn batch(&self) -> usize {
        self.batch
    }
}

impl<T: Float> fmt::Debug for ModelStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelStream")
            .field("model", &self.model.name)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

impl<T: Float> fmt::Debug for Streams<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streams({})", self.list.len())
    }
}

impl<T: Float> Streams<T> {
    /// The stream of the next call of a recurrent layer.
    pub(super) fn next(&mut self) -> Option<&mut OwnStream<T>> {
        self.next += 1;
        self.list.get_mut(self.next - 1)
    }
}

impl<T: Float> Model<T> {
    /// Which inputs are sequences: those of three dimensions or more, ids for an Embedding, and masks.
    fn input_kinds(&self) -> Vec<Kind> {
        let is_sequence = |input: usize| {
            let rank = self.inputs.get(input).map_or(0, |spec| spec.shape.len());
            rank >= 3 || rank == 2 && (self.reads_ids_from(input) || self.reads_mask_from(input))
        };
        (0..self.inputs.len()).map(|input| if is_sequence(input) { Kind::Sequence } else { Kind::Steady }).collect()
    }

    /// Whether this input is a call's mask, or what one is made of.
    fn reads_mask_from(&self, input: usize) -> bool {
        let mut masks = vec![false; self.tensors.len()];
        for call in self.calls.iter().rev() {
            call.masks.iter().flatten().for_each(|&mask| masks[mask] = true);
            let makes_mask = call.outputs.iter().any(|&output| masks[output]);
            match self.parts.get(call.part).and_then(|part| part.op.as_ref()).map(|op| op.role()) {
                Some(Role::NotEqual(_) | Role::LogicalOr | Role::Same { keeps_mask: true }) if makes_mask => {
                    call.inputs.iter().for_each(|&input| masks[input] = true);
                }
                Some(Role::Model(inner)) => {
                    for (i, &tensor) in call.inputs.iter().enumerate() {
                        masks[tensor] |= inner.reads_mask_from(i);
                    }
                }
                _ => {}
            }
        }
        masks.get(input).copied().unwrap_or(false)
    }

    /// Whether an Embedding reads this input.
    fn reads_ids_from(&self, input: usize) -> bool {
        let reads =
            |call: &CallSpec| match self.parts.get(call.part).and_then(|part| part.op.as_ref()).map(|op| op.role()) {
                Some(Role::Embedding(_)) => call.inputs.contains(&input),
                Some(Role::Model(inner)) => {
                    call.inputs.iter().enumerate().any(|(i, &tensor)| tensor == input && inner.reads_ids_from(i))
                }
                _ => false,
            };
        self.calls.iter().any(reads)
    }
}

/// That a [`ModelStream`] can run the model.
pub(super) fn check_stream<T: Float>(model: &Model<T>) -> Result<()> {
    plan(&mut model.clone(), &model.input_kinds(), &mut Vec::new()).map(drop)
}

/// A recurrent layer of a stream, and the place of its state among the model's if it is stateful.
type StreamedLayer<T> = (SharedLayer<T>, Option<usize>);

/// Checks that each call works step by step, collects the recurrent layers in the order of their calls, and forgets
/// fixed numbers of time steps. Returns what the outputs are.
fn plan<T: Float>(model: &mut Model<T>, inputs: &[Kind], layers: &mut Vec<StreamedLayer<T>>) -> Result<Vec<Kind>> {
    let mut kinds = vec![Kind::Steady; model.tensors.len()];
    for ((kind, &input), spec) in kinds.iter_mut().zip(inputs).zip(&mut model.inputs) {
        *kind = input;
        if let (Kind::Sequence, Some(steps)) = (input, spec.shape.get_mut(1)) {
            *steps = None;
        }
    }
    for call in &model.calls {
        let Some(part) = model.parts.get_mut(call.part) else { continue };
        let Some(op) = &mut part.op else { continue };
        let name = part.name.as_str();
        let read: Vec<Kind> = call.inputs.iter().map(|&input| kinds[input]).collect();
        let (sequence, is_model) = (read.contains(&Kind::Sequence), matches!(op.role(), Role::Model(_)));
        if sequence && read.contains(&Kind::Steady) && !is_model {
            return Err(cannot(name, "it joins a sequence with what belongs to the whole sequence"));
        }
        if call.masks.iter().flatten().any(|&mask| (kinds[mask] == Kind::Sequence) != sequence) {
            return Err(cannot(name, "its mask and its input aren't both sequences"));
        }
        let kind = if sequence { Kind::Sequence } else { Kind::Steady };
        if let Some(inner) = op.model_mut().filter(|_| is_model) {
            for (&output, kind) in call.outputs.iter().zip(plan(inner, &read, layers)?) {
                kinds[output] = kind;
            }
            continue;
        }
        let outputs = match op.role() {
            Role::Recurrent { layer, slot } => {
                if slot.is_some() && layers.iter().any(|(_, other)| *other == slot) {
                    return Err(cannot(
                        name,
                        "it is stateful and called again: each call goes on where the other ended",
                    ));
                }
                if !call.initial_state.is_empty() {
                    return Err(cannot(name, "its initial state comes from the graph"));
                }
                if !sequence {
                    return Err(cannot(name, "its input belongs to the whole sequence"));
                }
                layer.can_stream().map_err(|error| match error {
                    Error::CannotStream { reason, .. } => cannot(name, reason),
                    other => other,
                })?;
                layers.push((Arc::clone(layer), slot));
                let mut outputs = vec![if layer.returns_sequences() { Kind::Sequence } else { Kind::Steady }];
                outputs.resize(call.outputs.len(), Kind::Steady);
                outputs
            }
            role => {
                if sequence && !op.steps_alone() {
                    return Err(cannot(name, WHOLE));
                }
                if let (Role::Repeat, false) = (&role, sequence) {
                    return Err(cannot(name, "it repeats what belongs to the whole sequence"));
                }
                vec![kind]
            }
        };
        for (&output, kind) in call.outputs.iter().zip(outputs) {
            kinds[output] = kind;
        }
    }
    Ok(model.outputs.iter().map(|&output| kinds[output]).collect())
}
