//! Steps of one row of a GRU with the reset after the product and the default activations, in registers from the sums to
//! the state. Written like the LSTM's.

use super::super::isa::{Arch, Kernel};
use super::super::lanes::Lanes;
use super::super::products::{add_products_of_row, add_products_of_row_to_two};
use super::super::{Around, cells};
use super::rows::finish;
use super::{After, GATES};
use crate::Float;
use crate::rows::RowStep;

/// The tiles that are full.
pub(super) struct OneRow<'a, 'c, T: Float, const BACKWARDS: bool> {
    pub after: &'a After<T>,
    pub step: &'a mut RowStep<'c, T>,
}

impl<T: Float, const BACKWARDS: bool> Kernel for OneRow<'_, '_, T, BACKWARDS> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let OneRow { after: After { gates, bias_h }, step } = self;
        let (x, start) = step.input.operands(gates.bias());
        let rows = gates.rows();
        let weights = T::Line::arrays(gates.all_weights()).as_chunks::<GATES>().0;
        let starts = T::Line::arrays(start).as_chunks::<GATES>().0;
        let hs = T::Line::arrays(step.prev);
        let count = hs.len();
        let next = &mut T::Line::arrays_mut(step.next)[..count];
        let bias_h = &T::Line::arrays(bias_h)[..count];
        for i in 0..count {
            let i = if BACKWARDS { count - 1 - i } else { i };
            let weights = &weights[i * rows..][..rows];
            let (z, x) = sums::<A, T, T::Line>(weights, &starts[i], &bias_h[i], x, step.prev);
            next[i] = finish::<A, T, T::Line>(z, x, &hs[i]);
        }
    }
}

/// The only tile, if it is full.
pub(super) struct OnlyTile<'a, 'c, T: Float> {
    pub after: &'a After<T>,
    pub step: &'a mut RowStep<'c, T>,
}

impl<T: Float> Kernel for OnlyTile<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let OnlyTile { after: After { gates, bias_h }, step } = self;
        let (x, start) = step.input.operands(gates.bias());
        let weights = T::Line::arrays(gates.all_weights()).as_chunks::<GATES>().0;
        let starts = &T::Line::arrays(start).as_chunks::<GATES>().0[0];
        // Not of a constant length: the compiler would unroll the loop over h, one sum after the other.
        let h = &step.prev[..gates.units()];
        let (z, x) = sums::<A, T, T::Line>(weights, starts, &T::Line::arrays(bias_h)[0], x, h);
        T::Line::arrays_mut(step.next)[0] = finish::<A, T, T::Line>(z, x, &T::Line::arrays(h)[0]);
    }
}

/// The same two tiles at a time, as long as the weights are near: see
/// [`Panels::in_pairs`](super::super::panels::Panels::in_pairs).
pub(super) struct OneRowInPairs<'a, 'c, T: Float> {
    pub after: &'a After<T>,
    pub step: &'a mut RowStep<'c, T>,
}

impl<T: Float> Kernel for OneRowInPairs<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        if !A::ALL_LINES_AT_ONCE {
            return; // `Panels::in_pairs` doesn't ask for it, so it need not be compiled
        }
        let OneRowInPairs { after: After { gates, bias_h }, step } = self;
        let (x, start) = step.input.operands(gates.bias());
        let rows = gates.rows();
        let weights = T::Line::arrays(gates.all_weights()).as_chunks::<GATES>().0;
        let starts = T::Line::arrays(start).as_chunks::<GATES>().0;
        let hs = T::Line::arrays(step.prev);
        let count = hs.len();
        let next = &mut T::Line::arrays_mut(step.next)[..count];
        let bias_h = &T::Line::arrays(bias_h)[..count];
        let mut i = 0;
        while i + 2 <= count {
            let weights = [&weights[i * rows..][..rows], &weights[(i + 1) * rows..][..rows]];
            let starts = [&starts[i], &starts[i + 1]];
            let bias_h = [&bias_h[i], &bias_h[i + 1]];
            let (z, x) = sums_of_two::<A, T, T::Line>(weights, starts, bias_h, x, step.prev);
            let first = finish::<A, T, T::Line>(z[0], x[0], &hs[i]);
            next[i + 1] = finish::<A, T, T::Line>(z[1], x[1], &hs[i + 1]);
            next[i] = first;
            i += 2;
        }
        if i < count {
            let weights = &weights[i * rows..][..rows];
            let (z, x) = sums::<A, T, T::Line>(weights, &starts[i], &bias_h[i], x, step.prev);
            next[i] = finish::<A, T, T::Line>(z, x, &hs[i]);
        }
    }
}

/// What follows the full tiles: a tile of lines or half lines, not all of whose lanes may be units.
pub(super) struct LastTile<'a, 'c, T: Float> {
    pub after: &'a After<T>,
    pub step: &'a mut RowStep<'c, T>,
}

impl<T: Float> Kernel for LastTile<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        if self.after.gates.units() % T::LANES <= T::HalfLine::LEN {
            self.tile::<A, T::HalfLine>();
        } else {
            self.tile::<A, T::Line>();
        }
    }
}

impl<T: Float> LastTile<'_, '_, T> {
    #[inline(always)]
    fn tile<A: Arch, V: Lanes<T>>(self) {
        let LastTile { after: After { gates, bias_h }, step } = self;
        let (x, start) = step.input.operands(gates.bias());
        let unit = gates.units() / T::LANES * T::LANES;
        let weights = V::arrays(&gates.all_weights()[unit * GATES * gates.rows()..]);
        let starts = V::arrays(&start[unit * GATES..]).as_chunks::<GATES>().0;
        let bias_h = &V::arrays(&bias_h[unit..])[0];
        let (z, x) = sums::<A, T, V>(weights.as_chunks().0, &starts[0], bias_h, x, step.prev);
        let mut few = V::splat(T::zero()).array();
        let h = finish::<A, T, V>(z, x, V::view(&step.prev[unit..], &mut few));
        V::of(h).store(&mut step.next[unit..]);
    }
}

/// A step with other activations: the sums of all tiles go to the scratch, in Keras's order, then whole rows on.
pub(super) struct OneRowUnfused<'a, 'c, T: Float> {
    pub after: &'a After<T>,
    pub step: &'a mut RowStep<'c, T>,
    pub around: Around<'a, T>,
}

impl<T: Float> Kernel for OneRowUnfused<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let OneRowUnfused { after: After { gates, bias_h }, step, around } = self;
        let (rows, units) = (gates.rows(), gates.units());
        let z = &mut around.scratch[..4 * units];
        let (x, start) = step.input.operands(gates.bias());
        for i in 0..gates.groups().len() {
            let i = if around.odd_step { gates.groups().len() - 1 - i } else { i };
            let unit = i * T::LANES;
            let (weights, start) = (&gates.all_weights()[unit * GATES * rows..], &start[unit * GATES..]);
            let bias_h = &bias_h[unit..];
            if gates.groups()[i].lanes == T::LANES {
                let weights = &weights[..T::LANES * GATES * rows];
                sums_to_gates::<A, T, T::Line>(weights, start, bias_h, x, step.prev, z, unit);
            } else {
                sums_to_gates::<A, T, T::HalfLine>(weights, start, bias_h, x, step.prev, z, unit);
            }
        }
        cells::gru_after_row::<A, T>(arch, z, step.prev, step.next, around.activation, around.recurrent_activation);
    }
}

/// The sums of a tile, as columns of a row of z, r and the candidate's two parts.
#[inline(always)]
fn sums_to_gates<A: Arch, T: Float, V: Lanes<T>>(
    weights: &[T],
    start: &[T],
    bias_h: &[T],
    x: &[T],
    h: &[T],
    gates: &mut [T],
    unit: usize,
) {
    let start = &V::arrays(start).as_chunks::<GATES>().0[0];
    let ([z, r, h_part], x_part) =
        sums::<A, T, V>(V::arrays(weights).as_chunks().0, start, &V::arrays(bias_h)[0], x, h);
    for (gate, sums) in gates.chunks_exact_mut(h.len()).zip([z, r, x_part, h_part]) {
        sums.store(&mut gate[unit..]);
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
