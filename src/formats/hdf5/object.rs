//! Object headers and their messages.

use super::bytes::{Cursor, at};
use super::{Hdf5, Object, damaged, text, unsupported};
use crate::formats::error::Found;

pub(super) const DATASPACE: u16 = 0x01;
pub(super) const LINK_INFO: u16 = 0x02;
pub(super) const DATATYPE: u16 = 0x03;
pub(super) const LINK: u16 = 0x06;
pub(super) const EXTERNAL_FILES: u16 = 0x07;
pub(super) const LAYOUT: u16 = 0x08;
pub(super) const FILTERS: u16 = 0x0b;
pub(super) const ATTRIBUTE: u16 = 0x0c;
const CONTINUATION: u16 = 0x10;
pub(super) const SYMBOL_TABLE: u16 = 0x11;
pub(super) const ATTRIBUTE_INFO: u16 = 0x15;

/// One message of an object header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    shared: bool,
    pub(super) data: &'a [u8],
    pub(super) position: u64,
}

impl<'a> Message<'a> {
    /// The message's content, which must stand here and not be shared with other objects.
    pub(super) fn cursor(&self) -> Found<Cursor<'a>> {
        if self.shared { Err(unsupported("a shared message")) } else { Ok(Cursor::part(self.data, self.position)) }
    }
}

impl<'a> Hdf5<'a> {
    /// All messages of an object, those in continuation blocks included.
    pub(super) fn messages(&self, object: Object) -> Found<Vec<Message<'a>>> {
        self.spend()?;
        let mut messages = Vec::new();
        let mut cursor = self.cursor(object.address)?;
        if cursor.take(4).is_ok_and(|signature| signature == b"OHDR") {
            self.version_2(cursor, &mut messages)?;
        } else {
            self.version_1(object.address, &mut messages)?;
        }
        Ok(messages)
    }

    fn version_1(&self, address: u64, messages: &mut Vec<Message<'a>>) -> Found<()> {
        let mut cursor = self.cursor(address)?;
        if cursor.u8()? != 1 {
            return Err(damaged(address, "there should be an object header"));
        }
        cursor.skip(1 + 2 + 4)?;
        let size = cursor.u32()?;
        // The messages begin at a multiple of 8 from the header's start: 12 bytes, then 4 of padding.
        cursor.skip(4)?;
        let mut blocks = vec![(cursor.position(), u64::from(size))];
        while let Some((start, length)) = blocks.pop() {
            self.spend()?;
            let mut cursor = Cursor::part(at(self.bytes, start, length)?, start);
            while cursor.remaining() >= 8 {
                self.spend()?;
                let (kind, size) = (cursor.u16()?, cursor.u16()?);
                let flags = cursor.u8()?;
                cursor.skip(3)?;
                let position = cursor.position();
                let data = cursor.take(size.into())?;
                self.message(Message { kind, shared: flags & 2 != 0, data, position }, messages, &mut blocks)?;
            }
        }
        Ok(())
    }

    fn version_2(&self, mut cursor: Cursor<'a>, messages: &mut Vec<Message<'a>>) -> Found<()> {
        if cursor.u8()? != 2 {
            return Err(damaged(cursor.position(), "an unknown version of an object header"));
        }
        let flags = cursor.u8()?;
        cursor.skip(if flags & 0x20 != 0 { 16 } else { 0 })?;
        cursor.skip(if flags & 0x10 != 0 { 4 } else { 0 })?;
        let size = cursor.uint(1 << (flags & 3))?;
        let mut blocks = Vec::new();
        let mut cursor = Cursor::part(at(self.bytes, cursor.position(), size)?, cursor.position());
        loop {
            // What is shorter than a message's head is a gap.
            let head = if flags & 4 != 0 { 6 } else { 4 };
            while cursor.remaining() >= head {
                self.spend()?;
                let (kind, size) = (cursor.u8()?, cursor.u16()?);
                let message_flags = cursor.u8()?;
                cursor.skip(head - 4)?;
                let position = cursor.position();
                let data = cursor.take(size.into())?;
                let message = Message { kind: kind.into(), shared: message_flags & 2 != 0, data, position };
                self.message(message, messages, &mut blocks)?;
            }
            let Some((start, length)) = blocks.pop() else { return Ok(()) };
            self.spend()?;
            // A signature before, a checksum behind.
            let Some(inner) = length.checked_sub(8) else {
                return Err(damaged(start, "a continuation of an object header is too short"));
            };
            self.cursor(start)?.signature(b"OCHK", "there should be a continuation of an object header")?;
            cursor = Cursor::part(at(self.bytes, start + 4, inner)?, start + 4);
        }
    }

    fn message(
        &self,
        message: Message<'a>,
        messages: &mut Vec<Message<'a>>,
        blocks: &mut Vec<(u64, u64)>,
    ) -> Found<()> {
        if message.kind == CONTINUATION {
            let mut cursor = message.cursor()?;
            blocks.push((cursor.uint(self.offset_size)?, cursor.uint(self.length_size)?));
        } else {
            messages.push(message);
        }
        Ok(())
    }

    /// A hard link of a new-style group.
    pub(super) fn link(&self, mut cursor: Cursor<'a>) -> Found<(&'a str, Object)> {
        let start = cursor.position();
        cursor.skip(1)?;
        let flags = cursor.u8()?;
        let kind = if flags & 8 != 0 { cursor.u8()? } else { 0 };
        cursor.skip(if flags & 4 != 0 { 8 } else { 0 })?;
        cursor.skip(if flags & 16 != 0 { 1 } else { 0 })?;
        let length = cursor.uint(1 << (flags & 3))?;
        let length = usize::try_from(length).map_err(|_| damaged(start, "a name is too long"))?;
        let name = text(cursor.take(length)?, start)?;
        match kind {
            0 => Ok((name, Object { address: cursor.uint(self.offset_size)? })),
            _ => Err(unsupported("a soft or external link")),
        }
    }
}
