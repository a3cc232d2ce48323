//! A model within the model.

use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::Model;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Role, Which, misfit};
use crate::graph::shape::{Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tape::Record;
use crate::graph::tensor::Tensor;
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::seeds::DropoutGenerator;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// A model as a layer. The slots of its stateful layers are places among the outermost model's states.
#[derive(Debug, Clone)]
pub(crate) struct Nested<T: Float>(pub(crate) Box<Model<T>>);

impl<T: Float> Operation<T> for Nested<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        self.0.describe()
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        self.0.infer(inputs)
    }

    fn takes_mask(&self) -> bool {
        true
    }

    fn spreads_mask(&self) -> bool {
        self.0.parts.iter().filter_map(|part| part.op.as_ref()).any(|op| op.spreads_mask())
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        self.0.execute_nested(inputs, call)
    }

    fn backward(&self, back: Back<'_, T>, sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let Back { record, upstream, wanted } = back;
        self.0.go_back(&mut record.inner, upstream, wanted, sums)
    }

    fn step(&self, _step: Step<'_, T>) -> Result<()> {
        debug_assert!(false, "what is inside takes steps by itself");
        Err(misfit())
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        self.0.visit_generators(show);
    }

    fn trains_by_batch(&self) -> bool {
        self.0.parts.iter().filter_map(|part| part.op.as_ref()).any(|op| op.trains_by_batch())
    }

    fn has_normalized(&self) -> Option<bool> {
        self.0.has_normalized()
    }

    fn normalize_kernels(&mut self) -> Result<()> {
        self.0.normalize_own_kernels()
    }

    fn move_statistics(&mut self, record: &Record<T>) {
        self.0.move_by(&record.inner);
    }

    fn can_train(&self) -> Result<()> {
        self.0.can_train()
    }

    fn visit_weights<'a>(&'a self, which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.0.show(which, visitor);
    }

    fn visit_weights_mut(&mut self, which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.0.change(which, visitor)
    }

    fn unshare(&mut self, which: Which) -> Result<()> {
        self.0.own(which)
    }

    fn quantize(&mut self, precision: Precision) -> Result<()> {
        self.0.quantize_parts(precision)
    }

    fn role(&self) -> Role<'_, T> {
        Role::Model(&self.0)
    }

    fn model_mut(&mut self) -> Option<&mut Model<T>> {
        Some(&mut self.0)
    }

    fn move_slots(&mut self, by: usize) {
        self.0.parts.iter_mut().filter_map(|part| part.op.as_mut()).for_each(|op| op.move_slots(by));
    }
}
