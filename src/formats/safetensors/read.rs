//! Reading, without trust.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde_core::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

#[cfg(any(feature = "keras", feature = "pytorch"))]
use super::EXAMPLES;
use super::{METADATA, MOST_DIMENSIONS, TYPES};
#[cfg(feature = "file")]
use crate::float::Float;
#[cfg(feature = "file")]
use crate::formats::disk::Stored;
use crate::formats::error::{Found, Problem, within};
use crate::formats::limits::Limits;
#[cfg(any(feature = "file", feature = "pytorch"))]
use crate::formats::tensors::TensorInfo;
use crate::formats::tensors::{Element, Tensor};

/// A file taken apart: what its header says, checked against its bytes, or against its length.
#[derive(Debug)]
pub(crate) struct Safetensors {
    data: Data,
    /// Where the tensors' bytes begin.
    start: usize,
    /// The texts beside the tensors.
    metadata: Option<Vec<(String, String)>>,
    /// By name, in order.
    tensors: Vec<Described>,
}

/// Where the bytes are.
#[derive(Debug)]
enum Data {
    Memory(Vec<u8>),
    /// In a file, from which each tensor is read when it is asked for: memory that is touched for the first time takes
    /// longer than the reading.
    #[cfg(feature = "file")]
    File(Stored),
}

/// A tensor as the header describes it.
#[derive(Debug)]
struct Described {
    name: String,
    element: Element,
    shape: Vec<usize>,
    range: Range<usize>,
}

impl Safetensors {
    /// Checks all that the header says: tensors must fill the data, one behind the other, without a hole.
    pub(crate) fn new(bytes: Vec<u8>, limits: &Limits) -> Found<Self> {
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| damaged(NO_LENGTH))?;
        let length = header_length(*length, rest.len(), limits)?;
        let mut file = Self::of_header(&rest[..length], rest.len() - length, limits)?;
        file.data = Data::Memory(bytes);
        Ok(file)
    }

    /// The same of a file, whose tensors stay where they are.
    #[cfg(feature = "file")]
    pub(in crate::formats) fn stored(file: Stored, limits: &Limits) -> Found<Self> {
        let rest = file.length.checked_sub(8).ok_or_else(|| damaged(NO_LENGTH))?;
        let mut length = [0; 8];
        file.read(0, &mut length)?;
        let length = header_length(length, rest, limits)?;
        let mut header = vec![0; length];
        file.read(8, &mut header)?;
        let mut read = Self::of_header(&header, rest - length, limits)?;
        read.data = Data::File(file);
        Ok(read)
    }

    /// What a header says of data of this size.
    fn of_header(header: &[u8], size: usize, limits: &Limits) -> Found<Self> {
        if header.first() != Some(&b'{') {
            return Err(damaged("the header isn't an object"));
        }
        let Members(members): Members<Members<Value>> = serde_json::from_slice(header).map_err(|error| {
            let (member, reason) = ("the header", error.to_string());
            Problem::Json { member, reason }
        })?;
        let data = Data::Memory(Vec::new());
        let mut file = Safetensors { data, start: 8 + header.len(), metadata: None, tensors: Vec::new() };
        for (name, Members(fields)) in members {
            if name != METADATA {
                within("tensors", file.tensors.len() + 1, limits.tensors)?;
                file.tensors.push(Described::new(name, fields)?);
            } else if file.metadata.replace(texts(fields)?).is_some() {
                return Err(damaged("there are two entries __metadata__"));
            }
        }
        file.check_places(size)?;
        file.tensors.sort_by(|a, b| a.name.cmp(&b.name));
        match file.tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
            Some(pair) => Err(damaged(format!("there are two tensors {:?}", pair[0].name))),
            None => Ok(file),
        }
    }

    /// Checks that each byte of the data, so many, belongs to one tensor.
    fn check_places(&self, size: usize) -> Found<()> {
        let mut ranges: Vec<(&Range<usize>, &str)> = self.tensors.iter().map(|t| (&t.range, &t.name[..])).collect();
        ranges.sort_by_key(|(range, _)| (range.start, range.end));
        let mut end = 0;
        for (range, name) in ranges {
            if range.start != end {
                let what = if range.start < end { "overlaps another tensor" } else { "stands behind a hole" };
                return Err(damaged(format!("tensor {name:?} {what}")));
            }
            end = range.end;
        }
        if end == size {
            return Ok(());
        }
        let what = if end > size { "the data end before the last tensor does" } else { "there are bytes of no tensor" };
        Err(damaged(what))
    }

    /// The texts beside the tensors, by their keys.
    pub(crate) fn metadata(&self) -> &[(String, String)] {
        self.metadata.as_deref().unwrap_or_default()
    }

    /// What tensors there are, sorted by name.
    #[cfg(any(feature = "file", feature = "pytorch"))]
    pub(crate) fn tensors(&self) -> Vec<TensorInfo> {
        let info = |tensor: &Described| TensorInfo {
            path: tensor.name.clone(),
            shape: tensor.shape.clone(),
            dtype: tensor.element.name(),
        };
        self.tensors.iter().map(info).collect()
    }

    /// [`tensors`](Safetensors::tensors) without those of [examples](EXAMPLES), if the file says that it has any.
    #[cfg(feature = "pytorch")]
    pub(crate) fn tensors_but_examples(&self) -> Vec<TensorInfo> {
        self.tensors().into_iter().filter(|tensor| !self.is_of_example(&tensor.path)).collect()
    }

    /// The names of all tensors but those of examples.
    #[cfg(feature = "keras")]
    pub(crate) fn names_but_examples(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|tensor| &tensor.name[..]).filter(|name| !self.is_of_example(name))
    }

    #[cfg(any(feature = "keras", feature = "pytorch"))]
    fn is_of_example(&self, name: &str) -> bool {
        name.strip_prefix(EXAMPLES).is_some_and(|rest| rest.starts_with('/'))
            && self.metadata().iter().any(|(key, _)| key == EXAMPLES)
    }

    fn find(&self, name: &str) -> Option<&Described> {
        let index = self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()?;
        self.tensors.get(index)
    }

    /// What a tensor holds, and its shape, by its name.
    pub(crate) fn form(&self, name: &str) -> Option<(Element, &[usize])> {
        self.find(name).map(|tensor| (tensor.element, &tensor.shape[..]))
    }

    /// A tensor by its name, if there is one.
    pub(crate) fn tensor(&self, name: &str) -> Found<Option<Tensor<'_>>> {
        let Some(Described { element, shape, range, .. }) = self.find(name) else { return Ok(None) };
        let data = match &self.data {
            Data::Memory(bytes) => {
                let bytes = bytes.get(self.start..).and_then(|bytes| bytes.get(range.clone()));
                Cow::Borrowed(bytes.ok_or_else(|| damaged("it ends before its tensors do"))?)
            }
            #[cfg(feature = "file")]
            Data::File(file) => {
                let mut bytes = Vec::new();
                bytes.try_reserve_exact(range.len()).map_err(|_| no_memory())?;
                bytes.resize(range.len(), 0);
                file.read(self.start + range.start, &mut bytes)?;
                Cow::Owned(bytes)
            }
        };
        Ok(Some(Tensor { element: *element, shape: shape.clone(), data, big_endian: false }))
    }

    /// The elements of a tensor, each of so many bytes, in row order.
    #[cfg(feature = "file")]
    pub(crate) fn each<const N: usize, V>(&self, name: &str, of_bytes: fn([u8; N]) -> V) -> Found<Vec<V>> {
        let absent = || damaged(format!("there is no tensor {name:?} of whole numbers"));
        let tensor = self.tensor(name)?.ok_or_else(absent)?;
        let (elements, _) = tensor.data.as_chunks();
        let mut values = Vec::new();
        values.try_reserve_exact(elements.len()).map_err(|_| no_memory())?;
        values.extend(elements.iter().map(|&bytes| of_bytes(bytes)));
        Ok(values)
    }

    /// The numbers of a tensor that holds a `T` for each element, in row order.
    #[cfg(feature = "file")]
    pub(crate) fn numbers<T: Float>(&self, name: &str) -> Found<Vec<T>> {
        let absent = || damaged(format!("there is no tensor {name:?} of such numbers"));
        let Described { range, .. } =
            self.find(name).filter(|tensor| tensor.element == of::<T>()).ok_or_else(absent)?;
        let mut values = Vec::new();
        let size = range.len() / size_of::<T>();
        values.try_reserve_exact(size).map_err(|_| no_memory())?;
        match &self.data {
            Data::Memory(bytes) => {
                let bytes = bytes.get(self.start..).and_then(|bytes| bytes.get(range.clone()));
                T::extend_le_bytes(bytes.ok_or_else(absent)?, &mut values);
            }
            Data::File(file) => {
                // A piece at a time, which stays in the processor's cache.
                let mut piece = vec![0; range.len().min(PIECE)];
                for at in range.clone().step_by(PIECE) {
                    let piece = &mut piece[..(range.end - at).min(PIECE)];
                    file.read(self.start + at, piece)?;
                    T::extend_le_bytes(piece, &mut values);
                }
            }
        }
        Ok(values)
    }
}

impl Described {
    fn new(name: String, fields: Vec<(String, Value)>) -> Found<Self> {
        let wrong = |what: &str| damaged(format!("tensor {name:?}: {what}"));
        let (mut dtype, mut shape, mut offsets) = (None, None, None);
        for (key, value) in &fields {
            let place = match &key[..] {
                "dtype" => &mut dtype,
                "shape" => &mut shape,
                "data_offsets" => &mut offsets,
                _ => return Err(wrong(&format!("its description has an entry {key:?}, which isn't known"))),
            };
            if place.replace(value).is_some() {
                return Err(wrong(&format!("its description has two entries {key:?}")));
            }
        }
        let dtype = dtype.and_then(Value::as_str).ok_or_else(|| wrong("its dtype isn't a name"))?;
        let &(_, element, size) = TYPES.iter().find(|(known, ..)| *known == dtype).ok_or_else(|| {
            let expected =
                "float16 to float64, bfloat16, whole numbers or bool (in Python convert it before it is saved, or leave it out)";
            Problem::TensorType { tensor: name.clone(), expected, found: dtype.into() }
        })?;
        let shape = sizes(shape).ok_or_else(|| wrong("its shape isn't a list of sizes"))?;
        if shape.len() > MOST_DIMENSIONS {
            return Err(wrong(&format!("it has more than {MOST_DIMENSIONS} dimensions")));
        }
        let range = match sizes(offsets).as_deref() {
            Some(&[start, end]) if start <= end => start..end,
            _ => return Err(wrong("its data_offsets aren't a start and an end")),
        };
        let bytes = shape.iter().try_fold(size, |bytes, &dimension| bytes.checked_mul(dimension));
        if bytes != Some(range.len()) {
            return Err(wrong(&format!("{} bytes aren't {dtype} {shape:?}", range.len())));
        }
        Ok(Described { name, element, shape, range })
    }
}

/// How many bytes are read at a time.
#[cfg(feature = "file")]
const PIECE: usize = 1 << 16;

/// What the elements are that a `T` holds.
#[cfg(feature = "file")]
pub(crate) fn of<T>() -> Element {
    if size_of::<T>() == 4 { Element::F32 } else { Element::F64 }
}

const NO_LENGTH: &str = "it ends before the header's length";

/// The length of a header, which stands in the first bytes; so many come behind them.
fn header_length(bytes: [u8; 8], rest: usize, limits: &Limits) -> Found<usize> {
    let length = usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    if length > rest {
        return Err(damaged("the header reaches beyond the end"));
    }
    within("config_bytes", length, limits.config_bytes)?;
    Ok(length)
}

/// A list of sizes.
fn sizes(value: Option<&Value>) -> Option<Vec<usize>> {
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
    value?.as_array()?.iter().map(number).collect()
}

fn texts(fields: Vec<(String, Value)>) -> Found<Vec<(String, String)>> {
    let mut texts: Vec<(String, String)> = Vec::with_capacity(fields.len());
    for (key, value) in fields {
        let Value::String(text) = value else {
            return Err(damaged(format!("__metadata__ holds something else than text at {key:?}")));
        };
        texts.push((key, text));
    }
    texts.sort();
    match texts.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(damaged(format!("__metadata__ has two entries {:?}", pair[0].0))),
        None => Ok(texts),
    }
}

fn damaged(reason: impl Into<String>) -> Problem {
    Problem::Safetensors { reason: reason.into() }
}

/// The members of an object, in order, those of equal names too, which a map would lose.
struct Members<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Members<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for All<V> {
            type Value = Members<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<V>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All(PhantomData))
    }
}

/// A file may say that a tensor is larger than there is memory.
#[cfg(feature = "file")]
fn no_memory() -> Problem {
    Problem::Io { reason: "no memory for a tensor".into() }
}
