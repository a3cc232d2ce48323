//! The GRU's step, in both forms.

use std::fmt;

use super::activate::apply;
use super::blocks::{self, Block, Operands, Sink};
use super::isa::{Arch, Isa, Kernel, dispatch};
use super::lanes::Lanes;
use super::panels::{Group, Grouping, Panels};
use super::products::{add_products_of_row, add_products_of_row_to_two};
use super::reference::{self, gru_gate};
use super::sinks::{FlatRows, TileRows};
use super::{BATCH, KernelStep, RowInput, RowStep, cells, is_default, project};
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
    /// `reset_after`: all gates at once. The candidate's recurrent bias stands apart, one value a unit and
    /// zeros to the end of the last tile.
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
            Form::After {
                gates: Panels::new(rows, GATES, units, Grouping::Gates),
                bias_h: vec![T::zero(); units.next_multiple_of(T::LANES)],
            }
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
                    Some(b) => bias_h[..units].copy_from_slice(&b[gru_gate::H * units..]),
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
    pub(super) fn row_here(&self, step: RowStep<'_, T>) {
        match &self.form {
            Form::After { gates, bias_h } if is_default(step.activation, step.recurrent_activation) => {
                let RowStep { input, prev, next, odd_step, .. } = step;
                let (x, start) = match input {
                    RowInput::Raw(x) => (x, gates.bias()),
                    RowInput::Projected(z) => (&[][..], z),
                };
                let last = !self.units.is_multiple_of(T::LANES);
                if gates.in_pairs(self.isa) {
                    let row = OneRowInPairs { gates, bias_h, x, start, prev, next: &mut *next };
                    dispatch(self.isa, row);
                    if last {
                        dispatch(self.isa, LastTile { gates, bias_h, x, start, prev, next });
                    }
                } else if odd_step {
                    if last {
                        let next = &mut *next;
                        dispatch(self.isa, LastTile { gates, bias_h, x, start, prev, next });
                    }
                    let row = OneRowAfter::<T, true> { gates, bias_h, x, start, prev, next };
                    dispatch(self.isa, row);
                } else {
                    let next_full = &mut *next;
                    let row = OneRowAfter::<T, false> { gates, bias_h, x, start, prev, next: next_full };
                    dispatch(self.isa, row);
                    if last {
                        dispatch(self.isa, LastTile { gates, bias_h, x, start, prev, next });
                    }
                }
            }
            _ => self.step_rows(&mut step.into_rows()),
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
        let (isa, units, form) = (self.isa, self.units, &self.form);
        if call.dropout.is_some() {
            let input_size = self.input_size;
            return dispatch(isa, Reference { form, input_size, units, call });
        }
        let default = is_default(call.activation, call.recurrent_activation);
        match form {
            Form::After { gates, bias_h } if default && call.saved.is_some() => {
                dispatch(isa, RecordedAfter { gates, bias_h, units, call });
            }
            Form::After { gates, bias_h } if default => {
                dispatch(isa, FusedAfter { gates, bias_h, units, call });
            }
            Form::After { gates, bias_h } => {
                dispatch(isa, UnfusedAfter { gates, bias_h, units, call });
            }
            Form::Before { gates, candidate } => {
                dispatch(isa, Before { gates, candidate, units, call });
            }
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
    fn run<A: Arch>(self) {
        let Project { form, count, x, mut out } = self;
        match form {
            Form::After { gates, .. } => project::gates::<A, T, GATES>(gates, count, x, &mut out),
            Form::Before { gates, candidate } => {
                project::flat::<A, T>(gates, count, x, &mut out);
                let z = gates.z_len();
                project::flat::<A, T>(candidate, count, x, &mut out.columns(z..z + candidate.z_len()));
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
    fn run<A: Arch>(self) {
        let Reference { form, input_size, units, call } = self;
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

/// A step of any rows with the default activations.
struct FusedAfter<'a, 'c, T: Float> {
    gates: &'a Panels<T>,
    bias_h: &'a [T],
    units: usize,
    call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for FusedAfter<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let FusedAfter { gates, bias_h, units, call } = self;
        let operands = Operands::new(gates, call.input, 0, call.prev.columns(0..units));
        let mut sink = Cell { prev: call.prev, next: call.next.reborrow() };
        blocks::gates::<A, T, _, GATES, true>(gates, &operands, bias_h, call.rows, call.odd_step, &mut sink);
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
            V::of(next).store(&mut self.next.row_mut(row)[unit..]);
        }
    }
}

/// h of a tile from its sums: z, r and the candidate's two parts.
#[inline(always)]
fn finish<A: Arch, T: Float, V: Lanes<T>>([z, r, h]: [V; GATES], x: V, prev: &V::Array) -> V::Array {
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
struct RecordedAfter<'a, 'c, T: Float> {
    gates: &'a Panels<T>,
    bias_h: &'a [T],
    units: usize,
    call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for RecordedAfter<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let RecordedAfter { gates, bias_h, units, call } = self;
        let Some(saved) = &mut call.saved else { return };
        let operands = Operands::new(gates, call.input, 0, call.prev.columns(0..units));
        let cell = Cell { prev: call.prev, next: call.next.reborrow() };
        let mut sink = RecordingCell { cell, units, saved: saved.reborrow() };
        blocks::gates::<A, T, _, GATES, true>(gates, &operands, bias_h, call.rows, call.odd_step, &mut sink);
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
    fn take<A: Arch, V: Lanes<T>>(&mut self, group: &Group, first: usize, rows: &[usize], sums: &mut Block<V>) {
        self.cell.take::<A, V>(group, first, rows, sums);
        let (units, unit) = (self.units, group.z / GATES);
        for (i, &row) in rows.iter().enumerate() {
            let h = sums[2][i];
            let [z, r, n] = gates_of::<A, T, V>([sums[0][i], sums[1][i], h], sums[3][i]);
            let parts = [z, r, n, h.array()];
            for (part, saved) in parts.iter().zip(self.saved.row_mut(row).chunks_exact_mut(units)) {
                V::of(*part).store(&mut saved[unit..]);
            }
        }
    }
}

/// z, r and the candidate of a tile from its sums.
#[inline(always)]
fn gates_of<A: Arch, T: Float, V: Lanes<T>>([z, r, h]: [V; GATES], x: V) -> [V::Array; GATES] {
    let (z, r, x, h) = (z.array(), r.array(), x.array(), h.array());
    let (z, r, x, h) = (z.as_ref(), r.as_ref(), x.as_ref(), h.as_ref());
    let mut out = [V::splat(T::zero()).array(); GATES];
    let [out_z, out_r, out_n] = &mut out;
    let (out_z, out_r, out_n) = (out_z.as_mut(), out_r.as_mut(), out_n.as_mut());
    for j in 0..V::LEN {
        out_z[j] = cells::sigmoid_gate::<A, T>(z[j]);
        out_r[j] = cells::sigmoid_gate::<A, T>(r[j]);
        out_n[j] = cells::tanh_gate::<A, T>(A::mul_add(out_r[j], h[j], x[j]));
    }
    out
}

/// A step of any rows with any activations, which take whole rows from the scratch.
struct UnfusedAfter<'a, 'c, T: Float> {
    gates: &'a Panels<T>,
    bias_h: &'a [T],
    units: usize,
    call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for UnfusedAfter<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let UnfusedAfter { gates, bias_h, units, call } = self;
        let operands = Operands::new(gates, call.input, 0, call.prev.columns(0..units));
        for rows in call.rows.chunks(BATCH) {
            let out = &mut call.scratch[..rows.len() * 4 * units];
            let mut sink = TileRows::<T, 4> { out, units };
            blocks::gates::<A, T, _, GATES, true>(gates, &operands, bias_h, rows, call.odd_step, &mut sink);
            for (&row, z) in rows.iter().zip(call.scratch.chunks_exact_mut(4 * units)) {
                // The sink has the candidate's sums as the matrix has them: h before x.
                let (h, x) = z[2 * units..].split_at_mut(units);
                h.swap_with_slice(x);
                let (prev, next) = (&call.prev.row(row)[..units], call.next.row_mut(row));
                cells::gru_after_row::<A, T>(z, prev, next, call.activation, call.recurrent_activation);
                if let Some(saved) = &mut call.saved {
                    saved.row_mut(row)[..4 * units].copy_from_slice(z);
                }
            }
        }
    }
}

/// A step of one row with the default activations, in registers: the tiles that are full. Written like the LSTM's.
struct OneRowAfter<'a, T: Float, const BACKWARDS: bool> {
    gates: &'a Panels<T>,
    bias_h: &'a [T],
    /// x, or nothing if the input is projected.
    x: &'a [T],
    /// The bias, or the projected input.
    start: &'a [T],
    prev: &'a [T],
    next: &'a mut [T],
}

impl<T: Float, const BACKWARDS: bool> Kernel for OneRowAfter<'_, T, BACKWARDS> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let OneRowAfter { gates, bias_h, x, start, prev, next } = self;
        let rows = gates.rows();
        let weights = T::Line::arrays(gates.all_weights()).as_chunks::<GATES>().0;
        let starts = T::Line::arrays(start).as_chunks::<GATES>().0;
        let hs = T::Line::arrays(prev);
        let count = hs.len();
        let next = &mut T::Line::arrays_mut(next)[..count];
        let bias_h = &T::Line::arrays(bias_h)[..count];
        for i in 0..count {
            let i = if BACKWARDS { count - 1 - i } else { i };
            let weights = &weights[i * rows..][..rows];
            let (z, x) = sums::<A, T, T::Line>(weights, &starts[i], &bias_h[i], x, prev);
            next[i] = finish::<A, T, T::Line>(z, x, &hs[i]);
        }
    }
}

/// The same two tiles at a time, as long as the weights are near: see [`Panels::in_pairs`].
struct OneRowInPairs<'a, T: Float> {
    gates: &'a Panels<T>,
    bias_h: &'a [T],
    x: &'a [T],
    start: &'a [T],
    prev: &'a [T],
    next: &'a mut [T],
}

impl<T: Float> Kernel for OneRowInPairs<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let OneRowInPairs { gates, bias_h, x, start, prev, next } = self;
        let rows = gates.rows();
        let weights = T::Line::arrays(gates.all_weights()).as_chunks::<GATES>().0;
        let starts = T::Line::arrays(start).as_chunks::<GATES>().0;
        let hs = T::Line::arrays(prev);
        let count = hs.len();
        let next = &mut T::Line::arrays_mut(next)[..count];
        let bias_h = &T::Line::arrays(bias_h)[..count];
        let mut i = 0;
        while i + 2 <= count {
            let weights = [&weights[i * rows..][..rows], &weights[(i + 1) * rows..][..rows]];
            let starts = [&starts[i], &starts[i + 1]];
            let bias_h = [&bias_h[i], &bias_h[i + 1]];
            let (z, x) = sums_of_two::<A, T, T::Line>(weights, starts, bias_h, x, prev);
            let first = finish::<A, T, T::Line>(z[0], x[0], &hs[i]);
            next[i + 1] = finish::<A, T, T::Line>(z[1], x[1], &hs[i + 1]);
            next[i] = first;
            i += 2;
        }
        if i < count {
            let weights = &weights[i * rows..][..rows];
            let (z, x) = sums::<A, T, T::Line>(weights, &starts[i], &bias_h[i], x, prev);
            next[i] = finish::<A, T, T::Line>(z, x, &hs[i]);
        }
    }
}

/// What follows the full tiles of a row: a tile of lines or half lines, not all of whose lanes may be units.
struct LastTile<'a, T: Float> {
    gates: &'a Panels<T>,
    bias_h: &'a [T],
    x: &'a [T],
    start: &'a [T],
    prev: &'a [T],
    next: &'a mut [T],
}

impl<T: Float> Kernel for LastTile<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        if self.gates.units() % T::LANES <= T::HalfLine::LEN {
            self.tile::<A, T::HalfLine>();
        } else {
            self.tile::<A, T::Line>();
        }
    }
}

impl<T: Float> LastTile<'_, T> {
    #[inline(always)]
    fn tile<A: Arch, V: Lanes<T>>(self) {
        let LastTile { gates, bias_h, x, start, prev, next } = self;
        let unit = gates.units() / T::LANES * T::LANES;
        let weights = V::arrays(&gates.all_weights()[unit * GATES * gates.rows()..]);
        let starts = V::arrays(&start[unit * GATES..]).as_chunks::<GATES>().0;
        let bias_h = &V::arrays(&bias_h[unit..])[0];
        let (z, x) = sums::<A, T, V>(weights.as_chunks().0, &starts[0], bias_h, x, prev);
        let mut few = V::splat(T::zero()).array();
        let h = finish::<A, T, V>(z, x, V::view(&prev[unit..], &mut few));
        V::of(h).store(&mut next[unit..]);
    }
}

/// The sums of two tiles.
#[inline(always)]
fn sums_of_two<A: Arch, T: Float, V: Lanes<T>>(
    [a, b]: [&[[V::Array; GATES]]; 2],
    start: [&[V::Array; GATES]; 2],
    bias_h: [&V::Array; 2],
    x: &[T],
    h: &[T],
) -> ([[V; GATES]; 2], [V; 2]) {
    let [s, t] = start;
    let sums = [[V::of(s[0]), V::of(s[1]), V::of(s[2])], [V::of(t[0]), V::of(t[1]), V::of(t[2])]];
    let wx = [&a[..x.len()], &b[..x.len()]];
    let [s, t] = add_products_of_row_to_two::<A, T, V, GATES>(sums, wx, x);
    let sums = [[s[0], s[1], V::of(*bias_h[0])], [t[0], t[1], V::of(*bias_h[1])]];
    let wh = [&a[a.len() - h.len()..], &b[b.len() - h.len()..]];
    (add_products_of_row_to_two::<A, T, V, GATES>(sums, wh, h), [s[2], t[2]])
}

/// The sums of a tile: z, r, the candidate's part of h; and its part of x.
#[inline(always)]
fn sums<A: Arch, T: Float, V: Lanes<T>>(
    weights: &[[V::Array; GATES]],
    start: &[V::Array; GATES],
    bias_h: &V::Array,
    x: &[T],
    h: &[T],
) -> ([V; GATES], V) {
    let sums = [V::of(start[0]), V::of(start[1]), V::of(start[2])];
    let [z, r, x_part] = add_products_of_row::<A, T, V, GATES>(sums, &weights[..x.len()], x);
    let sums = [z, r, V::of(*bias_h)];
    let wh = &weights[weights.len() - h.len()..];
    (add_products_of_row::<A, T, V, GATES>(sums, wh, h), x_part)
}

/// A step without `reset_after`: the gates of all rows, then the candidates.
struct Before<'a, 'c, T: Float> {
    gates: &'a Panels<T>,
    candidate: &'a Panels<T>,
    units: usize,
    call: &'a mut KernelStep<'c, T>,
}

impl<T: Float> Kernel for Before<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let Before { gates, candidate, units, call } = self;
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
