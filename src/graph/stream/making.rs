//! How a stream is made: a step is tried, and what it did is written down.

use std::sync::Arc;

use ndarray::ArrayD;

use super::ModelStream;
use super::buffers::MOST_AXES;
use super::pairs::{Pair, held_values, own_states};
use super::trace::Trace;
use crate::error::Result;
use crate::float::Float;
use crate::graph::chain::cannot;
use crate::graph::operation::misfit;
use crate::graph::run::Context;
use crate::graph::tensor::{Tensor, Value};
use crate::graph::{InputKind, InputSpec, Model};
use crate::memory::MemoryNeeds;
use crate::runner::scratch::Scratch;
use crate::state::StateLayout;

impl<T: Float> Model<T> {
    /// One step of each input, and of what is not stepped a sequence of one.
    fn trial(&self, place: usize, batch: usize) -> Result<Value<T>> {
        let InputSpec { shape, kind, .. } = &self.inputs[place];
        let shape: Vec<usize> = [batch].into_iter().chain(shape[1..].iter().map(|n| n.unwrap_or(1))).collect();
        let mut needs = MemoryNeeds::default();
        needs.array::<f64>(&shape);
        needs.check(&shape)?;
        Ok(match kind {
            InputKind::Float { .. } => Value::Float(ArrayD::zeros(shape).into_shared()),
            InputKind::Int { .. } => Value::Int(ArrayD::zeros(shape).into_shared()),
            InputKind::Bool => Value::Bool(ArrayD::from_elem(shape, true).into_shared()),
        })
    }

    /// The shape of an output that a step returns.
    fn shape_of_a_step(&self, place: usize, shape: &[usize], sequence: bool) -> Vec<usize> {
        match self.outside.get(place) {
            Some(Some(outside)) => outside.of_a_step(sequence).map(|place| shape[place]).collect(),
            _ => shape.iter().enumerate().filter(|(axis, _)| !(sequence && *axis == 1)).map(|(_, &n)| n).collect(),
        }
    }
}

impl<T: Float> ModelStream<T> {
    pub(super) fn new(model: &Model<T>, pairs: &[Pair], batch: usize) -> Result<Self> {
        let (plan, model) = model.plan(pairs)?;
        model.check_stream_rows(batch)?;
        let mut scratch = Scratch::new();
        let mut tensors: Vec<Option<Tensor<T>>> = vec![None; model.tensors.len()];
        for (place, tensor) in tensors.iter_mut().enumerate().take(model.inputs.len()) {
            *tensor = Some(Tensor::unmasked(model.trial(place, batch)?));
        }
        model.run_before(&plan.before, &mut tensors, batch, &mut scratch)?;
        let mut trace = Trace::new(batch, plan.each_step);
        let (mut constants, mut stepped, mut given) = (Vec::new(), Vec::new(), Vec::new());
        for (tensor, once) in plan.once.iter().enumerate() {
            let Some(Tensor { value, .. }) = tensors[tensor].as_ref() else { continue };
            let number = trace.given(value, (!once).then_some(plan.each_step));
            match plan.paired.get(tensor) {
                _ if *once => constants.push((tensor, number)),
                Some(true) => given.push((tensor, number)),
                _ => stepped.push((tensor, number)),
            }
        }
        let context = Context { trace: Some(&mut trace), ..Context::new(&mut [], &mut scratch) };
        model.run_calls(&plan.each, &mut tensors, context)?;
        let of = |&output: &usize| tensors[output].as_ref().ok_or_else(misfit);
        let numbers =
            model.outputs.iter().map(|output| trace.number(&of(output)?.value)).collect::<Result<Vec<_>>>()?;
        let is_state = |place: usize| pairs.iter().any(|pair| pair.1 == place);
        let results: Vec<(usize, usize)> =
            numbers.iter().copied().enumerate().filter(|(place, _)| !is_state(*place)).collect();
        let steady = results.iter().filter(|(place, _)| !plan.outputs[*place].is_sequence());
        let program = trace.finish(steady.map(|&(_, number)| number)).map_err(|reason| cannot(&model.name, reason))?;
        let mut states = own_states(&model, pairs, &given, &numbers, &program)?;
        states.extend(held_values(&program));
        let phase = (!program.clock.stands()).then(|| Arc::new(StateLayout::new([("phase", 1)])));
        if program.values.iter().any(|value| value.shape().len() > MOST_AXES) {
            return Err(cannot(&model.name, "one of its tensors has more than eight dimensions"));
        }
        let shown = results.iter().map(|&(place, number)| {
            let sequence = plan.outputs[place].is_sequence();
            ArrayD::zeros(model.shape_of_a_step(place, program.values[number].shape(), sequence))
        });
        let outputs = shown.collect();
        let before = program.streams.iter().map(|started| started.kept.state().clone()).collect();
        let mut stream = ModelStream {
            model,
            batch,
            plan,
            program,
            constants,
            stepped,
            results,
            states,
            phase,
            outputs,
            before,
            started: false,
        };
        stream.warm_up()?;
        Ok(stream)
    }

    /// Takes all memory that steps take.
    fn warm_up(&mut self) -> Result<()> {
        for _ in 0..2 {
            self.program.start()?;
            self.program.try_all()?;
        }
        self.forget();
        self.program.start()?;
        let needs_start = self.start_inputs().next().is_some();
        self.started = !needs_start;
        Ok(())
    }
}
