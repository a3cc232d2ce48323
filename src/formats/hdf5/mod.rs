//! As much of HDF5 as Keras writes, read from bytes that are not trusted; and [written](write).
//!
//! What is read (the names are those of the HDF5 file format specification, version 3):
//!
//! ```text
//! superblock (versions 0 to 3), behind a user block or not -> object header of the root group
//! object header (versions 1, 2), its continuation blocks -> messages
//!   group:    symbol table message -> version 1 B-tree -> symbol table nodes, names in a local heap;
//!             or link messages (hard links), in a fractal heap -> version 2 B-tree if there are many
//!   dataset:  dataspace, datatype, data layout (contiguous, compact, or chunked: a version 1 B-tree, a single chunk,
//!             an implicit list, a fixed array), filters (deflate, shuffle, Fletcher32, LZF)
//!   either:   attribute messages, or attributes in a fractal heap; variable-length strings in global heap collections
//! ```
//!
//! Keras itself writes the oldest of these forms and neither chunks nor filters; h5py and h5repack write the others.
//! Everything else (soft and external links, shared messages, chunks of datasets that can grow without limit in the
//! newest format) is refused by name.
//!
//! Nothing is allocated by a number from the file: names, strings and tensors in one piece are slices of the file's
//! bytes, and lists grow as entries are found. Each header, node, entry and message that is looked at costs a unit of a
//! budget, so any chain, loop or tree of references ends; offsets are checked before they are followed. What is
//! unpacked costs its bytes from another budget, and memory for it grows as it comes out.

mod attribute;
mod bytes;
mod chunks;
mod dataset;
mod datatype;
mod filters;
mod heap;
mod lookup3;
mod object;
mod tree;
mod write;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use self::bytes::{Cursor, at};
use self::tree::Children;
pub(crate) use self::write::{Node, Tensor};
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
    /// How many more bytes may be unpacked.
    room: Cell<usize>,
    inflated_bytes: usize,
    /// The groups that were looked into: each is read once.
    groups: RefCell<HashMap<u64, Rc<Group<'a>>>>,
}

/// A group that was read: its members in the file's order, and by name.
#[derive(Debug)]
struct Group<'a> {
    members: Rc<[Member<'a>]>,
    by_name: HashMap<&'a str, Object>,
    /// Whether a name has a backslash: what Keras 2 on Windows made of a path.
    backslashes: bool,
}

/// A name in a group, and what it stands for.
pub(crate) type Member<'a> = (&'a str, Object);

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

    /// Where HDF5 data begins: at once, or behind a user block of 512 bytes, 1024, or another doubling.
    pub(crate) fn start(bytes: &[u8]) -> Option<usize> {
        let blocks = std::iter::successors(Some(512_usize), |size| size.checked_mul(2));
        let mut starts = std::iter::once(0).chain(blocks).take_while(|&start| start < bytes.len());
        starts.find(|&start| bytes[start..].starts_with(&Self::SIGNATURE))
    }

    pub(crate) fn new(bytes: &'a [u8], limits: &Limits) -> Found<Self> {
        // All addresses count from there.
        let start = Self::start(bytes).ok_or_else(|| damaged(0, "there is no HDF5 signature"))?;
        let bytes = &bytes[start..];
        let mut file = Hdf5 {
            bytes,
            offset_size: 8,
            length_size: 8,
            root: 0,
            budget: Cell::new(limits.objects),
            objects: limits.objects,
            room: Cell::new(limits.inflated_bytes),
            inflated_bytes: limits.inflated_bytes,
            groups: RefCell::default(),
        };
        let mut cursor = Cursor::new(bytes, 8)?;
        let version = cursor.u8()?;
        match version {
            0 | 1 => {
                cursor.skip(4)?;
                file.set_sizes(cursor.u8()?, cursor.u8()?)?;
                // Reserved, the B-trees' K values, consistency flags; version 1 has one K and a pad more.
                cursor.skip(if version == 0 { 9 } else { 13 })?;
                cursor.skip(file.offset_size)?;
                // Free space, end of file, driver information; then the root's symbol table entry.
                cursor.skip(3 * file.offset_size)?;
                cursor.skip(file.offset_size)?;
                file.root = cursor.uint(file.offset_size)?;
            }
            2 | 3 => {
                file.set_sizes(cursor.u8()?, cursor.u8()?)?;
                cursor.skip(1)?;
                cursor.skip(3 * file.offset_size)?;
                file.root = cursor.uint(file.offset_size)?;
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

    /// The whole file's group.
    pub(crate) fn root(&self) -> Object {
        Object { address: self.root }
    }

    /// Takes from the budget.
    pub(crate) fn spend(&self) -> Found<()> {
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

    /// Takes bytes that are to be unpacked from the budget.
    fn spend_bytes(&self, count: usize) -> Found<()> {
        let left = self.room.get();
        if count > left {
            let limit = self.inflated_bytes as u64;
            let given = (self.inflated_bytes - left).saturating_add(count) as u64;
            return Err(Problem::Limit { what: "inflated_bytes", limit, given });
        }
        self.room.set(left - count);
        Ok(())
    }

    fn cursor(&self, address: u64) -> Found<Cursor<'a>> {
        Cursor::new(self.bytes, address)
    }

    /// The address that means "none".
    fn is_undefined(&self, address: u64) -> bool {
        address == if self.offset_size == 8 { u64::MAX } else { u32::MAX.into() }
    }

    /// What a group holds: names and objects, in the file's order.
    pub(crate) fn members(&self, group: Object) -> Found<Rc<[Member<'a>]>> {
        Ok(Rc::clone(&self.group(group)?.members))
    }

    fn group(&self, object: Object) -> Found<Rc<Group<'a>>> {
        if let Some(group) = self.groups.borrow().get(&object.address) {
            return Ok(Rc::clone(group));
        }
        let members: Rc<[Member<'a>]> = self.read_members(object)?.into();
        let backslashes = members.iter().any(|(name, _)| name.contains('\\'));
        let group = Rc::new(Group { by_name: members.iter().copied().collect(), members, backslashes });
        self.groups.borrow_mut().insert(object.address, Rc::clone(&group));
        Ok(group)
    }

    fn read_members(&self, group: Object) -> Found<Vec<Member<'a>>> {
        let mut members = Vec::new();
        for message in self.messages(group)? {
            match message.kind {
                object::SYMBOL_TABLE => {
                    let mut cursor = message.cursor()?;
                    let (tree, heap) = (cursor.uint(self.offset_size)?, cursor.uint(self.offset_size)?);
                    let names = self.local_heap(heap)?;
                    for (_, node) in self.tree_1(tree, Children::SymbolNodes, self.length_size)? {
                        self.symbol_node(node, names, &mut members)?;
                    }
                }
                object::LINK => {
                    members.push(self.link(message.cursor()?)?);
                }
                object::LINK_INFO => {
                    let mut cursor = message.cursor()?;
                    cursor.skip(1)?;
                    let flags = cursor.u8()?;
                    cursor.skip(if flags & 1 != 0 { 8 } else { 0 })?;
                    for (place, data) in self.dense(&mut cursor)? {
                        members.push(self.link(Cursor::part(data, place))?);
                    }
                }
                _ => {}
            }
        }
        Ok(members)
    }

    /// An object by its path, `a/b/c`. A group may also have `a\b` for a name, which is `b` in `a`.
    pub(crate) fn find(&self, path: &str) -> Found<Option<Object>> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (mut object, mut rest) = (self.root(), &parts[..]);
        while !rest.is_empty() {
            let group = self.group(object)?;
            // `a\b` stands beside `a`, so the longest name is tried first.
            let longest = if group.backslashes { rest.len() } else { 1 };
            let found = (1..=longest).rev().find_map(|count| {
                let (name, rest) = rest.split_at(count);
                let object = match name {
                    [name] => group.by_name.get(name),
                    names => group.by_name.get(names.join("\\").as_str()),
                };
                object.map(|object| (*object, rest))
            });
            match found {
                Some(next) => (object, rest) = next,
                None => return Ok(None),
            }
        }
        Ok(Some(object))
    }

    /// The names' bytes of a group.
    fn local_heap(&self, address: u64) -> Found<&'a [u8]> {
        self.spend()?;
        let mut cursor = self.cursor(address)?;
        cursor.signature(b"HEAP", "there should be a local heap")?;
        cursor.skip(4)?;
        let size = cursor.uint(self.length_size)?;
        cursor.skip(self.length_size)?;
        at(self.bytes, cursor.uint(self.offset_size)?, size)
    }

    fn symbol_node(&self, address: u64, names: &'a [u8], members: &mut Vec<(&'a str, Object)>) -> Found<()> {
        self.spend()?;
        let mut cursor = self.cursor(address)?;
        cursor.signature(b"SNOD", "there should be a symbol table node")?;
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
