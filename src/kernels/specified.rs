//! What the specifications are made of: operands with dropout masks, and sums in the one order.
//!
//! A preactivation is summed in one order: `bias`, then `x[k] * kernel[k]` for each k, then `h[k] * recurrent[k]`, each
//! term by one [`Arch::mul_add`].

use super::KernelStep;
use super::isa::Arch;
use super::packed::PackedMatrix;
use crate::kernels::Element;
use crate::strided::{Input, Rows};

/// The operand of a product: values, and masks that multiply them first.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a, T> {
    values: &'a [T],
    mask: Option<&'a [T]>,
}

impl<'a, T: Element> Operand<'a, T> {
    /// Values without masks.
    pub(super) fn plain(values: &'a [T]) -> Self {
        Operand { values, mask: None }
    }

    /// Row `row` of `values`, with its mask if there are masks.
    pub(super) fn of_row(values: &'a [T], masks: Option<Rows<'a, T>>, row: usize) -> Self {
        Operand { values, mask: masks.map(|m| m.row(row)) }
    }

    /// Element `k` for one gate: a mask row serves all gates, or has one operand's width for each.
    #[inline(always)]
    pub(super) fn get(&self, gate: usize, k: usize) -> T {
        match self.mask {
            None => self.values[k],
            Some(mask) if mask.len() == self.values.len() => self.values[k] * mask[k],
            Some(mask) => self.values[k] * mask[gate * self.values.len() + k],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

/// `sum + operand * weights`, in the operand's order. `mask_gate` chooses the mask.
#[inline(always)]
pub(super) fn add_products<'a, A: Arch, T: Element>(
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
pub(super) fn input_part<A: Arch, T: Element>(
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
pub(super) enum InputRow<'a, T> {
    Raw(Operand<'a, T>),
    Projected(&'a [T]),
}

/// The input of row `row`.
pub(super) fn input_row<'a, T: Element>(call: &KernelStep<'a, T>, row: usize) -> InputRow<'a, T> {
    match call.input {
        Input::Raw(x) => InputRow::Raw(Operand::of_row(x.row(row), call.dropout.and_then(|d| d.input), row)),
        Input::Projected(z) => InputRow::Projected(z.row(row)),
    }
}

/// The recurrent operand of row `row`.
pub(super) fn state_row<'a, T: Element>(call: &KernelStep<'a, T>, units: usize, row: usize) -> Operand<'a, T> {
    Operand::of_row(&call.prev.row(row)[..units], call.dropout.and_then(|d| d.recurrent), row)
}

/// A preactivation of one column.
#[inline(always)]
pub(super) fn preactivation<A: Arch, T: Element>(
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
