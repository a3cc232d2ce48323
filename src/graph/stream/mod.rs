//! A model that is run one time step at a time, whatever its graph.

mod buffers;
mod inputs;
mod kept;
mod making;
mod pairs;
mod plan;
mod pooled;
mod program;
mod push;
mod rate;
mod states;
mod together;
mod trace;

use std::fmt;
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, IxDyn};

pub(crate) use self::buffers::{Buffer, MOST_AXES, MaskBuffer, Spread, Step, Work, permuted, permuted_mut};
pub(crate) use self::kept::Kept;
use self::pairs::OwnState;
use self::plan::Plan;
pub(crate) use self::plan::{Gives, Pace};
use self::program::Program;
pub(crate) use self::rate::Rate;
pub(crate) use self::trace::Trace;
use super::operation::{SharedLayer, misfit};
use super::run::Context;
use super::tensor::{Input, Tensor};
use super::{CallSpec, InputSpec, Model};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory::MemoryNeeds;
use crate::runner::scratch::Scratch;
use crate::state::{State, StateLayout};
use crate::stream::Stream;

/// A model that is run one time step at a time: made by [`Model::stream`]. Each recurrent layer goes on from its own
/// state. Several inputs and outputs, shared layers, masks by Embedding and Masking, and integer ids are all possible;
/// where a layer needs the whole sequence, [`Model::stream`] names it.
///
/// The steps give what the whole run gives, bit for bit. A convolution or a pooling keeps the last steps that its window
/// looks back at, a global pooling what it has seen, a ConvLSTM2D its pictures: their states are among those of
/// [`state`](ModelStream::state). With strides, or a window without padding, not every step gives an output:
/// [`push`](ModelStream::push) returns an `Option`, [`process`](ModelStream::process) says how many outputs it wrote; an
/// UpSampling1D makes several of one step, which `process` alone gives. An
/// output that belongs to the whole sequence (of a layer that returns its last output only) is at each step what the run
/// up to there would give. A **decoder** whose initial state comes from an encoder, or from inputs, is given those inputs whole, once, by [`start`](ModelStream::start), and then
/// steps. So is what a RepeatVector repeats; it goes on for as many steps as are taken.
///
/// Whatever a step takes is there when the stream is made: a step that succeeds allocates nothing (aside from tensors
/// of more than four dimensions, axes that `moveaxis` moves, an EinsumDense, attention of several heads within
/// TimeDistributed, and what runs again in each step: a layer over time there, one with channels first). For a chain of
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
    /// The outputs that are returned: of each, its place among the model's and its number among the program's values.
    results: Vec<(usize, usize)>,
    /// States that are inputs and outputs, then what is held between steps.
    states: Vec<OwnState>,
    /// What the state calls the step that is next, if steps differ.
    phase: Option<Arc<StateLayout>>,
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
    /// the time axis, or sees later steps (padding on both sides), or joins steps that don't come together, or begins with a state that comes from what is stepped, or with that of its other call.
    /// [`Error::TensorTooLarge`] for more rows than there is memory for.
    ///
    /// States that are inputs and outputs are the stream's, as by [`stream_with`](Model::stream_with), where names and
    /// shapes leave no doubt: `h_in` and `h_out`, `c0` and `cn`, `prev_state` and `next_state`. The model's `Display`
    /// shows which these are.
    pub fn stream(&self, batch: usize) -> Result<ModelStream<T>> {
        ModelStream::new(self, &self.state_pairs(), batch)
    }

    /// A stream of `batch` rows of a model whose states are inputs and outputs, as those that ONNX has of robots and of
    /// audio: each pair names an input, and the output that it is in the next step. The stream has the states then; they
    /// begin with zeros, and neither are given to a step nor come out of it.
    ///
    /// An input that has no time axis is one step: a model that adds one of size 1 by itself runs as it is.
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Dense, Gru, Model};
    /// let mut graph = Model::<f32>::builder("policy");
    /// let (observed, h) = (graph.input("observed", [None, Some(3)])?, graph.input("h_in", [Some(4)])?);
    /// let gru = Gru::builder(3, 4).return_sequences(true).return_state(true).build()?;
    /// let states = graph.call_with("gru", gru, &[observed], |call| call.initial_state(&[h]))?;
    /// let action = graph.call("action", Dense::new(4, 2), &states[..1])?;
    /// let policy = graph.build_named(&[("action", action[0]), ("h_out", states[1])])?;
    /// let mut stream = policy.stream_with(&[("h_in", "h_out")], 1)?;
    /// for _ in 0..3 {
    ///     println!("{:?}", stream.step_one(&[0.5, -0.25, 1.0])?);
    /// }
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`stream`](Model::stream); [`Error::UnknownName`] lists the inputs or outputs,
    /// [`Error::DuplicateName`] for one that is named twice, [`Error::ModelInput`] for two of several shapes.
    pub fn stream_with(&self, pairs: &[(&str, &str)], batch: usize) -> Result<ModelStream<T>> {
        ModelStream::new(self, &self.named_pairs(pairs)?, batch)
    }

    /// Checks that a [`ModelStream`] can run the model.
    pub(super) fn check_stream(&self) -> Result<()> {
        self.plan(&self.state_pairs()).map(drop)
    }
}

impl<T: Float> ModelStream<T> {
    /// The names of the inputs that [`start`](ModelStream::start) takes, in order; none for most models.
    pub fn start_inputs(&self) -> impl Iterator<Item = &str> + Clone {
        self.names(true)
    }

    /// The names of the inputs that [`step`](ModelStream::step) takes, in order.
    pub fn step_inputs(&self) -> impl Iterator<Item = &str> + Clone {
        self.names(false)
    }

    fn names(&self, once: bool) -> impl Iterator<Item = &str> + Clone {
        let inputs = self.model.inputs.iter().zip(&self.plan.once).zip(&self.plan.paired);
        let own = move |((_, is_once), paired): &((&InputSpec, &bool), &bool)| **is_once == once && !**paired;
        inputs.filter(own).map(|((input, _), _)| input.name.as_str())
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
            self.check_rows(place, input)?;
            let mut needs = MemoryNeeds::default();
            needs.array::<f64>(input.shape());
            needs.check(input.shape())?;
            tensors[place] = Some(Tensor::unmasked(self.model.inputs[place].enter(input.value())?));
        }
        self.model.run_before(&self.plan.before, &mut tensors, self.batch, &mut Scratch::new())?;
        for &(tensor, number) in &self.constants {
            let value = Buffer::of(&tensors[tensor].as_ref().ok_or_else(misfit)?.value);
            if value.shape() == self.program.values[number].shape() {
                self.program.values[number] = value;
            }
        }
        self.started = true;
        self.forget();
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
    /// [`Error::StreamNotStarted`] before [`start`](ModelStream::start), where that is needed;
    /// [`Error::OutputsNotEachStep`] where only some steps return outputs: [`push`](ModelStream::push) takes these;
    /// [`Error::SeveralOutputs`] where a step returns several: [`process`](ModelStream::process) takes these;
    /// [`Error::InLayer`] for what a layer refuses, an id that isn't in an Embedding's table. The stream is as before then.
    pub fn step(&mut self, inputs: &[Input<'_, T>]) -> Result<&[ArrayD<T>]> {
        self.check_each_step()?;
        self.take(inputs)?;
        Ok(&self.outputs)
    }

    fn take(&mut self, inputs: &[Input<'_, T>]) -> Result<bool> {
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
        self.check_each_step()?;
        self.take_named(inputs)?;
        Ok(&self.outputs)
    }

    fn take_named(&mut self, inputs: &[(&str, Input<'_, T>)]) -> Result<bool> {
        super::named::check(|| self.step_inputs(), inputs)?;
        let mut order = [0; MOST_INPUTS];
        if self.stepped.len() > MOST_INPUTS {
            let sorted = super::named::sorted(self.step_inputs(), inputs)?;
            return self.take(&sorted);
        }
        for (at, name) in self.step_inputs().enumerate() {
            order[at] = inputs.iter().position(|(given, _)| *given == name).ok_or_else(misfit)?;
        }
        self.take_step(|at| &inputs[order[at]].1)
    }

    fn take_step<'i, 'a: 'i>(&mut self, input: impl Fn(usize) -> &'i Input<'a, T>) -> Result<bool>
    where
        T: 'a,
    {
        self.check_started()?;
        for (at, &(place, number)) in self.stepped.iter().enumerate() {
            let input = input(at);
            self.check_rows(place, input)?;
            let sequence = self.plan.inputs[place].is_sequence();
            self.model.inputs[place].write_step(input, sequence, &mut self.program.values[number])?;
        }
        self.finish_step()
    }

    /// One step of a stream with one input and one output, on plain slices: of each row the features. Allocates nothing
    /// if it succeeds.
    ///
    /// # Errors
    /// [`Error::ModelSeveral`] lists the inputs and outputs of a stream that has others; those of
    /// [`step`](ModelStream::step).
    pub fn step_one(&mut self, x: &[T]) -> Result<&[T]> {
        self.check_each_step()?;
        self.take_one(x)?;
        self.outputs.first().and_then(|output| output.as_slice()).ok_or_else(misfit)
    }

    fn take_one(&mut self, x: &[T]) -> Result<bool> {
        let (place, number) = self.only_input()?;
        self.check_started()?;
        let (spec, to) = (&self.model.inputs[place], &mut self.program.values[number]);
        if x.len() != to.len() {
            return Err(spec.refuse(format!("{} numbers", to.len()), &[x.len()]));
        }
        let x = ArrayViewD::from_shape(IxDyn(&[x.len()]), x).map_err(|_| misfit())?;
        spec.write_flat(x, to)?;
        self.finish_step()
    }

    /// The one input, if there is one output: its place among the model's, and its number among the program's values.
    fn only_input(&self) -> Result<(usize, usize)> {
        if let ([input], [_]) = (&self.stepped[..], &self.outputs[..]) {
            return Ok(*input);
        }
        let outputs = self.output_names().map(String::from).collect();
        Err(Error::ModelSeveral { inputs: self.step_inputs().map(String::from).collect(), outputs })
    }

    fn check_started(&self) -> Result<()> {
        if self.started {
            return Ok(());
        }
        Err(Error::StreamNotStarted { inputs: self.start_inputs().map(String::from).collect() })
    }

    fn check_rows(&self, place: usize, input: &Input<'_, T>) -> Result<()> {
        let given = match &self.model.inputs[place].outside {
            Some(outside) => outside.rows_of_a_step(input.shape(), self.plan.inputs[place].is_sequence()),
            None => input.shape().first().copied(),
        };
        match given {
            Some(rows) if rows == self.batch => Ok(()),
            rows => Err(Error::StateBatch { expected: rows.unwrap_or(0), given: self.batch }),
        }
    }

    /// The outputs of the last step that gave some, in the model's order; zeros before the first.
    pub fn outputs(&self) -> &[ArrayD<T>] {
        &self.outputs
    }

    /// An output of the last step that gave some, by its name.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are.
    pub fn output(&self, name: &str) -> Result<ArrayViewD<'_, T>> {
        let at = self.output_names().position(|output| output == name);
        let unknown = || Error::unknown_name("output", name, self.output_names().map(String::from));
        at.map(|at| self.outputs[at].view()).ok_or_else(unknown)
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
