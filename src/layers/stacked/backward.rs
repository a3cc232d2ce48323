//! The backward pass: from the last layer to the first.

use super::Stacked;
use super::forward::in_place;
use crate::buffers::take;
use crate::error::Result;
use crate::float::Float;
use crate::memory::{self, MemoryNeeds};
use crate::runner::activity;
use crate::runner::memory::{CallBack, Held};
use crate::runner::pass::BackwardPass;
use crate::runner::scratch::Scratch;
use crate::runner::sequence::{Sequence, SequenceMut};
use crate::runner::tape::Node;
use crate::strided::Rows;

impl<T: Float> Stacked<T> {
    /// Adds what [`backward_all`](Self::backward_all) takes.
    pub(super) fn needs_of_backward(&self, call: CallBack, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        let (mut timesteps, mut widest) = (call.timesteps, 0);
        for (i, part) in self.parts.iter().enumerate() {
            if i > 0 {
                let width = memory::product(&[timesteps, part.spec.input_size]);
                widest = widest.max(width.unwrap_or(usize::MAX));
            }
            let call = CallBack { timesteps, input: call.input || i > 0, ..call };
            part.layer.memory_needs_backward(call, held.child(i), needs);
            if !part.spec.returns_sequences {
                timesteps = timesteps.min(1);
            }
        }
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.outputs.len()), &[call.batch, widest]);
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.copies[0].len()), &[call.batch, widest]);
    }

    /// The backward pass through a recorded call.
    pub(super) fn backward_all(
        &self,
        node: &mut Node<T>,
        pass: BackwardPass<'_, T>,
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        let BackwardPass { d_sequence, flipped, d_last, d_state, mut d_input, mut d_initial, mut gradients } = pass;
        let batch = node.batch;
        // Two buffers in turn: the gradient of a layer's outputs and that of its inputs.
        let (mut reading, mut writing) = (std::mem::take(&mut scratch.outputs), std::mem::take(&mut scratch.copies[0]));
        let count = self.parts.len();
        let (nodes, children) = (node.children(count), scratch.children(count));
        let mut result = Ok(());
        for (i, part) in self.parts.iter().enumerate().rev() {
            let (spec, own) = (&part.spec, &mut nodes[i]);
            let (timesteps, outputs) = (own.timesteps, spec.output_size);
            let (is_last, is_first) = (i + 1 == count, i == 0);
            let (d_sequence, d_last) = match (is_last, spec.returns_sequences) {
                (true, _) => (d_sequence, d_last),
                (false, true) => (Some(Sequence::packed(&reading, timesteps, outputs)), None),
                (false, false) => (None, Some(Rows::packed(&reading, outputs))),
            };
            let d_input = if is_first {
                d_input.take()
            } else {
                let d_input = take(&mut writing, batch * timesteps * spec.input_size);
                d_input.fill(T::zero());
                Some(SequenceMut::packed(d_input, timesteps, spec.input_size))
            };
            let (_, mut from_own) = gradients.split(part.weights.start);
            let (own_gradients, _) = from_own.split(part.weights.len());
            let pass = BackwardPass {
                d_sequence,
                flipped: is_last && flipped,
                d_last,
                d_state: d_state.columns(part.state.clone()),
                d_input,
                d_initial: d_initial.reborrow().columns(part.state.clone()),
                gradients: own_gradients,
            };
            let scratch = &mut children[i];
            result = activity::backward(own, pass, |own, pass| part.layer.backward_into(own, pass, scratch));
            if result.is_err() {
                break;
            }
            std::mem::swap(&mut reading, &mut writing);
        }
        (scratch.outputs, scratch.copies[0]) = in_place(count, reading, writing);
        result
    }
}
