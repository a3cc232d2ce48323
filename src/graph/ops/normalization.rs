//! Layer, root mean square and batch normalization, and the backward pass through them.

mod batch;
mod described;
mod layers;
mod rows;

use ndarray::{ArrayD, ArrayView, IxDyn};

pub use self::layers::{BatchNormalization, LayerNormalization, RMSNormalization};
use self::rows::at;
use super::shapes::inverse;
use crate::buffers::take;
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::gradients;
use crate::graph::operation::{Back, Call, Flow, Operation, Which, misfit, mismatch};
use crate::graph::per_step::Map;
use crate::graph::shape::{self, Misfit, Shape, axis_at, fit, is_beyond_time};
use crate::graph::stream::{Buffer, Step, Work, permuted, permuted_mut};
use crate::graph::tape::Record;
use crate::graph::tensor::{Tensor, Value, in_row_order};
use crate::graph::training::Differs;
use crate::memory;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// `gamma (x - mean) / sqrt(variance + epsilon) + beta`.
#[derive(Debug, Clone)]
pub(crate) struct Normalization<T> {
    /// Along which lies what is normalized together, or what has one weight each.
    pub(crate) axes: Vec<i64>,
    /// The sizes of these axes, which are the weights' shape.
    pub(crate) shape: Vec<usize>,
    pub(crate) gamma: Option<ArrayD<T>>,
    pub(crate) beta: Option<ArrayD<T>>,
    pub(crate) statistics: Statistics<T>,
}

/// Keras's.
const EPSILON: f64 = 1e-3;

/// Keras's, of BatchNormalization.
pub(crate) const MOMENTUM: f64 = 0.99;

fn check_features<T>(features: usize) -> Result<()> {
    match features {
        0 => Err(Error::ZeroSize { what: "features" }),
        _ => memory::check::<T>(features.checked_mul(6), &[features]),
    }
}

/// The mean and the variance.
#[derive(Debug, Clone)]
pub(crate) enum Statistics<T> {
    /// LayerNormalization: those of the elements along the axes.
    Own { epsilon: f64 },
    /// RMSNormalization: their mean square, with a mean of zero.
    Square { epsilon: f64 },
    /// BatchNormalization: those that training has left.
    Moving(Box<Moving<T>>),
}

#[derive(Debug, Clone)]
pub(crate) struct Moving<T> {
    pub(crate) mean: ArrayD<T>,
    pub(crate) variance: ArrayD<T>,
    pub(crate) epsilon: T,
    /// What they keep of themselves in an update; not known of layers from where it isn't said.
    pub(crate) momentum: Option<f64>,
    /// With the weights, as `x scale + shift`.
    scale: Vec<T>,
    shift: Vec<T>,
}

/// Where the gradients of a normalization's weights add up, for those that it has and that are trained.
pub(in crate::graph) struct NormalizationSums<'a, T> {
    pub(in crate::graph) gamma: Option<&'a mut [T]>,
    pub(in crate::graph) beta: Option<&'a mut [T]>,
}

impl<'a, T: Float> NormalizationSums<'a, T> {
    /// The gradients of the weights that there are, in order; none if they aren't trained.
    pub(in crate::graph) fn new(normalization: &Normalization<T>, mut sums: impl Iterator<Item = &'a mut [T]>) -> Self {
        let mut next = |weight: &Option<ArrayD<T>>| if weight.is_some() { sums.next() } else { None };
        NormalizationSums { gamma: next(&normalization.gamma), beta: next(&normalization.beta) }
    }
}

impl<T: Float> Operation<T> for Normalization<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(self.description())
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        // Keras spreads the scale over the last axes, whatever the others are.
        let last = |(at, &axis): (usize, &i64)| {
            axis_at(axis, x.len()).is_some_and(|axis| axis + self.axes.len() == at + x.len())
        };
        if self.weight_names()[0] == "scale" && !self.axes.iter().enumerate().all(last) {
            return shape::misfit(format!("an array whose last axes are {:?}", self.axes), inputs);
        }
        for (&axis, &width) in self.axes.iter().zip(&self.shape) {
            let fits = axis_at(axis, x.len()).is_some_and(|at| fit(x[at], Some(width)));
            if !fits {
                return shape::misfit(format!("{width} elements along axis {axis}"), inputs);
            }
        }
        Ok(vec![x.clone()])
    }

    fn takes_mask(&self) -> bool {
        self.is_batch()
    }

    fn reads_or_loses_mask(&self) -> bool {
        self.loses_mask()
    }

    fn run(&self, inputs: &[&Tensor<T>], mut call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let (x, rank) = (&inputs[0].value, inputs[0].shape().len());
        if let Some(mask) = call.mask.as_ref().filter(|_| self.is_batch())
            && mask.ndim() + 1 != rank
        {
            return Err(mismatch(format!("a mask of {} dimensions", rank - 1), mask.shape()));
        }
        let by_batch = self.is_batch() && call.training.as_ref().is_some_and(|training| training.trainable);
        let x = in_row_order(&x.floats());
        let normalized = if by_batch {
            let mut own = Vec::new();
            let kept = match call.record.take() {
                Some(record) => {
                    // The one that is read, which a call may name.
                    record.masks = vec![call.mask.clone()];
                    &mut record.kept
                }
                None => &mut own,
            };
            self.apply_by_batch(x, call.mask.as_ref(), kept)?
        } else {
            self.apply(x)
        };
        if self.loses_mask() {
            return Ok(vec![Tensor::unmasked(Value::Float(normalized.into_shared()))]);
        }
        call.passing(Value::Float(normalized.into_shared()))
    }

    fn backward(&self, mut back: Back<'_, T>, mut sums: gradients::GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x) = (back.of_output()?, back.input()?);
        let sums = sums.iter_mut().filter_map(|sum| sum.as_slice_mut());
        if self.is_batch() && !back.record.kept.is_empty() {
            return Ok(vec![Some(self.backward_by_batch(&back, d, NormalizationSums::new(self, sums))?)]);
        }
        Ok(vec![Some(self.apply_backward(in_row_order(&x.floats()), d, NormalizationSums::new(self, sums)))])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        let rank = input.shape().len();
        let width: usize = self.shape.iter().product::<usize>().max(1);
        let is_normalized = |axis: usize| self.axes.iter().any(|&own| axis_at(own, rank) == Some(axis));
        let count = (0..rank).filter(|&axis| is_normalized(axis)).count();
        if (rank - count..rank).all(is_normalized) {
            step.copied()?.chunks_exact_mut(width).for_each(|row| self.row(row));
            return Ok(());
        }
        // The axes that are normalized, last.
        let order =
            || (0..rank).filter(|&axis| !is_normalized(axis)).chain((0..rank).filter(|&axis| is_normalized(axis)));
        let Work { floats, more, .. } = &mut *step.work;
        let x = ArrayView::from_shape(IxDyn(input.shape()), input.floats(floats)?).map_err(|_| misfit())?;
        let rows = take(more, x.len());
        rows.iter_mut().zip(permuted(x, order())).for_each(|(to, &from)| *to = from);
        rows.chunks_exact_mut(width).for_each(|row| self.row(row));
        let Buffer::Float(output) = &mut step.outputs[0] else { return Err(misfit()) };
        let mut back = permuted_mut(output.view_mut(), order());
        back.iter_mut().zip(&step.work.more).for_each(|(to, &from)| *to = from);
        Ok(())
    }

    fn differs_in_training(&self, trainable: bool) -> Option<Differs> {
        let Statistics::Moving(moving) = &self.statistics else { return None };
        if self.gamma.is_none() && self.beta.is_none() {
            // Whether Keras's is trainable isn't known of a layer without weights.
            let what = "scale and center";
            return Some(Differs { what, expected: "one of them true in a model that is trained", given: "false" });
        }
        let unknown = trainable && moving.momentum.is_none();
        unknown.then_some(Differs { what: "momentum", expected: "known", given: "unknown: save the model anew" })
    }

    fn trains_by_batch(&self) -> bool {
        self.is_batch()
    }

    fn move_statistics(&mut self, record: &Record<T>) {
        self.move_by(record);
    }

    fn visit_weights<'a>(&'a self, which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.show_weights(visitor);
        if let (Statistics::Moving(moving), Which::All) = (&self.statistics, which) {
            visitor.weight("moving_mean", &moving.mean);
            visitor.weight("moving_variance", &moving.variance);
        }
    }

    fn visit_weights_mut(&mut self, which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.change_weights(visitor);
        if let (Statistics::Moving(moving), Which::All) = (&mut self.statistics, which) {
            visitor.weight("moving_mean", &mut moving.mean);
            visitor.weight("moving_variance", &mut moving.variance);
            self.fold();
        }
        Ok(())
    }

    fn steps_alone(&self) -> bool {
        self.axes.iter().all(|&axis| is_beyond_time(axis))
    }

    /// The last of three axes; 1 is the last of two, where the time axis is gone.
    fn per_step(&self, _features: usize) -> Option<Map<T>> {
        matches!(self.axes[..], [-1 | 2]).then(|| Map::Normalize(Box::new(self.clone())))
    }
}

impl<T: Float> Statistics<T> {
    pub(crate) fn moving(mean: ArrayD<T>, variance: ArrayD<T>, epsilon: T, momentum: Option<f64>) -> Self {
        let (scale, shift) = (Vec::new(), Vec::new());
        Statistics::Moving(Box::new(Moving { mean, variance, epsilon, momentum, scale, shift }))
    }
}

impl<T: Float> Moving<T> {
    fn inverse_deviation(&self, variance: T) -> T {
        T::one() / (variance + self.epsilon).sqrt()
    }
}

impl<T: Float> Normalization<T> {
    fn over_features(features: usize, statistics: Statistics<T>) -> Result<Self> {
        check_features::<T>(features)?;
        let (gamma, beta) = (Some(ArrayD::ones(vec![features])), Some(ArrayD::zeros(vec![features])));
        let mut normalization = Normalization { axes: vec![-1], shape: vec![features], gamma, beta, statistics };
        normalization.fold();
        Ok(normalization)
    }

    /// Makes the scale and the shift of the weights and moving statistics: to be called when these are new.
    pub(crate) fn fold(&mut self) {
        let Statistics::Moving(moving) = &mut self.statistics else { return };
        // Into the memory that is there.
        let (mut scale, mut shift) = (std::mem::take(&mut moving.scale), std::mem::take(&mut moving.shift));
        let scaled = |(i, &variance)| moving.inverse_deviation(variance) * at(&self.gamma, i).unwrap_or(T::one());
        let variances = moving.variance.iter().enumerate();
        scale.clear();
        scale.extend(variances.map(scaled));
        let means = moving.mean.iter().zip(&scale).enumerate();
        let shifted = |(i, (&mean, &scale))| at(&self.beta, i).unwrap_or(T::zero()) - mean * scale;
        shift.clear();
        shift.extend(means.map(shifted));
        (moving.scale, moving.shift) = (scale, shift);
    }

    /// What is learned; not the moving statistics.
    pub(in crate::graph) fn show_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        for (name, weight) in self.weight_names().into_iter().zip([&self.gamma, &self.beta]) {
            if let Some(weight) = weight {
                visitor.weight(name, weight);
            }
        }
    }

    pub(in crate::graph) fn change_weights(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        for (name, weight) in self.weight_names().into_iter().zip([&mut self.gamma, &mut self.beta]) {
            if let Some(weight) = weight {
                visitor.weight(name, weight);
            }
        }
        self.fold();
    }

    /// What Keras calls the factor and the summand.
    fn weight_names(&self) -> [&'static str; 2] {
        [if self.loses_mask() { "scale" } else { "gamma" }, "beta"]
    }

    /// Whether masks end here, as in Keras's RMSNormalization.
    fn loses_mask(&self) -> bool {
        matches!(self.statistics, Statistics::Square { .. })
    }

    /// Whether it is a BatchNormalization.
    pub(in crate::graph) fn is_batch(&self) -> bool {
        matches!(self.statistics, Statistics::Moving(_))
    }

    /// Normalizes an array in row order.
    pub(crate) fn apply(&self, x: ArrayD<T>) -> ArrayD<T> {
        let (order, width) = self.order(x.shape());
        let mut x = moved(x, &order);
        if let Some(values) = x.as_slice_mut() {
            values.chunks_exact_mut(width.max(1)).for_each(|row| self.row(row));
        }
        moved(x, &inverse(&order))
    }

    /// The backward pass through [`apply`](Normalization::apply): from the gradient of the result to that of `x`.
    fn apply_backward(&self, x: ArrayD<T>, d: ArrayD<T>, mut sums: NormalizationSums<'_, T>) -> ArrayD<T> {
        let (order, width) = self.order(x.shape());
        let (x, mut d) = (moved(x, &order), moved(d, &order));
        if let (Some(x), Some(d)) = (x.as_slice(), d.as_slice_mut()) {
            let rows = x.chunks_exact(width.max(1)).zip(d.chunks_exact_mut(width.max(1)));
            rows.for_each(|(x, d)| self.row_backward(x, d, &mut sums));
        }
        moved(d, &inverse(&order))
    }

    /// The order of axes in which those that are normalized stand last, so that what belongs together lies together;
    /// and how many elements that are.
    fn order(&self, shape: &[usize]) -> (Vec<usize>, usize) {
        let rank = shape.len();
        let mut axes: Vec<usize> = self.axes.iter().filter_map(|&axis| axis_at(axis, rank)).collect();
        axes.sort_unstable();
        axes.dedup();
        let width = axes.iter().map(|&axis| shape[axis]).product();
        let others = (0..rank).filter(|axis| !axes.contains(axis));
        (others.chain(axes.iter().copied()).collect(), width)
    }
}

/// An array in row order with its axes in another order.
fn moved<T: Float>(x: ArrayD<T>, order: &[usize]) -> ArrayD<T> {
    let x = x.permuted_axes(order);
    if x.is_standard_layout() { x } else { x.as_standard_layout().into_owned() }
}
