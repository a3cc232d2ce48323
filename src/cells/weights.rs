//! The weights of built-in cells: any number of them, by their places in the cell's list.

use ndarray::{ArrayD, ArrayViewD, ArrayViewMutD, Dimension, IxDyn};

use crate::float::Float;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// The places of the weights that most cells have.
pub(crate) const KERNEL: usize = 0;
pub(crate) const RECURRENT_KERNEL: usize = 1;
pub(crate) const BIAS: usize = 2;

/// The weights of a built-in cell in Keras's shapes, in the order of its list of [`WeightSpec`](super::WeightSpec)s:
/// the truth from which kernels pack their own form. What the options leave out has a place, and no weight at it.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct Weights<T>(Vec<Option<Weight<T>>>);

#[derive(Debug, Clone)]
struct Weight<T> {
    name: &'static str,
    shape: IxDyn,
    /// In row order, as kernels take them.
    values: Vec<T>,
}

impl<T: Float> Weights<T> {
    pub(super) fn new(weights: impl IntoIterator<Item = Option<(&'static str, ArrayD<T>)>>) -> Self {
        let weight = |(name, array): (&'static str, ArrayD<T>)| Weight {
            name,
            shape: array.raw_dim(),
            values: array.iter().copied().collect(),
        };
        Weights(weights.into_iter().map(|given| given.map(weight)).collect())
    }

    /// Of values in row order, with names and shapes.
    #[cfg_attr(not(feature = "file"), allow(dead_code, reason = "files read descriptions"))]
    pub(super) fn of_values<'w>(
        weights: impl IntoIterator<Item = Option<(&'static str, &'w [usize], Vec<T>)>>,
    ) -> Self {
        let weight = |(name, shape, values): (_, &[usize], _)| Weight { name, shape: IxDyn(shape), values };
        Weights(weights.into_iter().map(|given| given.map(weight)).collect())
    }

    /// The values of a weight in row order, if it is there.
    #[inline]
    pub(crate) fn get(&self, place: usize) -> Option<&[T]> {
        self.0.get(place)?.as_ref().map(|weight| &weight.values[..])
    }

    /// The values of a weight that the cell has with all options.
    #[inline]
    pub(crate) fn always(&self, place: usize) -> &[T] {
        match self.get(place) {
            Some(values) => values,
            None => unreachable!("weight {place} is in the cell's list with all options"),
        }
    }

    /// The sizes of a weight; none if it isn't there.
    pub(super) fn shape(&self, place: usize) -> &[usize] {
        self.0.get(place).and_then(Option::as_ref).map_or(&[], |weight| weight.shape.slice())
    }

    /// The first size of a weight that is there.
    pub(crate) fn rows(&self, place: usize) -> usize {
        self.0.get(place).and_then(Option::as_ref).map_or(0, |weight| weight.shape[0])
    }

    /// The kernel, the recurrent kernel and, unless the layer has none, the bias.
    pub(crate) fn three(&self) -> (&[T], &[T], Option<&[T]>) {
        (self.always(KERNEL), self.always(RECURRENT_KERNEL), self.get(BIAS))
    }

    /// The place of a weight's gradient, if the weight is there: those that aren't have none.
    pub(super) fn gradient(&self, place: usize) -> Option<usize> {
        self.get(place).map(|_| self.0[..place].iter().flatten().count())
    }

    pub(super) fn visit<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        for weight in self.0.iter().flatten() {
            match ArrayViewD::from_shape(weight.shape.clone(), &weight.values) {
                Ok(view) => visitor.view(weight.name, view),
                Err(_) => unreachable!("as many values as the array had that they come from"),
            }
        }
    }

    pub(super) fn visit_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        for weight in self.0.iter_mut().flatten() {
            match ArrayViewMutD::from_shape(weight.shape.clone(), &mut weight.values) {
                Ok(mut view) => visitor.weight(weight.name, &mut *view),
                Err(_) => unreachable!("as many values as the array had that they come from"),
            }
        }
    }

    pub(super) fn cast<U: Float>(&self) -> Weights<U> {
        let cast = |weight: &Weight<T>| Weight {
            name: weight.name,
            shape: weight.shape.clone(),
            values: weight.values.iter().map(|value| U::from_f64(value.into_f64())).collect(),
        };
        Weights(self.0.iter().map(|weight| weight.as_ref().map(cast)).collect())
    }
}
