//! Reading numbers from a place in a file, never beyond its end.

use super::damaged;
use crate::formats::error::Found;

/// `length` bytes from `start` on.
pub(super) fn at(bytes: &[u8], start: u64, length: u64) -> Found<&[u8]> {
    let range = || {
        let start = usize::try_from(start).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        bytes.get(start..end)
    };
    range().ok_or_else(|| damaged(start, "something reaches beyond the end"))
}

/// A place in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
    /// Where `bytes` starts in the file, for messages.
    origin: u64,
}

impl<'a> Cursor<'a> {
    /// A place in the whole file.
    pub(super) fn new(bytes: &'a [u8], start: u64) -> Found<Self> {
        let position = usize::try_from(start).ok().filter(|&start| start <= bytes.len());
        let position = position.ok_or_else(|| damaged(start, "an address lies beyond the end"))?;
        Ok(Cursor { bytes, position, origin: 0 })
    }

    /// The start of a part of the file.
    pub(super) fn part(bytes: &'a [u8], origin: u64) -> Self {
        Cursor { bytes, position: 0, origin }
    }

    pub(super) fn position(&self) -> u64 {
        self.origin + self.position as u64
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    pub(super) fn take(&mut self, count: usize) -> Found<&'a [u8]> {
        let end = self.position.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.position..end));
        let taken = taken.ok_or_else(|| damaged(self.position(), "something reaches beyond the end"))?;
        self.position += count;
        Ok(taken)
    }

    pub(super) fn skip(&mut self, count: usize) -> Found<()> {
        self.take(count).map(drop)
    }

    /// What is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.position..];
        self.position = self.bytes.len();
        rest
    }

    /// To the next multiple of 8, counted from the start of the part.
    pub(super) fn align(&mut self) -> Found<()> {
        self.skip(self.position.next_multiple_of(8) - self.position)
    }

    /// Checks that a structure begins here; `missing` says what is damaged if it doesn't.
    pub(super) fn signature(&mut self, signature: &[u8; 4], missing: &'static str) -> Found<()> {
        let position = self.position();
        if self.take(4)? == signature { Ok(()) } else { Err(damaged(position, missing)) }
    }

    /// The next byte, which stays to be read; 0 at the end.
    pub(super) fn peek(&self) -> u8 {
        self.bytes.get(self.position).copied().unwrap_or(0)
    }

    pub(super) fn u8(&mut self) -> Found<u8> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Found<u16> {
        Ok(self.uint(2)? as u16)
    }

    pub(super) fn u32(&mut self) -> Found<u32> {
        Ok(self.uint(4)? as u32)
    }

    /// A little-endian number of up to 8 bytes.
    pub(super) fn uint(&mut self, size: usize) -> Found<u64> {
        let bytes = self.take(size)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }
}
