//! Datasets: what a header says of them, and their contents.

use std::borrow::Cow;

use super::bytes::at;
use super::chunks::{Chunks, Whole};
use super::datatype::{Dataspace, Datatype, byte_count, dataspace};
use super::filters::Filter;
use super::{Hdf5, Object, damaged, object};
use crate::formats::error::{Found, Problem};
use crate::formats::tensors::{Element, Tensor};

/// What a dataset is, by its header alone.
#[derive(Debug)]
pub(crate) struct Dataset<'a> {
    kind: Datatype,
    pub(crate) shape: Vec<usize>,
    /// What the shape may grow to.
    most: Vec<u64>,
    storage: Storage<'a>,
    filters: Vec<Filter>,
    address: u64,
}

/// Where the elements are.
#[derive(Debug)]
enum Storage<'a> {
    /// In one piece.
    Plain(&'a [u8]),
    /// Nowhere: none has been written.
    Unwritten,
    Chunked(Chunks),
}

impl Dataset<'_> {
    pub(crate) fn element(&self) -> Element {
        self.kind.element
    }
}

impl<'a> Hdf5<'a> {
    /// Whether an object is a dataset; else it is a group.
    pub(crate) fn is_dataset(&self, object: Object) -> Found<bool> {
        Ok(self.messages(object)?.iter().any(|message| message.kind == object::LAYOUT))
    }

    /// What a dataset is, without a look at its elements.
    pub(crate) fn dataset(&self, path: &str, object: Object) -> Found<Dataset<'a>> {
        let refuse = |feature| Err(Problem::Hdf5Feature { object: path.into(), feature });
        let (mut kind, mut space, mut storage, mut filters) = (None, None, None, vec![]);
        for message in self.messages(object)? {
            match message.kind {
                object::DATATYPE => kind = Some(Datatype::read(&mut message.cursor()?)?),
                object::DATASPACE => space = Some(dataspace(&mut message.cursor()?, self.length_size)?),
                object::FILTERS => filters = Filter::pipeline(message.cursor()?)?,
                object::EXTERNAL_FILES => return refuse("data in another file"),
                object::LAYOUT => match self.storage(message)? {
                    Ok(found) => storage = Some(found),
                    Err(feature) => return refuse(feature),
                },
                _ => {}
            }
        }
        let (Some(mut kind), Some(Dataspace { shape, most }), Some(storage)) = (kind, space, storage) else {
            return Err(damaged(object.address, "a dataset without type, shape or content"));
        };
        if let Some(feature) = filters.iter().find_map(|filter| match filter {
            Filter::Unknown(feature) => Some(*feature),
            _ => None,
        }) {
            return refuse(feature);
        }
        // Keras 3 writes what HDF5 has no type for as bytes, and says so beside them.
        if kind.element == Element::Opaque(2)
            && self.strings(object, "dtype")?.is_some_and(|texts| texts == ["bfloat16"])
        {
            kind.element = Element::BF16;
        }
        Ok(Dataset { kind, shape, most, storage, filters, address: object.address })
    }

    /// Where the elements are, or the feature of HDF5 that isn't read.
    fn storage(&self, message: object::Message<'a>) -> Found<Result<Storage<'a>, &'static str>> {
        let mut cursor = message.cursor()?;
        let (version, class) = (cursor.u8()?, cursor.u8()?);
        Ok(match (version, class) {
            (3 | 4, 0) => {
                let size = cursor.u16()?;
                Ok(Storage::Plain(cursor.take(size.into())?))
            }
            (3 | 4, 1) => {
                let address = cursor.uint(self.offset_size)?;
                let size = cursor.uint(self.length_size)?;
                Ok(match self.is_undefined(address) {
                    true => Storage::Unwritten,
                    false => Storage::Plain(at(self.bytes, address, size)?),
                })
            }
            (3 | 4, 2) => self.chunks(version, &mut cursor)?.map(Storage::Chunked),
            (3 | 4, _) => Err("virtual storage"),
            _ => Err("an old version of the data layout"),
        })
    }

    /// A dataset's content. All of it must have been written; chunks are put together.
    pub(crate) fn tensor(&self, path: &str, object: Object) -> Found<Tensor<'a>> {
        let dataset = self.dataset(path, object)?;
        let Dataset { kind, shape, most, storage, filters, address } = dataset;
        let size = byte_count(&shape, kind.size);
        let size = size.ok_or_else(|| damaged(address, "a dataset's shape is too large"))?;
        let refuse = |feature| Problem::Hdf5Feature { object: path.into(), feature };
        let data = match storage {
            Storage::Plain(bytes) => Cow::Borrowed(bytes),
            Storage::Chunked(_) | Storage::Unwritten if size == 0 => Cow::Borrowed(&[][..]),
            Storage::Chunked(chunks) => {
                let whole = Whole::new(&chunks, (&shape, &most), kind.size, address)?;
                Cow::Owned(self.assemble(&chunks, &filters, &whole, address)?.map_err(refuse)?)
            }
            Storage::Unwritten => return Err(refuse("a dataset that was never written")),
        };
        if data.len() != size {
            return Err(damaged(address, "a dataset's shape and size don't agree"));
        }
        Ok(Tensor { element: kind.element, shape, data, big_endian: kind.big_endian })
    }
}
