//! A layer whose kernel training keeps small: Keras's `SpectralNormalization`.

use ndarray::{ArrayD, ArrayViewD, ArrayViewMutD};

use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Op, Operation, OverTime, Which};
use crate::graph::shape::{Misfit, Shape};
use crate::graph::stream::{Gives, Rate, Step};
use crate::graph::tensor::Tensor;
use crate::graph::training::Differs;
use crate::weights::{WeightPath, WeightVisitor, WeightVisitorMut};

/// A layer with a kernel, which Keras divides by its largest singular value at the beginning of each call in training:
/// it is the weight that is divided, so that gradients are those of the layer as it stands then. In inference it is the
/// layer as it stands.
#[derive(Debug, Clone)]
pub(crate) struct SpectralNormalization<T: Float> {
    pub(crate) layer: Op<T>,
    /// Where the search for that value goes on: (1, columns of the kernel).
    pub(crate) vector_u: ArrayD<T>,
    pub(crate) power_iterations: usize,
    /// Whether the kernel has been divided since weights were changed last.
    normalized: bool,
}

impl<T: Float> SpectralNormalization<T> {
    pub(crate) fn new(layer: Op<T>, vector_u: ArrayD<T>, power_iterations: usize) -> Self {
        SpectralNormalization { layer, vector_u, power_iterations, normalized: false }
    }

    /// Whether there is a kernel, of as many columns as the vector has.
    pub(crate) fn fits(&self) -> bool {
        let mut fits = false;
        let mut find = |path: &WeightPath<'_>, kernel: ArrayViewD<'_, T>| {
            fits |= path.matches("kernel") && kernel.shape().last() == Some(&self.vector_u.len());
        };
        self.layer.visit_weights(Which::All, &mut WeightVisitor::new(&mut find));
        fits
    }
}

/// Divides a kernel by its largest singular value, as far as `times` steps of the power iteration from `u` find it. A
/// kernel of zeros stays.
fn normalize<T: Float>(kernel: &mut ArrayViewMutD<'_, T>, u: &mut ArrayD<T>, times: usize) {
    if kernel.iter().all(|weight| *weight == T::zero()) {
        return;
    }
    let columns = u.len();
    let rows = kernel.len() / columns;
    let mut v = vec![T::zero(); rows];
    let mut towards = vec![T::zero(); columns];
    towards.iter_mut().zip(&*u).for_each(|(to, u)| *to = *u);
    for _ in 0..times {
        v.fill(T::zero());
        for (place, weight) in kernel.iter().enumerate() {
            v[place / columns] += *weight * towards[place % columns];
        }
        to_length_one(&mut v);
        towards.fill(T::zero());
        for (place, weight) in kernel.iter().enumerate() {
            towards[place % columns] += v[place / columns] * *weight;
        }
        to_length_one(&mut towards);
    }
    let mut sigma = T::zero();
    for (place, weight) in kernel.iter().enumerate() {
        sigma += v[place / columns] * *weight * towards[place % columns];
    }
    u.iter_mut().zip(towards).for_each(|(u, new)| *u = new);
    kernel.mapv_inplace(|weight| weight / sigma);
}

/// Keras's `normalize`: nothing is divided by less than its epsilon.
fn to_length_one<T: Float>(vector: &mut [T]) {
    let squares = vector.iter().fold(T::zero(), |sum, x| sum + *x * *x);
    let factor = (T::one() / squares.sqrt()).min(T::from_f64(1e7));
    vector.iter_mut().for_each(|x| *x *= factor);
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

    fn differs_in_training(&self, trainable: bool) -> Option<Differs> {
        self.layer.differs_in_training(trainable)
    }

    fn has_normalized(&self) -> Option<bool> {
        Some(self.normalized)
    }

    fn normalize_kernels(&mut self) -> Result<()> {
        let SpectralNormalization { layer, vector_u, power_iterations, normalized } = self;
        let mut search = |path: &WeightPath<'_>, mut kernel: ArrayViewMutD<'_, T>| {
            if path.matches("kernel") {
                normalize(&mut kernel, vector_u, *power_iterations);
            }
        };
        layer.visit_weights_mut(Which::All, &mut WeightVisitorMut::new(&mut search))?;
        *normalized = true;
        Ok(())
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
        self.normalized = false;
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
