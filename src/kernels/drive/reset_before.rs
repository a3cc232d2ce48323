//! Steps of a GRU with the reset before the product: the gates of all units, then the candidates, which need all of
//! `r h`. Both matrices are flat: their columns need nothing of one another. The order never turns: r first, then z,
//! whose sums fill the wait for `r h`, then the candidates.
//!
//! The scratch holds two values a unit for each row: z, and `r h`; without the default activations r stands in the
//! second place until it is multiplied.

use std::fmt;

use super::super::activate::apply;
use super::super::blocks::{self, Block, Epilogue, Operands};
use super::super::epilogue::{TwoGateRows, UnitRows, line_of_two};
use super::super::flat_row::group_of_row;
use super::super::isa::{Arch, Isa, Kernel, dispatch};
use super::super::lanes::Lanes;
use super::super::packed::{Group, Grouping, PackedMatrix};
use super::super::products::unrolled;
use super::super::unit::{SUMS, apply_to_gates};
use super::super::units::{formulas, gru_before};
use super::super::{KernelStep, StepContext, project};
use super::BATCH;
use crate::activation::Activation;
use crate::kernels::Element;
use crate::strided::{RowStep, Rows, RowsMut};

/// The gates of each unit, in Keras's order: z, r, h.
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
        if context.activations().are_default() {
            self.row::<true>(step, context);
        } else {
            self.row::<false>(step, context);
        }
    }

    fn row<const DEFAULT: bool>(&self, step: &mut RowStep<'_, T>, context: StepContext<'_, T>) {
        let (isa, before, StepContext { scratch, activation, recurrent_activation, .. }) =
            (self.isa, &self.weights, context);
        for (second, matrix) in [(false, &before.gates), (true, &before.candidate)] {
            for group in matrix.groups() {
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
            dispatch(self.isa.narrow(), Reference { before, input_size, units, call });
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

/// A step of any rows.
struct AnyRows<'a, 'c, T: Element> {
    pub before: &'a Before<T>,
    pub units: usize,
    pub call: &'a mut KernelStep<'c, T>,
}

impl<T: Element> Kernel for AnyRows<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let AnyRows { before: Before { gates, candidate }, units, call } = self;
        let default = call.activations().are_default();
        let of_gates = Operands::new(gates, call.input, 0, call.prev.columns(0..units));
        for rows in call.rows.chunks(BATCH) {
            let scratch = &mut call.scratch[..rows.len() * 2 * units];
            let tape = call.tape.as_mut().map(|tape| tape.reborrow());
            if default {
                let mut epilogue = GateCell { units, prev: call.prev, scratch: &mut *scratch, tape };
                blocks::flat::<A, T, _>(arch, gates, &of_gates, rows, false, &mut epilogue);
            } else {
                let mut epilogue = TwoGateRows { out: &mut *scratch, units };
                blocks::flat::<A, T, _>(arch, gates, &of_gates, rows, false, &mut epilogue);
                reset::<A, T>(arch, units, rows, scratch, call.prev, call.recurrent_activation, tape);
            }
            let rh = Rows::new(scratch, units, 2 * units, units);
            let of_candidate = Operands::new(candidate, call.input, gates.z_len(), rh);
            let of_candidate = Operands { h_in_order: true, ..of_candidate };
            let mut next = UnitRows(call.next.reborrow());
            blocks::flat::<A, T, _>(arch, candidate, &of_candidate, rows, false, &mut next);
            for (&row, scratch) in rows.iter().zip(scratch.chunks_exact(2 * units)) {
                let (prev, next) = (&call.prev.row(row)[..units], &mut call.next.row_mut(row)[..units]);
                if default {
                    for n in next.iter_mut() {
                        *n = formulas::tanh::<A, T>(*n);
                    }
                } else {
                    apply::<A, T>(arch, call.activation, next);
                }
                if let Some(tape) = &mut call.tape {
                    tape.row_mut(row)[2 * units..3 * units].copy_from_slice(next);
                }
                mix::<A, T>(&scratch[..units], prev, next);
            }
        }
    }
}

/// Turns r into `r h` in the scratch of all rows, and leaves z, r and `r h` for the backward pass.
#[inline(always)]
fn reset<A: Arch, T: Element>(
    arch: A,
    units: usize,
    rows: &[usize],
    scratch: &mut [T],
    prev: Rows<'_, T>,
    activation: &Activation,
    mut tape: Option<RowsMut<'_, T>>,
) {
    for (&row, zr) in rows.iter().zip(scratch.chunks_exact_mut(2 * units)) {
        apply_to_gates::<A, T>(arch, activation, zr, units);
        if let Some(tape) = &mut tape {
            tape.row_mut(row)[..2 * units].copy_from_slice(zr);
        }
        let rh = &mut zr[units..];
        for (r, &h) in rh.iter_mut().zip(prev.row(row)) {
            *r *= h;
        }
        if let Some(tape) = &mut tape {
            tape.row_mut(row)[3 * units..4 * units].copy_from_slice(rh);
        }
    }
}

/// h from z, h before and the candidates.
#[inline(always)]
fn mix<A: Arch, T: Element>(z: &[T], prev: &[T], next: &mut [T]) {
    for ((next, &z), &prev) in next.iter_mut().zip(z).zip(prev) {
        *next = formulas::mix::<A, T>(z, prev, *next);
    }
}

/// Takes the sums of the gates to z and `r h`.
struct GateCell<'a, T> {
    units: usize,
    prev: Rows<'a, T>,
    scratch: &'a mut [T],
    tape: Option<RowsMut<'a, T>>,
}

impl<T: Element> Epilogue<T> for GateCell<'_, T> {
    #[inline(always)]
    fn consume<A: Arch, V: Lanes<T>>(&mut self, group: &Group, first: usize, rows: &[usize], z: &mut Block<V>) {
        let units = self.units;
        for (n, line) in z[..group.lines].iter().enumerate() {
            let (unit, is_reset) = line_of_two(group, n, units);
            for ((i, &row), &z) in rows.iter().enumerate().zip(line) {
                let scratch = &mut self.scratch[(first + i) * 2 * units..][..2 * units];
                let (z_out, rh_out) = scratch.split_at_mut(units);
                let mut few = V::splat(T::zero()).array();
                let prev = V::view(&self.prev.row(row)[unit..units], &mut few);
                if is_reset {
                    reset_line::<A, T, V>(z, prev).store(&mut rh_out[unit..]);
                } else {
                    gate_line::<A, T, V>(z).store(&mut z_out[unit..]);
                }
                if let Some(tape) = &mut self.tape {
                    let (zr, n_rh) = tape.row_mut(row).split_at_mut(2 * units);
                    if is_reset {
                        gate_line::<A, T, V>(z).store(&mut zr[units + unit..]);
                        reset_line::<A, T, V>(z, prev).store(&mut n_rh[units + unit..2 * units]);
                    } else {
                        gate_line::<A, T, V>(z).store(&mut zr[unit..units]);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn gate_line<A: Arch, T: Element, V: Lanes<T>>(z: V) -> V {
    let mut z = z.array();
    for z in z.as_mut() {
        *z = formulas::sigmoid::<A, T>(*z);
    }
    V::of(z)
}

#[inline(always)]
fn reset_line<A: Arch, T: Element, V: Lanes<T>>(r: V, prev: &V::Array) -> V {
    let mut r = r.array();
    for (r, &prev) in r.as_mut().iter_mut().zip(prev.as_ref()) {
        *r = gru_before::reset::<A, T>(*r, prev);
    }
    V::of(r)
}

/// The gates of one row and one group, with the default activations in registers.
struct GatesOfRow<'a, 'c, T: Element, const G: usize, const DEFAULT: bool> {
    pub before: &'a Before<T>,
    pub group: &'a Group,
    pub step: &'a mut RowStep<'c, T>,
    /// z and r h.
    pub scratch: &'a mut [T],
}

impl<T: Element, const G: usize, const DEFAULT: bool> Kernel for GatesOfRow<'_, '_, T, G, DEFAULT> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let GatesOfRow { before: Before { gates, .. }, group, step, scratch } = self;
        let (x, start) = step.input.operands(gates.bias());
        let sums = group_of_row::<A, T, G>(gates, group, start, x, step.prev);
        let units = step.prev.len();
        let (z, rh) = scratch[..2 * units].split_at_mut(units);
        unrolled!(I in 0..G => {
            let (unit, is_reset) = line_of_two(group, I, units);
            if is_reset {
                let mut few = T::Line::splat(T::zero()).array();
                let prev = T::Line::view(&step.prev[unit..], &mut few);
                let line = if DEFAULT { reset_line::<A, T, T::Line>(sums[I], prev) } else { sums[I] };
                line.store(&mut rh[unit..]);
            } else {
                let line = if DEFAULT { gate_line::<A, T, T::Line>(sums[I]) } else { sums[I] };
                line.store(&mut z[unit..]);
            }
        });
    }
}

/// The candidates of one row and one group, and with the default activations the new state.
struct CandidateOfRow<'a, 'c, T: Element, const G: usize, const DEFAULT: bool> {
    pub before: &'a Before<T>,
    pub group: &'a Group,
    pub step: &'a mut RowStep<'c, T>,
    /// z and r h.
    pub scratch: &'a mut [T],
}

impl<T: Element, const G: usize, const DEFAULT: bool> Kernel for CandidateOfRow<'_, '_, T, G, DEFAULT> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let CandidateOfRow { before: Before { gates, candidate }, group, step, scratch } = self;
        let (x, start) = step.input.operands(candidate.bias());
        // A projected row has the gates' columns first.
        let start = if x.is_empty() { &start[gates.z_len()..] } else { start };
        let units = step.prev.len();
        let (z, rh) = scratch[..2 * units].split_at(units);
        let sums = group_of_row::<A, T, G>(candidate, group, start, x, rh);
        unrolled!(I in 0..G => {
            let unit = group.z + I * T::LANES;
            let mut n = sums[I].array();
            if DEFAULT {
                let (mut few, mut few_z) = (T::Line::splat(T::zero()).array(), T::Line::splat(T::zero()).array());
                let prev = T::Line::view(&step.prev[unit..], &mut few).as_ref();
                let z = T::Line::view(&z[unit..], &mut few_z).as_ref();
                let n = n.as_mut();
                for j in 0..T::LANES {
                    n[j] = formulas::mix::<A, T>(z[j], prev[j], formulas::tanh::<A, T>(n[j]));
                }
            }
            T::Line::of(n).store(&mut step.next[unit..]);
        });
    }
}

/// What stands between the two products and after them, for other activations.
struct RestOfRow<'a, 'c, T: Element> {
    pub step: &'a mut RowStep<'c, T>,
    pub scratch: &'a mut [T],
    pub activation: &'a Activation,
    pub recurrent_activation: &'a Activation,
    /// After the second product.
    pub last: bool,
}

impl<T: Element> Kernel for RestOfRow<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let RestOfRow { step, scratch, activation, recurrent_activation, last } = self;
        let units = step.prev.len();
        let zr = &mut scratch[..2 * units];
        if last {
            apply::<A, T>(arch, activation, step.next);
            mix::<A, T>(&zr[..units], step.prev, step.next);
        } else {
            apply_to_gates::<A, T>(arch, recurrent_activation, zr, units);
            for (r, &h) in zr[units..].iter_mut().zip(step.prev) {
                *r *= h;
            }
        }
    }
}
