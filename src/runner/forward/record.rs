//! What a recorded call writes on its tape, step by step.

use crate::buffers::take;
use crate::float::Float;
use crate::runner::pass::MaskedOutput;
use crate::runner::tape::Node;
use crate::strided::{Rows, RowsMut};

/// Writes a tape's node, but for the states.
pub(super) struct Recorder<'n, T> {
    batch: usize,
    input_size: usize,
    tape_len: usize,
    x: &'n mut [T],
    tape: &'n mut [T],
    live: &'n mut [bool],
    cut: &'n mut [bool],
}

impl<'n, T: Float> Recorder<'n, T> {
    /// And the place of the states.
    pub(super) fn new(
        node: &'n mut Node<T>,
        batch: usize,
        timesteps: usize,
        (input_size, state_width, tape_len): (usize, usize, usize),
        masked_output: MaskedOutput,
        masks: Option<Rows<'_, T>>,
    ) -> (Self, &'n mut [T]) {
        (node.batch, node.timesteps) = (batch, timesteps);
        (node.zero_sequence, node.zero_last) = (masked_output.zero_sequence, masked_output.zero_last);
        let steps = batch * timesteps;
        for flags in [&mut node.live, &mut node.cut] {
            flags.clear();
            flags.reserve_exact(steps);
            flags.resize(steps, false);
        }
        node.dropout.clear();
        if let Some(masks) = masks {
            node.dropout.reserve_exact(masks.data().len());
            node.dropout.extend_from_slice(masks.data());
        }
        let recorder = Recorder {
            batch,
            input_size,
            tape_len,
            x: take(&mut node.x, steps * input_size),
            tape: node.tape.take(steps * tape_len),
            live: &mut node.live,
            cut: &mut node.cut,
        };
        (recorder, node.states.take((steps + batch) * state_width))
    }

    /// The rows that are live at a step, and their features.
    pub(super) fn input(&mut self, step: usize, live: &[usize], x: Rows<'_, T>) {
        for &row in live {
            let at = step * self.batch + row;
            self.live[at] = true;
            self.x[at * self.input_size..][..self.input_size].copy_from_slice(x.row(row));
        }
    }

    /// The cell's own tape of a step.
    pub(super) fn tape(&mut self, step: usize) -> RowsMut<'_, T> {
        RowsMut::packed(&mut self.tape[step * self.batch * self.tape_len..], self.tape_len)
    }

    /// A row was reset before a step.
    pub(super) fn cut(&mut self, step: usize, row: usize) {
        self.cut[step * self.batch + row] = true;
    }
}
