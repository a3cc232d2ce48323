//! The LSTM's step.
//!
//! - `row` - one row, in registers from the sums to the state
//! - `rows` - any rows, in blocks

mod row;
mod rows;

use std::fmt;

use super::isa::{Arch, Isa, Kernel, dispatch};
use super::panels::{Grouping, Panels};
use super::{Around, BATCH, KernelStep, is_default, project, reference};
use crate::Float;
use crate::rows::{RowStep, Rows, RowsMut};
use row::{LastTile, OneRow, OneRowInPairs, OneRowUnfused, OnlyTile};
use rows::{Fused, Recorded, Unfused};

/// The gates of each unit, in Keras's order: i, f, c, o.
const GATES: usize = 4;

/// The packed weights of an LSTM and what can be computed with them. A state row is h, then c.
#[derive(Clone)]
pub(crate) struct LstmKernel<T: Float> {
    isa: Isa,
    input_size: usize,
    units: usize,
    panels: Panels<T>,
}

impl<T: Float> LstmKernel<T> {
    /// The elements of the packed weights, or `None` if they could not be addressed.
    pub(crate) fn packed_len(input_size: usize, units: usize) -> Option<usize> {
        Panels::<T>::packed_len(input_size.checked_add(units)?, GATES, units)
    }

    /// A kernel with weights of zero. Both sizes must be at least 1 and have a [`packed_len`](Self::packed_len).
    pub(crate) fn new(input_size: usize, units: usize) -> Self {
        Self::for_isa(Isa::detect(), input_size, units)
    }

    /// The same on a given instruction set, one of [`Isa::available`].
    pub(crate) fn for_isa(isa: Isa, input_size: usize, units: usize) -> Self {
        let panels = Panels::new(input_size + units, GATES, units, Grouping::Gates);
        LstmKernel { isa, input_size, units, panels }
    }

    /// Takes Keras's weights: `kernel` (input_size, 4 units), `recurrent_kernel` (units, 4 units), `bias` (4 units).
    /// Allocates nothing.
    pub(crate) fn pack(&mut self, kernel: &[T], recurrent_kernel: &[T], bias: Option<&[T]>) {
        let columns = GATES * self.units;
        assert_eq!(kernel.len(), self.input_size * columns);
        assert_eq!(recurrent_kernel.len(), self.units * columns);
        assert!(bias.is_none_or(|b| b.len() == columns));
        for gate in 0..GATES {
            let column = gate * self.units;
            self.panels.pack(kernel, columns, column, 0, gate);
            self.panels.pack(recurrent_kernel, columns, column, self.input_size, gate);
            self.panels.set_bias(gate, bias.map(|b| &b[column..][..self.units]));
        }
    }

    /// The elements of a row of [`project`](Self::project)'s result.
    pub(crate) fn projected_len(&self) -> usize {
        self.panels.z_len()
    }

    /// `bias + x * kernel` of rows `0..count`, in the order in which [`step`](Self::step) takes it.
    pub(super) fn project_here(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        dispatch(self.isa, Project { panels: &self.panels, count, x, out });
    }

    /// The elements that backward needs of each row and step: i, f, the candidate, o.
    pub(crate) fn saved_len(&self) -> usize {
        GATES * self.units
    }

    /// The scratch that a step of at most `rows` rows needs.
    pub(crate) fn scratch_len(&self, rows: usize) -> usize {
        rows.min(BATCH) * GATES * self.units
    }

    /// One step of one row.
    #[inline(always)]
    pub(super) fn step_row_here(&self, step: &mut RowStep<'_, T>, around: Around<'_, T>) {
        let (isa, panels) = (self.isa, &self.panels);
        if !is_default(around.activation, around.recurrent_activation) {
            return dispatch(isa, OneRowUnfused { panels, step, around });
        }
        if self.units == T::LANES {
            return dispatch(isa, OnlyTile { panels, step });
        }
        // Always before the full tiles, which can then be jumped to instead of called.
        if !self.units.is_multiple_of(T::LANES) {
            dispatch(isa, LastTile { panels, step: &mut *step });
        }
        if panels.in_pairs(isa) {
            dispatch(isa, OneRowInPairs { panels, step });
        } else if around.odd_step {
            dispatch(isa, OneRow::<T, true> { panels, step });
        } else {
            dispatch(isa, OneRow::<T, false> { panels, step });
        }
    }

    /// One step of the rows in `call`.
    #[inline(always)]
    pub(super) fn step_here(&self, call: &mut KernelStep<'_, T>) {
        match call.single_row() {
            Some((mut step, around)) => self.step_row_here(&mut step, around),
            None => self.step_rows(call),
        }
    }

    fn step_rows(&self, call: &mut KernelStep<'_, T>) {
        let (isa, panels, input_size, units) = (self.isa, &self.panels, self.input_size, self.units);
        let default = is_default(call.activation, call.recurrent_activation);
        if call.dropout.is_some() {
            dispatch(isa.narrow(), Reference { panels, input_size, units, call });
        } else if !default {
            dispatch(isa, Unfused { panels, units, call });
        } else if call.saved.is_some() {
            dispatch(isa, Recorded { panels, units, call });
        } else {
            dispatch(isa, Fused { panels, units, call });
        }
    }
}

impl<T: Float> fmt::Debug for LstmKernel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LstmKernel({} -> {}, {:?})", self.input_size, self.units, self.isa)
    }
}

struct Project<'a, T: Float> {
    panels: &'a Panels<T>,
    count: usize,
    x: Rows<'a, T>,
    out: RowsMut<'a, T>,
}

impl<T: Float> Kernel for Project<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(mut self, arch: A) {
        project::gates::<A, T, GATES>(arch, self.panels, self.count, self.x, &mut self.out);
    }
}

/// Any step, as the specification has it.
struct Reference<'a, 'c, T: Float> {
    panels: &'a Panels<T>,
    input_size: usize,
    units: usize,
    call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for Reference<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        reference::lstm::<A, T>(arch, self.panels, self.input_size, self.units, self.call);
    }
}
