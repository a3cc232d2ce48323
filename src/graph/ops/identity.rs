//! What hands on what it is given.

use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Role};
use crate::graph::per_step::Map;
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tensor::Tensor;

/// The same out as in, the mask with it: Keras's `Identity`.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// Not in Keras 2.
    pub(crate) keeps_mask: bool,
}

impl Identity {
    /// It has no options.
    pub fn new() -> Self {
        Identity { keeps_mask: true }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Identity::new()
    }
}

impl<T: Float> Operation<T> for Identity {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("Identity").with("keeps_mask", self.keeps_mask))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        Ok(vec![shape::only(inputs)?.clone()])
    }

    fn reads_or_loses_mask(&self) -> bool {
        !self.keeps_mask
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let value = inputs[0].value.clone();
        if self.keeps_mask { call.passing(value) } else { Ok(vec![Tensor::unmasked(value)]) }
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        Ok(vec![Some(back.of_output()?)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        step.output().copy_from(input)
    }

    fn steps_alone(&self) -> bool {
        true
    }

    fn per_step(&self, _features: usize) -> Option<Map<T>> {
        Some(Map::Same)
    }

    fn role(&self) -> Role<'_, T> {
        Role::Same { keeps_mask: self.keeps_mask }
    }
}
