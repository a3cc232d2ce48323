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
    pub(crate) array: ArrayD<T>,
}

/// Writes the header and the tensors, in the order of their names: equal content gives equal bytes. The header is put
/// together here, because what serde_json makes of a map depends on features that any other crate may turn on.
pub(crate) fn write<T: Float>(
    out: &mut dyn Write,
    metadata: &[(&str, String)],
    tensors: &mut [Entry<T>],
) -> io::Result<()> {
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let texts: Vec<String> = metadata.iter().map(|(key, text)| format!("{}:{}", quoted(key), quoted(text))).collect();
    let mut header = format!("{{\"{METADATA}\":{{{}}}", texts.join(","));
    let (dtype, mut end) = (if size_of::<T>() == 4 { "F32" } else { "F64" }, 0);
    for Entry { name, array } in &*tensors {
        let start = end;
        end += array.len() * size_of::<T>();
        let shape: Vec<String> = array.shape().iter().map(usize::to_string).collect();
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
    for Entry { array, .. } in &*tensors {
        for &value in array {
            value.write_le_bytes(out)?;
        }
    }
    Ok(())
}

/// Text as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
