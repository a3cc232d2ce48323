//! Steps of one row, in registers from the sums to the state.
//!
//! A small step is over before the processor has seen all of the next one; each instruction that isn't arithmetic
//! delays the next input's products. So: few slices, cut once, and what is rare behind a call.

use std::marker::PhantomData;

use super::super::StepContext;
use super::super::blocks::PARKED;
use super::super::isa::{Arch, Kernel};
use super::super::lanes::Lanes;
use super::super::products::{add_products_of_row, add_products_of_row_to_two, unrolled};
use super::super::unit::{SUMS, Unit};
use super::TileWeights;
use super::blocked::step_of_lines;
use crate::kernels::Element;
use crate::strided::RowStep;

/// Kernels of the weights and one row's step. Trap 6: these two pointers, and nothing more.
macro_rules! kernels_of_one_row {
    ($($(#[$doc:meta])* $name:ident $(<$backwards:ident>)?,)*) => {$(
        $(#[$doc])*
        pub(super) struct $name<'a, 'c, T: Element, U, const G: usize $(, const $backwards: bool)?> {
            weights: &'a TileWeights<T>,
            step: &'a mut RowStep<'c, T>,
            unit: PhantomData<U>,
        }

        impl<'a, 'c, T: Element, U, const G: usize $(, const $backwards: bool)?> $name<'a, 'c, T, U, G $(, $backwards)?> {
            #[inline(always)]
            pub(super) fn new(weights: &'a TileWeights<T>, step: &'a mut RowStep<'c, T>) -> Self {
                $name { weights, step, unit: PhantomData }
            }
        }
    )*};
}

kernels_of_one_row! {
    /// The tiles that are full. Trap 7: their order is a constant.
    OneRow<BACKWARDS>,
    /// The only tile, if it is full.
    OnlyTile,
    /// The tiles that are full, two at a time, as long as the weights are near: see `PackedMatrix::in_pairs`.
    OneRowInPairs,
    /// What follows the full tiles: a tile of lines or half lines, not all of whose lanes may be units.
    LastTile,
}

/// What the full tiles of a step read and write, cut once.
struct Tiles<'a, T: Element, const G: usize> {
    /// Rows of the matrix.
    rows: usize,
    weights: &'a [[<T::Line as Lanes<T>>::Array; G]],
    starts: &'a [[<T::Line as Lanes<T>>::Array; G]],
    restarts: &'a [<T::Line as Lanes<T>>::Array],
    x: &'a [T],
    h: &'a [T],
    /// The state's part that the formula reads.
    prev: &'a [<T::Line as Lanes<T>>::Array],
    next: [&'a mut [<T::Line as Lanes<T>>::Array]; 2],
}

impl<'a, T: Element, const G: usize> Tiles<'a, T, G> {
    #[inline(always)]
    fn new<U: Unit<G>>(weights: &'a TileWeights<T>, step: &'a mut RowStep<'_, T>) -> Self {
        let TileWeights { matrix, restart } = weights;
        let (x, start) = step.input.operands(matrix.bias());
        let (h, last) = parts_of_state::<T, U, G>(step.prev, matrix.units());
        let prev = T::Line::arrays(last);
        let count = prev.len();
        let [next, next_last] = parts_to_write::<T, U, G>(step.next, matrix.units());
        let (next, next_last) = (T::Line::arrays_mut(next), T::Line::arrays_mut(next_last));
        Tiles {
            rows: matrix.rows(),
            weights: T::Line::arrays(matrix.all_weights()).as_chunks::<G>().0,
            starts: T::Line::arrays(start).as_chunks::<G>().0,
            restarts: if U::PARKS { &T::Line::arrays(restart)[..count] } else { &[] },
            x,
            h,
            prev,
            next: [&mut next[..count], &mut next_last[..if U::STATES == 2 { count } else { 0 }]],
        }
    }

    /// What the sum that parks in tile `i` begins again from.
    #[inline(always)]
    fn restart<U: Unit<G>>(&self, i: usize) -> T::Line {
        if U::PARKS { T::Line::of(self.restarts[i]) } else { T::Line::splat(T::zero()) }
    }

    /// The weights of tile `i`.
    #[inline(always)]
    fn of_tile(&self, i: usize) -> &'a [[<T::Line as Lanes<T>>::Array; G]] {
        &self.weights[i * self.rows..][..self.rows]
    }

    #[inline(always)]
    fn tile<A: Arch, U: Unit<G>>(&mut self, i: usize) {
        let restart = self.restart::<U>(i);
        let sums = sums::<A, T, T::Line, U, G>(self.of_tile(i), &self.starts[i], restart, self.x, self.h);
        let next = step_of_lines::<A, T, T::Line, U, G>(sums, &self.prev[i]);
        self.store::<U>(i, next);
    }

    #[inline(always)]
    fn two_tiles<A: Arch, U: Unit<G>>(&mut self, i: usize) {
        let sums = sums_of_two::<A, T, T::Line, U, G>(
            [self.of_tile(i), self.of_tile(i + 1)],
            [&self.starts[i], &self.starts[i + 1]],
            [self.restart::<U>(i), self.restart::<U>(i + 1)],
            self.x,
            self.h,
        );
        let first = step_of_lines::<A, T, T::Line, U, G>(sums[0], &self.prev[i]);
        let second = step_of_lines::<A, T, T::Line, U, G>(sums[1], &self.prev[i + 1]);
        self.store::<U>(i, first);
        self.store::<U>(i + 1, second);
    }

    #[inline(always)]
    fn store<U: Unit<G>>(&mut self, i: usize, [first, last]: [<T::Line as Lanes<T>>::Array; 2]) {
        self.next[0][i] = first;
        if U::STATES == 2 {
            self.next[1][i] = last;
        }
    }
}

impl<T: Element, U: Unit<G>, const G: usize, const BACKWARDS: bool> Kernel for OneRow<'_, '_, T, U, G, BACKWARDS> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let mut tiles = Tiles::<T, G>::new::<U>(self.weights, self.step);
        let count = tiles.prev.len();
        for i in 0..count {
            tiles.tile::<A, U>(if BACKWARDS { count - 1 - i } else { i });
        }
    }
}

impl<T: Element, U: Unit<G>, const G: usize> Kernel for OnlyTile<'_, '_, T, U, G> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let OnlyTile { weights: TileWeights { matrix, restart }, step, .. } = self;
        let (x, start) = step.input.operands(matrix.bias());
        let weights = T::Line::arrays(matrix.all_weights()).as_chunks::<G>().0;
        let starts = &T::Line::arrays(start).as_chunks::<G>().0[0];
        let restart = if U::PARKS { T::Line::of(T::Line::arrays(restart)[0]) } else { T::Line::splat(T::zero()) };
        // Not of a constant length: the compiler would unroll the loop over h, one sum after the other.
        let (h, last) = parts_of_state::<T, U, G>(step.prev, matrix.units());
        let sums = sums::<A, T, T::Line, U, G>(weights, starts, restart, x, h);
        let state = step_of_lines::<A, T, T::Line, U, G>(sums, &T::Line::arrays(last)[0]);
        let [next, next_last] = parts_to_write::<T, U, G>(step.next, matrix.units());
        T::Line::arrays_mut(next)[0] = state[0];
        if U::STATES == 2 {
            T::Line::arrays_mut(next_last)[0] = state[1];
        }
    }
}

impl<T: Element, U: Unit<G>, const G: usize> Kernel for OneRowInPairs<'_, '_, T, U, G> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        if !A::ALL_LINES_AT_ONCE {
            // Trap 8: no code for what isn't used.
            unreachable!("`PackedMatrix::in_pairs` doesn't ask for it");
        }
        let mut tiles = Tiles::<T, G>::new::<U>(self.weights, self.step);
        let count = tiles.prev.len();
        let mut i = 0;
        while i + 2 <= count {
            tiles.two_tiles::<A, U>(i);
            i += 2;
        }
        if i < count {
            tiles.tile::<A, U>(i);
        }
    }
}

impl<T: Element, U: Unit<G>, const G: usize> Kernel for LastTile<'_, '_, T, U, G> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        if self.weights.matrix.units() % T::LANES <= T::HalfLine::LEN {
            self.tile::<A, T::HalfLine>();
        } else {
            self.tile::<A, T::Line>();
        }
    }
}

impl<T: Element, U: Unit<G>, const G: usize> LastTile<'_, '_, T, U, G> {
    #[inline(always)]
    fn tile<A: Arch, V: Lanes<T>>(self) {
        let LastTile { weights: TileWeights { matrix, restart }, step, .. } = self;
        let (x, start) = step.input.operands(matrix.bias());
        let (h, last) = parts_of_state::<T, U, G>(step.prev, matrix.units());
        let [next, next_last] = parts_to_write::<T, U, G>(step.next, matrix.units());
        let unit = last.len() / T::LANES * T::LANES;
        let weights = V::arrays(&matrix.all_weights()[unit * G * matrix.rows()..]);
        let starts = V::arrays(&start[unit * G..]).as_chunks::<G>().0;
        let restart = restart_from::<T, V, U, G>(restart, unit);
        let sums = sums::<A, T, V, U, G>(weights.as_chunks().0, &starts[0], restart, x, h);
        // Trap 5: what is fewer than a vector is copied without a call.
        let mut few = V::splat(T::zero()).array();
        let state = step_of_lines::<A, T, V, U, G>(sums, V::view(&last[unit..], &mut few));
        V::of(state[0]).store(&mut next[unit..]);
        if U::STATES == 2 {
            V::of(state[1]).store(&mut next_last[unit..]);
        }
    }
}

/// A step with other activations: the sums of all tiles go to the scratch, in Keras's order, then whole rows on.
pub(super) struct OneRowUnfused<'a, 'c, T: Element, U, const G: usize> {
    weights: &'a TileWeights<T>,
    step: &'a mut RowStep<'c, T>,
    context: StepContext<'a, T>,
    unit: PhantomData<U>,
}

impl<'a, 'c, T: Element, U, const G: usize> OneRowUnfused<'a, 'c, T, U, G> {
    #[inline(always)]
    pub(super) fn new(weights: &'a TileWeights<T>, step: &'a mut RowStep<'c, T>, context: StepContext<'a, T>) -> Self {
        OneRowUnfused { weights, step, context, unit: PhantomData }
    }
}

impl<T: Element, U: Unit<G>, const G: usize> Kernel for OneRowUnfused<'_, '_, T, U, G> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let OneRowUnfused { weights: TileWeights { matrix, restart }, step, context, .. } = self;
        let activations = context.activations();
        let (groups, rows, units) = (matrix.groups(), matrix.rows(), matrix.units());
        let z = &mut context.scratch[..SUMS * units];
        let (x, start) = step.input.operands(matrix.bias());
        let (h, last) = parts_of_state::<T, U, G>(step.prev, units);
        for i in 0..groups.len() {
            let i = if context.odd_step { groups.len() - 1 - i } else { i };
            let unit = i * T::LANES;
            let (weights, start) = (&matrix.all_weights()[unit * G * rows..], &start[unit * G..]);
            if groups[i].lanes == T::LANES {
                let weights = &weights[..T::LANES * G * rows];
                let restart = restart_from::<T, T::Line, U, G>(restart, unit);
                sums_to_gates::<A, T, T::Line, U, G>((weights, start, restart), (x, h), z, unit);
            } else {
                let restart = restart_from::<T, T::HalfLine, U, G>(restart, unit);
                sums_to_gates::<A, T, T::HalfLine, U, G>((weights, start, restart), (x, h), z, unit);
            }
        }
        U::tape_of_row(arch, z, units, activations);
        U::state_of_row(arch, z, &last[..units], step.next, activations);
    }
}

/// The sums of a tile, as columns of a row of gates.
#[inline(always)]
fn sums_to_gates<A: Arch, T: Element, V: Lanes<T>, U: Unit<G>, const G: usize>(
    (weights, start, restart): (&[T], &[T], V),
    (x, h): (&[T], &[T]),
    gates: &mut [T],
    unit: usize,
) {
    let start = &V::arrays(start).as_chunks::<G>().0[0];
    let sums = sums::<A, T, V, U, G>(V::arrays(weights).as_chunks().0, start, restart, x, h);
    let count = if U::PARKS { G + 1 } else { G };
    for (gate, z) in gates.chunks_exact_mut(h.len()).zip(&sums[..count]) {
        z.store(&mut gate[unit..]);
    }
}

/// h, and the part of the state that the formula reads.
#[inline(always)]
fn parts_of_state<T: Element, U: Unit<G>, const G: usize>(state: &[T], units: usize) -> (&[T], &[T]) {
    if U::STATES == 2 { state.split_at(units) } else { (state, state) }
}

/// The parts of the state after the step: the second is empty if there is but one.
#[inline(always)]
fn parts_to_write<T: Element, U: Unit<G>, const G: usize>(state: &mut [T], units: usize) -> [&mut [T]; 2] {
    if U::STATES == 2 {
        let (first, last) = state.split_at_mut(units);
        [first, last]
    } else {
        [state, &mut []]
    }
}

/// What the sum that parks begins again from, in the tile at `unit`.
#[inline(always)]
fn restart_from<T: Element, V: Lanes<T>, U: Unit<G>, const G: usize>(restart: &[T], unit: usize) -> V {
    if U::PARKS { V::of(V::arrays(&restart[unit..])[0]) } else { V::splat(T::zero()) }
}

/// The sums of a tile.
#[inline(always)]
fn sums<A: Arch, T: Element, V: Lanes<T>, U: Unit<G>, const G: usize>(
    weights: &[[V::Array; G]],
    start: &[V::Array; G],
    restart: V,
    x: &[T],
    h: &[T],
) -> [V; SUMS] {
    let mut sums = [V::splat(T::zero()); G];
    // Trap 1: a constant indexes sums.
    unrolled!(I in 0..G => { sums[I] = V::of(start[I]); });
    sums = add_products_of_row::<A, T, V, G>(sums, &weights[..x.len()], x);
    let of_x = park::<V, U, G>(&mut sums, restart);
    sums = add_products_of_row::<A, T, V, G>(sums, &weights[weights.len() - h.len()..], h);
    all_sums::<V, U, G>(sums, of_x)
}

/// The sums of two tiles.
#[inline(always)]
fn sums_of_two<A: Arch, T: Element, V: Lanes<T>, U: Unit<G>, const G: usize>(
    [a, b]: [&[[V::Array; G]]; 2],
    start: [&[V::Array; G]; 2],
    restart: [V; 2],
    x: &[T],
    h: &[T],
) -> [[V; SUMS]; 2] {
    let mut sums = [[V::splat(T::zero()); G]; 2];
    unrolled!(I in 0..G => {
        sums[0][I] = V::of(start[0][I]);
        sums[1][I] = V::of(start[1][I]);
    });
    sums = add_products_of_row_to_two::<A, T, V, G>(sums, [&a[..x.len()], &b[..x.len()]], x);
    let [first, second] = &mut sums;
    let of_x = [park::<V, U, G>(first, restart[0]), park::<V, U, G>(second, restart[1])];
    let wh = [&a[a.len() - h.len()..], &b[b.len() - h.len()..]];
    sums = add_products_of_row_to_two::<A, T, V, G>(sums, wh, h);
    [all_sums::<V, U, G>(sums[0], of_x[0]), all_sums::<V, U, G>(sums[1], of_x[1])]
}

/// In a unit that parks, x's part of the third gate, whose sum begins again.
#[inline(always)]
fn park<V: Copy, U: Unit<G>, const G: usize>(sums: &mut [V; G], restart: V) -> V {
    if !U::PARKS {
        return restart;
    }
    let of_x = sums[PARKED];
    sums[PARKED] = restart;
    of_x
}

/// A unit's sums in their order: see [`Unit::PARKS`].
#[inline(always)]
fn all_sums<V: Copy, U: Unit<G>, const G: usize>(sums: [V; G], of_x: V) -> [V; SUMS] {
    let mut all = [of_x; SUMS];
    unrolled!(I in 0..G => {
        all[if U::PARKS && I == PARKED { SUMS - 1 } else { I }] = sums[I];
    });
    all
}
