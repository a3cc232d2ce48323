//! The input's product by itself, for many rows at once: batch rows, or the time steps of one.

use super::blocks::{self, Operands, Start};
use super::epilogue::{UnitRows, ZRows};
use super::isa::Arch;
use super::packed::PackedMatrix;
use crate::kernels::Element;
use crate::strided::{Rows, RowsMut};

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
pub(super) fn gates<A: Arch, T: Element, const G: usize>(
    arch: A,
    matrix: &PackedMatrix<T>,
    count: usize,
    x: Rows<'_, T>,
    out: &mut RowsMut<'_, T>,
) {
    for first in (0..count).step_by(ROWS.len()) {
        let rows = &ROWS[..ROWS.len().min(count - first)];
        let mut epilogue = ZRows(out.reborrow().skip(first));
        blocks::gates::<A, T, _, G, false>(
            arch,
            matrix,
            &operands(matrix, x.skip(first)),
            &[],
            rows,
            false,
            &mut epilogue,
        );
    }
}

/// The same of a matrix in flat groups.
#[inline(always)]
pub(super) fn flat<A: Arch, T: Element>(
    arch: A,
    matrix: &PackedMatrix<T>,
    count: usize,
    x: Rows<'_, T>,
    out: &mut RowsMut<'_, T>,
) {
    for first in (0..count).step_by(ROWS.len()) {
        let rows = &ROWS[..ROWS.len().min(count - first)];
        let mut epilogue = ZRows(out.reborrow().skip(first));
        blocks::flat::<A, T, _>(arch, matrix, &operands(matrix, x.skip(first)), rows, false, &mut epilogue);
    }
}

/// The same as rows of units, for a matrix of one gate.
#[inline(always)]
pub(super) fn flat_units<A: Arch, T: Element>(
    arch: A,
    matrix: &PackedMatrix<T>,
    count: usize,
    x: Rows<'_, T>,
    out: &mut RowsMut<'_, T>,
) {
    for first in (0..count).step_by(ROWS.len()) {
        let rows = &ROWS[..ROWS.len().min(count - first)];
        let mut epilogue = UnitRows(out.reborrow().skip(first));
        blocks::flat::<A, T, _>(arch, matrix, &operands(matrix, x.skip(first)), rows, false, &mut epilogue);
    }
}

#[inline(always)]
fn operands<'a, T: Element>(matrix: &'a PackedMatrix<T>, x: Rows<'a, T>) -> Operands<'a, T> {
    Operands { start: Start::Same(matrix.bias()), x: Some(x), h: Rows::packed(&[], 0), h_in_order: false }
}
