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
pub(super) struct Whole<'s> {
    shape: &'s [usize],
    chunk: &'s [usize],
    /// The chunks along each axis.
    grid: Vec<usize>,
    /// How many there may become, which is how lists count them.
    most: Vec<u64>,
    /// All chunks.
    count: usize,
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
                4 | 5 => return Ok(Err("chunks of a dataset that can grow without limit, in the newest format")),
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

    /// All bytes of a dataset in chunks, or that some were never written. Each chunk must be there once; each costs its
    /// size from the budget, and the whole grows with what the chunks hold.
    pub(super) fn assemble(
        &self,
        chunks: &Chunks,
        filters: &[Filter],
        whole: &Whole<'_>,
        address: u64,
    ) -> Found<Result<Vec<u8>, &'static str>> {
        let mut found = self.list(&chunks.index, !filters.is_empty(), whole, address)?;
        found.sort_by_key(|chunk| chunk.number);
        if found.windows(2).any(|pair| pair[0].number == pair[1].number) {
            return Err(damaged(address, "chunks of a dataset are there more than once"));
        }
        if found.len() != whole.count || found.iter().any(|chunk| self.is_undefined(chunk.address)) {
            return Ok(Err("a dataset of which chunks were never written"));
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
        Ok(Ok(out))
    }

    /// The chunks that there are.
    fn list(&self, index: &Index, filtered: bool, whole: &Whole<'_>, address: u64) -> Found<Vec<Chunk>> {
        let plain = |number: usize, address: u64| Chunk { number, address, size: whole.size as u64, mask: 0 };
        match *index {
            Index::Single(..) if whole.count != 1 => Err(damaged(address, "one chunk doesn't make its dataset")),
            Index::Single(address, None) => Ok(vec![plain(0, address)]),
            Index::Single(address, Some((size, mask))) => Ok(vec![Chunk { number: 0, address, size, mask }]),
            Index::Implicit(start) if self.is_undefined(start) => Ok(vec![]),
            Index::Implicit(start) => {
                let chunk = |number: usize| {
                    self.spend()?;
                    let offset = whole.entry(number).and_then(|entry| entry.checked_mul(whole.size as u64));
                    let address = offset.and_then(|offset| start.checked_add(offset));
                    Ok(plain(number, address.ok_or_else(|| damaged(start, "an address is too large"))?))
                };
                (0..whole.count).map(chunk).collect()
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
            Index::Array(array) => self.fixed_array(array, filtered, whole, address),
        }
    }

    /// A fixed array: a header, then a block of entries, in pages if there are many. It has an entry for each chunk
    /// that there may become.
    fn fixed_array(&self, header: u64, filtered: bool, whole: &Whole<'_>, address: u64) -> Found<Vec<Chunk>> {
        let wrong = || damaged(address, "a list of chunks doesn't fit its dataset");
        self.spend()?;
        let mut cursor = self.cursor(header)?;
        cursor.signature(b"FAHD", "there should be a list of chunks")?;
        cursor.skip(2)?;
        let (entry, page_bits) = (usize::from(cursor.u8()?), u32::from(cursor.u8()?));
        let entries = cursor.uint(self.length_size)?;
        let sizes = entry.checked_sub(self.offset_size + if filtered { 4 } else { 0 });
        let size_bytes = sizes.filter(|&bytes| bytes <= 8 && filtered == (bytes > 0)).ok_or_else(wrong)?;
        if page_bits >= 32 || whole.entries() != Some(entries) {
            return Err(wrong());
        }
        let mut cursor = self.cursor(cursor.uint(self.offset_size)?)?;
        cursor.signature(b"FADB", "there should be a block of a list of chunks")?;
        cursor.skip(2 + self.offset_size)?;
        let page = 1_u64 << page_bits;
        let mut written: &[u8] = &[];
        let paged = entries > page;
        if paged {
            // Which pages were written, a bit for each from the highest on, and a checksum.
            let bytes = entries.div_ceil(page).div_ceil(8);
            written = cursor.take(usize::try_from(bytes).map_err(|_| wrong())?)?;
            cursor.skip(4)?;
        }
        let start = cursor.position();
        let mut chunks = Vec::new();
        for number in 0..whole.count {
            self.spend()?;
            let at = whole.entry(number).ok_or_else(wrong)?;
            let in_page = at / page;
            let bits = written.get((in_page / 8) as usize).copied().unwrap_or(0);
            if paged && bits & 0x80 >> (in_page % 8) == 0 {
                continue;
            }
            // Behind each page is its checksum.
            let offset = at.checked_mul(entry as u64).and_then(|offset| offset.checked_add(4 * in_page));
            let place = offset.and_then(|offset| start.checked_add(offset)).ok_or_else(wrong)?;
            let mut cursor = self.cursor(place)?;
            let place = cursor.uint(self.offset_size)?;
            let (size, mask) = match filtered {
                false => (whole.size as u64, 0),
                true => (cursor.uint(size_bytes)?, cursor.u32()?),
            };
            chunks.push(Chunk { number, address: place, size, mask });
        }
        Ok(chunks)
    }
}

impl<'s> Whole<'s> {
    /// `sizes`: the shape, and what it may grow to.
    pub(super) fn new(
        chunks: &'s Chunks,
        (shape, most): (&'s [usize], &[u64]),
        element: usize,
        address: u64,
    ) -> Found<Self> {
        let wrong = || damaged(address, "the shapes of a dataset and its chunks don't fit");
        let chunk = &chunks.shape[..];
        if shape.len() != chunk.len() || shape.is_empty() {
            return Err(wrong());
        }
        let grid: Vec<usize> = shape.iter().zip(chunk).map(|(&all, &chunk)| all.div_ceil(chunk)).collect();
        let most = most.iter().zip(chunk).map(|(&all, &chunk)| all.div_ceil(chunk as u64)).collect();
        let count = byte_count(&grid, 1).ok_or_else(wrong)?;
        let size = byte_count(chunk, element).ok_or_else(wrong)?;
        Ok(Whole { shape, chunk, grid, most, count, element, size })
    }

    /// How many chunks there may become.
    fn entries(&self) -> Option<u64> {
        self.most.iter().try_fold(1_u64, |all, &along| all.checked_mul(along))
    }

    /// The place of a chunk in a list of all that there may become.
    fn entry(&self, number: usize) -> Option<u64> {
        let corner = self.corner(number);
        let mut along = corner.iter().zip(self.chunk).zip(&self.most);
        along.try_fold(0_u64, |entry, ((&corner, &chunk), &most)| {
            entry.checked_mul(most)?.checked_add((corner / chunk) as u64)
        })
    }

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
