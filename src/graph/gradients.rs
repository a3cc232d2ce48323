//! Where the gradients of a model's weights add up, part by part.

use ndarray::ArrayD;

use crate::error::Result;
use crate::float::Float;
use crate::gradients::{Gradients, IndexedSlices};
use crate::parameters::Parameters;

/// The gradients of the weights of one part of a model, to be added to; none if the part isn't trained.
pub(crate) struct GradientSums<'a, T> {
    weights: &'a mut [ArrayD<T>],
    slices: &'a mut [IndexedSlices<T>],
}

impl<'a, T: Float> GradientSums<'a, T> {
    pub(super) fn of(gradients: &'a mut Gradients<T>) -> Self {
        GradientSums { weights: &mut gradients.weights, slices: &mut gradients.slices }
    }

    /// Those of `count` weights from `start` on.
    pub(super) fn part(&mut self, start: usize, count: usize) -> GradientSums<'_, T> {
        let places = start..start + count;
        GradientSums { weights: &mut self.weights[places.clone()], slices: &mut self.slices[places] }
    }

    /// All of them, for one of several backward passes.
    pub(super) fn all(&mut self) -> GradientSums<'_, T> {
        self.part(0, self.weights.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// Each weight's, in order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut ArrayD<T>> {
        self.weights.iter_mut()
    }

    /// Calls a layer's own backward pass with the gradients that it adds to; what it finds out about the input and the
    /// initial state is in those that are returned. A layer that isn't trained gets others, which are forgotten.
    pub(super) fn lend(
        &mut self,
        layer: &(impl Parameters<T> + ?Sized),
        with_input: bool,
        back: impl FnOnce(&mut Gradients<T>) -> Result<()>,
    ) -> Result<Gradients<T>> {
        let mut lent = match self.is_empty() {
            true => Gradients::new(layer),
            false => {
                let weights = self.weights.iter_mut().map(std::mem::take).collect();
                let slices = self.slices.iter_mut().map(std::mem::take).collect();
                Gradients::lent(weights, slices, layer.layout())
            }
        };
        if !with_input {
            lent.input = None;
        }
        let result = back(&mut lent);
        self.weights.iter_mut().zip(&mut lent.weights).for_each(|(own, lent)| std::mem::swap(own, lent));
        self.slices.iter_mut().zip(&mut lent.slices).for_each(|(own, lent)| std::mem::swap(own, lent));
        result.map(|()| lent)
    }
}
