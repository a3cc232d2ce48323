//! How weights are walked: by visitors that carry each weight's path, so that wrappers add their part of the name and
//! nothing is allocated for it.

use std::fmt;

use ndarray::{ArrayRef, ArrayViewD, ArrayViewMutD, Dimension};

/// The name of a weight as a chain of parts, `0/forward/kernel`; it lives on the stack of the walk.
#[derive(Debug, Clone, Copy)]
pub struct WeightPath<'p> {
    parent: Option<&'p WeightPath<'p>>,
    name: &'p str,
}

impl<'p> WeightPath<'p> {
    pub(crate) fn new(parent: Option<&'p WeightPath<'p>>, name: &'p str) -> Self {
        WeightPath { parent, name }
    }

    /// Whether the whole path reads like this.
    pub fn matches(&self, path: &str) -> bool {
        match (path.strip_suffix(self.name), self.parent) {
            (Some(""), None) => true,
            (Some(rest), Some(parent)) => rest.strip_suffix('/').is_some_and(|rest| parent.matches(rest)),
            _ => false,
        }
    }
}

impl fmt::Display for WeightPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}/")?;
        }
        f.write_str(self.name)
    }
}

/// Receives the weights of a cell or layer, in their order: see [`Cell::visit_weights`](crate::Cell::visit_weights).
pub struct WeightVisitor<'v, 'a, T> {
    parent: Option<&'v WeightPath<'v>>,
    each: &'v mut dyn FnMut(&WeightPath<'_>, ArrayViewD<'a, T>),
}

impl<'v, 'a, T> WeightVisitor<'v, 'a, T> {
    pub(crate) fn new(each: &'v mut dyn FnMut(&WeightPath<'_>, ArrayViewD<'a, T>)) -> Self {
        WeightVisitor { parent: None, each }
    }

    /// One weight, of any rank.
    pub fn weight<D: Dimension>(&mut self, name: &str, array: &'a ArrayRef<T, D>) {
        (self.each)(&WeightPath { parent: self.parent, name }, array.view().into_dyn());
    }

    /// One weight as a view of it.
    pub(crate) fn view(&mut self, name: &str, view: ArrayViewD<'a, T>) {
        (self.each)(&WeightPath { parent: self.parent, name }, view);
    }

    /// The weights of something inside, their names behind `prefix/`.
    pub fn nested(&mut self, prefix: &str, walk: impl FnOnce(&mut WeightVisitor<'_, 'a, T>)) {
        let path = WeightPath { parent: self.parent, name: prefix };
        walk(&mut WeightVisitor { parent: Some(&path), each: &mut *self.each });
    }
}

impl<T> fmt::Debug for WeightVisitor<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeightVisitor").field("parent", &self.parent).finish_non_exhaustive()
    }
}

/// A matrix in fewer bits, in row order: what a file keeps of it.
#[derive(Debug, Clone, PartialEq)]
#[doc(hidden)]
pub enum Packed {
    /// Whole numbers from -127 to 127, each to be multiplied by the scale of its column.
    Int8 { weights: Vec<i8>, scales: Vec<f32> },
    /// The same with a scale for each row.
    Int8Rows { weights: Vec<i8>, scales: Vec<f32> },
    /// The upper halves of f32.
    Bf16(Vec<u16>),
}

impl Packed {
    /// The bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Packed::Int8 { weights, scales } | Packed::Int8Rows { weights, scales } => {
                weights.len() + size_of_val(&scales[..])
            }
            Packed::Bf16(words) => size_of_val(&words[..]),
        }
    }

    /// What the numbers mean.
    fn values(&self) -> Vec<f32> {
        match self {
            Packed::Int8 { weights, scales } => {
                weights.iter().zip(scales.iter().cycle()).map(|(&weight, scale)| f32::from(weight) * scale).collect()
            }
            Packed::Int8Rows { weights, scales } => {
                let rows = weights.chunks_exact((weights.len() / scales.len().max(1)).max(1)).zip(scales);
                rows.flat_map(|(row, scale)| row.iter().map(move |&weight| f32::from(weight) * scale)).collect()
            }
            Packed::Bf16(words) => words.iter().map(|&word| f32::from_bits(u32::from(word) << 16)).collect(),
        }
    }
}

/// What a quantized layer keeps of a weight.
#[derive(Debug, Clone, PartialEq)]
#[doc(hidden)]
pub enum Kept {
    /// A matrix.
    Packed(Packed),
    /// Numbers as they were: a bias, Keras's scales.
    Floats(Vec<f32>),
    /// Whole numbers whose scales are a weight of their own, and what they mean.
    Bytes { weights: Vec<i8>, values: Vec<f32> },
}

impl Kept {
    /// What its numbers mean, in row order.
    pub(crate) fn values(self) -> Vec<f32> {
        match self {
            Kept::Packed(packed) => packed.values(),
            Kept::Floats(values) | Kept::Bytes { values, .. } => values,
        }
    }
}

/// A weight that is kept in fewer bits.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct QuantizedWeight<'a> {
    pub(crate) shape: &'a [usize],
    /// What it takes.
    pub(crate) bytes: usize,
    /// Its numbers, in row order.
    pub(crate) kept: &'a dyn Fn() -> Kept,
}

impl QuantizedWeight<'_> {
    /// The number of its elements.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Receives the weights that are kept in fewer bits, which no [`WeightVisitor`] is shown.
#[doc(hidden)]
pub struct QuantizedVisitor<'v> {
    parent: Option<&'v WeightPath<'v>>,
    each: &'v mut dyn FnMut(&WeightPath<'_>, QuantizedWeight<'_>),
}

impl<'v> QuantizedVisitor<'v> {
    pub(crate) fn new(each: &'v mut dyn FnMut(&WeightPath<'_>, QuantizedWeight<'_>)) -> Self {
        QuantizedVisitor { parent: None, each }
    }

    /// One weight.
    pub(crate) fn weight(&mut self, name: &str, weight: QuantizedWeight<'_>) {
        (self.each)(&WeightPath { parent: self.parent, name }, weight);
    }

    /// The weights of something inside, their names behind `prefix/`.
    pub(crate) fn nested(&mut self, prefix: &str, walk: impl FnOnce(&mut QuantizedVisitor<'_>)) {
        let path = WeightPath { parent: self.parent, name: prefix };
        walk(&mut QuantizedVisitor { parent: Some(&path), each: &mut *self.each });
    }
}

impl fmt::Debug for QuantizedVisitor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuantizedVisitor").field("parent", &self.parent).finish_non_exhaustive()
    }
}

impl fmt::Debug for QuantizedWeight<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuantizedWeight")
            .field("shape", &self.shape)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// Receives the weights of a cell or layer, to change them: see
/// [`Cell::visit_weights_mut`](crate::Cell::visit_weights_mut).
pub struct WeightVisitorMut<'v, T> {
    parent: Option<&'v WeightPath<'v>>,
    each: &'v mut dyn FnMut(&WeightPath<'_>, ArrayViewMutD<'_, T>),
}

impl<'v, T> WeightVisitorMut<'v, T> {
    pub(crate) fn new(each: &'v mut dyn FnMut(&WeightPath<'_>, ArrayViewMutD<'_, T>)) -> Self {
        WeightVisitorMut { parent: None, each }
    }

    /// One weight, of any rank.
    pub fn weight<D: Dimension>(&mut self, name: &str, array: &mut ArrayRef<T, D>) {
        (self.each)(&WeightPath { parent: self.parent, name }, array.view_mut().into_dyn());
    }

    /// The weights of something inside, their names behind `prefix/`.
    pub fn nested<R>(&mut self, prefix: &str, walk: impl FnOnce(&mut WeightVisitorMut<'_, T>) -> R) -> R {
        let path = WeightPath { parent: self.parent, name: prefix };
        walk(&mut WeightVisitorMut { parent: Some(&path), each: &mut *self.each })
    }
}

impl<T> fmt::Debug for WeightVisitorMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeightVisitorMut").field("parent", &self.parent).finish_non_exhaustive()
    }
}
