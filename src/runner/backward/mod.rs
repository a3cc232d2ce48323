//! Back in time: the loop of [`forward`](super::forward) from its last step to its first.
//!
//! ```text
//! for step in (0..timesteps).rev():
//!     for each row that was live:  d_state[output] += d_sequence[step] + d_repeated;  d_repeated = 0
//!                                   d_state, d_input[time], d_weights = cell backward (d_state)
//!     for each other row:           d_state stays;  d_repeated += d_sequence[step], unless zeros were the output
//!     for each row that was reset: d_state = 0;  d_repeated = 0
//! ```
//!
//! `d_repeated` is the twin of the forward loop's previous output: a masked step repeats it, so its gradient waits for
//! the step that made it.
//!
//! The cell's part has two ways: row by row, for any cell, and by kernels that serve many rows and steps at once.

mod by_kernel;
mod by_row;
mod call;

use by_kernel::ByKernel;
pub(crate) use by_kernel::ChunkRows;
use by_row::ByRow;
pub(crate) use call::backward;

use super::forward::Recurrence;
use super::pass::BackwardPass;
use super::scratch::Scratch;
use super::sequence::SequenceMut;
use super::tape::Node;
use crate::buffers::take;
use crate::cells::{Cell, FusedCell};
use crate::error::Result;
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::backward::Upstream;
use crate::memory::MemoryNeeds;
use crate::runner::memory::{CallBack, Held};
use crate::strided::{Rows, RowsMut, copy_rows};

/// One step in its backward pass: what both ways read and write.
struct StepBack<'a, 'p, T> {
    step: usize,
    /// The time of the step in the input.
    time: usize,
    batch: usize,
    /// The rows that were live.
    rows: &'a [usize],
    /// Which rows were reset before the step.
    cut: &'a [bool],
    /// All steps' features, states and tapes: [step][row].
    x: Rows<'a, T>,
    states: Rows<'a, T>,
    tape: Rows<'a, T>,
    d_next: RowsMut<'a, T>,
    /// What is still to be added to the gradient of the outputs, in `d_next`.
    upstream: Option<Upstream<'a, T>>,
    d_prev: RowsMut<'a, T>,
    d_input: Option<&'a mut SequenceMut<'p, T>>,
}

/// How a cell goes back through a step.
trait BackwardPath<T: Float> {
    fn step(&mut self, step: StepBack<'_, '_, T>, gradients: &mut WeightGradients<'_, T>) -> Result<()>;
}

impl<C: Cell> Recurrence<'_, C> {
    /// Adds what [`backward`](Self::backward) takes: a line for each of its buffers, whichever way it takes.
    pub(crate) fn memory_needs_backward(&self, call: CallBack, held: Held<'_, C::Elem>, needs: &mut MemoryNeeds) {
        let (batch, width, cell) = (call.batch, self.state_width, self.cell);
        needs.buffer::<C::Elem>(held.in_scratch(|scratch| scratch.state.len()), &[2, batch, width]);
        needs.buffer::<C::Elem>(held.in_scratch(|scratch| scratch.carry.len()), &[batch, self.output.len()]);
        needs.buffer::<C::Elem>(held.in_scratch(|scratch| scratch.cut.len()), &[batch, width]);
        needs.buffer::<usize>(held.in_scratch(|scratch| scratch.rows.capacity()), &[batch]);
        let work = held.in_scratch(|scratch| scratch.work.len());
        let hooks = cell.fused();
        if let Some(plan) = hooks.backward_plan() {
            ByKernel::memory_needs(&plan, call, held, needs);
        }
        // With dropout masks no kernel can go back.
        needs.buffer::<C::Elem>(work, &[hooks.rows_backward_scratch_len(batch)]);
        needs.buffer::<C::Elem>(held.in_scratch(|scratch| scratch.outputs.len()), &[batch, cell.input_size()]);
    }

    /// The backward pass through a recorded call.
    pub(crate) fn backward(
        &self,
        node: &mut Node<C::Elem>,
        pass: BackwardPass<'_, C::Elem>,
        scratch: &mut Scratch<C::Elem>,
    ) -> Result<()> {
        let Scratch { work, dz, outputs, chunk, .. } = scratch;
        let (mut work, mut dz) = (std::mem::take(work), std::mem::take(dz));
        let (mut outputs, mut chunk) = (std::mem::take(outputs), std::mem::take(chunk));
        // What the kernels keep from call to call leaves the node meanwhile.
        let mut kept = node.kernel.take();
        let dropout = std::mem::take(&mut node.dropout);
        let hooks = self.cell.fused();
        let plan = hooks.backward_plan().filter(|_| dropout.is_empty());
        let by_kernel = plan.and_then(|plan| {
            ByKernel::new(plan, &mut kept, node.batch, pass.d_input.is_some(), (&mut dz, &mut chunk, &mut work))
        });
        let result = if let Some(mut way) = by_kernel {
            self.steps_backward(node, pass, scratch, &mut way)
        } else {
            let mut way = ByRow::new(self, &dropout, (node.batch, node.timesteps), (&mut work, &mut outputs));
            self.steps_backward(node, pass, scratch, &mut way)
        };
        (node.kernel, node.dropout) = (kept, dropout);
        (scratch.work, scratch.dz, scratch.outputs, scratch.chunk) = (work, dz, outputs, chunk);
        result
    }

    fn steps_backward(
        &self,
        node: &mut Node<C::Elem>,
        pass: BackwardPass<'_, C::Elem>,
        scratch: &mut Scratch<C::Elem>,
        way: &mut impl BackwardPath<C::Elem>,
    ) -> Result<()> {
        let BackwardPass { d_sequence, flipped, d_last, d_state, mut d_input, d_initial, mut gradients } = pass;
        let (batch, timesteps, width) = (node.batch, node.timesteps, self.state_width);
        let (first, second) = scratch.state.take(2 * batch * width).split_at_mut(batch * width);
        let d_repeated = take(&mut scratch.carry, batch * self.output.len());
        let mut between = Between {
            d_next: RowsMut::packed(first, width),
            d_prev: RowsMut::packed(second, width),
            d_repeated: RowsMut::packed(d_repeated, self.output.len()),
        };
        between.begin(node, d_state, d_last);
        let all_live = node.live.iter().all(|&live| live);
        for step in (0..timesteps).rev() {
            let d_outputs_of = |step| d_sequence.map(|all| all.at(if flipped { timesteps - 1 - step } else { step }));
            let d_outputs = d_outputs_of(step);
            // Where no step is masked, only the last output is repeated. The others are left to the cell's part, which
            // may run on several threads, each near its rows.
            let upstream = (d_outputs.zip(d_outputs_of(step.saturating_sub(1))))
                .filter(|_| all_live && step + 1 < timesteps)
                .map(|(here, earlier)| Upstream { here, earlier });
            scratch.rows.clear();
            scratch.rows.reserve_exact(batch);
            self.collect(node, step, d_outputs, upstream.is_some(), &mut between, &mut scratch.rows);
            let kept = take(&mut scratch.cut, batch * width);
            self.initial_where_cut(node, step, kept);
            let cut = &node.cut[step * batch..][..batch];
            let call = StepBack {
                step,
                time: if self.go_backwards { timesteps - 1 - step } else { step },
                batch,
                rows: &scratch.rows,
                cut,
                x: Rows::packed(&node.x, self.cell.input_size()),
                states: Rows::packed(&node.states, width),
                tape: Rows::packed(&node.tape, self.cell.tape_len()),
                d_next: between.d_next.reborrow(),
                upstream,
                d_prev: between.d_prev.reborrow(),
                d_input: d_input.as_mut(),
            };
            way.step(call, &mut gradients)?;
            for row in (0..batch).filter(|&row| cut[row]) {
                node.states[(step * batch + row) * width..][..width].copy_from_slice(&kept[row * width..][..width]);
                between.d_prev.row_mut(row).fill(C::Elem::default());
                between.d_repeated.row_mut(row).fill(C::Elem::default());
            }
            std::mem::swap(&mut between.d_next, &mut between.d_prev);
        }
        copy_rows(batch, between.d_next.as_rows(), d_initial);
        Ok(())
    }

    /// Adds the gradient of a step's outputs, unless it is `left` to the cell's part, and lists the rows that are live;
    /// what is masked passes its gradients on.
    #[inline(always)] // each of the two ways has the loop to itself
    fn collect(
        &self,
        node: &Node<C::Elem>,
        step: usize,
        d_outputs: Option<Rows<'_, C::Elem>>,
        left: bool,
        between: &mut Between<'_, C::Elem>,
        rows: &mut Vec<usize>,
    ) {
        for row in 0..node.batch {
            let d_repeated = between.d_repeated.row_mut(row);
            if node.is_live(step, row) {
                rows.push(row);
                if left {
                    continue;
                }
                if let Some(d_outputs) = d_outputs {
                    add(d_repeated, d_outputs.row(row));
                }
                add(&mut between.d_next.row_mut(row)[self.output.clone()], d_repeated);
                d_repeated.fill(C::Elem::default());
            } else {
                between.d_prev.row_mut(row).copy_from_slice(between.d_next.row(row));
                match d_outputs {
                    Some(d_outputs) if !node.zero_sequence => add(d_repeated, d_outputs.row(row)),
                    _ => {}
                }
                if node.zero_last {
                    d_repeated.fill(C::Elem::default());
                }
            }
        }
    }

    /// A row that was reset went on from the initial state; what stands there is the one before, which goes to `kept`.
    #[inline(always)]
    fn initial_where_cut(&self, node: &mut Node<C::Elem>, step: usize, kept: &mut [C::Elem]) {
        let (batch, width) = (node.batch, self.state_width);
        for row in (0..batch).filter(|&row| node.cut[step * batch + row]) {
            let prev = &mut node.states[(step * batch + row) * width..][..width];
            kept[row * width..][..width].copy_from_slice(prev);
            self.cell.initial_state(prev);
        }
    }
}

/// The gradients that go from a step to the one before it.
struct Between<'a, T> {
    d_next: RowsMut<'a, T>,
    d_prev: RowsMut<'a, T>,
    d_repeated: RowsMut<'a, T>,
}

impl<T: Float> Between<'_, T> {
    /// Those after the last step.
    fn begin(&mut self, node: &Node<T>, d_state: Rows<'_, T>, d_last: Option<Rows<'_, T>>) {
        for row in 0..node.batch {
            self.d_next.row_mut(row).copy_from_slice(d_state.row(row));
            let ends_in_zeros = node.zero_last && node.timesteps > 0 && !node.is_live(node.timesteps - 1, row);
            match d_last {
                Some(d_last) if !ends_in_zeros => self.d_repeated.row_mut(row).copy_from_slice(d_last.row(row)),
                _ => self.d_repeated.row_mut(row).fill(T::default()),
            }
        }
    }
}

/// `sums += values`
pub(crate) fn add<T: Float>(sums: &mut [T], values: &[T]) {
    sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
}
