//! By kernels: the backward pass for the built-in cells. The weights' gradients wait for a chunk of steps.

use std::any::Any;

use super::{BackwardPath, StepBack};
use crate::aligned::Aligned;
use crate::buffers::take;
use crate::cells::BackwardPlan;
use crate::error::Result;
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::backward::{BackwardChunk, BackwardKernel, BackwardStep};
use crate::memory::MemoryNeeds;
use crate::runner::memory::{CallBack, Held};
use crate::runner::threads;
use crate::strided::RowsMut;

/// Rows whose weights' gradients are summed together: enough for the products, few enough for the near cache.
const CHUNK_ROWS: usize = 256;

pub(super) struct ByKernel<'a, T: Float> {
    plan: BackwardPlan<'a, T>,
    kernel: &'a mut BackwardKernel<T>,
    /// Steps in a chunk: it follows from the batch alone, since it fixes the order of the sums.
    steps: usize,
    /// [step of the chunk][row]
    dz: RowsMut<'a, T>,
    rows: &'a mut ChunkRows,
    scratch: &'a mut [T],
    /// Multiplications of one row and step.
    work: usize,
}

/// The rows of a chunk, as indices into its dz.
#[derive(Debug, Default)]
pub(crate) struct ChunkRows {
    /// Those that were live.
    live: Vec<usize>,
    /// Lists of rows, for parts of a step.
    indices: Vec<usize>,
    /// Those of them that had a state before the step.
    recurrent: Vec<usize>,
}

impl ChunkRows {
    /// For how many rows there is room.
    pub(crate) fn capacity(&self) -> usize {
        self.live.capacity() + self.recurrent.capacity()
    }
}

impl<'a, T: Float> ByKernel<'a, T> {
    /// Adds what [`new`](Self::new) takes.
    pub(super) fn memory_needs(plan: &BackwardPlan<'_, T>, call: CallBack, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        let (weights, recurrent_weights, _) = plan.weights.three();
        let (units, work) = (plan.units(), weights.len() + recurrent_weights.len());
        if held.in_node(|node| usize::from(node.kernel.is_some())) == 0 {
            // The weights transposed, sums of their shapes, and panels that are filled up.
            needs.array::<T>(&[3, work]);
        }
        let rows = call.batch.saturating_add(CHUNK_ROWS);
        let stride = BackwardKernel::<T>::dz_stride(plan.form, units);
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.dz.len()), &[rows, stride]);
        needs.buffer::<usize>(held.in_scratch(|scratch| scratch.chunk.capacity()), &[rows, 2]);
        needs.buffer::<usize>(held.in_scratch(|scratch| scratch.chunk.indices.len()), &[call.batch, 8]);
        let parts = threads::scratch_parts(call.batch, work);
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.work.len()), &[parts, call.batch, units]);
    }

    /// `kept` is the kernel of the last call, if there was one; `input` says whether the input's gradient is wanted.
    pub(super) fn new(
        plan: BackwardPlan<'a, T>,
        kept: &'a mut Option<Box<dyn Any + Send + Sync>>,
        batch: usize,
        input: bool,
        (dz, rows, scratch): (&'a mut Aligned<T>, &'a mut ChunkRows, &'a mut Vec<T>),
    ) -> Option<Self> {
        let (input_size, units) = (plan.input_size(), plan.units());
        let form = plan.form;
        let fits = |any: &Box<dyn Any + Send + Sync>| {
            any.downcast_ref::<BackwardKernel<T>>().is_some_and(|kernel| kernel.fits(form, input_size, units))
        };
        if !kept.as_ref().is_some_and(fits) {
            *kept = None;
        }
        let kept = kept.get_or_insert_with(|| Box::new(BackwardKernel::<T>::new(form, input_size, units)));
        let kernel = kept.downcast_mut::<BackwardKernel<T>>()?;
        let (weights, recurrent_weights, _) = plan.weights.three();
        kernel.pack(weights, recurrent_weights, input);
        kernel.begin();
        let steps = CHUNK_ROWS.div_ceil(batch.max(1));
        let (width, stride) = (BackwardKernel::<T>::dz_len(form, units), BackwardKernel::<T>::dz_stride(form, units));
        rows.live.clear();
        rows.live.reserve_exact(steps * batch);
        rows.recurrent.clear();
        rows.recurrent.reserve_exact(steps * batch);
        let work = weights.len() + recurrent_weights.len();
        let scratch = take(scratch, threads::scratch_parts(batch, work) * kernel.scratch_len(batch));
        Some(ByKernel {
            plan,
            kernel,
            steps,
            dz: RowsMut::new(dz.take(steps * batch * stride), 0, stride, width),
            rows,
            scratch,
            work,
        })
    }
}

impl<T: Float> BackwardPath<T> for ByKernel<'_, T> {
    fn step(&mut self, step: StepBack<'_, '_, T>, gradients: &mut WeightGradients<'_, T>) -> Result<()> {
        let StepBack { batch, rows, cut, x, states, tape, d_next, upstream, d_prev, d_input, time, .. } = step;
        let (first, slot) = (step.step * batch, step.step % self.steps);
        if !rows.is_empty() {
            let call = BackwardStep {
                rows,
                prev: states.skip(first),
                next: states.skip(first + batch),
                tape: tape.skip(first),
                d_next,
                upstream,
                d_prev,
                dz: self.dz.reborrow().skip(slot * batch),
                d_x: d_input.map(|d_input| d_input.at(time)),
                activation: self.plan.activation,
                scratch: &mut *self.scratch,
                recurrent_activation: self.plan.recurrent_activation,
            };
            threads::step_back(self.kernel, call, self.work, &mut self.rows.indices);
        }
        for &row in rows {
            self.rows.live.push(slot * batch + row);
            // A row that was reset had zeros, whatever stands there.
            if !cut[row] {
                self.rows.recurrent.push(slot * batch + row);
            }
        }
        if slot > 0 {
            return Ok(());
        }
        let mut weights = gradients.slices();
        if let (Some(kernel), Some(recurrent_kernel)) = (weights.next(), weights.next()) {
            let call = BackwardChunk {
                rows: &self.rows.live,
                recurrent_rows: &self.rows.recurrent,
                x: x.skip(first),
                prev: states.skip(first),
                tape: tape.skip(first),
                dz: self.dz.as_rows(),
            };
            threads::chunk(self.kernel.chunk(call));
            if let Some(bias) = weights.next() {
                self.kernel.bias(call, bias);
            }
            if first == 0 {
                self.kernel.finish(kernel, recurrent_kernel);
            }
        }
        self.rows.live.clear();
        self.rows.recurrent.clear();
        Ok(())
    }
}
