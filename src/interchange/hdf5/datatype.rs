//! Types and shapes of datasets and attributes, and their contents.

use super::bytes::{Cursor, at};
use super::{Hdf5, Object, Strings, damaged, object, text, unsupported};
use crate::interchange::error::{Found, Problem};

/// What the elements of a dataset or attribute are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    F16,
    F32,
    F64,
    /// Whole numbers of this many bytes.
    Integer(usize),
    /// Text of this many bytes, filled up behind.
    FixedText(usize),
    /// Text that stands in a global heap.
    Text,
    /// Anything else, of this many bytes.
    Other(usize),
}

impl Element {
    /// The name, in numpy's words where there is one.
    pub(crate) fn name(self) -> String {
        match self {
            Element::F16 => "float16".into(),
            Element::F32 => "float32".into(),
            Element::F64 => "float64".into(),
            Element::Integer(size) => format!("integers of {size} bytes"),
            Element::FixedText(_) | Element::Text => "text".into(),
            Element::Other(_) => "elements of another type".into(),
        }
    }
}

/// An element type with its size and byte order.
#[derive(Debug, Clone, Copy)]
struct Datatype {
    element: Element,
    size: usize,
    big_endian: bool,
}

/// The content of a dataset: checked to lie in the file, not yet converted.
#[derive(Debug, Clone)]
pub(crate) struct Tensor<'a> {
    pub(crate) element: Element,
    pub(crate) shape: Vec<usize>,
    data: &'a [u8],
    big_endian: bool,
}

impl Tensor<'_> {
    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The floats, in row order; nothing for other elements.
    pub(crate) fn floats(&self) -> Box<dyn Iterator<Item = f64> + '_> {
        match (self.element, self.big_endian) {
            (Element::F32, false) => Box::new(self.data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b).into())),
            (Element::F32, true) => Box::new(self.data.as_chunks().0.iter().map(|&b| f32::from_be_bytes(b).into())),
            (Element::F64, false) => Box::new(self.data.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b))),
            (Element::F64, true) => Box::new(self.data.as_chunks().0.iter().map(|&b| f64::from_be_bytes(b))),
            _ => Box::new(std::iter::empty()),
        }
    }
}

fn datatype(cursor: &mut Cursor<'_>) -> Found<Datatype> {
    let start = cursor.position();
    let (class, flags) = (cursor.u8()?, cursor.uint(3)?);
    let size = cursor.u32()? as usize;
    let element = match class & 0x0f {
        0 => {
            cursor.skip(4)?;
            Element::Integer(size)
        }
        1 => {
            let (offset, precision) = (cursor.u16()?, cursor.u16()?);
            let exponent = (cursor.u8()?, cursor.u8()?);
            let mantissa = (cursor.u8()?, cursor.u8()?);
            let bias = cursor.u32()?;
            match (size, offset, precision, exponent, mantissa, bias) {
                (2, 0, 16, (10, 5), (0, 10), 15) => Element::F16,
                (4, 0, 32, (23, 8), (0, 23), 127) => Element::F32,
                (8, 0, 64, (52, 11), (0, 52), 1023) => Element::F64,
                _ => Element::Other(size),
            }
        }
        3 => Element::FixedText(size),
        9 if flags & 0x0f == 1 => Element::Text,
        _ => Element::Other(size),
    };
    if size == 0 {
        return Err(damaged(start, "elements of no bytes"));
    }
    Ok(Datatype { element, size, big_endian: flags & 1 != 0 })
}

/// The shape; of no dimension for a single element.
fn dataspace(cursor: &mut Cursor<'_>, length_size: usize) -> Found<Vec<usize>> {
    let start = cursor.position();
    let (version, rank) = (cursor.u8()?, cursor.u8()?);
    cursor.skip(1)?;
    let kind = cursor.u8()?;
    match version {
        1 => cursor.skip(4)?,
        2 if kind == 2 => return Ok(vec![0]),
        2 => {}
        _ => return Err(damaged(start, "an unknown version of a shape")),
    }
    let dimension = |_| {
        let dimension = cursor.uint(length_size)?;
        usize::try_from(dimension).map_err(|_| damaged(start, "a dimension can't be addressed"))
    };
    (0..rank).map(dimension).collect()
}

/// The bytes of that many elements.
fn byte_count(shape: &[usize], size: usize) -> Option<usize> {
    shape.iter().try_fold(size, |bytes, &dimension| bytes.checked_mul(dimension))
}

impl<'a> Hdf5<'a> {
    /// Whether an object is a dataset; else it is a group.
    pub(crate) fn is_dataset(&self, object: Object) -> Found<bool> {
        Ok(self.messages(object)?.iter().any(|message| message.kind == object::LAYOUT))
    }

    /// A dataset's content. All of it must lie in the file as it is: no chunks, no filters.
    pub(crate) fn tensor(&self, path: &str, object: Object) -> Found<Tensor<'a>> {
        let refuse = |feature| Err(Problem::Hdf5Feature { object: path.into(), feature });
        let (mut kind, mut shape, mut data) = (None, None, None);
        for message in self.messages(object)? {
            match message.kind {
                object::DATATYPE => kind = Some(datatype(&mut message.cursor()?)?),
                object::DATASPACE => shape = Some(dataspace(&mut message.cursor()?, self.length_size)?),
                object::FILTERS => return refuse("a filter (compression)"),
                object::EXTERNAL_FILES => return refuse("data in another file"),
                object::LAYOUT => {
                    let mut cursor = message.cursor()?;
                    let (version, class) = (cursor.u8()?, cursor.u8()?);
                    data = match (version, class) {
                        (3 | 4, 0) => {
                            let size = cursor.u16()?;
                            Some(cursor.take(size.into())?)
                        }
                        (3 | 4, 1) => {
                            let address = cursor.uint(self.offset_size)?;
                            let size = cursor.uint(self.length_size)?;
                            match self.is_undefined(address) {
                                true => Some(&[][..]),
                                false => Some(at(self.bytes, address, size)?),
                            }
                        }
                        (3 | 4, 2) => return refuse("storage in chunks"),
                        (3 | 4, _) => return refuse("virtual storage"),
                        _ => return refuse("an old version of the data layout"),
                    };
                }
                _ => {}
            }
        }
        let (Some(kind), Some(shape), Some(data)) = (kind, shape, data) else {
            return Err(damaged(object.address, "a dataset without type, shape or content"));
        };
        if byte_count(&shape, kind.size) != Some(data.len()) {
            return Err(damaged(object.address, "a dataset's shape and size don't agree"));
        }
        Ok(Tensor { element: kind.element, shape, data, big_endian: kind.big_endian })
    }

    /// An attribute of text: one string or many; none if it has no elements.
    pub(crate) fn strings(&self, object: Object, name: &str) -> Found<Option<Strings<'a>>> {
        let mut elsewhere = false;
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
                    elsewhere |= !self.is_undefined(cursor.uint(self.offset_size)?);
                }
                _ => {}
            }
        }
        if elsewhere { Err(unsupported("attributes in a fractal heap")) } else { Ok(None) }
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
        let kind = datatype(&mut kind)?;
        let shape = dataspace(&mut space, self.length_size)?;
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
        heap.signature(b"GCOL", "a global heap")?;
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
