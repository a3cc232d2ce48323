//! Tensors: their types, shapes and numbers.

use std::borrow::Cow;
use std::ops::Range;

use super::messages::MOST_DIMENSIONS;
use super::protobuf::Fields;
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::formats::tensors::{Element, Tensor};
use crate::graph::tensor::Value;

/// A tensor of a file. What is raw stays where it is.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) name: String,
    shape: Vec<i64>,
    /// ONNX's number of the type.
    pub(super) element: i64,
    /// Whether it is a segment of a larger one, which ONNX's text has and nothing writes.
    is_part: bool,
    /// Where in the file the bytes are.
    pub(super) raw: Option<Range<usize>>,
    floats: Vec<f32>,
    doubles: Vec<f64>,
    /// Whole numbers of any type, and halves by their bits.
    integers: Vec<i64>,
    /// Where its numbers are, if not in this file.
    pub(super) elsewhere: Option<Elsewhere>,
}

/// A place in another file.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// Its name, as it leads there from the model's folder.
    pub(super) file: String,
    pub(super) offset: i64,
    /// To the end of the file if it isn't told.
    pub(super) length: Option<i64>,
}

impl Stored {
    pub(super) fn read(fields: &mut Fields<'_>) -> Found<Self> {
        let mut tensor = Stored::default();
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => field.add_integers(&mut tensor.shape)?,
                2 => tensor.element = field.integer()?,
                3 => tensor.is_part = true,
                4 => field.add_floats(&mut tensor.floats)?,
                5 | 7 | 11 => field.add_integers(&mut tensor.integers)?,
                8 => tensor.name = field.text()?,
                9 => {
                    let (bytes, start) = field.bytes()?;
                    tensor.raw = Some(start..start + bytes.len());
                }
                10 => field.add_doubles(&mut tensor.doubles)?,
                13 => {
                    let (key, value) = entry(&mut field.message()?)?;
                    tensor.set_elsewhere(&key, value)?;
                }
                14 if field.integer()? == 1 => {
                    tensor.elsewhere.get_or_insert_default();
                }
                _ => {}
            }
        }
        Ok(tensor)
    }

    /// Whether numbers of it stand in this file.
    pub(super) fn has_numbers(&self) -> bool {
        self.raw.is_some() || !(self.floats.is_empty() && self.doubles.is_empty() && self.integers.is_empty())
    }

    /// A part of what is told of the other file.
    fn set_elsewhere(&mut self, key: &str, value: String) -> Found<()> {
        let number = value.parse().ok().filter(|&number: &i64| number >= 0);
        let elsewhere = self.elsewhere.get_or_insert_default();
        match (key, number) {
            ("location", _) => elsewhere.file = value,
            ("offset", Some(number)) => elsewhere.offset = number,
            ("length", Some(number)) => elsewhere.length = Some(number),
            ("offset" | "length", None) => return Err(self.wrong("its place in another file isn't a number")),
            _ => {}
        }
        Ok(())
    }

    /// The shape.
    pub(super) fn shape(&self) -> Found<Vec<usize>> {
        if self.shape.len() > MOST_DIMENSIONS {
            return Err(self.wrong("it has more than eight dimensions"));
        }
        let sizes = self.shape.iter().map(|&size| usize::try_from(size).ok()).collect::<Option<Vec<_>>>();
        sizes.ok_or_else(|| self.wrong("it has a negative size"))
    }

    /// The name of the type.
    pub(super) fn type_name(&self) -> String {
        element(self.element).map_or_else(|| type_name(self.element), Element::name)
    }

    /// The numbers, of one of the kinds that a model has. `bytes`: the file.
    pub(super) fn value<T: Float>(&self, bytes: &[u8]) -> Found<Value<T>> {
        let element = element(self.element).ok_or_else(|| Problem::DType {
            layer: self.name.clone(),
            dtype: type_name(self.element),
            hint: "f16, bf16, f32, f64, whole numbers and flags are read",
        })?;
        if self.is_part {
            return Err(self.wrong("it is a segment of a tensor, which isn't read"));
        }
        if let Some(Elsewhere { file, .. }) = &self.elsewhere {
            return Err(Problem::ExternalData { tensor: self.name.clone(), file: file.clone() });
        }
        let shape = self.shape()?;
        let size = size_of_element(element);
        let count = shape.iter().try_fold(1_usize, |all, &size| all.checked_mul(size));
        let data = self.data(element, bytes)?;
        // Before anything is made of a number of the file.
        if count.and_then(|count| count.checked_mul(size)) != Some(data.len()) {
            return Err(self.wrong("its shape and its numbers don't fit"));
        }
        let tensor = Tensor { element, shape, data, big_endian: false };
        match element {
            Element::Enumeration { .. } => {
                Ok(Value::Bool(tensor.array::<T>("", &self.name, false)?.mapv(|flag| flag != T::zero()).into_shared()))
            }
            Element::Integer { .. } => {
                // Whole numbers of 64 bits, which no float holds.
                let mut integers = Vec::with_capacity(count.unwrap_or(0));
                each_integer(&tensor, |number| integers.push(number));
                let array = ndarray::ArrayD::from_shape_vec(tensor.shape.clone(), integers);
                array
                    .map(|array| Value::Int(array.into_shared()))
                    .map_err(|_| self.wrong("its shape and its numbers don't fit"))
            }
            _ => Ok(Value::Float(tensor.array::<T>("", &self.name, false)?.into_shared())),
        }
    }

    /// As bytes, from whatever field they are in.
    fn data<'b>(&self, element: Element, bytes: &'b [u8]) -> Found<Cow<'b, [u8]>> {
        if let Some(raw) = &self.raw {
            return bytes.get(raw.clone()).map(Cow::Borrowed).ok_or_else(|| self.wrong("its bytes aren't in the file"));
        }
        let integers = |bytes: usize| {
            let each = self.integers.iter();
            each.flat_map(|number| number.to_le_bytes().into_iter().take(bytes)).collect::<Vec<u8>>()
        };
        Ok(Cow::Owned(match element {
            Element::F32 => self.floats.iter().flat_map(|number| number.to_le_bytes()).collect(),
            Element::F64 => self.doubles.iter().flat_map(|number| number.to_le_bytes()).collect(),
            other => integers(size_of_element(other)),
        }))
    }

    fn wrong(&self, reason: &'static str) -> Problem {
        Problem::OnnxTensor { tensor: self.name.clone(), reason }
    }
}

/// A key and its text.
fn entry(fields: &mut Fields<'_>) -> Found<(String, String)> {
    let (mut key, mut value) = (String::new(), String::new());
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => key = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// What ONNX's number of a type stands for.
fn element(number: i64) -> Option<Element> {
    let integer = |size, signed| Some(Element::Integer { size, signed });
    match number {
        1 => Some(Element::F32),
        2 => integer(1, false),
        3 => integer(1, true),
        4 => integer(2, false),
        5 => integer(2, true),
        6 => integer(4, true),
        7 => integer(8, true),
        9 => Some(Element::Enumeration { size: 1, signed: false }),
        10 => Some(Element::F16),
        11 => Some(Element::F64),
        12 => integer(4, false),
        13 => integer(8, false),
        16 => Some(Element::BF16),
        _ => None,
    }
}

/// The types that have a name in ONNX and none here.
pub(super) fn type_name(number: i64) -> String {
    if let Some(element) = element(number) {
        return element.name();
    }
    let names = [(8, "string"), (14, "complex64"), (15, "complex128"), (17, "float8e4m3fn"), (18, "float8e4m3fnuz")];
    let more = [(19, "float8e5m2"), (20, "float8e5m2fnuz"), (21, "uint4"), (22, "int4"), (23, "float4e2m1")];
    let name = names.iter().chain(&more).find(|(own, _)| *own == number);
    name.map_or_else(|| format!("type {number}"), |(_, name)| (*name).into())
}

fn size_of_element(element: Element) -> usize {
    match element {
        Element::F16 | Element::BF16 => 2,
        Element::F32 => 4,
        Element::F64 => 8,
        Element::Integer { size, .. } | Element::Enumeration { size, .. } => size,
        _ => 1,
    }
}

/// What there is of numbers of a type: floats, whole numbers within bounds, flags.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum NumberKind {
    Float,
    Int { min: i64, max: i64 },
    Bool,
}

/// The kind of the type of this number; f16 and bf16 are floats with fewer digits.
pub(super) fn kind_of(number: i64) -> Option<NumberKind> {
    Some(match element(number)? {
        Element::F16 | Element::BF16 | Element::F32 | Element::F64 => NumberKind::Float,
        Element::Enumeration { .. } => NumberKind::Bool,
        Element::Integer { size, signed } => {
            let bits = 8 * size as u32;
            let (min, max) = match (signed, bits) {
                (_, 64) => (if signed { i64::MIN } else { 0 }, i64::MAX),
                (true, bits) => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
                (false, bits) => (0, (1 << bits) - 1),
            };
            NumberKind::Int { min, max }
        }
        _ => return None,
    })
}

/// Whether numbers of this type have fewer digits than f32 has.
pub(super) fn is_narrow(number: i64) -> bool {
    matches!(element(number), Some(Element::F16 | Element::BF16))
}

fn each_integer(tensor: &Tensor<'_>, mut each: impl FnMut(i64)) {
    let Element::Integer { size, signed } = tensor.element else { return };
    for bytes in tensor.data.chunks_exact(size) {
        let mut wide = [if signed && bytes[size - 1] >= 0x80 { 0xff } else { 0 }; 8];
        wide[..size].copy_from_slice(bytes);
        let number = i64::from_le_bytes(wide);
        // What doesn't fit is as large as can be.
        each(if !signed && number < 0 { i64::MAX } else { number });
    }
}
