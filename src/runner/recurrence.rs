//! The time loop for a cell. [The module above](super) prints it in five lines.

use std::ops::Range;

use super::dropout::draw_masks;
use super::pass::{MaskedOutput, Pass};
use super::scratch::Scratch;
use super::sequence::{Sequence, SequenceMut};
use super::tape::Node;
use super::threads;
use crate::aligned::Aligned;
use crate::buffers::take;
use crate::cells::{Cell, FusedCell, StepRows, mask_widths};
use crate::float::Float;
use crate::mask::TimeMask;
use crate::memory::MemoryNeeds;
use crate::runner::memory::{Call, Held};
use crate::strided::{Input, RowInput, RowStep, Rows, RowsMut, copy_rows};

/// Steps whose input is projected together: enough to use the batch kernel, few enough to stay in the nearest cache.
pub(crate) const CHUNK: usize = 24;
/// A batch of this many rows uses the batch kernel at each step anyway.
pub(crate) const HOIST_BELOW_BATCH: usize = 4;
/// Fewer steps than this aren't worth projecting together.
const HOIST_FROM_STEPS: usize = 4;

/// A cell and what a layer says about running it.
#[derive(Debug)]
pub(crate) struct Recurrence<'c, C: Cell> {
    pub(crate) cell: &'c C,
    pub(crate) state_width: usize,
    /// The columns of the state that are the output.
    pub(crate) output: Range<usize>,
    pub(crate) go_backwards: bool,
    pub(crate) masked_output: MaskedOutput,
    /// Multiplications of one row and step.
    pub(crate) work: usize,
}

impl<C: Cell> Recurrence<'_, C> {
    /// One step of every row, without masks: the door for streams.
    #[inline]
    pub(crate) fn step(
        &self,
        batch: usize,
        x: Rows<'_, C::Elem>,
        prev: Rows<'_, C::Elem>,
        mut next: RowsMut<'_, C::Elem>,
        carry: RowsMut<'_, C::Elem>,
        scratch: &mut Scratch<C::Elem>,
    ) {
        scratch.odd = !scratch.odd;
        self.cell.fused().step_rows(StepRows {
            rows: scratch.all_rows.up_to(batch),
            input: Input::Raw(x),
            prev,
            next: next.reborrow(),
            dropout: None,
            tape: None,
            scratch: take(&mut scratch.work, self.cell.fused().rows_scratch_len(batch)),
            odd: scratch.odd,
        });
        copy_rows(batch, next.as_rows().columns(self.output.clone()), carry);
    }

    /// All steps of the only row, none of them masked, recorded or reset: the loop of [`run`](Self::run) without what
    /// small cells would feel. The two states are those before and after even steps.
    #[allow(clippy::too_many_arguments)] // the loop's own variables
    fn steps_of_row(
        &self,
        timesteps: usize,
        input: &Sequence<'_, C::Elem>,
        (mut prev, mut next): (&mut [C::Elem], &mut [C::Elem]),
        mut sequence: Option<&mut SequenceMut<'_, C::Elem>>,
        hoist: &mut ProjectedInputs<'_, C::Elem>,
        work: &mut [C::Elem],
        odd: &mut bool,
    ) {
        // Where a state is all output, it stays where the outputs go, and nothing is copied at each step.
        let mut in_place = sequence.take_if(|_| self.output == (0..self.state_width));
        for first in (0..timesteps).step_by(hoist.slots) {
            let steps = first..timesteps.min(first + hoist.slots);
            hoist.input(self.cell, input, 1, timesteps, first, self.go_backwards);
            for step in steps {
                let time = if self.go_backwards { timesteps - 1 - step } else { step };
                *odd = !*odd;
                let input = hoist.row(input, time);
                let (mut initial, mut row);
                row = match &mut in_place {
                    None => RowStep { input, prev, next: &mut *next },
                    Some(outputs) if step == 0 => {
                        initial = outputs.at(0);
                        RowStep { input, prev, next: initial.row_mut(0) }
                    }
                    Some(outputs) => {
                        let (prev, next) = outputs.before_and_at(step);
                        RowStep { input, prev, next }
                    }
                };
                self.cell.fused().step_row(&mut row, &mut *work, *odd);
                if let Some(sequence) = &mut sequence {
                    sequence.at(step).row_mut(0).copy_from_slice(&next[self.output.clone()]);
                }
                std::mem::swap(&mut prev, &mut next);
            }
        }
        if let Some(outputs) = in_place.filter(|_| timesteps > 0) {
            prev.copy_from_slice(outputs.at(timesteps - 1).row(0));
        }
    }

    /// Adds what [`run`](Self::run) takes: a line for each of its buffers.
    pub(crate) fn memory_needs(&self, call: Call, held: Held<'_, C::Elem>, needs: &mut MemoryNeeds) {
        let Call { batch, timesteps, recorded, .. } = call;
        let (width, cell) = (self.state_width, self.cell);
        let draws = call.dropout && !cell.dropout().is_empty();
        let masks = if draws { mask_widths(cell.dropout()) } else { (0, 0) };
        needs.buffer::<C::Elem>(
            held.in_scratch(|scratch| scratch.dropout.len()),
            &[batch, masks.0.saturating_add(masks.1)],
        );
        if recorded {
            needs.buffer::<C::Elem>(held.in_node(|node| node.x.len()), &[batch, timesteps, cell.input_size()]);
            needs.buffer::<C::Elem>(held.in_node(|node| node.saved.len()), &[batch, timesteps, cell.tape_len()]);
            needs.buffer::<C::Elem>(
                held.in_node(|node| node.states.len()),
                &[batch, timesteps.saturating_add(1), width],
            );
            needs.buffer::<bool>(held.in_node(|node| node.live.capacity()), &[batch, timesteps]);
            needs.buffer::<bool>(held.in_node(|node| node.cut.capacity()), &[batch, timesteps]);
            needs.buffer::<C::Elem>(held.in_node(|node| node.dropout.capacity()), &[batch, masks.0]);
            // Lists of rows for the parts of a step: halved so often that there are none left.
            needs.buffer::<usize>(held.in_scratch(|scratch| scratch.indices.len()), &[batch, 8]);
        } else {
            needs.buffer::<C::Elem>(held.in_scratch(|scratch| scratch.state.len()), &[batch, width]);
        }
        let cut = if recorded && call.resets { batch } else { 0 };
        needs.buffer::<C::Elem>(held.in_scratch(|scratch| scratch.cut.len()), &[cut, width]);
        let (slots, projected) = ProjectedInputs::sizes(cell, batch, timesteps, draws);
        needs.buffer::<C::Elem>(held.in_scratch(|scratch| scratch.projected.len()), &[batch, slots, projected]);
        let parts = if recorded { threads::scratch_parts(batch, self.work) } else { 1 };
        needs.buffer::<C::Elem>(
            held.in_scratch(|scratch| scratch.work.len()),
            &[parts, cell.fused().rows_scratch_len(batch)],
        );
        needs.buffer::<Deferred>(held.in_scratch(|scratch| scratch.lag.len()), &[batch]);
        needs.buffer::<usize>(held.in_scratch(|scratch| scratch.rows.capacity()), &[batch]);
        needs.buffer::<usize>(held.in_scratch(|scratch| scratch.all_rows.len()), &[batch]);
    }

    /// A whole call.
    pub(crate) fn run(&self, pass: Pass<'_, C::Elem>, scratch: &mut Scratch<C::Elem>) {
        let Pass { batch, timesteps, input, mask, resets, prev: initial, next: last, mut carry, .. } = pass;
        let mut sequence = pass.sequence;
        let masked_output = pass.masked_output.unwrap_or(self.masked_output);
        let masks = (pass.dropout)
            .filter(|_| !self.cell.dropout().is_empty())
            .map(|generators| draw_masks(self.cell.dropout(), generators, batch, &mut scratch.dropout));

        let width = self.state_width;
        let (mut recorder, mut states, unwritten) = match pass.tape {
            None => {
                let other = RowsMut::packed(scratch.state.take(batch * width), width);
                (None, States::in_turn(last, other, timesteps), None)
            }
            Some(node) => {
                let sizes = (self.cell.input_size(), width, self.cell.tape_len());
                let (recorder, all) = Recorder::new(node, batch, timesteps, sizes, masked_output, masks);
                (Some(recorder), States::GradientBackup { all, batch, width }, Some(last))
            }
        };
        copy_rows(batch, initial, states.at(0).0);

        let mut hoist = ProjectedInputs::new(self.cell, batch, timesteps, masks.is_some(), &mut scratch.projected);
        let parts = if recorder.is_some() { threads::scratch_parts(batch, self.work) } else { 1 };
        let work = take(&mut scratch.work, parts * self.cell.fused().rows_scratch_len(batch));
        let all_live = matches!(mask, TimeMask::All);
        let plain = all_live && resets.is_none() && recorder.is_none() && masks.is_none();
        let mut lag = Deferrals::new(batch, &mut scratch.lag);
        let steps = if let (States::InTurn { even, odd }, true, 1) = (&mut states, plain, batch) {
            let states = (even.row_mut(0), odd.row_mut(0));
            self.steps_of_row(timesteps, &input, states, sequence.as_mut(), &mut hoist, work, &mut scratch.odd);
            0
        } else {
            timesteps
        };
        for step in 0..steps {
            scratch.odd = !scratch.odd;
            let odd = scratch.odd;
            let (mut prev, mut next) = states.at(step);
            let mut outputs = sequence.as_mut().map(|sequence| sequence.at(step));
            let time = if self.go_backwards { timesteps - 1 - step } else { step };
            // The boundary lies between time - 1 and time, whichever way it is crossed.
            let boundary = if self.go_backwards { time + 1 } else { time };
            let resets = resets.filter(|_| boundary < timesteps);
            let is_cut = |row: usize| resets.is_some_and(|resets| resets.at(row, boundary));
            // A tape needs what a row that is reset had before, as the state after the last step.
            let keeps = resets.is_some() && recorder.is_some();
            let kept = take(&mut scratch.cut, if keeps { batch * width } else { 0 });
            for row in (0..batch).filter(|&row| is_cut(row)) {
                if keeps {
                    kept[row * width..][..width].copy_from_slice(prev.row(row));
                }
                self.cell.initial_state(prev.row_mut(row));
                carry.row_mut(row).fill(C::Elem::default());
                lag.cut(row);
            }
            let live = if all_live {
                scratch.all_rows.up_to(batch)
            } else {
                mask.live_rows(batch, time, &mut scratch.rows);
                &scratch.rows[..]
            };
            if let Some(recorder) = &mut recorder {
                recorder.input(step, live, input.at(time));
            }
            // Asked at each step, dead ones too: it projects the next steps whenever a chunk begins.
            let features = hoist.input(self.cell, &input, batch, timesteps, step, self.go_backwards);
            if !live.is_empty() {
                let call = StepRows {
                    rows: live,
                    input: features,
                    prev: prev.as_rows(),
                    next: next.reborrow(),
                    dropout: masks,
                    tape: recorder.as_mut().map(|recorder| recorder.saved(step)),
                    scratch: &mut *work,
                    odd,
                };
                if call.tape.is_some() {
                    threads::step(self.cell, call, self.work, &mut scratch.indices)
                } else {
                    self.cell.fused().step_rows(call)
                }
            }
            if let Some(outputs) = &mut outputs {
                for &row in live {
                    outputs.row_mut(row).copy_from_slice(&next.row(row)[self.output.clone()]);
                }
            }
            if !all_live {
                let mut live = live.iter().peekable();
                for row in 0..batch {
                    if live.next_if_eq(&&row).is_some() {
                        lag.live(row);
                        continue;
                    }
                    let carry = carry.row_mut(row);
                    if lag.take_output(row) {
                        carry.copy_from_slice(&prev.row(row)[self.output.clone()]);
                    }
                    // Each state of a tape is a row of its own.
                    if lag.take_state(row) || recorder.is_some() {
                        next.row_mut(row).copy_from_slice(prev.row(row));
                    }
                    match &mut outputs {
                        Some(outputs) if masked_output.zero_sequence => {
                            outputs.row_mut(row).fill(C::Elem::default());
                        }
                        Some(outputs) => outputs.row_mut(row).copy_from_slice(carry),
                        None => {}
                    }
                    if masked_output.zero_last {
                        carry.fill(C::Elem::default());
                    }
                }
            }
            if let Some(recorder) = &mut recorder {
                for row in (0..batch).filter(|&row| is_cut(row)) {
                    prev.row_mut(row).copy_from_slice(&kept[row * width..][..width]);
                    recorder.cut(step, row);
                }
            }
        }
        let (last, _) = states.at(timesteps);
        if timesteps > 0 {
            for row in (0..batch).filter(|&row| all_live || lag.take_output(row)) {
                carry.row_mut(row).copy_from_slice(&last.row(row)[self.output.clone()]);
            }
        }
        if let Some(unwritten) = unwritten {
            copy_rows(batch, last.as_rows(), unwritten);
        }
    }
}

/// What of a row isn't where it belongs, because it will be overwritten as long as the row is live.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Deferred {
    /// The previous output is in the state only.
    output: bool,
    /// The state that the next step writes, of the two that alternate, differs from the one before it.
    state: bool,
}

/// What each row is [`Deferred`] with.
struct Deferrals<'b>(&'b mut [Deferred]);

impl<'b> Deferrals<'b> {
    fn new(batch: usize, buffer: &'b mut Vec<Deferred>) -> Self {
        let rows = take(buffer, batch);
        // The previous output is the call's; of the two states one is still empty.
        rows.fill(Deferred { output: false, state: true });
        Deferrals(rows)
    }

    /// The row has a new state and output.
    fn live(&mut self, row: usize) {
        self.0[row] = Deferred { output: true, state: true };
    }

    /// The row has a new state, and its previous output is zero.
    fn cut(&mut self, row: usize) {
        self.0[row] = Deferred { output: false, state: true };
    }

    /// Whether the previous output has to be taken from the state, which is done then.
    fn take_output(&mut self, row: usize) -> bool {
        std::mem::take(&mut self.0[row].output)
    }

    /// Whether the state has to be copied, which is done then.
    fn take_state(&mut self, row: usize) -> bool {
        std::mem::take(&mut self.0[row].state)
    }
}

/// Where the states before and after each step are.
enum States<'a, T> {
    /// Two buffers in turn.
    InTurn { even: RowsMut<'a, T>, odd: RowsMut<'a, T> },
    /// All of them: [timesteps + 1][row][width].
    GradientBackup { all: &'a mut [T], batch: usize, width: usize },
}

impl<'a, T: Float> States<'a, T> {
    /// Begins so that the state after the last step is in `last`.
    fn in_turn(last: RowsMut<'a, T>, other: RowsMut<'a, T>, timesteps: usize) -> Self {
        let (even, odd) = if timesteps.is_multiple_of(2) { (last, other) } else { (other, last) };
        States::InTurn { even, odd }
    }

    /// The states before and after a step.
    fn at(&mut self, step: usize) -> (RowsMut<'_, T>, RowsMut<'_, T>) {
        match self {
            States::InTurn { even, odd } => match step % 2 {
                0 => (even.reborrow(), odd.reborrow()),
                _ => (odd.reborrow(), even.reborrow()),
            },
            States::GradientBackup { all, batch, width } => {
                let one = *batch * *width;
                let (before, after) = all.split_at_mut((step + 1) * one);
                (RowsMut::packed(&mut before[step * one..], *width), RowsMut::packed(after, *width))
            }
        }
    }
}

/// Writes a tape's node, but for the states.
struct Recorder<'n, T> {
    batch: usize,
    input_size: usize,
    tape_len: usize,
    x: &'n mut [T],
    saved: &'n mut [T],
    live: &'n mut [bool],
    cut: &'n mut [bool],
}

impl<'n, T: Float> Recorder<'n, T> {
    /// And the place of the states.
    fn new(
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
            node.dropout.reserve_exact(batch * masks.width());
            (0..batch).for_each(|row| node.dropout.extend_from_slice(masks.row(row)));
        }
        let recorder = Recorder {
            batch,
            input_size,
            tape_len,
            x: take(&mut node.x, steps * input_size),
            saved: node.saved.take(steps * tape_len),
            live: &mut node.live,
            cut: &mut node.cut,
        };
        (recorder, node.states.take((steps + batch) * state_width))
    }

    /// The rows that are live at a step, and their features.
    fn input(&mut self, step: usize, live: &[usize], x: Rows<'_, T>) {
        for &row in live {
            let at = step * self.batch + row;
            self.live[at] = true;
            self.x[at * self.input_size..][..self.input_size].copy_from_slice(x.row(row));
        }
    }

    /// Where the cell leaves what it needs.
    fn saved(&mut self, step: usize) -> RowsMut<'_, T> {
        RowsMut::packed(&mut self.saved[step * self.batch * self.tape_len..], self.tape_len)
    }

    /// A row was reset before a step.
    fn cut(&mut self, step: usize, row: usize) {
        self.cut[step * self.batch + row] = true;
    }
}

/// The products of inputs and kernel, a few steps ahead of the loop: for few rows, where a step alone can't use the
/// batch kernel. The bits are those of the product within the step.
struct ProjectedInputs<'b, T> {
    /// [row][slot][projected_len], or empty: not hoisted.
    products: &'b mut [T],
    width: usize,
    slots: usize,
    /// The earliest time that is in the buffer.
    first: usize,
}

impl<'b, T: Float> ProjectedInputs<'b, T> {
    fn new<C: Cell<Elem = T>>(
        cell: &C,
        batch: usize,
        timesteps: usize,
        dropout: bool,
        buffer: &'b mut Aligned<T>,
    ) -> Self {
        let (slots, width) = Self::sizes(cell, batch, timesteps, dropout);
        ProjectedInputs { products: buffer.take(batch * slots * width), width, slots, first: 0 }
    }

    /// For how many steps there is room, and the width of each product; 0 if it isn't hoisted.
    fn sizes<C: Cell<Elem = T>>(cell: &C, batch: usize, timesteps: usize, dropout: bool) -> (usize, usize) {
        let worth = batch < HOIST_BELOW_BATCH && timesteps >= HOIST_FROM_STEPS && !dropout;
        (timesteps.clamp(1, CHUNK), if worth { cell.fused().projected_len() } else { 0 })
    }

    /// The input of one step; every `CHUNK` steps this projects the next ones.
    fn input<'s, C: Cell<Elem = T>>(
        &'s mut self,
        cell: &C,
        x: &Sequence<'s, T>,
        batch: usize,
        timesteps: usize,
        step: usize,
        backwards: bool,
    ) -> Input<'s, T> {
        let time = if backwards { timesteps - 1 - step } else { step };
        if self.width == 0 {
            return Input::Raw(x.at(time));
        }
        if step.is_multiple_of(self.slots) {
            let count = self.slots.min(timesteps - step);
            // Going backwards, the chunk ends at this time instead of beginning there.
            self.first = if backwards { time + 1 - count } else { time };
            for row in 0..batch {
                let products = &mut self.products[row * self.slots * self.width..][..count * self.width];
                cell.fused().project(count, x.steps_of(row, self.first), RowsMut::packed(products, self.width));
            }
        }
        let slot = time - self.first;
        Input::Projected(Rows::new(self.products, slot * self.width, self.slots * self.width, self.width))
    }

    /// The input of the only row at a time that has been projected, if any is.
    #[inline]
    fn row<'s>(&'s self, x: &Sequence<'s, T>, time: usize) -> RowInput<'s, T> {
        match self.width {
            0 => RowInput::Raw(x.at(time).row(0)),
            width => RowInput::Projected(&self.products[(time - self.first) * width..][..width]),
        }
    }
}
