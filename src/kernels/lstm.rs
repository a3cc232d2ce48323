//! The LSTM's step.

use std::fmt;

use super::blocks::{self, Block, Operands, Sink};
use super::isa::{Arch, Isa, Kernel, dispatch};
use super::lanes::Lanes;
use super::panels::{Group, Grouping, Panels};
use super::products::add_products_of_row;
use super::sinks::{TileRows, ZRows};
use super::{BATCH, KernelStep, cells, is_default, project, reference};
use crate::Float;
use crate::rows::{Input, Rows, RowsMut};

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

    /// One step of the rows in `call`.
    #[inline(always)]
    pub(super) fn step_here(&self, mut call: KernelStep<'_, T>) {
        let (panels, call) = (&self.panels, &mut call);
        if call.dropout.is_some() || call.saved.is_some() {
            let (input_size, units) = (self.input_size, self.units);
            dispatch(self.isa, Reference { panels, input_size, units, call });
        } else if !is_default(call.activation, call.recurrent_activation) {
            dispatch(self.isa, Unfused { panels, units: self.units, call });
        } else if let [row] = *call.rows {
            let (x, start) = match call.input {
                Input::Raw(x) => (x.row(row), panels.bias()),
                Input::Projected(z) => (&[][..], z.row(row)),
            };
            let (prev, next, backwards) = (call.prev.row(row), call.next.row_mut(row), call.odd_step);
            dispatch(self.isa, OneRow { panels, x, start, prev, next, backwards });
        } else {
            dispatch(self.isa, Fused { panels, units: self.units, call });
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
            finish::<A, T, V>(z, unit, self.units, self.prev.row(row), self.next.row_mut(row));
        }
    }
}

/// The states of a tile, whose first unit is `unit`, from its sums.
#[inline(always)]
fn finish<A: Arch, T: Float, V: Lanes<T>>(z: [V; GATES], unit: usize, units: usize, prev: &[T], next: &mut [T]) {
    let mut few = V::splat(T::zero());
    let prev_c = V::view(&prev[units + unit..2 * units], &mut few);
    let (mut h, mut c) = (V::splat(T::zero()), V::splat(T::zero()));
    for j in 0..V::LEN {
        let (i, f, g, o) = (z[0].values()[j], z[1].values()[j], z[2].values()[j], z[3].values()[j]);
        (h.values_mut()[j], c.values_mut()[j]) = cells::lstm::<A, T>(i, f, g, o, prev_c.values()[j]);
    }
    h.store(&mut next[unit..units]);
    c.store(&mut next[units + unit..2 * units]);
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
            }
        }
    }
}

/// A step of one row with the default activations, in registers.
struct OneRow<'a, T: Float> {
    panels: &'a Panels<T>,
    /// x, or nothing if the input is projected.
    x: &'a [T],
    /// The bias, or the projected input.
    start: &'a [T],
    prev: &'a [T],
    next: &'a mut [T],
    backwards: bool,
}

impl<T: Float> Kernel for OneRow<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let OneRow { panels, x, start, prev, next, backwards } = self;
        let (weights, shape) = panels.tiles();
        if backwards && shape.half {
            dispatch(A::ISA, HalfTile { panels, x, start, prev, next });
        }
        for i in 0..shape.full {
            let i = if backwards { shape.full - 1 - i } else { i };
            let weights = &weights[i * shape.stride..][..shape.stride];
            tile_of_row::<A, T, T::Line>(weights, i * T::LANES, x, start, prev, next);
        }
        if !backwards && shape.half {
            dispatch(A::ISA, HalfTile { panels, x, start, prev, next });
        }
    }
}

struct HalfTile<'a, T: Float> {
    panels: &'a Panels<T>,
    x: &'a [T],
    start: &'a [T],
    prev: &'a [T],
    next: &'a mut [T],
}

impl<T: Float> Kernel for HalfTile<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self) {
        let HalfTile { panels, x, start, prev, next } = self;
        let (weights, shape) = panels.tiles();
        let weights = &weights[shape.full * shape.stride..];
        tile_of_row::<A, T, T::HalfLine>(weights, shape.full * T::LANES, x, start, prev, next);
    }
}

#[inline(always)]
fn tile_of_row<A: Arch, T: Float, V: Lanes<T>>(
    weights: &[T],
    at: usize,
    x: &[T],
    start: &[T],
    prev: &[T],
    next: &mut [T],
) {
    let units = prev.len() / 2;
    let z = &start[GATES * at..];
    let z = *V::slice_of(&z[..GATES * V::LEN]).first_chunk::<GATES>().unwrap();
    let weights = V::slice_of(weights).as_chunks::<GATES>().0;
    let (wx, wh) = weights.split_at(weights.len() - units);
    let z = if x.is_empty() { z } else { add_products_of_row::<A, T, V, GATES>(z, wx, x) };
    let z = add_products_of_row::<A, T, V, GATES>(z, wh, &prev[..units]);
    finish::<A, T, V>(z, at, units, prev, next);
}
