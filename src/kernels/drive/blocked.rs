//! Steps of any rows, in blocks.

use std::marker::PhantomData;

use super::super::KernelStep;
use super::super::blocks::{self, Block, Epilogue, Operands};
use super::super::epilogue::{TileRows, prefetch_tile};
use super::super::isa::{Arch, Kernel};
use super::super::lanes::Lanes;
use super::super::packed::Group;
use super::super::unit::{SUMS, Unit};
use super::{BATCH, TileWeights};
use crate::kernels::Element;
use crate::strided::{Rows, RowsMut};

/// Kernels of the weights and a step.
macro_rules! kernels_of_rows {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        pub(super) struct $name<'a, 'c, T: Element, U, const G: usize> {
            weights: &'a TileWeights<T>,
            call: &'a mut KernelStep<'c, T>,
            unit: PhantomData<U>,
        }

        impl<'a, 'c, T: Element, U, const G: usize> $name<'a, 'c, T, U, G> {
            pub(super) fn new(weights: &'a TileWeights<T>, call: &'a mut KernelStep<'c, T>) -> Self {
                $name { weights, call, unit: PhantomData }
            }
        }
    )*};
}

kernels_of_rows! {
    /// A step of any rows with the default activations.
    Fused,
    /// The same, leaving what the backward pass needs.
    Recorded,
    /// A step of any rows with any activations, which take whole rows from the scratch.
    Unfused,
}

impl<T: Element, U: Unit<G>, const G: usize> Kernel for Fused<'_, '_, T, U, G> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Fused { weights, call, .. } = self;
        let units = weights.matrix.units();
        let operands = Operands::new(&weights.matrix, call.input, 0, call.prev.columns(0..units));
        let mut states = States::<T, U, G> { units, prev: call.prev, next: call.next.reborrow(), unit: PhantomData };
        sums::<A, T, _, U, G>(arch, weights, &operands, call.rows, call.odd_step, &mut states);
    }
}

/// The sums of all tiles of some rows.
#[inline(always)]
fn sums<A: Arch, T: Element, E: Epilogue<T>, U: Unit<G>, const G: usize>(
    arch: A,
    weights: &TileWeights<T>,
    operands: &Operands<'_, T>,
    rows: &[usize],
    backwards: bool,
    epilogue: &mut E,
) {
    let TileWeights { matrix, restart } = weights;
    if U::PARKS {
        blocks::gates::<A, T, _, G, true>(arch, matrix, operands, restart, rows, backwards, epilogue);
    } else {
        blocks::gates::<A, T, _, G, false>(arch, matrix, operands, &[], rows, backwards, epilogue);
    }
}

/// Takes the sums of a tile to the states.
struct States<'a, T, U, const G: usize> {
    units: usize,
    prev: Rows<'a, T>,
    next: RowsMut<'a, T>,
    unit: PhantomData<U>,
}

impl<T: Element, U: Unit<G>, const G: usize> Epilogue<T> for States<'_, T, U, G> {
    #[inline(always)]
    fn consume<A: Arch, V: Lanes<T>>(&mut self, group: &Group, _first: usize, rows: &[usize], z: &mut Block<V>) {
        for (i, &row) in rows.iter().enumerate() {
            let unit = group.z / G;
            let mut few = V::splat(T::zero()).array();
            let prev = V::view(self.prev_tile(row, unit), &mut few);
            let next = step_of_lines::<A, T, V, U, G>([z[0][i], z[1][i], z[2][i], z[3][i]], prev);
            self.store::<V>(row, unit, next);
        }
    }
}

impl<T: Element, U: Unit<G>, const G: usize> States<'_, T, U, G> {
    /// The old state's last part, from the tile on.
    #[inline(always)]
    fn prev_tile(&self, row: usize, unit: usize) -> &[T] {
        let last = (U::STATES - 1) * self.units;
        &self.prev.row(row)[last + unit..last + self.units]
    }

    /// A tile's part of the state.
    #[inline(always)]
    fn store<V: Lanes<T>>(&mut self, row: usize, unit: usize, state: [V::Array; 2]) {
        let (units, next) = (self.units, self.next.row_mut(row));
        V::of(state[0]).store(&mut next[unit..units]);
        if U::STATES == 2 {
            V::of(state[1]).store(&mut next[units + unit..2 * units]);
        }
    }
}

/// The new state of a tile from its sums, and the old state's last part: of a state with one part, the first array.
#[inline(always)]
pub(in crate::kernels) fn step_of_lines<A: Arch, T: Element, V: Lanes<T>, U: Unit<G>, const G: usize>(
    sums: [V; SUMS],
    prev: &V::Array,
) -> [V::Array; 2] {
    let sums = [sums[0].array(), sums[1].array(), sums[2].array(), sums[3].array()];
    let [a, b, c, d] = [sums[0].as_ref(), sums[1].as_ref(), sums[2].as_ref(), sums[3].as_ref()];
    let zero = V::splat(T::zero()).array();
    let (mut first, mut last) = (zero, zero);
    let prev = prev.as_ref();
    for j in 0..V::LEN {
        let state = U::step::<A, T>([a[j], b[j], c[j], d[j]], prev[j]);
        first.as_mut()[j] = state[0];
        if U::STATES == 2 {
            last.as_mut()[j] = state[1];
        }
    }
    [first, last]
}

impl<T: Element, U: Unit<G>, const G: usize> Kernel for Recorded<'_, '_, T, U, G> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Recorded { weights, call, .. } = self;
        let units = weights.matrix.units();
        let tape = call.tape.as_mut().expect("recording was asked for");
        let operands = Operands::new(&weights.matrix, call.input, 0, call.prev.columns(0..units));
        let states = States::<T, U, G> { units, prev: call.prev, next: call.next.reborrow(), unit: PhantomData };
        let mut epilogue = RecordedStates { states, tape: tape.reborrow() };
        sums::<A, T, _, U, G>(arch, weights, &operands, call.rows, call.odd_step, &mut epilogue);
    }
}

/// Takes the sums of a tile to the states, and to the tape what the backward pass needs.
struct RecordedStates<'a, T, U, const G: usize> {
    states: States<'a, T, U, G>,
    tape: RowsMut<'a, T>,
}

impl<T: Element, U: Unit<G>, const G: usize> Epilogue<T> for RecordedStates<'_, T, U, G> {
    #[inline(always)]
    fn consume<A: Arch, V: Lanes<T>>(&mut self, group: &Group, _first: usize, rows: &[usize], z: &mut Block<V>) {
        let (units, unit) = (self.states.units, group.z / G);
        for (i, &row) in rows.iter().enumerate() {
            let mut few = V::splat(T::zero()).array();
            let prev = V::view(self.states.prev_tile(row, unit), &mut few);
            let sums = [z[0][i], z[1][i], z[2][i], z[3][i]];
            let (state, parts) = step_and_tape_of_lines::<A, T, V, U, G>(sums, prev);
            self.states.store::<V>(row, unit, state);
            for (part, tape) in parts.into_iter().zip(self.tape.row_mut(row).chunks_exact_mut(units)) {
                V::of(part).store(&mut tape[unit..]);
            }
        }
    }

    #[inline(always)]
    fn prefetch(&self, group: &Group, rows: &[usize]) {
        let (units, unit) = (self.states.units, group.z / G);
        prefetch_tile(&self.tape, units, unit, rows);
        prefetch_tile(&self.states.next, units, unit, rows);
    }
}

/// [`step_of_lines`] and the tape: in one loop, so that what both need is computed once.
#[inline(always)]
fn step_and_tape_of_lines<A: Arch, T: Element, V: Lanes<T>, U: Unit<G>, const G: usize>(
    sums: [V; SUMS],
    prev: &V::Array,
) -> ([V::Array; 2], [V::Array; SUMS]) {
    let sums = [sums[0].array(), sums[1].array(), sums[2].array(), sums[3].array()];
    let [a, b, c, d] = [sums[0].as_ref(), sums[1].as_ref(), sums[2].as_ref(), sums[3].as_ref()];
    let zero = V::splat(T::zero()).array();
    let (mut first, mut last, mut tape) = (zero, zero, [zero; SUMS]);
    let [to_a, to_b, to_c, to_d] = &mut tape;
    let (to_a, to_b, to_c, to_d) = (to_a.as_mut(), to_b.as_mut(), to_c.as_mut(), to_d.as_mut());
    let prev = prev.as_ref();
    for j in 0..V::LEN {
        let sums = [a[j], b[j], c[j], d[j]];
        let state = U::step::<A, T>(sums, prev[j]);
        first.as_mut()[j] = state[0];
        if U::STATES == 2 {
            last.as_mut()[j] = state[1];
        }
        [to_a[j], to_b[j], to_c[j], to_d[j]] = U::tape::<A, T>(sums);
    }
    ([first, last], tape)
}

impl<T: Element, U: Unit<G>, const G: usize> Kernel for Unfused<'_, '_, T, U, G> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Unfused { weights, call, .. } = self;
        let activations = call.activations();
        let units = weights.matrix.units();
        let (width, last) = (SUMS * units, (U::STATES - 1) * units);
        let operands = Operands::new(&weights.matrix, call.input, 0, call.prev.columns(0..units));
        for rows in call.rows.chunks(BATCH) {
            let out = &mut call.scratch[..rows.len() * width];
            sums::<A, T, _, U, G>(arch, weights, &operands, rows, call.odd_step, &mut TileRows { out, units });
            for (&row, z) in rows.iter().zip(call.scratch.chunks_exact_mut(width)) {
                let (prev, next) = (&call.prev.row(row)[last..last + units], call.next.row_mut(row));
                U::tape_of_row(arch, z, units, activations);
                U::state_of_row(arch, z, prev, next, activations);
                if let Some(tape) = &mut call.tape {
                    tape.row_mut(row)[..width].copy_from_slice(z);
                }
            }
        }
    }
}
