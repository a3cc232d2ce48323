//! What a recorded run of a model leaves for the backward pass.

use std::fmt;

use super::Model;
use super::operation::Flow;
use super::tensor::{Mask, Tensor, Value};
use crate::float::Float;
use crate::gradients::Gradients;
use crate::runner::tape::Tape;

/// What a recorded run of a model leaves on a [`Tape`].
///
/// Layers over time record into the same memory again from run to run. What all the others have read it holds without a
/// copy, and lets go of it when the tape is spent.
pub(super) struct Recording<T> {
    pub(super) frame: Frame<T>,
    /// The shapes of the outputs.
    pub(super) outputs: Vec<Vec<usize>>,
    /// Whether it was a run in training, whose statistics of batches haven't moved those of the model.
    pub(super) moves: bool,
    /// Where the weights' gradients add up until the backward pass is over.
    pub(super) sums: Option<Gradients<T>>,
}

/// What the calls of one model have left.
pub(crate) struct Frame<T> {
    /// One for each call, in the order in which they are done.
    pub(super) records: Vec<Record<T>>,
    /// The shapes of the inputs, as they were given.
    pub(super) inputs: Vec<Vec<usize>>,
    /// Whether layers over time keep the outputs of those inside.
    pub(super) keeps_outputs: bool,
}

/// What one call has left.
pub(crate) struct Record<T> {
    pub(super) inputs: Vec<Value<T>>,
    pub(super) outputs: Vec<Value<T>>,
    /// The masks of the inputs.
    pub(super) masks: Vec<Option<Mask>>,
    /// Of the parts of the initial state that the call was given, which it read.
    pub(super) initial: Vec<bool>,
    /// Whether it was a call of training.
    pub(crate) trained: bool,
    /// What such a call has drawn, or the statistics of the batch.
    pub(crate) kept: Vec<T>,
    /// What activity regularizers add to the gradients of the outputs: nothing, or one for each.
    pub(super) activity: Vec<Flow<T>>,
    /// The run of a layer that has a backward pass of its own.
    pub(crate) tape: Tape<T>,
    /// The calls of a model within; the one call of the layer inside TimeDistributed.
    pub(crate) inner: Frame<T>,
}

impl<T: Float> Recording<T> {
    /// What is on a tape; nothing has been recorded on a new one.
    pub(super) fn on(tape: &mut Tape<T>) -> &mut Self {
        if !tape.graph.as_ref().is_some_and(|graph| graph.is::<Self>()) {
            tape.graph =
                Some(Box::new(Recording::<T> { frame: Frame::default(), outputs: vec![], moves: false, sums: None }));
        }
        let graph = tape.graph.as_mut().and_then(|graph| graph.downcast_mut());
        graph.expect("a recording was put there just now")
    }

    /// The frame to record on; what was recorded is forgotten.
    pub(super) fn begin(tape: &mut Tape<T>, inputs: impl Iterator<Item = Vec<usize>>) -> &mut Frame<T> {
        tape.begin();
        let keeps_outputs = tape.node.activity.keeps;
        let recording = Self::on(tape);
        (recording.moves, recording.frame.keeps_outputs) = (false, keeps_outputs);
        recording.frame.inputs = inputs.collect();
        &mut recording.frame
    }

    /// Marks the run of a model as recorded.
    pub(super) fn recorded(tape: &mut Tape<T>, model: &Model<T>, outputs: &[Tensor<T>], training: bool) {
        tape.recorded(model);
        let recording = Self::on(tape);
        recording.moves = training;
        keep_shapes(&mut recording.outputs, outputs.iter().map(Tensor::shape));
    }
}

/// Puts shapes where those of the run before were.
fn keep_shapes<'a>(kept: &mut Vec<Vec<usize>>, shapes: impl ExactSizeIterator<Item = &'a [usize]>) {
    kept.resize_with(shapes.len(), Vec::new);
    for (kept, shape) in kept.iter_mut().zip(shapes) {
        kept.clear();
        kept.extend_from_slice(shape);
    }
}

impl<T> Frame<T> {
    pub(super) fn make_room(&mut self, calls: usize) {
        self.records.resize_with(calls, Record::default);
        for record in &mut self.records {
            record.tape.node.activity.keeps = self.keeps_outputs;
            record.inner.keeps_outputs = self.keeps_outputs;
        }
    }

    /// The record of the one layer inside another.
    pub(super) fn only(&mut self) -> &mut Record<T> {
        self.make_room(1);
        &mut self.records[0]
    }

    /// Lets go of the values; the layers' own memory stays for the next run.
    pub(super) fn forget(&mut self) {
        for record in &mut self.records {
            record.inputs.clear();
            record.outputs.clear();
            record.masks.clear();
            record.activity.clear();
            record.inner.forget();
        }
    }
}

impl<T: Float> Record<T> {
    pub(crate) fn keep_inputs(&mut self, inputs: &[&Tensor<T>], initial: usize) {
        // In the memory of the run before.
        self.inputs.clear();
        self.inputs.extend(inputs.iter().map(|input| input.value.clone()));
        self.masks.clear();
        self.masks.extend(inputs.iter().map(|input| input.mask.clone()));
        self.initial.clear();
        self.initial.resize(initial, true);
        self.kept.clear();
        self.activity.clear();
    }

    pub(crate) fn keep_outputs(&mut self, outputs: &[Tensor<T>]) {
        self.outputs.clear();
        self.outputs.extend(outputs.iter().map(|output| output.value.clone()));
    }
}

impl<T> Default for Frame<T> {
    fn default() -> Self {
        Frame { records: Vec::new(), inputs: Vec::new(), keeps_outputs: false }
    }
}

impl<T> Default for Record<T> {
    fn default() -> Self {
        Record {
            inputs: vec![],
            outputs: vec![],
            masks: vec![],
            initial: vec![],
            trained: false,
            kept: vec![],
            activity: vec![],
            tape: Tape::new(),
            inner: Frame::default(),
        }
    }
}

impl<T> fmt::Debug for Record<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Record")
    }
}
