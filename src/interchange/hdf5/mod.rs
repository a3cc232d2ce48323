//! As much of HDF5 as Keras writes, read from bytes that nobody trusts.
//!
//! What is read (the names are those of the HDF5 file format specification, version 3):
//!
//! ```text
//! superblock (versions 0 to 3) -> object header of the root group
//! object header (versions 1, 2), its continuation blocks -> messages
//!   group:    symbol table message -> version 1 B-tree -> symbol table nodes, names in a local heap;
//!             or link messages (hard links)
//!   dataset:  dataspace, datatype, data layout (contiguous or compact)
//!   either:   attribute messages; variable-length strings in global heap collections
//! ```
//!
//! Everything else (chunks, filters, fractal heaps, soft and external links, shared messages) is refused by name.
//!
//! Nothing is copied and nothing is allocated by a number from the file: names, strings and tensors are slices of the
//! file's bytes, and lists grow as entries are found. Each header, node, entry and message that is looked at costs a
//! unit of a budget, so any chain, loop or tree of references ends; offsets are checked before they are followed.

mod bytes;
mod datatype;
mod object;

use std::cell::Cell;

use self::bytes::{Cursor, at};
pub(crate) use self::datatype::{Element, Tensor};
use super::error::{Found, Problem};
use super::limits::Limits;

/// An HDF5 file in memory.
#[derive(Debug)]
pub(crate) struct Hdf5<'a> {
    bytes: &'a [u8],
    offset_size: usize,
    length_size: usize,
    root: u64,
    /// How many more things may be looked at.
    budget: Cell<usize>,
    objects: usize,
}

/// A group or a dataset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object {
    /// Where its header is.
    address: u64,
}

/// What a string attribute holds.
pub(crate) type Strings<'a> = Vec<&'a str>;

impl<'a> Hdf5<'a> {
    /// The first bytes of any HDF5 file.
    pub(crate) const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

    pub(crate) fn new(bytes: &'a [u8], limits: &Limits) -> Found<Self> {
        let mut file = Hdf5 {
            bytes,
            offset_size: 8,
            length_size: 8,
            root: 0,
            budget: Cell::new(limits.objects),
            objects: limits.objects,
        };
        if !bytes.starts_with(&Self::SIGNATURE) {
            return Err(damaged(0, "it doesn't begin with HDF5's signature"));
        }
        let mut cursor = Cursor::new(bytes, 8)?;
        let version = cursor.u8()?;
        match version {
            0 | 1 => {
                cursor.skip(4)?;
                file.set_sizes(cursor.u8()?, cursor.u8()?)?;
                // Reserved, the B-trees' K values, consistency flags; version 1 has one K and a pad more.
                cursor.skip(if version == 0 { 9 } else { 13 })?;
                let base = cursor.uint(file.offset_size)?;
                // Free space, end of file, driver information; then the root's symbol table entry.
                cursor.skip(3 * file.offset_size)?;
                cursor.skip(file.offset_size)?;
                file.root = cursor.uint(file.offset_size)?;
                file.check_base(base)?;
            }
            2 | 3 => {
                file.set_sizes(cursor.u8()?, cursor.u8()?)?;
                cursor.skip(1)?;
                let base = cursor.uint(file.offset_size)?;
                cursor.skip(2 * file.offset_size)?;
                file.root = cursor.uint(file.offset_size)?;
                file.check_base(base)?;
            }
            _ => return Err(damaged(8, "an unknown version of the superblock")),
        }
        Ok(file)
    }

    fn set_sizes(&mut self, offsets: u8, lengths: u8) -> Found<()> {
        for size in [offsets, lengths] {
            if !matches!(size, 4 | 8) {
                return Err(damaged(9, "offsets and lengths must have 4 or 8 bytes"));
            }
        }
        (self.offset_size, self.length_size) = (offsets.into(), lengths.into());
        Ok(())
    }

    fn check_base(&self, base: u64) -> Found<()> {
        if base == 0 { Ok(()) } else { Err(damaged(8, "the base address isn't zero")) }
    }

    /// The whole file's group.
    pub(crate) fn root(&self) -> Object {
        Object { address: self.root }
    }

    /// Takes from the budget.
    fn spend(&self) -> Found<()> {
        match self.budget.get().checked_sub(1) {
            Some(left) => {
                self.budget.set(left);
                Ok(())
            }
            None => {
                let limit = self.objects as u64;
                Err(Problem::Limit { what: "objects", limit, given: limit.saturating_add(1) })
            }
        }
    }

    fn cursor(&self, address: u64) -> Found<Cursor<'a>> {
        Cursor::new(self.bytes, address)
    }

    /// The address that means "none".
    fn is_undefined(&self, address: u64) -> bool {
        address == if self.offset_size == 8 { u64::MAX } else { u32::MAX.into() }
    }

    /// What a group holds: names and objects, in the file's order.
    pub(crate) fn members(&self, group: Object) -> Found<Vec<(&'a str, Object)>> {
        let mut members = Vec::new();
        for message in self.messages(group)? {
            match message.kind {
                object::SYMBOL_TABLE => {
                    let mut cursor = message.cursor()?;
                    let (tree, heap) = (cursor.uint(self.offset_size)?, cursor.uint(self.offset_size)?);
                    let names = self.local_heap(heap)?;
                    self.walk_tree(tree, names, &mut members)?;
                }
                object::LINK => {
                    if let Some(link) = self.link(&message)? {
                        members.push(link);
                    }
                }
                object::LINK_INFO => {
                    let mut cursor = message.cursor()?;
                    cursor.skip(1)?;
                    let flags = cursor.u8()?;
                    cursor.skip(if flags & 1 != 0 { 8 } else { 0 })?;
                    if !self.is_undefined(cursor.uint(self.offset_size)?) {
                        return Err(unsupported("a group with many links in a fractal heap"));
                    }
                }
                _ => {}
            }
        }
        Ok(members)
    }

    /// A member by name.
    pub(crate) fn member(&self, group: Object, name: &str) -> Found<Option<Object>> {
        Ok(self.members(group)?.into_iter().find(|(member, _)| *member == name).map(|(_, object)| object))
    }

    /// An object by its path, `a/b/c`.
    pub(crate) fn find(&self, path: &str) -> Found<Option<Object>> {
        let mut object = self.root();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            match self.member(object, part)? {
                Some(member) => object = member,
                None => return Ok(None),
            }
        }
        Ok(Some(object))
    }

    /// The names' bytes of a group.
    fn local_heap(&self, address: u64) -> Found<&'a [u8]> {
        self.spend()?;
        let mut cursor = self.cursor(address)?;
        cursor.signature(b"HEAP", "a local heap")?;
        cursor.skip(4)?;
        let size = cursor.uint(self.length_size)?;
        cursor.skip(self.length_size)?;
        at(self.bytes, cursor.uint(self.offset_size)?, size)
    }

    /// The leaves of a group's B-tree. Levels must go down by one, so a node can't be its own child.
    fn walk_tree(&self, root: u64, names: &'a [u8], members: &mut Vec<(&'a str, Object)>) -> Found<()> {
        let mut waiting = vec![(root, None)];
        while let Some((address, expected_level)) = waiting.pop() {
            self.spend()?;
            let mut cursor = self.cursor(address)?;
            cursor.signature(b"TREE", "a B-tree node")?;
            if cursor.u8()? != 0 {
                return Err(damaged(address, "a B-tree node of a group has the wrong type"));
            }
            let (level, entries) = (cursor.u8()?, cursor.u16()?);
            if expected_level.is_some_and(|expected| level != expected) {
                return Err(damaged(address, "the levels of a B-tree don't go down by one"));
            }
            cursor.skip(2 * self.offset_size)?;
            let mut children = Vec::new();
            for _ in 0..entries {
                self.spend()?;
                cursor.skip(self.length_size)?;
                children.push(cursor.uint(self.offset_size)?);
            }
            match level.checked_sub(1) {
                None => children.into_iter().try_for_each(|child| self.symbol_node(child, names, members))?,
                Some(below) => waiting.extend(children.into_iter().rev().map(|child| (child, Some(below)))),
            }
        }
        Ok(())
    }

    fn symbol_node(&self, address: u64, names: &'a [u8], members: &mut Vec<(&'a str, Object)>) -> Found<()> {
        self.spend()?;
        let mut cursor = self.cursor(address)?;
        cursor.signature(b"SNOD", "a symbol table node")?;
        cursor.skip(2)?;
        for _ in 0..cursor.u16()? {
            self.spend()?;
            let (name, object) = (cursor.uint(self.offset_size)?, cursor.uint(self.offset_size)?);
            let cache = cursor.u32()?;
            cursor.skip(4 + 16)?;
            if cache == 2 {
                return Err(unsupported("a soft link"));
            }
            members.push((terminated(names, name)?, Object { address: object }));
        }
        Ok(())
    }
}

/// The text from `start` on to the next zero byte.
fn terminated(names: &[u8], start: u64) -> Found<&str> {
    let rest = usize::try_from(start).ok().and_then(|start| names.get(start..));
    let rest = rest.ok_or_else(|| damaged(start, "a name begins outside the heap of names"))?;
    let end = rest.iter().position(|&byte| byte == 0);
    let end = end.ok_or_else(|| damaged(start, "a name doesn't end"))?;
    text(&rest[..end], start)
}

fn text(bytes: &[u8], at: u64) -> Found<&str> {
    std::str::from_utf8(bytes).map_err(|_| damaged(at, "a text isn't UTF-8"))
}

#[cold]
fn damaged(at: u64, reason: &'static str) -> Problem {
    Problem::Hdf5 { at, reason }
}

#[cold]
fn unsupported(feature: &'static str) -> Problem {
    Problem::Hdf5Feature { object: "HDF5 data".into(), feature }
}
