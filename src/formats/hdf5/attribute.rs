//! Attributes of text.

use super::bytes::{Cursor, at};
use super::datatype::{Datatype, byte_count, dataspace};
use super::{Hdf5, Object, Strings, damaged, object, text, unsupported};
use crate::formats::error::Found;
use crate::formats::tensors::Element;

impl<'a> Hdf5<'a> {
    /// An attribute of text: one string or many; none if it has no elements.
    pub(crate) fn strings(&self, object: Object, name: &str) -> Found<Option<Strings<'a>>> {
        for message in self.messages(object)? {
            match message.kind {
                object::ATTRIBUTE => {
                    if let Some(strings) = self.attribute(message.cursor()?, name)? {
                        return Ok(Some(strings));
                    }
                }
                object::ATTRIBUTE_INFO => {
                    let mut cursor = message.cursor()?;
                    cursor.skip(1)?;
                    let flags = cursor.u8()?;
                    cursor.skip(if flags & 1 != 0 { 2 } else { 0 })?;
                    for (place, data) in self.dense(&mut cursor)? {
                        if let Some(strings) = self.attribute(Cursor::part(data, place), name)? {
                            return Ok(Some(strings));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn attribute(&self, mut cursor: Cursor<'a>, wanted: &str) -> Found<Option<Strings<'a>>> {
        let start = cursor.position();
        let (version, flags) = (cursor.u8()?, cursor.u8()?);
        if !matches!(version, 1..=3) {
            return Err(damaged(start, "an unknown version of an attribute"));
        }
        let sizes = [cursor.u16()?, cursor.u16()?, cursor.u16()?];
        cursor.skip(usize::from(version == 3))?;
        let mut part = |size: u16| {
            let position = cursor.position();
            let bytes = cursor.take(size.into())?;
            if version == 1 {
                cursor.align()?;
            }
            Ok(Cursor::part(bytes, position))
        };
        let (mut name, mut kind, mut space) = (part(sizes[0])?, part(sizes[1])?, part(sizes[2])?);
        if name.rest().split(|&byte| byte == 0).next() != Some(wanted.as_bytes()) {
            return Ok(None);
        }
        if version > 1 && flags & 3 != 0 {
            return Err(unsupported("a shared type of an attribute"));
        }
        let kind = Datatype::read(&mut kind)?;
        let shape = dataspace(&mut space, self.length_size)?.shape;
        let count = byte_count(&shape, 1).ok_or_else(|| damaged(start, "an attribute's shape is too large"))?;
        let mut strings = Vec::new();
        for _ in 0..count {
            self.spend()?;
            match kind.element {
                Element::FixedText(size) => {
                    let position = cursor.position();
                    let bytes = cursor.take(size)?;
                    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(size);
                    strings.push(text(&bytes[..end], position)?);
                }
                Element::Text => strings.push(self.heap_text(&mut cursor)?),
                _ => return Err(damaged(start, "an attribute that should be text isn't")),
            }
        }
        Ok(Some(strings))
    }

    /// Text in a global heap, by its reference: length, collection, index.
    fn heap_text(&self, cursor: &mut Cursor<'a>) -> Found<&'a str> {
        let length = cursor.u32()? as usize;
        let (collection, index) = (cursor.uint(self.offset_size)?, cursor.u32()?);
        if length == 0 {
            return Ok("");
        }
        let mut heap = self.cursor(collection)?;
        heap.signature(b"GCOL", "there should be a global heap")?;
        heap.skip(4)?;
        let size = heap.uint(self.length_size)?;
        let head = 8 + self.length_size;
        let Some(size) = size.checked_sub(head as u64) else {
            return Err(damaged(collection, "a global heap is too small"));
        };
        let start = heap.position();
        let mut heap = Cursor::part(at(self.bytes, start, size)?, start);
        while heap.remaining() >= head {
            self.spend()?;
            let found = heap.u16()?;
            heap.skip(6)?;
            let size = heap.uint(self.length_size)?;
            let size = usize::try_from(size).map_err(|_| damaged(collection, "an object of a heap is too large"))?;
            if found == 0 {
                break;
            }
            let position = heap.position();
            let bytes = heap.take(size)?;
            if u32::from(found) == index {
                let bytes = bytes.get(..length);
                return text(bytes.ok_or_else(|| damaged(position, "a text is longer than its place"))?, position);
            }
            heap.align()?;
        }
        Err(damaged(collection, "a text isn't in its heap"))
    }
}
