//! A layer whose kernel training keeps small: Keras's `SpectralNormalization`.

use ndarray::ArrayD;

use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Op, Operation, OverTime, Which};
use crate::graph::shape::{Misfit, Shape};
use crate::graph::stream::{Gives, Rate, Step};
use crate::graph::tensor::Tensor;
use crate::graph::training::Differs;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// A layer with a kernel, which Keras divides by its largest singular value before each step of training. In inference,
/// and in what is recorded here, it is the layer as it stands in the file.
#[derive(Debug, Clone)]
pub(crate) struct SpectralNormalization<T: Float> {
    pub(crate) layer: Op<T>,
    /// Where the search for that value goes on: (1, columns of the kernel).
    pub(crate) vector_u: ArrayD<T>,
    pub(crate) power_iterations: usize,
}

/// The layers that are read inside it.
pub(crate) const NORMALIZED: [&str; 6] = ["Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D"];

impl<T: Float> Operation<T> for SpectralNormalization<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let config = Config::new("SpectralNormalization").with("layer", self.layer.describe()?);
        let config = config.with("power_iterations", self.power_iterations);
        Ok(config.with("columns", self.vector_u.len()))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        self.layer.infer(inputs)
    }

    fn takes_mask(&self) -> bool {
        self.layer.takes_mask()
    }

    fn reads_or_loses_mask(&self) -> bool {
        self.layer.reads_or_loses_mask()
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        self.layer.run(inputs, call)
    }

    fn backward(&self, back: Back<'_, T>, sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        self.layer.backward(back, sums)
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        self.layer.step(step)
    }

    fn differs_in_training(&self, _trainable: bool) -> Option<Differs> {
        let (what, expected) = ("SpectralNormalization", "taken off in a model that is trained");
        Some(Differs { what, expected, given: "one, whose kernel Keras normalizes in each update" })
    }

    fn can_train(&self) -> Result<()> {
        self.layer.can_train()
    }

    fn visit_weights<'a>(&'a self, which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.layer.visit_weights(which, visitor);
        if which == Which::All {
            visitor.weight("vector_u", &self.vector_u);
        }
    }

    fn visit_weights_mut(&mut self, which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.layer.visit_weights_mut(which, visitor)?;
        if which == Which::All {
            visitor.weight("vector_u", &mut self.vector_u);
        }
        Ok(())
    }

    fn unshare(&mut self, which: Which) -> Result<()> {
        self.layer.unshare(which)
    }

    fn steps_alone(&self) -> bool {
        self.layer.steps_alone()
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        self.layer.over_time(ranks)
    }

    fn pace(&mut self, each_step: bool) -> Result<Gives, &'static str> {
        self.layer.pace(each_step)
    }

    fn rate(&self, input: Rate) -> Result<Rate, &'static str> {
        self.layer.rate(input)
    }
}
