//! From the gradient of a step's result to those of its preactivations, element by element.
//!
//! The equations are those of the cells' `step_backward`. The backward pass through an activation is one call for a whole gate
//! of a row; the loops between them are flat, so that the compiler makes vectors of them. With the default activations
//! nothing is called: all that a unit needs is read once, tile by tile.

use super::super::isa::{Arch, Kernel};
use super::super::lanes::{Lanes, prefetch};
use super::super::units::{SUMS, Unit};
use super::{BackwardStep, Form, Upstream};
use crate::kernels::Element;

/// Every part of dz, but what a GRU with the reset before the product learns of r only after a product.
pub(super) struct First<'a, 'c, T> {
    pub form: Form,
    pub units: usize,
    pub call: &'a mut BackwardStep<'c, T>,
}

impl<T: Element> Kernel for First<'_, '_, T> {
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
        form.slopes(arch, units, call);
    }
}

/// The parts of a row of [`SUMS`] x units.
#[inline(always)]
pub(in crate::kernels) fn parts<T>(row: &[T], units: usize) -> [&[T]; SUMS] {
    let (a, rest) = row.split_at(units);
    let (b, rest) = rest.split_at(units);
    let (c, rest) = rest.split_at(units);
    [a, b, c, &rest[..units]]
}

/// The same, to write.
#[inline(always)]
pub(in crate::kernels) fn parts_mut<T>(row: &mut [T], units: usize) -> [&mut [T]; SUMS] {
    let (a, rest) = row.split_at_mut(units);
    let (b, rest) = rest.split_at_mut(units);
    let (c, rest) = rest.split_at_mut(units);
    [a, b, c, &mut rest[..units]]
}

/// A tile of some rows side by side: element `j` of tile `k` is `rows[k][unit + j]`.
macro_rules! tiles {
    ($vector:ty, $unit:expr, $($name:ident = $row:expr),* $(,)?) => {$(
        let mut few = <$vector>::splat(T::zero()).array();
        let $name = *<$vector>::view(&$row[$unit..], &mut few);
        let $name = $name.as_ref();
    )*};
}

/// The slopes of a [`Unit`] with the default activations.
#[inline(always)]
pub(in crate::kernels) fn fused<T: Element, U: Unit<G>, const G: usize>(units: usize, call: &mut BackwardStep<'_, T>) {
    let last = (U::STATES - 1) * units;
    for (at, &row) in call.rows.iter().enumerate() {
        if let Some(&next) = call.rows.get(at + 1) {
            prefetch(&call.saved.row(next)[..SUMS * units]);
            prefetch(call.prev.row(next));
        }
        let [a, b, c, d] = parts(call.saved.row(row), units);
        let (prev, next_h) = (&call.prev.row(row)[last..][..units], &call.next.row(row)[..units]);
        let (d_h, d_last) = (&call.d_next.row(row)[..units], &call.d_next.row(row)[last..][..units]);
        let d_prev = &mut call.d_prev.row_mut(row)[last..][..units];
        let [da, db, dc, dd] = parts_mut(call.dz.row_mut(row), units);
        for unit in (0..units).step_by(T::LANES) {
            tiles!(T::Line, unit, a = a, b = b, c = c, d = d, prev = prev, next_h = next_h, d_h = d_h, d_last = d_last);
            let zero = T::Line::splat(T::zero()).array();
            let [mut to_a, mut to_b, mut to_c, mut to_d, mut to_prev] = [zero; 5];
            let (ta, tb, tc, td) = (to_a.as_mut(), to_b.as_mut(), to_c.as_mut(), to_d.as_mut());
            let tp = to_prev.as_mut();
            for j in 0..T::LANES {
                let (dz, d) = U::slopes([a[j], b[j], c[j], d[j]], prev[j], next_h[j], [d_h[j], d_last[j]]);
                [ta[j], tb[j], tc[j], td[j]] = dz;
                tp[j] = d;
            }
            T::Line::of(to_a).store(&mut da[unit..]);
            T::Line::of(to_b).store(&mut db[unit..]);
            T::Line::of(to_c).store(&mut dc[unit..]);
            T::Line::of(to_d).store(&mut dd[unit..]);
            T::Line::of(to_prev).store(&mut d_prev[unit..]);
        }
    }
}
