//! What the elements of datasets and attributes are, and their shapes.

use super::bytes::Cursor;
use super::damaged;
use crate::formats::error::Found;
use crate::formats::tensors::Element;

/// An element type with its size and byte order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Datatype {
    pub(super) element: Element,
    pub(super) size: usize,
    pub(super) big_endian: bool,
}

impl Datatype {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Found<Self> {
        let start = cursor.position();
        let (class, flags) = (cursor.u8()?, cursor.uint(3)?);
        let size = cursor.u32()? as usize;
        let mut big_endian = flags & 1 != 0;
        let element = match class & 0x0f {
            0 => {
                let (offset, precision) = (cursor.u16()?, cursor.u16()?);
                match offset == 0 && usize::from(precision) == size.saturating_mul(8) {
                    true => Element::Integer { size, signed: flags & 8 != 0 },
                    false => Element::Other(size),
                }
            }
            1 => Self::float(cursor, size)?,
            3 => Element::FixedText(size),
            5 => Element::Opaque(size),
            // The type of the numbers, which can't be an enumeration itself.
            8 if cursor.peek() & 0x0f == 0 => {
                let base = Self::read(cursor)?;
                big_endian = base.big_endian;
                match base.element {
                    Element::Integer { size, signed } => Element::Enumeration { size, signed },
                    _ => Element::Other(size),
                }
            }
            9 if flags & 0x0f == 1 => Element::Text,
            _ => Element::Other(size),
        };
        if size == 0 {
            return Err(damaged(start, "elements of no bytes"));
        }
        if let Element::Enumeration { size: base, .. } = element
            && base != size
        {
            return Err(damaged(start, "an enumeration isn't as long as its numbers"));
        }
        Ok(Datatype { element, size, big_endian })
    }

    fn float(cursor: &mut Cursor<'_>, size: usize) -> Found<Element> {
        let (offset, precision) = (cursor.u16()?, cursor.u16()?);
        let exponent = (cursor.u8()?, cursor.u8()?);
        let mantissa = (cursor.u8()?, cursor.u8()?);
        let bias = cursor.u32()?;
        Ok(match (size, offset, precision, exponent, mantissa, bias) {
            (2, 0, 16, (10, 5), (0, 10), 15) => Element::F16,
            (2, 0, 16, (7, 8), (0, 7), 127) => Element::BF16,
            (4, 0, 32, (23, 8), (0, 23), 127) => Element::F32,
            (8, 0, 64, (52, 11), (0, 52), 1023) => Element::F64,
            _ => Element::Other(size),
        })
    }
}

/// The size of a dataset or attribute.
#[derive(Debug, Default)]
pub(super) struct Dataspace {
    /// Of no dimension for a single element.
    pub(super) shape: Vec<usize>,
    /// The shape that it may grow to; a dimension without a limit is all ones.
    pub(super) most: Vec<u64>,
}

pub(super) fn dataspace(cursor: &mut Cursor<'_>, length_size: usize) -> Found<Dataspace> {
    let start = cursor.position();
    let (version, rank, flags) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
    let kind = cursor.u8()?;
    match version {
        1 => cursor.skip(4)?,
        2 if kind == 2 => return Ok(Dataspace { shape: vec![0], most: vec![0] }),
        2 => {}
        _ => return Err(damaged(start, "an unknown version of a shape")),
    }
    let mut sizes = || (0..rank).map(|_| cursor.uint(length_size)).collect::<Found<Vec<u64>>>();
    let own = sizes()?;
    let most = if flags & 1 != 0 { sizes()? } else { own.clone() };
    if own.iter().zip(&most).any(|(own, most)| own > most) {
        return Err(damaged(start, "a dimension is larger than it may become"));
    }
    let addressed = |size| usize::try_from(size).map_err(|_| damaged(start, "a dimension can't be addressed"));
    Ok(Dataspace { shape: own.into_iter().map(addressed).collect::<Found<_>>()?, most })
}

/// The bytes of that many elements.
pub(super) fn byte_count(shape: &[usize], size: usize) -> Option<usize> {
    shape.iter().try_fold(size, |bytes, &dimension| bytes.checked_mul(dimension))
}
