//! A layer's work as an operation of Keras's, which hands on no mask.

use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Op, Operation, OverTime};
use crate::graph::per_step::Map;
use crate::graph::shape::{Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tape::Record;
use crate::graph::tensor::Tensor;
use crate::graph::training::Differs;
use crate::seeds::DropoutGenerator;

/// What is inside, without a mask.
#[derive(Debug, Clone)]
pub(crate) struct Unmasked<T: Float>(pub(crate) Op<T>);

impl<T: Float> Operation<T> for Unmasked<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("Unmasked").with("layer", self.0.describe()?))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        self.0.infer(inputs)
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let outputs = self.0.run(inputs, Call { mask: None, passes: None, ..call })?;
        Ok(outputs.into_iter().map(|output| Tensor::unmasked(output.value)).collect())
    }

    fn backward(&self, back: Back<'_, T>, sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        self.0.backward(back, sums)
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        self.0.step(step)
    }

    fn differs_in_training(&self, trainable: bool) -> Option<Differs> {
        self.0.differs_in_training(trainable)
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        self.0.visit_generators(show);
    }

    fn trains_by_batch(&self) -> bool {
        self.0.trains_by_batch()
    }

    fn has_normalized(&self) -> Option<bool> {
        self.0.has_normalized()
    }

    fn normalize_kernels(&mut self) -> Result<()> {
        self.0.normalize_kernels()
    }

    fn move_statistics(&mut self, record: &Record<T>) {
        self.0.move_statistics(record);
    }

    fn can_train(&self) -> Result<()> {
        self.0.can_train()
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn steps_alone(&self) -> bool {
        self.0.steps_alone()
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        self.0.over_time(ranks)
    }

    fn per_step(&self, features: usize) -> Option<Map<T>> {
        self.0.per_step(features)
    }
}
