//! A call's way through the layers of a stack.
//!
//! Where the whole sequence is not needed between two layers, it is never there: layers that work step by step run a
//! few steps each, one after another, over and over. The bits are those of whole sequences, because each layer goes on
//! from its own state and previous output, as in a stream.

use std::ops::Range;

use super::Stacked;
use crate::buffers::take;
use crate::float::Float;
use crate::mask::{Resets, TimeMask};
use crate::runner::activity;
use crate::runner::forward::{CHUNK, PROJECT_BELOW_BATCH};
use crate::runner::pass::{MaskedOutput, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::sequence::{Sequence, SequenceMut};
use crate::runner::tape::Node;
use crate::seeds::DropoutGenerator;
use crate::strided::{Rows, RowsMut, copy_rows};

/// What a layer hands to the next one at once should stay in a near cache.
const NEAR_BYTES: usize = 1 << 20;
/// Rows times steps from which on it doesn't matter that the layers' weights take turns in the caches.
const ENOUGH_ROWS: usize = 512;
/// Steps that a layer should do at once in any case.
const FEWEST_STEPS: usize = 4;

/// How many steps layers do at a time, of which the widest has so many outputs.
pub(super) fn steps_at_once<T>(batch: usize, widest: usize) -> usize {
    let step = batch.max(1).saturating_mul(widest.max(1)).saturating_mul(size_of::<T>());
    let steps = (NEAR_BYTES / step).max(ENOUGH_ROWS.div_ceil(batch.max(1))).max(FEWEST_STEPS);
    // The products of inputs that are done ahead come in chunks.
    if batch < PROJECT_BELOW_BATCH { steps.next_multiple_of(CHUNK) } else { steps }
}

/// Layers of a stack that run so many steps at a time, one after another.
pub(super) struct Group {
    pub(super) parts: Range<usize>,
    pub(super) steps: usize,
}

/// A call on its way: what the layers that are still to come read and write.
pub(super) struct Flow<'a, T: Float> {
    pub(super) stack: &'a Stacked<T>,
    pub(super) input: Sequence<'a, T>,
    pub(super) prev: Rows<'a, T>,
    pub(super) next: RowsMut<'a, T>,
    pub(super) carry: RowsMut<'a, T>,
    pub(super) sequence: Option<SequenceMut<'a, T>>,
    pub(super) masked_output: Option<MaskedOutput>,
    /// The generators of the layers to come.
    pub(super) dropout: Option<&'a mut [DropoutGenerator]>,
    pub(super) nodes: Option<&'a mut [Node<T>]>,
    pub(super) children: &'a mut [Scratch<T>],
    pub(super) batch: usize,
    /// The steps of the next layer.
    pub(super) timesteps: usize,
    pub(super) mask: TimeMask<'a>,
    pub(super) resets: Option<Resets<'a>>,
    /// The resets as they are seen from the other end of time, if a layer turns it.
    pub(super) turned_resets: Option<Resets<'a>>,
}

/// Memory of a group.
pub(super) struct Buffers<'b, T> {
    /// The outputs of the group before.
    pub(super) reading: &'b [T],
    /// Where the group's outputs go, if another one reads them.
    pub(super) writing: &'b mut Vec<T>,
    /// What goes from layer to layer within the group: what the next one reads and what it writes.
    pub(super) within: &'b mut [Vec<T>; 2],
    /// States before a few steps.
    pub(super) states: &'b mut Vec<T>,
}

impl<T: Float> Flow<'_, T> {
    /// Runs a group of layers.
    pub(super) fn run(&mut self, group: Group, mut buffers: Buffers<'_, T>) {
        let (stack, timesteps) = (self.stack, self.timesteps);
        let mut first = 0;
        // Once for no steps, too: states are handed on.
        while first < timesteps || first == 0 {
            let steps = group.steps.min(timesteps - first);
            for index in group.parts.clone() {
                self.part(index, &group.parts, first..first + steps, &mut buffers);
                buffers.within.swap(0, 1);
            }
            // As they were, so that each finds its own length again.
            if !group.parts.len().is_multiple_of(2) {
                buffers.within.swap(0, 1);
            }
            first += steps.max(1);
        }
        let last = &stack.parts[group.parts.end - 1];
        if last.spec.reverses_time {
            std::mem::swap(&mut self.resets, &mut self.turned_resets);
        }
        if last.spec.returns_sequences {
            return;
        }
        self.timesteps = timesteps.min(1);
        (self.mask, self.resets, self.turned_resets) = (TimeMask::All, None, None);
        if group.parts.end < stack.parts.len() {
            // The last output, as a sequence of one step.
            let outputs = last.spec.output_size;
            let output = self.carry.as_rows().columns(last.carry.end - outputs..last.carry.end);
            let to = take(buffers.writing, self.batch * outputs);
            copy_rows(self.batch, output, RowsMut::packed(to, outputs));
        }
    }

    /// Runs one layer of a group over some steps.
    fn part(&mut self, index: usize, group: &Range<usize>, steps: Range<usize>, buffers: &mut Buffers<'_, T>) {
        let (stack, batch) = (self.stack, self.batch);
        let part = &stack.parts[index];
        let (layer, spec, is_last) = (&part.layer, &part.spec, index + 1 == stack.parts.len());
        let [read, written] = buffers.within;
        let input = match (index == group.start, index) {
            (false, _) => Sequence::packed(read, steps.len(), spec.input_size),
            (true, 0) => self.input.skip_steps(steps.start),
            (true, _) => Sequence::packed(buffers.reading, self.timesteps, spec.input_size).skip_steps(steps.start),
        };
        let sequence = match index + 1 == group.end {
            _ if is_last => self.sequence.as_mut().map(|sequence| sequence.reborrow().skip_steps(steps.start)),
            true if !spec.returns_sequences => None,
            ends_group => {
                let (buffer, timesteps, first) = match ends_group {
                    true => (&mut *buffers.writing, self.timesteps, steps.start),
                    false => (written, steps.len(), 0),
                };
                let values = take(buffer, batch * timesteps * spec.output_size);
                Some(SequenceMut::packed(values, timesteps, spec.output_size).skip_steps(first))
            }
        };
        let mut next = self.next.reborrow().columns(part.state.clone());
        let prev = if steps.start == 0 {
            self.prev.columns(part.state.clone())
        } else {
            let width = part.state.len();
            let mut copy = RowsMut::packed(take(buffers.states, batch * width), width);
            copy_rows(batch, next.as_rows(), copy.reborrow());
            copy.into_rows()
        };
        let generators = self.dropout.take().map(|all| all.split_at_mut(spec.generators));
        let (dropout, others) = generators.unzip();
        self.dropout = others;
        let pass = Pass {
            batch,
            timesteps: steps.len(),
            input,
            mask: self.mask.skip_steps(steps.start),
            resets: self.resets.map(|resets| resets.skip_steps(steps.start)),
            prev,
            next: next.reborrow(),
            carry: self.carry.reborrow().columns(part.carry.clone()),
            sequence,
            masked_output: if is_last { self.masked_output } else { None },
            tape: self.nodes.as_mut().and_then(|nodes| nodes.get_mut(index)),
            dropout,
        };
        let scratch = &mut self.children[index];
        activity::process(spec, pass, |pass| layer.process(pass, scratch));
    }
}
