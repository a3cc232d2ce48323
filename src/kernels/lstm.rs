//! The LSTM's step.

use std::fmt;

use super::isa::{Arch, Isa, Kernel, dispatch};
use super::lanes::Lanes;
use super::panels::{Group, Grouping, Panels};
use super::products::add_products_of_row;
use super::{KernelStep, cells, reference};
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
    pub(crate) fn project(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        dispatch(self.isa, Project { kernel: self, count, x, out });
    }

    /// The elements that backward needs of each row and step: i, f, the candidate, o.
    pub(crate) fn saved_len(&self) -> usize {
        GATES * self.units
    }

    /// The scratch that a step needs.
    pub(crate) fn scratch_len(&self) -> usize {
        GATES * self.units
    }

    /// One step of the rows in `call`.
    #[inline]
    pub(crate) fn step(&self, mut call: KernelStep<'_, T>) {
        if call.dropout.is_none()
            && call.saved.is_none()
            && call.rows.len() == 1
            && reference::is_default(call.activation, call.recurrent_activation)
        {
            let row = call.rows[0];
            let (x, start) = match call.input {
                Input::Raw(x) => (x.row(row), self.panels.bias()),
                Input::Projected(z) => (&[][..], z.row(row)),
            };
            let (panels, backwards) = (&self.panels, call.odd_step);
            let (prev, next) = (call.prev.row(row), call.next.row_mut(row));
            dispatch(self.isa, OneRow { panels, x, start, prev, next, backwards });
        } else {
            dispatch(self.isa, Reference { kernel: self, call });
        }
    }
}

impl<T: Float> fmt::Debug for LstmKernel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LstmKernel({} -> {}, {:?})", self.input_size, self.units, self.isa)
    }
}

struct Project<'a, T: Float> {
    kernel: &'a LstmKernel<T>,
    count: usize,
    x: Rows<'a, T>,
    out: RowsMut<'a, T>,
}

impl<T: Float> Kernel for Project<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(mut self) {
        let LstmKernel { units, panels, .. } = self.kernel;
        reference::project::<A, T>(panels, GATES, *units, self.count, self.x, &mut self.out, 0);
    }
}

/// Any step, as the specification has it.
struct Reference<'a, T: Float> {
    kernel: &'a LstmKernel<T>,
    call: KernelStep<'a, T>,
}

impl<T: Float> Kernel for Reference<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(mut self) {
        let LstmKernel { input_size, units, panels, .. } = self.kernel;
        reference::lstm::<A, T>(panels, *input_size, *units, &mut self.call);
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
    let mut few = V::splat(T::zero());
    let c = V::view(&prev[units + at..], &mut few);
    let (mut h, mut new_c) = (V::splat(T::zero()), V::splat(T::zero()));
    for j in 0..V::LEN {
        let (i, f, g, o) = (z[0].values()[j], z[1].values()[j], z[2].values()[j], z[3].values()[j]);
        (h.values_mut()[j], new_c.values_mut()[j]) = cells::lstm::<A, T>(i, f, g, o, c.values()[j]);
    }
    h.store(&mut next[at..units]);
    new_c.store(&mut next[units + at..2 * units]);
}
