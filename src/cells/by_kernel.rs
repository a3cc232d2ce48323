//! Cells with a kernel of their own: the hooks of all of them, written once.
//!
//! A cell keeps its kernel beside its weights, packs it in `BuiltInCell::pack`, and returns [`ByKernel`] from
//! `Cell::fused`; [`KernelOrRows`] if some of its options have no kernel. The kernel's type stands in the list
//! `cell_kernels!` below.
//!
//! The kernels here know three weights: kernel, recurrent kernel, bias. So does the backward pass of a [`Form`], whose
//! layout has no place for another one. A cell with one more weight needs a driver of its own in `kernels/drive`, which
//! packs it and runs it; and a [`FusedCell`] of its own in the place of [`ByKernel`], whose `backward_plan` is none: it
//! then goes back row by row, by its `backward`.

use super::dropout::only_masks;
use super::fused::{BackwardPlan, BackwardRows, ByRow, FusedCell, StepRows, backward_by_row};
use super::{Cell, Step, Weights};
use crate::activation::Activation;
use crate::error::Result;
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::activate::reads_preactivation;
use crate::kernels::backward::Form;
use crate::kernels::{GruKernel, KernelStep, LstmKernel, SimpleRnnKernel};
use crate::strided::{DropoutRows, RowStep, Rows, RowsMut};

/// A cell by its kernel.
#[derive(Debug)]
pub(super) struct ByKernel<'c, C: Cell, K> {
    pub(super) cell: &'c C,
    pub(super) kernel: &'c K,
    pub(super) form: Form,
    pub(super) weights: &'c Weights<C::Elem>,
    pub(super) activation: &'c Activation,
    pub(super) recurrent_activation: &'c Activation,
}

impl<T: Float, C: Cell<Elem = T>, K: CellKernel<T>> ByKernel<'_, C, K> {
    /// One step by hand, as [`Cell::step`] is given it.
    pub(super) fn step(&self, step: Step<'_, T>) {
        let (call, dropout) = step.into_rows();
        self.advance(call, dropout);
    }

    fn advance(&self, call: StepRows<'_, T>, dropout: Option<DropoutRows<'_, T>>) {
        self.kernel.step(KernelStep {
            rows: call.rows,
            input: call.input,
            prev: call.prev,
            next: call.next,
            tape: call.tape,
            dropout,
            scratch: call.scratch,
            odd_step: call.odd,
            activation: self.activation,
            recurrent_activation: self.recurrent_activation,
        });
    }
}

impl<T: Float, C: Cell<Elem = T>, K: CellKernel<T>> FusedCell for ByKernel<'_, C, K> {
    type Elem = T;

    fn projected_len(&self) -> usize {
        self.kernel.projected_len()
    }

    fn project(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        self.kernel.project(count, x, out);
    }

    fn rows_scratch_len(&self, batch: usize) -> usize {
        self.kernel.scratch_len(batch)
    }

    fn step_rows(&self, call: StepRows<'_, T>) {
        let dropout = only_masks(self.cell.dropout(), call.dropout);
        self.advance(call, dropout);
    }

    #[inline]
    fn step_row(&self, step: &mut RowStep<'_, T>, scratch: &mut [T], odd: bool) {
        self.kernel.step_row(step, (self.activation, self.recurrent_activation), odd, scratch);
    }

    fn rows_backward_scratch_len(&self, _batch: usize) -> usize {
        self.cell.backward_scratch_len()
    }

    fn step_rows_backward(&self, call: BackwardRows<'_, T>, gradients: &mut WeightGradients<'_, T>) -> Result<()> {
        backward_by_row(self.cell, call, gradients)
    }

    fn may_fail_backward(&self) -> bool {
        false
    }

    /// None for activations whose backward pass needs the preactivations, which the kernels don't keep.
    fn backward_plan(&self) -> Option<BackwardPlan<'_, T>> {
        let &ByKernel { form, weights, activation, recurrent_activation, .. } = self;
        let keeps = !reads_preactivation(activation) && !reads_preactivation(recurrent_activation);
        keeps.then_some(BackwardPlan { form, weights, activation, recurrent_activation })
    }
}

/// A cell that has a kernel for some of its options.
#[derive(Debug)]
pub(super) enum KernelOrRows<'c, C: Cell, K> {
    Kernel(ByKernel<'c, C, K>),
    Rows(ByRow<'c, C>),
}

macro_rules! either {
    ($self:ident, $way:ident => $call:expr) => {
        match $self {
            KernelOrRows::Kernel($way) => $call,
            KernelOrRows::Rows($way) => $call,
        }
    };
}

impl<T: Float, C: Cell<Elem = T>, K: CellKernel<T>> FusedCell for KernelOrRows<'_, C, K> {
    type Elem = T;

    fn projected_len(&self) -> usize {
        either!(self, way => way.projected_len())
    }

    fn project(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        either!(self, way => way.project(count, x, out));
    }

    #[inline]
    fn rows_scratch_len(&self, batch: usize) -> usize {
        either!(self, way => way.rows_scratch_len(batch))
    }

    #[inline]
    fn step_rows(&self, call: StepRows<'_, T>) {
        either!(self, way => way.step_rows(call));
    }

    #[inline]
    fn step_row(&self, step: &mut RowStep<'_, T>, scratch: &mut [T], odd: bool) {
        either!(self, way => way.step_row(step, scratch, odd));
    }

    #[inline(always)]
    fn step_only_row(&self, step: &mut RowStep<'_, T>, work: &mut Vec<T>, odd: bool) {
        // Out of the way of the kernel's step, which would otherwise save registers for this one.
        #[cold]
        #[inline(never)]
        fn without_kernel<C: Cell>(rows: &ByRow<'_, C>, step: &mut RowStep<'_, C::Elem>, work: &mut Vec<C::Elem>) {
            rows.step_only_row(step, work, false);
        }
        match self {
            KernelOrRows::Kernel(kernel) => kernel.step_only_row(step, work, odd),
            KernelOrRows::Rows(rows) => without_kernel(rows, step, work),
        }
    }

    fn rows_backward_scratch_len(&self, batch: usize) -> usize {
        either!(self, way => way.rows_backward_scratch_len(batch))
    }

    fn step_rows_backward(&self, call: BackwardRows<'_, T>, gradients: &mut WeightGradients<'_, T>) -> Result<()> {
        either!(self, way => way.step_rows_backward(call, gradients))
    }

    fn may_fail_backward(&self) -> bool {
        false
    }

    fn backward_plan(&self) -> Option<BackwardPlan<'_, T>> {
        either!(self, way => way.backward_plan())
    }
}

/// What the kernels of cells have in common: the weights packed for steps of one row and of many.
pub(super) trait CellKernel<T: Float> {
    fn projected_len(&self) -> usize;
    fn project(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>);
    fn scratch_len(&self, rows: usize) -> usize;
    fn step(&self, call: KernelStep<'_, T>);
    fn step_row(
        &self,
        step: &mut RowStep<'_, T>,
        activations: (&Activation, &Activation),
        odd: bool,
        scratch: &mut [T],
    );
}

macro_rules! cell_kernels {
    ($($kernel:ident)*) => {$(
        impl<T: Float> CellKernel<T> for $kernel<T> {
            #[inline]
            fn projected_len(&self) -> usize {
                self.projected_len()
            }
            #[inline]
            fn project(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
                self.project(count, x, out);
            }
            #[inline]
            fn scratch_len(&self, rows: usize) -> usize {
                self.scratch_len(rows)
            }
            #[inline]
            fn step(&self, call: KernelStep<'_, T>) {
                self.step(call);
            }
            #[inline]
            fn step_row(
                &self,
                step: &mut RowStep<'_, T>,
                (activation, recurrent_activation): (&Activation, &Activation),
                odd: bool,
                scratch: &mut [T],
            ) {
                self.step_row(step, activation, recurrent_activation, odd, scratch);
            }
        }
    )*};
}

cell_kernels!(SimpleRnnKernel LstmKernel GruKernel);
