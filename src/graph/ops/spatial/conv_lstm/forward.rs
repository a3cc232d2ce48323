//! Sequences, row by row, and steps of a stream.
//!
//! ```text
//! for step in steps:  h, c = the step's, where it is live
//!                     output = h where it is live, else the output before (zeros at first), or zero
//! ```

use std::sync::Arc;

use ndarray::ArrayD;

use super::ConvLstm;
use super::dropped::Dropped;
use super::frame::{Frame, Live, MaskOver};
use crate::buffers::take;
use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::{Call, misfit, mismatch};
use crate::graph::stream::{Pace, Step};
use crate::graph::tensor::{Mask, Shared, Tensor, in_row_order};
use crate::memory::MemoryNeeds;
use crate::state::StateLayout;

/// What a row has from step to step, its channels last.
pub(super) struct Row<T> {
    pub(super) h: Vec<T>,
    pub(super) c: Vec<T>,
    pub(super) output: Vec<T>,
}

/// A mask, and how it lies over steps.
pub(super) struct OwnMask {
    flags: Vec<bool>,
    over: MaskOver,
}

impl OwnMask {
    pub(super) fn of(mask: Option<&Mask>, frame: &Frame, steps: [usize; 2]) -> Result<Option<Self>> {
        let Some(mask) = mask else { return Ok(None) };
        let over = frame.mask_over(mask.shape(), steps)?;
        Ok(Some(OwnMask { flags: mask.flags().iter().copied().collect(), over }))
    }

    pub(super) fn live(own: Option<&Self>, step: usize) -> Live<'_> {
        own.map_or(Live::All, |own| own.over.live(&own.flags, step))
    }
}

impl<T: Float> ConvLstm<T> {
    /// The step that is done as number `step`.
    pub(super) fn source(&self, step: usize, timesteps: usize) -> usize {
        if self.options.go_backwards { timesteps - 1 - step } else { step }
    }

    /// The states that a row begins with; `initial` are those of the batch.
    pub(super) fn begin(&self, frame: &Frame, initial: &[Shared<T>], row: usize) -> Result<Row<T>> {
        let len = frame.state_len();
        let mut parts = [vec![T::zero(); len], vec![T::zero(); len]];
        for (part, given) in parts.iter_mut().zip(initial) {
            let given = given.as_slice().ok_or_else(misfit)?;
            frame.turn_in(&given[row * len..][..len], part);
        }
        let [h, c] = parts;
        Ok(Row { h, c, output: vec![T::zero(); len] })
    }

    /// A step of a row, and its output; `dropped` is what is dropped of which row of the batch.
    pub(super) fn next(
        &self,
        frame: &Frame,
        x: &[T],
        live: &Live<'_>,
        row: &mut Row<T>,
        dropped: (Option<&Dropped<T>>, usize),
        (work, memory): (&mut [T], &mut Vec<T>),
    ) -> Result<()> {
        if !matches!(live, Live::None) {
            self.preactivations(frame, (x, &row.h), dropped, work, memory)?;
            self.activate(frame, &mut work[..4 * frame.state_len()]);
            self.advance(frame, live, &mut row.h, &mut row.c, work);
        }
        self.put_output(live, &row.h, &mut row.output);
        Ok(())
    }

    fn put_output(&self, live: &Live<'_>, h: &[T], output: &mut [T]) {
        if matches!(live, Live::All) {
            return output.copy_from_slice(h);
        }
        for (at, (output, &h)) in output.iter_mut().zip(h).enumerate() {
            match live.at(at) {
                true => *output = h,
                false if self.options.zero_output_for_mask => *output = T::zero(),
                false => {}
            }
        }
    }

    pub(super) fn go(&self, inputs: &[&Tensor<T>], mut call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = in_row_order(&inputs[0].value.floats());
        let [batch, timesteps, dims @ ..] = x.shape() else { return Err(misfit()) };
        let (steps, frame) = ([*batch, *timesteps], self.frame(dims)?);
        let mask = OwnMask::of(call.mask.as_ref(), &frame, steps)?;
        let state_shape = [&[*batch], &frame.state_dims()[..]].concat();
        let initial = self.initial_states(&call.initial, &state_shape)?;
        let shape = match self.options.return_sequences {
            true => [&steps[..], &state_shape[1..]].concat(),
            false => state_shape.clone(),
        };
        let mut needs = MemoryNeeds::default();
        needs.array::<T>(&shape);
        needs.array::<T>(&[Self::work_len(&frame).unwrap_or(usize::MAX)]);
        let (training, mut own) = (call.training.take(), Vec::new());
        needs.array::<T>(&[training.as_ref().and_then(|_| self.factor_count(&frame, *batch)).unwrap_or(0)]);
        needs.check(&shape)?;
        let [mut out, mut h, mut c] = [&shape, &state_shape, &state_shape].map(|shape| ArrayD::zeros(&shape[..]));
        if let (Some(trace), Pace::Steps) = (call.trace, self.pace) {
            let parts = self.layout(&frame, mask.is_some() && !initial.is_empty());
            trace.keep_from(Arc::new(parts), &call.initial)?;
            return Ok(self.outputs(out, [h, c], call.passes));
        }
        let mut kept = &mut own;
        if let Some(record) = call.record {
            record.masks = vec![call.mask.clone()];
            record.inputs.extend(call.initial.iter().map(|part| part.value.clone()));
            kept = &mut record.kept;
        }
        let dropped = match training {
            Some(training) => {
                self.draw((&frame, *batch), training.generators, kept)?;
                self.dropped(&frame, *batch, kept)?
            }
            None => None,
        };
        let mut work = vec![T::zero(); Self::work_len(&frame).ok_or_else(misfit)?];
        let (mut memory, len) = (Vec::new(), frame.state_len());
        let values = x.as_slice().ok_or_else(misfit)?;
        let [to, to_h, to_c] = [&mut out, &mut h, &mut c].map(|array| array.as_slice_mut().unwrap_or_default());
        for row in 0..*batch {
            let mut own = self.begin(&frame, &initial, row)?;
            for step in 0..*timesteps {
                let at = row * timesteps + self.source(step, *timesteps);
                let x = &values[at * frame.len()..][..frame.len()];
                let live = OwnMask::live(mask.as_ref(), at);
                self.next(&frame, x, &live, &mut own, (dropped.as_ref(), row), (&mut work, &mut memory))?;
                if self.options.return_sequences {
                    frame.turn_out(&own.output, &mut to[(row * timesteps + step) * len..][..len]);
                }
            }
            if !self.options.return_sequences {
                frame.turn_out(&own.output, &mut to[row * len..][..len]);
            }
            frame.turn_out(&own.h, &mut to_h[row * len..][..len]);
            frame.turn_out(&own.c, &mut to_c[row * len..][..len]);
        }
        Ok(self.outputs(out, [h, c], call.passes))
    }

    /// The outputs; the mask goes on where there is a sequence.
    fn outputs(&self, out: ArrayD<T>, states: [ArrayD<T>; 2], passes: Option<Mask>) -> Vec<Tensor<T>> {
        let mask = passes.filter(|_| self.options.return_sequences);
        let mut outputs = vec![Tensor { mask, ..Tensor::float(out) }];
        if self.options.return_state {
            outputs.extend(states.map(Tensor::float));
        }
        outputs
    }

    /// Parts of an initial state, in row order.
    fn initial_states(&self, parts: &[&Tensor<T>], shape: &[usize]) -> Result<Vec<Shared<T>>> {
        if ![0, 2].contains(&parts.len()) {
            return Err(mismatch("an initial state of 2 parts".into(), &[parts.len()]));
        }
        let fits = |part: &&Tensor<T>| match part.shape() == shape {
            true => Ok(in_row_order(&part.value.floats()).into_shared()),
            false => Err(mismatch(format!("a state of shape {shape:?}"), part.shape())),
        };
        parts.iter().map(fits).collect()
    }

    /// What a stream keeps of each row, as outside: the output only where masked steps may repeat one that isn't h.
    fn layout(&self, frame: &Frame, output: bool) -> StateLayout {
        let (h, c) = (("h", frame.state_len()), ("c", frame.state_len()));
        match output && !self.options.zero_output_for_mask {
            true => StateLayout::new([h, c, ("output", frame.state_len())]),
            false => StateLayout::new([h, c]),
        }
    }

    pub(super) fn take_step(&self, step: Step<'_, T>) -> Result<()> {
        let (input, mask) = (step.input(0), step.mask());
        let Step { outputs, kept, work, .. } = step;
        let kept = kept.ok_or_else(misfit)?.values()?;
        let [batch, _, dims @ ..] = input.shape() else { return Err(misfit()) };
        let frame = self.frame(dims)?;
        let over = mask.map(|mask| frame.mask_over(mask.flags.shape(), [*batch, 1])).transpose()?;
        let flags = mask.map(|mask| mask.flags.as_slice().ok_or_else(misfit)).transpose()?;
        let (len, own) = (frame.state_len(), Self::work_len(&frame).ok_or_else(misfit)?);
        // Steps that are masked don't take it, and the first ones may be.
        take(&mut work.more, self.input.work_len().max(self.recurrent.work_len()).ok_or_else(misfit)?);
        let x = input.floats(&mut work.floats)?;
        let (own, states) = take(&mut work.most, own + 3 * len).split_at_mut(own);
        let width = kept.len().checked_div(*batch).unwrap_or(0);
        for (row, (kept, x)) in kept.chunks_exact_mut(width.max(1)).zip(x.chunks_exact(frame.len())).enumerate() {
            let live = over.zip(flags).map_or(Live::All, |(over, flags)| over.live(flags, row));
            for (part, own) in kept.chunks_exact(len).zip(states.chunks_exact_mut(len)) {
                frame.turn_in(part, own);
            }
            let [h, c, output] =
                states.get_disjoint_mut([0..len, len..2 * len, 2 * len..3 * len]).map_err(|_| misfit())?;
            if width == 2 * len {
                // At masked places the output before is h.
                output.copy_from_slice(h);
            }
            if !matches!(live, Live::None) {
                self.preactivations(&frame, (x, h), (None, row), own, &mut work.more)?;
                self.activate(&frame, &mut own[..4 * len]);
                self.advance(&frame, &live, h, c, own);
            }
            self.put_output(&live, h, output);
            for (part, own) in kept.chunks_exact_mut(len).zip(states.chunks_exact(len)) {
                frame.turn_out(own, part);
            }
            let [h, c, output] = [0, 1, 2].map(|at| &states[at * len..][..len]);
            for (to, from) in outputs.iter_mut().zip([output, h, c]) {
                frame.turn_out(from, &mut to.as_floats()?[row * len..][..len]);
            }
        }
        Ok(())
    }
}
