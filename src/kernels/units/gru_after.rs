//! The GRU with the reset after the product (Keras's `reset_after`).
//!
//! ```text
//! z, r = recurrent_activation(sums)                    gates z, r, g; of g the two parts x K + b and h R + b' are apart
//! g = activation(x + r h)                              x, h: those parts
//! h' = z h + (1 - z) g
//! ```
//!
//! With the default activations r is never computed as such: `g = tanh(x + h / d(r))`, `z = 1 / d(z)`: 3 divisions.
//!
//! The tape holds z, r, g and the part `h R + b'`.

use super::super::activate::{activate_backward, apply};
use super::super::isa::Arch;
use super::super::slopes::{BackwardStep, Columns, GradientLayout, columns, fused, parts, parts_mut};
use super::super::unit::{Activations, SUMS, Unit, apply_to_gates};
use super::formulas::{mix, one_plus_exp_minus, sigmoid, tanh, tanh_fraction};
use crate::kernels::Element;

/// See the module.
pub(crate) struct GruAfter;

impl Unit<3> for GruAfter {
    const NAME: &'static str = "GruKernel";
    const PARKS: bool = true;
    const STATES: usize = 1;

    #[inline(always)]
    fn step<A: Arch, T: Element>([z, r, x, h]: [T; SUMS], prev: T) -> [T; 2] {
        let dr = one_plus_exp_minus::<A, T>(r);
        let z = T::one() / one_plus_exp_minus::<A, T>(z);
        let (n, m) = tanh_fraction::<A, T>(x + h / dr);
        [mix::<A, T>(z, prev, n / m); 2]
    }

    #[inline(always)]
    fn tape<A: Arch, T: Element>([z, r, x, h]: [T; SUMS]) -> [T; SUMS] {
        let r = sigmoid::<A, T>(r);
        [sigmoid::<A, T>(z), r, tanh::<A, T>(A::mul_add(r, h, x)), h]
    }

    #[inline(always)]
    fn tape_of_row<A: Arch, T: Element>(arch: A, sums: &mut [T], units: usize, activations: Activations<'_>) {
        let (zr, xh) = sums.split_at_mut(2 * units);
        apply_to_gates::<A, T>(arch, activations.gates, zr, units);
        let (g, h) = xh.split_at_mut(units);
        let (r, h) = (&zr[units..][..units], &h[..units]);
        for u in 0..units {
            g[u] = A::mul_add(r[u], h[u], g[u]);
        }
        apply::<A, T>(arch, activations.candidate, g);
    }

    #[inline(always)]
    fn state_of_row<A: Arch, T: Element>(_: A, tape: &[T], prev: &[T], next: &mut [T], _: Activations<'_>) {
        let units = prev.len();
        let ([z, _, g, _], next) = (parts(tape, units), &mut next[..units]);
        for u in 0..units {
            next[u] = mix::<A, T>(z[u], prev[u], g[u]);
        }
    }

    #[inline(always)]
    fn slopes<T: Element>([z, r, g, m]: [T; SUMS], h: T, _next_h: T, [d, _]: [T; 2]) -> ([T; SUMS], T) {
        let one = T::one();
        let dg = d * (one - z) * (one - g * g);
        let dz = d * (h - g) * (z * (one - z));
        let dr = dg * m * (r * (one - r));
        ([dg, dz, dr, dg * r], d * z)
    }
}

/// A row of dz is g, z, r, m: the candidate's two parts have gradients of their own, g that of `x K`, m that of `h R`;
/// in this order both products find what they need side by side.
pub(super) const GRADIENTS: GradientLayout = GradientLayout {
    gates: 3,
    parts: 4,
    kernel: &[columns(0, 2, 1), columns(1, 0, 2)],
    recurrent: columns(1, 0, 3),
    candidate: None::<Columns>,
    mixes_h: true,
};

/// `dg = activation'(..) dh' (1 - z)`, `dz = dh' (h - g)`, `dr = dg m`, `dm = dg r`, `dh = dh' z`.
#[inline(always)]
pub(super) fn slopes<A: Arch, T: Element>(arch: A, units: usize, call: &mut BackwardStep<'_, T>) {
    if call.activations().are_default() {
        return fused::<T, GruAfter, 3>(units, call);
    }
    let Activations { candidate, gates } = call.activations();
    for &row in call.rows {
        let [z, r, g, m] = parts(call.tape.row(row), units);
        let (h, d_next) = (&call.prev.row(row)[..units], &call.d_next.row(row)[..units]);
        let d_prev = &mut call.d_prev.row_mut(row)[..units];
        let [dg, dz, dr, dm] = parts_mut(call.dz.row_mut(row), units);
        for u in 0..units {
            dg[u] = d_next[u] * (T::one() - z[u]);
            dz[u] = d_next[u] * (h[u] - g[u]);
            d_prev[u] = d_next[u] * z[u];
        }
        activate_backward(arch.isa(), candidate, g, g, dg);
        for u in 0..units {
            dr[u] = dg[u] * m[u];
            dm[u] = dg[u] * r[u];
        }
        activate_backward(arch.isa(), gates, z, z, dz);
        activate_backward(arch.isa(), gates, r, r, dr);
    }
}
