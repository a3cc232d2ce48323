//! B-trees of both versions: what stands in their leaves, in order.

use super::bytes::{Cursor, at};
use super::{Hdf5, damaged, unsupported};
use crate::formats::error::Found;

/// What the children of a version 1 B-tree's leaves are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Children {
    SymbolNodes = 0,
    Chunks = 1,
}

/// The sizes of fields in the nodes of a version 2 B-tree.
struct Sizes {
    node: usize,
    record: usize,
    /// The bytes that count the records of a child.
    count: usize,
    /// For each level, from the leaves up, the bytes that count all records below a node of it.
    total: Vec<usize>,
}

impl<'a> Hdf5<'a> {
    /// The leaves' entries of a version 1 B-tree: keys and children. Levels must go down by one, so a node can't be its
    /// own child.
    pub(super) fn tree_1(&self, root: u64, kind: Children, key_size: usize) -> Found<Vec<(&'a [u8], u64)>> {
        let (mut leaves, mut waiting) = (Vec::new(), vec![(root, None)]);
        while let Some((address, expected_level)) = waiting.pop() {
            self.spend()?;
            let mut cursor = self.cursor(address)?;
            cursor.signature(b"TREE", "there should be a B-tree node")?;
            if cursor.u8()? != kind as u8 {
                return Err(damaged(address, "a B-tree node has the wrong type"));
            }
            let (level, entries) = (cursor.u8()?, cursor.u16()?);
            if expected_level.is_some_and(|expected| level != expected) {
                return Err(damaged(address, "the levels of a B-tree don't go down by one"));
            }
            cursor.skip(2 * self.offset_size)?;
            let mut children = Vec::new();
            for _ in 0..entries {
                self.spend()?;
                children.push((cursor.take(key_size)?, cursor.uint(self.offset_size)?));
            }
            match level.checked_sub(1) {
                None => leaves.append(&mut children),
                Some(below) => waiting.extend(children.into_iter().rev().map(|(_, child)| (child, Some(below)))),
            }
        }
        Ok(leaves)
    }

    /// The records of a version 2 B-tree, and their type.
    pub(super) fn tree_2(&self, address: u64) -> Found<(u8, Vec<&'a [u8]>)> {
        self.spend()?;
        let mut cursor = self.cursor(address)?;
        cursor.signature(b"BTHD", "there should be the header of a B-tree")?;
        if cursor.u8()? != 0 {
            return Err(damaged(address, "an unknown version of a B-tree"));
        }
        let kind = cursor.u8()?;
        let (node, record, depth) = (cursor.u32()? as usize, cursor.u16()?.into(), cursor.u16()?.into());
        cursor.skip(2)?;
        let (root, count) = (cursor.uint(self.offset_size)?, cursor.u16()?);
        let sizes = self.sizes(address, node, record, depth)?;
        let mut records = Vec::new();
        if count > 0 {
            self.node_2(root, kind, count.into(), depth, &sizes, &mut records)?;
        }
        Ok((kind, records))
    }

    fn sizes(&self, address: u64, node: usize, record: usize, depth: usize) -> Found<Sizes> {
        let wrong = || damaged(address, "the sizes of a B-tree don't fit");
        if depth > 8 {
            return Err(unsupported("a B-tree of more than 8 levels"));
        }
        let fit = |head: usize, each: usize| node.checked_sub(head).and_then(|room| room.checked_div(each));
        let most = fit(10, record).filter(|&most| most > 0).ok_or_else(wrong)?;
        let (count, mut all, mut total) = (bytes_of(most), most, vec![0]);
        for level in 0..depth {
            let pointer = self.offset_size + count + total[level];
            let most = fit(10 + pointer, record + pointer).filter(|&most| most > 0).ok_or_else(wrong)?;
            all = all.saturating_mul(most + 1).saturating_add(most);
            total.push(bytes_of(all));
        }
        Ok(Sizes { node, record, count, total })
    }

    /// The records below a node, in order; `level` is 0 for a leaf.
    fn node_2(
        &self,
        address: u64,
        kind: u8,
        count: usize,
        level: usize,
        sizes: &Sizes,
        records: &mut Vec<&'a [u8]>,
    ) -> Found<()> {
        self.spend()?;
        let mut cursor = Cursor::part(at(self.bytes, address, sizes.node as u64)?, address);
        match level {
            0 => cursor.signature(b"BTLF", "there should be a leaf of a B-tree")?,
            _ => cursor.signature(b"BTIN", "there should be a node of a B-tree")?,
        }
        cursor.skip(1)?;
        if cursor.u8()? != kind {
            return Err(damaged(address, "a B-tree node has the wrong type"));
        }
        let mut own = Vec::new();
        for _ in 0..count {
            self.spend()?;
            own.push(cursor.take(sizes.record)?);
        }
        let Some(below) = level.checked_sub(1) else {
            records.append(&mut own);
            return Ok(());
        };
        let mut own = own.into_iter();
        loop {
            let (child, count) = (cursor.uint(self.offset_size)?, cursor.uint(sizes.count)? as usize);
            cursor.skip(sizes.total[below])?;
            self.node_2(child, kind, count, below, sizes, records)?;
            match own.next() {
                Some(record) => records.push(record),
                None => return Ok(()),
            }
        }
    }
}

/// How many bytes HDF5 writes a number with that can be as large as `limit`.
pub(super) fn bytes_of(limit: usize) -> usize {
    limit.checked_ilog2().unwrap_or(0) as usize / 8 + 1
}
