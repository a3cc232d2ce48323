//! The GRU in both forms as one kernel: with the reset after the product or before it.

use super::super::isa::Isa;
use super::super::units::gru_after::GruAfter;
use super::super::{KernelStep, StepContext};
use super::TileKernel;
use super::reset_before::GruBeforeKernel;
use crate::kernels::Element;
use crate::strided::{RowStep, Rows, RowsMut};

/// The form with the reset after the product: its packed weights and what can be computed with them. A state row is h.
type GruAfterKernel<T> = TileKernel<T, GruAfter, 3>;

/// The packed weights of a GRU and what can be computed with them. A state row is h.
#[derive(Debug, Clone)]
pub(crate) enum GruKernel<T: Element> {
    After(GruAfterKernel<T>),
    Before(GruBeforeKernel<T>),
}

/// The same call of either form.
macro_rules! either {
    ($kernel:expr, $inner:ident => $call:expr) => {
        match $kernel {
            GruKernel::After($inner) => $call,
            GruKernel::Before($inner) => $call,
        }
    };
}

impl<T: Element> GruKernel<T> {
    /// The elements of the packed weights in the larger form, or `None` if they could not be addressed.
    pub(crate) fn packed_len(input_size: usize, units: usize) -> Option<usize> {
        GruAfterKernel::<T>::packed_len(input_size, units)
    }

    /// A kernel with weights of zero. Both sizes must be at least 1 and have a [`packed_len`](Self::packed_len).
    pub(crate) fn new(input_size: usize, units: usize, reset_after: bool) -> Self {
        Self::for_isa(Isa::detect(), input_size, units, reset_after)
    }

    /// The same on a given instruction set.
    pub(crate) fn for_isa(isa: Isa, input_size: usize, units: usize, reset_after: bool) -> Self {
        if reset_after {
            GruKernel::After(GruAfterKernel::for_isa(isa, input_size, units))
        } else {
            GruKernel::Before(GruBeforeKernel::for_isa(isa, input_size, units))
        }
    }

    /// Takes Keras's weights: `kernel` (input_size, 3 units), `recurrent_kernel` (units, 3 units), `bias` (2, 3 units)
    /// with `reset_after`, else (3 units). Allocates nothing.
    pub(crate) fn pack(&mut self, kernel: &[T], recurrent_kernel: &[T], bias: Option<&[T]>) {
        either!(self, inner => inner.pack(kernel, recurrent_kernel, bias));
    }

    /// The elements of a row of [`project`](Self::project)'s result.
    pub(crate) fn projected_len(&self) -> usize {
        either!(self, inner => inner.projected_len())
    }

    /// `bias + x * kernel` of rows `0..count`, in the order in which [`step`](Self::step) takes it.
    pub(in crate::kernels) fn project_here(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        either!(self, inner => inner.project_here(count, x, out));
    }

    /// The elements that the backward pass needs of each row and step.
    pub(crate) fn tape_len(&self) -> usize {
        either!(self, inner => inner.tape_len())
    }

    /// The scratch that a step of at most `rows` rows needs.
    pub(crate) fn scratch_len(&self, rows: usize) -> usize {
        either!(self, inner => inner.scratch_len(rows))
    }

    /// One step of one row.
    #[inline(always)]
    pub(in crate::kernels) fn step_row_here(&self, step: &mut RowStep<'_, T>, context: StepContext<'_, T>) {
        either!(self, inner => inner.step_row_here(step, context));
    }

    /// One step of the rows in `call`.
    #[inline(always)]
    pub(in crate::kernels) fn step_here(&self, call: &mut KernelStep<'_, T>) {
        either!(self, inner => inner.step_here(call));
    }
}
