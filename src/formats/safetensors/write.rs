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
    pub(crate) values: Values<T>,
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

impl<T: Float> Values<T> {
    /// The shape, the name of the type, and the bytes of an element.
    fn form(&self) -> (&[usize], &'static str, usize) {
        match self {
            Values::Floats(array) if size_of::<T>() == 4 => (array.shape(), "F32", 4),
            Values::Floats(array) => (array.shape(), "F64", 8),
            Values::Integers(array) => (array.shape(), "I64", 8),
            Values::Flags(array) => (array.shape(), "BOOL", 1),
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Values::Floats(array) => write_floats(array, out),
            Values::Integers(array) => array.iter().try_for_each(|value| out.write_all(&value.to_le_bytes())),
            Values::Flags(array) => array.iter().try_for_each(|&flag| out.write_all(&[flag.into()])),
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

/// Writes the header and the tensors, those of large elements first (so that each begins where its elements may) and
/// in the order of their names: equal content gives equal bytes. The header is put together here, because what
/// serde_json makes of a map depends on features that any other crate may turn on.
pub(crate) fn write<T: Float>(
    out: &mut dyn Write,
    metadata: &[(&str, String)],
    tensors: &mut [Entry<T>],
) -> io::Result<()> {
    tensors.sort_by(|a, b| b.values.form().2.cmp(&a.values.form().2).then_with(|| a.name.cmp(&b.name)));
    let texts: Vec<String> = metadata.iter().map(|(key, text)| format!("{}:{}", quoted(key), quoted(text))).collect();
    let (mut header, mut end) = (format!("{{\"{METADATA}\":{{{}}}", texts.join(",")), 0);
    for Entry { name, values } in &*tensors {
        let (shape, dtype, size) = values.form();
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
    tensors.iter().try_for_each(|entry| entry.values.write(out))
}

/// Text as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
