//! A layer applied to each time step.

use std::fmt;
use std::sync::Arc;

use super::dense::Dense;
use super::{Layer, summary};
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::memory::MemoryNeeds;
use crate::parameters::{Parameters, Sealed, own_parameters};
use crate::precision::Precision;
use crate::runner::layer::{LayerCore, LayerSpec};
use crate::runner::memory::{Call, CallBack, Held};
use crate::runner::pass::{BackwardPass, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::tape::Node;
use crate::seeds::DropoutGenerator;
use crate::state::StateLayout;
use crate::strided::{Rows, RowsMut};
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// A [`Dense`] layer applied to each time step: Keras's `TimeDistributed(Dense(..))`.
///
/// A `Dense` does that by itself, with the same numbers; the wrapper is there for models that are written with it.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Layer, TimeDistributed};
/// let layer = TimeDistributed::new(Dense::<f32>::new(4, 2));
/// assert_eq!(layer.forward(&Array3::ones((1, 5, 4)))?.sequence()?.dim(), (1, 5, 2));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TimeDistributed<T: Float = f32> {
    layer: Dense<T>,
}

impl<T: Float> TimeDistributed<T> {
    /// Wraps the layer.
    pub fn new(layer: Dense<T>) -> Self {
        TimeDistributed { layer }
    }

    /// The layer inside.
    pub fn layer(&self) -> &Dense<T> {
        &self.layer
    }
}

impl<T: Float> Sealed for TimeDistributed<T> {}

impl<T: Float> Parameters<T> for TimeDistributed<T> {
    fn layout(&self) -> &Arc<StateLayout> {
        self.layer.layout()
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.layer.visit_weights(visitor);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.layer.visit_weights_mut(visitor)
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        Ok(Config::new("TimeDistributed").with("layer", self.layer.describe()?))
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.layer(self.class_name(), None);
        visitor.nested("layer", |visitor| self.layer.visit_structure(visitor));
    }

    fn unshare(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<T: Float> LayerCore<T> for TimeDistributed<T> {
    fn spec(&self) -> LayerSpec {
        LayerSpec { class_name: "TimeDistributed", ..self.layer.spec() }
    }

    fn streams(&self) -> Result<()> {
        Ok(())
    }

    fn visit_generators(&self, _show: &mut dyn FnMut(DropoutGenerator)) {}

    fn fill_initial_state(&self, _row: &mut [T]) {}

    fn outputs_from_state(&self, batch: usize, state: Rows<'_, T>, carry: RowsMut<'_, T>) {
        self.layer.outputs_from_state(batch, state, carry);
    }

    fn memory_needs(&self, call: Call, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        self.layer.memory_needs(call, held, needs);
    }

    fn memory_needs_backward(&self, call: CallBack, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        self.layer.memory_needs_backward(call, held, needs);
    }

    fn process(&self, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        self.layer.process(pass, scratch);
    }

    fn step_into(
        &self,
        batch: usize,
        x: Rows<'_, T>,
        prev: Rows<'_, T>,
        next: RowsMut<'_, T>,
        carry: RowsMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        self.layer.step_into(batch, x, prev, next, carry, scratch);
    }

    fn can_train(&self) -> Result<()> {
        self.layer.can_train()
    }

    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        self.layer.backward_into(node, pass, scratch)
    }
}

own_parameters!([T: Float] TimeDistributed<T>, T);

impl<T: Float> Layer<T> for TimeDistributed<T> {
    fn boxed_clone(&self) -> Box<dyn Layer<T>> {
        Box::new(self.clone())
    }

    fn parts(&self) -> Vec<(&str, &dyn Layer<T>)> {
        Vec::new()
    }

    /// A QuantizedDense, which does the same by itself.
    fn quantize(&self, precision: Precision) -> Result<Box<dyn Layer<T>>> {
        Layer::quantize(&self.layer, precision)
    }
}

impl<T: Float> fmt::Display for TimeDistributed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        summary::table(f, self)
    }
}
