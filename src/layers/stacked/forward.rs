//! A call: the layers in groups, each of which hands its outputs to the next.

use super::Stacked;
use super::flow::{Buffers, Flow, Group, steps_at_once};
use crate::float::Float;
use crate::memory::{self, MemoryNeeds};
use crate::runner::memory::{Call, Held};
use crate::runner::pass::Pass;
use crate::runner::scratch::Scratch;

impl<T: Float> Stacked<T> {
    /// The layers in groups, each of which runs so many steps at a time. Layers that can work so do it where the
    /// sequence is long and `divisible`: nothing is recorded or drawn for the whole call. All others are groups of
    /// their own.
    fn groups(&self, batch: usize, timesteps: usize, divisible: bool) -> impl Iterator<Item = Group> {
        let (mut at, mut timesteps) = (0, timesteps);
        std::iter::from_fn(move || {
            let first = self.parts.get(at)?;
            let group = at..first.group_end;
            // The last one's outputs go to the caller, whole.
            let widths = self.parts[at..group.end - 1].iter().map(|part| part.spec.output_size);
            let steps = widths.max().map_or(usize::MAX, |widest| steps_at_once::<T>(batch, widest));
            let together = divisible && steps < timesteps;
            let parts = if together { group } else { at..at + 1 };
            at = parts.end;
            if self.parts.get(at - 1).is_some_and(|part| !part.spec.returns_sequences) {
                timesteps = timesteps.min(1);
            }
            Some(Group { parts, steps: if together { steps } else { usize::MAX } })
        })
    }
    /// Adds what [`run_all`](Self::run_all) takes.
    pub(super) fn needs_of_run(&self, call: Call, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        let (batch, mut timesteps) = (call.batch, call.timesteps);
        let turns = call.resets && self.parts.iter().any(|part| part.spec.reverses_time);
        let turned = if turns { batch } else { 0 };
        needs.buffer::<bool>(held.in_scratch(|scratch| scratch.resets.capacity()), &[turned, timesteps]);
        let divisible = !(call.recorded || call.dropout && self.spec.generators > 0);
        // The widest sequences: of those between groups, which stand in two buffers in turn, and of those within.
        let (mut between, mut within, mut states) = ([0; 2], [0; 2], 0);
        let mut at = 0;
        for group in self.groups(batch, timesteps, divisible) {
            let Group { parts, steps } = group;
            for (i, part) in self.parts[parts.clone()].iter().enumerate() {
                let (index, outputs) = (parts.start + i, part.spec.output_size);
                let hands_on = index + 1 < self.parts.len() && part.spec.returns_sequences;
                let sequence = if index + 1 == self.parts.len() { call.sequence } else { hands_on };
                let steps = steps.min(timesteps);
                part.layer.memory_needs(Call { timesteps: steps, sequence, ..call }, held.child(index), needs);
                if index + 1 < parts.end {
                    let width = memory::product(&[outputs, steps]).unwrap_or(usize::MAX);
                    within[(i + 1) % 2] = within[(i + 1) % 2].max(width);
                    states = states.max(part.state.len());
                } else if index + 1 < self.parts.len() {
                    let width = memory::product(&[outputs, if hands_on { timesteps } else { 1 }]);
                    between[at % 2] = between[at % 2].max(width.unwrap_or(usize::MAX));
                    at += 1;
                }
                if steps < timesteps {
                    states = states.max(part.state.len());
                }
                if !part.spec.returns_sequences {
                    timesteps = timesteps.min(1);
                }
            }
        }
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.work.len()), &[batch, between[0]]);
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.outputs.len()), &[batch, between[1]]);
        for (buffer, &width) in within.iter().enumerate() {
            let inner = held.in_scratch(|scratch| scratch.chunk_outputs[buffer].len());
            needs.buffer::<T>(inner, &[batch, width]);
        }
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.chunk_states.len()), &[batch, states]);
    }

    /// A whole call.
    pub(super) fn run_all(&self, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        let (batch, timesteps) = (pass.batch, pass.timesteps);
        let divisible = pass.tape.is_none() && pass.dropout.as_ref().is_none_or(|all| all.is_empty());
        let mut between = [std::mem::take(&mut scratch.outputs), std::mem::take(&mut scratch.work)];
        let mut within = std::mem::take(&mut scratch.chunk_outputs);
        let mut states = std::mem::take(&mut scratch.chunk_states);
        let mut turned = std::mem::take(&mut scratch.resets);
        let turned_resets = pass
            .resets
            .filter(|_| self.parts.iter().any(|part| part.spec.reverses_time))
            .map(|resets| resets.turned(&mut turned));
        let nodes = pass.tape.map(|node| {
            (node.batch, node.timesteps) = (batch, timesteps);
            node.children(self.parts.len())
        });
        let mut flow = Flow {
            stack: self,
            input: pass.input,
            prev: pass.prev,
            next: pass.next,
            carry: pass.carry,
            sequence: pass.sequence,
            masked_output: pass.masked_output,
            dropout: pass.dropout,
            nodes,
            children: scratch.children(self.parts.len()),
            batch,
            timesteps,
            mask: pass.mask,
            resets: pass.resets,
            turned_resets,
        };
        let mut handed_on = 0;
        for group in self.groups(batch, timesteps, divisible) {
            // Two buffers in turn: what a group reads and what it writes.
            let [reading, writing] = &mut between;
            flow.run(group, Buffers { reading, writing, within: &mut within, states: &mut states });
            between.swap(0, 1);
            handed_on += 1;
        }
        let [first, second] = between;
        (scratch.outputs, scratch.work) = in_place(handed_on, first, second);
        (scratch.chunk_outputs, scratch.chunk_states) = (within, states);
        scratch.resets = turned;
    }
}

/// Two buffers that were swapped `count` times, each where it was: else a call would find the smaller one where the
/// last call had the larger, and would allocate once more.
pub(super) fn in_place<T>(count: usize, first: Vec<T>, second: Vec<T>) -> (Vec<T>, Vec<T>) {
    if count.is_multiple_of(2) { (first, second) } else { (second, first) }
}
