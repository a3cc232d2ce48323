//! The input's product by itself, for many rows at once: batch rows, or the time steps of one.

use super::blocks::{self, Operands, Start};
use super::isa::Arch;
use super::panels::Panels;
use super::sinks::{UnitRows, ZRows};
use crate::Float;
use crate::rows::{Rows, RowsMut};

/// The rows that are computed before the next ones are looked at: enough to use a matrix that comes from far away well.
const ROWS: [usize; 24] = {
    let mut rows = [0; 24];
    let mut i = 0;
    while i < rows.len() {
        rows[i] = i;
        i += 1;
    }
    rows
};

/// `bias + x * kernel` of rows `0..count`, of a matrix whose tiles are groups of `G` lines.
#[inline(always)]
pub(super) fn gates<A: Arch, T: Float, const G: usize>(
    arch: A,
    panels: &Panels<T>,
    count: usize,
    x: Rows<'_, T>,
    out: &mut RowsMut<'_, T>,
) {
    for first in (0..count).step_by(ROWS.len()) {
        let rows = &ROWS[..ROWS.len().min(count - first)];
        let mut sink = ZRows(out.reborrow().skip(first));
        blocks::gates::<A, T, _, G, false>(arch, panels, &operands(panels, x.skip(first)), &[], rows, false, &mut sink);
    }
}

/// The same of a matrix in flat groups.
#[inline(always)]
pub(super) fn flat<A: Arch, T: Float>(
    arch: A,
    panels: &Panels<T>,
    count: usize,
    x: Rows<'_, T>,
    out: &mut RowsMut<'_, T>,
) {
    for first in (0..count).step_by(ROWS.len()) {
        let rows = &ROWS[..ROWS.len().min(count - first)];
        let mut sink = ZRows(out.reborrow().skip(first));
        blocks::flat::<A, T, _>(arch, panels, &operands(panels, x.skip(first)), rows, false, &mut sink);
    }
}

/// The same as rows of units, for a matrix of one gate.
#[inline(always)]
pub(super) fn flat_units<A: Arch, T: Float>(
    arch: A,
    panels: &Panels<T>,
    count: usize,
    x: Rows<'_, T>,
    out: &mut RowsMut<'_, T>,
) {
    for first in (0..count).step_by(ROWS.len()) {
        let rows = &ROWS[..ROWS.len().min(count - first)];
        let mut sink = UnitRows(out.reborrow().skip(first));
        blocks::flat::<A, T, _>(arch, panels, &operands(panels, x.skip(first)), rows, false, &mut sink);
    }
}

#[inline(always)]
fn operands<'a, T: Float>(panels: &'a Panels<T>, x: Rows<'a, T>) -> Operands<'a, T> {
    Operands { start: Start::Same(panels.bias()), x: Some(x), h: Rows::packed(&[], 0), h_in_order: false }
}
