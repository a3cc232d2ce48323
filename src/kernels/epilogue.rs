//! Where sums go that no cell consumes while they are near: into rows.

use super::blocks::{Block, Epilogue};
use super::isa::Arch;
use super::lanes::{Lanes, add, prefetch_line};
use super::packed::Group;
use super::unit::SUMS;
use crate::kernels::Element;
use crate::strided::RowsMut;

/// Writes z rows: columns in the order of the matrix, from its first column on.
pub(super) struct ZRows<'a, T>(pub RowsMut<'a, T>);

impl<T: Element> Epilogue<T> for ZRows<'_, T> {
    #[inline(always)]
    fn consume<A: Arch, V: Lanes<T>>(&mut self, group: &Group, _first: usize, rows: &[usize], z: &mut Block<V>) {
        for (i, &row) in rows.iter().enumerate() {
            let out = &mut self.0.row_mut(row)[group.z..][..group.lines * V::LEN];
            for (out, z) in out.chunks_exact_mut(V::LEN).zip(&*z) {
                z[i].store(out);
            }
        }
    }
}

/// Writes rows of one value a unit, of a matrix with one gate in flat groups.
pub(super) struct UnitRows<'a, T>(pub RowsMut<'a, T>);

impl<T: Element> Epilogue<T> for UnitRows<'_, T> {
    #[inline(always)]
    fn consume<A: Arch, V: Lanes<T>>(&mut self, group: &Group, _first: usize, rows: &[usize], z: &mut Block<V>) {
        for (i, &row) in rows.iter().enumerate() {
            let out = &mut self.0.row_mut(row)[group.z..];
            for (out, z) in out.chunks_mut(V::LEN).zip(&z[..group.lines]) {
                z[i].store(out);
            }
        }
    }
}

/// Adds to rows of one value a unit, of a matrix with one gate in flat groups.
pub(super) struct AddedUnitRows<'a, T>(pub RowsMut<'a, T>);

impl<T: Element> Epilogue<T> for AddedUnitRows<'_, T> {
    #[inline(always)]
    fn consume<A: Arch, V: Lanes<T>>(&mut self, group: &Group, _first: usize, rows: &[usize], z: &mut Block<V>) {
        for (i, &row) in rows.iter().enumerate() {
            let out = &mut self.0.row_mut(row)[group.z..];
            for (out, z) in out.chunks_mut(V::LEN).zip(&z[..group.lines]) {
                let mut few = V::splat(T::zero()).array();
                add(V::of(*V::view(out, &mut few)), z[i]).store(out);
            }
        }
    }
}

/// Writes rows of [`SUMS`] x units, in the order of the call's rows, of a matrix whose tiles are groups.
pub(super) struct TileRows<'a, T> {
    pub out: &'a mut [T],
    pub units: usize,
}

impl<T: Element> Epilogue<T> for TileRows<'_, T> {
    #[inline(always)]
    fn consume<A: Arch, V: Lanes<T>>(&mut self, group: &Group, first: usize, rows: &[usize], z: &mut Block<V>) {
        let (units, unit) = (self.units, group.z / group.lines);
        let rows_out = self.out.chunks_exact_mut(SUMS * units).skip(first);
        for (i, (out, _)) in rows_out.zip(rows).enumerate() {
            for (out, z) in out.chunks_exact_mut(units).zip(&*z) {
                z[i].store(&mut out[unit..]);
            }
        }
    }
}

/// Writes rows of two gates x units, in the order of the call's rows, of a matrix in flat groups.
pub(super) struct TwoGateRows<'a, T> {
    pub out: &'a mut [T],
    pub units: usize,
}

impl<T: Element> Epilogue<T> for TwoGateRows<'_, T> {
    #[inline(always)]
    fn consume<A: Arch, V: Lanes<T>>(&mut self, group: &Group, first: usize, rows: &[usize], z: &mut Block<V>) {
        let units = self.units;
        let rows_out = self.out.chunks_exact_mut(2 * units).skip(first);
        for (i, (out, _)) in rows_out.zip(rows).enumerate() {
            for (n, z) in z[..group.lines].iter().enumerate() {
                let (unit, second) = line_of_two(group, n, units);
                z[i].store(&mut out[usize::from(second) * units..][..units][unit..]);
            }
        }
    }
}

/// The first unit of the `n`th line of a flat group, and whether it is one of the second gate's: those come first.
#[inline(always)]
pub(super) fn line_of_two(group: &Group, n: usize, units: usize) -> (usize, bool) {
    let unit = group.z + n * group.lanes;
    let all = units.next_multiple_of(group.lanes);
    if unit < all { (unit, true) } else { (unit - all, false) }
}

/// Asks for the tile from `unit` on in each of the parts, of `units` elements, of some rows.
#[inline(always)]
pub(super) fn prefetch_tile<T>(out: &RowsMut<'_, T>, units: usize, unit: usize, rows: &[usize]) {
    for &row in rows {
        for part in out.row(row).chunks_exact(units) {
            prefetch_line(&part[unit..]);
        }
    }
}
