//! Steps of any rows of a GRU with the reset after the product, in blocks.

use super::super::blocks::{self, Block, Operands, Sink};
use super::super::isa::{Arch, Kernel};
use super::super::lanes::Lanes;
use super::super::panels::Group;
use super::super::sinks::{TileRows, prefetch_tile};
use super::super::{BATCH, KernelStep, cells};
use super::{After, GATES};
use crate::Float;
use crate::rows::{Rows, RowsMut};

/// A step of any rows with the default activations.
pub(super) struct Fused<'a, 'c, T: Float> {
    pub after: &'a After<T>,
    pub units: usize,
    pub call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for Fused<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Fused { after: After { gates, bias_h }, units, call } = self;
        let operands = Operands::new(gates, call.input, 0, call.prev.columns(0..units));
        let mut sink = Cell { prev: call.prev, next: call.next.reborrow() };
        blocks::gates::<A, T, _, GATES, true>(arch, gates, &operands, bias_h, call.rows, call.odd_step, &mut sink);
    }
}

/// Takes the sums of a tile to the state.
struct Cell<'a, T> {
    prev: Rows<'a, T>,
    next: RowsMut<'a, T>,
}

impl<T: Float> Sink<T> for Cell<'_, T> {
    #[inline(always)]
    fn take<A: Arch, V: Lanes<T>>(&mut self, group: &Group, _first: usize, rows: &[usize], z: &mut Block<V>) {
        for (i, &row) in rows.iter().enumerate() {
            let unit = group.z / GATES;
            let mut few = V::splat(T::zero()).array();
            let prev = V::view(&self.prev.row(row)[unit..], &mut few);
            let next = finish::<A, T, V>([z[0][i], z[1][i], z[2][i]], z[3][i], prev);
            self.store(row, unit, V::of(next));
        }
    }
}

impl<T: Float> Cell<'_, T> {
    /// A tile's part of the state.
    #[inline(always)]
    fn store<V: Lanes<T>>(&mut self, row: usize, unit: usize, h: V) {
        h.store(&mut self.next.row_mut(row)[unit..]);
    }
}

/// h of a tile from its sums: z, r and the candidate's two parts.
#[inline(always)]
pub(super) fn finish<A: Arch, T: Float, V: Lanes<T>>([z, r, h]: [V; GATES], x: V, prev: &V::Array) -> V::Array {
    let (z, r, x, h) = (z.array(), r.array(), x.array(), h.array());
    let (z, r, x, h) = (z.as_ref(), r.as_ref(), x.as_ref(), h.as_ref());
    let mut next = V::splat(T::zero()).array();
    let prev = prev.as_ref();
    for j in 0..V::LEN {
        next.as_mut()[j] = cells::gru_after::<A, T>(z[j], r[j], x[j], h[j], prev[j]);
    }
    next
}

/// The same, leaving the gates for the way back.
pub(super) struct Recorded<'a, 'c, T: Float> {
    pub after: &'a After<T>,
    pub units: usize,
    pub call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for Recorded<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Recorded { after: After { gates, bias_h }, units, call } = self;
        let Some(saved) = &mut call.saved else { return };
        let operands = Operands::new(gates, call.input, 0, call.prev.columns(0..units));
        let cell = Cell { prev: call.prev, next: call.next.reborrow() };
        let mut sink = RecordingCell { cell, units, saved: saved.reborrow() };
        blocks::gates::<A, T, _, GATES, true>(arch, gates, &operands, bias_h, call.rows, call.odd_step, &mut sink);
    }
}

/// Takes the sums of a tile to the state, and to the tape the gates and the candidate's part of h.
struct RecordingCell<'a, T> {
    cell: Cell<'a, T>,
    units: usize,
    saved: RowsMut<'a, T>,
}

impl<T: Float> Sink<T> for RecordingCell<'_, T> {
    #[inline(always)]
    fn take<A: Arch, V: Lanes<T>>(&mut self, group: &Group, _first: usize, rows: &[usize], sums: &mut Block<V>) {
        let unit = group.z / GATES;
        for (i, &row) in rows.iter().enumerate() {
            let mut few = V::splat(T::zero()).array();
            let prev = V::view(&self.cell.prev.row(row)[unit..], &mut few);
            let h = sums[2][i];
            let (next, [z, r, n]) = finish_and_keep::<A, T, V>([sums[0][i], sums[1][i], h], sums[3][i], prev);
            self.cell.store(row, unit, V::of(next));
            let parts = [z, r, n, h.array()];
            for (part, saved) in parts.into_iter().zip(self.saved.row_mut(row).chunks_exact_mut(self.units)) {
                V::of(part).store(&mut saved[unit..]);
            }
        }
    }

    #[inline(always)]
    fn prefetch(&self, group: &Group, rows: &[usize]) {
        let unit = group.z / GATES;
        prefetch_tile(&self.saved, self.units, unit, rows);
        prefetch_tile(&self.cell.next, self.units, unit, rows);
    }
}

/// h and z, r and the candidate of a tile from its sums: in one loop, so that what both need is computed once.
#[inline(always)]
fn finish_and_keep<A: Arch, T: Float, V: Lanes<T>>(
    [z, r, h]: [V; GATES],
    x: V,
    prev: &V::Array,
) -> (V::Array, [V::Array; GATES]) {
    let (z, r, x, h) = (z.array(), r.array(), x.array(), h.array());
    let (z, r, x, h) = (z.as_ref(), r.as_ref(), x.as_ref(), h.as_ref());
    let zero = V::splat(T::zero()).array();
    let (mut next, mut gates) = (zero, [zero; GATES]);
    let [to_z, to_r, to_n] = &mut gates;
    let (to_z, to_r, to_n) = (to_z.as_mut(), to_r.as_mut(), to_n.as_mut());
    let prev = prev.as_ref();
    for j in 0..V::LEN {
        next.as_mut()[j] = cells::gru_after::<A, T>(z[j], r[j], x[j], h[j], prev[j]);
        to_z[j] = cells::sigmoid::<A, T>(z[j]);
        to_r[j] = cells::sigmoid::<A, T>(r[j]);
        to_n[j] = cells::tanh::<A, T>(A::mul_add(to_r[j], h[j], x[j]));
    }
    (next, gates)
}

/// A step of any rows with any activations, which take whole rows from the scratch.
pub(super) struct Unfused<'a, 'c, T: Float> {
    pub after: &'a After<T>,
    pub units: usize,
    pub call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for Unfused<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Unfused { after: After { gates, bias_h }, units, call } = self;
        let operands = Operands::new(gates, call.input, 0, call.prev.columns(0..units));
        for rows in call.rows.chunks(BATCH) {
            let out = &mut call.scratch[..rows.len() * 4 * units];
            let mut sink = TileRows::<T, 4> { out, units };
            blocks::gates::<A, T, _, GATES, true>(arch, gates, &operands, bias_h, rows, call.odd_step, &mut sink);
            for (&row, z) in rows.iter().zip(call.scratch.chunks_exact_mut(4 * units)) {
                // The sink has the candidate's sums as the matrix has them: h before x.
                let (h, x) = z[2 * units..].split_at_mut(units);
                h.swap_with_slice(x);
                let (prev, next) = (&call.prev.row(row)[..units], call.next.row_mut(row));
                cells::gru_after_row::<A, T>(arch, z, prev, next, call.activation, call.recurrent_activation);
                if let Some(saved) = &mut call.saved {
                    saved.row_mut(row)[..4 * units].copy_from_slice(z);
                }
            }
        }
    }
}
