//! What was done to the bytes of a chunk, undone: deflate, shuffle, Fletcher's checksum, and h5py's LZF.

use std::borrow::Cow;

use super::bytes::Cursor;
use super::damaged;
use crate::formats::error::Found;
use crate::formats::inflate::{Wrapping, inflate};

/// One step of the pipeline that a chunk went through when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Deflate,
    /// The first bytes of all elements, then their second ones, and so on: elements of this many bytes.
    Shuffle(usize),
    Fletcher32,
    Lzf,
    Unknown(&'static str),
}

/// The bytes of Fletcher's checksum.
const CHECKSUM: usize = 4;

impl Filter {
    /// The pipeline of a dataset, in the order of writing.
    pub(super) fn pipeline(mut cursor: Cursor<'_>) -> Found<Vec<Filter>> {
        let start = cursor.position();
        let (version, count) = (cursor.u8()?, cursor.u8()?);
        match version {
            1 => cursor.skip(6)?,
            2 => {}
            _ => return Err(damaged(start, "an unknown version of the filters")),
        }
        (0..count).map(|_| Self::read(&mut cursor, version)).collect()
    }

    fn read(cursor: &mut Cursor<'_>, version: u8) -> Found<Filter> {
        let id = cursor.u16()?;
        let name = if version == 1 || id >= 256 { usize::from(cursor.u16()?) } else { 0 };
        cursor.skip(2)?;
        let values = usize::from(cursor.u16()?);
        cursor.skip(if version == 1 { name.next_multiple_of(8) } else { name })?;
        let first = cursor.remaining() >= 4 && values > 0;
        let first = if first { cursor.u32()? as usize } else { 0 };
        cursor.skip(4 * values.saturating_sub(1))?;
        if version == 1 && values % 2 == 1 {
            cursor.skip(4)?;
        }
        Ok(match id {
            1 => Filter::Deflate,
            2 => Filter::Shuffle(first.max(1)),
            3 => Filter::Fletcher32,
            4 => Filter::Unknown("the filter szip"),
            5 => Filter::Unknown("the filter nbit"),
            6 => Filter::Unknown("the filter scaleoffset"),
            32000 => Filter::Lzf,
            32001 => Filter::Unknown("the filter blosc"),
            32008 => Filter::Unknown("the filter bitshuffle"),
            32015 => Filter::Unknown("the filter zstd"),
            _ => Filter::Unknown("a filter that isn't HDF5's own"),
        })
    }
}

/// A chunk's bytes as they were before the filters: `size` bytes. A filter whose bit is set in `mask` was left out.
pub(super) fn undo<'a>(
    pipeline: &[Filter],
    mask: u32,
    bytes: &'a [u8],
    size: usize,
    place: u64,
) -> Found<Cow<'a, [u8]>> {
    let used = |i: usize| u32::try_from(i).ok().and_then(|i| mask.checked_shr(i)).is_none_or(|bits| bits & 1 == 0);
    let mut data = Cow::Borrowed(bytes);
    for (i, filter) in pipeline.iter().enumerate().rev().filter(|(i, _)| used(*i)) {
        // What the filters before this one have added.
        let checksums = (0..i).filter(|&i| used(i) && pipeline[i] == Filter::Fletcher32).count();
        let size = size.saturating_add(CHECKSUM * checksums);
        data = match filter {
            Filter::Deflate => {
                let inflated = inflate(&data, Wrapping::Zlib, size);
                Cow::Owned(inflated.ok_or_else(|| damaged(place, "a chunk can't be inflated to its size"))?)
            }
            Filter::Lzf => {
                let unpacked = unpack_lzf(&data, size);
                Cow::Owned(unpacked.ok_or_else(|| damaged(place, "a chunk can't be unpacked to its size"))?)
            }
            Filter::Shuffle(width) => Cow::Owned(unshuffle(&data, *width)),
            Filter::Fletcher32 => {
                let length = data.len().checked_sub(CHECKSUM);
                let length = length.ok_or_else(|| damaged(place, "a chunk is shorter than its checksum"))?;
                let (content, stored) = data.split_at(length);
                let stored = u32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]]);
                let given = fletcher32(content);
                // Old versions of HDF5 wrote the bytes of each half the other way around on little-endian machines.
                let swapped = given.rotate_left(16).swap_bytes();
                if stored != given && stored != swapped {
                    return Err(damaged(place, "a chunk's checksum doesn't agree"));
                }
                match data {
                    Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..length]),
                    Cow::Owned(mut bytes) => {
                        bytes.truncate(length);
                        Cow::Owned(bytes)
                    }
                }
            }
            Filter::Unknown(_) => return Err(damaged(place, "a filter isn't known")),
        };
    }
    if data.len() == size { Ok(data) } else { Err(damaged(place, "a chunk's size isn't what its shape says")) }
}

fn unshuffle(bytes: &[u8], width: usize) -> Vec<u8> {
    let count = bytes.len() / width;
    let (planes, rest) = bytes.split_at(count * width);
    let mut out = Vec::with_capacity(bytes.len());
    for element in 0..count {
        out.extend((0..width).map(|byte| planes[byte * count + element]));
    }
    out.extend_from_slice(rest);
    out
}

/// Fletcher's checksum of big-endian words of 16 bits, as HDF5 adds it up.
fn fletcher32(bytes: &[u8]) -> u32 {
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    let (mut low, mut high) = (0_u32, 0_u32);
    let (words, odd) = bytes.as_chunks::<2>();
    // So many words can't overflow 32 bits.
    for block in words.chunks(360) {
        for &word in block {
            low += u32::from(u16::from_be_bytes(word));
            high += low;
        }
        (low, high) = (fold(low), fold(high));
    }
    if let [last] = odd {
        low += u32::from(*last) << 8;
        high += low;
        (low, high) = (fold(low), fold(high));
    }
    fold(high) << 16 | fold(low)
}

/// LZF: runs of literal bytes, and copies of what came out before.
fn unpack_lzf(bytes: &[u8], size: usize) -> Option<Vec<u8>> {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(&control) = bytes.get(at) {
        let control = usize::from(control);
        at += 1;
        if control < 32 {
            out.extend_from_slice(bytes.get(at..at + control + 1)?);
            at += control + 1;
        } else {
            let mut length = control >> 5;
            if length == 7 {
                length += usize::from(*bytes.get(at)?);
                at += 1;
            }
            let distance = (control & 0x1f) << 8 | usize::from(*bytes.get(at)?);
            at += 1;
            let from = out.len().checked_sub(distance + 1)?;
            for i in 0..length + 2 {
                out.push(*out.get(from + i)?);
            }
        }
        if out.len() > size {
            return None;
        }
    }
    (out.len() == size).then_some(out)
}
