//! Fractal heaps, where newer files keep the links of large groups, and attributes if there are many.
//!
//! A heap is one range of addresses of its own, cut into blocks that double in size: `width` in a row, the first two
//! rows of the starting size. Rows up to the largest direct block hold data; those beyond hold tables of more rows.

use super::bytes::{Cursor, at};
use super::tree::bytes_of;
use super::{Hdf5, damaged, unsupported};
use crate::formats::error::Found;

/// The header of a fractal heap.
struct Heap {
    address: u64,
    /// The bytes of an offset, and of a length, in a reference.
    offset_bytes: usize,
    length_bytes: usize,
    width: u64,
    starting: u64,
    largest: u64,
    root: u64,
    /// The rows of the root table; 0 if the root is the one block that there is.
    rows: usize,
}

impl Heap {
    /// The size of the blocks in a row.
    fn row_size(&self, row: usize) -> u64 {
        let factor = u32::try_from(row.saturating_sub(1)).ok().and_then(|by| 1_u64.checked_shl(by));
        factor.and_then(|factor| self.starting.checked_mul(factor)).unwrap_or(u64::MAX)
    }

    fn damaged(&self, reason: &'static str) -> crate::formats::error::Problem {
        damaged(self.address, reason)
    }
}

impl<'a> Hdf5<'a> {
    /// All objects of the heap whose address comes next, by the B-tree of their names whose address follows: where each
    /// is, and its bytes. None if there is no heap.
    pub(super) fn dense(&self, cursor: &mut Cursor<'_>) -> Found<Vec<(u64, &'a [u8])>> {
        let (heap, names) = (cursor.uint(self.offset_size)?, cursor.uint(self.offset_size)?);
        if self.is_undefined(heap) {
            return Ok(vec![]);
        }
        let heap = self.heap(heap)?;
        let (kind, records) = self.tree_2(names)?;
        let skipped = match kind {
            // Links by name: a hash, then the reference. Attributes by name: the reference comes first.
            5 => 4,
            8 => 0,
            _ => return Err(damaged(names, "a B-tree node has the wrong type")),
        };
        let object = |record: &[u8]| self.object(&heap, record.get(skipped..).unwrap_or(&[]));
        records.into_iter().map(object).collect()
    }

    fn heap(&self, address: u64) -> Found<Heap> {
        self.spend()?;
        let mut cursor = self.cursor(address)?;
        cursor.signature(b"FRHP", "there should be a fractal heap")?;
        cursor.skip(1 + 2)?;
        if cursor.u16()? != 0 {
            return Err(unsupported("a filtered fractal heap"));
        }
        cursor.skip(1)?;
        let largest_object = cursor.u32()? as usize;
        // Huge objects, free space, and how much of everything there is.
        cursor.skip(2 * self.length_size + 2 * self.offset_size)?;
        cursor.skip(8 * self.length_size)?;
        let width = cursor.u16()?.into();
        let (starting, largest) = (cursor.uint(self.length_size)?, cursor.uint(self.length_size)?);
        let offset_bits = usize::from(cursor.u16()?);
        cursor.skip(2)?;
        let (root, rows) = (cursor.uint(self.offset_size)?, cursor.u16()?.into());
        let sizes = starting.is_power_of_two() && largest.is_power_of_two() && starting <= largest;
        if !sizes || width == 0 || !(1..=64).contains(&offset_bits) || rows > 64 {
            return Err(damaged(address, "the sizes of a fractal heap don't fit"));
        }
        let largest_block = usize::try_from(largest).unwrap_or(usize::MAX);
        let length_bytes = bytes_of(largest_block).min(bytes_of(largest_object));
        let offset_bytes = offset_bits.div_ceil(8);
        Ok(Heap { address, offset_bytes, length_bytes, width, starting, largest, root, rows })
    }

    /// An object by its reference.
    fn object(&self, heap: &Heap, reference: &[u8]) -> Found<(u64, &'a [u8])> {
        let mut cursor = Cursor::part(reference, heap.address);
        match cursor.u8()? >> 4 & 3 {
            0 => {}
            1 => return Err(unsupported("a huge object of a fractal heap")),
            _ => return Err(unsupported("a tiny object of a fractal heap")),
        }
        let (offset, length) = (cursor.uint(heap.offset_bytes)?, cursor.uint(heap.length_bytes)?);
        let (block, size, within) = self.block(heap, offset)?;
        if within.checked_add(length).is_none_or(|end| end > size) {
            return Err(heap.damaged("an object reaches beyond its block"));
        }
        let start = block.checked_add(within).ok_or_else(|| heap.damaged("an address is too large"))?;
        Ok((start, at(self.bytes, start, length)?))
    }

    /// The block that holds an offset of the heap: its address, its size, and the offset within it.
    fn block(&self, heap: &Heap, mut offset: u64) -> Found<(u64, u64, u64)> {
        let (mut address, mut rows) = (heap.root, heap.rows);
        let mut size = heap.starting;
        let outside = || heap.damaged("an object lies outside of its heap");
        // A table has fewer rows than the one that it stands in.
        while rows > 0 {
            self.spend()?;
            let mut cursor = self.cursor(address)?;
            cursor.signature(b"FHIB", "there should be a table of a fractal heap")?;
            cursor.skip(1 + self.offset_size + heap.offset_bytes)?;
            let mut row = 0;
            loop {
                let all = heap.row_size(row).checked_mul(heap.width).ok_or_else(outside)?;
                if offset < all {
                    break;
                }
                offset -= all;
                row += 1;
            }
            if row >= rows {
                return Err(outside());
            }
            size = heap.row_size(row);
            let column = offset / size;
            offset %= size;
            let entry = (row as u64).saturating_mul(heap.width).saturating_add(column);
            cursor.skip(usize::try_from(entry).map_err(|_| outside())?.saturating_mul(self.offset_size))?;
            address = cursor.uint(self.offset_size)?;
            if self.is_undefined(address) {
                return Err(outside());
            }
            rows = match size <= heap.largest {
                true => 0,
                false => {
                    let first = heap.starting.saturating_mul(heap.width);
                    let inner = (size / first.max(1)).checked_ilog2().map_or(0, |log| log as usize + 1);
                    if inner == 0 || inner >= rows {
                        return Err(heap.damaged("the tables of a fractal heap don't get smaller"));
                    }
                    inner
                }
            };
        }
        self.spend()?;
        self.cursor(address)?.signature(b"FHDB", "there should be a block of a fractal heap")?;
        Ok((address, size, offset))
    }
}
