//! Steps of a GRU with the reset before the product.

use super::super::activate::apply;
use super::super::blocks::{self, Block, Operands, Sink};
use super::super::isa::{Arch, Kernel};
use super::super::lanes::Lanes;
use super::super::panels::Group;
use super::super::sinks::FlatRows;
use super::super::{BATCH, KernelStep, cells};
use super::Before;
use crate::Float;

/// A step without `reset_after`: the gates of all rows, then the candidates.
pub(super) struct AnyRows<'a, 'c, T: Float> {
    pub before: &'a Before<T>,
    pub units: usize,
    pub call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for AnyRows<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let AnyRows { before: Before { gates, candidate }, units, call } = self;
        let of_gates = Operands::new(gates, call.input, 0, call.prev.columns(0..units));
        for rows in call.rows.chunks(BATCH) {
            let zr = &mut call.scratch[..rows.len() * 2 * units];
            let mut sink = FlatRows::<T, 2> { out: zr, units };
            blocks::flat::<A, T, _>(gates, &of_gates, rows, call.odd_step, &mut sink);
            for (&row, zr) in rows.iter().zip(zr.chunks_exact_mut(2 * units)) {
                cells::apply_to_gates::<A, T>(call.recurrent_activation, zr, units);
                let (prev, rh) = (&call.prev.row(row)[..units], &mut call.next.row_mut(row)[..units]);
                for ((rh, &r), &h) in rh.iter_mut().zip(&zr[units..]).zip(prev) {
                    *rh = r * h;
                }
                if let Some(saved) = &mut call.saved {
                    let saved = saved.row_mut(row);
                    saved[..2 * units].copy_from_slice(zr);
                    saved[3 * units..4 * units].copy_from_slice(rh);
                }
            }
            // The candidate takes r's place, since r is in `next`, and z is needed to the end.
            let rh = call.next.as_rows();
            let of_candidate = Operands::new(candidate, call.input, gates.z_len(), rh);
            let mut sink = SecondHalves { out: zr, units };
            blocks::flat::<A, T, _>(candidate, &of_candidate, rows, call.odd_step, &mut sink);
            for (&row, zn) in rows.iter().zip(zr.chunks_exact_mut(2 * units)) {
                let (z, n) = zn.split_at_mut(units);
                apply::<A, T>(call.activation, n);
                let (prev, next) = (&call.prev.row(row)[..units], &mut call.next.row_mut(row)[..units]);
                for u in 0..units {
                    next[u] = cells::mix::<A, T>(z[u], prev[u], n[u]);
                }
                if let Some(saved) = &mut call.saved {
                    saved.row_mut(row)[2 * units..3 * units].copy_from_slice(n);
                }
            }
        }
    }
}

/// Writes the second halves of rows of two values a unit.
struct SecondHalves<'a, T> {
    out: &'a mut [T],
    units: usize,
}

impl<T: Float> Sink<T> for SecondHalves<'_, T> {
    #[inline(always)]
    fn take<A: Arch, V: Lanes<T>>(&mut self, group: &Group, first: usize, rows: &[usize], z: &mut Block<V>) {
        let rows_out = self.out.chunks_exact_mut(2 * self.units).skip(first);
        for (i, (out, _)) in rows_out.zip(rows).enumerate() {
            let out = &mut out[self.units + group.z..];
            for (out, z) in out.chunks_mut(V::LEN).zip(&z[..group.lines]) {
                z[i].store(out);
            }
        }
    }
}
