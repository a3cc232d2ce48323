//! Running a model on whole inputs.
//!
//! The rules by which masks travel are those of Keras's `Layer.__call__`:
//! - A call that names a mask gets that one. Else a layer whose `call` has a `mask` argument gets the mask that is
//!   attached to its input, but only if the input is its one tensor: with an initial state it gets none.
//! - The mask that was named, or the one that is attached to the first input, goes on with the output, unless the layer
//!   makes another one (Embedding, Masking, merging layers) or doesn't support masks (Flatten, Reshape, Permute,
//!   RepeatVector, convolutions, pooling, and models as layers, whose outputs have what was attached to them within).
//! - A mask that a call of a model names is attached to the input itself: calls that come later see it, too.
//! - MultiHeadAttention takes the masks of its inputs away from the tensors themselves: calls that come later see none.
//!
//! In Keras 2
//! - a layer that is called with an initial state gets the mask of its input, too;
//! - a stateful layer takes an initial state only if the state that it keeps is zero (each direction by itself);
//! - a call of a model that names masks takes away those of the inputs for which it names none;
//! - the mask that the layer inside a TimeDistributed makes goes on: see
//!   [`TimeDistributed`](super::ops::time_distributed::TimeDistributed).

use ndarray::ArrayD;

use super::model_state::ModelState;
use super::operation::{Call, Op, Role, Training, Which, misfit};
use super::shape::{Shape, display};
use super::stream::Trace;
use super::tape::{Frame, Recording};
use super::tensor::{Input, Mask, Tensor, Value, in_row_order};
use super::{CallSpec, InputKind, InputSpec, Model};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory;
use crate::runner::scratch::{Scratch, with_own_scratch};
use crate::runner::tape::Tape;
use crate::seeds::DropoutGenerator;
use crate::state::State;

/// What calls are run with, besides tensors.
pub(super) struct Context<'a, T: Float> {
    /// The states of the model's stateful layers.
    pub(super) states: &'a mut [State<T>],
    pub(super) scratch: &'a mut Scratch<T>,
    /// Where a step is tried instead of a whole run.
    pub(super) trace: Option<&'a mut Trace<T>>,
    /// What the backward pass is to read; for a run of all calls.
    pub(super) frame: Option<&'a mut Frame<T>>,
    /// Who hears what each call gives first.
    pub(super) watch: Option<Watch<'a, T>>,
    /// Set in training: the generators of the model's dropout.
    pub(super) training: Option<&'a mut [DropoutGenerator]>,
}

/// Hears what layers give, by their names.
#[doc(hidden)]
pub type Watch<'a, T> = &'a mut dyn FnMut(&str, &ArrayD<T>);

impl<'a, T: Float> Context<'a, T> {
    pub(super) fn new(states: &'a mut [State<T>], scratch: &'a mut Scratch<T>) -> Self {
        Context { states, scratch, trace: None, frame: None, watch: None, training: None }
    }
}

impl<T: Float> Model<T> {
    pub(super) fn run(
        &self,
        state: Option<&mut ModelState<T>>,
        inputs: &[Input<'_, T>],
        tape: Option<&mut Tape<T>>,
        watch: Option<Watch<'_, T>>,
    ) -> Result<Vec<ArrayD<T>>> {
        let outputs = self.run_tensors(state, inputs, (tape, None), watch)?;
        Ok(outputs.iter().enumerate().map(|(place, output)| self.outward(place, &output.value)).collect())
    }

    /// [`run`](Model::run) that gives the outputs with their masks.
    pub(super) fn run_tensors(
        &self,
        state: Option<&mut ModelState<T>>,
        inputs: &[Input<'_, T>],
        (tape, training): (Option<&mut Tape<T>>, Option<&mut [DropoutGenerator]>),
        watch: Option<Watch<'_, T>>,
    ) -> Result<Vec<Tensor<T>>> {
        let tensors = self.accept(inputs)?;
        let batch = tensors.first().and_then(|tensor| tensor.shape().first()).copied().unwrap_or(0);
        let mut own;
        let states = match state {
            Some(state) if !self.stateful.is_empty() && state.batch != batch => {
                return Err(Error::StateBatch { expected: batch, given: state.batch });
            }
            Some(state) => {
                state.check(self.stateful.iter(), batch)?;
                state
            }
            None => {
                own = self.try_initial_state(batch)?;
                &mut own
            }
        };
        if let Some(expected) = self.batch.filter(|&expected| self.is_stateful() && expected != batch) {
            return Err(Error::StateBatch { expected, given: batch });
        }
        // A call that fails in the middle leaves the caller's states as they were.
        let mut next = states.states.clone();
        let (mut tape, trains) = (tape, training.is_some());
        // Of this call's own lifetime.
        let mut watch = watch.map(|watch| move |layer: &str, output: &ArrayD<T>| watch(layer, output));
        // Those of arrays that are others outside are those inside.
        let given = |(at, input): (usize, &Input<'_, T>)| match &self.inputs[at].outside {
            Some(_) => tensors[at].shape().to_vec(),
            None => input.shape().to_vec(),
        };
        let shapes: Vec<Vec<usize>> = inputs.iter().enumerate().map(given).collect();
        let frame = tape.as_deref_mut().map(|tape| Recording::begin(tape, shapes.into_iter()));
        let outputs = with_own_scratch(|scratch| {
            let watch = watch.as_mut().map(|watch| watch as Watch<'_, T>);
            let context = Context { states: &mut next, scratch, trace: None, frame, watch, training };
            self.execute(tensors, context)
        })?;
        if let Some(tape) = tape {
            Recording::recorded(tape, self, &outputs, trains);
        }
        states.states = next;
        Ok(outputs)
    }

    /// The inputs as the model sees them.
    fn accept(&self, inputs: &[Input<'_, T>]) -> Result<Vec<Tensor<T>>> {
        if inputs.len() != self.inputs.len() {
            return Err(Error::ModelInputs { expected: self.inputs.len(), given: inputs.len() });
        }
        Input::check_room(inputs)?;
        let mut tensors: Vec<Tensor<T>> = Vec::new();
        for (spec, input) in self.inputs.iter().zip(inputs) {
            let tensor = Tensor::unmasked(spec.enter(input.value())?);
            if let Some(first) = tensors.first()
                && first.shape().first() != tensor.shape().first()
            {
                let expected = format!("{:?} rows, as the first input", first.shape().first().copied().unwrap_or(0));
                return Err(spec.refuse(expected, tensor.shape()));
            }
            tensors.push(tensor);
        }
        Ok(tensors)
    }

    /// An output as the caller gets it.
    pub(super) fn outward(&self, place: usize, value: &Value<T>) -> ArrayD<T> {
        let array = in_row_order(&value.floats());
        match self.outside.get(place) {
            Some(Some(outside)) => outside.outward(array),
            _ => array,
        }
    }

    /// Attaches the masks that a call of a model names to its inputs, wherever else these are.
    fn attach(
        &self,
        call: &CallSpec,
        tensors: &mut [Option<Tensor<T>>],
        mut trace: Option<&mut Trace<T>>,
    ) -> Result<()> {
        let is_model = self.parts[call.part].op.as_ref().is_some_and(|op| matches!(op.role(), Role::Model(_)));
        if !is_model || call.masks.iter().all(Option::is_none) {
            return Ok(());
        }
        for (place, &input) in call.inputs.iter().enumerate() {
            let named = call.masks.get(place).copied().flatten().map(|mask| there(tensors, mask)).transpose()?;
            let mask = named.map(|named| name(&named.value, trace.as_deref_mut())).transpose()?;
            if mask.is_none() && !self.keras_2 {
                continue;
            }
            let value = there(tensors, input)?.value.clone();
            // Layers that hand on what they get (Dropout) hand on the same tensor.
            for tensor in tensors.iter_mut().flatten().filter(|tensor| tensor.value.is(&value)) {
                tensor.mask.clone_from(&mask);
            }
        }
        Ok(())
    }

    /// This model as a layer of another one: inputs keep their masks, or get those that the call names.
    pub(super) fn execute_nested(&self, inputs: &[&Tensor<T>], mut call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        if inputs.len() != self.inputs.len() {
            return Err(Error::ModelInputs { expected: self.inputs.len(), given: inputs.len() });
        }
        let frame = call.record.map(|record| {
            record.inner.inputs = inputs.iter().map(|input| input.shape().to_vec()).collect();
            &mut record.inner
        });
        let mut tensors = Vec::new();
        for (spec, input) in self.inputs.iter().zip(inputs) {
            let value = spec.convert(input.value.clone())?;
            if let Some(trace) = call.trace.as_deref_mut() {
                trace.converted(spec, &input.value, &value)?;
            }
            tensors.push(Tensor { value, mask: input.mask.clone() });
        }
        self.execute(
            tensors,
            Context {
                states: call.states,
                scratch: call.scratch,
                trace: call.trace,
                frame,
                watch: None,
                training: call.training.map(|training| training.generators),
            },
        )
    }

    /// Runs all calls on the inputs, and returns the outputs.
    fn execute(&self, inputs: Vec<Tensor<T>>, mut context: Context<'_, T>) -> Result<Vec<Tensor<T>>> {
        if let Some(frame) = &mut context.frame {
            frame.make_room(self.calls.len());
        }
        let mut tensors: Vec<Option<Tensor<T>>> = inputs.into_iter().map(Some).collect();
        tensors.resize(self.tensors.len(), None);
        self.run_calls(&self.calls, &mut tensors, context)?;
        self.outputs.iter().map(|&output| there(&tensors, output).cloned()).collect()
    }

    /// Runs calls one after another.
    pub(super) fn run_calls(
        &self,
        calls: &[CallSpec],
        tensors: &mut [Option<Tensor<T>>],
        context: Context<'_, T>,
    ) -> Result<()> {
        let Context { states, scratch, mut trace, mut frame, mut watch, mut training } = context;
        let generators = if training.is_some() { self.places_of_generators() } else { Vec::new() };
        for (place, call) in calls.iter().enumerate() {
            self.attach(call, tensors, trace.as_deref_mut())?;
            let (layer, op) = self.called(call)?;
            let at = |&index: &usize| there(tensors, index);
            let arguments: Vec<&Tensor<T>> = call.inputs.iter().map(at).collect::<Result<_>>()?;
            let initial: Vec<&Tensor<T>> = call.initial_state.iter().map(at).collect::<Result<_>>()?;
            let (mut named, apart) = (None, op.names_masks_apart());
            let first = arguments.first().and_then(|first| first.mask.clone());
            if let Some(Some(mask)) = call.masks.first().filter(|_| !apart) {
                named = Some(name(&at(mask)?.value, trace.as_deref_mut())?);
            }
            let mut replaced = Vec::new();
            if (call.masks.len() > 1 || apart) && !matches!(op.role(), Role::Model(_)) {
                replaced = remasked(&arguments, &call.masks, tensors, apart, trace.as_deref_mut())?;
            }
            let arguments = if replaced.is_empty() { arguments } else { replaced.iter().collect() };
            let attached = if apart { first } else { arguments.first().and_then(|first| first.mask.clone()) };
            let passes = named.clone().or_else(|| attached.clone());
            let mask = named.or_else(|| attached.filter(|_| op.takes_mask() && (initial.is_empty() || self.keras_2)));

            self.check_call(layer, op, &arguments)?;
            let context = Call {
                mask,
                passes,
                initial,
                states: &mut *states,
                scratch: &mut *scratch,
                trace: trace.as_deref_mut(),
                keras_2: self.keras_2,
                record: frame.as_deref_mut().map(|frame| &mut frame.records[place]),
                training: training.as_deref_mut().map(|all| Training {
                    generators: &mut all[generators[call.part].clone()],
                    trainable: self.parts[call.part].is_among(Which::Trained),
                }),
            };
            let outputs = op.apply(&arguments, context).map_err(|error| error.in_layer(layer))?;
            if let (Some(watch), Some(first)) = (&mut watch, outputs.first()) {
                watch(layer, &in_row_order(&first.value.floats()));
            }
            if op.takes_masks_away() {
                take_masks_away(&call.inputs, tensors)?;
            }
            for (&to, output) in call.outputs.iter().zip(outputs) {
                tensors[to] = Some(output);
            }
            for &index in &call.drops {
                tensors[index] = None;
            }
        }
        Ok(())
    }

    /// Checks that a layer can read what it is called on, and that the result isn't too large.
    fn check_call(&self, name: &str, op: &Op<T>, inputs: &[&Tensor<T>]) -> Result<()> {
        let known = |tensor: &&Tensor<T>| -> Shape { tensor.shape().iter().map(|&size| Some(size)).collect() };
        let inputs: Vec<Shape> = inputs.iter().map(known).collect();
        let outputs = op.infer(&inputs).map_err(|misfit| Error::ModelCall {
            layer: name.into(),
            expected: misfit.expected,
            given: misfit.found,
        })?;
        for output in outputs {
            let shape: Vec<usize> = output.iter().map(|size| size.unwrap_or(0)).collect();
            memory::check_shape(&shape)?;
            let elements = memory::product(&shape);
            if elements.is_none_or(|elements| elements > self.elements) {
                return Err(Error::TensorTooLarge { shape });
            }
            memory::check::<T>(elements, &shape)?;
        }
        Ok(())
    }
}

/// One mask for each input, in the place of those that are attached.
fn remasked<T: Float>(
    inputs: &[&Tensor<T>],
    masks: &[Option<usize>],
    tensors: &[Option<Tensor<T>>],
    apart: bool,
    mut trace: Option<&mut Trace<T>>,
) -> Result<Vec<Tensor<T>>> {
    let mut replaced = Vec::new();
    for (&input, mask) in inputs.iter().zip(masks) {
        let named = mask.map(|mask| name(&there(tensors, mask)?.value, trace.as_deref_mut())).transpose()?;
        let mask = named.or_else(|| input.mask.clone().filter(|_| apart));
        replaced.push(Tensor { value: input.value.clone(), mask });
    }
    Ok(replaced)
}

/// Takes the masks of tensors, for all that read them later: layers that hand on what they get hand on the same tensor.
fn take_masks_away<T: Float>(inputs: &[usize], tensors: &mut [Option<Tensor<T>>]) -> Result<()> {
    for &input in inputs {
        let value = there(tensors, input)?.value.clone();
        for tensor in tensors.iter_mut().flatten().filter(|tensor| tensor.value.is(&value)) {
            tensor.mask = None;
        }
    }
    Ok(())
}

/// A tensor that is there by now.
fn there<T: Float>(tensors: &[Option<Tensor<T>>], index: usize) -> Result<&Tensor<T>> {
    let tensor = tensors[index].as_ref();
    debug_assert!(tensor.is_some(), "calls stand behind those that they read from");
    tensor.ok_or_else(misfit)
}

/// The mask that a tensor is when a call names it.
fn name<T: Float>(value: &Value<T>, trace: Option<&mut Trace<T>>) -> Result<Mask> {
    let mask = Mask::named(value);
    if let Some(trace) = trace {
        trace.named(value, &mask)?;
    }
    Ok(mask)
}

impl InputSpec {
    /// What a caller gives, as the model has it.
    pub(crate) fn enter<T: Float>(&self, value: Value<T>) -> Result<Value<T>> {
        match &self.outside {
            None => self.convert(value),
            Some(outside) if outside.accepts(value.shape()) => self.convert(outside.inward(value)),
            Some(outside) => Err(self.refuse(display(&outside.shape), value.shape())),
        }
    }

    /// What Keras makes of an input: the declared type, and a last dimension of one added or taken away.
    pub(crate) fn convert<T: Float>(&self, value: Value<T>) -> Result<Value<T>> {
        let known: Shape = value.shape().iter().map(|&size| Some(size)).collect();
        let Some(shape) = self.accept(&known) else {
            return Err(self.refuse(display(&self.shape), value.shape()));
        };
        let converted = match self.kind {
            InputKind::Float { through_f32 } => {
                let floats = value.floats();
                Value::Float(match through_f32 {
                    true => floats.map(|&value| T::from_f64((value.into_f64() as f32).into())).into_shared(),
                    false => floats,
                })
            }
            InputKind::Int { min, max } => {
                if let Value::Float(floats) = &value
                    && let Some(odd) = floats.iter().find(|value| !value.is_finite())
                {
                    return Err(self.refuse(format!("numbers, not {odd}"), value.shape()));
                }
                let whole = value.integers();
                if let Some(odd) = whole.iter().find(|&&id| id < min || id > max) {
                    return Err(self.refuse(format!("integers from {min} to {max}, not {odd}"), value.shape()));
                }
                Value::Int(whole)
            }
            InputKind::Bool => Value::Bool(value.flags()),
        };
        if shape == known {
            return Ok(converted);
        }
        let target: Vec<usize> = shape.iter().map(|size| size.unwrap_or(1)).collect();
        let refuse = |_| self.refuse(display(&shape), value.shape());
        Ok(match converted {
            Value::Float(x) => Value::Float(x.to_shape(target).map_err(refuse)?.into_owned().into_shared()),
            Value::Int(x) => Value::Int(x.to_shape(target).map_err(refuse)?.into_owned().into_shared()),
            Value::Bool(x) => Value::Bool(x.to_shape(target).map_err(refuse)?.into_owned().into_shared()),
        })
    }

    pub(super) fn refuse(&self, expected: String, given: &[usize]) -> Error {
        Error::ModelInput { input: self.name.clone(), expected, given: format!("{given:?}") }
    }
}
