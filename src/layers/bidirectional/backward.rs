//! The gradient through both directions: back through the merge, then through each by itself.
//!
//! `flipped` says that `d_sequence` is in the order of the input though the layer ran the other way. Masked rows are
//! each direction's own affair: see `runner::backward`.

use super::{Bidirectional, Merge};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory::MemoryNeeds;
use crate::runner::activity;
use crate::runner::memory::{CallBack, Held};
use crate::runner::pass::BackwardPass;
use crate::runner::scratch::Scratch;
use crate::runner::sequence::Sequence;
use crate::runner::tape::Node;
use crate::strided::{Rows, RowsMut};
use crate::weights::WeightVisitor;

impl<T: Float> Bidirectional<T> {
    /// Adds what [`backward_both`](Self::backward_both) takes.
    pub(super) fn needs_of_backward(&self, call: CallBack, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        let (units, backward_units) = self.units();
        let sizes = [call.batch, call.timesteps.saturating_add(1), units + backward_units];
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.outputs.len()), &sizes);
        self.forward.memory_needs_backward(call, held.child(0), needs);
        self.backward.memory_needs_backward(call, held.child(1), needs);
    }

    /// The backward pass through a recorded call.
    pub(super) fn backward_both(
        &self,
        node: &mut Node<T>,
        pass: BackwardPass<'_, T>,
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        let BackwardPass { d_sequence, flipped, d_last, d_state, mut d_input, mut d_initial, mut gradients } = pass;
        let timesteps = node.timesteps;
        let (forward_state, backward_state) = self.states();
        let mut weights = 0;
        self.forward.visit_weights(&mut WeightVisitor::new(&mut |_, _| weights += 1));
        let (forward_gradients, backward_gradients) = gradients.split(weights);

        let mut values = std::mem::take(&mut scratch.outputs);
        let d = self.back_through_merge(node, (d_sequence, flipped, d_last), &mut values);
        let [d_forward, d_backward] = d.map(|d| d.into_rows());
        let result = match (&mut node.children[..], scratch.children(2)) {
            ([forward_node, backward_node], [forward_scratch, backward_scratch]) => {
                let forward = BackwardPass {
                    d_sequence: d_sequence.map(|_| Sequence::of_rows(d_forward, timesteps + 1)),
                    flipped: false,
                    d_last: d_last.map(|_| d_forward.skip(timesteps).every(timesteps + 1)),
                    d_state: d_state.columns(forward_state.clone()),
                    d_input: d_input.as_mut().map(|d_input| d_input.reborrow()),
                    d_initial: d_initial.reborrow().columns(forward_state),
                    gradients: forward_gradients,
                };
                let forward = activity::backward(forward_node, forward, |node, pass| {
                    self.forward.backward_into(node, pass, forward_scratch)
                });
                let backward = BackwardPass {
                    d_sequence: d_sequence.map(|_| Sequence::of_rows(d_backward, timesteps + 1)),
                    flipped: true,
                    d_last: d_last.map(|_| d_backward.skip(timesteps).every(timesteps + 1)),
                    d_state: d_state.columns(backward_state.clone()),
                    d_input,
                    d_initial: d_initial.columns(backward_state),
                    gradients: backward_gradients,
                };
                forward.and_then(|()| {
                    activity::backward(backward_node, backward, |node, pass| {
                        self.backward.backward_into(node, pass, backward_scratch)
                    })
                })
            }
            _ => Err(Error::TapeLayer),
        };
        scratch.outputs = values;
        result
    }

    /// The gradient of each direction's outputs: those of a row's steps, in the input's order, then its last one's.
    fn back_through_merge<'v>(
        &self,
        node: &mut Node<T>,
        (d_sequence, flipped, d_last): (Option<Sequence<'_, T>>, bool, Option<Rows<'_, T>>),
        values: &'v mut Vec<T>,
    ) -> [RowsMut<'v, T>; 2] {
        let (batch, timesteps) = (node.batch, node.timesteps);
        let is_product = self.merge == Merge::Mul;
        let kept = is_product.then(|| self.both_outputs(batch, timesteps, &mut node.outputs));
        let mut d = self.both_outputs(batch, timesteps, values);
        for row in 0..batch {
            for step in 0..=timesteps {
                let d_out = match step == timesteps {
                    true => d_last.map(|d_last| d_last.row(row)),
                    false => d_sequence.map(|all| all.at(if flipped { timesteps - 1 - step } else { step }).row(row)),
                };
                let at = row * (timesteps + 1) + step;
                match d_out {
                    Some(d_out) => self.unmerge(d_out, kept.as_ref(), &mut d, at),
                    None => d.iter_mut().for_each(|d| d.row_mut(at).fill(T::zero())),
                }
            }
        }
        d
    }
}
