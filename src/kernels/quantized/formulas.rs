//! From the sums of rows to their new states: the formulas of the f32 layers.
//!
//! A row of sums has the gates in Keras's order, and a GRU's one part more behind them:
//!
//! ```text
//! SimpleRNN    h
//! LSTM         i  f  g  o
//! GRU, after   z  r  h R + b' of g  x K + b of g
//! GRU, before  z  r  g  r h
//! ```

use super::super::activate::apply;
use super::super::backward::Form;
use super::super::drive::blocked::step_of_lines;
use super::super::isa::{Arch, Isa, Kernel, TwoRoundings, dispatch};
use super::super::lanes::{Lanes, Vectors};
use super::super::unit::{Activations, SUMS, Unit, apply_to_gates};
use super::super::units::formulas;
use super::super::units::gru_after::GruAfter;
use super::super::units::gru_before::reset;
use super::super::units::lstm::Lstm;
use super::LINE;
use crate::activation::Activation;
use crate::strided::{Rows, RowsMut};

type Line = <f32 as Vectors>::Line;

/// The length of a row of sums.
pub(super) fn sums_len(form: Form, units: usize) -> usize {
    match form {
        Form::SimpleRnn => units,
        Form::Lstm | Form::GruAfter | Form::GruBefore => SUMS * units,
    }
}

/// What is computed of sums.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// `z` and `r h` of a GRU with the reset before the product.
    Reset,
    /// The new state.
    State,
}

/// Some rows of a step: row `i` of the sums belongs to row `rows[i]` of the states.
pub(super) struct Formulas<'a> {
    pub form: Form,
    pub part: Part,
    pub units: usize,
    pub rows: &'a [usize],
    pub sums: RowsMut<'a, f32>,
    pub prev: Rows<'a, f32>,
    pub next: RowsMut<'a, f32>,
    pub activations: Activations<'a>,
}

impl Formulas<'_> {
    /// All of it, multiply-adds rounded twice on every machine if so said.
    pub(super) fn run(self, isa: Isa, rounds_twice: bool) {
        if rounds_twice {
            dispatch(isa, Rounded::<true>(self));
        } else {
            dispatch(isa, Rounded::<false>(self));
        }
    }

    #[inline(always)]
    fn run_here<A: Arch>(mut self, arch: A) {
        for (i, &row) in self.rows.iter().enumerate() {
            let sums = &mut self.sums.row_mut(i)[..sums_len(self.form, self.units)];
            let (prev, next) = (self.prev.row(row), self.next.row_mut(row));
            let (units, activations) = (self.units, self.activations);
            match (self.form, self.part) {
                (Form::SimpleRnn, _) => simple_rnn(arch, sums, next, activations.candidate),
                (Form::Lstm, _) => step::<A, Lstm, 4>(arch, units, sums, prev, next, activations),
                (Form::GruAfter, _) => step::<A, GruAfter, 3>(arch, units, sums, prev, next, activations),
                (Form::GruBefore, Part::Reset) => resets(arch, units, sums, prev, activations),
                (Form::GruBefore, Part::State) => candidates(arch, units, sums, prev, next, activations),
            }
        }
    }
}

struct Rounded<'a, const TWICE: bool>(Formulas<'a>);

impl<const TWICE: bool> Kernel for Rounded<'_, TWICE> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        if const { TWICE } {
            self.0.run_here(TwoRoundings(arch));
        } else {
            self.0.run_here(arch);
        }
    }
}

#[inline(always)]
fn simple_rnn<A: Arch>(arch: A, sums: &[f32], next: &mut [f32], activation: &Activation) {
    let next = &mut next[..sums.len()];
    if matches!(activation, Activation::Tanh) {
        for (next, &z) in next.iter_mut().zip(sums) {
            *next = formulas::tanh::<A, f32>(z);
        }
    } else {
        next.copy_from_slice(sums);
        apply::<A, f32>(arch, activation, next);
    }
}

/// A cell whose gates stand side by side.
#[inline(always)]
fn step<A: Arch, U: Unit<G>, const G: usize>(
    arch: A,
    units: usize,
    sums: &mut [f32],
    prev: &[f32],
    next: &mut [f32],
    activations: Activations<'_>,
) {
    let last = (U::STATES - 1) * units;
    let prev = &prev[last..last + units];
    if !activations.are_default() {
        if U::PARKS {
            let (h, x) = sums[2 * units..].split_at_mut(units);
            h.swap_with_slice(x);
        }
        U::tape_of_row(arch, sums, units, activations);
        return U::state_of_row(arch, sums, prev, next, activations);
    }
    let (first, rest) = sums.split_at(units);
    let (second, rest) = rest.split_at(units);
    let (third, fourth) = rest.split_at(units);
    let (third, fourth) = if U::PARKS { (fourth, third) } else { (third, fourth) };
    let (next_first, next_last) = next.split_at_mut(units);
    for unit in (0..units).step_by(LINE) {
        let tile = unit..units.min(unit + LINE);
        let mut few = [[0.0; LINE]; 5];
        let [a, b, c, d, e] = &mut few;
        let sums = [
            Line::of(*Line::view(&first[tile.clone()], a)),
            Line::of(*Line::view(&second[tile.clone()], b)),
            Line::of(*Line::view(&third[tile.clone()], c)),
            Line::of(*Line::view(&fourth[tile.clone()], d)),
        ];
        let state = step_of_lines::<A, f32, Line, U, G>(sums, Line::view(&prev[tile.clone()], e));
        Line::of(state[0]).store(&mut next_first[tile.clone()]);
        if U::STATES == 2 {
            Line::of(state[1]).store(&mut next_last[tile]);
        }
    }
}

/// `z` and `r h`.
#[inline(always)]
fn resets<A: Arch>(arch: A, units: usize, sums: &mut [f32], h: &[f32], activations: Activations<'_>) {
    let (zr, rest) = sums.split_at_mut(2 * units);
    let (h, rh) = (&h[..units], &mut rest[units..]);
    if activations.are_default() {
        let (z, r) = zr.split_at_mut(units);
        for z in z.iter_mut() {
            *z = formulas::sigmoid::<A, f32>(*z);
        }
        for ((rh, &r), &h) in rh.iter_mut().zip(&*r).zip(h) {
            *rh = reset::<A, f32>(r, h);
        }
    } else {
        apply_to_gates::<A, f32>(arch, activations.gates, zr, units);
        for ((rh, &r), &h) in rh.iter_mut().zip(&zr[units..]).zip(h) {
            *rh = r * h;
        }
    }
}

/// The candidates, and the new state.
#[inline(always)]
fn candidates<A: Arch>(
    arch: A,
    units: usize,
    sums: &mut [f32],
    prev: &[f32],
    next: &mut [f32],
    activations: Activations<'_>,
) {
    let (z, rest) = sums.split_at_mut(units);
    let g = &mut rest[units..2 * units];
    if activations.are_default() {
        for g in g.iter_mut() {
            *g = formulas::tanh::<A, f32>(*g);
        }
    } else {
        apply::<A, f32>(arch, activations.candidate, g);
    }
    let states = next.iter_mut().zip(prev);
    for ((next, &prev), (&z, &g)) in states.zip(z.iter().zip(&*g)) {
        *next = formulas::mix::<A, f32>(z, prev, g);
    }
}
