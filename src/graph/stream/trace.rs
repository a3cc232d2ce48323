//! From one step that was tried to the list of what each step does.
//!
//! The model runs a step on zeros, as it runs everything; each call is written down with the tensors that it read and
//! made. Tensors are known again by their arrays, which are kept until the list is done: an operation that hands on
//! what it is given makes no tensor and needs no entry. What doesn't depend on any step is done once, when the stream
//! starts.

use std::sync::Arc;

use super::buffers::{Buffer, MaskBuffer, Work};
use super::program::{Instruction, Program, What};
use super::rate::{Clock, Rate};
use super::{Kept, OwnStream};
use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::{Op, Operation, SharedLayer, misfit};
use crate::graph::tensor::{Mask, Tensor, Value};
use crate::graph::{InputKind, InputSpec};
use crate::state::{State, StateLayout};
use crate::stream::Stream;

/// A step that is being tried.
#[derive(Debug)]
pub(crate) struct Trace<T: Float> {
    batch: usize,
    /// When steps come.
    each_step: Rate,
    values: Vec<Value<T>>,
    masks: Vec<Mask>,
    /// Of each value and of each mask, when another one comes; `None` if it is the same in all steps.
    value_rates: Vec<Option<Rate>>,
    mask_rates: Vec<Option<Rate>>,
    instructions: Vec<Instruction<T>>,
    streams: Vec<Started<T>>,
}

/// What an operation keeps from step to step.
#[derive(Debug)]
pub(super) struct Started<T: Float> {
    pub(super) kept: Kept<T>,
    /// The values that it begins with, if they come from the graph.
    pub(super) initial: Vec<usize>,
    /// Where these may be others in each step: what they make together.
    pub(super) anew: Option<State<T>>,
}

impl<T: Float> Trace<T> {
    pub(super) fn new(batch: usize, each_step: Rate) -> Self {
        Trace {
            batch,
            each_step,
            values: vec![],
            masks: vec![],
            value_rates: vec![],
            mask_rates: vec![],
            instructions: vec![],
            streams: vec![],
        }
    }

    /// A tensor that nothing makes: an input of the stream.
    pub(super) fn given(&mut self, value: &Value<T>, rate: Option<Rate>) -> usize {
        self.values.push(value.clone());
        self.value_rates.push(rate);
        self.values.len() - 1
    }

    /// The number of a tensor.
    pub(super) fn number(&self, value: &Value<T>) -> Result<usize> {
        self.values.iter().rposition(|known| known.is(value)).ok_or_else(misfit)
    }

    fn mask_number(&self, mask: &Mask) -> Option<usize> {
        self.masks.iter().rposition(|known| known.is(mask))
    }

    /// A mask that is made of a tensor which a call names.
    pub(crate) fn named(&mut self, value: &Value<T>, mask: &Mask) -> Result<()> {
        let from = self.number(value)?;
        if self.mask_number(mask).is_none() {
            let rate = self.value_rates[from];
            let to = self.add_mask(mask, rate);
            self.push(What::Named { from, to }, rate, rate);
        }
        Ok(())
    }

    /// A tensor in another shape, its elements in the same order.
    pub(crate) fn reshaped(&mut self, from: &Value<T>, to: &Value<T>) -> Result<()> {
        let from = self.number(from)?;
        let rate = self.value_rates[from];
        let to = self.given(to, rate);
        self.push(What::Copy { from, to }, rate, rate);
        Ok(())
    }

    /// What an input of a model within makes of a tensor.
    pub(crate) fn converted(&mut self, spec: &InputSpec, from: &Value<T>, to: &Value<T>) -> Result<()> {
        if from.is(to) {
            return Ok(());
        }
        let from = self.number(from)?;
        let rate = self.value_rates[from];
        let to = self.given(to, rate);
        self.push(What::Convert { spec: spec.clone(), from, to }, rate, rate);
        Ok(())
    }

    /// The stream of the next recurrent layer, which begins with tensors of the graph if there are any.
    pub(crate) fn stream(&mut self, layer: &SharedLayer<T>, initial: &[&Tensor<T>]) -> Result<&mut OwnStream<T>> {
        let stream = Stream::new(SharedLayer::clone(layer), self.batch)?;
        self.start(Kept::Layer(Box::new(stream)), initial)?;
        self.streams.last_mut().ok_or_else(misfit)?.kept.layer()
    }

    /// What the next operation keeps, if it isn't a layer over time.
    pub(crate) fn keep(&mut self, layout: Arc<StateLayout>) -> Result<()> {
        self.keep_from(layout, &[])
    }

    /// The same of one that begins with tensors of the graph: its first parts.
    pub(crate) fn keep_from(&mut self, layout: Arc<StateLayout>, initial: &[&Tensor<T>]) -> Result<()> {
        let kept = Kept::own(layout, self.batch)?;
        self.start(kept, initial)
    }

    fn start(&mut self, kept: Kept<T>, initial: &[&Tensor<T>]) -> Result<()> {
        let initial = initial.iter().map(|part| self.number(&part.value)).collect::<Result<Vec<_>>>()?;
        let changes = initial.iter().any(|&part| self.value_rates[part].is_some());
        let anew = changes.then(|| kept.state().clone());
        self.streams.push(Started { kept, initial, anew });
        Ok(())
    }

    /// How many operations keep something so far.
    pub(crate) fn kept(&self) -> usize {
        self.streams.len()
    }

    /// A call. `streams`: whether the latest stream is its own.
    pub(crate) fn call(
        &mut self,
        op: &dyn Operation<T>,
        inputs: &[&Tensor<T>],
        mask: Option<&Mask>,
        streams: bool,
        outputs: &[Tensor<T>],
    ) -> Result<()> {
        let numbers = inputs.iter().map(|input| self.number(&input.value)).collect::<Result<Vec<_>>>()?;
        let known = |mask: &Mask| self.mask_number(mask).ok_or_else(misfit);
        let attached = inputs.iter().map(|input| input.mask.as_ref().map(known).transpose());
        let attached = attached.collect::<Result<Vec<_>>>()?;
        let mask = mask.map(known).transpose()?;
        let of_inputs = numbers.iter().map(|&input| self.value_rates[input]);
        let of_masks = attached.iter().chain([&mask]).flatten().map(|&mask| self.mask_rates[mask]);
        let comes = Rate::of_all(of_inputs.chain(of_masks).flatten()).or(streams.then_some(self.each_step));
        let gives = comes.map(|comes| op.rate(comes).map_err(|_| misfit())).transpose()?;
        // What makes several steps of one has something to do for each.
        let comes = if op.times() > 1 { gives } else { comes };
        let first = self.values.len();
        for output in outputs {
            // An operation that hands on what it is given has one output. Arrays of no elements can't be told apart.
            let is_new = self.number(&output.value).is_err() || outputs.len() > 1;
            if is_new || output.shape().contains(&0) {
                self.given(&output.value, gives);
            }
        }
        let made = match outputs.first().and_then(|output| output.mask.as_ref()) {
            Some(mask) if self.mask_number(mask).is_none() || mask.is_empty() => Some(self.add_mask(mask, gives)),
            _ => None,
        };
        let outputs = first..self.values.len();
        if outputs.is_empty() && made.is_none() {
            return Ok(());
        }
        let stream = streams.then(|| self.streams.len() - 1);
        let op = Op::of(op);
        self.push(What::Call { op, inputs: numbers, attached, mask, outputs, made, stream }, comes, gives);
        Ok(())
    }

    fn add_mask(&mut self, mask: &Mask, rate: Option<Rate>) -> usize {
        self.masks.push(mask.clone());
        self.mask_rates.push(rate);
        self.masks.len() - 1
    }

    fn push(&mut self, what: What<T>, comes: Option<Rate>, gives: Option<Rate>) {
        self.instructions.push(Instruction { what, comes, gives });
    }

    /// The list of what was tried. `each_step`: the values that each step returns once they are there.
    ///
    /// # Errors
    /// Why it can't be done.
    pub(super) fn finish(self, each_step: impl Iterator<Item = usize>) -> Result<Program<T>, &'static str> {
        let values: Vec<Buffer<T>> = self.values.iter().map(Buffer::of).collect();
        let masks = self.masks.iter().map(MaskBuffer::like).collect();
        let is_stream = |instruction: &Instruction<T>| matches!(instruction.what, What::Call { stream: Some(_), .. });
        let mut late = self.instructions.iter().skip_while(|instruction| !is_stream(instruction));
        let may_fail_late = self.each_step.ticks > 1
            || late.any(|instruction| match &instruction.what {
                What::Call { inputs, mask, .. } => {
                    mask.is_some() || inputs.iter().any(|&input| !values[input].is_float())
                }
                What::Convert { .. } | What::Named { .. } => true,
                What::Copy { .. } => false,
            });
        if self.instructions.iter().any(|own| may_refuse_half_way(own, &values)) {
            return Err("it may refuse one of the steps that a step becomes, when others are taken already");
        }
        let rates = self.instructions.iter().flat_map(|instruction| [instruction.comes, instruction.gives]);
        let clock = Clock::new(rates.flatten(), self.each_step.ticks)
            .ok_or("its windows and strides take too many steps to come around")?;
        let mut held: Vec<usize> =
            each_step.filter(|&value| self.value_rates[value].is_some_and(|rate| rate.every > rate.ticks)).collect();
        for Instruction { what, comes, .. } in &self.instructions {
            let What::Call { op, inputs, attached, mask, .. } = what else { continue };
            if op.times() > 1 {
                continue; // it reads what came with the same step
            }
            let other = |own: Option<Rate>| own.is_some() && own != *comes;
            held.extend(inputs.iter().filter(|&&input| other(self.value_rates[input])));
            if attached.iter().chain([mask]).flatten().any(|&mask| other(self.mask_rates[mask])) {
                return Err("it reads a mask that doesn't come together with what it masks");
            }
        }
        held.sort_unstable();
        held.dedup();
        if held.iter().any(|&value| !values[value].is_float()) {
            return Err("what strides give last would have to be kept, and isn't floats");
        }
        let (instructions, streams, rates) = (self.instructions, self.streams, self.value_rates);
        let work = Work::default();
        Ok(Program { values, masks, instructions, streams, work, clock, rates, held, may_fail_late })
    }
}

/// Whether an instruction that can refuse numbers is run when a part of a step is done.
fn may_refuse_half_way<T: Float>(instruction: &Instruction<T>, values: &[Buffer<T>]) -> bool {
    let can_refuse = match &instruction.what {
        What::Call { inputs, .. } => inputs.iter().any(|&input| !values[input].is_float()),
        What::Convert { spec, .. } => !matches!(spec.kind, InputKind::Float { .. }),
        What::Named { .. } | What::Copy { .. } => false,
    };
    can_refuse && instruction.comes.is_some_and(|rate| !rate.begins_steps())
}
