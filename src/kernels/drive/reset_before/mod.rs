//! Steps of a GRU with the reset before the product: the gates of all units, then the candidates, which need all of
//! `r h`. Both matrices are flat: their columns need nothing of one another. The order never turns: r first, then z,
//! whose sums fill the wait for `r h`, then the candidates.
//!
//! The scratch holds two values a unit for each row: z, and `r h`; without the default activations r stands in the
//! second place until it is multiplied.

mod one_row;
mod rows;

use std::fmt;

use self::one_row::{CandidateOfRow, GatesOfRow, RestOfRow};
use self::rows::AnyRows;
use super::BATCH;
use crate::kernels::isa::{Arch, Isa, Kernel, RowIsa, dispatch, dispatch_narrow, dispatch_row};
use crate::kernels::packed::{Grouping, PackedMatrix};
use crate::kernels::unit::SUMS;
use crate::kernels::units::gru_before;
use crate::kernels::{Element, KernelStep, StepContext, project};
use crate::strided::{RowStep, Rows, RowsMut};

/// The gates of each unit, in Keras's order: z, r, g.
const GATES: usize = 3;

/// The packed weights and what can be computed with them. A state row is h.
#[derive(Clone)]
pub(crate) struct GruBeforeKernel<T: Element> {
    isa: Isa,
    input_size: usize,
    units: usize,
    weights: Before<T>,
}

/// The gates z and r, then the candidate, which needs all of r.
#[derive(Clone)]
struct Before<T: Element> {
    gates: PackedMatrix<T>,
    candidate: PackedMatrix<T>,
}

impl<T: Element> GruBeforeKernel<T> {
    pub(in crate::kernels) fn for_isa(isa: Isa, input_size: usize, units: usize) -> Self {
        let rows = input_size + units;
        let weights = Before {
            gates: PackedMatrix::new(rows, 2, units, Grouping::Flat),
            candidate: PackedMatrix::new(rows, 1, units, Grouping::Flat),
        };
        GruBeforeKernel { isa, input_size, units, weights }
    }

    /// Takes Keras's weights: `kernel` (input_size, 3 units), `recurrent_kernel` (units, 3 units), `bias` (3 units).
    pub(in crate::kernels) fn pack(&mut self, kernel: &[T], recurrent_kernel: &[T], bias: Option<&[T]>) {
        let (units, columns) = (self.units, GATES * self.units);
        assert_eq!(kernel.len(), self.input_size * columns);
        assert_eq!(recurrent_kernel.len(), units * columns);
        assert!(bias.is_none_or(|b| b.len() == columns));
        let Before { gates, candidate } = &mut self.weights;
        for gate in 0..GATES {
            let column = gate * units;
            let (matrix, place) = if gate < 2 { (&mut *gates, gate) } else { (&mut *candidate, 0) };
            matrix.pack(kernel, columns, column, 0, place);
            matrix.pack(recurrent_kernel, columns, column, self.input_size, place);
            matrix.set_bias(place, bias.map(|b| &b[column..][..units]));
        }
    }

    pub(in crate::kernels) fn projected_len(&self) -> usize {
        self.weights.gates.z_len() + self.weights.candidate.z_len()
    }

    pub(in crate::kernels) fn project_here(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        dispatch(self.isa, Project { before: &self.weights, count, x, out });
    }

    /// z, r, the candidate, r h.
    pub(in crate::kernels) fn tape_len(&self) -> usize {
        SUMS * self.units
    }

    pub(in crate::kernels) fn scratch_len(&self, rows: usize) -> usize {
        rows.min(BATCH) * SUMS * self.units
    }

    #[inline(always)]
    pub(in crate::kernels) fn step_row_here(&self, step: &mut RowStep<'_, T>, context: StepContext<'_, T>) {
        match RowIsa::of(self.isa) {
            Some(isa) if context.activations().are_default() => self.row::<true>(isa, step, context),
            Some(isa) => self.row::<false>(isa, step, context),
            None => self.step_rows(&mut KernelStep::of_row(step, context)),
        }
    }

    fn row<const DEFAULT: bool>(&self, isa: RowIsa, step: &mut RowStep<'_, T>, context: StepContext<'_, T>) {
        let (before, StepContext { scratch, activation, recurrent_activation, .. }) = (&self.weights, context);
        for (second, matrix) in [(false, &before.gates), (true, &before.candidate)] {
            for group in matrix.groups() {
                let (step, scratch) = (&mut *step, &mut *scratch);
                match (second, group.lines) {
                    (false, 2) => dispatch_row(isa, GatesOfRow::<T, 2, DEFAULT> { before, group, step, scratch }),
                    (false, 3) => dispatch_row(isa, GatesOfRow::<T, 3, DEFAULT> { before, group, step, scratch }),
                    (false, _) => dispatch_row(isa, GatesOfRow::<T, 4, DEFAULT> { before, group, step, scratch }),
                    (true, 1) => dispatch_row(isa, CandidateOfRow::<T, 1, DEFAULT> { before, group, step, scratch }),
                    (true, 2) => dispatch_row(isa, CandidateOfRow::<T, 2, DEFAULT> { before, group, step, scratch }),
                    (true, 3) => dispatch_row(isa, CandidateOfRow::<T, 3, DEFAULT> { before, group, step, scratch }),
                    (true, _) => dispatch_row(isa, CandidateOfRow::<T, 4, DEFAULT> { before, group, step, scratch }),
                }
            }
            if !DEFAULT {
                let (step, scratch) = (&mut *step, &mut *scratch);
                dispatch_row(isa, RestOfRow { step, scratch, activation, recurrent_activation, last: second });
            }
        }
    }

    #[inline(always)]
    pub(in crate::kernels) fn step_here(&self, call: &mut KernelStep<'_, T>) {
        match call.single_row() {
            Some((mut step, context)) => self.step_row_here(&mut step, context),
            None => self.step_rows(call),
        }
    }

    fn step_rows(&self, call: &mut KernelStep<'_, T>) {
        let (before, input_size, units) = (&self.weights, self.input_size, self.units);
        if call.dropout.is_some() {
            dispatch_narrow(self.isa, Reference { before, input_size, units, call });
        } else {
            dispatch(self.isa, AnyRows { before, units, call });
        }
    }
}

impl<T: Element> fmt::Debug for GruBeforeKernel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GruBeforeKernel({} -> {}, {:?})", self.input_size, self.units, self.isa)
    }
}

struct Project<'a, T: Element> {
    before: &'a Before<T>,
    count: usize,
    x: Rows<'a, T>,
    out: RowsMut<'a, T>,
}

impl<T: Element> Kernel for Project<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Project { before: Before { gates, candidate }, count, x, mut out } = self;
        project::flat::<A, T>(arch, gates, count, x, &mut out);
        let z = gates.z_len();
        project::flat::<A, T>(arch, candidate, count, x, &mut out.columns(z..z + candidate.z_len()));
    }
}

/// Any step, as the specification has it.
struct Reference<'a, 'c, T: Element> {
    before: &'a Before<T>,
    input_size: usize,
    units: usize,
    call: &'a mut KernelStep<'c, T>,
}

impl<T: Element> Kernel for Reference<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Reference { before: Before { gates, candidate }, input_size, units, call } = self;
        gru_before::reference::<A, T>(arch, gates, candidate, input_size, units, call);
    }
}
