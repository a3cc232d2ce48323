//! The GRU's step, in both forms.
//!
//! - `row` - one row with the reset after the product, in registers from the sums to the state
//! - `rows` - any rows with the reset after the product, in blocks
//! - `before` - the reset before the product

mod before;
mod row;
mod rows;

use std::fmt;

use super::isa::{Arch, Isa, Kernel, dispatch};
use super::panels::{Grouping, Panels};
use super::reference::{self, gru_gate};
use super::{Around, BATCH, KernelStep, is_default, project};
use crate::Float;
use crate::rows::{RowStep, Rows, RowsMut};
use before::{AnyRows, CandidateOfRow, GatesOfRow, RestOfRow};
use row::{LastTile, OneRow, OneRowInPairs, OneRowUnfused, OnlyTile};
use rows::{Fused, Recorded, Unfused};

/// The gates of each unit, in Keras's order: z, r, h.
const GATES: usize = 3;

/// The packed weights of a GRU and what can be computed with them. A state row is h.
#[derive(Clone)]
pub(crate) struct GruKernel<T: Float> {
    isa: Isa,
    input_size: usize,
    units: usize,
    form: Form<T>,
}

#[derive(Clone)]
enum Form<T: Float> {
    After(After<T>),
    Before(Before<T>),
}

/// The weights with `reset_after`: all gates at once.
#[derive(Clone)]
struct After<T: Float> {
    gates: Panels<T>,
    /// The candidate's recurrent bias, one value a unit and zeros to the end of the last tile.
    bias_h: Vec<T>,
}

/// The weights without: the gates z and r, then the candidate, which needs all of r.
#[derive(Clone)]
struct Before<T: Float> {
    gates: Panels<T>,
    candidate: Panels<T>,
}

impl<T: Float> GruKernel<T> {
    /// The elements of the packed weights, or `None` if they could not be addressed.
    pub(crate) fn packed_len(input_size: usize, units: usize) -> Option<usize> {
        // One row more: the candidate's recurrent bias.
        Panels::<T>::packed_len(input_size.checked_add(units)?.checked_add(1)?, GATES, units)
    }

    /// A kernel with weights of zero. Both sizes must be at least 1 and have a [`packed_len`](Self::packed_len).
    pub(crate) fn new(input_size: usize, units: usize, reset_after: bool) -> Self {
        Self::for_isa(Isa::detect(), input_size, units, reset_after)
    }

    /// The same on a given instruction set, one of [`Isa::available`].
    pub(crate) fn for_isa(isa: Isa, input_size: usize, units: usize, reset_after: bool) -> Self {
        let rows = input_size + units;
        let form = if reset_after {
            Form::After(After {
                gates: Panels::new(rows, GATES, units, Grouping::Gates),
                bias_h: vec![T::zero(); units.next_multiple_of(T::LANES)],
            })
        } else {
            Form::Before(Before {
                gates: Panels::new(rows, 2, units, Grouping::Flat),
                candidate: Panels::new(rows, 1, units, Grouping::Flat),
            })
        };
        GruKernel { isa, input_size, units, form }
    }

    /// Takes Keras's weights: `kernel` (input_size, 3 units), `recurrent_kernel` (units, 3 units), `bias` (2, 3 units)
    /// with `reset_after`, else (3 units). Allocates nothing.
    pub(crate) fn pack(&mut self, kernel: &[T], recurrent_kernel: &[T], bias: Option<&[T]>) {
        let (units, columns) = (self.units, GATES * self.units);
        assert_eq!(kernel.len(), self.input_size * columns);
        assert_eq!(recurrent_kernel.len(), units * columns);
        for gate in 0..GATES {
            let column = gate * units;
            let (panels, place) = match &mut self.form {
                Form::After(After { gates, .. }) => (gates, gate),
                Form::Before(Before { gates, .. }) if gate != gru_gate::H => (gates, gate),
                Form::Before(Before { candidate, .. }) => (candidate, 0),
            };
            panels.pack(kernel, columns, column, 0, place);
            panels.pack(recurrent_kernel, columns, column, self.input_size, place);
            panels.set_bias(place, bias.map(|b| &b[column..][..units]));
        }
        match &mut self.form {
            Form::After(After { gates, bias_h }) => {
                assert!(bias.is_none_or(|b| b.len() == 2 * columns));
                let recurrent = bias.map(|b| &b[columns..]);
                for gate in [gru_gate::Z, gru_gate::R] {
                    gates.add_bias(gate, recurrent.map(|b| &b[gate * units..][..units]));
                }
                match recurrent {
                    Some(b) => bias_h[..units].copy_from_slice(&b[gru_gate::H * units..]),
                    None => bias_h.fill(T::zero()),
                }
            }
            Form::Before(Before { .. }) => assert!(bias.is_none_or(|b| b.len() == columns)),
        }
    }

    /// The elements of a row of [`project`](Self::project)'s result.
    pub(crate) fn projected_len(&self) -> usize {
        match &self.form {
            Form::After(After { gates, .. }) => gates.z_len(),
            Form::Before(Before { gates, candidate }) => gates.z_len() + candidate.z_len(),
        }
    }

    /// `bias + x * kernel` of rows `0..count`, in the order in which [`step`](Self::step) takes it.
    pub(super) fn project_here(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        dispatch(self.isa, Project { form: &self.form, count, x, out });
    }

    /// The elements that backward needs of each row and step: z, r, the candidate, its recurrent part.
    pub(crate) fn saved_len(&self) -> usize {
        4 * self.units
    }

    /// The scratch that a step of at most `rows` rows needs.
    pub(crate) fn scratch_len(&self, rows: usize) -> usize {
        rows.min(BATCH) * 4 * self.units
    }

    /// One step of one row.
    #[inline(always)]
    pub(super) fn step_row_here(&self, step: &mut RowStep<'_, T>, around: Around<'_, T>) {
        let default = is_default(around.activation, around.recurrent_activation);
        let isa = self.isa;
        let after = match &self.form {
            Form::After(after) if default => after,
            Form::After(after) => return dispatch(isa, OneRowUnfused { after, step, around }),
            Form::Before(before) if default => return self.row_before::<true>(before, step, around),
            Form::Before(before) => return self.row_before::<false>(before, step, around),
        };
        if self.units == T::LANES {
            return dispatch(isa, OnlyTile { after, step });
        }
        // Always before the full tiles, which can then be jumped to instead of called.
        if !self.units.is_multiple_of(T::LANES) {
            dispatch(isa, LastTile { after, step: &mut *step });
        }
        if after.gates.in_pairs(isa) {
            dispatch(isa, OneRowInPairs { after, step });
        } else if around.odd_step {
            dispatch(isa, OneRow::<T, true> { after, step });
        } else {
            dispatch(isa, OneRow::<T, false> { after, step });
        }
    }

    /// One step of one row with the reset before the product.
    fn row_before<const DEFAULT: bool>(&self, before: &Before<T>, step: &mut RowStep<'_, T>, around: Around<'_, T>) {
        let (isa, Around { scratch, activation, recurrent_activation, .. }) = (self.isa, around);
        for (second, panels) in [(false, &before.gates), (true, &before.candidate)] {
            for group in panels.groups() {
                let (step, scratch) = (&mut *step, &mut *scratch);
                match (second, group.lines) {
                    (false, 2) => dispatch(isa, GatesOfRow::<T, 2, DEFAULT> { before, group, step, scratch }),
                    (false, 3) => dispatch(isa, GatesOfRow::<T, 3, DEFAULT> { before, group, step, scratch }),
                    (false, _) => dispatch(isa, GatesOfRow::<T, 4, DEFAULT> { before, group, step, scratch }),
                    (true, 1) => dispatch(isa, CandidateOfRow::<T, 1, DEFAULT> { before, group, step, scratch }),
                    (true, 2) => dispatch(isa, CandidateOfRow::<T, 2, DEFAULT> { before, group, step, scratch }),
                    (true, 3) => dispatch(isa, CandidateOfRow::<T, 3, DEFAULT> { before, group, step, scratch }),
                    (true, _) => dispatch(isa, CandidateOfRow::<T, 4, DEFAULT> { before, group, step, scratch }),
                }
            }
            if !DEFAULT {
                let (step, scratch) = (&mut *step, &mut *scratch);
                dispatch(isa, RestOfRow { step, scratch, activation, recurrent_activation, last: second });
            }
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
        let (isa, units) = (self.isa, self.units);
        if call.dropout.is_some() {
            let (form, input_size) = (&self.form, self.input_size);
            return dispatch(isa.narrow(), Reference { form, input_size, units, call });
        }
        let default = is_default(call.activation, call.recurrent_activation);
        match &self.form {
            Form::Before(before) => dispatch(isa, AnyRows { before, units, call }),
            Form::After(after) if !default => dispatch(isa, Unfused { after, units, call }),
            Form::After(after) if call.saved.is_some() => dispatch(isa, Recorded { after, units, call }),
            Form::After(after) => dispatch(isa, Fused { after, units, call }),
        }
    }
}

impl<T: Float> fmt::Debug for GruKernel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GruKernel({} -> {}, {:?})", self.input_size, self.units, self.isa)
    }
}

struct Project<'a, T: Float> {
    form: &'a Form<T>,
    count: usize,
    x: Rows<'a, T>,
    out: RowsMut<'a, T>,
}

impl<T: Float> Kernel for Project<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Project { form, count, x, mut out } = self;
        match form {
            Form::After(After { gates, .. }) => project::gates::<A, T, GATES>(arch, gates, count, x, &mut out),
            Form::Before(Before { gates, candidate }) => {
                project::flat::<A, T>(arch, gates, count, x, &mut out);
                let z = gates.z_len();
                project::flat::<A, T>(arch, candidate, count, x, &mut out.columns(z..z + candidate.z_len()));
            }
        }
    }
}

/// Any step, as the specification has it.
struct Reference<'a, 'c, T: Float> {
    form: &'a Form<T>,
    input_size: usize,
    units: usize,
    call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for Reference<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Reference { form, input_size, units, call } = self;
        match form {
            Form::After(After { gates, bias_h }) => {
                reference::gru_after::<A, T>(arch, gates, bias_h, input_size, units, call);
            }
            Form::Before(Before { gates, candidate }) => {
                reference::gru_before::<A, T>(arch, gates, candidate, input_size, units, call);
            }
        }
    }
}
