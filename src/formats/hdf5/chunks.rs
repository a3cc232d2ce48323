//! Datasets that are stored in chunks: where the chunks are, and the whole put together.

use super::bytes::{Cursor, at};
use super::datatype::byte_count;
use super::filters::{Filter, undo};
use super::tree::Children;
use super::{Hdf5, damaged};
use crate::formats::error::{Found, Problem};

/// How a dataset is cut into chunks, and where their list is.
#[derive(Debug)]
pub(super) struct Chunks {
    /// The shape of a chunk.
    shape: Vec<usize>,
    index: Index,
    /// Whether the filters leave out the chunks that reach beyond the dataset's edge.
    plain_edges: bool,
}

/// The list of a dataset's chunks, in the forms that HDF5 has for datasets of a fixed shape.
#[derive(Debug)]
enum Index {
    /// A version 1 B-tree.
    Tree(u64),
    /// There is one chunk: its address; its size and mask if it is filtered.
    Single(u64, Option<(u64, u32)>),
    /// One behind the other.
    Implicit(u64),
    /// A list of addresses.
    Array(u64),
}

/// A chunk in the file.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    /// Its number, counted row by row.
    number: usize,
    address: u64,
    size: u64,
    /// The filters that were left out.
    mask: u32,
}

/// The dataset that the chunks make.
struct Whole<'s> {
    shape: &'s [usize],
    chunk: &'s [usize],
    /// The chunks along each axis.
    grid: Vec<usize>,
    /// The bytes of an element.
    element: usize,
    /// The bytes of a chunk.
    size: usize,
}

impl<'a> Hdf5<'a> {
    /// The chunks of a layout message, or the feature that isn't read.
    pub(super) fn chunks(&self, version: u8, cursor: &mut Cursor<'_>) -> Found<Result<Chunks, &'static str>> {
        let start = cursor.position();
        let mut sizes = Vec::new();
        let (index, flags) = if version == 3 {
            let count = cursor.u8()?;
            let tree = cursor.uint(self.offset_size)?;
            for _ in 0..count {
                sizes.push(cursor.uint(4)?);
            }
            (Index::Tree(tree), 0)
        } else {
            let (flags, count, width) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
            if width > 8 {
                return Err(damaged(start, "the size of a chunk has too many bytes"));
            }
            for _ in 0..count {
                sizes.push(cursor.uint(width.into())?);
            }
            let index = match cursor.u8()? {
                1 => {
                    let filtered = match flags & 2 != 0 {
                        true => Some((cursor.uint(self.length_size)?, cursor.u32()?)),
                        false => None,
                    };
                    Index::Single(cursor.uint(self.offset_size)?, filtered)
                }
                2 => Index::Implicit(cursor.uint(self.offset_size)?),
                3 => {
                    cursor.skip(1)?;
                    Index::Array(cursor.uint(self.offset_size)?)
                }
                4 | 5 => return Ok(Err("chunks of a dataset that can grow, in the newest format")),
                _ => return Err(damaged(start, "an unknown list of chunks")),
            };
            (index, flags)
        };
        // The last size is the element's, which the datatype says, too.
        sizes.pop();
        let shape: Option<Vec<usize>> =
            sizes.into_iter().map(|size| usize::try_from(size).ok().filter(|&size| size > 0)).collect();
        let shape = shape.ok_or_else(|| damaged(start, "the shape of a chunk is wrong"))?;
        Ok(Ok(Chunks { shape, index, plain_edges: flags & 1 != 0 }))
    }

    /// All bytes of a dataset in chunks. Each chunk must be there once; each costs its size from the budget, and the whole
    /// grows with what the chunks hold.
    pub(super) fn assemble(
        &self,
        chunks: &Chunks,
        filters: &[Filter],
        shape: &[usize],
        element: usize,
        address: u64,
    ) -> Found<Vec<u8>> {
        let wrong = || damaged(address, "the shapes of a dataset and its chunks don't fit");
        if shape.len() != chunks.shape.len() || shape.is_empty() {
            return Err(wrong());
        }
        let grid: Vec<usize> = shape.iter().zip(&chunks.shape).map(|(&all, &chunk)| all.div_ceil(chunk)).collect();
        let count = byte_count(&grid, 1).ok_or_else(wrong)?;
        let size = byte_count(&chunks.shape, element).ok_or_else(wrong)?;
        let whole = Whole { shape, chunk: &chunks.shape, grid, element, size };
        let mut found = self.list(&chunks.index, filters, &whole, count, address)?;
        found.sort_by_key(|chunk| chunk.number);
        if found.len() != count || found.iter().enumerate().any(|(i, chunk)| chunk.number != i) {
            return Err(damaged(address, "chunks of a dataset are missing, or there more than once"));
        }
        let mut out = Vec::new();
        for chunk in found {
            self.spend_bytes(whole.size)?;
            let stored = at(self.bytes, chunk.address, chunk.size)?;
            let plain = chunks.plain_edges && whole.at_edge(chunk.number);
            let data = undo(if plain { &[] } else { filters }, chunk.mask, stored, whole.size, chunk.address)?;
            whole
                .place(chunk.number, &data, &mut out)
                .ok_or(Problem::Io { reason: "no memory for a tensor".into() })?;
        }
        Ok(out)
    }

    fn list(
        &self,
        index: &Index,
        filters: &[Filter],
        whole: &Whole<'_>,
        count: usize,
        address: u64,
    ) -> Found<Vec<Chunk>> {
        let plain = |number: usize, address: u64| Chunk { number, address, size: whole.size as u64, mask: 0 };
        match *index {
            Index::Single(address, None) => Ok(vec![plain(0, address)]),
            Index::Single(address, Some((size, mask))) => Ok(vec![Chunk { number: 0, address, size, mask }]),
            Index::Implicit(start) => {
                let chunk = |number: usize| {
                    self.spend()?;
                    let offset = (number as u64).checked_mul(whole.size as u64);
                    let address = offset.and_then(|offset| start.checked_add(offset));
                    Ok(plain(number, address.ok_or_else(|| damaged(start, "an address is too large"))?))
                };
                (0..count).map(chunk).collect()
            }
            Index::Tree(tree) if self.is_undefined(tree) => Ok(vec![]),
            Index::Tree(tree) => {
                let key_size = 4 + 4 + 8 * (whole.shape.len() + 1);
                let chunk = |(key, address): (&[u8], u64)| {
                    let mut cursor = Cursor::part(key, tree);
                    let (size, mask) = (cursor.u32()?.into(), cursor.u32()?);
                    let mut number = 0;
                    for ((&all, &chunk), &along) in whole.shape.iter().zip(whole.chunk).zip(&whole.grid) {
                        let offset = usize::try_from(cursor.uint(8)?).ok();
                        let offset = offset.filter(|&offset| offset < all && offset % chunk == 0);
                        let offset = offset.ok_or_else(|| damaged(tree, "a chunk isn't where one can be"))?;
                        number = number * along + offset / chunk;
                    }
                    Ok(Chunk { number, address, size, mask })
                };
                self.tree_1(tree, Children::Chunks, key_size)?.into_iter().map(chunk).collect()
            }
            Index::Array(array) if self.is_undefined(array) => Ok(vec![]),
            Index::Array(array) => self.fixed_array(array, !filters.is_empty(), count, plain, address),
        }
    }

    /// A fixed array: a header, then a block of entries, in pages if there are many.
    fn fixed_array(
        &self,
        header: u64,
        filtered: bool,
        count: usize,
        plain: impl Fn(usize, u64) -> Chunk,
        address: u64,
    ) -> Found<Vec<Chunk>> {
        self.spend()?;
        let mut cursor = self.cursor(header)?;
        cursor.signature(b"FAHD", "there should be a list of chunks")?;
        cursor.skip(2)?;
        let (entry, page_bits) = (usize::from(cursor.u8()?), u32::from(cursor.u8()?));
        let entries = cursor.uint(self.length_size)?;
        let sizes = entry.checked_sub(self.offset_size + if filtered { 4 } else { 0 });
        let size_bytes = sizes.filter(|&bytes| bytes <= 8 && filtered == (bytes > 0));
        let size_bytes = size_bytes.filter(|_| entries == count as u64 && page_bits < 32);
        let size_bytes = size_bytes.ok_or_else(|| damaged(address, "a list of chunks doesn't fit its dataset"))?;
        let mut cursor = self.cursor(cursor.uint(self.offset_size)?)?;
        cursor.signature(b"FADB", "there should be a block of a list of chunks")?;
        cursor.skip(2 + self.offset_size)?;
        let page = 1_usize << page_bits;
        let paged = count > page;
        if paged {
            // Which pages were written, and a checksum.
            cursor.skip(count.div_ceil(page).div_ceil(8) + 4)?;
        }
        let mut chunks = Vec::new();
        for number in 0..count {
            self.spend()?;
            if paged && number > 0 && number % page == 0 {
                // The checksum of the page before.
                cursor.skip(4)?;
            }
            let place = cursor.uint(self.offset_size)?;
            chunks.push(match filtered {
                false => plain(number, place),
                true => Chunk { number, address: place, size: cursor.uint(size_bytes)?, mask: cursor.u32()? },
            });
        }
        Ok(chunks)
    }
}

impl Whole<'_> {
    /// Where a chunk begins, by its number.
    fn corner(&self, number: usize) -> Vec<usize> {
        let mut rest = number;
        let mut corner = vec![0; self.grid.len()];
        for axis in (0..self.grid.len()).rev() {
            corner[axis] = rest % self.grid[axis] * self.chunk[axis];
            rest /= self.grid[axis];
        }
        corner
    }

    fn at_edge(&self, number: usize) -> bool {
        let corner = self.corner(number);
        corner.iter().zip(self.chunk).zip(self.shape).any(|((&start, &size), &all)| all - start < size)
    }

    /// Copies a chunk to its place; `out` grows up to the last row that it reaches. `None` if there is no memory.
    fn place(&self, number: usize, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let corner = self.corner(number);
        let reach: Vec<usize> = corner
            .iter()
            .zip(self.chunk)
            .zip(self.shape)
            .map(|((&start, &size), &all)| size.min(all - start))
            .collect();
        let row: usize = self.shape[1..].iter().product::<usize>() * self.element;
        let needed = (corner[0] + reach[0]) * row;
        if needed > out.len() {
            out.try_reserve(needed - out.len()).ok()?;
            out.resize(needed, 0);
        }
        let last = self.shape.len() - 1;
        let width = reach[last] * self.element;
        let mut at = vec![0; last];
        loop {
            let (mut from, mut to) = (0, 0);
            for (axis, &start) in corner.iter().enumerate() {
                let inside = at.get(axis).copied().unwrap_or(0);
                from = from * self.chunk[axis] + inside;
                to = to * self.shape[axis] + start + inside;
            }
            let (from, to) = (from * self.element, to * self.element);
            out.get_mut(to..to + width)?.copy_from_slice(data.get(from..from + width)?);
            // The next row of the chunk.
            let Some(axis) = (0..last).rev().find(|&axis| at[axis] + 1 < reach[axis]) else { return Some(()) };
            at[axis] += 1;
            at[axis + 1..].fill(0);
        }
    }
}
