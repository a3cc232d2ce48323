//! A boxed layer is a layer.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

use super::Layer;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::memory::MemoryNeeds;
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::runner::layer::{LayerCore, LayerSpec};
use crate::runner::memory::{Call, CallBack, Held};
use crate::runner::pass::{BackwardPass, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::tape::Node;
use crate::seeds::DropoutGenerator;
use crate::state::StateLayout;
use crate::strided::{RowStep, Rows, RowsMut};
use crate::structure::StructureVisitor;
use crate::weights::{QuantizedVisitor, WeightVisitor, WeightVisitorMut};

impl<T: Float> Clone for Box<dyn Layer<T>> {
    fn clone(&self) -> Self {
        self.as_ref().boxed_clone()
    }
}

#[deny(clippy::missing_trait_methods)] // a method that isn't handed on would be the trait's own
impl<T: Float, L: Parameters<T> + ?Sized> Parameters<T> for Box<L> {
    fn layout(&self) -> &Arc<StateLayout> {
        (**self).layout()
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        (**self).visit_weights(visitor);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        (**self).visit_weights_mut(visitor)
    }

    fn show_inputs(&self, show: &mut dyn FnMut(&str, usize, bool)) {
        (**self).show_inputs(show);
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        (**self).visit_structure(visitor);
    }

    fn unshare(&mut self) -> Result<()> {
        (**self).unshare()
    }

    fn visit_trained<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        (**self).visit_trained(visitor);
    }

    fn visit_trained_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        (**self).visit_trained_mut(visitor)
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        (**self).visit_quantized(visitor);
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        (**self).describe()
    }

    fn visit_stored<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        (**self).visit_stored(visitor);
    }

    fn weights(&self) -> Vec<(String, ArrayViewD<'_, T>)> {
        (**self).weights()
    }

    fn weight(&self, name: &str) -> Result<ArrayViewD<'_, T>> {
        (**self).weight(name)
    }

    fn dequantized(&self, name: &str) -> Result<ArrayD<T>> {
        (**self).dequantized(name)
    }

    fn weight_bytes(&self) -> usize {
        (**self).weight_bytes()
    }

    fn set_weights(&mut self, new: &[(&str, ArrayViewD<'_, T>)]) -> Result<()> {
        (**self).set_weights(new)
    }

    fn count_params(&self) -> usize {
        (**self).count_params()
    }
}

#[deny(clippy::missing_trait_methods)] // a method that isn't handed on would be the trait's own
impl<T: Float, L: LayerCore<T> + ?Sized> LayerCore<T> for Box<L> {
    fn spec(&self) -> LayerSpec {
        let inner = (**self).spec();
        LayerSpec { depth: inner.depth.saturating_add(1), ..inner }
    }

    fn streams(&self) -> Result<()> {
        (**self).streams()
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        (**self).visit_generators(show);
    }

    fn fill_initial_state(&self, row: &mut [T]) {
        (**self).fill_initial_state(row);
    }

    fn outputs_from_state(&self, batch: usize, state: Rows<'_, T>, carry: RowsMut<'_, T>) {
        (**self).outputs_from_state(batch, state, carry);
    }

    fn check_ready(&self) -> Result<()> {
        (**self).check_ready()
    }

    fn memory_needs(&self, call: Call, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        (**self).memory_needs(call, held, needs);
    }

    fn memory_needs_backward(&self, call: CallBack, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        (**self).memory_needs_backward(call, held, needs);
    }

    fn process(&self, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        (**self).process(pass, scratch);
    }

    fn flush_outputs(&self, state: &[T], carry: &mut [T]) {
        (**self).flush_outputs(state, carry);
    }

    fn step_row(&self, step: &mut RowStep<'_, T>, carry: &mut [T], scratch: &mut Scratch<T>) {
        (**self).step_row(step, carry, scratch);
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
        (**self).step_into(batch, x, prev, next, carry, scratch);
    }

    fn step_shared(
        &self,
        batch: usize,
        x: &[T],
        prev: Rows<'_, T>,
        next: RowsMut<'_, T>,
        carry: RowsMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        (**self).step_shared(batch, x, prev, next, carry, scratch);
    }

    fn trains_as_in_keras(&self) -> Result<()> {
        (**self).trains_as_in_keras()
    }

    fn can_train(&self) -> Result<()> {
        (**self).can_train()
    }

    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        (**self).backward_into(node, pass, scratch)
    }
}

impl<T: Float, L: Layer<T> + ?Sized> Layer<T> for Box<L> {
    fn parts(&self) -> Vec<(&str, &dyn Layer<T>)> {
        (**self).parts()
    }

    fn boxed_clone(&self) -> Box<dyn Layer<T>> {
        (**self).boxed_clone()
    }

    fn quantize(&self, precision: Precision) -> Result<Box<dyn Layer<T>>> {
        (**self).quantize(precision)
    }
}
