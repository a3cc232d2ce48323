//! Steps of any rows of an LSTM, in blocks.

use super::super::blocks::{self, Block, Operands, Sink};
use super::super::isa::{Arch, Kernel};
use super::super::lanes::Lanes;
use super::super::panels::{Group, Panels};
use super::super::sinks::{TileRows, prefetch_tile};
use super::super::{BATCH, KernelStep, cells};
use super::GATES;
use crate::Float;
use crate::rows::{Rows, RowsMut};

/// A step of any rows with the default activations.
pub(super) struct Fused<'a, 'c, T: Float> {
    pub panels: &'a Panels<T>,
    pub units: usize,
    pub call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for Fused<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Fused { panels, units, call } = self;
        let operands = Operands::new(panels, call.input, 0, call.prev.columns(0..units));
        let mut sink = Cell { units, prev: call.prev, next: call.next.reborrow() };
        blocks::gates::<A, T, _, GATES, false>(arch, panels, &operands, &[], call.rows, call.odd_step, &mut sink);
    }
}

/// Takes the sums of a tile to the states.
struct Cell<'a, T> {
    units: usize,
    prev: Rows<'a, T>,
    next: RowsMut<'a, T>,
}

impl<T: Float> Sink<T> for Cell<'_, T> {
    #[inline(always)]
    fn take<A: Arch, V: Lanes<T>>(&mut self, group: &Group, _first: usize, rows: &[usize], z: &mut Block<V>) {
        for (i, &row) in rows.iter().enumerate() {
            let unit = group.z / GATES;
            let mut few = V::splat(T::zero()).array();
            let c = V::view(&self.prev.row(row)[self.units + unit..2 * self.units], &mut few);
            let (h, c) = finish::<A, T, V>([z[0][i], z[1][i], z[2][i], z[3][i]], c);
            self.store(row, unit, V::of(h), V::of(c));
        }
    }
}

impl<T: Float> Cell<'_, T> {
    /// A tile's part of the state.
    #[inline(always)]
    fn store<V: Lanes<T>>(&mut self, row: usize, unit: usize, h: V, c: V) {
        let (units, next) = (self.units, self.next.row_mut(row));
        h.store(&mut next[unit..units]);
        c.store(&mut next[units + unit..2 * units]);
    }
}

/// h and c of a tile from its sums.
#[inline(always)]
pub(super) fn finish<A: Arch, T: Float, V: Lanes<T>>(z: [V; GATES], c: &V::Array) -> (V::Array, V::Array) {
    let z = [z[0].array(), z[1].array(), z[2].array(), z[3].array()];
    let [i, f, g, o] = [z[0].as_ref(), z[1].as_ref(), z[2].as_ref(), z[3].as_ref()];
    let zero = V::splat(T::zero()).array();
    let (mut next_h, mut next_c) = (zero, zero);
    let c = c.as_ref();
    for j in 0..V::LEN {
        (next_h.as_mut()[j], next_c.as_mut()[j]) = cells::lstm::<A, T>(i[j], f[j], g[j], o[j], c[j]);
    }
    (next_h, next_c)
}

/// The same, leaving the gates for the way back.
pub(super) struct Recorded<'a, 'c, T: Float> {
    pub panels: &'a Panels<T>,
    pub units: usize,
    pub call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for Recorded<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Recorded { panels, units, call } = self;
        let Some(saved) = &mut call.saved else { return };
        let operands = Operands::new(panels, call.input, 0, call.prev.columns(0..units));
        let cell = Cell { units, prev: call.prev, next: call.next.reborrow() };
        let mut sink = RecordingCell { cell, saved: saved.reborrow() };
        blocks::gates::<A, T, _, GATES, false>(arch, panels, &operands, &[], call.rows, call.odd_step, &mut sink);
    }
}

/// Takes the sums of a tile to the states, and the gates to the tape.
struct RecordingCell<'a, T> {
    cell: Cell<'a, T>,
    saved: RowsMut<'a, T>,
}

impl<T: Float> Sink<T> for RecordingCell<'_, T> {
    #[inline(always)]
    fn take<A: Arch, V: Lanes<T>>(&mut self, group: &Group, _first: usize, rows: &[usize], z: &mut Block<V>) {
        let (units, unit) = (self.cell.units, group.z / GATES);
        for (i, &row) in rows.iter().enumerate() {
            let mut few = V::splat(T::zero()).array();
            let c = V::view(&self.cell.prev.row(row)[units + unit..2 * units], &mut few);
            let (h, c, gates) = finish_and_keep::<A, T, V>([z[0][i], z[1][i], z[2][i], z[3][i]], c);
            self.cell.store(row, unit, V::of(h), V::of(c));
            for (gate, saved) in gates.into_iter().zip(self.saved.row_mut(row).chunks_exact_mut(units)) {
                V::of(gate).store(&mut saved[unit..]);
            }
        }
    }

    #[inline(always)]
    fn prefetch(&self, group: &Group, rows: &[usize]) {
        let (units, unit) = (self.cell.units, group.z / GATES);
        prefetch_tile(&self.saved, units, unit, rows);
        prefetch_tile(&self.cell.next, units, unit, rows);
    }
}

/// h, c and the gates i, f, the candidate and o of a tile from its sums: in one loop, so that what both need is computed
/// once.
#[inline(always)]
fn finish_and_keep<A: Arch, T: Float, V: Lanes<T>>(
    z: [V; GATES],
    c: &V::Array,
) -> (V::Array, V::Array, [V::Array; GATES]) {
    let z = [z[0].array(), z[1].array(), z[2].array(), z[3].array()];
    let [i, f, g, o] = [z[0].as_ref(), z[1].as_ref(), z[2].as_ref(), z[3].as_ref()];
    let zero = V::splat(T::zero()).array();
    let (mut next_h, mut next_c, mut gates) = (zero, zero, [zero; GATES]);
    let [to_i, to_f, to_g, to_o] = &mut gates;
    let (to_i, to_f, to_g, to_o) = (to_i.as_mut(), to_f.as_mut(), to_g.as_mut(), to_o.as_mut());
    let c = c.as_ref();
    for j in 0..V::LEN {
        (next_h.as_mut()[j], next_c.as_mut()[j]) = cells::lstm::<A, T>(i[j], f[j], g[j], o[j], c[j]);
        to_i[j] = cells::sigmoid::<A, T>(i[j]);
        to_f[j] = cells::sigmoid::<A, T>(f[j]);
        to_g[j] = cells::tanh::<A, T>(g[j]);
        to_o[j] = cells::sigmoid::<A, T>(o[j]);
    }
    (next_h, next_c, gates)
}

/// A step of any rows with any activations, which take whole rows from the scratch.
pub(super) struct Unfused<'a, 'c, T: Float> {
    pub panels: &'a Panels<T>,
    pub units: usize,
    pub call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for Unfused<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Unfused { panels, units, call } = self;
        let operands = Operands::new(panels, call.input, 0, call.prev.columns(0..units));
        for rows in call.rows.chunks(BATCH) {
            let out = &mut call.scratch[..rows.len() * GATES * units];
            let mut sink = TileRows::<T, GATES> { out, units };
            blocks::gates::<A, T, _, GATES, false>(arch, panels, &operands, &[], rows, call.odd_step, &mut sink);
            for (&row, z) in rows.iter().zip(call.scratch.chunks_exact_mut(GATES * units)) {
                let (prev, next) = (&call.prev.row(row)[units..2 * units], call.next.row_mut(row));
                cells::lstm_row::<A, T>(arch, z, prev, next, call.activation, call.recurrent_activation);
                if let Some(saved) = &mut call.saved {
                    saved.row_mut(row)[..GATES * units].copy_from_slice(z);
                }
            }
        }
    }
}
