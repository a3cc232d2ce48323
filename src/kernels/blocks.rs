//! Several rows at once: groups outside, blocks of rows inside, so that a group's weights are read from the far memory
//! once and serve all rows from the near one.
//!
//! ```text
//! for group (forwards or backwards):
//!     for block of rows:
//!         z = start, + x * kernel, + h * recurrent          in registers, then on the stack
//!         the epilogue consumes z                           activations, or another buffer
//! ```
//!
//! Trap 1: the sums are dumped before the epilogue consumes them: a loop over rows that begins while they are still in
//! registers would make the compiler keep them in memory all the time.

use super::isa::{Arch, Kernel, dispatch};
use super::lanes::Lanes;
use super::packed::{Group, PackedMatrix};
use super::products::{add_products, unrolled};
use super::unit::SUMS;
use crate::kernels::Element;
use crate::strided::{Input, Rows};

/// The line that parks: the third gate of a unit.
pub(super) const PARKED: usize = 2;

/// The most rows in a block.
pub(super) const MOST_ROWS: usize = 8;

/// The sums of a block: `z[line][row]`. With a parked line there are four in a group of three.
pub(super) type Block<V> = [[V; MOST_ROWS]; SUMS];

fn block<T: Element, V: Lanes<T>>() -> Block<V> {
    [[V::splat(T::zero()); MOST_ROWS]; SUMS]
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
    /// Whether the rows of h are in the order of the call's rows, not at their indices.
    pub h_in_order: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Start<'a, T> {
    Same(&'a [T]),
    Each(Rows<'a, T>),
}

impl<'a, T: Element> Operands<'a, T> {
    /// Those of a step. `z` is the place of the matrix's columns in a projected row.
    #[inline(always)]
    pub(super) fn new(matrix: &'a PackedMatrix<T>, input: Input<'a, T>, z: usize, h: Rows<'a, T>) -> Self {
        match input {
            Input::Raw(x) => Operands { start: Start::Same(matrix.bias()), x: Some(x), h, h_in_order: false },
            Input::Projected(rows) => {
                let start = Start::Each(rows.columns(z..z + matrix.z_len()));
                Operands { start, x: None, h, h_in_order: false }
            }
        }
    }
}

/// What is done with sums.
pub(super) trait Epilogue<T: Element> {
    /// Consumes the sums of a block of rows, the first of which is the `first` of all that the call has, and may
    /// overwrite them.
    fn consume<A: Arch, V: Lanes<T>>(&mut self, group: &Group, first: usize, rows: &[usize], z: &mut Block<V>);

    /// Asks for what [`consume`](Self::consume) will touch of a block, while the sums are computed: worth it for memory
    /// that no step before this one has had near.
    #[inline(always)]
    fn prefetch(&self, _group: &Group, _rows: &[usize]) {}
}

/// The sums of all groups of [`Grouping::Gates`](super::packed::Grouping::Gates), `G` lines in each. With `PARK`, the
/// sum of line 2 is handed over once x is in it, and begins again from `restart` for h, whose sum is line 3.
#[inline(always)]
pub(super) fn gates<A: Arch, T: Element, S: Epilogue<T>, const G: usize, const PARK: bool>(
    arch: A,
    matrix: &PackedMatrix<T>,
    operands: &Operands<'_, T>,
    restart: &[T],
    rows: &[usize],
    backwards: bool,
    epilogue: &mut S,
) {
    let groups = matrix.groups();
    let (mut z, mut half_z) = (block::<T, T::Line>(), block::<T, T::HalfLine>());
    for i in 0..groups.len() {
        let group = &groups[if backwards { groups.len() - 1 - i } else { i }];
        let restart = if PARK { &restart[group.z / G..] } else { restart };
        let of_group = OfGroup { weights: matrix.weights(group), z: group.z, restart, operands };
        let mut first = 0;
        while first < rows.len() {
            let rows = &rows[first..][..rows_in_block::<A>(G, rows.len() - first)];
            epilogue.prefetch(group, rows);
            if group.lanes == T::LANES {
                dispatch(arch.isa(), Sums::<T, T::Line, G, PARK> { of_group, first, rows, z: &mut z });
                epilogue.consume::<A, T::Line>(group, first, rows, &mut z);
            } else {
                dispatch(arch.isa(), Sums::<T, T::HalfLine, G, PARK> { of_group, first, rows, z: &mut half_z });
                epilogue.consume::<A, T::HalfLine>(group, first, rows, &mut half_z);
            }
            first += rows.len();
        }
    }
}

/// The sums of all groups of [`Grouping::Flat`](super::packed::Grouping::Flat).
#[inline(always)]
pub(super) fn flat<A: Arch, T: Element, S: Epilogue<T>>(
    arch: A,
    matrix: &PackedMatrix<T>,
    operands: &Operands<'_, T>,
    rows: &[usize],
    backwards: bool,
    epilogue: &mut S,
) {
    let groups = matrix.groups();
    let z = &mut block::<T, T::Line>();
    for i in 0..groups.len() {
        let group = &groups[if backwards { groups.len() - 1 - i } else { i }];
        let of_group = OfGroup { weights: matrix.weights(group), z: group.z, restart: &[], operands };
        let mut first = 0;
        while first < rows.len() {
            let rows = &rows[first..][..rows_in_block::<A>(group.lines, rows.len() - first)];
            match group.lines {
                1 => dispatch(arch.isa(), Sums::<T, T::Line, 1, false> { of_group, first, rows, z }),
                2 => dispatch(arch.isa(), Sums::<T, T::Line, 2, false> { of_group, first, rows, z }),
                3 => dispatch(arch.isa(), Sums::<T, T::Line, 3, false> { of_group, first, rows, z }),
                _ => dispatch(arch.isa(), Sums::<T, T::Line, 4, false> { of_group, first, rows, z }),
            }
            epilogue.consume::<A, T::Line>(group, first, rows, z);
            first += rows.len();
        }
    }
}

/// Trap 8. How many of the rows that are left make the next block: few sizes, each of which is compiled, and no block
/// of one row after large ones.
#[inline(always)]
fn rows_in_block<A: Arch>(lines: usize, left: usize) -> usize {
    match (A::MOST_ROWS[lines], left) {
        (2, left) => left.min(2),
        (_, 5) => 3,
        (_, 7) => 4,
        (6, 8 | 11) => 4,
        (8, 9 | 10) => 6,
        (most, left) => left.min(most),
    }
}

/// What the sums of a group are made of.
#[derive(Clone, Copy)]
struct OfGroup<'a, T> {
    weights: &'a [T],
    /// The place of its columns in a z row.
    z: usize,
    /// What the parked line begins again from, if there is one.
    restart: &'a [T],
    operands: &'a Operands<'a, T>,
}

/// The sums of a block of rows of a group with `G` lines.
struct Sums<'a, T, V, const G: usize, const PARK: bool> {
    of_group: OfGroup<'a, T>,
    /// The place of the first of these rows in the call.
    first: usize,
    rows: &'a [usize],
    z: &'a mut Block<V>,
}

impl<T: Element, V: Lanes<T>, const G: usize, const PARK: bool> Kernel for Sums<'_, T, V, G, PARK> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        match self.rows.len() {
            1 => self.lines::<A, 1>(),
            2 => self.lines::<A, 2>(),
            3 => self.lines::<A, 3>(),
            4 => self.lines::<A, 4>(),
            6 => self.lines::<A, 6>(),
            _ => self.lines::<A, 8>(),
        }
    }
}

impl<T: Element, V: Lanes<T>, const G: usize, const PARK: bool> Sums<'_, T, V, G, PARK> {
    #[inline(always)]
    fn lines<A: Arch, const M: usize>(self) {
        if const { M > A::MOST_ROWS[G] } {
            // Trap 8: `rows_in_block` doesn't ask for it, so it need not be compiled.
            unreachable!("more rows than registers");
        } else if const { A::ALL_LINES_AT_ONCE || M == 1 } {
            self.lines_at_once::<A, G, M>();
        } else {
            self.lines_at_once::<A, 1, M>();
        }
    }

    /// The sums, `N` lines at a time.
    #[inline(always)]
    fn lines_at_once<A: Arch, const N: usize, const M: usize>(self) {
        let Sums { of_group: OfGroup { weights, z: place, restart, operands }, first, rows, z } = self;
        let weights = V::arrays(weights).as_chunks::<G>().0;
        let wx = &weights[..operands.x.map_or(0, |x| x.width())];
        let wh = &weights[weights.len() - operands.h.width()..];
        let (mut start, mut x, mut h) = ([&[][..]; M], [&[][..]; M], [&[][..]; M]);
        for (i, &row) in rows[..M].iter().enumerate() {
            start[i] = match operands.start {
                Start::Same(z) => &z[place..][..G * V::LEN],
                Start::Each(z) => &z.row(row)[place..][..G * V::LEN],
            };
            if let Some(rows) = operands.x {
                x[i] = rows.row(row);
            }
            h[i] = operands.h.row(if operands.h_in_order { first + i } else { row });
        }
        for first in (0..G).step_by(N) {
            let mut sums = [[V::splat(T::zero()); N]; M];
            unrolled!(I in 0..M => {
                let start = V::arrays(start[I]);
                unrolled!(J in 0..N => { sums[I][J] = V::of(start[first + J]); });
            });
            sums = add_products::<A, T, V, G, N, M>(sums, wx, first, x);
            if PARK && first <= PARKED && PARKED < first + N {
                let restart = V::of(V::arrays(&restart[..V::LEN])[0]);
                unrolled!(I in 0..M => {
                    // The line is the only one, or the third.
                    z[PARKED][I] = sums[I][if N == 1 { 0 } else { PARKED }];
                    sums[I][if N == 1 { 0 } else { PARKED }] = restart;
                });
            }
            sums = add_products::<A, T, V, G, N, M>(sums, wh, first, h);
            unrolled!(I in 0..M => {
                unrolled!(J in 0..N => {
                    let line = if PARK && first + J == PARKED { SUMS - 1 } else { first + J };
                    z[line][I] = sums[I][J];
                });
            });
        }
    }
}
