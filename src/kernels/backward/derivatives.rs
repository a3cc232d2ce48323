//! From the gradient of a step's result to those of its preactivations, element by element.
//!
//! The equations are those of the cells' `step_backward`. A way back through an activation is one call for a whole gate
//! of a row; the loops between them are flat, so that the compiler makes vectors of them. With the default activations
//! nothing is called: all that a unit needs is read once, tile by tile.

use super::super::activate::{activate_backward, apply};
use super::super::is_default;
use super::super::isa::{Arch, Kernel};
use super::super::lanes::{Lanes, prefetch};
use super::{BackwardStep, Form, Upstream};
use crate::Float;
use crate::rows::Rows;

/// Every part of dz, but what a GRU with the reset before the product learns of r only after a product.
pub(super) struct First<'a, 'c, T> {
    pub form: Form,
    pub units: usize,
    pub call: &'a mut BackwardStep<'c, T>,
}

impl<T: Float> Kernel for First<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let First { form, units, call } = self;
        if let Some(Upstream { here, earlier }) = call.upstream {
            for &row in call.rows {
                prefetch(earlier.row(row)); // rows of a batch lie far apart
                let d_h = &mut call.d_next.row_mut(row)[..units];
                d_h.iter_mut().zip(here.row(row)).for_each(|(sum, &value)| *sum += value);
            }
        }
        if let Some(d_x) = &call.d_x {
            call.rows.iter().for_each(|&row| prefetch(d_x.row(row))); // needed last, and as far apart
        }
        let default = is_default(call.activation, call.recurrent_activation);
        match form {
            Form::SimpleRnn => simple_rnn::<A, T>(arch, units, call),
            Form::Lstm if default => lstm_fused::<T>(units, call),
            Form::Lstm => lstm::<A, T>(arch, units, call),
            Form::GruAfter if default => gru_after_fused::<T>(units, call),
            Form::GruAfter => gru_after::<A, T>(arch, units, call),
            Form::GruBefore => gru_before::<A, T>(arch, units, call),
        }
    }
}

#[inline(always)]
fn simple_rnn<A: Arch, T: Float>(arch: A, units: usize, call: &mut BackwardStep<'_, T>) {
    for &row in call.rows {
        let (dz, y) = (call.dz.row_mut(row), &call.next.row(row)[..units]);
        dz.copy_from_slice(&call.d_next.row(row)[..units]);
        activate_backward(arch.isa(), call.activation, y, y, dz);
    }
}

/// A tile of some rows side by side: element `j` of tile `k` is `rows[k][unit + j]`.
macro_rules! tiles {
    ($vector:ty, $unit:expr, $($name:ident = $row:expr),* $(,)?) => {$(
        let mut few = <$vector>::splat(T::zero()).array();
        let $name = *<$vector>::view(&$row[$unit..], &mut few);
        let $name = $name.as_ref();
    )*};
}

/// [`lstm`] with the default activations, whose slopes are `1 - y^2` and `y (1 - y)`.
#[inline(always)]
fn lstm_fused<T: Float>(units: usize, call: &mut BackwardStep<'_, T>) {
    let one = T::one();
    for (at, &row) in call.rows.iter().enumerate() {
        if let Some(&next) = call.rows.get(at + 1) {
            prefetch(&call.saved.row(next)[..4 * units]);
            prefetch(call.prev.row(next));
        }
        let saved = &call.saved.row(row)[..4 * units];
        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| &saved[gate * units..][..units]);
        let (prev_c, next_h) = (&call.prev.row(row)[units..][..units], &call.next.row(row)[..units]);
        let (d_h, d_c) = call.d_next.row(row).split_at(units);
        let d_prev_c = &mut call.d_prev.row_mut(row)[units..2 * units];
        let mut parts = call.dz.row_mut(row).chunks_exact_mut(units);
        let (Some(di), Some(df), Some(dg), Some(d_o)) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return;
        };
        for unit in (0..units).step_by(T::LANES) {
            tiles!(T::Line, unit, i = i, f = f, g = g, o = o, prev_c = prev_c, next_h = next_h, d_h = d_h, d_c = d_c);
            let zero = T::Line::splat(T::zero()).array();
            let [mut to_i, mut to_f, mut to_g, mut to_o, mut to_c] = [zero; 5];
            let (ti, tf, tg, to) = (to_i.as_mut(), to_f.as_mut(), to_g.as_mut(), to_o.as_mut());
            let tc = to_c.as_mut();
            for j in 0..T::LANES {
                // tanh(c') is h'/o, which is quicker. Where o is zero, so is all that it is multiplied with, and h' is zero or
                // NaN, as tanh(c') would make it.
                let t = if o[j] == T::zero() { next_h[j] } else { next_h[j] / o[j] };
                let d = d_h[j] * o[j] * (one - t * t) + d_c[j];
                ti[j] = d * g[j] * (i[j] * (one - i[j]));
                tf[j] = d * prev_c[j] * (f[j] * (one - f[j]));
                tg[j] = d * i[j] * (one - g[j] * g[j]);
                to[j] = d_h[j] * t * (o[j] * (one - o[j]));
                tc[j] = d * f[j];
            }
            T::Line::of(to_i).store(&mut di[unit..]);
            T::Line::of(to_f).store(&mut df[unit..]);
            T::Line::of(to_g).store(&mut dg[unit..]);
            T::Line::of(to_o).store(&mut d_o[unit..]);
            T::Line::of(to_c).store(&mut d_prev_c[unit..]);
        }
    }
}

/// [`gru_after`] with the default activations.
#[inline(always)]
fn gru_after_fused<T: Float>(units: usize, call: &mut BackwardStep<'_, T>) {
    let one = T::one();
    for (at, &row) in call.rows.iter().enumerate() {
        if let Some(&next) = call.rows.get(at + 1) {
            prefetch(&call.saved.row(next)[..4 * units]);
            prefetch(call.prev.row(next));
        }
        let saved = &call.saved.row(row)[..4 * units];
        let [z, r, g, m] = [0, 1, 2, 3].map(|part| &saved[part * units..][..units]);
        let (h, d_next) = (&call.prev.row(row)[..units], &call.d_next.row(row)[..units]);
        let d_prev = &mut call.d_prev.row_mut(row)[..units];
        let mut parts = call.dz.row_mut(row).chunks_exact_mut(units);
        let (Some(dn), Some(dz), Some(dr), Some(dm)) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return;
        };
        for unit in (0..units).step_by(T::LANES) {
            tiles!(T::Line, unit, z = z, r = r, g = g, m = m, h = h, d_next = d_next);
            let zero = T::Line::splat(T::zero()).array();
            let [mut to_n, mut to_z, mut to_r, mut to_m, mut to_h] = [zero; 5];
            let (tn, tz, tr, tm) = (to_n.as_mut(), to_z.as_mut(), to_r.as_mut(), to_m.as_mut());
            let th = to_h.as_mut();
            for j in 0..T::LANES {
                let d = d_next[j];
                let dn = d * (one - z[j]) * (one - g[j] * g[j]);
                tn[j] = dn;
                tz[j] = d * (h[j] - g[j]) * (z[j] * (one - z[j]));
                tr[j] = dn * m[j] * (r[j] * (one - r[j]));
                tm[j] = dn * r[j];
                th[j] = d * z[j];
            }
            T::Line::of(to_n).store(&mut dn[unit..]);
            T::Line::of(to_z).store(&mut dz[unit..]);
            T::Line::of(to_r).store(&mut dr[unit..]);
            T::Line::of(to_m).store(&mut dm[unit..]);
            T::Line::of(to_h).store(&mut d_prev[unit..]);
        }
    }
}

/// `t = activation(c')`, `dc' += activation'(c') o dh'`, and from it the gates' gradients and `dc = dc' f`.
#[inline(always)]
fn lstm<A: Arch, T: Float>(arch: A, units: usize, call: &mut BackwardStep<'_, T>) {
    for &row in call.rows {
        let saved = &call.saved.row(row)[..4 * units];
        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| &saved[gate * units..][..units]);
        let (prev_c, next_c) = (&call.prev.row(row)[units..][..units], &call.next.row(row)[units..][..units]);
        let (d_h, d_c) = call.d_next.row(row).split_at(units);
        let d_c = &d_c[..units];
        let d_prev_c = &mut call.d_prev.row_mut(row)[units..2 * units];
        let (dif, dgo) = call.dz.row_mut(row).split_at_mut(2 * units);
        let (di, df) = dif.split_at_mut(units);
        let (dg, d_o) = dgo.split_at_mut(units);
        let (df, d_o) = (&mut df[..units], &mut d_o[..units]);

        // t stands in df, and the gradient of c' in d_prev_c, until they are used up.
        df.copy_from_slice(next_c);
        apply::<A, T>(arch, call.activation, df);
        for u in 0..units {
            d_o[u] = d_h[u] * df[u];
            d_prev_c[u] = d_h[u] * o[u];
        }
        activate_backward(arch.isa(), call.activation, next_c, df, d_prev_c);
        for u in 0..units {
            let d = d_prev_c[u] + d_c[u];
            di[u] = d * g[u];
            df[u] = d * prev_c[u];
            dg[u] = d * i[u];
            d_prev_c[u] = d * f[u];
        }
        activate_backward(arch.isa(), call.recurrent_activation, i, i, di);
        activate_backward(arch.isa(), call.recurrent_activation, f, f, df);
        activate_backward(arch.isa(), call.activation, g, g, dg);
        activate_backward(arch.isa(), call.recurrent_activation, o, o, d_o);
    }
}

/// Parts n, z, r, m.
#[inline(always)]
fn gru_after<A: Arch, T: Float>(arch: A, units: usize, call: &mut BackwardStep<'_, T>) {
    for &row in call.rows {
        let saved = &call.saved.row(row)[..4 * units];
        let [z, r, g, m] = [0, 1, 2, 3].map(|part| &saved[part * units..][..units]);
        let (h, d_next) = (&call.prev.row(row)[..units], &call.d_next.row(row)[..units]);
        let d_prev = &mut call.d_prev.row_mut(row)[..units];
        let (dnz, drm) = call.dz.row_mut(row).split_at_mut(2 * units);
        let (dn, dz) = dnz.split_at_mut(units);
        let (dr, dm) = drm.split_at_mut(units);
        let (dz, dm) = (&mut dz[..units], &mut dm[..units]);
        for u in 0..units {
            dn[u] = d_next[u] * (T::one() - z[u]);
            dz[u] = d_next[u] * (h[u] - g[u]);
            d_prev[u] = d_next[u] * z[u];
        }
        activate_backward(arch.isa(), call.activation, g, g, dn);
        for u in 0..units {
            dr[u] = dn[u] * m[u];
            dm[u] = dn[u] * r[u];
        }
        activate_backward(arch.isa(), call.recurrent_activation, z, z, dz);
        activate_backward(arch.isa(), call.recurrent_activation, r, r, dr);
    }
}

/// Parts z and n; r waits for `q = dn Rh^T`.
#[inline(always)]
fn gru_before<A: Arch, T: Float>(arch: A, units: usize, call: &mut BackwardStep<'_, T>) {
    for &row in call.rows {
        let saved = &call.saved.row(row)[..3 * units];
        let (z, g) = (&saved[..units], &saved[2 * units..]);
        let (h, d_next) = (&call.prev.row(row)[..units], &call.d_next.row(row)[..units]);
        let d_prev = &mut call.d_prev.row_mut(row)[..units];
        let (dzr, dn) = call.dz.row_mut(row).split_at_mut(2 * units);
        let (dz, dn) = (&mut dzr[..units], &mut dn[..units]);
        for u in 0..units {
            dn[u] = d_next[u] * (T::one() - z[u]);
            dz[u] = d_next[u] * (h[u] - g[u]);
            d_prev[u] = d_next[u] * z[u];
        }
        activate_backward(arch.isa(), call.activation, g, g, dn);
        activate_backward(arch.isa(), call.recurrent_activation, z, z, dz);
    }
}

/// Part r of a GRU with the reset before the product, and what q says about h: `dr = q h`, `dh += q r`.
pub(super) struct Reset<'a, 'c, T> {
    pub units: usize,
    pub call: &'a mut BackwardStep<'c, T>,
    pub q: Rows<'a, T>,
}

impl<T: Float> Kernel for Reset<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Reset { units, call, q } = self;
        for &row in call.rows {
            let (q, h) = (&q.row(row)[..units], &call.prev.row(row)[..units]);
            let r = &call.saved.row(row)[units..][..units];
            let (d_prev, dr) = (&mut call.d_prev.row_mut(row)[..units], &mut call.dz.row_mut(row)[units..][..units]);
            for u in 0..units {
                dr[u] = q[u] * h[u];
                d_prev[u] += q[u] * r[u];
            }
            activate_backward(arch.isa(), call.recurrent_activation, r, r, dr);
        }
    }
}
