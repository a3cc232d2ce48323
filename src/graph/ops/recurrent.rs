//! Layers over time, wrappers included.

use std::sync::Arc;

use ndarray::{Array2, ArrayD, ArrayView2, ArrayView3, Axis, Ix2, Ix3, concatenate};

use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::gradients::OutputGradient;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Role, SharedLayer, Which, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape, fit};
use crate::graph::stream::{Buffer, MaskBuffer, OwnStream, Step};
use crate::graph::tensor::{Mask, Shared, Tensor, Value};
use crate::layers::Layer;
use crate::precision::Precision;
use crate::runner::check::check_input;
use crate::runner::execute::produce;
use crate::runner::run::Run;
use crate::seeds::DropoutGenerator;
use crate::state::State;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// A layer over time. Outputs are the sequence or the last step, of each direction if they aren't merged, then the
/// parts of the state.
#[derive(Debug, Clone)]
pub(crate) struct Recurrent<T: Float> {
    pub(crate) layer: SharedLayer<T>,
    /// The place of a stateful layer's state among the model's.
    slot: Option<usize>,
}

impl<T: Float> Recurrent<T> {
    pub(crate) fn new(layer: impl Layer<T>) -> Self {
        Recurrent::boxed(Box::new(layer))
    }

    pub(crate) fn boxed(layer: Box<dyn Layer<T>>) -> Self {
        Recurrent { layer: Arc::new(layer), slot: None }
    }
}

impl<T: Float> Operation<T> for Recurrent<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let layer = self.layer.describe()?;
        // As operations these are something else.
        let wrapped = matches!(&layer.class[..], "Dense" | "QuantizedDense" | "TimeDistributed");
        Ok(if wrapped { Config::new("Layer").with("layer", layer) } else { layer })
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let (x, layer) = (shape::only(inputs)?, &self.layer);
        if x.len() != 3 || !fit(x[2], Some(layer.input_size())) {
            return shape::misfit(format!("(batch, timesteps, {})", layer.input_size()), inputs);
        }
        let output = |width| match layer.returns_sequences() {
            true => vec![x[0], x[1], Some(width)],
            false => vec![x[0], Some(width)],
        };
        let mut shapes = match layer.spec().unmerged {
            Some(forward) => vec![output(forward), output(layer.output_size() - forward)],
            None => vec![output(layer.output_size())],
        };
        if layer.returns_state() {
            let layout = layer.state_layout();
            let widths = layout.names().filter_map(|name| layout.columns(name)).map(|columns| columns.len());
            shapes.extend(widths.map(|width| vec![x[0], Some(width)]));
        }
        Ok(shapes)
    }

    fn takes_mask(&self) -> bool {
        true
    }

    fn run(&self, inputs: &[&Tensor<T>], mut call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let layer: &dyn Layer<T> = &**self.layer;
        let x = inputs[0].value.floats();
        let x = x.view().into_dimensionality::<Ix3>().map_err(|_| misfit())?;
        check_input(layer, &x)?;
        let (batch, timesteps, _) = x.dim();
        let mask = call.mask.as_ref().map(|mask| time_mask(mask.flags(), batch, timesteps)).transpose()?;
        if let Some(trace) = call.trace {
            return try_step(layer, trace.stream(&self.layer, &call.initial)?, &x, mask.as_ref(), call.passes);
        }
        let mut run = Run::new().mask_if(mask.as_ref());
        let mut given = match call.initial.is_empty() {
            true => None,
            false => Some(initial_state(layer, batch, &call.initial)?),
        };
        let kept = self.slot.and_then(|slot| call.states.get_mut(slot));
        let before = kept.as_deref().cloned();
        if let (Some(given), Some(kept), true) = (&mut given, &before, call.keras_2) {
            let wins = keep(layer, given, kept)?;
            if let Some(record) = call.record.as_deref_mut() {
                // What wasn't read gets no gradient.
                record.initial.iter_mut().zip(wins).for_each(|(read, wins)| *read = !wins);
            }
        }
        if let Some(state) = given.as_ref().or(before.as_ref()) {
            run = run.initial_state(state);
        }
        if let Some(record) = call.record {
            run = run.record(&mut record.tape);
        }
        if let Some(training) = call.training {
            run = run.drawing_from(training.generators);
        }
        let output = produce(layer, &x, run, kept, None, call.scratch)?;
        let states = output.state.clone();
        let backward = output.backward.as_ref().map(|backward| (**backward).clone());
        let mut outputs = Vec::new();
        for output in std::iter::once(output).chain(backward) {
            // The mask goes on where there is a sequence.
            outputs.push(match output.sequence {
                Some(sequence) => Tensor { mask: call.passes.clone(), ..Tensor::float(sequence) },
                None => Tensor::float(output.last),
            });
        }
        if let Some(state) = states {
            for name in state.names() {
                outputs.push(Tensor::float(state.get(name)?.to_owned()));
            }
        }
        Ok(outputs)
    }

    fn backward(&self, back: Back<'_, T>, mut sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (layer, with_input) = (&**self.layer, back.wants_input());
        let Back { record, upstream, .. } = back;
        let mut upstream = upstream.into_iter();
        let mut output = upstream.next().flatten();
        if layer.spec().unmerged.is_some() {
            output = side_by_side([output, upstream.next().flatten()], &record.outputs)?;
        }
        let state = state_of_parts(layer, upstream.collect())?;
        let (mut sequence, mut last) = (None, None);
        if let Some(output) = output {
            match layer.returns_sequences() {
                true => sequence = Some(output.into_dimensionality::<Ix3>().map_err(|_| misfit())?),
                false => last = Some(output.into_dimensionality::<Ix2>().map_err(|_| misfit())?),
            }
        }
        let mut gradient = OutputGradient::new();
        if let Some(sequence) = &sequence {
            gradient = gradient.sequence(sequence);
        }
        if let Some(last) = &last {
            gradient = gradient.last(last);
        }
        if let Some(state) = &state {
            gradient = gradient.state(state);
        }
        let found = sums.lend(layer, with_input, |lent| layer.backward(&mut record.tape, gradient, lent))?;
        let mut back = vec![found.input.map(|input| input.into_dyn())];
        for (name, &read) in layer.state_layout().names().zip(&record.initial) {
            back.push(if read { Some(found.state.get(name)?.to_owned().into_dyn()) } else { None });
        }
        Ok(back)
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let (input, mask) = (step.input(0), step.mask());
        let mut work = std::mem::take(&mut step.work.floats);
        let stream = step.stream()?;
        let done = step_of(stream, self.layer.input_size(), input.floats(&mut work)?, mask);
        step.work.floats = work;
        done?;
        let returns_state = self.layer.returns_state();
        let (Some(kept), [first, states @ ..]) = (step.kept, &mut *step.outputs) else { return Err(misfit()) };
        let stream = kept.layer()?;
        let output = first.as_floats()?;
        match stream.output().as_slice() {
            Some(from) if from.len() == output.len() => output.copy_from_slice(from),
            _ => output.iter_mut().zip(&stream.output()).for_each(|(to, &from)| *to = from),
        }
        if returns_state {
            copy_parts(stream.state(), states)?;
        }
        Ok(())
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        self.layer.visit_generators(show);
    }

    fn can_train(&self) -> Result<()> {
        self.layer.can_train()
    }

    fn visit_weights<'a>(&'a self, _which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.layer.visit_weights(visitor);
    }

    fn visit_weights_mut(&mut self, _which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        Arc::make_mut(&mut self.layer).visit_weights_mut(visitor)
    }

    fn unshare(&mut self, _which: Which) -> Result<()> {
        Arc::make_mut(&mut self.layer).unshare()
    }

    fn quantize(&mut self, precision: Precision) -> Result<()> {
        self.layer = Arc::new(self.layer.quantize(precision)?);
        Ok(())
    }

    fn role(&self) -> Role<'_, T> {
        Role::Recurrent { layer: &self.layer, slot: self.slot }
    }

    fn keep_state_at(&mut self, slot: usize) {
        self.slot = Some(slot);
    }

    fn move_slots(&mut self, by: usize) {
        self.slot = self.slot.map(|slot| slot + by);
    }
}

/// Replaces a state that was given by the one that is kept, unless that is zero: the whole of it, or of a direction.
/// Returns for which parts it did.
fn keep<T: Float>(layer: &dyn Layer<T>, given: &mut State<T>, kept: &State<T>) -> Result<Vec<bool>> {
    let directions = layer.class_name() == "Bidirectional";
    let group = |name: &str| name.split('/').next().filter(|_| directions).map(String::from);
    let names: Vec<String> = layer.state_layout().names().map(String::from).collect();
    let mut live = Vec::new();
    for name in &names {
        if kept.get(name)?.iter().any(|&value| value != T::zero()) {
            live.push(group(name));
        }
    }
    let wins: Vec<bool> = names.iter().map(|name| live.contains(&group(name))).collect();
    for (name, _) in names.iter().zip(&wins).filter(|(_, wins)| **wins) {
        given.set(name, &kept.get(name)?)?;
    }
    Ok(wins)
}

/// One step of a recurrent layer that goes on from its own state; what isn't masked is true in the mask.
fn step_of<T: Float>(stream: &mut OwnStream<T>, features: usize, x: &[T], mask: Option<&MaskBuffer>) -> Result<()> {
    let x = ArrayView2::from_shape((stream.batch(), features), x).map_err(|_| misfit())?;
    match mask {
        Some(mask) => stream.step_masked(&x, mask.flags.as_slice().ok_or_else(misfit)?)?,
        None => stream.step(&x)?,
    };
    Ok(())
}

/// Each part of the state, (batch, size), to a buffer of its own.
fn copy_parts<T: Float>(state: &State<T>, buffers: &mut [Buffer<T>]) -> Result<()> {
    let (width, all) = (state.layout().width(), state.as_slice());
    let mut start = 0;
    for (own, to) in state.layout().widths().zip(buffers) {
        if own > 0 {
            for (row, to) in all.chunks_exact(width).zip(to.as_floats()?.chunks_exact_mut(own)) {
                to.copy_from_slice(&row[start..start + own]);
            }
        }
        start += own;
    }
    Ok(())
}

/// A step that is tried.
fn try_step<T: Float>(
    layer: &dyn Layer<T>,
    stream: &mut OwnStream<T>,
    x: &ArrayView3<'_, T>,
    mask: Option<&Array2<bool>>,
    passes: Option<Mask>,
) -> Result<Vec<Tensor<T>>> {
    let x = x.index_axis(Axis(1), 0);
    let output = match mask {
        Some(mask) => stream.step_masked(&x, &mask.iter().copied().collect::<Vec<_>>())?,
        None => stream.step(&x)?,
    };
    let output = output.to_owned();
    let mut outputs = vec![match layer.returns_sequences() {
        true => Tensor { mask: passes, ..Tensor::float(output.insert_axis(Axis(1))) },
        false => Tensor::float(output),
    }];
    if layer.returns_state() {
        let state = stream.state();
        for name in state.names() {
            outputs.push(Tensor::float(state.get(name)?.to_owned()));
        }
    }
    Ok(outputs)
}

/// A mask of a recurrent layer: (batch, timesteps), or with a last dimension of one.
fn time_mask(mask: &Shared<bool>, batch: usize, timesteps: usize) -> Result<Array2<bool>> {
    let fits = match mask.shape() {
        [rows, steps] | [rows, steps, 1] => (*rows, *steps) == (batch, timesteps),
        _ => false,
    };
    if !fits {
        return Err(mismatch(format!("a mask of shape [{batch}, {timesteps}]"), mask.shape()));
    }
    Array2::from_shape_vec((batch, timesteps), mask.iter().copied().collect()).map_err(|_| misfit())
}

/// A state from its parts, in the layout's order.
fn initial_state<T: Float>(layer: &dyn Layer<T>, batch: usize, parts: &[&Tensor<T>]) -> Result<State<T>> {
    let mut state = State::zeros(Arc::clone(layer.state_layout()), batch);
    let names: Vec<String> = layer.state_layout().names().map(String::from).collect();
    if names.len() != parts.len() {
        return Err(mismatch(format!("an initial state of {} parts", names.len()), &[parts.len()]));
    }
    for (name, part) in names.iter().zip(parts) {
        let values = part.value.floats();
        let values = values.view().into_dimensionality::<Ix2>();
        state.set(name, &values.map_err(|_| mismatch("a state of shape (batch, units)".into(), part.shape()))?)?;
    }
    Ok(state)
}

/// The gradient of two directions' outputs, of which either may have none.
fn side_by_side<T: Float>(halves: [Flow<T>; 2], outputs: &[Value<T>]) -> Result<Flow<T>> {
    if halves.iter().all(Option::is_none) {
        return Ok(None);
    }
    let zeros = |at: usize| outputs.get(at).map(|output| ArrayD::zeros(output.shape())).ok_or_else(misfit);
    let [first, second] = halves;
    let first = first.map_or_else(|| zeros(0), Ok)?;
    let second = second.map_or_else(|| zeros(1), Ok)?;
    let last = Axis(first.ndim().saturating_sub(1));
    concatenate(last, &[first.view(), second.view()]).map(Some).map_err(|_| misfit())
}

/// The gradient of a state from those of its parts.
fn state_of_parts<T: Float>(layer: &dyn Layer<T>, parts: Vec<Flow<T>>) -> Result<Option<State<T>>> {
    let Some(batch) = parts.iter().flatten().next().map(|part| part.len_of(Axis(0))) else { return Ok(None) };
    let mut state = State::zeros(Arc::clone(layer.state_layout()), batch);
    for (name, part) in layer.state_layout().names().zip(parts) {
        if let Some(part) = part {
            state.set(name, &part.into_dimensionality::<Ix2>().map_err(|_| misfit())?)?;
        }
    }
    Ok(Some(state))
}
