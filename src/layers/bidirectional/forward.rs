//! A call: each direction by itself, then their merge.

use super::{Bidirectional, Merge};
use crate::buffers::take;
use crate::float::Float;
use crate::memory::MemoryNeeds;
use crate::runner::activity;
use crate::runner::memory::{Call, Held};
use crate::runner::pass::{MaskedOutput, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::sequence::SequenceMut;
use crate::runner::tape::Node;
use crate::strided::RowsMut;

/// Keras sets zero_output_for_mask on both directions where they return sequences.
const MASKED_OUTPUT: MaskedOutput = MaskedOutput { zero_sequence: true, zero_last: false };

/// Where the directions write, apart from the caller's arrays: packed, a batch each.
struct Apart<'b, T> {
    forward_last: &'b mut [T],
    backward_last: &'b mut [T],
    /// The backward direction's outputs, where they aren't written in place.
    backward_values: &'b mut [T],
}

impl<T: Float> Bidirectional<T> {
    /// Adds what [`run_both`](Self::run_both) takes.
    pub(super) fn needs_of_run(&self, call: Call, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        let Call { batch, timesteps, .. } = call;
        let (units, backward_units) = self.units();
        let keeps = call.recorded && self.merge == Merge::Mul;
        // Of a direction whose outputs nothing else needs, and of one whose outputs aren't written in place.
        let unwanted = if keeps && !call.sequence { units } else { 0 };
        let call = Call { sequence: call.sequence || keeps, ..call };
        self.forward.memory_needs(call, held.child(0), needs);
        self.backward.memory_needs(call, held.child(1), needs);
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.carry.len()), &[batch, units + backward_units]);
        let by_buffer = if call.sequence && !self.side_by_side() { backward_units } else { 0 };
        let outputs = [batch, timesteps, unwanted + by_buffer];
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.outputs.len()), &outputs);
        let kept = if keeps { units + backward_units } else { 0 };
        needs.buffer::<T>(held.in_node(|node| node.outputs.len()), &[batch, timesteps.saturating_add(1), kept]);
    }

    /// A whole call.
    pub(super) fn run_both(&self, mut pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        let (batch, timesteps) = (pass.batch, pass.timesteps);
        let (units, backward_units) = self.units();
        let (nodes, outputs) = self.split_tape(pass.tape.take(), batch, timesteps);

        let mut lasts = std::mem::take(&mut scratch.carry);
        let both_lasts = take(&mut lasts, batch * (units + backward_units));
        both_lasts.fill(T::zero());
        let (forward_last, backward_last) = both_lasts.split_at_mut(batch * units);

        // Directions that stand side by side are written in place; else the backward one goes by a buffer.
        let mut buffer = std::mem::take(&mut scratch.outputs);
        // The backward pass through a product needs all outputs, whatever else needs them.
        let (keeps, wanted) = (outputs.is_some(), pass.sequence.is_some());
        let (unwanted, backward_values) = (
            if keeps && !wanted { batch * timesteps * units } else { 0 },
            if keeps || wanted && !self.side_by_side() { batch * timesteps * backward_units } else { 0 },
        );
        let (unwanted, backward_values) = take(&mut buffer, unwanted + backward_values).split_at_mut(unwanted);
        let mut sequence = match pass.sequence.take() {
            None if keeps => Some(SequenceMut::packed(unwanted, timesteps, units)),
            wanted => wanted,
        };
        let mut apart = Apart { forward_last, backward_last, backward_values };
        let mut carry = pass.carry;
        let places = sequence.as_mut().map(|sequence| sequence.reborrow());
        let directions = Pass { sequence: places, carry: carry.reborrow(), ..pass };
        self.directions(directions, nodes, &mut apart, scratch.children(2));

        if let Some(outputs) = outputs {
            self.keep_outputs((batch, timesteps), outputs, &mut sequence, &apart);
        }
        if let (Some(sequence), false) = (&mut sequence, self.side_by_side()) {
            for time in 0..timesteps {
                let mut forward = sequence.at(time);
                for row in 0..batch {
                    let backward = &apart.backward_values[(row * timesteps + time) * units..][..units];
                    self.merge_into(forward.row_mut(row), backward);
                }
            }
        }
        self.merge_lasts(batch, &apart, carry);
        (scratch.carry, scratch.outputs) = (lasts, buffer);
    }

    /// The nodes of the two directions, and where a product keeps their outputs.
    fn split_tape<'n>(
        &self,
        tape: Option<&'n mut Node<T>>,
        batch: usize,
        timesteps: usize,
    ) -> ([Option<&'n mut Node<T>>; 2], Option<&'n mut Vec<T>>) {
        let Some(node) = tape else { return ([None, None], None) };
        (node.batch, node.timesteps) = (batch, timesteps);
        node.children(2);
        let (forward, backward) = node.children.split_at_mut(1);
        let outputs = (self.merge == Merge::Mul).then_some(&mut node.outputs);
        ([forward.first_mut(), backward.first_mut()], outputs)
    }

    /// Runs the two directions, one after the other.
    fn directions(
        &self,
        pass: Pass<'_, T>,
        [forward_node, backward_node]: [Option<&mut Node<T>>; 2],
        apart: &mut Apart<'_, T>,
        scratch: &mut [Scratch<T>],
    ) {
        let Pass { batch, timesteps, input, mask, resets, prev, mut next, mut sequence, dropout, .. } = pass;
        let (units, backward_units) = self.units();
        let (forward_state, backward_state) = self.states();
        let generators = dropout.map(|all| all.split_at_mut(self.forward.spec().generators));
        let (forward_generators, backward_generators) = generators.unzip();
        let forward = Pass {
            batch,
            timesteps,
            input,
            mask,
            resets,
            prev: prev.columns(forward_state.clone()),
            next: next.reborrow().columns(forward_state),
            carry: RowsMut::packed(apart.forward_last, units),
            sequence: sequence.as_mut().map(|sequence| sequence.reborrow().columns(0..units)),
            masked_output: Some(MASKED_OUTPUT),
            tape: forward_node,
            dropout: forward_generators,
        };
        let spec = self.forward.spec();
        activity::process(&spec, forward, |pass| self.forward.process(pass, &mut scratch[0]));
        let sequence = match (sequence, self.side_by_side()) {
            (None, _) => None,
            (Some(sequence), true) => Some(sequence.columns(units..units + backward_units)),
            (Some(_), false) => Some(SequenceMut::packed(apart.backward_values, timesteps, backward_units)),
        };
        let backward = Pass {
            batch,
            timesteps,
            input,
            mask,
            resets,
            prev: prev.columns(backward_state.clone()),
            next: next.columns(backward_state),
            carry: RowsMut::packed(apart.backward_last, backward_units),
            sequence: sequence.map(SequenceMut::flipped),
            masked_output: Some(MASKED_OUTPUT),
            tape: backward_node,
            dropout: backward_generators,
        };
        let spec = self.backward.spec();
        activity::process(&spec, backward, |pass| self.backward.process(pass, &mut scratch[1]));
    }

    /// What the backward pass through a product needs: the outputs of both directions.
    fn keep_outputs(
        &self,
        (batch, timesteps): (usize, usize),
        outputs: &mut Vec<T>,
        sequence: &mut Option<SequenceMut<'_, T>>,
        apart: &Apart<'_, T>,
    ) {
        let (units, _) = self.units();
        let [mut forward, mut backward] = self.both_outputs(batch, timesteps, outputs);
        for row in 0..batch {
            let at = row * (timesteps + 1);
            forward.row_mut(at + timesteps).copy_from_slice(&apart.forward_last[row * units..][..units]);
            backward.row_mut(at + timesteps).copy_from_slice(&apart.backward_last[row * units..][..units]);
            let Some(sequence) = sequence else { continue };
            for time in 0..timesteps {
                let values = &apart.backward_values[(row * timesteps + time) * units..][..units];
                backward.row_mut(at + time).copy_from_slice(values);
                forward.row_mut(at + time).copy_from_slice(sequence.at(time).row(row));
            }
        }
    }

    /// The last outputs of both directions as the layer's.
    fn merge_lasts(&self, batch: usize, apart: &Apart<'_, T>, mut carry: RowsMut<'_, T>) {
        let (units, backward_units) = self.units();
        for row in 0..batch {
            let backward_last = &apart.backward_last[row * backward_units..][..backward_units];
            let (forward, backward) = carry.row_mut(row).split_at_mut(units);
            forward.copy_from_slice(&apart.forward_last[row * units..][..units]);
            if self.side_by_side() {
                backward.copy_from_slice(backward_last);
            } else {
                self.merge_into(forward, backward_last);
            }
        }
    }
}
