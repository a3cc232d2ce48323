//! The specification: each cell's step as plain loops over one row, any activation, dropout, all that training saves.
//!
//! Every other kernel gives the bits of this one. It also runs itself: where dropout masks are given, and for
//! activations that need a whole row.
//!
//! A preactivation is summed in one order: `bias`, then `x[k] * kernel[k]` for each k, then `h[k] * recurrent[k]`, each
//! term by one [`Arch::mul_add`].

use super::activate::apply;
use super::cells;
use super::isa::Arch;
use super::panels::Panels;
use super::{KernelStep, is_default};
use crate::rows::{Input, Rows};
use crate::{Activation, Float};

/// The operand of a product: values, and masks that multiply them first.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a, T> {
    values: &'a [T],
    mask: Option<&'a [T]>,
}

impl<'a, T: Float> Operand<'a, T> {
    /// Row `row` of `values`, with its mask if there are masks.
    pub(super) fn of_row(values: &'a [T], masks: Option<Rows<'a, T>>, row: usize) -> Self {
        Operand { values, mask: masks.map(|m| m.row(row)) }
    }

    /// Element `k` for one gate: a mask row serves all gates, or has one operand's width for each.
    #[inline(always)]
    fn get(&self, gate: usize, k: usize) -> T {
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
pub(super) fn add_products<'a, A: Arch, T: Float>(
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
pub(super) fn input_part<A: Arch, T: Float>(
    panels: &Panels<T>,
    gate: usize,
    unit: usize,
    x: &InputRow<'_, T>,
    mask_gate: usize,
) -> T {
    let at = panels.z_index(gate, unit);
    match x {
        InputRow::Raw(x) => add_products::<A, T>(panels.bias()[at], panels.column(gate, unit), x, mask_gate),
        InputRow::Projected(z) => z[at],
    }
}

/// One row of the input.
pub(super) enum InputRow<'a, T> {
    Raw(Operand<'a, T>),
    Projected(&'a [T]),
}

/// The input of row `row`.
pub(super) fn input_row<'a, T: Float>(call: &KernelStep<'a, T>, row: usize) -> InputRow<'a, T> {
    match call.input {
        Input::Raw(x) => InputRow::Raw(Operand::of_row(x.row(row), call.dropout.and_then(|d| d.input), row)),
        Input::Projected(z) => InputRow::Projected(z.row(row)),
    }
}

/// The recurrent operand of row `row`.
pub(super) fn state_row<'a, T: Float>(call: &KernelStep<'a, T>, units: usize, row: usize) -> Operand<'a, T> {
    Operand::of_row(&call.prev.row(row)[..units], call.dropout.and_then(|d| d.recurrent), row)
}

/// A preactivation of one column.
#[inline(always)]
fn preactivation<A: Arch, T: Float>(
    panels: &Panels<T>,
    input_size: usize,
    gate: usize,
    unit: usize,
    x: &InputRow<'_, T>,
    h: &Operand<'_, T>,
) -> T {
    let sum = input_part::<A, T>(panels, gate, unit, x, gate);
    add_products::<A, T>(sum, panels.column(gate, unit).skip(input_size), h, gate)
}

/// `h = activation(b + x K + h R)`.
#[inline(always)]
pub(super) fn simple_rnn<A: Arch, T: Float>(
    arch: A,
    panels: &Panels<T>,
    input_size: usize,
    units: usize,
    call: &mut KernelStep<'_, T>,
) {
    for &row in call.rows {
        let (x, h) = (input_row(call, row), state_row(call, units, row));
        let next = call.next.row_mut(row);
        for (u, z) in next.iter_mut().enumerate() {
            *z = preactivation::<A, T>(panels, input_size, 0, u, &x, &h);
        }
        if matches!(call.activation, Activation::Tanh) {
            for h in next {
                *h = cells::tanh::<A, T>(*h);
            }
        } else {
            apply::<A, T>(arch, call.activation, next);
        }
    }
}

/// The gates of an LSTM, in Keras's order.
mod lstm_gate {
    pub const I: usize = 0;
    pub const F: usize = 1;
    pub const C: usize = 2;
    pub const O: usize = 3;
}

/// `i, f, o = recurrent_activation(..)`, `g = activation(..)`, `c = f c + i g`, `h = o activation(c)`.
#[inline(always)]
pub(super) fn lstm<A: Arch, T: Float>(
    arch: A,
    panels: &Panels<T>,
    input_size: usize,
    units: usize,
    call: &mut KernelStep<'_, T>,
) {
    use lstm_gate::{C, F, I, O};
    let default = is_default(call.activation, call.recurrent_activation);
    for &row in call.rows {
        let (x, h) = (input_row(call, row), state_row(call, units, row));
        let gates = &mut call.scratch[..4 * units];
        for (at, z) in gates.iter_mut().enumerate() {
            *z = preactivation::<A, T>(panels, input_size, at / units, at % units, &x, &h);
        }
        let prev_c = &call.prev.row(row)[units..2 * units];
        if default {
            let (next_h, next_c) = call.next.row_mut(row).split_at_mut(units);
            let z = &*gates;
            for u in 0..units {
                let (i, f, g, o) = (z[I * units + u], z[F * units + u], z[C * units + u], z[O * units + u]);
                (next_h[u], next_c[u]) = cells::lstm::<A, T>(i, f, g, o, prev_c[u]);
            }
        }
        if !default {
            let next = call.next.row_mut(row);
            cells::lstm_row::<A, T>(arch, gates, prev_c, next, call.activation, call.recurrent_activation);
        } else if call.saved.is_some() {
            for (gate, z) in gates.chunks_exact_mut(units).enumerate() {
                apply::<A, T>(arch, if gate == C { call.activation } else { call.recurrent_activation }, z);
            }
        }
        if let Some(saved) = &mut call.saved {
            saved.row_mut(row)[..4 * units].copy_from_slice(gates);
        }
    }
}

/// The gates of a GRU, in Keras's order.
pub(super) mod gru_gate {
    pub const Z: usize = 0;
    pub const R: usize = 1;
    pub const H: usize = 2;
}

/// `z, r = recurrent_activation(..)`, `n = activation(x + r (b + h R))`, `h = z h + (1 - z) n`. `bias_h` is the
/// candidate's recurrent bias, one value a unit.
#[inline(always)]
pub(super) fn gru_after<A: Arch, T: Float>(
    arch: A,
    panels: &Panels<T>,
    bias_h: &[T],
    input_size: usize,
    units: usize,
    call: &mut KernelStep<'_, T>,
) {
    use gru_gate::{H, R, Z};
    let default = is_default(call.activation, call.recurrent_activation);
    for &row in call.rows {
        let (x, h) = (input_row(call, row), state_row(call, units, row));
        let (z, rest) = call.scratch.split_at_mut(units);
        let (r, rest) = rest.split_at_mut(units);
        let (n, rest) = rest.split_at_mut(units);
        let hh = &mut rest[..units];
        for u in 0..units {
            z[u] = preactivation::<A, T>(panels, input_size, Z, u, &x, &h);
            r[u] = preactivation::<A, T>(panels, input_size, R, u, &x, &h);
            n[u] = input_part::<A, T>(panels, H, u, &x, H);
            hh[u] = add_products::<A, T>(bias_h[u], panels.column(H, u).skip(input_size), &h, H);
        }
        let (prev, next) = (&call.prev.row(row)[..units], call.next.row_mut(row));
        if default {
            for u in 0..units {
                next[u] = cells::gru_after::<A, T>(z[u], r[u], n[u], hh[u], prev[u]);
            }
        }
        if !default {
            let z = &mut call.scratch[..4 * units];
            cells::gru_after_row::<A, T>(arch, z, prev, next, call.activation, call.recurrent_activation);
        } else if call.saved.is_some() {
            apply::<A, T>(arch, call.recurrent_activation, z);
            apply::<A, T>(arch, call.recurrent_activation, r);
            for u in 0..units {
                n[u] = A::mul_add(r[u], hh[u], n[u]);
            }
            apply::<A, T>(arch, call.activation, n);
        }
        if let Some(saved) = &mut call.saved {
            saved.row_mut(row)[..4 * units].copy_from_slice(&call.scratch[..4 * units]);
        }
    }
}

/// `z, r = recurrent_activation(..)`, `n = activation(x + (r h) R)`, `h = z h + (1 - z) n`: z and r in one matrix, the
/// candidate in another, for which a projected row holds the two z rows one after the other.
#[inline(always)]
pub(super) fn gru_before<A: Arch, T: Float>(
    arch: A,
    gates: &Panels<T>,
    candidate: &Panels<T>,
    input_size: usize,
    units: usize,
    call: &mut KernelStep<'_, T>,
) {
    use gru_gate::{H, R, Z};
    let default = is_default(call.activation, call.recurrent_activation);
    for &row in call.rows {
        let (x, h) = (input_row(call, row), state_row(call, units, row));
        let (z, rest) = call.scratch.split_at_mut(units);
        let (r, rest) = rest.split_at_mut(units);
        let (n, rest) = rest.split_at_mut(units);
        let rh = &mut rest[..units];
        for u in 0..units {
            z[u] = preactivation::<A, T>(gates, input_size, Z, u, &x, &h);
            r[u] = preactivation::<A, T>(gates, input_size, R, u, &x, &h);
        }
        if default {
            for u in 0..units {
                z[u] = cells::sigmoid::<A, T>(z[u]);
                rh[u] = cells::reset::<A, T>(r[u], h.get(H, u));
                r[u] = cells::sigmoid::<A, T>(r[u]);
            }
        } else {
            apply::<A, T>(arch, call.recurrent_activation, z);
            apply::<A, T>(arch, call.recurrent_activation, r);
            for (u, rh) in rh.iter_mut().enumerate() {
                *rh = r[u] * h.get(H, u);
            }
        }
        let x = match x {
            InputRow::Projected(z) => InputRow::Projected(&z[gates.z_len()..]),
            raw => raw,
        };
        let rh = Operand { values: rh, mask: None };
        for (u, n) in n.iter_mut().enumerate() {
            let sum = input_part::<A, T>(candidate, 0, u, &x, H);
            *n = add_products::<A, T>(sum, candidate.column(0, u).skip(input_size), &rh, 0);
        }
        if default {
            for n in n.iter_mut() {
                *n = cells::tanh::<A, T>(*n);
            }
        } else {
            apply::<A, T>(arch, call.activation, n);
        }
        let (prev, next) = (&call.prev.row(row)[..units], call.next.row_mut(row));
        for u in 0..units {
            next[u] = cells::mix::<A, T>(z[u], prev[u], n[u]);
        }
        if let Some(saved) = &mut call.saved {
            saved.row_mut(row)[..4 * units].copy_from_slice(&call.scratch[..4 * units]);
        }
    }
}
