//! What an optimizer is.

use crate::error::Result;
use crate::float::Float;
use crate::gradients::Gradients;
use crate::parameters::Parameters;

/// Changes weights by their gradients.
///
/// An optimizer belongs to the layer, or the list of parts, of its first step, as Keras's is built for its variables:
/// what it remembers (the number of updates, velocities, moments) is refused for another one, even one of the same
/// shapes. It goes on with a clone of it.
///
/// Every number of an optimizer is checked before anything is changed. Gradients aren't: where they are NaN or infinite
/// the weights become so, as in Keras.
pub trait Optimizer<T: Float> {
    /// One update of a layer (or an embedding, or a model).
    ///
    /// # Errors
    /// Those of [`step_all`](Optimizer::step_all).
    fn step(&mut self, layer: &mut dyn Parameters<T>, gradients: &Gradients<T>) -> Result<()> {
        self.step_all(&mut [(layer, gradients)])
    }

    /// One update of several parts as of one model: an embedding and the layers behind it. They are always the same
    /// ones, in the same order.
    ///
    /// # Errors
    /// [`Error::GradientsLayer`](crate::Error::GradientsLayer) if gradients, or the optimizer's own memory, belong to
    /// another layer; [`Error::SharedCell`](crate::Error::SharedCell);
    /// [`Error::OptimizerOption`](crate::Error::OptimizerOption) for a number that is NaN, infinite or out of its
    /// range,
    /// [`Error::OptimizerClips`](crate::Error::OptimizerClips). Nothing is changed then.
    fn step_all<'a>(&mut self, parts: &mut [(&'a mut dyn Parameters<T>, &'a Gradients<T>)]) -> Result<()>;
}
