//! Steps of a GRU with the reset before the product: the gates of all units, then the candidates, which need all of
//! `r h`. Both matrices are flat: their columns need nothing of one another. The order never turns: r first, then z, whose
//! sums fill the wait for `r h`, then the candidates.
//!
//! The scratch holds two values a unit for each row: z, and `r h`; without the default activations r stands in the second
//! place until it is multiplied.

use super::super::activate::apply;
use super::super::blocks::{self, Block, Operands, Sink};
use super::super::isa::{Arch, Kernel};
use super::super::lanes::Lanes;
use super::super::panels::Group;
use super::super::products::unrolled;
use super::super::row::group_of_row;
use super::super::sinks::{TwoGateRows, UnitRows, line_of_two};
use super::super::{BATCH, KernelStep, RowStep, cells, is_default};
use super::Before;
use crate::rows::{Rows, RowsMut};
use crate::{Activation, Float};

/// A step of any rows.
pub(super) struct AnyRows<'a, 'c, T: Float> {
    pub before: &'a Before<T>,
    pub units: usize,
    pub call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for AnyRows<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let AnyRows { before: Before { gates, candidate }, units, call } = self;
        let default = is_default(call.activation, call.recurrent_activation);
        let of_gates = Operands::new(gates, call.input, 0, call.prev.columns(0..units));
        for rows in call.rows.chunks(BATCH) {
            let scratch = &mut call.scratch[..rows.len() * 2 * units];
            let saved = call.saved.as_mut().map(|saved| saved.reborrow());
            if default {
                let mut sink = GateCell { units, prev: call.prev, scratch: &mut *scratch, saved };
                blocks::flat::<A, T, _>(arch, gates, &of_gates, rows, false, &mut sink);
            } else {
                let mut sink = TwoGateRows { out: &mut *scratch, units };
                blocks::flat::<A, T, _>(arch, gates, &of_gates, rows, false, &mut sink);
                reset::<A, T>(arch, units, rows, scratch, call.prev, call.recurrent_activation, saved);
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
                        *n = cells::tanh::<A, T>(*n);
                    }
                } else {
                    apply::<A, T>(arch, call.activation, next);
                }
                if let Some(saved) = &mut call.saved {
                    saved.row_mut(row)[2 * units..3 * units].copy_from_slice(next);
                }
                mix::<A, T>(&scratch[..units], prev, next);
            }
        }
    }
}

/// Turns r into `r h` in the scratch of all rows, and leaves z, r and `r h` for the way back.
#[inline(always)]
fn reset<A: Arch, T: Float>(
    arch: A,
    units: usize,
    rows: &[usize],
    scratch: &mut [T],
    prev: Rows<'_, T>,
    activation: &Activation,
    mut saved: Option<RowsMut<'_, T>>,
) {
    for (&row, zr) in rows.iter().zip(scratch.chunks_exact_mut(2 * units)) {
        cells::apply_to_gates::<A, T>(arch, activation, zr, units);
        if let Some(saved) = &mut saved {
            saved.row_mut(row)[..2 * units].copy_from_slice(zr);
        }
        let rh = &mut zr[units..];
        for (r, &h) in rh.iter_mut().zip(prev.row(row)) {
            *r *= h;
        }
        if let Some(saved) = &mut saved {
            saved.row_mut(row)[3 * units..4 * units].copy_from_slice(rh);
        }
    }
}

/// h from z, h before and the candidates.
#[inline(always)]
fn mix<A: Arch, T: Float>(z: &[T], prev: &[T], next: &mut [T]) {
    for ((next, &z), &prev) in next.iter_mut().zip(z).zip(prev) {
        *next = cells::mix::<A, T>(z, prev, *next);
    }
}

/// Takes the sums of the gates to z and `r h`.
struct GateCell<'a, T> {
    units: usize,
    prev: Rows<'a, T>,
    scratch: &'a mut [T],
    saved: Option<RowsMut<'a, T>>,
}

impl<T: Float> Sink<T> for GateCell<'_, T> {
    #[inline(always)]
    fn take<A: Arch, V: Lanes<T>>(&mut self, group: &Group, first: usize, rows: &[usize], z: &mut Block<V>) {
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
                if let Some(saved) = &mut self.saved {
                    let (zr, n_rh) = saved.row_mut(row).split_at_mut(2 * units);
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
fn gate_line<A: Arch, T: Float, V: Lanes<T>>(z: V) -> V {
    let mut z = z.array();
    for z in z.as_mut() {
        *z = cells::sigmoid::<A, T>(*z);
    }
    V::of(z)
}

#[inline(always)]
fn reset_line<A: Arch, T: Float, V: Lanes<T>>(r: V, prev: &V::Array) -> V {
    let mut r = r.array();
    for (r, &prev) in r.as_mut().iter_mut().zip(prev.as_ref()) {
        *r = cells::reset::<A, T>(*r, prev);
    }
    V::of(r)
}

/// The gates of one row and one group, with the default activations in registers.
pub(super) struct GatesOfRow<'a, 'c, T: Float, const G: usize, const DEFAULT: bool> {
    pub before: &'a Before<T>,
    pub group: &'a Group,
    pub step: &'a mut RowStep<'c, T>,
    /// z and r h.
    pub scratch: &'a mut [T],
}

impl<T: Float, const G: usize, const DEFAULT: bool> Kernel for GatesOfRow<'_, '_, T, G, DEFAULT> {
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
pub(super) struct CandidateOfRow<'a, 'c, T: Float, const G: usize, const DEFAULT: bool> {
    pub before: &'a Before<T>,
    pub group: &'a Group,
    pub step: &'a mut RowStep<'c, T>,
    /// z and r h.
    pub scratch: &'a mut [T],
}

impl<T: Float, const G: usize, const DEFAULT: bool> Kernel for CandidateOfRow<'_, '_, T, G, DEFAULT> {
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
                    n[j] = cells::mix::<A, T>(z[j], prev[j], cells::tanh::<A, T>(n[j]));
                }
            }
            T::Line::of(n).store(&mut step.next[unit..]);
        });
    }
}

/// What stands between the two products and after them, for other activations.
pub(super) struct RestOfRow<'a, 'c, T: Float> {
    pub step: &'a mut RowStep<'c, T>,
    pub scratch: &'a mut [T],
    pub activation: &'a Activation,
    pub recurrent_activation: &'a Activation,
    /// After the second product.
    pub last: bool,
}

impl<T: Float> Kernel for RestOfRow<'_, '_, T> {
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
            cells::apply_to_gates::<A, T>(arch, recurrent_activation, zr, units);
            for (r, &h) in zr[units..].iter_mut().zip(step.prev) {
                *r *= h;
            }
        }
    }
}
