//! The LSTM's step.

use std::fmt;

use super::blocks::{self, Block, Operands, Sink};
use super::isa::{Arch, Isa, Kernel, dispatch};
use super::lanes::Lanes;
use super::panels::{Group, Grouping, Panels};
use super::products::{add_products_of_row, add_products_of_row_to_two};
use super::sinks::{TileRows, ZRows};
use super::{BATCH, KernelStep, RowInput, RowStep, cells, is_default, project, reference};
use crate::Float;
use crate::rows::{Rows, RowsMut};

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
    pub(super) fn row_here(&self, step: RowStep<'_, T>) {
        if !is_default(step.activation, step.recurrent_activation) {
            return self.step_rows(&mut step.into_rows());
        }
        let RowStep { input, prev, next, odd_step, .. } = step;
        let panels = &self.panels;
        let (x, start) = match input {
            RowInput::Raw(x) => (x, panels.bias()),
            RowInput::Projected(z) => (&[][..], z),
        };
        let last = !self.units.is_multiple_of(T::LANES);
        if panels.in_pairs(self.isa) {
            dispatch(self.isa, OneRowInPairs { panels, x, start, prev, next: &mut *next });
            if last {
                dispatch(self.isa, LastTile { panels, x, start, prev, next });
            }
        } else if odd_step {
            if last {
                dispatch(self.isa, LastTile { panels, x, start, prev, next: &mut *next });
            }
            dispatch(self.isa, OneRow::<T, true> { panels, x, start, prev, next });
        } else {
            dispatch(self.isa, OneRow::<T, false> { panels, x, start, prev, next: &mut *next });
            if last {
                dispatch(self.isa, LastTile { panels, x, start, prev, next });
            }
        }
    }

    /// One step of the rows in `call`.
    #[inline(always)]
    pub(super) fn step_here(&self, mut call: KernelStep<'_, T>) {
        match call.single_row() {
            Some(step) => self.row_here(step),
            None => self.step_rows(&mut call),
        }
    }

    fn step_rows(&self, call: &mut KernelStep<'_, T>) {
        let (panels, input_size, units) = (&self.panels, self.input_size, self.units);
        if call.dropout.is_some() {
            dispatch(self.isa, Reference { panels, input_size, units, call });
        } else if is_default(call.activation, call.recurrent_activation) && call.saved.is_some() {
            dispatch(self.isa, Recorded { panels, units, call });
        } else if is_default(call.activation, call.recurrent_activation) {
            dispatch(self.isa, Fused { panels, units, call });
        } else {
            dispatch(self.isa, Unfused { panels, units, call });
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
    fn run<A: Arch>(mut self) {
        project::gates::<A, T, GATES>(self.panels, self.count, self.x, &mut self.out);
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
    fn run<A: Arch>(self) {
        reference::lstm::<A, T>(self.panels, self.input_size, self.units, self.call);
    }
}

/// A step of any rows with the default activations.
struct Fused<'a, 'c, T: Float> {
    panels: &'a Panels<T>,
    units: usize,
    call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for Fused<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let Fused { panels, units, call } = self;
        let operands = Operands::new(panels, call.input, 0, call.prev.columns(0..units));
        let mut sink = Cell { units, prev: call.prev, next: call.next.reborrow() };
        blocks::gates::<A, T, _, GATES, false>(panels, &operands, &[], call.rows, call.odd_step, &mut sink);
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
            let z = [z[0][i], z[1][i], z[2][i], z[3][i]];
            let unit = group.z / GATES;
            let (units, next) = (self.units, self.next.row_mut(row));
            let mut few = V::splat(T::zero()).array();
            let c = V::view(&self.prev.row(row)[units + unit..2 * units], &mut few);
            let (h, c) = finish::<A, T, V>(z, c);
            V::of(h).store(&mut next[unit..units]);
            V::of(c).store(&mut next[units + unit..2 * units]);
        }
    }
}

/// h and c of a tile from its sums.
#[inline(always)]
fn finish<A: Arch, T: Float, V: Lanes<T>>(z: [V; GATES], c: &V::Array) -> (V::Array, V::Array) {
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
struct Recorded<'a, 'c, T: Float> {
    panels: &'a Panels<T>,
    units: usize,
    call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for Recorded<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let Recorded { panels, units, call } = self;
        let Some(saved) = &mut call.saved else { return };
        let operands = Operands::new(panels, call.input, 0, call.prev.columns(0..units));
        let cell = Cell { units, prev: call.prev, next: call.next.reborrow() };
        let mut sink = RecordingCell { cell, saved: saved.reborrow() };
        blocks::gates::<A, T, _, GATES, false>(panels, &operands, &[], call.rows, call.odd_step, &mut sink);
    }
}

/// Takes the sums of a tile to the states, and the gates to the tape.
struct RecordingCell<'a, T> {
    cell: Cell<'a, T>,
    saved: RowsMut<'a, T>,
}

impl<T: Float> Sink<T> for RecordingCell<'_, T> {
    #[inline(always)]
    fn take<A: Arch, V: Lanes<T>>(&mut self, group: &Group, first: usize, rows: &[usize], z: &mut Block<V>) {
        self.cell.take::<A, V>(group, first, rows, z);
        let (units, unit) = (self.cell.units, group.z / GATES);
        for (at, &row) in rows.iter().enumerate() {
            let gates = gates_of::<A, T, V>([z[0][at], z[1][at], z[2][at], z[3][at]]);
            for (gate, saved) in gates.iter().zip(self.saved.row_mut(row).chunks_exact_mut(units)) {
                V::of(*gate).store(&mut saved[unit..]);
            }
        }
    }
}

/// i, f, the candidate and o of a tile from its sums.
#[inline(always)]
fn gates_of<A: Arch, T: Float, V: Lanes<T>>(z: [V; GATES]) -> [V::Array; GATES] {
    let z = [z[0].array(), z[1].array(), z[2].array(), z[3].array()];
    let [i, f, g, o] = [z[0].as_ref(), z[1].as_ref(), z[2].as_ref(), z[3].as_ref()];
    let zero = V::splat(T::zero()).array();
    let mut out = [zero; GATES];
    let [out_i, out_f, out_g, out_o] = &mut out;
    let (out_i, out_f, out_g, out_o) = (out_i.as_mut(), out_f.as_mut(), out_g.as_mut(), out_o.as_mut());
    for j in 0..V::LEN {
        out_i[j] = cells::sigmoid_gate::<A, T>(i[j]);
        out_f[j] = cells::sigmoid_gate::<A, T>(f[j]);
        out_g[j] = cells::tanh_gate::<A, T>(g[j]);
        out_o[j] = cells::sigmoid_gate::<A, T>(o[j]);
    }
    out
}

/// A step of any rows with any activations, which take whole rows from the scratch.
struct Unfused<'a, 'c, T: Float> {
    panels: &'a Panels<T>,
    units: usize,
    call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for Unfused<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let Unfused { panels, units, call } = self;
        let operands = Operands::new(panels, call.input, 0, call.prev.columns(0..units));
        for rows in call.rows.chunks(BATCH) {
            let out = &mut call.scratch[..rows.len() * GATES * units];
            let mut sink = TileRows::<T, GATES> { out, units };
            blocks::gates::<A, T, _, GATES, false>(panels, &operands, &[], rows, call.odd_step, &mut sink);
            for (&row, z) in rows.iter().zip(call.scratch.chunks_exact_mut(GATES * units)) {
                let (prev, next) = (&call.prev.row(row)[units..2 * units], call.next.row_mut(row));
                cells::lstm_row::<A, T>(z, prev, next, call.activation, call.recurrent_activation);
                if let Some(saved) = &mut call.saved {
                    saved.row_mut(row)[..GATES * units].copy_from_slice(z);
                }
            }
        }
    }
}

/// A step of one row with the default activations, in registers: the tiles that are full.
///
/// A small step is over before the processor has seen all of the next one; each instruction that isn't arithmetic
/// delays the next input's products. So: few slices, cut once, and what is rare behind a call.
struct OneRow<'a, T: Float, const BACKWARDS: bool> {
    panels: &'a Panels<T>,
    /// x, or nothing if the input is projected.
    x: &'a [T],
    /// The bias, or the projected input.
    start: &'a [T],
    prev: &'a [T],
    next: &'a mut [T],
}

impl<T: Float, const BACKWARDS: bool> Kernel for OneRow<'_, T, BACKWARDS> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let OneRow { panels, x, start, prev, next } = self;
        let rows = panels.rows();
        let weights = T::Line::arrays(panels.all_weights()).as_chunks::<GATES>().0;
        let starts = T::Line::arrays(start).as_chunks::<GATES>().0;
        let (h, c) = prev.split_at(panels.units());
        let (next_h, next_c) = next.split_at_mut(panels.units());
        let cs = T::Line::arrays(c);
        let count = cs.len();
        let hs = &mut T::Line::arrays_mut(next_h)[..count];
        let next_cs = &mut T::Line::arrays_mut(next_c)[..count];
        for i in 0..count {
            let i = if BACKWARDS { count - 1 - i } else { i };
            let weights = &weights[i * rows..][..rows];
            let z = sums::<A, T, T::Line>(weights, &starts[i], x, h);
            (hs[i], next_cs[i]) = finish::<A, T, T::Line>(z, &cs[i]);
        }
    }
}

/// The same two tiles at a time, as long as the weights are near: see [`Panels::in_pairs`].
struct OneRowInPairs<'a, T: Float> {
    panels: &'a Panels<T>,
    x: &'a [T],
    start: &'a [T],
    prev: &'a [T],
    next: &'a mut [T],
}

impl<T: Float> Kernel for OneRowInPairs<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let OneRowInPairs { panels, x, start, prev, next } = self;
        let rows = panels.rows();
        let weights = T::Line::arrays(panels.all_weights()).as_chunks::<GATES>().0;
        let starts = T::Line::arrays(start).as_chunks::<GATES>().0;
        let (h, c) = prev.split_at(panels.units());
        let (next_h, next_c) = next.split_at_mut(panels.units());
        let cs = T::Line::arrays(c);
        let count = cs.len();
        let hs = &mut T::Line::arrays_mut(next_h)[..count];
        let next_cs = &mut T::Line::arrays_mut(next_c)[..count];
        let mut i = 0;
        while i + 2 <= count {
            let weights = [&weights[i * rows..][..rows], &weights[(i + 1) * rows..][..rows]];
            let z = sums_of_two::<A, T, T::Line>(weights, [&starts[i], &starts[i + 1]], x, h);
            let first = finish::<A, T, T::Line>(z[0], &cs[i]);
            let second = finish::<A, T, T::Line>(z[1], &cs[i + 1]);
            (hs[i], next_cs[i]) = first;
            (hs[i + 1], next_cs[i + 1]) = second;
            i += 2;
        }
        if i < count {
            let weights = &weights[i * rows..][..rows];
            let z = sums::<A, T, T::Line>(weights, &starts[i], x, h);
            (hs[i], next_cs[i]) = finish::<A, T, T::Line>(z, &cs[i]);
        }
    }
}

/// What follows the full tiles of a row: a tile of lines or half lines, not all of whose lanes may be units.
struct LastTile<'a, T: Float> {
    panels: &'a Panels<T>,
    x: &'a [T],
    start: &'a [T],
    prev: &'a [T],
    next: &'a mut [T],
}

impl<T: Float> Kernel for LastTile<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        if self.panels.units() % T::LANES <= T::HalfLine::LEN {
            self.tile::<A, T::HalfLine>();
        } else {
            self.tile::<A, T::Line>();
        }
    }
}

impl<T: Float> LastTile<'_, T> {
    #[inline(always)]
    fn tile<A: Arch, V: Lanes<T>>(self) {
        let LastTile { panels, x, start, prev, next } = self;
        let (h, c) = prev.split_at(panels.units());
        let (next_h, next_c) = next.split_at_mut(panels.units());
        let unit = c.len() / T::LANES * T::LANES;
        let weights = V::arrays(&panels.all_weights()[unit * GATES * panels.rows()..]);
        let starts = V::arrays(&start[unit * GATES..]).as_chunks::<GATES>().0;
        let z = sums::<A, T, V>(weights.as_chunks().0, &starts[0], x, h);
        let mut few = V::splat(T::zero()).array();
        let (h, c) = finish::<A, T, V>(z, V::view(&c[unit..], &mut few));
        V::of(h).store(&mut next_h[unit..]);
        V::of(c).store(&mut next_c[unit..]);
    }
}

/// The sums of two tiles.
#[inline(always)]
fn sums_of_two<A: Arch, T: Float, V: Lanes<T>>(
    weights: [&[[V::Array; GATES]]; 2],
    start: [&[V::Array; GATES]; 2],
    x: &[T],
    h: &[T],
) -> [[V; GATES]; 2] {
    let [a, b] = start;
    let z =
        [[V::of(a[0]), V::of(a[1]), V::of(a[2]), V::of(a[3])], [V::of(b[0]), V::of(b[1]), V::of(b[2]), V::of(b[3])]];
    let [a, b] = weights;
    let z = add_products_of_row_to_two::<A, T, V, GATES>(z, [&a[..x.len()], &b[..x.len()]], x);
    let wh = [&a[a.len() - h.len()..], &b[b.len() - h.len()..]];
    add_products_of_row_to_two::<A, T, V, GATES>(z, wh, h)
}

/// The sums of a tile.
#[inline(always)]
fn sums<A: Arch, T: Float, V: Lanes<T>>(
    weights: &[[V::Array; GATES]],
    start: &[V::Array; GATES],
    x: &[T],
    h: &[T],
) -> [V; GATES] {
    let z = [V::of(start[0]), V::of(start[1]), V::of(start[2]), V::of(start[3])];
    let z = add_products_of_row::<A, T, V, GATES>(z, &weights[..x.len()], x);
    add_products_of_row::<A, T, V, GATES>(z, &weights[weights.len() - h.len()..], h)
}
