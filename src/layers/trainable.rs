//! What gradients and optimizers need of whatever has weights.

use std::sync::{Arc, LazyLock};

use super::Layer;
use super::embedding::Embedding;
use super::sealed::Weighted;
use crate::error::Result;
use crate::float::Float;
use crate::stamp::Mark;
use crate::state::StateLayout;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// What can be trained: every [`Layer`](crate::Layer), an [`Embedding`](crate::Embedding), which is none because it reads
/// ids, and a loaded model (feature `keras`).
///
/// Sealed, and without methods to call: it is what [`Gradients::new`](crate::Gradients::new) and
/// [`Optimizer::step`](crate::training::Optimizer::step) take.
pub trait Trainable<T: Float>: Weighted {
    /// Shows each weight, in order.
    #[doc(hidden)]
    fn show_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>);

    /// Hands each weight to the visitor to be changed.
    #[doc(hidden)]
    fn change_weights(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()>;

    /// Makes sure that the weights can be changed.
    #[doc(hidden)]
    fn own_weights(&mut self) -> Result<()>;

    /// The parts of the state; none for what has no state.
    #[doc(hidden)]
    fn layout_of_state(&self) -> &Arc<StateLayout> {
        stateless()
    }

    /// Shows the inputs of a model: the name, the rank, whether there is a gradient.
    #[doc(hidden)]
    fn show_inputs(&self, _show: &mut dyn FnMut(&str, usize, bool)) {}

    /// Shows the marks of what has weights: see [`Layer::visit_marks`].
    #[doc(hidden)]
    fn show_marks(&self, show: &mut dyn FnMut(Mark));
}

/// The layout of what has no state.
fn stateless() -> &'static Arc<StateLayout> {
    static NONE: LazyLock<Arc<StateLayout>> = LazyLock::new(Arc::default);
    &NONE
}

impl<T: Float, L: Layer<T> + ?Sized> Trainable<T> for L {
    fn show_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.visit_weights(visitor);
    }

    fn change_weights(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.visit_weights_mut(visitor)
    }

    fn own_weights(&mut self) -> Result<()> {
        self.unshare()
    }

    fn layout_of_state(&self) -> &Arc<StateLayout> {
        self.state_layout()
    }

    fn show_marks(&self, show: &mut dyn FnMut(Mark)) {
        self.visit_marks(show);
    }
}

impl<T: Float> Weighted for Embedding<T> {}

impl<T: Float> Trainable<T> for Embedding<T> {
    fn show_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("embeddings", self.table());
    }

    fn change_weights(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        visitor.weight("embeddings", self.table_mut());
        Ok(())
    }

    fn own_weights(&mut self) -> Result<()> {
        Ok(())
    }

    fn show_marks(&self, show: &mut dyn FnMut(Mark)) {
        show(self.mark());
    }
}
