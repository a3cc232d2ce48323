//! Steps of one row of an LSTM with the default activations, in registers from the sums to the state.
//!
//! A small step is over before the processor has seen all of the next one; each instruction that isn't arithmetic delays
//! the next input's products. So: few slices, cut once, and what is rare behind a call.

use super::super::isa::{Arch, Kernel};
use super::super::lanes::Lanes;
use super::super::panels::Panels;
use super::super::products::{add_products_of_row, add_products_of_row_to_two};
use super::super::{Around, cells};
use super::GATES;
use super::rows::finish;
use crate::Float;
use crate::rows::RowStep;

/// The tiles that are full.
pub(super) struct OneRow<'a, 'c, T: Float, const BACKWARDS: bool> {
    pub panels: &'a Panels<T>,
    pub step: &'a mut RowStep<'c, T>,
}

impl<T: Float, const BACKWARDS: bool> Kernel for OneRow<'_, '_, T, BACKWARDS> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let OneRow { panels, step } = self;
        let (x, start) = step.input.operands(panels.bias());
        let rows = panels.rows();
        let weights = T::Line::arrays(panels.all_weights()).as_chunks::<GATES>().0;
        let starts = T::Line::arrays(start).as_chunks::<GATES>().0;
        let (h, c) = step.prev.split_at(panels.units());
        let (next_h, next_c) = step.next.split_at_mut(panels.units());
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

/// The only tile, if it is full.
pub(super) struct OnlyTile<'a, 'c, T: Float> {
    pub panels: &'a Panels<T>,
    pub step: &'a mut RowStep<'c, T>,
}

impl<T: Float> Kernel for OnlyTile<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let OnlyTile { panels, step } = self;
        let (x, start) = step.input.operands(panels.bias());
        let weights = T::Line::arrays(panels.all_weights()).as_chunks::<GATES>().0;
        let starts = &T::Line::arrays(start).as_chunks::<GATES>().0[0];
        // Not of a constant length: the compiler would unroll the loop over h, one sum after the other.
        let (h, c) = step.prev.split_at(panels.units());
        let z = sums::<A, T, T::Line>(weights, starts, x, h);
        let (h, c) = finish::<A, T, T::Line>(z, &T::Line::arrays(c)[0]);
        let (next_h, next_c) = step.next.split_at_mut(panels.units());
        T::Line::arrays_mut(next_h)[0] = h;
        T::Line::arrays_mut(next_c)[0] = c;
    }
}

/// The same two tiles at a time, as long as the weights are near: see [`Panels::in_pairs`].
pub(super) struct OneRowInPairs<'a, 'c, T: Float> {
    pub panels: &'a Panels<T>,
    pub step: &'a mut RowStep<'c, T>,
}

impl<T: Float> Kernel for OneRowInPairs<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        if !A::ALL_LINES_AT_ONCE {
            return; // `Panels::in_pairs` doesn't ask for it, so it need not be compiled
        }
        let OneRowInPairs { panels, step } = self;
        let (x, start) = step.input.operands(panels.bias());
        let rows = panels.rows();
        let weights = T::Line::arrays(panels.all_weights()).as_chunks::<GATES>().0;
        let starts = T::Line::arrays(start).as_chunks::<GATES>().0;
        let (h, c) = step.prev.split_at(panels.units());
        let (next_h, next_c) = step.next.split_at_mut(panels.units());
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

/// What follows the full tiles: a tile of lines or half lines, not all of whose lanes may be units.
pub(super) struct LastTile<'a, 'c, T: Float> {
    pub panels: &'a Panels<T>,
    pub step: &'a mut RowStep<'c, T>,
}

impl<T: Float> Kernel for LastTile<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        if self.panels.units() % T::LANES <= T::HalfLine::LEN {
            self.tile::<A, T::HalfLine>();
        } else {
            self.tile::<A, T::Line>();
        }
    }
}

impl<T: Float> LastTile<'_, '_, T> {
    #[inline(always)]
    fn tile<A: Arch, V: Lanes<T>>(self) {
        let LastTile { panels, step } = self;
        let (x, start) = step.input.operands(panels.bias());
        let (h, c) = step.prev.split_at(panels.units());
        let (next_h, next_c) = step.next.split_at_mut(panels.units());
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

/// A step with other activations: the sums of all tiles go to the scratch, in Keras's order, then whole rows on.
pub(super) struct OneRowUnfused<'a, 'c, T: Float> {
    pub panels: &'a Panels<T>,
    pub step: &'a mut RowStep<'c, T>,
    pub around: Around<'a, T>,
}

impl<T: Float> Kernel for OneRowUnfused<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let OneRowUnfused { panels, step, around } = self;
        let (rows, units) = (panels.rows(), panels.units());
        let z = &mut around.scratch[..GATES * units];
        let (x, start) = step.input.operands(panels.bias());
        let (h, c) = step.prev.split_at(units);
        for i in 0..panels.groups().len() {
            let i = if around.odd_step { panels.groups().len() - 1 - i } else { i };
            let unit = i * T::LANES;
            let (weights, start) = (&panels.all_weights()[unit * GATES * rows..], &start[unit * GATES..]);
            if panels.groups()[i].lanes == T::LANES {
                sums_to_gates::<A, T, T::Line>(&weights[..T::LANES * GATES * rows], start, x, h, z, unit);
            } else {
                sums_to_gates::<A, T, T::HalfLine>(weights, start, x, h, z, unit);
            }
        }
        cells::lstm_row::<A, T>(arch, z, &c[..units], step.next, around.activation, around.recurrent_activation);
    }
}

/// The sums of a tile, as columns of a row of gates.
#[inline(always)]
fn sums_to_gates<A: Arch, T: Float, V: Lanes<T>>(
    weights: &[T],
    start: &[T],
    x: &[T],
    h: &[T],
    gates: &mut [T],
    unit: usize,
) {
    let start = &V::arrays(start).as_chunks::<GATES>().0[0];
    let z = sums::<A, T, V>(V::arrays(weights).as_chunks().0, start, x, h);
    for (gate, z) in gates.chunks_exact_mut(h.len()).zip(z) {
        z.store(&mut gate[unit..]);
    }
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

/// The sums of two tiles.
#[inline(always)]
fn sums_of_two<A: Arch, T: Float, V: Lanes<T>>(
    [a, b]: [&[[V::Array; GATES]]; 2],
    [s, t]: [&[V::Array; GATES]; 2],
    x: &[T],
    h: &[T],
) -> [[V; GATES]; 2] {
    let z =
        [[V::of(s[0]), V::of(s[1]), V::of(s[2]), V::of(s[3])], [V::of(t[0]), V::of(t[1]), V::of(t[2]), V::of(t[3])]];
    let z = add_products_of_row_to_two::<A, T, V, GATES>(z, [&a[..x.len()], &b[..x.len()]], x);
    let wh = [&a[a.len() - h.len()..], &b[b.len() - h.len()..]];
    add_products_of_row_to_two::<A, T, V, GATES>(z, wh, h)
}
