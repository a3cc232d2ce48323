//! From the gradient of a step's result to those of its preactivations, element by element.
//!
//! The equations are those of the cells' `step_backward`. The backward pass through an activation is one call for a
//! whole gate of a row; the loops between them are flat, so that the compiler makes vectors of them. With the default
//! activations nothing is called: all that a unit needs is read once, tile by tile.

use super::lanes::{Lanes, prefetch};
use super::unit::{Activations, SUMS, Unit};
use crate::activation::Activation;
use crate::kernels::Element;
use crate::strided::{Rows, RowsMut};

/// Columns of dz and the columns of a weight that they are the gradients of, in units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    pub dz: usize,
    pub weight: usize,
    pub count: usize,
}

pub(super) const fn columns(dz: usize, weight: usize, count: usize) -> Columns {
    Columns { dz, weight, count }
}

/// Which gradients of preactivations belong to which weights. A row of dz begins with those of the kernel.
#[derive(Debug, Clone, Copy)]
pub(super) struct GradientLayout {
    /// Gates in the kernels' columns.
    pub gates: usize,
    /// Parts in a row of dz.
    pub parts: usize,
    /// Those of the kernel and of the (first) bias.
    pub kernel: &'static [Columns],
    /// Those of the recurrent kernel whose operand is h, and of a second bias.
    pub recurrent: Columns,
    /// Those whose operand is r h.
    pub candidate: Option<Columns>,
    /// Whether a part of the old h goes into the new one as it is: its gradient is there before that of the product.
    pub mixes_h: bool,
}

/// The gradients that flow into the outputs of a step, and into those of the one before it, which is the next to go
/// back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upstream<'a, T> {
    pub here: Rows<'a, T>,
    pub earlier: Rows<'a, T>,
}

/// One step's backward pass.
#[derive(Debug)]
pub(crate) struct BackwardStep<'a, T> {
    /// The live rows, as indices into all that follows.
    pub rows: &'a [usize],
    /// The states before the step.
    pub prev: Rows<'a, T>,
    /// The states after it.
    pub next: Rows<'a, T>,
    /// The step's tape.
    pub tape: Rows<'a, T>,
    /// The gradient of the states after the step.
    pub d_next: RowsMut<'a, T>,
    /// What is first to be added to that of h.
    pub upstream: Option<Upstream<'a, T>>,
    /// The gradient of the states before it, to be written.
    pub d_prev: RowsMut<'a, T>,
    /// The gradients of the preactivations, to be written.
    pub dz: RowsMut<'a, T>,
    /// The gradient of x, to be added to.
    pub d_x: Option<RowsMut<'a, T>>,
    /// As many elements as the kernel's `scratch_len` says.
    pub scratch: &'a mut [T],
    pub activation: &'a Activation,
    pub recurrent_activation: &'a Activation,
}

impl<'a, T> BackwardStep<'a, T> {
    /// Both activations.
    #[inline(always)]
    pub(super) fn activations(&self) -> Activations<'a> {
        Activations { candidate: self.activation, gates: self.recurrent_activation }
    }
}

/// The parts of a row of [`SUMS`] x units.
#[inline(always)]
pub(super) fn parts<T>(row: &[T], units: usize) -> [&[T]; SUMS] {
    let (a, rest) = row.split_at(units);
    let (b, rest) = rest.split_at(units);
    let (c, rest) = rest.split_at(units);
    [a, b, c, &rest[..units]]
}

/// The same, to write.
#[inline(always)]
pub(super) fn parts_mut<T>(row: &mut [T], units: usize) -> [&mut [T]; SUMS] {
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
pub(super) fn fused<T: Element, U: Unit<G>, const G: usize>(units: usize, call: &mut BackwardStep<'_, T>) {
    let last = (U::STATES - 1) * units;
    for (at, &row) in call.rows.iter().enumerate() {
        if let Some(&next) = call.rows.get(at + 1) {
            prefetch(&call.tape.row(next)[..SUMS * units]);
            prefetch(call.prev.row(next));
        }
        let [a, b, c, d] = parts(call.tape.row(row), units);
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
