//! Writing.

use std::fmt::Write as _;
use std::io::{self, Write};

use ndarray::ArrayD;

use super::METADATA;
use crate::float::Float;

/// A tensor that is to be written.
#[derive(Debug, Clone)]
pub(crate) struct Entry<T> {
    pub(crate) name: String,
    pub(crate) elements: Elements<T>,
}

/// What a tensor holds.
#[derive(Debug, Clone)]
pub(crate) enum Elements<T> {
    Values(Values<T>),
    /// A part of a weight in fewer bits, in row order.
    #[cfg(feature = "file")]
    Bytes(Vec<usize>, Vec<i8>),
    /// The upper halves of f32.
    #[cfg(feature = "file")]
    Halves(Vec<usize>, Vec<u16>),
    /// f32, whatever `T` is.
    #[cfg(feature = "file")]
    Singles(Vec<usize>, Vec<f32>),
}

impl<T> From<Values<T>> for Elements<T> {
    fn from(values: Values<T>) -> Self {
        Elements::Values(values)
    }
}

/// The elements of a tensor, of the types that are written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values<T> {
    Floats(ArrayD<T>),
    #[cfg_attr(not(feature = "file"), allow(dead_code, reason = "own files alone hold other elements"))]
    Integers(ArrayD<i64>),
    #[cfg_attr(not(feature = "file"), allow(dead_code, reason = "own files alone hold other elements"))]
    Flags(ArrayD<bool>),
}

impl<T: Float> Elements<T> {
    /// The shape, the name of the type, and the bytes of an element.
    fn form(&self) -> (&[usize], &'static str, usize) {
        match self {
            Elements::Values(Values::Floats(array)) if size_of::<T>() == 4 => (array.shape(), "F32", 4),
            Elements::Values(Values::Floats(array)) => (array.shape(), "F64", 8),
            Elements::Values(Values::Integers(array)) => (array.shape(), "I64", 8),
            Elements::Values(Values::Flags(array)) => (array.shape(), "BOOL", 1),
            #[cfg(feature = "file")]
            Elements::Bytes(shape, _) => (shape, "I8", 1),
            #[cfg(feature = "file")]
            Elements::Halves(shape, _) => (shape, "BF16", 2),
            #[cfg(feature = "file")]
            Elements::Singles(shape, _) => (shape, "F32", 4),
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Elements::Values(Values::Floats(array)) => write_floats(array, out),
            Elements::Values(Values::Integers(array)) => {
                array.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
            }
            Elements::Values(Values::Flags(array)) => array.iter().try_for_each(|&flag| out.write_all(&[flag.into()])),
            #[cfg(feature = "file")]
            Elements::Bytes(_, values) => write_each(values, i8::to_le_bytes, out),
            #[cfg(feature = "file")]
            Elements::Halves(_, values) => write_each(values, u16::to_le_bytes, out),
            #[cfg(feature = "file")]
            Elements::Singles(_, values) => write_each(values, f32::to_le_bytes, out),
        }
    }
}

/// In blocks: a call for each number would take most of the time.
fn write_floats<T: Float>(array: &ArrayD<T>, out: &mut dyn Write) -> io::Result<()> {
    let Some(values) = array.as_slice() else {
        return array.iter().try_for_each(|value| value.write_le_bytes(out));
    };
    let mut bytes = Vec::new();
    for block in values.chunks(1 << 12) {
        bytes.clear();
        T::push_le_bytes(block, &mut bytes);
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// The same of other elements.
#[cfg(feature = "file")]
fn write_each<V: Copy, const N: usize>(values: &[V], bytes: fn(V) -> [u8; N], out: &mut dyn Write) -> io::Result<()> {
    for block in values.chunks(1 << 12) {
        let block: Vec<u8> = block.iter().flat_map(|&value| bytes(value)).collect();
        out.write_all(&block)?;
    }
    Ok(())
}

/// Writes the header and the tensors, those of large elements first (so that each begins where its elements may) and
/// in the order of their names: equal content gives equal bytes. The header is put together here, because what
/// serde_json makes of a map depends on features that any other crate may turn on.
pub(crate) fn write<T: Float>(
    out: &mut dyn Write,
    metadata: &[(&str, String)],
    tensors: &mut [Entry<T>],
) -> io::Result<()> {
    tensors.sort_by(|a, b| b.elements.form().2.cmp(&a.elements.form().2).then_with(|| a.name.cmp(&b.name)));
    let texts: Vec<String> = metadata.iter().map(|(key, text)| format!("{}:{}", quoted(key), quoted(text))).collect();
    let (mut header, mut end) = (format!("{{\"{METADATA}\":{{{}}}", texts.join(",")), 0);
    for Entry { name, elements } in &*tensors {
        let (shape, dtype, size) = elements.form();
        let start = end;
        end += shape.iter().product::<usize>() * size;
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        let (name, shape) = (quoted(name), shape.join(","));
        // Into a text, which takes all that there is.
        let _ =
            write!(header, ",{name}:{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{start},{end}]}}");
    }
    header.push('}');
    // Blanks, so that the data begin where any of its elements may.
    let padding = header.len().next_multiple_of(8) - header.len();
    header.push_str(&" ".repeat(padding));
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    tensors.iter().try_for_each(|entry| entry.elements.write(out))
}

/// Text as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
