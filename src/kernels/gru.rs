//! The GRU's step, in both forms.

use std::fmt;

use super::KernelStep;
use super::isa::{Arch, Isa, Kernel, dispatch};
use super::panels::{Grouping, Panels};
use super::reference::{self, gru_gate};
use crate::Float;
use crate::rows::{Rows, RowsMut};

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
    /// `reset_after`: all gates at once. The candidate's recurrent bias stands apart, as one value a unit.
    After { gates: Panels<T>, bias_h: Vec<T> },
    /// The gates z and r, then the candidate, which needs all of r.
    Before { gates: Panels<T>, candidate: Panels<T> },
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
            Form::After { gates: Panels::new(rows, GATES, units, Grouping::Gates), bias_h: vec![T::zero(); units] }
        } else {
            Form::Before {
                gates: Panels::new(rows, 2, units, Grouping::Flat),
                candidate: Panels::new(rows, 1, units, Grouping::Flat),
            }
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
                Form::After { gates, .. } => (gates, gate),
                Form::Before { gates, .. } if gate != gru_gate::H => (gates, gate),
                Form::Before { candidate, .. } => (candidate, 0),
            };
            panels.pack(kernel, columns, column, 0, place);
            panels.pack(recurrent_kernel, columns, column, self.input_size, place);
            panels.set_bias(place, bias.map(|b| &b[column..][..units]));
        }
        match &mut self.form {
            Form::After { gates, bias_h } => {
                assert!(bias.is_none_or(|b| b.len() == 2 * columns));
                let recurrent = bias.map(|b| &b[columns..]);
                for gate in [gru_gate::Z, gru_gate::R] {
                    gates.add_bias(gate, recurrent.map(|b| &b[gate * units..][..units]));
                }
                match recurrent {
                    Some(b) => bias_h.copy_from_slice(&b[gru_gate::H * units..]),
                    None => bias_h.fill(T::zero()),
                }
            }
            Form::Before { .. } => assert!(bias.is_none_or(|b| b.len() == columns)),
        }
    }

    /// The elements of a row of [`project`](Self::project)'s result.
    pub(crate) fn projected_len(&self) -> usize {
        match &self.form {
            Form::After { gates, .. } => gates.z_len(),
            Form::Before { gates, candidate } => gates.z_len() + candidate.z_len(),
        }
    }

    /// `bias + x * kernel` of rows `0..count`, in the order in which [`step`](Self::step) takes it.
    pub(crate) fn project(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        dispatch(self.isa, Project { kernel: self, count, x, out });
    }

    /// The elements that backward needs of each row and step: z, r, the candidate, its recurrent part.
    pub(crate) fn saved_len(&self) -> usize {
        4 * self.units
    }

    /// The scratch that a step needs.
    pub(crate) fn scratch_len(&self) -> usize {
        4 * self.units
    }

    /// One step of the rows in `call`.
    pub(crate) fn step(&self, call: KernelStep<'_, T>) {
        dispatch(self.isa, Step { kernel: self, call });
    }
}

impl<T: Float> fmt::Debug for GruKernel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GruKernel({} -> {}, {:?})", self.input_size, self.units, self.isa)
    }
}

struct Project<'a, T: Float> {
    kernel: &'a GruKernel<T>,
    count: usize,
    x: Rows<'a, T>,
    out: RowsMut<'a, T>,
}

impl<T: Float> Kernel for Project<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(mut self) {
        let (units, count, x, out) = (self.kernel.units, self.count, self.x, &mut self.out);
        match &self.kernel.form {
            Form::After { gates, .. } => reference::project::<A, T>(gates, GATES, units, count, x, out, 0),
            Form::Before { gates, candidate } => {
                reference::project::<A, T>(gates, 2, units, count, x, out, 0);
                reference::project::<A, T>(candidate, 1, units, count, x, out, gates.z_len());
            }
        }
    }
}

struct Step<'a, T: Float> {
    kernel: &'a GruKernel<T>,
    call: KernelStep<'a, T>,
}

impl<T: Float> Kernel for Step<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(mut self) {
        let GruKernel { input_size, units, form, .. } = self.kernel;
        let (input_size, units, call) = (*input_size, *units, &mut self.call);
        match form {
            Form::After { gates, bias_h } => {
                reference::gru_after::<A, T>(gates, bias_h, input_size, units, call);
            }
            Form::Before { gates, candidate } => {
                reference::gru_before::<A, T>(gates, candidate, input_size, units, call);
            }
        }
    }
}
