//! Threads (feature `rayon`), without a changed bit.
//!
//! - A call in inference: its rows are split, by the number of their live steps, and each part runs the whole layer,
//!   because a row's result depends on that row alone. Calls that draw dropout masks are not split: Keras's masks
//!   depend on the place in the batch.
//! - A call that records, and the backward pass: the rows of each step are split, because a tape is laid out by step.
//!   The outer products that make the weights' gradients are split by weights: each sum has all rows and steps, in one
//!   order.
//! - A step of a stream is never split, nor is anything that is less work than splitting costs.

#[cfg(feature = "rayon")]
pub(crate) use forked::*;
#[cfg(not(feature = "rayon"))]
pub(crate) use on_this_thread::*;

#[cfg(feature = "rayon")]
mod forked {
    use crate::buffers::take;
    use crate::cells::{Cell, FusedCell, StepRows};
    use crate::error::Result;
    use crate::float::Float;
    use crate::kernels::backward::{BackwardKernel, BackwardStep, ChunkWork, Upstream};
    use crate::memory::MemoryNeeds;
    use crate::runner::layer::LayerCore;
    use crate::runner::memory::{Call, Held};
    use crate::runner::pass::{BackwardPass, Pass};
    use crate::runner::scratch::Scratch;
    use crate::runner::tape::Node;

    /// Multiplications below which a part isn't worth a thread: about 50 microseconds, five times what a fork costs
    /// a thread that is not one of rayon's.
    const WORTH_A_THREAD: usize = 2_000_000;
    /// The same for rayon's own threads, which a fork costs less.
    const WORTH_A_FORK: usize = 350_000;

    /// Into how many parts to divide so much work.
    fn parts(work: usize, worth: usize, most: usize) -> usize {
        let parts = (work / worth).min(most);
        // Asked only now: the question makes rayon start its threads.
        if parts > 1 { parts.min(rayon::current_num_threads()) } else { 1 }
    }

    /// Into how many parts to divide a step of so many streams, each so much work.
    pub(crate) fn parts_of_rows(work: usize, rows: usize) -> usize {
        parts(work.saturating_mul(rows), WORTH_A_THREAD, rows)
    }

    /// Runs a pass on as many threads as pay.
    pub(crate) fn process<T: Float, L: LayerCore<T> + ?Sized>(layer: &L, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        if pass.timesteps < 2 || scratch.on_one_thread {
            return layer.process(pass, scratch);
        }
        let work = layer.spec().work.saturating_mul(pass.mask.steps(pass.batch, pass.timesteps));
        let parts = parts(work, WORTH_A_THREAD, pass.batch);
        if parts < 2 {
            return layer.process(pass, scratch);
        }
        if pass.tape.is_some() {
            // Its steps fork: they had better do so from one of rayon's threads.
            return rayon::scope(|_| layer.process(pass, scratch));
        }
        if pass.dropout.is_some() {
            return layer.process(pass, scratch);
        }
        let mut others = std::mem::take(&mut scratch.threads);
        if others.len() < parts - 1 {
            others.resize_with(parts - 1, Scratch::new);
        }
        fork(layer, pass, scratch, &mut others[..parts - 1]);
        scratch.threads = others;
    }

    /// Adds what [`process`] takes.
    pub(crate) fn memory_needs<T: Float, L: LayerCore<T> + ?Sized>(
        layer: &L,
        call: Call,
        held: Held<'_, T>,
        needs: &mut MemoryNeeds,
    ) {
        let (mut whole, mut few) = (MemoryNeeds::default(), MemoryNeeds::default());
        layer.memory_needs(call, held, &mut whole);
        let divisible = call.timesteps > 1 && !call.recorded && !call.dropout;
        if whole.is_small() || !divisible {
            return needs.add(whole, 1);
        }
        let work = layer.spec().work.saturating_mul(call.batch).saturating_mul(call.timesteps);
        let parts = parts(work, WORTH_A_THREAD, call.batch);
        // The rows are divided, but each part takes for itself what doesn't depend on them: no more than three rows do,
        // whose inputs are projected ahead. Which part has which rows depends on the mask, so that what they hold is
        // counted together.
        layer.memory_needs(Call { batch: 3, ..call }, Held::nothing(), &mut few);
        let mut all = MemoryNeeds::default();
        layer.memory_needs(call, Held::nothing(), &mut all);
        all.add(few, parts - 1);
        let enough = all.bytes().is_some_and(|bytes| held.in_scratch(|scratch| scratch.bytes()) >= bytes);
        if parts < 2 {
            needs.add(whole, 1);
        } else if !enough {
            needs.add(all, 1);
        }
    }

    /// Halves the pass until there is a part for each scratch.
    fn fork<T: Float, L: LayerCore<T> + ?Sized>(
        layer: &L,
        pass: Pass<'_, T>,
        own: &mut Scratch<T>,
        others: &mut [Scratch<T>],
    ) {
        let parts = others.len() + 1;
        if parts == 1 {
            return layer.process(pass, own);
        }
        let half = parts / 2;
        // Each part has at least a row for each of its own.
        let rows =
            pass.mask.rows_of_share(pass.batch, pass.timesteps, (half, parts)).clamp(half, pass.batch - (parts - half));
        let (first, second) = pass.split_rows(rows);
        let (first_others, rest) = others.split_at_mut(half - 1);
        let (second_own, second_others) = rest.split_at_mut(1);
        rayon::join(
            || fork(layer, first, own, first_others),
            || fork(layer, second, &mut second_own[0], second_others),
        );
    }

    /// Runs the backward pass, from one of rayon's threads if its steps will fork.
    pub(crate) fn backward<T: Float, L: LayerCore<T> + ?Sized>(
        layer: &L,
        node: &mut Node<T>,
        pass: BackwardPass<'_, T>,
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        let work = layer.spec().work.saturating_mul(node.batch).saturating_mul(node.timesteps);
        if parts(work, WORTH_A_THREAD, usize::MAX) < 2 {
            return layer.backward_into(node, pass, scratch);
        }
        rayon::scope(|_| layer.backward_into(node, pass, scratch))
    }

    /// One step of some rows, which may be divided.
    trait RowWork<'a>: Sized + Send {
        fn rows(&self) -> &'a [usize];

        /// The work on rows before `row`, which are the first `count` in the list, and that on the others, whose
        /// indices begin at `row`; of the scratch, `first` of `all` parts and the rest.
        fn split(self, row: usize, count: usize, others: &'a [usize], parts: (usize, usize)) -> (Self, Self);
    }

    /// Halves the work until there are so many parts. `indices` is room for lists of rows.
    fn share<'a, W: RowWork<'a>>(work: W, parts: usize, indices: &'a mut [usize], run: &(impl Fn(W) + Sync)) {
        let rows = work.rows();
        let half = parts / 2;
        let count = rows.len() * half / parts.max(1);
        if half == 0 || count == 0 || indices.len() < rows.len() - count {
            return run(work);
        }
        let row = rows[count];
        let (others, rest) = indices.split_at_mut(rows.len() - count);
        others.iter_mut().zip(&rows[count..]).for_each(|(to, from)| *to = from - row);
        let (first_indices, second_indices) = rest.split_at_mut(rest.len() / 2);
        let (first, second) = work.split(row, count, others, (half, parts));
        rayon::join(|| share(first, half, first_indices, run), || share(second, parts - half, second_indices, run));
    }

    /// Room for the lists of rows of so many parts: each halving needs as much as the second half has.
    fn index_room(batch: usize, parts: usize) -> usize {
        batch * (parts.ilog2() as usize + 1)
    }

    /// Parts of a step of so many rows, `work` multiplications each. Parts are even: the halves must be as well.
    fn step_parts(rows: usize, work: usize) -> usize {
        let parts = parts(rows.saturating_mul(work), WORTH_A_FORK, rows / 4);
        1 << parts.max(1).ilog2()
    }

    /// The parts of the scratch that the recorded steps of a call need.
    pub(crate) fn scratch_parts(batch: usize, work: usize) -> usize {
        step_parts(batch, work)
    }

    impl<'a, T: Float> RowWork<'a> for StepRows<'a, T> {
        fn rows(&self) -> &'a [usize] {
            self.rows
        }

        fn split(self, row: usize, count: usize, others: &'a [usize], (first, all): (usize, usize)) -> (Self, Self) {
            let StepRows { rows, input, prev, next, dropout, tape, scratch, odd } = self;
            let (first_next, next) = next.split_rows(row);
            let (first_tape, tape) = tape.map(|tape| tape.split_rows(row)).unzip();
            let (first_scratch, scratch) = scratch.split_at_mut(scratch.len() * first / all);
            (
                StepRows {
                    rows: &rows[..count],
                    input,
                    prev,
                    next: first_next,
                    dropout,
                    tape: first_tape,
                    scratch: first_scratch,
                    odd,
                },
                StepRows {
                    rows: others,
                    input: input.skip(row),
                    prev: prev.skip(row),
                    next,
                    dropout: dropout.map(|masks| masks.skip(row)),
                    tape,
                    scratch,
                    odd,
                },
            )
        }
    }

    /// Runs a step in as many parts as pay; a row is `work` multiplications.
    fn in_parts<'a, W: RowWork<'a>>(call: W, work: usize, indices: &'a mut Vec<usize>, run: impl Fn(W) + Sync) {
        let rows = call.rows().len();
        let parts = step_parts(rows, work);
        let room = if parts > 1 { index_room(rows, parts) } else { 0 };
        share(call, parts, take(indices, room), &run);
    }

    /// One recorded step, `work` multiplications a row; its scratch has [`scratch_parts`].
    pub(crate) fn step<'a, C: Cell>(cell: &C, call: StepRows<'a, C::Elem>, work: usize, indices: &'a mut Vec<usize>) {
        in_parts(call, work, indices, |call| cell.fused().step_rows(call));
    }

    impl<'a, T: Float> RowWork<'a> for BackwardStep<'a, T> {
        fn rows(&self) -> &'a [usize] {
            self.rows
        }

        fn split(self, row: usize, count: usize, others: &'a [usize], (first, all): (usize, usize)) -> (Self, Self) {
            let BackwardStep { rows, prev, next, tape, d_next, upstream, d_prev, dz, d_x, scratch, .. } = self;
            let BackwardStep { activation, recurrent_activation, .. } = self;
            let (first_d_next, d_next) = d_next.split_rows(row);
            let (first_d_prev, d_prev) = d_prev.split_rows(row);
            let (first_dz, dz) = dz.split_rows(row);
            let (first_d_x, d_x) = d_x.map(|d_x| d_x.split_rows(row)).unzip();
            let (first_scratch, scratch) = scratch.split_at_mut(scratch.len() * first / all);
            (
                BackwardStep {
                    rows: &rows[..count],
                    prev,
                    next,
                    tape,
                    d_next: first_d_next,
                    upstream,
                    d_prev: first_d_prev,
                    dz: first_dz,
                    d_x: first_d_x,
                    scratch: first_scratch,
                    activation,
                    recurrent_activation,
                },
                BackwardStep {
                    rows: others,
                    prev: prev.skip(row),
                    next: next.skip(row),
                    tape: tape.skip(row),
                    d_next,
                    upstream: upstream.map(|Upstream { here, earlier }| Upstream {
                        here: here.skip(row),
                        earlier: earlier.skip(row),
                    }),
                    d_prev,
                    dz,
                    d_x,
                    scratch,
                    activation,
                    recurrent_activation,
                },
            )
        }
    }

    /// One step of the backward pass; its scratch has [`scratch_parts`].
    pub(crate) fn step_back<'a, T: Float>(
        kernel: &BackwardKernel<T>,
        call: BackwardStep<'a, T>,
        work: usize,
        indices: &'a mut Vec<usize>,
    ) {
        in_parts(call, work, indices, |call| kernel.step(call));
    }

    /// The outer products of a chunk of steps.
    pub(crate) fn chunk<T: Float>(work: ChunkWork<'_, T>) {
        let parts = parts(work.work(), WORTH_A_FORK, usize::MAX);
        share_chunk(work, parts);
    }

    fn share_chunk<T: Float>(work: ChunkWork<'_, T>, parts: usize) {
        if parts < 2 {
            return work.run();
        }
        match work.split() {
            (all, None) => all.run(),
            (first, Some(second)) => {
                rayon::join(|| share_chunk(first, parts / 2), || share_chunk(second, parts - parts / 2));
            }
        }
    }
}

#[cfg(not(feature = "rayon"))]
mod on_this_thread {
    use crate::cells::{Cell, FusedCell, StepRows};
    use crate::error::Result;
    use crate::float::Float;
    use crate::kernels::backward::{BackwardKernel, BackwardStep, ChunkWork};
    use crate::memory::MemoryNeeds;
    use crate::runner::layer::LayerCore;
    use crate::runner::memory::{Call, Held};
    use crate::runner::pass::{BackwardPass, Pass};
    use crate::runner::scratch::Scratch;
    use crate::runner::tape::Node;

    /// Adds what [`process`] takes.
    #[inline]
    pub(crate) fn memory_needs<T: Float, L: LayerCore<T> + ?Sized>(
        layer: &L,
        call: Call,
        held: Held<'_, T>,
        needs: &mut MemoryNeeds,
    ) {
        layer.memory_needs(call, held, needs);
    }

    /// Runs a pass.
    #[inline]
    pub(crate) fn process<T: Float, L: LayerCore<T> + ?Sized>(layer: &L, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        layer.process(pass, scratch);
    }

    /// Runs the backward pass.
    pub(crate) fn backward<T: Float, L: LayerCore<T> + ?Sized>(
        layer: &L,
        node: &mut Node<T>,
        pass: BackwardPass<'_, T>,
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        layer.backward_into(node, pass, scratch)
    }

    /// The parts of the scratch that the recorded steps of a call need.
    pub(crate) fn scratch_parts(_batch: usize, _work: usize) -> usize {
        1
    }

    /// One recorded step.
    pub(crate) fn step<C: Cell>(cell: &C, call: StepRows<'_, C::Elem>, _work: usize, _indices: &mut Vec<usize>) {
        cell.fused().step_rows(call);
    }

    /// One step of the backward pass.
    pub(crate) fn step_back<T: Float>(
        kernel: &BackwardKernel<T>,
        call: BackwardStep<'_, T>,
        _work: usize,
        _indices: &mut Vec<usize>,
    ) {
        kernel.step(call);
    }

    /// The outer products of a chunk of steps.
    pub(crate) fn chunk<T: Float>(work: ChunkWork<'_, T>) {
        work.run();
    }
}
