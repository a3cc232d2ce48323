//! The container [safetensors](https://github.com/huggingface/safetensors): a header of JSON that tells name, type,
//! shape and place of each tensor, and their bytes behind it.
//!
//! ```text
//! 8 bytes      the header's length, lowest byte first
//! header       {"__metadata__": {"key": "text", ..},
//!               "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..}
//! data         the tensors' elements in row order, lowest byte first; offsets count from here
//! ```

mod read;
#[cfg(any(feature = "file", feature = "pytorch"))]
mod write;

pub(crate) use self::read::Safetensors;
#[cfg(feature = "file")]
pub(crate) use self::read::of as element_of;
#[cfg(feature = "file")]
pub(crate) use self::write::Elements;
#[cfg(any(feature = "file", feature = "pytorch"))]
pub(crate) use self::write::{Entry, Values, write};

use super::tensors::Element;

/// The key of the texts beside the tensors.
const METADATA: &str = "__metadata__";

/// The key of what is said of examples, and the first part of their tensors' names.
#[cfg_attr(not(any(feature = "keras", feature = "pytorch")), allow(dead_code))]
pub(crate) const EXAMPLES: &str = "examples";

/// The types of elements, by their names in the header, with their sizes.
const TYPES: [(&str, Element, usize); 13] = [
    ("F64", Element::F64, 8),
    ("F32", Element::F32, 4),
    ("F16", Element::F16, 2),
    ("BF16", Element::BF16, 2),
    ("I64", Element::Integer { size: 8, signed: true }, 8),
    ("U64", Element::Integer { size: 8, signed: false }, 8),
    ("I32", Element::Integer { size: 4, signed: true }, 4),
    ("U32", Element::Integer { size: 4, signed: false }, 4),
    ("I16", Element::Integer { size: 2, signed: true }, 2),
    ("U16", Element::Integer { size: 2, signed: false }, 2),
    ("I8", Element::Integer { size: 1, signed: true }, 1),
    ("U8", Element::Integer { size: 1, signed: false }, 1),
    ("BOOL", Element::Enumeration { size: 1, signed: false }, 1),
];

/// As many as PyTorch has.
const MOST_DIMENSIONS: usize = 64;

#[cfg(all(test, any(feature = "file", feature = "pytorch")))]
mod tests;
