//! The list of what each step does.

use std::ops::Range;
use std::sync::Arc;

use super::buffers::{Buffer, MaskBuffer, Step, Work};
use super::rate::{Clock, Rate};
use super::trace::Started;
use crate::error::Result;
use crate::float::Float;
use crate::graph::InputSpec;
use crate::graph::operation::{Op, misfit};

/// A part of a step.
#[derive(Debug)]
pub(super) struct Instruction<T: Float> {
    pub(super) what: What<T>,
    /// When there is something for it; `None` for what is done once, when the stream starts.
    pub(super) comes: Option<Rate>,
    /// When it gives something.
    pub(super) gives: Option<Rate>,
}

/// Which instructions are run.
#[derive(Debug, Clone, Copy)]
enum When {
    Once,
    At(usize),
    /// Those of all steps.
    All,
}

/// What is done, with the numbers of values and masks.
#[derive(Debug)]
pub(super) enum What<T: Float> {
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

/// The list.
#[derive(Debug)]
pub(super) struct Program<T: Float> {
    pub(super) values: Vec<Buffer<T>>,
    pub(super) masks: Vec<MaskBuffer>,
    pub(super) instructions: Vec<Instruction<T>>,
    pub(super) streams: Vec<Started<T>>,
    pub(super) work: Work<T>,
    pub(super) clock: Clock,
    /// Of each value, when another one comes.
    pub(super) rates: Vec<Option<Rate>>,
    /// The values that are read in steps that make no others.
    pub(super) held: Vec<usize>,
    /// Whether a step may be refused when a state has changed already.
    pub(super) may_fail_late: bool,
}

impl<T: Float> Program<T> {
    /// Does what is to be done once, when all that doesn't change is there; then all streams begin.
    pub(super) fn start(&mut self) -> Result<()> {
        self.run(When::Once)?;
        self.clock.time = 0;
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

    /// Takes a tick, which is a step of most streams; allocates nothing if it succeeds.
    pub(super) fn step(&mut self) -> Result<()> {
        self.run(When::At(self.clock.time))?;
        self.clock.advance();
        Ok(())
    }

    /// Does what any step does, as if all were there, so that all memory is taken.
    pub(super) fn try_all(&mut self) -> Result<()> {
        self.run(When::All)
    }

    fn run(&mut self, when: When) -> Result<()> {
        let Program { values, masks, instructions, streams, work, .. } = self;
        for Instruction { what, comes, gives } in instructions {
            let now = |rate: Option<Rate>| match (when, rate) {
                (When::Once, rate) => rate.is_none(),
                (When::At(time), Some(rate)) => rate.is_due(time),
                (When::All, Some(_)) => true,
                (_, None) => false,
            };
            let due = now(*gives);
            // What gives nothing yet may keep something.
            if !now(*comes) || !due && !matches!(what, What::Call { stream: Some(_), .. }) {
                continue;
            }
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
                        due,
                        work,
                    };
                    op.step(step)?;
                }
            }
        }
        Ok(())
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
            match values[part].as_float_slice() {
                Some(values) if own > 0 => {
                    for (row, values) in values.chunks_exact(own).enumerate() {
                        all[row * width + start..][..own].copy_from_slice(values);
                    }
                }
                _ => values[part].each_float(|at, value| all[at / own * width + start + at % own] = value),
            }
            start += own;
        }
        self.kept.begin_with(state)
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
