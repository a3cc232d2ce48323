//! The outer products of a chunk of steps, as work that can be shared.

use super::super::isa::{Isa, dispatch};
use super::outer::Outer;
#[cfg(feature = "rayon")]
use super::outer::{MOST_K, block_width};
use super::{Columns, Form, GradientLayout};
use crate::kernels::Element;
use crate::strided::Rows;

/// Steps whose weights' gradients are summed together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BackwardChunk<'a, T> {
    /// The live rows of all steps, in the order in which they are summed, as indices into all that follows.
    pub rows: &'a [usize],
    /// Those of them whose state before the step was not zero by a reset.
    pub recurrent_rows: &'a [usize],
    pub x: Rows<'a, T>,
    pub prev: Rows<'a, T>,
    pub tape: Rows<'a, T>,
    pub dz: Rows<'a, T>,
}

/// What dz is multiplied with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operand {
    X,
    H,
    /// `r h`.
    ResetH,
}

/// Outer products that are summed: an operand's columns times some of dz's.
#[derive(Debug, Clone, Copy)]
pub(super) struct OuterProduct {
    pub operand: Operand,
    pub part: Columns,
    /// The operand's columns, and those of dz.
    pub size: (usize, usize),
}

impl OuterProduct {
    /// The elements of the sums.
    pub fn len(self) -> usize {
        self.size.0 * self.size.1
    }
}

impl GradientLayout {
    /// All outer products of a cell, in the order of their sums.
    pub(super) fn outer_products(&'static self, input_size: usize, units: usize) -> impl Iterator<Item = OuterProduct> {
        let outer = move |operand, operand_size, part: Columns| OuterProduct {
            operand,
            part,
            size: (operand_size, part.count * units),
        };
        let of_kernel = self.kernel.iter().map(move |&part| outer(Operand::X, input_size, part));
        let of_h = std::iter::once(outer(Operand::H, units, self.recurrent));
        let of_candidate = self.candidate.map(|part| outer(Operand::ResetH, units, part));
        of_kernel.chain(of_h).chain(of_candidate)
    }
}

/// The outer products of a chunk of steps, or a share of them: some rows of blocks of sums that follow one another.
/// Which share a sum is in changes nothing about it.
#[derive(Debug)]
pub(crate) struct ChunkWork<'a, T> {
    pub(super) isa: Isa,
    pub(super) form: Form,
    /// The cell's input size and units.
    pub(super) sizes: (usize, usize),
    pub(super) call: BackwardChunk<'a, T>,
    /// The sums before these.
    pub(super) first: usize,
    pub(super) sums: &'a mut [T],
}

impl<T: Element> ChunkWork<'_, T> {
    /// All of it.
    pub(crate) fn run_here(self) {
        let ChunkWork { isa, form, sizes: (input_size, units), call, first, mut sums } = self;
        let (mut at, end) = (0, first + sums.len());
        for product in form.layout().outer_products(input_size, units) {
            let from = first.max(at);
            let to = end.min(at + product.len());
            if from < to {
                let (own, others) = sums.split_at_mut(to - from);
                sums = others;
                let part = product.part;
                let dz = call.dz.columns(part.dz * units..(part.dz + part.count) * units);
                let (operand, rows) = match product.operand {
                    Operand::X => (call.x, call.rows),
                    Operand::H => (call.prev.columns(0..units), call.recurrent_rows),
                    Operand::ResetH => (call.tape.columns(3 * units..4 * units), call.recurrent_rows),
                };
                dispatch(isa, Outer { operand, dz, rows, skip: from - at, sums: own });
            }
            at += product.len();
        }
    }
}

#[cfg(feature = "rayon")]
impl<T: Element> ChunkWork<'_, T> {
    /// Its multiplications.
    pub(crate) fn work(&self) -> usize {
        self.sums.len() * self.call.rows.len()
    }

    /// Two shares of about the same size, if it is of any size.
    pub(crate) fn split(self) -> (Self, Option<Self>) {
        let middle = self.first + self.sums.len() / 2;
        let (input_size, units) = self.sizes;
        let mut at = 0;
        for OuterProduct { size: (operand, columns), .. } in self.form.layout().outer_products(input_size, units) {
            let mut column = 0;
            while column < columns {
                let width = block_width::<T>(self.isa.all_lines_at_once(), columns - column);
                if middle < at + operand * width {
                    // As many rows of the block as are summed in registers at a time, or all.
                    let k = ((middle - at) / width).next_multiple_of(MOST_K).min(operand);
                    return self.split_at(at + k * width);
                }
                column += width;
                at += operand * width;
            }
        }
        (self, None)
    }

    /// The sums before a place and the others.
    fn split_at(self, place: usize) -> (Self, Option<Self>) {
        if place <= self.first || place >= self.first + self.sums.len() {
            return (self, None);
        }
        let (first, second) = self.sums.split_at_mut(place - self.first);
        (Self { sums: first, ..self }, Some(Self { sums: second, first: place, ..self }))
    }
}

#[cfg(all(test, feature = "rayon"))]
mod tests {
    use super::*;

    fn run_in_shares(work: ChunkWork<'_, f32>, shares: &mut usize) {
        match work.split() {
            (first, Some(second)) => {
                run_in_shares(first, shares);
                run_in_shares(second, shares);
            }
            (all, None) => {
                *shares += 1;
                all.run_here();
            }
        }
    }

    /// Cut as finely as can be, within blocks too, each sum has the bits of the whole.
    #[test]
    fn shares_have_the_bits_of_the_whole() {
        let (input_size, units, count) = (7, 21, 9);
        let numbers = |len: usize, seed: f32| -> Vec<f32> { (0..len).map(|i| (i as f32 * seed).sin()).collect() };
        let (x, prev) = (numbers(count * input_size, 0.7), numbers(count * units, 1.3));
        let (tape, dz) = (numbers(count * 4 * units, 0.9), numbers(count * 4 * units, 2.1));
        let rows: Vec<usize> = (0..count).collect();
        let call = BackwardChunk {
            rows: &rows,
            recurrent_rows: &rows[2..],
            x: Rows::packed(&x, input_size),
            prev: Rows::packed(&prev, units),
            tape: Rows::packed(&tape, 4 * units),
            dz: Rows::packed(&dz, 4 * units),
        };
        for isa in Isa::available() {
            for form in Form::ALL.iter().copied() {
                let len = form.layout().outer_products(input_size, units).map(|outer| outer.len()).sum();
                let (mut whole, mut shared, mut shares) = (vec![0.0; len], vec![0.0; len], 0);
                let work = |sums| ChunkWork { isa, form, sizes: (input_size, units), call, first: 0, sums };
                work(&mut whole[..]).run_here();
                run_in_shares(work(&mut shared[..]), &mut shares);
                assert_eq!(shared, whole, "{form:?} on {isa:?}");
                assert!(shares > form.layout().gates * units / 16, "{form:?}: only {shares} shares");
                assert!(whole.iter().all(|&sum| sum != 0.0));
            }
        }
    }
}
