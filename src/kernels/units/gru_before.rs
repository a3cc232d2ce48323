//! The GRU with the reset before the product.
//!
//! ```text
//! z, r = recurrent_activation(sums)
//! g = activation(x K + b + (r h) R)          a product that needs all of r h
//! h' = z h + (1 - z) g
//! ```
//!
//! The tape holds z, r, g and r h.

use super::super::KernelStep;
use super::super::activate::{activate_backward, apply};
use super::super::isa::{Arch, Kernel};
use super::super::packed::PackedMatrix;
use super::super::slopes::{BackwardStep, GradientLayout, columns};
use super::super::specified::{InputRow, Operand, add_products, input_part, input_row, preactivation, state_row};
use super::formulas;
use super::formulas::one_plus_exp_minus;
use crate::kernels::Element;
use crate::strided::Rows;

/// The gates, in Keras's order.
const Z: usize = 0;
const R: usize = 1;
const G: usize = 2;

/// `r h` of a GRU's unit without `reset_after`.
#[inline(always)]
pub(in crate::kernels) fn reset<A: Arch, T: Element>(r: T, prev: T) -> T {
    prev / one_plus_exp_minus::<A, T>(r)
}

/// `z, r = recurrent_activation(..)`, `g = activation(x + (r h) R)`, `h = z h + (1 - z) g`: z and r in one matrix, the
/// candidate in another, for which a projected row holds the two z rows one after the other.
#[inline(always)]
pub(in crate::kernels) fn reference<A: Arch, T: Element>(
    arch: A,
    gates: &PackedMatrix<T>,
    candidate: &PackedMatrix<T>,
    input_size: usize,
    units: usize,
    call: &mut KernelStep<'_, T>,
) {
    let default = call.activations().are_default();
    for &row in call.rows {
        let (x, h) = (input_row(call, row), state_row(call, units, row));
        let (z, rest) = call.scratch.split_at_mut(units);
        let (r, rest) = rest.split_at_mut(units);
        let (g, rest) = rest.split_at_mut(units);
        let rh = &mut rest[..units];
        for u in 0..units {
            z[u] = preactivation::<A, T>(gates, input_size, Z, u, &x, &h);
            r[u] = preactivation::<A, T>(gates, input_size, R, u, &x, &h);
        }
        if default {
            for u in 0..units {
                z[u] = formulas::sigmoid::<A, T>(z[u]);
                rh[u] = reset::<A, T>(r[u], h.get(G, u));
                r[u] = formulas::sigmoid::<A, T>(r[u]);
            }
        } else {
            apply::<A, T>(arch, call.recurrent_activation, z);
            apply::<A, T>(arch, call.recurrent_activation, r);
            for (u, rh) in rh.iter_mut().enumerate() {
                *rh = r[u] * h.get(G, u);
            }
        }
        let x = match x {
            InputRow::Projected(z) => InputRow::Projected(&z[gates.z_len()..]),
            raw => raw,
        };
        let rh = Operand::plain(rh);
        for (u, g) in g.iter_mut().enumerate() {
            let sum = input_part::<A, T>(candidate, 0, u, &x, G);
            *g = add_products::<A, T>(sum, candidate.column(0, u).skip(input_size), &rh, 0);
        }
        if default {
            for g in g.iter_mut() {
                *g = formulas::tanh::<A, T>(*g);
            }
        } else {
            apply::<A, T>(arch, call.activation, g);
        }
        let (prev, next) = (&call.prev.row(row)[..units], call.next.row_mut(row));
        for u in 0..units {
            next[u] = formulas::mix::<A, T>(z[u], prev[u], g[u]);
        }
        if let Some(tape) = &mut call.tape {
            tape.row_mut(row)[..4 * units].copy_from_slice(&call.scratch[..4 * units]);
        }
    }
}

/// A row of dz is z, r, g.
pub(super) const GRADIENTS: GradientLayout = GradientLayout {
    gates: 3,
    parts: 3,
    kernel: &[columns(0, 0, 3)],
    recurrent: columns(0, 0, 2),
    candidate: Some(columns(2, 2, 1)),
    mixes_h: true,
};

/// Parts z and g; r waits for `q = dg Rg^T`.
#[inline(always)]
pub(super) fn slopes<A: Arch, T: Element>(arch: A, units: usize, call: &mut BackwardStep<'_, T>) {
    for &row in call.rows {
        let tape = &call.tape.row(row)[..3 * units];
        let (z, g) = (&tape[..units], &tape[2 * units..]);
        let (h, d_next) = (&call.prev.row(row)[..units], &call.d_next.row(row)[..units]);
        let d_prev = &mut call.d_prev.row_mut(row)[..units];
        let (dzr, dg) = call.dz.row_mut(row).split_at_mut(2 * units);
        let (dz, dg) = (&mut dzr[..units], &mut dg[..units]);
        for u in 0..units {
            dg[u] = d_next[u] * (T::one() - z[u]);
            dz[u] = d_next[u] * (h[u] - g[u]);
            d_prev[u] = d_next[u] * z[u];
        }
        activate_backward(arch.isa(), call.activation, g, g, dg);
        activate_backward(arch.isa(), call.recurrent_activation, z, z, dz);
    }
}

/// Part r of a GRU with the reset before the product, and what q says about h: `dr = q h`, `dh += q r`.
pub(in crate::kernels) struct Reset<'a, 'c, T> {
    pub units: usize,
    pub call: &'a mut BackwardStep<'c, T>,
    pub q: Rows<'a, T>,
}

impl<T: Element> Kernel for Reset<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Reset { units, call, q } = self;
        for &row in call.rows {
            let (q, h) = (&q.row(row)[..units], &call.prev.row(row)[..units]);
            let r = &call.tape.row(row)[units..][..units];
            let (d_prev, dr) = (&mut call.d_prev.row_mut(row)[..units], &mut call.dz.row_mut(row)[units..][..units]);
            for u in 0..units {
                dr[u] = q[u] * h[u];
                d_prev[u] += q[u] * r[u];
            }
            activate_backward(arch.isa(), call.recurrent_activation, r, r, dr);
        }
    }
}
