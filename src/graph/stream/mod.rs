//! A model that is run one time step at a time, whatever its graph.

mod buffers;
mod inputs;
mod kept;
mod plan;
mod pooled;
mod trace;

use std::fmt;

use ndarray::{ArrayD, ArrayViewD};

pub(crate) use self::buffers::{Buffer, MOST_AXES, MaskBuffer, Spread, Step, Work, permuted, permuted_mut};
pub(crate) use self::kept::Kept;
pub(crate) use self::plan::{Gives, Pace};
use self::plan::{Kind, Plan};
pub(crate) use self::trace::Trace;
use self::trace::{Program, Started};
use super::chain::cannot;
use super::model_state::ModelState;
use super::operation::{SharedLayer, misfit};
use super::run::Context;
use super::tensor::{Input, Tensor, Value};
use super::{CallSpec, InputKind, InputSpec, Model};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory::MemoryNeeds;
use crate::runner::scratch::Scratch;
use crate::state::State;
use crate::stream::Stream;

/// A model that is run one time step at a time: made by [`Model::stream`]. Each recurrent layer goes on from its own
/// state. Several inputs and outputs, shared layers, masks by Embedding and Masking, and integer ids are all possible;
/// where a layer needs the whole sequence, [`Model::stream`] names it.
///
/// The steps give what the whole run gives, bit for bit. A convolution with causal padding and strides of one keeps its
/// last inputs, a global pooling what it has seen: their states are among those of [`state`](ModelStream::state). An
/// output that belongs to the whole sequence (of a layer that returns its last output only) is at each step what the run
/// up to there would give. A **decoder** whose initial state comes from an encoder, or from inputs, is given those inputs whole, once, by [`start`](ModelStream::start), and then
/// steps. So is what a RepeatVector repeats; it goes on for as many steps as are taken.
///
/// Whatever a step takes is there when the stream is made: a step that succeeds allocates nothing (aside from tensors
/// of more than four dimensions, axes that `moveaxis` moves, and what runs again in each step: a layer over time within
/// TimeDistributed, one with channels first). For a chain of
/// layers a [`Stream`] over [`Model::into_layer`] does the same, takes blocks on plain slices, and has its weights
/// swapped while it runs.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Embedding, Lstm, Sequential};
/// let model = Sequential::<f32>::builder("next_word")
///     .layer(Embedding::new(10, 3))
///     .layer(Lstm::builder(3, 4).return_sequences(true).build()?)
///     .layer(Dense::new(4, 10))
///     .build()?;
/// let mut stream = model.stream(1)?;
/// for id in [3, 1, 4] {
///     let outputs = stream.step(&[(&array![id]).into()])?; // (batch,) ids
///     println!("{}", outputs[0]); // (batch, features)
/// }
/// # Ok::<(), recurrent::Error>(())
/// ```
pub struct ModelStream<T: Float> {
    /// The model, with fixed numbers of time steps forgotten.
    model: Model<T>,
    batch: usize,
    plan: Plan,
    program: Program<T>,
    /// Of each tensor that is there before the first step and read by steps, its number among the program's values.
    constants: Vec<(usize, usize)>,
    /// Of each input that is stepped, its place among the model's, and its number among the program's values.
    stepped: Vec<(usize, usize)>,
    /// The numbers of the outputs among the program's values.
    results: Vec<usize>,
    outputs: Vec<ArrayD<T>>,
    /// The states before a step that may be refused in the middle.
    before: Vec<State<T>>,
    started: bool,
}

/// A stream that shares a layer of the model.
pub(crate) type OwnStream<T> = Stream<T, SharedLayer<T>>;

impl<T: Float> Model<T> {
    /// A stream of `batch` rows: see [`ModelStream`]. It shares the model's weights.
    ///
    /// # Errors
    /// [`Error::CannotStream`] names the layer that needs the whole sequence: one that goes backwards, or works along
    /// the time axis, or begins with a state that comes from what is stepped, or with that of its other call.
    /// [`Error::TensorTooLarge`] for more rows than there is memory for.
    pub fn stream(&self, batch: usize) -> Result<ModelStream<T>> {
        ModelStream::new(self, batch)
    }

    /// Checks that a [`ModelStream`] can run the model.
    pub(super) fn check_stream(&self) -> Result<()> {
        self.plan().map(drop)
    }
}

impl<T: Float> ModelStream<T> {
    fn new(model: &Model<T>, batch: usize) -> Result<Self> {
        let (plan, model) = model.plan()?;
        // One step of each input, and of what is not stepped a sequence of one.
        let trial = |place: usize| -> Result<Value<T>> {
            let InputSpec { shape, kind, .. } = &model.inputs[place];
            let shape: Vec<usize> = [batch].into_iter().chain(shape[1..].iter().map(|n| n.unwrap_or(1))).collect();
            let mut needs = MemoryNeeds::default();
            needs.array::<f64>(&shape);
            needs.check(&shape)?;
            Ok(match kind {
                InputKind::Float { .. } => Value::Float(ArrayD::zeros(shape).into_shared()),
                InputKind::Int { .. } => Value::Int(ArrayD::zeros(shape).into_shared()),
                InputKind::Bool => Value::Bool(ArrayD::from_elem(shape, true).into_shared()),
            })
        };
        let mut scratch = Scratch::new();
        let mut tensors: Vec<Option<Tensor<T>>> = vec![None; model.tensors.len()];
        for (place, tensor) in tensors.iter_mut().enumerate().take(model.inputs.len()) {
            *tensor = Some(Tensor::unmasked(trial(place)?));
        }
        model.run_before(&plan.before, &mut tensors, batch, &mut scratch)?;
        let mut trace = Trace::new(batch);
        let (mut constants, mut stepped) = (Vec::new(), Vec::new());
        for (tensor, once) in plan.once.iter().enumerate() {
            let Some(Tensor { value, .. }) = tensors[tensor].as_ref() else { continue };
            let number = trace.given(value, !once);
            if *once { constants.push((tensor, number)) } else { stepped.push((tensor, number)) }
        }
        let context = Context { trace: Some(&mut trace), ..Context::new(&mut [], &mut scratch) };
        model.run_calls(&plan.each, &mut tensors, context)?;
        let of = |&output: &usize| tensors[output].as_ref().ok_or_else(misfit);
        let results =
            model.outputs.iter().map(|output| trace.number(&of(output)?.value)).collect::<Result<Vec<_>>>()?;
        let program = trace.finish();
        if program.values.iter().any(|value| value.shape().len() > MOST_AXES) {
            return Err(cannot(&model.name, "one of its tensors has more than eight dimensions"));
        }
        let outputs = results.iter().zip(&plan.outputs).map(|(&number, kind)| {
            let mut shape = program.values[number].shape().to_vec();
            if *kind == Kind::Sequence {
                shape.remove(1);
            }
            ArrayD::zeros(shape)
        });
        let outputs = outputs.collect();
        let before = program.streams.iter().map(|started| started.kept.state().clone()).collect();
        let mut stream =
            ModelStream { model, batch, plan, program, constants, stepped, results, outputs, before, started: false };
        stream.warm_up()?;
        Ok(stream)
    }

    /// Takes all memory that steps take.
    fn warm_up(&mut self) -> Result<()> {
        for _ in 0..2 {
            self.program.start()?;
            self.program.step()?;
        }
        self.program.start()?;
        let needs_start = self.start_inputs().next().is_some();
        self.started = !needs_start;
        Ok(())
    }

    /// The names of the inputs that [`start`](ModelStream::start) takes, in order; none for most models.
    pub fn start_inputs(&self) -> impl Iterator<Item = &str> + Clone {
        self.names(true)
    }

    /// The names of the inputs that [`step`](ModelStream::step) takes, in order.
    pub fn step_inputs(&self) -> impl Iterator<Item = &str> + Clone {
        self.names(false)
    }

    fn names(&self, once: bool) -> impl Iterator<Item = &str> + Clone {
        let inputs = self.model.inputs.iter().zip(&self.plan.once);
        inputs.filter(move |(_, is_once)| **is_once == once).map(|(input, _)| input.name.as_str())
    }

    /// Gives a decoder what it needs before its first step: whole inputs, in the order of
    /// [`start_inputs`](ModelStream::start_inputs). Whatever ran before is forgotten.
    ///
    /// # Errors
    /// Those of [`Model::predict`], [`Error::StateBatch`] for another number of rows; the stream is as before then.
    pub fn start(&mut self, inputs: &[Input<'_, T>]) -> Result<()> {
        let expected = self.start_inputs().count();
        if inputs.len() != expected {
            return Err(Error::ModelInputs { expected, given: inputs.len() });
        }
        let mut tensors: Vec<Option<Tensor<T>>> = vec![None; self.model.tensors.len()];
        let places = (0..self.model.inputs.len()).filter(|&place| self.plan.once[place]);
        for (place, input) in places.zip(inputs) {
            self.check_rows(input)?;
            let mut needs = MemoryNeeds::default();
            needs.array::<f64>(input.shape());
            needs.check(input.shape())?;
            tensors[place] = Some(Tensor::unmasked(self.model.inputs[place].convert(input.value())?));
        }
        self.model.run_before(&self.plan.before, &mut tensors, self.batch, &mut Scratch::new())?;
        for &(tensor, number) in &self.constants {
            let value = Buffer::of(&tensors[tensor].as_ref().ok_or_else(misfit)?.value);
            if value.shape() == self.program.values[number].shape() {
                self.program.values[number] = value;
            }
        }
        self.started = true;
        self.program.start()
    }

    /// [`start`](ModelStream::start) with the inputs by their names, in any order.
    ///
    /// # Errors
    /// Those of [`start`](ModelStream::start), [`Error::UnknownName`], [`Error::DuplicateName`],
    /// [`Error::MissingInput`].
    pub fn start_named(&mut self, inputs: &[(&str, Input<'_, T>)]) -> Result<()> {
        let sorted = super::named::sorted(self.start_inputs(), inputs)?;
        self.start(&sorted)
    }

    /// One step: the inputs without their time axis, (batch, features) or (batch,) ids, in the order of
    /// [`step_inputs`](ModelStream::step_inputs). Inputs that have no time axis are given as they are. Returns the
    /// outputs, without their time axis too. Allocates nothing if it succeeds.
    ///
    /// # Errors
    /// [`Error::ModelInputs`], [`Error::ModelInput`], [`Error::StateBatch`] for another number of rows;
    /// [`Error::StreamNotStarted`] before [`start`](ModelStream::start), where that is needed; [`Error::InLayer`] for
    /// what a layer refuses, an id that isn't in an Embedding's table. The stream is as before then.
    pub fn step(&mut self, inputs: &[Input<'_, T>]) -> Result<&[ArrayD<T>]> {
        if inputs.len() != self.stepped.len() {
            return Err(Error::ModelInputs { expected: self.stepped.len(), given: inputs.len() });
        }
        self.take_step(|at| &inputs[at])
    }

    /// [`step`](ModelStream::step) with the inputs by their names, in any order.
    ///
    /// # Errors
    /// Those of [`step`](ModelStream::step), [`Error::UnknownName`], [`Error::DuplicateName`], [`Error::MissingInput`].
    pub fn step_named(&mut self, inputs: &[(&str, Input<'_, T>)]) -> Result<&[ArrayD<T>]> {
        super::named::check(|| self.step_inputs(), inputs)?;
        let mut order = [0; MOST_INPUTS];
        if self.stepped.len() > MOST_INPUTS {
            let sorted = super::named::sorted(self.step_inputs(), inputs)?;
            return self.step(&sorted);
        }
        for (at, name) in self.step_inputs().enumerate() {
            order[at] = inputs.iter().position(|(given, _)| *given == name).ok_or_else(misfit)?;
        }
        self.take_step(|at| &inputs[order[at]].1)
    }

    fn take_step<'i, 'a: 'i>(&mut self, input: impl Fn(usize) -> &'i Input<'a, T>) -> Result<&[ArrayD<T>]>
    where
        T: 'a,
    {
        if !self.started {
            return Err(Error::StreamNotStarted { inputs: self.start_inputs().map(String::from).collect() });
        }
        for (at, &(place, number)) in self.stepped.iter().enumerate() {
            let input = input(at);
            self.check_rows(input)?;
            let sequence = self.plan.inputs[place] == Kind::Sequence;
            self.model.inputs[place].write_step(input, sequence, &mut self.program.values[number])?;
        }
        if self.program.may_fail_late {
            for (before, Started { kept, .. }) in self.before.iter_mut().zip(&self.program.streams) {
                before.copy_from(kept.state())?;
            }
        }
        if let Err(error) = self.program.step() {
            for (before, Started { kept, .. }) in self.before.iter().zip(&mut self.program.streams) {
                if self.program.may_fail_late {
                    kept.set_state(before)?;
                }
            }
            return Err(error);
        }
        for (output, &number) in self.outputs.iter_mut().zip(&self.results) {
            buffers::fill(output, &self.program.values[number])?;
        }
        Ok(&self.outputs)
    }

    fn check_rows(&self, input: &Input<'_, T>) -> Result<()> {
        match input.shape().first() {
            Some(&rows) if rows == self.batch => Ok(()),
            rows => Err(Error::StateBatch { expected: rows.copied().unwrap_or(0), given: self.batch }),
        }
    }

    /// The outputs of the last step, in the model's order; zeros before the first.
    pub fn outputs(&self) -> &[ArrayD<T>] {
        &self.outputs
    }

    /// An output of the last step by its name.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are.
    pub fn output(&self, name: &str) -> Result<ArrayViewD<'_, T>> {
        let at = self.model.output_names().position(|output| output == name);
        let unknown = || Error::unknown_name("output", name, self.model.output_names().map(String::from));
        at.map(|at| self.outputs[at].view()).ok_or_else(unknown)
    }

    /// The states of the recurrent layers now, of causal convolutions and of global pooling, one for each call.
    pub fn state(&self) -> ModelState<T> {
        let states = self.program.streams.iter().map(|started| started.kept.state().clone());
        ModelState::of(states.collect(), self.batch)
    }

    /// Goes on from a state that was saved.
    ///
    /// # Errors
    /// [`Error::StateLayout`], [`Error::StateBatch`] for a state of another model or batch; the stream is as before.
    pub fn set_state(&mut self, state: &ModelState<T>) -> Result<()> {
        let streams = &mut self.program.streams;
        state.check(streams.iter().map(|started| started.kept.state().layout()), self.batch)?;
        streams.iter_mut().zip(state.states()).try_for_each(|(started, state)| started.kept.set_state(state))
    }

    /// Starts over; a decoder with what [`start`](ModelStream::start) gave it last.
    pub fn reset(&mut self) {
        let begun = self.program.start();
        debug_assert!(begun.is_ok(), "what was started once can be started again");
        self.outputs.iter_mut().for_each(|output| output.fill(T::zero()));
    }

    /// The number of rows.
    pub fn batch(&self) -> usize {
        self.batch
    }
}

/// Inputs that are put in order without an allocation.
const MOST_INPUTS: usize = 16;

impl<T: Float> Model<T> {
    /// Runs what is to be there before the first step.
    fn run_before(
        &self,
        calls: &[CallSpec],
        tensors: &mut [Option<Tensor<T>>],
        batch: usize,
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        let mut states = self.try_initial_state(batch)?;
        self.run_calls(calls, tensors, Context::new(states.states_mut(), scratch))
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
