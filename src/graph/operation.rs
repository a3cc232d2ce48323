//! The contract of an operation: all that a model asks of what its calls compute.
//!
//! Each operation is a file in [`ops`](super::ops), with the shapes that come out, the run, the backward pass, weights,
//! and what it does while steps are taken. A graph is walked by this contract alone; [`Role`] says the little that a
//! graph must know of some of them.

mod call;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use ndarray::ArrayD;

pub(crate) use self::call::{Back, Call, Training};
use super::Model;
use super::chain::WHOLE;
use super::gradients::GradientSums;
use super::ops::spatial::conv_lstm::ConvLstm;
use super::ops::time_distributed::runs_anew;
use super::per_step::Map;
use super::shape::{Misfit, Shape};
use super::stream::{Gives, Rate, Step, Trace};
use super::tape::Record;
use super::tensor::Tensor;
use super::training::Differs;
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::layers::dense::Dense;
use crate::layers::embedding::Embedding;
use crate::layers::quantized_embedding::QuantizedEmbedding;
use crate::precision::Precision;
use crate::seeds::DropoutGenerator;
use crate::weights::{QuantizedVisitor, WeightVisitor, WeightVisitorMut};

/// A gradient, if anything has come.
pub(crate) type Flow<T> = Option<ArrayD<T>>;

/// A layer over time that streams and clones share.
pub(crate) type SharedLayer<T> = Arc<Box<dyn Layer<T>>>;

/// What a call of a model computes.
pub(crate) trait Operation<T: Float>: fmt::Debug + Send + Sync + 'static {
    /// The same operation in a box of its own; what is large is shared.
    fn boxed_clone(&self) -> Box<dyn Operation<T>>;

    /// The shapes of the outputs: at making with unknown dimensions, and before each call with known ones.
    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit>;

    /// Whether the layer's `call` has a `mask` argument, which Keras fills with the input's mask.
    fn takes_mask(&self) -> bool {
        false
    }

    /// Whether it spreads a mask of fewer dimensions over its input from the last axis on, and so, inside a
    /// TimeDistributed, over other elements than those of its row.
    fn spreads_mask(&self) -> bool {
        false
    }

    /// Whether a mask makes a difference for what as a layer of a chain knows nothing of it.
    fn reads_or_loses_mask(&self) -> bool {
        false
    }

    /// Whether a mask that a call names for one of its inputs leaves those that are attached to the others; what goes on
    /// is attached to the first.
    fn names_masks_apart(&self) -> bool {
        false
    }

    /// Whether its inputs have no masks any more for those that read them later.
    fn takes_masks_away(&self) -> bool {
        false
    }

    /// The outputs. Inputs and their number fit: [`infer`](Operation::infer) has said so.
    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>>;

    /// From the gradients of the outputs to those of the inputs, then of the initial state; the weights' are added to
    /// `sums`. What isn't wanted may be left out. At least one of the outputs has a gradient.
    fn backward(&self, back: Back<'_, T>, sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>>;

    /// The same as [`run`](Operation::run) for one step of a stream, into arrays that are there. What holds other
    /// operations is not asked: they are.
    fn step(&self, step: Step<'_, T>) -> Result<()>;

    /// Describes it but for its weights, so that it can be made again.
    fn describe(&self) -> std::result::Result<Config, ConfigError>;

    /// Whether it can be trained through.
    fn can_train(&self) -> Result<()> {
        Ok(())
    }

    /// What of it isn't in training what it is in Keras's, if anything, in a layer that is trained or isn't.
    fn differs_in_training(&self, _trainable: bool) -> Option<Differs> {
        None
    }

    /// Shows each generator of its dropout, as new, in order. A run in training hands them on in the same order.
    fn visit_generators(&self, _show: &mut dyn FnMut(DropoutGenerator)) {}

    /// Whether it does something else with time as more rows of the batch than step by step, when it is trained.
    fn trains_by_batch(&self) -> bool {
        false
    }

    /// Whether the kernels that it divides by their largest singular value before each update have been, since they were
    /// changed last; `None` if it has none.
    fn has_normalized(&self) -> Option<bool> {
        None
    }

    /// Does so. The weights are its own: [`unshare`](Operation::unshare) has been called.
    fn normalize_kernels(&mut self) -> Result<()> {
        Ok(())
    }

    /// Moves what a run in training has seen into statistics that are kept.
    fn move_statistics(&mut self, _record: &Record<T>) {}

    /// Shows each weight, in order.
    fn visit_weights<'a>(&'a self, _which: Which, _visitor: &mut WeightVisitor<'_, 'a, T>) {}

    /// Hands each weight to the visitor, in the same order.
    fn visit_weights_mut(&mut self, _which: Which, _visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        Ok(())
    }

    /// Whether its weights are among those that are counted: Keras's summaries don't know of some.
    #[cfg_attr(not(feature = "file"), allow(dead_code, reason = "files of our own are read with it"))]
    fn weights_count(&self) -> bool {
        true
    }

    /// Makes sure that the weights belong to this model alone: streams and clones share them until they change.
    fn unshare(&mut self, _which: Which) -> Result<()> {
        Ok(())
    }

    /// Whether it treats each step of (batch, timesteps, ..) by itself. Ranks aren't known here: an axis counted from
    /// the end is taken as one of three.
    fn steps_alone(&self) -> bool {
        false
    }

    /// What it makes of sequences, one step of which is there at a time. `ranks`: the numbers of its inputs' dimensions.
    fn over_time(&self, _ranks: &[usize]) -> OverTime {
        if self.steps_alone() { OverTime::Alone } else { OverTime::Whole }
    }

    /// Makes it take one step of a sequence after another, if it can though it looks at several: it keeps what it needs
    /// ([`Trace::keep`]). If not `each_step`, its calls are on what has no steps.
    ///
    /// # Errors
    /// Why it can't.
    fn pace(&mut self, each_step: bool) -> Result<Gives, &'static str> {
        if each_step { Err(WHOLE) } else { Ok(Gives::EachStep) }
    }

    /// When its steps come, by when those of its input do, once its pace is chosen; or why it can't take these.
    fn rate(&self, input: Rate) -> Result<Rate, &'static str> {
        input.same()
    }

    /// How many steps it makes of one, all of them in the step of a stream that brings it: it does as much for each of
    /// them, and [`rate`](Operation::rate) says when.
    fn times(&self) -> usize {
        1
    }

    /// Makes it give one step of the sequence that it gives, all of whose steps are the same.
    fn give_one_step(&mut self) {}

    /// What it does to the features of one step, if it looks at nothing else.
    fn per_step(&self, _features: usize) -> Option<Map<T>> {
        None
    }

    /// What the graph must know of it.
    fn role(&self) -> Role<'_, T> {
        Role::Plain
    }

    /// The model that it is, or has inside.
    fn model_mut(&mut self) -> Option<&mut Model<T>> {
        None
    }

    /// Puts weights in fewer bits in the place of those of layers inside that have such a form.
    ///
    /// # Errors
    /// Those of [`Layer::quantize`].
    fn quantize(&mut self, _precision: Precision) -> Result<()> {
        Ok(())
    }

    /// The same as another operation that takes its place.
    fn quantized(&self, _precision: Precision) -> Result<Option<Op<T>>> {
        Ok(None)
    }

    /// Shows its weights in fewer bits, if it is no layer over time.
    fn visit_quantized(&self, _visitor: &mut QuantizedVisitor<'_>) {}

    /// A stateful layer's place among the model's states.
    fn keep_state_at(&mut self, _slot: usize) {}

    /// Moves the places of states behind those of an outer model.
    fn move_slots(&mut self, _by: usize) {}
}

/// What an operation makes of (batch, timesteps, ..).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OverTime {
    /// A sequence, each step of which is made of the same step alone.
    Alone,
    /// What it makes of the last step alone, without a sequence.
    Last,
    /// It needs the whole sequence.
    Whole,
}

/// What the graph must know of an operation.
pub(crate) enum Role<'a, T: Float> {
    /// Nothing.
    Plain,
    /// It is a layer over time with a state. `slot`: the place of a stateful layer's state among the model's.
    Recurrent { layer: &'a SharedLayer<T>, slot: Option<usize> },
    /// It is a layer over time whose states are pictures.
    ConvLstm(&'a ConvLstm<T>),
    /// It is a layer over time whose steps are alone.
    Dense(&'a Dense<T>),
    /// The same with weights in fewer bits.
    QuantizedDense(&'a SharedLayer<T>),
    /// Another layer whose weights are in fewer bits, by its class.
    InFewerBits(&'static str),
    /// Another operation for each step.
    TimeDistributed(&'a dyn Operation<T>),
    /// Another operation with time as the last axis.
    ChannelsFirst(&'a dyn Operation<T>),
    /// It makes ids of numbers.
    Ids,
    /// It reads ids.
    Embedding(&'a Embedding<T>),
    /// The same with weights in fewer bits.
    QuantizedEmbedding(&'a QuantizedEmbedding),
    /// It hides the steps of this value.
    Masking(T),
    /// It hands on what it is given; the mask, too, if it is kept.
    Same { keeps_mask: bool },
    /// It compares with a number, which masks are made with.
    NotEqual(f64),
    /// Whether any is true, which masks are made with: along the last axis alone?
    Any { along_the_last: bool },
    /// Any of several flags, which masks are made with.
    LogicalOr,
    /// It repeats what has no time axis.
    Repeat,
    /// A model within the model.
    Model(&'a Model<T>),
}

/// Which of the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Which {
    All,
    /// Without moving statistics, and without layers that aren't trainable.
    Trained,
}

/// An operation of a model.
pub(crate) struct Op<T: Float>(Box<dyn Operation<T>>);

impl<T: Float> Op<T> {
    pub(crate) fn new(operation: impl Operation<T>) -> Self {
        Op(Box::new(operation))
    }

    /// A copy of an operation.
    pub(super) fn of(operation: &dyn Operation<T>) -> Self {
        Op(operation.boxed_clone())
    }

    /// [`run`](Operation::run), recorded and written down if there is where to.
    pub(crate) fn apply(&self, inputs: &[&Tensor<T>], mut call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let (mut record, mut trace) = (call.record.take(), call.trace.take());
        let mask = call.mask.clone();
        if let Some(record) = &mut record {
            record.keep_inputs(inputs, call.initial.len());
            record.trained = call.training.is_some();
        }
        let before = trace.as_deref().map_or(0, Trace::kept);
        let (of_run, trace_of_run) = (record.as_deref_mut(), trace.as_deref_mut());
        let outputs = self.run(inputs, Call { record: of_run, trace: trace_of_run, ..call })?;
        if let Some(record) = record {
            record.keep_outputs(&outputs);
        }
        if let Some(trace) = trace {
            match self.role() {
                // What is inside has been written down.
                Role::Model(_) => {}
                Role::TimeDistributed(inner) if !runs_anew(inner) => {}
                _ => {
                    let keeps = trace.kept() > before;
                    trace.call(&**self, inputs, mask.as_ref(), keeps, &outputs)?;
                }
            }
        }
        Ok(outputs)
    }

    /// The model that it is, or has inside.
    pub(crate) fn model(&self) -> Option<&Model<T>> {
        fn find<T: Float>(operation: &dyn Operation<T>) -> Option<&Model<T>> {
            match operation.role() {
                Role::Model(model) => Some(model),
                Role::TimeDistributed(inner) | Role::ChannelsFirst(inner) => find(inner),
                _ => None,
            }
        }
        find(&*self.0)
    }
}

impl<T: Float> Deref for Op<T> {
    type Target = dyn Operation<T>;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl<T: Float> DerefMut for Op<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.0
    }
}

impl<T: Float> Clone for Op<T> {
    fn clone(&self) -> Self {
        Op(self.boxed_clone())
    }
}

impl<T: Float> fmt::Debug for Op<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How deep models, wrappers and layers stand within each other here, this one included.
pub(super) fn depth<T: Float>(operation: &dyn Operation<T>) -> usize {
    match operation.role() {
        Role::Model(model) => {
            let parts = model.parts.iter().filter_map(|part| part.op.as_ref());
            parts.map(|op| depth(&**op)).max().unwrap_or(0).saturating_add(1)
        }
        Role::TimeDistributed(inner) | Role::ChannelsFirst(inner) => depth(inner).saturating_add(1),
        Role::Recurrent { layer, .. } => layer.spec().depth,
        _ => 1,
    }
}

/// A shape error of what [`infer`](Operation::infer) can't know: masks.
pub(super) fn mismatch(expected: String, given: &[usize]) -> Error {
    Error::ModelCall { layer: String::new(), expected, given: format!("{given:?}") }
}

/// What can't happen once shapes are inferred, as an error all the same.
pub(super) fn misfit() -> Error {
    mismatch("another shape".into(), &[])
}
