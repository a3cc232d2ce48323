//! From one step that was tried to the list of what each step does.
//!
//! The model runs a step on zeros, as it runs everything; each call is written down with the tensors that it read and
//! made. Tensors are known again by their arrays, which are kept until the list is done: an operation that hands on
//! what it is given makes no tensor and needs no entry. What doesn't depend on any step is done once, when the stream
//! starts.

use std::ops::Range;
use std::sync::Arc;

use super::buffers::{Buffer, MaskBuffer, Step, Work};
use super::{Kept, OwnStream};
use crate::error::Result;
use crate::float::Float;
use crate::graph::InputSpec;
use crate::graph::operation::{Op, Operation, SharedLayer, misfit};
use crate::graph::tensor::{Mask, Tensor, Value};
use crate::state::{State, StateLayout};
use crate::stream::Stream;

/// A part of a step.
#[derive(Debug)]
struct Instruction<T: Float> {
    what: What<T>,
    /// Or once, when the stream starts.
    each_step: bool,
}

/// What is done, with the numbers of values and masks.
#[derive(Debug)]
enum What<T: Float> {
    Call {
        op: Op<T>,
        inputs: Vec<usize>,
        /// The mask of each input.
        attached: Vec<Option<usize>>,
        /// The mask that the operation reads.
        mask: Option<usize>,
        outputs: Range<usize>,
        /// The mask that it makes.
        made: Option<usize>,
        stream: Option<usize>,
    },
    Copy {
        from: usize,
        to: usize,
    },
    Convert {
        spec: InputSpec,
        from: usize,
        to: usize,
    },
    Named {
        from: usize,
        to: usize,
    },
}

/// A step that is being tried.
#[derive(Debug)]
pub(crate) struct Trace<T: Float> {
    batch: usize,
    values: Vec<Value<T>>,
    masks: Vec<Mask>,
    /// Of each value and of each mask, whether it may be another one in the next step.
    values_change: Vec<bool>,
    masks_change: Vec<bool>,
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

/// The list.
#[derive(Debug)]
pub(super) struct Program<T: Float> {
    pub(super) values: Vec<Buffer<T>>,
    masks: Vec<MaskBuffer>,
    instructions: Vec<Instruction<T>>,
    pub(super) streams: Vec<Started<T>>,
    work: Work<T>,
    /// Whether a step may be refused when a state has changed already.
    pub(super) may_fail_late: bool,
}

impl<T: Float> Trace<T> {
    pub(super) fn new(batch: usize) -> Self {
        Trace {
            batch,
            values: vec![],
            masks: vec![],
            values_change: vec![],
            masks_change: vec![],
            instructions: vec![],
            streams: vec![],
        }
    }

    /// A tensor that nothing makes: an input of the stream.
    pub(super) fn given(&mut self, value: &Value<T>, changes: bool) -> usize {
        self.values.push(value.clone());
        self.values_change.push(changes);
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
            let to = self.add_mask(mask, self.values_change[from]);
            self.push(What::Named { from, to }, self.values_change[from]);
        }
        Ok(())
    }

    /// A tensor in another shape, its elements in the same order.
    pub(crate) fn reshaped(&mut self, from: &Value<T>, to: &Value<T>) -> Result<()> {
        let from = self.number(from)?;
        let changes = self.values_change[from];
        let to = self.given(to, changes);
        self.push(What::Copy { from, to }, changes);
        Ok(())
    }

    /// What an input of a model within makes of a tensor.
    pub(crate) fn converted(&mut self, spec: &InputSpec, from: &Value<T>, to: &Value<T>) -> Result<()> {
        if from.is(to) {
            return Ok(());
        }
        let from = self.number(from)?;
        let changes = self.values_change[from];
        let to = self.given(to, changes);
        self.push(What::Convert { spec: spec.clone(), from, to }, changes);
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
        let changes = initial.iter().any(|&part| self.values_change[part]);
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
        let changes = streams
            || numbers.iter().any(|&input| self.values_change[input])
            || attached.iter().chain([&mask]).flatten().any(|&mask| self.masks_change[mask]);
        let first = self.values.len();
        for output in outputs {
            // An operation that hands on what it is given has one output. Arrays of no elements can't be told apart.
            let is_new = self.number(&output.value).is_err() || outputs.len() > 1;
            if is_new || output.shape().contains(&0) {
                self.given(&output.value, changes);
            }
        }
        let made = match outputs.first().and_then(|output| output.mask.as_ref()) {
            Some(mask) if self.mask_number(mask).is_none() || mask.is_empty() => Some(self.add_mask(mask, changes)),
            _ => None,
        };
        let outputs = first..self.values.len();
        if outputs.is_empty() && made.is_none() {
            return Ok(());
        }
        let stream = streams.then(|| self.streams.len() - 1);
        let op = Op::of(op);
        self.push(What::Call { op, inputs: numbers, attached, mask, outputs, made, stream }, changes);
        Ok(())
    }

    fn add_mask(&mut self, mask: &Mask, changes: bool) -> usize {
        self.masks.push(mask.clone());
        self.masks_change.push(changes);
        self.masks.len() - 1
    }

    fn push(&mut self, what: What<T>, each_step: bool) {
        self.instructions.push(Instruction { what, each_step });
    }

    /// The list of what was tried.
    pub(super) fn finish(self) -> Program<T> {
        let values: Vec<Buffer<T>> = self.values.iter().map(Buffer::of).collect();
        let masks = self.masks.iter().map(MaskBuffer::like).collect();
        let is_stream = |instruction: &Instruction<T>| matches!(instruction.what, What::Call { stream: Some(_), .. });
        let mut late = self.instructions.iter().skip_while(|instruction| !is_stream(instruction));
        let may_fail_late = late.any(|instruction| match &instruction.what {
            What::Call { inputs, mask, .. } => mask.is_some() || inputs.iter().any(|&input| !values[input].is_float()),
            What::Convert { .. } | What::Named { .. } => true,
            What::Copy { .. } => false,
        });
        let (instructions, streams) = (self.instructions, self.streams);
        Program { values, masks, instructions, streams, work: Work::default(), may_fail_late }
    }
}

impl<T: Float> Started<T> {
    /// Begins with the values that are there now, if they may be others in each step. Allocates nothing.
    fn begin(&mut self, values: &[Buffer<T>]) -> Result<()> {
        let Some(state) = &mut self.anew else { return Ok(()) };
        let layout = Arc::clone(state.layout());
        let (width, all) = (layout.width(), state.as_mut_slice());
        let mut start = 0;
        for (own, &part) in layout.widths().zip(&self.initial) {
            let rows = all.len().checked_div(width).unwrap_or(0);
            if values[part].len() != rows * own {
                return Err(misfit());
            }
            values[part].each_float(|at, value| all[at / own * width + start + at % own] = value);
            start += own;
        }
        self.kept.begin_with(state)
    }
}

impl<T: Float> Program<T> {
    /// Does what is to be done once, when all that doesn't change is there; then all streams begin.
    pub(super) fn start(&mut self) -> Result<()> {
        self.run(false)?;
        for Started { kept, initial, anew } in &mut self.streams {
            kept.reset();
            if initial.is_empty() || anew.is_some() {
                continue;
            }
            let mut state = kept.state().clone();
            let (batch, names) = (state.batch(), state.names().map(String::from).collect::<Vec<_>>());
            for (name, &part) in names.iter().zip(&*initial) {
                let mut floats = Vec::new();
                let floats = self.values[part].floats(&mut floats)?;
                let width = floats.len() / batch.max(1);
                let part = ndarray::ArrayView2::from_shape((batch, width), floats).map_err(|_| misfit())?;
                state.set(name, &part)?;
            }
            kept.begin_with(&state)?;
        }
        Ok(())
    }

    /// Whether a mask is made of numbers that a call names: what such a mask is depends on all rows.
    pub(super) fn has_masks_of_numbers(&self) -> bool {
        let of_numbers = |from: usize| !matches!(self.values[from], Buffer::Bool(_));
        self.instructions.iter().any(|own| matches!(own.what, What::Named { from, .. } if of_numbers(from)))
    }

    /// Copies one value to another.
    pub(super) fn copy(&mut self, from: usize, to: usize) -> Result<()> {
        if from == to {
            return Ok(());
        }
        let (low, high) = self.values.split_at_mut(from.max(to));
        let (Some(low), Some(high)) = (low.get_mut(from.min(to)), high.first_mut()) else { return Err(misfit()) };
        if from < to { high.copy_from(low) } else { low.copy_from(high) }
    }

    /// Takes a step; allocates nothing if it succeeds.
    pub(super) fn step(&mut self) -> Result<()> {
        self.run(true)
    }

    fn run(&mut self, each_step: bool) -> Result<()> {
        let Program { values, masks, instructions, streams, work, .. } = self;
        for Instruction { what, .. } in instructions.iter().filter(|instruction| instruction.each_step == each_step) {
            match what {
                What::Copy { from, to } => {
                    let (before, after) = values.split_at_mut(*to);
                    after[0].copy_from(&before[*from])?;
                }
                What::Convert { spec, from, to } => {
                    let (before, after) = values.split_at_mut(*to);
                    spec.convert_step(&before[*from], &mut after[0])?;
                }
                What::Named { from, to } => masks[*to].name(&values[*from])?,
                What::Call { op, inputs, attached, mask, outputs, made, stream } => {
                    if let Some(stream) = *stream {
                        streams[stream].begin(values)?;
                    }
                    let (values, after) = values.split_at_mut(outputs.start);
                    let before = made.unwrap_or(masks.len());
                    let (masks, made_masks) = masks.split_at_mut(before);
                    let step = Step {
                        values,
                        masks,
                        inputs,
                        attached,
                        mask: *mask,
                        outputs: &mut after[..outputs.len()],
                        made: made.and_then(|_| made_masks.first_mut()),
                        kept: stream.map(|stream| &mut streams[stream].kept),
                        work,
                    };
                    op.step(step)?;
                }
            }
        }
        Ok(())
    }
}

impl MaskBuffer {
    /// The mask that a tensor is when a call names it.
    fn name<T: Float>(&mut self, value: &Buffer<T>) -> Result<()> {
        let flags = self.flags.as_slice_mut().ok_or_else(misfit)?;
        value.each_flag(|at, flag| flags[at] = flag);
        self.graded = match value {
            Buffer::Bool(_) => false,
            Buffer::Int(array) => array.iter().any(|&number| number != 0 && number != 1),
            Buffer::Float(array) => array.iter().any(|&number| number != T::zero() && number != T::one()),
        };
        Ok(())
    }
}
