//! A step of any rows: the gates of a few rows by blocks, then their candidates.

use super::super::BATCH;
use super::Before;
use crate::activation::Activation;
use crate::kernels::activate::apply;
use crate::kernels::blocks::{self, Block, Epilogue, Operands};
use crate::kernels::epilogue::{TwoGateRows, UnitRows, line_of_two};
use crate::kernels::isa::{Arch, Kernel};
use crate::kernels::lanes::Lanes;
use crate::kernels::packed::Group;
use crate::kernels::unit::apply_to_gates;
use crate::kernels::units::{formulas, gru_before};
use crate::kernels::{Element, KernelStep};
use crate::strided::{Rows, RowsMut};

/// A step of any rows.
pub(super) struct AnyRows<'a, 'c, T: Element> {
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
                    for g in next.iter_mut() {
                        *g = formulas::tanh::<A, T>(*g);
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
pub(super) fn mix<A: Arch, T: Element>(z: &[T], prev: &[T], next: &mut [T]) {
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
                    let (zr, g_rh) = tape.row_mut(row).split_at_mut(2 * units);
                    if is_reset {
                        gate_line::<A, T, V>(z).store(&mut zr[units + unit..]);
                        reset_line::<A, T, V>(z, prev).store(&mut g_rh[units + unit..2 * units]);
                    } else {
                        gate_line::<A, T, V>(z).store(&mut zr[unit..units]);
                    }
                }
            }
        }
    }
}

#[inline(always)]
pub(super) fn gate_line<A: Arch, T: Element, V: Lanes<T>>(z: V) -> V {
    let mut z = z.array();
    for z in z.as_mut() {
        *z = formulas::sigmoid::<A, T>(*z);
    }
    V::of(z)
}

#[inline(always)]
pub(super) fn reset_line<A: Arch, T: Element, V: Lanes<T>>(r: V, prev: &V::Array) -> V {
    let mut r = r.array();
    for (r, &prev) in r.as_mut().iter_mut().zip(prev.as_ref()) {
        *r = gru_before::reset::<A, T>(*r, prev);
    }
    V::of(r)
}
