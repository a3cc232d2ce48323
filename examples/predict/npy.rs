//! `.npy` files: as much of numpy's format as models need.

use std::io::{Error, ErrorKind, Read, Result, Write};

use ndarray::{ArrayD, IxDyn, ShapeBuilder};

/// An array of one of the types that models read.
#[derive(Debug, Clone)]
pub enum Npy {
    F32(ArrayD<f32>),
    F64(ArrayD<f64>),
    I32(ArrayD<i32>),
    I64(ArrayD<i64>),
    Bool(ArrayD<bool>),
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, what.into())
}

/// Reads an array of little-endian float32, float64, int32, int64 or bool, in either order.
pub fn read(mut file: impl Read) -> Result<Npy> {
    let mut start = [0; 8];
    file.read_exact(&mut start)?;
    if &start[..6] != b"\x93NUMPY" {
        return Err(invalid("not a .npy file"));
    }
    let mut length = [0; 4];
    file.read_exact(&mut length[..if start[6] == 1 { 2 } else { 4 }])?;
    let length = u64::from(u32::from_le_bytes(length));
    let mut header = String::new();
    if (&mut file).take(length).read_to_string(&mut header)? as u64 != length {
        return Err(invalid("the header ends early"));
    }
    let after =
        |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start().trim_start_matches(':').trim_start());
    let kind = after("'descr'").and_then(|rest| rest.strip_prefix('\'')).and_then(|rest| rest.split('\'').next());
    let kind = kind.ok_or_else(|| invalid("the header names no type"))?.to_string();
    let fortran = after("'fortran_order'").is_some_and(|rest| rest.starts_with("True"));
    let shape = after("'shape'").and_then(|rest| rest.strip_prefix('(')).and_then(|rest| rest.split(')').next());
    let shape: Vec<usize> = shape
        .ok_or_else(|| invalid("the header names no shape"))?
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().map_err(|_| invalid(format!("{size} is no size"))))
        .collect::<Result<_>>()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;

    macro_rules! array {
        ($variant:ident, $type:ty, $size:literal, $convert:expr) => {{
            let (chunks, rest) = bytes.as_chunks::<$size>();
            if !rest.is_empty() {
                return Err(invalid("the data ends within a number"));
            }
            let values: Vec<$type> = chunks.iter().map($convert).collect();
            let count = shape.iter().try_fold(1_usize, |all, &size| all.checked_mul(size));
            if count != Some(values.len()) {
                return Err(invalid(format!("{} numbers for the shape {shape:?}", values.len())));
            }
            let array = ArrayD::from_shape_vec(IxDyn(&shape).set_f(fortran), values);
            Npy::$variant(array.map_err(|error| invalid(error.to_string()))?)
        }};
    }
    Ok(match kind.as_str() {
        "<f4" => array!(F32, f32, 4, |&bytes| f32::from_le_bytes(bytes)),
        "<f8" => array!(F64, f64, 8, |&bytes| f64::from_le_bytes(bytes)),
        "<i4" => array!(I32, i32, 4, |&bytes| i32::from_le_bytes(bytes)),
        "<i8" => array!(I64, i64, 8, |&bytes| i64::from_le_bytes(bytes)),
        "|b1" => array!(Bool, bool, 1, |&[byte]| byte != 0),
        other => return Err(invalid(format!("its type is {other}: float32, float64, int32, int64 and bool are read"))),
    })
}

/// An element type that can be written.
pub trait Element: Copy {
    const KIND: &'static str;
    fn bytes(self) -> Vec<u8>;
}

impl Element for f32 {
    const KIND: &'static str = "<f4";
    fn bytes(self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
}

impl Element for f64 {
    const KIND: &'static str = "<f8";
    fn bytes(self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
}

/// Writes an array in row order.
pub fn write<T: Element>(mut file: impl Write, array: &ArrayD<T>) -> Result<()> {
    let shape: Vec<String> = array.shape().iter().map(|size| format!("{size},")).collect();
    let mut header = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", T::KIND, shape.join(" "));
    // The data begins at a multiple of 64 bytes.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let bytes: Vec<u8> = array.iter().flat_map(|&value| value.bytes()).collect();
    file.write_all(&bytes)
}
