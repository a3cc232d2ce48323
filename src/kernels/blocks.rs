//! Several rows at once: groups outside, blocks of rows inside, so that a group's weights are read from the far memory
//! once and serve all rows from the near one.
//!
//! ```text
//! for group (forwards or backwards):
//!     for block of rows:
//!         z = start, + x * kernel, + h * recurrent          in registers, then on the stack
//!         the cell takes z                                  activations, or another buffer
//! ```
//!
//! The sums are dumped before the cell takes them: a loop over rows that begins while they are still in registers would
//! make the compiler keep them in memory all the time.

use std::array::from_fn;

use super::isa::{Arch, Kernel, dispatch};
use super::lanes::Lanes;
use super::panels::{Group, Panels};
use super::products::{Sums, add_products, unrolled};
use crate::Float;
use crate::rows::{Input, Rows};

/// The most rows in a block.
pub(super) const MOST_ROWS: usize = 8;

/// The sums of a block: `z[line][row]`. With a parked line there are four in a group of three.
pub(super) type Block<V> = [[V; MOST_ROWS]; 4];

fn block<T: Float, V: Lanes<T>>() -> Block<V> {
    [[V::splat(T::zero()); MOST_ROWS]; 4]
}

/// What the sums of a step are made of.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a, T> {
    /// The columns' first values, a z row for all rows or one for each.
    pub start: Start<'a, T>,
    /// The operand of the matrix's first rows; none if `start` has its products already.
    pub x: Option<Rows<'a, T>>,
    /// The operand of the matrix's other rows.
    pub h: Rows<'a, T>,
}

#[derive(Clone, Copy)]
pub(super) enum Start<'a, T> {
    Same(&'a [T]),
    Each(Rows<'a, T>),
}

impl<'a, T: Float> Operands<'a, T> {
    /// Those of a step. `z` is the place of the matrix's columns in a projected row.
    #[inline(always)]
    pub(super) fn new(panels: &'a Panels<T>, input: Input<'a, T>, z: usize, h: Rows<'a, T>) -> Self {
        match input {
            Input::Raw(x) => Operands { start: Start::Same(panels.bias()), x: Some(x), h },
            Input::Projected(rows) => {
                let start = Start::Each(rows.columns(z..z + panels.z_len()));
                Operands { start, x: None, h }
            }
        }
    }
}

/// What a cell does with sums.
pub(super) trait Sink<T: Float> {
    /// Takes the sums of a block of rows, the first of which is the `first` of all that the call has, and may overwrite
    /// them.
    fn take<A: Arch, V: Lanes<T>>(&mut self, group: &Group, first: usize, rows: &[usize], z: &mut Block<V>);
}

/// The sums of all groups of [`Grouping::Gates`](super::panels::Grouping::Gates), `G` lines in each. With `PARK`, the
/// sum of line 2 is handed over as line 3 once x is in it, and begins anew from `restart` for h.
#[inline(always)]
pub(super) fn gates<A: Arch, T: Float, S: Sink<T>, const G: usize, const PARK: bool>(
    panels: &Panels<T>,
    operands: &Operands<'_, T>,
    restart: &[T],
    rows: &[usize],
    backwards: bool,
    sink: &mut S,
) {
    let groups = panels.groups();
    let (mut z, mut half_z) = (block::<T, T::Line>(), block::<T, T::HalfLine>());
    for i in 0..groups.len() {
        let group = &groups[if backwards { groups.len() - 1 - i } else { i }];
        if group.lanes == T::LANES {
            group_of_rows::<A, T, T::Line, S, G, PARK>(panels, group, operands, restart, rows, &mut z, sink);
        } else {
            let z = &mut half_z;
            group_of_rows::<A, T, T::HalfLine, S, G, PARK>(panels, group, operands, restart, rows, z, sink);
        }
    }
}

/// The sums of all groups of [`Grouping::Flat`](super::panels::Grouping::Flat).
#[inline(always)]
pub(super) fn flat<A: Arch, T: Float, S: Sink<T>>(
    panels: &Panels<T>,
    operands: &Operands<'_, T>,
    rows: &[usize],
    backwards: bool,
    sink: &mut S,
) {
    let groups = panels.groups();
    let z = &mut block::<T, T::Line>();
    for i in 0..groups.len() {
        let group = &groups[if backwards { groups.len() - 1 - i } else { i }];
        match group.lines {
            1 => group_of_rows::<A, T, T::Line, S, 1, false>(panels, group, operands, &[], rows, z, sink),
            2 => group_of_rows::<A, T, T::Line, S, 2, false>(panels, group, operands, &[], rows, z, sink),
            3 => group_of_rows::<A, T, T::Line, S, 3, false>(panels, group, operands, &[], rows, z, sink),
            _ => group_of_rows::<A, T, T::Line, S, 4, false>(panels, group, operands, &[], rows, z, sink),
        }
    }
}

/// One group and all rows.
#[inline(always)]
fn group_of_rows<A: Arch, T: Float, V: Lanes<T>, S: Sink<T>, const G: usize, const PARK: bool>(
    panels: &Panels<T>,
    group: &Group,
    operands: &Operands<'_, T>,
    restart: &[T],
    rows: &[usize],
    z: &mut Block<V>,
    sink: &mut S,
) {
    let weights = V::arrays(panels.weights(group)).as_chunks::<G>().0;
    let wx = &weights[..operands.x.map_or(0, |x| x.width())];
    let wh = &weights[weights.len() - operands.h.width()..];
    let restart = if PARK { &restart[group.z / G..] } else { restart };
    let place = Place { wx, wh, z: group.z, restart };
    let mut first = 0;
    while first < rows.len() {
        let count = rows_in_block::<A>(G, rows.len() - first);
        let block = &rows[first..][..count];
        match block.len() {
            1 => lines::<A, T, V, G, 1, PARK>(place, operands, block, z),
            2 => lines::<A, T, V, G, 2, PARK>(place, operands, block, z),
            3 => lines::<A, T, V, G, 3, PARK>(place, operands, block, z),
            4 => lines::<A, T, V, G, 4, PARK>(place, operands, block, z),
            6 => lines::<A, T, V, G, 6, PARK>(place, operands, block, z),
            _ => lines::<A, T, V, G, 8, PARK>(place, operands, block, z),
        }
        sink.take::<A, V>(group, first, block, z);
        first += count;
    }
}

/// How many of the rows that are left make the next block: few sizes, each of which is compiled, and no block of one
/// row after large ones.
#[inline(always)]
fn rows_in_block<A: Arch>(lines: usize, left: usize) -> usize {
    match (A::most_rows(lines), left) {
        (2, left) => left.min(2),
        (_, 5) => 3,
        (_, 7) => 4,
        (6, 8 | 11) => 4,
        (8, 9 | 10) => 6,
        (most, left) => left.min(most),
    }
}

/// A group's weights and columns.
#[derive(Clone, Copy)]
struct Place<'a, T, V: Lanes<T>, const G: usize> {
    wx: &'a [[V::Array; G]],
    wh: &'a [[V::Array; G]],
    z: usize,
    restart: &'a [T],
}

#[inline(always)]
fn lines<A: Arch, T: Float, V: Lanes<T>, const G: usize, const M: usize, const PARK: bool>(
    place: Place<'_, T, V, G>,
    operands: &Operands<'_, T>,
    rows: &[usize],
    z: &mut Block<V>,
) {
    // Sizes that `rows_in_block` never asks for need not be compiled.
    if M > A::most_rows(G) {
        return;
    }
    let start: [&[T]; M] = from_fn(|i| match operands.start {
        Start::Same(z) => &z[place.z..],
        Start::Each(z) => &z.row(rows[i])[place.z..],
    });
    let x: [&[T]; M] = from_fn(|i| operands.x.map_or(&[][..], |x| x.row(rows[i])));
    let h: [&[T]; M] = from_fn(|i| operands.h.row(rows[i]));
    if A::ALL_LINES_AT_ONCE {
        dispatch(A::ISA, Lines::<T, V, G, G, M, PARK> { place, start, x, h, z });
    } else {
        dispatch(A::ISA, Lines::<T, V, G, 1, M, PARK> { place, start, x, h, z });
    }
}

/// The sums of a block, `N` lines at a time.
struct Lines<'a, T, V: Lanes<T>, const G: usize, const N: usize, const M: usize, const PARK: bool> {
    place: Place<'a, T, V, G>,
    start: [&'a [T]; M],
    x: [&'a [T]; M],
    h: [&'a [T]; M],
    z: &'a mut Block<V>,
}

impl<T: Float, V: Lanes<T>, const G: usize, const N: usize, const M: usize, const PARK: bool> Kernel
    for Lines<'_, T, V, G, N, M, PARK>
{
    type Output = ();

    #[inline(always)]
    fn run<A: Arch>(self) {
        let Lines { place: Place { wx, wh, restart, .. }, start, x, h, z } = self;
        for first in (0..G).step_by(N) {
            let mut sums: Sums<V, N, M> = [[V::splat(T::zero()); N]; M];
            unrolled!(I in 0..M => {
                let start = V::arrays(&start[I][..G * V::LEN]);
                unrolled!(J in 0..N => { sums[I][J] = V::of(start[first + J]); });
            });
            sums = add_products::<A, T, V, G, N, M>(sums, wx, first, x);
            if PARK && first <= 2 && 2 < first + N {
                let restart = V::of(V::arrays(&restart[..V::LEN])[0]);
                unrolled!(I in 0..M => {
                    // The line is the only one, or the third.
                    z[3][I] = sums[I][if N == 1 { 0 } else { 2 }];
                    sums[I][if N == 1 { 0 } else { 2 }] = restart;
                });
            }
            sums = add_products::<A, T, V, G, N, M>(sums, wh, first, h);
            unrolled!(I in 0..M => {
                unrolled!(J in 0..N => { z[first + J][I] = sums[I][J]; });
            });
        }
    }
}
