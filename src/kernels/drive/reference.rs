//! The specification: a step as plain loops over one row, any activation, dropout, all that training saves. Here that of
//! the cells whose gates are the lines of a tile; what it computes of a unit, and the others, stand in `units`.
//!
//! Every other kernel gives the bits of this one. It also runs itself: where dropout masks are given, and for
//! activations that need a whole row.
//!
//! A preactivation is summed in one order: `bias`, then `x[k] * kernel[k]` for each k, then `h[k] * recurrent[k]`, each
//! term by one [`Arch::mul_add`].

use std::marker::PhantomData;

use super::super::KernelStep;
use super::super::blocks::PARKED;
use super::super::isa::{Arch, Kernel};
use super::super::packed::PackedMatrix;
use super::super::units::{SUMS, Unit};
use super::TileWeights;
use crate::kernels::Element;
use crate::rows::{Input, Rows};

/// The operand of a product: values, and masks that multiply them first.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Operand<'a, T> {
    values: &'a [T],
    mask: Option<&'a [T]>,
}

impl<'a, T: Element> Operand<'a, T> {
    /// Values without masks.
    pub(in crate::kernels) fn plain(values: &'a [T]) -> Self {
        Operand { values, mask: None }
    }

    /// Row `row` of `values`, with its mask if there are masks.
    pub(in crate::kernels) fn of_row(values: &'a [T], masks: Option<Rows<'a, T>>, row: usize) -> Self {
        Operand { values, mask: masks.map(|m| m.row(row)) }
    }

    /// Element `k` for one gate: a mask row serves all gates, or has one operand's width for each.
    #[inline(always)]
    pub(in crate::kernels) fn get(&self, gate: usize, k: usize) -> T {
        match self.mask {
            None => self.values[k],
            Some(mask) if mask.len() == self.values.len() => self.values[k] * mask[k],
            Some(mask) => self.values[k] * mask[gate * self.values.len() + k],
        }
    }

    pub(in crate::kernels) fn len(&self) -> usize {
        self.values.len()
    }
}

/// `sum + operand * weights`, in the operand's order. `mask_gate` chooses the mask.
#[inline(always)]
pub(in crate::kernels) fn add_products<'a, A: Arch, T: Element>(
    mut sum: T,
    weights: impl Iterator<Item = &'a T>,
    operand: &Operand<'_, T>,
    mask_gate: usize,
) -> T {
    for (k, &w) in weights.take(operand.len()).enumerate() {
        sum = A::mul_add(w, operand.get(mask_gate, k), sum);
    }
    sum
}

/// `bias + x * kernel` of a column, or what was projected.
#[inline(always)]
pub(in crate::kernels) fn input_part<A: Arch, T: Element>(
    matrix: &PackedMatrix<T>,
    gate: usize,
    unit: usize,
    x: &InputRow<'_, T>,
    mask_gate: usize,
) -> T {
    let at = matrix.z_index(gate, unit);
    match x {
        InputRow::Raw(x) => add_products::<A, T>(matrix.bias()[at], matrix.column(gate, unit), x, mask_gate),
        InputRow::Projected(z) => z[at],
    }
}

/// One row of the input.
pub(in crate::kernels) enum InputRow<'a, T> {
    Raw(Operand<'a, T>),
    Projected(&'a [T]),
}

/// The input of row `row`.
pub(in crate::kernels) fn input_row<'a, T: Element>(call: &KernelStep<'a, T>, row: usize) -> InputRow<'a, T> {
    match call.input {
        Input::Raw(x) => InputRow::Raw(Operand::of_row(x.row(row), call.dropout.and_then(|d| d.input), row)),
        Input::Projected(z) => InputRow::Projected(z.row(row)),
    }
}

/// The recurrent operand of row `row`.
pub(in crate::kernels) fn state_row<'a, T: Element>(
    call: &KernelStep<'a, T>,
    units: usize,
    row: usize,
) -> Operand<'a, T> {
    Operand::of_row(&call.prev.row(row)[..units], call.dropout.and_then(|d| d.recurrent), row)
}

/// A preactivation of one column.
#[inline(always)]
pub(in crate::kernels) fn preactivation<A: Arch, T: Element>(
    matrix: &PackedMatrix<T>,
    input_size: usize,
    gate: usize,
    unit: usize,
    x: &InputRow<'_, T>,
    h: &Operand<'_, T>,
) -> T {
    let sum = input_part::<A, T>(matrix, gate, unit, x, gate);
    add_products::<A, T>(sum, matrix.column(gate, unit).skip(input_size), h, gate)
}

/// Any step of any cell whose gates are the lines of a tile.
pub(super) struct Reference<'a, 'c, T: Element, U, const G: usize> {
    weights: &'a TileWeights<T>,
    input_size: usize,
    call: &'a mut KernelStep<'c, T>,
    unit: PhantomData<U>,
}

impl<'a, 'c, T: Element, U, const G: usize> Reference<'a, 'c, T, U, G> {
    pub(super) fn new(weights: &'a TileWeights<T>, input_size: usize, call: &'a mut KernelStep<'c, T>) -> Self {
        Reference { weights, input_size, call, unit: PhantomData }
    }
}

impl<T: Element, U: Unit<G>, const G: usize> Kernel for Reference<'_, '_, T, U, G> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Reference { weights: TileWeights { matrix, restart }, input_size, call, .. } = self;
        let (units, activations) = (matrix.units(), call.activations());
        let last = (U::STATES - 1) * units;
        for &row in call.rows {
            let (x, h) = (input_row(call, row), state_row(call, units, row));
            let z = &mut call.scratch[..SUMS * units];
            for at in 0..G * units {
                let (gate, u) = (at / units, at % units);
                if U::PARKS && gate == PARKED {
                    z[at] = input_part::<A, T>(matrix, gate, u, &x, gate);
                    let of_h = matrix.column(gate, u).skip(input_size);
                    z[at + units] = add_products::<A, T>(restart[u], of_h, &h, gate);
                } else {
                    z[at] = preactivation::<A, T>(matrix, input_size, gate, u, &x, &h);
                }
            }
            let (prev, next) = (&call.prev.row(row)[last..last + units], call.next.row_mut(row));
            let default = activations.are_default();
            if default {
                for u in 0..units {
                    let state = U::step::<A, T>([z[u], z[units + u], z[2 * units + u], z[3 * units + u]], prev[u]);
                    for part in 0..U::STATES {
                        next[part * units + u] = state[part];
                    }
                }
            }
            if !default || call.saved.is_some() {
                U::tape_of_row(arch, z, units, activations);
            }
            if !default {
                U::state_of_row(arch, z, prev, next, activations);
            }
            if let Some(saved) = &mut call.saved {
                saved.row_mut(row)[..SUMS * units].copy_from_slice(z);
            }
        }
    }
}
