//! Where the elements of one array are found in another, and what operations read: elements in row order, whatever
//! their kind, of a whole run or of a step alike.

use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::misfit;
use crate::graph::shape::{Shape, fit};
use crate::graph::stream::{Buffer, MOST_AXES};
use crate::graph::tensor::{Shared, Tensor, Value};

/// What the elements of an array are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Int,
    Bool,
}

impl Kind {
    pub(super) const NAMES: [(&'static str, Kind); 3] =
        [("float", Kind::Float), ("int", Kind::Int), ("bool", Kind::Bool)];

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| *name)
    }
}

/// An array that is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read<'a, T> {
    pub(super) shape: &'a [usize],
    pub(super) elements: Elements<'a, T>,
}

/// Elements in row order.
#[derive(Debug, Clone, Copy)]
pub(super) enum Elements<'a, T> {
    Float(&'a [T]),
    Int(&'a [i64]),
    Bool(&'a [bool]),
}

impl<'a, T: Float> Read<'a, T> {
    /// Of a value in row order.
    pub(super) fn value(value: &'a Value<T>) -> Result<Self> {
        let elements = match value {
            Value::Float(array) => Elements::Float(array.as_slice().ok_or_else(misfit)?),
            Value::Int(array) => Elements::Int(array.as_slice().ok_or_else(misfit)?),
            Value::Bool(array) => Elements::Bool(array.as_slice().ok_or_else(misfit)?),
        };
        Ok(Read { shape: value.shape(), elements })
    }

    pub(super) fn buffer(buffer: &'a Buffer<T>) -> Result<Self> {
        let elements = match buffer {
            Buffer::Float(array) => Elements::Float(array.as_slice().ok_or_else(misfit)?),
            Buffer::Int(array) => Elements::Int(array.as_slice().ok_or_else(misfit)?),
            Buffer::Bool(array) => Elements::Bool(array.as_slice().ok_or_else(misfit)?),
        };
        Ok(Read { shape: buffer.shape(), elements })
    }

    pub(super) fn kind(&self) -> Kind {
        match self.elements {
            Elements::Float(_) => Kind::Float,
            Elements::Int(_) => Kind::Int,
            Elements::Bool(_) => Kind::Bool,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self.elements {
            Elements::Float(values) => values.len(),
            Elements::Int(values) => values.len(),
            Elements::Bool(values) => values.len(),
        }
    }

    #[inline]
    pub(super) fn float(&self, at: usize) -> T {
        match self.elements {
            Elements::Float(values) => values[at],
            Elements::Int(values) => T::from_f64(values[at] as f64),
            Elements::Bool(values) => T::from_f64(u8::from(values[at]).into()),
        }
    }

    /// `len` numbers from `at` on; what aren't floats are made so in `own`.
    pub(super) fn floats<'o>(&self, at: usize, len: usize, own: &'o mut [T]) -> &'o [T]
    where
        'a: 'o,
    {
        if let Elements::Float(values) = self.elements {
            return &values[at..][..len];
        }
        let own = &mut own[..len];
        own.iter_mut().enumerate().for_each(|(place, to)| *to = self.float(at + place));
        own
    }

    /// A whole number; floats have none.
    #[inline]
    pub(super) fn integer(&self, at: usize) -> i64 {
        match self.elements {
            Elements::Float(_) => 0,
            Elements::Int(values) => values[at],
            Elements::Bool(values) => values[at].into(),
        }
    }

    #[inline]
    pub(super) fn flag(&self, at: usize) -> bool {
        match self.elements {
            Elements::Float(values) => values[at] != T::zero(),
            Elements::Int(values) => values[at] != 0,
            Elements::Bool(values) => values[at],
        }
    }
}

/// The same in row order.
pub(super) fn in_order<T: Float>(value: &Value<T>) -> Value<T> {
    fn go<A: Clone>(array: &Shared<A>) -> Shared<A> {
        if array.is_standard_layout() { array.clone() } else { array.as_standard_layout().into_owned().into_shared() }
    }
    match value {
        Value::Float(array) => Value::Float(go(array)),
        Value::Int(array) => Value::Int(go(array)),
        Value::Bool(array) => Value::Bool(go(array)),
    }
}

/// Zeros to be written.
pub(super) fn blank<T: Float>(kind: Kind, shape: &[usize]) -> Buffer<T> {
    use ndarray::ArrayD;
    match kind {
        Kind::Float => Buffer::Float(ArrayD::zeros(shape)),
        Kind::Int => Buffer::Int(ArrayD::zeros(shape)),
        Kind::Bool => Buffer::Bool(ArrayD::from_elem(shape, false)),
    }
}

/// What was written, as a tensor without a mask: operations hand on none.
pub(super) fn written<T: Float>(buffer: Buffer<T>) -> Tensor<T> {
    Tensor::unmasked(match buffer {
        Buffer::Float(array) => Value::Float(array.into_shared()),
        Buffer::Int(array) => Value::Int(array.into_shared()),
        Buffer::Bool(array) => Value::Bool(array.into_shared()),
    })
}

/// A shape that was inferred from known ones.
pub(super) fn all_known(shapes: &[Shape]) -> Result<Vec<usize>> {
    shapes.first().and_then(|shape| shape.iter().copied().collect()).ok_or_else(misfit)
}

/// A way through an array: sizes of some axes and how far apart their elements lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    /// From the last axis to the first.
    axes: [(usize, usize); MOST_AXES],
    rank: usize,
}

impl Walk {
    /// Along these axes, of each the size and the distance.
    pub(super) fn new(axes: impl DoubleEndedIterator<Item = (usize, usize)>) -> Self {
        let mut walk = Walk { axes: [(1, 0); MOST_AXES], rank: 0 };
        for (to, axis) in walk.axes.iter_mut().zip(axes.rev()) {
            *to = axis;
            walk.rank += 1;
        }
        walk
    }

    /// The number of places.
    pub(super) fn len(&self) -> usize {
        self.axes[..self.rank].iter().map(|(size, _)| size).product()
    }

    /// The place of an element, by its number on the way.
    #[inline]
    pub(super) fn at(&self, mut number: usize) -> usize {
        let mut at = 0;
        for &(size, distance) in &self.axes[..self.rank] {
            at += number % size * distance;
            number /= size;
        }
        at
    }
}

/// How far apart the elements along each axis of a shape lie, in row order.
pub(super) fn distances(shape: &[usize]) -> [usize; MOST_AXES] {
    let mut distances = [1; MOST_AXES];
    let mut distance = 1;
    for (to, size) in distances[..shape.len().min(MOST_AXES)].iter_mut().zip(shape).rev() {
        *to = distance;
        distance *= size;
    }
    distances
}

/// Where a smaller array's element is that numpy's broadcasting puts at a place of a larger one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spreading {
    Same,
    One,
    Wide(Walk),
}

impl Spreading {
    pub(super) fn new(shape: &[usize], over: &[usize]) -> Self {
        if shape == over {
            return Spreading::Same;
        }
        if shape.iter().all(|&size| size == 1) {
            return Spreading::One;
        }
        let (own, ones) = (distances(shape), over.len().saturating_sub(shape.len()));
        let axis = |(axis, &wide): (usize, &usize)| match axis.checked_sub(ones) {
            Some(at) if shape[at] != 1 => (wide, own[at]),
            _ => (wide, 0),
        };
        Spreading::Wide(Walk::new(over.iter().enumerate().map(axis)))
    }

    #[inline]
    pub(super) fn at(&self, place: usize) -> usize {
        match self {
            Spreading::Same => place,
            Spreading::One => 0,
            Spreading::Wide(walk) => walk.at(place),
        }
    }
}

/// What numpy's broadcasting makes of shapes.
pub(super) fn broadcast<'s>(shapes: impl Iterator<Item = &'s [Option<usize>]>) -> Option<Shape> {
    let mut merged: Shape = Vec::new();
    for shape in shapes {
        while merged.len() < shape.len() {
            merged.insert(0, Some(1));
        }
        let ones = merged.len() - shape.len();
        for (merged, &dimension) in merged[ones..].iter_mut().zip(shape) {
            *merged = match (*merged, dimension) {
                (Some(1), other) => other,
                (known, Some(1)) => known,
                (a, b) if fit(a, b) => a.or(b),
                _ => return None,
            };
        }
    }
    (merged.len() <= MOST_AXES).then_some(merged)
}

/// The gradient of an array of this shape that numpy's broadcasting spread to the gradient's.
pub(super) fn gathered<T: Float>(mut d: ndarray::ArrayD<T>, shape: &[usize]) -> ndarray::ArrayD<T> {
    while d.ndim() > shape.len() {
        d = d.sum_axis(ndarray::Axis(0));
    }
    crate::graph::backward::summed_to(d, shape)
}
