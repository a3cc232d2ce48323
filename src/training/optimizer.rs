//! What an optimizer is.

use ndarray::{ArrayD, ArrayViewMutD};

use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::Gradients;
use crate::layers::Layer;
use crate::weights::WeightVisitorMut;

/// Changes a layer's weights by their gradients.
pub trait Optimizer<T: Float> {
    /// One update.
    ///
    /// # Errors
    /// [`Error::GradientsLayer`] if the gradients, or the optimizer's own memory, belong to another layer;
    /// [`Error::SharedCell`]. The layer is unchanged then.
    fn step(&mut self, layer: &mut dyn Layer<T>, gradients: &Gradients<T>) -> Result<()>;
}

/// Walks weights and gradients together: `update(index, weight, gradient)`.
pub(super) fn update_each<T: Float>(
    layer: &mut dyn Layer<T>,
    gradients: &Gradients<T>,
    mut update: impl FnMut(usize, ArrayViewMutD<'_, T>, &ArrayD<T>),
) -> Result<()> {
    check(layer, gradients)?;
    layer.unshare()?;
    let mut index = 0;
    layer.visit_weights_mut(&mut WeightVisitorMut::new(&mut |_, weight| {
        update(index, weight, &gradients.weights[index]);
        index += 1;
    }))
}

/// That there is a gradient of each weight's shape.
fn check<T: Float>(layer: &dyn Layer<T>, gradients: &Gradients<T>) -> Result<()> {
    let (mut count, mut fits) = (0, true);
    layer.visit_weights(&mut crate::weights::WeightVisitor::new(&mut |_, weight: ndarray::ArrayViewD<'_, T>| {
        fits &= gradients.weights.get(count).is_some_and(|gradient| gradient.shape() == weight.shape());
        count += 1;
    }));
    if fits && count == gradients.weights.len() { Ok(()) } else { Err(Error::GradientsLayer) }
}

/// Arrays like the weights, zeros at first; kept from update to update.
#[derive(Debug, Clone)]
pub(super) struct Slots<T>(Vec<ArrayD<T>>);

impl<T: Float> Slots<T> {
    pub(super) fn new() -> Self {
        Slots(Vec::new())
    }

    /// That they belong to these gradients; made at the first update.
    pub(super) fn prepare(&mut self, gradients: &Gradients<T>) -> Result<()> {
        if self.0.is_empty() {
            self.0 = gradients.weights.iter().map(|gradient| ArrayD::zeros(gradient.raw_dim())).collect();
        }
        let fits = self.0.len() == gradients.weights.len()
            && self.0.iter().zip(&gradients.weights).all(|(slot, gradient)| slot.shape() == gradient.shape());
        if fits { Ok(()) } else { Err(Error::GradientsLayer) }
    }

    pub(super) fn get_mut(&mut self, index: usize) -> &mut ArrayD<T> {
        &mut self.0[index]
    }
}
