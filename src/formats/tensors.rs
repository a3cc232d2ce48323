//! Tensors as files hold them: named, typed, shaped bytes; and the numbers that they are.

use std::borrow::Cow;
use std::fmt;

use ndarray::ArrayD;

use super::error::{Found, Problem};
use crate::float::Float;

/// A tensor of a file: where it is, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Its name, or its path in HDF5 data: `layers/lstm/cell/vars/0`.
    pub path: String,
    /// Its shape; without a dimension for a single number.
    pub shape: Vec<usize>,
    /// The type of its elements, in numpy's words: `float32`.
    pub dtype: String,
}

impl fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {:?}", self.path, self.dtype, self.shape)
    }
}

/// What the elements of a tensor are.
// HDF5 alone has elements that aren't numbers.
#[cfg_attr(not(feature = "keras"), allow(dead_code))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    F16,
    /// The upper half of an f32. HDF5 has no type of its own for it: Keras marks it by an attribute.
    BF16,
    F32,
    F64,
    /// Whole numbers of this many bytes.
    Integer {
        size: usize,
        signed: bool,
    },
    /// Whole numbers with names: in one byte, true and false.
    Enumeration {
        size: usize,
        signed: bool,
    },
    /// Text of this many bytes, filled up behind.
    FixedText(usize),
    /// Text of any length, which stands elsewhere.
    Text,
    /// Bytes without a meaning, this many.
    Opaque(usize),
    /// Anything else, of this many bytes.
    Other(usize),
}

impl Element {
    /// The name, in numpy's words where there is one.
    pub(crate) fn name(self) -> String {
        match self {
            Element::F16 => "float16".into(),
            Element::BF16 => "bfloat16".into(),
            Element::F32 => "float32".into(),
            Element::F64 => "float64".into(),
            Element::Enumeration { size: 1, .. } => "bool".into(),
            Element::Integer { size, signed } | Element::Enumeration { size, signed } => {
                format!("{}int{}", if signed { "" } else { "u" }, size.saturating_mul(8))
            }
            Element::FixedText(_) | Element::Text => "text".into(),
            Element::Opaque(size) | Element::Other(size) => format!("elements of {size} bytes that aren't numbers"),
        }
    }

    /// Whether elements are floating-point numbers.
    #[cfg(feature = "pytorch")]
    pub(crate) fn is_float(self) -> bool {
        matches!(self, Element::F16 | Element::BF16 | Element::F32 | Element::F64)
    }

    /// Whether elements are numbers that can be converted.
    pub(crate) fn is_number(self) -> bool {
        match self {
            Element::F16 | Element::BF16 | Element::F32 | Element::F64 => true,
            Element::Integer { size, .. } | Element::Enumeration { size, .. } => matches!(size, 1 | 2 | 4 | 8),
            _ => false,
        }
    }
}

/// The content of a tensor: as many bytes as its shape says, not yet converted.
#[derive(Debug, Clone)]
pub(crate) struct Tensor<'a> {
    pub(crate) element: Element,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Cow<'a, [u8]>,
    pub(crate) big_endian: bool,
}

impl Tensor<'_> {
    /// The number of elements.
    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its numbers as an array of `T`, in row order, rounded once where `T` can't hold them exactly. `path` is for
    /// messages, `finite_only` refuses NaN and infinities.
    pub(crate) fn array<T: Float>(&self, layer: &str, path: &str, finite_only: bool) -> Found<ArrayD<T>> {
        if !self.element.is_number() {
            let (expected, found) = ("numbers", self.element.name());
            return Err(Problem::TensorType { tensor: path.into(), expected, found });
        }
        let mut values: Vec<T> = Vec::new();
        // As many as there are bytes for.
        values.try_reserve_exact(self.len()).map_err(|_| Problem::Io { reason: "no memory for a tensor".into() })?;
        self.numbers(&mut values);
        if finite_only && let Some((index, value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            let (layer, tensor, value) = (layer.into(), path.into(), value.into_f64());
            return Err(Problem::NonFinite { layer, tensor, index, value });
        }
        ArrayD::from_shape_vec(self.shape.clone(), values).map_err(|_| Problem::TensorShape {
            layer: layer.into(),
            weight: String::new(),
            tensor: path.into(),
            expected: "its own size".into(),
            found: self.shape.clone(),
        })
    }

    /// The numbers, in row order; nothing for other elements.
    fn numbers<T: Float>(&self, values: &mut Vec<T>) {
        // An f32 is exact in an f64, so that only a whole number could be rounded twice on its way to one.
        let single = size_of::<T>() == 4;
        let whole = |number: i128| T::from_f64(if single { f64::from(number as f32) } else { number as f64 });
        let float = |number: f32| T::from_f64(number.into());
        match self.element {
            Element::F16 => self.each(values, |bytes| float(half(u16::from_le_bytes(bytes)))),
            Element::BF16 => {
                self.each(values, |bytes| float(f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)))
            }
            Element::F32 => self.each(values, |bytes| float(f32::from_le_bytes(bytes))),
            Element::F64 => self.each(values, |bytes| T::from_f64(f64::from_le_bytes(bytes))),
            Element::Integer { size, signed } | Element::Enumeration { size, signed } => match (size, signed) {
                (1, true) => self.each(values, |bytes| whole(i8::from_le_bytes(bytes).into())),
                (1, false) => self.each(values, |bytes| whole(u8::from_le_bytes(bytes).into())),
                (2, true) => self.each(values, |bytes| whole(i16::from_le_bytes(bytes).into())),
                (2, false) => self.each(values, |bytes| whole(u16::from_le_bytes(bytes).into())),
                (4, true) => self.each(values, |bytes| whole(i32::from_le_bytes(bytes).into())),
                (4, false) => self.each(values, |bytes| whole(u32::from_le_bytes(bytes).into())),
                (8, true) => self.each(values, |bytes| whole(i64::from_le_bytes(bytes).into())),
                (8, false) => self.each(values, |bytes| whole(u64::from_le_bytes(bytes).into())),
                _ => {}
            },
            _ => {}
        }
    }

    /// Each element's bytes, from the lowest to the highest, converted.
    fn each<T, const N: usize>(&self, values: &mut Vec<T>, convert: impl Fn([u8; N]) -> T) {
        let elements = self.data.as_chunks::<N>().0.iter();
        match self.big_endian {
            false => values.extend(elements.map(|&bytes| convert(bytes))),
            true => values.extend(elements.map(|&(mut bytes)| {
                bytes.reverse();
                convert(bytes)
            })),
        }
    }
}

/// A number of 16 bits with 5 of exponent, exactly.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (bits >> 10 & 0x1f, u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        // Subnormal: multiples of 2^-24.
        0 => fraction as f32 * f32::from_bits((127 - 24) << 23),
        0x1f => f32::from_bits(0x7f80_0000 | fraction << 13),
        exponent => f32::from_bits((u32::from(exponent) + 127 - 15) << 23 | fraction << 13),
    };
    f32::from_bits(magnitude.to_bits() | u32::from(bits & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::half;

    /// Against the definition: (-1)^s 2^(e - 15) (1 + f / 1024), for all numbers that there are.
    #[test]
    fn halves() {
        for bits in 0..=u16::MAX {
            let (sign, exponent, fraction) = (bits >> 15, i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
            let magnitude = match exponent {
                0 => fraction * 2_f64.powi(-24),
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
            };
            let expected = if sign == 1 { -magnitude } else { magnitude };
            let given = f64::from(half(bits));
            assert!(given.to_bits() == expected.to_bits() || given.is_nan() && expected.is_nan(), "{bits:#06x}");
        }
    }
}
