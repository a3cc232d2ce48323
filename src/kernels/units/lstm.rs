//! The LSTM.
//!
//! ```text
//! i, f, o = recurrent_activation(sums),  g = activation(sum)        gates i, f, g, o
//! c' = f c + i g
//! h' = o activation(c')
//! ```
//!
//! With the default activations the gates are never computed as such:
//!
//! ```text
//! c' = c / d(f) + n(g) / (d(i) m(g))      h' = n(c') / (d(o) m(c'))          3 divisions, not 5
//! ```
//!
//! The tape holds i, f, g, o.
//!
//! These formulas are `step`, of one unit. Drivers bring it the sums: of one row `drive/one_row.rs`, of many
//! `drive/blocked.rs`; `drive/mod.rs` chooses. The specification, `drive/reference.rs`, sums in plain loops and calls
//! the same `step`, with other activations `tape_of_row`, then `state_of_row`. It is compared with the equations in f64
//! (`kernels/tests/naive.rs`), and all drivers with it, bit for bit.

use super::super::activate::{activate_backward, apply};
use super::super::isa::Arch;
use super::super::slopes::{BackwardStep, Columns, GradientLayout, columns, fused, parts, parts_mut};
use super::super::unit::{Activations, SUMS, Unit, apply_to_gates};
use super::formulas::{one_plus_exp_minus, sigmoid, tanh, tanh_fraction};
use crate::kernels::Element;

/// See the module.
pub(crate) struct Lstm;

impl Unit<4> for Lstm {
    const NAME: &'static str = "LstmKernel";
    const PARKS: bool = false;
    const STATES: usize = 2;

    #[inline(always)]
    fn step<A: Arch, T: Element>([i, f, g, o]: [T; SUMS], c: T) -> [T; 2] {
        let di = one_plus_exp_minus::<A, T>(i);
        let df = one_plus_exp_minus::<A, T>(f);
        let (n, m) = tanh_fraction::<A, T>(g);
        let c = c / df + n / (di * m);
        let (n, m) = tanh_fraction::<A, T>(c);
        let d_o = one_plus_exp_minus::<A, T>(o);
        [n / (d_o * m), c]
    }

    #[inline(always)]
    fn tape<A: Arch, T: Element>([i, f, g, o]: [T; SUMS]) -> [T; SUMS] {
        [sigmoid::<A, T>(i), sigmoid::<A, T>(f), tanh::<A, T>(g), sigmoid::<A, T>(o)]
    }

    #[inline(always)]
    fn tape_of_row<A: Arch, T: Element>(arch: A, sums: &mut [T], units: usize, activations: Activations<'_>) {
        let (i_f, co) = sums.split_at_mut(2 * units);
        let (g, o) = co.split_at_mut(units);
        apply_to_gates::<A, T>(arch, activations.gates, i_f, units);
        apply::<A, T>(arch, activations.candidate, g);
        apply::<A, T>(arch, activations.gates, o);
    }

    #[inline(always)]
    fn state_of_row<A: Arch, T: Element>(arch: A, tape: &[T], c: &[T], next: &mut [T], activations: Activations<'_>) {
        let units = c.len();
        let [i, f, g, o] = parts(tape, units);
        let (next_h, next_c) = next.split_at_mut(units);
        let (next_h, next_c) = (&mut next_h[..units], &mut next_c[..units]);
        for u in 0..units {
            next_c[u] = A::mul_add(f[u], c[u], i[u] * g[u]);
            next_h[u] = next_c[u];
        }
        apply::<A, T>(arch, activations.candidate, next_h);
        for u in 0..units {
            next_h[u] = o[u] * next_h[u];
        }
    }

    /// The slopes of tanh and sigmoid are `1 - y^2` and `y (1 - y)`.
    #[inline(always)]
    fn slopes<T: Element>([i, f, g, o]: [T; SUMS], c: T, next_h: T, [d_h, d_c]: [T; 2]) -> ([T; SUMS], T) {
        let one = T::one();
        // tanh(c') is h'/o, which is quicker. Where o is zero, so is all that it is multiplied with, and h' is zero or
        // NaN, as tanh(c') would make it.
        let t = if o == T::zero() { next_h } else { next_h / o };
        let d = d_h * o * (one - t * t) + d_c;
        let d_i = d * g * (i * (one - i));
        let d_f = d * c * (f * (one - f));
        let d_g = d * i * (one - g * g);
        let d_o = d_h * t * (o * (one - o));
        ([d_i, d_f, d_g, d_o], d * f)
    }
}

/// A row of dz is i, f, g, o.
pub(super) const GRADIENTS: GradientLayout = GradientLayout {
    gates: 4,
    parts: 4,
    kernel: &[columns(0, 0, 4)],
    recurrent: columns(0, 0, 4),
    candidate: None::<Columns>,
    mixes_h: false,
};

/// `t = activation(c')`, `dc' += activation'(c') o dh'`, and from it the gates' gradients and `dc = dc' f`.
#[inline(always)]
pub(super) fn slopes<A: Arch, T: Element>(arch: A, units: usize, call: &mut BackwardStep<'_, T>) {
    if call.activations().are_default() {
        return fused::<T, Lstm, 4>(units, call);
    }
    let Activations { candidate, gates } = call.activations();
    for &row in call.rows {
        let [i, f, g, o] = parts(call.tape.row(row), units);
        let (prev_c, next_c) = (&call.prev.row(row)[units..][..units], &call.next.row(row)[units..][..units]);
        let (d_h, d_c) = call.d_next.row(row).split_at(units);
        let d_c = &d_c[..units];
        let d_prev_c = &mut call.d_prev.row_mut(row)[units..2 * units];
        let [di, df, dg, d_o] = parts_mut(call.dz.row_mut(row), units);

        // t stands in df, and the gradient of c' in d_prev_c, until they are used up.
        df.copy_from_slice(next_c);
        apply::<A, T>(arch, candidate, df);
        for u in 0..units {
            d_o[u] = d_h[u] * df[u];
            d_prev_c[u] = d_h[u] * o[u];
        }
        activate_backward(arch.isa(), candidate, next_c, df, d_prev_c);
        for u in 0..units {
            let d = d_prev_c[u] + d_c[u];
            di[u] = d * g[u];
            df[u] = d * prev_c[u];
            dg[u] = d * i[u];
            d_prev_c[u] = d * f[u];
        }
        activate_backward(arch.isa(), gates, i, i, di);
        activate_backward(arch.isa(), gates, f, f, df);
        activate_backward(arch.isa(), candidate, g, g, dg);
        activate_backward(arch.isa(), gates, o, o, d_o);
    }
}
