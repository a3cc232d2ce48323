//! What a value of an ONNX graph is while a model is made of it.
//!
//! A model's tensors have the batch first, and then time; an ONNX graph's have their axes anywhere. So a value knows
//! where each of its axes is in the tensor that holds it, and what only orders axes (Transpose, Squeeze, Unsqueeze, most
//! of Reshape) is no operation of the model.

use std::rc::Rc;

use ndarray::ArrayD;

use super::size::{Num, Size};
use crate::float::Float;
use crate::graph::tensor::Value;

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Item<T: Float> {
    /// Numbers that are there.
    Known(Value<T>),
    /// Whole numbers of which some are sizes that aren't known yet.
    Numbers(Numbers),
    /// Numbers that are there, spread along axes of one to sizes that aren't known yet: an initial state of zeros.
    Spread { of: Value<T>, shape: Vec<Size> },
    /// One whole number, which may be a size, at each place of a shape: the lengths of rows that are as long as all are.
    Repeated { number: Num, shape: Vec<Size> },
    /// A tensor of the model.
    Held(Held),
    /// What stands between quantizing and a product, and isn't computed.
    Part(Part),
}

/// What a tensor is quantized to, or a product with it on the way back. All of it together is a layer in fewer bits.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) of: Held,
    pub(super) is: PartIs,
}

/// Which part it is.
#[derive(Debug, Clone)]
pub(super) enum PartIs {
    /// What DynamicQuantizeLinear gives: whole numbers, their scale, their zero point.
    Whole,
    Scale,
    Zero,
    /// The scale, times those of weights.
    Scales(ArrayD<f32>),
    /// The sums of products with a matrix less its zero points.
    Sums(Rc<Whole>),
    /// What QuantizeLinear gives, by its scales and zero points.
    Fixed(Rc<Fixed>),
}

/// A matrix of whole numbers, and what is taken from each.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) numbers: ArrayD<i64>,
    pub(super) zeros: Option<ArrayD<i64>>,
}

/// How QuantizeLinear rounds: scales and zero points with as many axes as the value, of 1 where they are the same.
#[derive(Debug, PartialEq)]
pub(super) struct Fixed {
    pub(super) scales: ArrayD<f32>,
    pub(super) zeros: ArrayD<i64>,
    /// The least and the largest number of the type.
    pub(super) range: [i64; 2],
}

/// Whole numbers, each by its place in a table.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    pub(super) places: ArrayD<i64>,
    pub(super) table: Vec<Num>,
}

/// What the numbers of a tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Int,
    Bool,
}

/// A tensor of the model, and where the value's axes are in it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) tensor: usize,
    pub(super) kind: Kind,
    /// The tensor's axes, the batch first.
    pub(super) stored: Vec<Axis>,
    /// Of each axis of the value, the tensor's axes that it is, one or more; none is an axis of one.
    pub(super) axes: Vec<Vec<usize>>,
}

/// An axis of a tensor of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) size: Size,
    /// The input, and its axis, that it comes from unchanged.
    pub(super) origin: Option<(usize, usize)>,
}

impl From<Size> for Axis {
    fn from(size: Size) -> Self {
        Axis { size, origin: None }
    }
}

impl Held {
    /// A tensor whose axes are the value's.
    pub(super) fn plain(tensor: usize, kind: Kind, stored: Vec<Axis>) -> Self {
        let axes = (0..stored.len()).map(|axis| vec![axis]).collect();
        Held { tensor, kind, stored, axes }
    }

    /// Whether it is the same value.
    pub(super) fn is_same(&self, other: &Held) -> bool {
        self.tensor == other.tensor && self.axes == other.axes
    }

    /// The size of an axis of the value.
    pub(super) fn size(&self, axis: usize) -> Option<Size> {
        Size::product(self.axes[axis].iter().map(|&part| &self.stored[part].size))
    }

    /// The axis of the value that has the batch in it; none where it was taken away.
    pub(super) fn batch_axis(&self) -> Option<usize> {
        self.axes.iter().position(|parts| parts.contains(&0))
    }

    /// The axes of the value but for the batch, in the order in which the tensor has them. Axes of one stand behind the
    /// batch and, of sequences, time.
    pub(super) fn natural_order(&self) -> Vec<usize> {
        let batch = self.batch_axis();
        let mut order: Vec<usize> = (0..self.axes.len()).filter(|&axis| Some(axis) != batch).collect();
        // Of (rows, features) before the features.
        let ones = if self.stored.len() < 3 { 1 } else { 3 };
        let place = |axis: &usize| self.axes[*axis].first().map_or(ones, |&first| 2 * first + usize::from(first > 1));
        order.sort_by_key(place);
        order
    }
}

impl<T: Float> Item<T> {
    /// The number of axes.
    pub(super) fn rank(&self) -> usize {
        match self {
            Item::Known(value) => value.shape().len(),
            Item::Numbers(numbers) => numbers.places.ndim(),
            Item::Spread { shape, .. } | Item::Repeated { shape, .. } => shape.len(),
            Item::Held(held) | Item::Part(Part { of: held, .. }) => held.axes.len(),
        }
    }

    /// The sizes; nothing if they can't be addressed.
    pub(super) fn shape(&self) -> Option<Vec<Size>> {
        match self {
            Item::Known(value) => Some(value.shape().iter().map(|&size| Size::known(size)).collect()),
            Item::Numbers(numbers) => Some(numbers.places.shape().iter().map(|&size| Size::known(size)).collect()),
            Item::Spread { shape, .. } | Item::Repeated { shape, .. } => Some(shape.clone()),
            Item::Held(held) | Item::Part(Part { of: held, .. }) => {
                (0..held.axes.len()).map(|axis| held.size(axis)).collect()
            }
        }
    }

    /// Whole numbers, if it holds such: those that are known, too.
    pub(super) fn numbers(&self) -> Option<Numbers> {
        match self {
            Item::Known(Value::Int(array)) => {
                let table: Vec<Num> = array.iter().map(|&number| Num::Known(number)).collect();
                let places = (0..table.len() as i64).collect();
                Some(Numbers { places: ArrayD::from_shape_vec(array.shape(), places).ok()?, table })
            }
            Item::Numbers(numbers) => Some(numbers.clone()),
            _ => None,
        }
    }
}

impl Numbers {
    /// In a row.
    pub(super) fn row(numbers: Vec<Num>) -> Self {
        let places = (0..numbers.len() as i64).collect::<ndarray::Array1<i64>>().into_dyn();
        Numbers { places, table: numbers }
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Num> + Clone {
        self.places.iter().map(|&place| &self.table[place as usize])
    }

    /// As numbers that are there, if all are known.
    pub(super) fn into_item<T: Float>(self) -> Item<T> {
        let known: Option<Vec<i64>> = self.iter().map(Num::as_known).collect();
        match known.and_then(|known| ArrayD::from_shape_vec(self.places.shape(), known).ok()) {
            Some(array) => Item::Known(Value::Int(array.into_shared())),
            None => Item::Numbers(self),
        }
    }
}
