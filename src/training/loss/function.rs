//! A loss with its options, and how it is computed.

use std::borrow::Cow;

use ndarray::{Array, ArrayD, ArrayRef, Dimension};

use super::ctc::{Lattice, steps_needed};
use super::plan::Plan;
use super::weighting::{Factors, Weighting, check_weights};
use super::{Loss, Target, probabilistic, regression};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::rows::resize;
use crate::memory;

/// From the values of rows and steps to one number: Keras's reductions. (Its `None` is [`LossFunction::values`].)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Reduction {
    /// The sum divided by the number of values; with a mask, of those that it lets through.
    #[default]
    SumOverBatchSize,
    /// The sum.
    Sum,
    /// The same as [`SumOverBatchSize`](Reduction::SumOverBatchSize).
    Mean,
    /// The sum divided by that of the sample weights.
    MeanWithSampleWeight,
}

/// A [`Loss`] with its options.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "setters return the loss"]
pub struct LossFunction {
    pub(in crate::training) loss: Loss,
    reduction: Reduction,
    label_smoothing: f64,
    ignore_class: Option<i64>,
}

impl From<Loss> for LossFunction {
    fn from(loss: Loss) -> Self {
        LossFunction { loss, reduction: Reduction::default(), label_smoothing: 0.0, ignore_class: None }
    }
}

impl LossFunction {
    /// With another way from the values of rows and steps to one number.
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// Moves targets towards the even distribution by this share, in 0..=1: for
    /// [`BinaryCrossentropy`](Loss::BinaryCrossentropy) to one half, for
    /// [`CategoricalCrossentropy`](Loss::CategoricalCrossentropy) to one of the number of classes.
    pub fn label_smoothing(mut self, share: f64) -> Self {
        self.label_smoothing = share;
        self
    }

    /// Leaves out rows and steps whose target is this class, as if they were masked: of
    /// [`SparseCategoricalCrossentropy`](Loss::SparseCategoricalCrossentropy).
    pub fn ignore_class(mut self, class: i64) -> Self {
        self.ignore_class = Some(class);
        self
    }

    /// Whether its targets are classes instead of floats.
    pub(in crate::training) fn reads_classes(&self) -> bool {
        self.loss.reads_classes()
    }

    /// Checks the options: what each call does first.
    ///
    /// # Errors
    /// [`Error::TrainingOption`] for a number out of its range, and for an option that the loss doesn't have.
    pub fn validate(&self) -> Result<()> {
        let refuse = |option: &str, expected: &str, given: f64| {
            let given = crate::error::words::number(given);
            Err(Error::TrainingOption { option: option.into(), expected: expected.into(), given })
        };
        if let Loss::Huber { delta } = self.loss
            && !(delta > 0.0 && delta.is_finite())
        {
            return refuse("delta", "finite and above 0", delta);
        }
        let smooths = matches!(self.loss, Loss::BinaryCrossentropy { .. } | Loss::CategoricalCrossentropy { .. });
        match (self.label_smoothing, self.ignore_class) {
            (share, _) if !(0.0..=1.0).contains(&share) => refuse("label_smoothing", "in 0..=1", share),
            (share, _) if share != 0.0 && !smooths => {
                refuse("label_smoothing", "0 but for binary and categorical cross-entropy", share)
            }
            (_, Some(class)) if !matches!(self.loss, Loss::SparseCategoricalCrossentropy { .. }) => {
                refuse("ignore_class", "left out but for sparse categorical cross-entropy", class as f64)
            }
            _ => Ok(()),
        }
    }

    /// The loss and its gradient with respect to the prediction.
    ///
    /// # Errors
    /// Those of [`Loss::with_gradient`] and [`validate`](LossFunction::validate), [`Error::OutputShape`] for a mask or
    /// sample weights that don't fit.
    pub fn with_gradient<'t, T: Float, D: Dimension>(
        &self,
        prediction: &ArrayRef<T, D>,
        target: impl Into<Target<'t, T>>,
        weighting: Weighting<'_, T>,
    ) -> Result<(T, Array<T, D>)> {
        let target = target.into();
        Plan::new(self, prediction.shape(), target.shape())?;
        memory::check::<T>(memory::product(prediction.shape()), prediction.shape())?;
        let mut gradient = Array::zeros(prediction.raw_dim());
        let loss = self.gradient_into(prediction, target, weighting, &mut gradient)?;
        Ok((loss, gradient))
    }

    /// [`with_gradient`](LossFunction::with_gradient) into the caller's array.
    ///
    /// # Errors
    /// Those of `with_gradient`; [`Error::OutputShape`] if the gradient's shape isn't the prediction's. The gradient is
    /// as before then.
    pub fn gradient_into<'t, T: Float, D: Dimension>(
        &self,
        prediction: &ArrayRef<T, D>,
        target: impl Into<Target<'t, T>>,
        weighting: Weighting<'_, T>,
        gradient: &mut ArrayRef<T, D>,
    ) -> Result<T> {
        let (target, mut work) = (target.into(), Work::default());
        let plan = Plan::new(self, prediction.shape(), target.shape())?;
        if gradient.shape() != prediction.shape() {
            let (expected, given) = (prediction.shape().to_vec(), gradient.shape().to_vec());
            return Err(Error::OutputShape { what: "gradient", expected, given });
        }
        let targets = self.prepare(&plan, &target, &weighting, &mut work)?;
        gradient.assign(prediction);
        if let Some(block) = gradient.as_slice_mut() {
            return Ok(self.compute(&plan, &targets, block, &mut work, |_, _| {}));
        }
        let mut own: Vec<T> = prediction.iter().copied().collect();
        let loss = self.compute(&plan, &targets, &mut own, &mut work, |_, _| {});
        gradient.iter_mut().zip(own).for_each(|(to, from)| *to = from);
        Ok(loss)
    }

    /// The loss, with its gradient in an array that takes the prediction's shape; allocates nothing that `work` and
    /// `gradient` have had before.
    pub(in crate::training) fn gradient_in<T: Float>(
        &self,
        prediction: &ArrayD<T>,
        target: &Target<'_, T>,
        weighting: &Weighting<'_, T>,
        gradient: &mut ArrayD<T>,
        work: &mut Work<T>,
    ) -> Result<T> {
        let plan = Plan::new(self, prediction.shape(), target.shape())?;
        let targets = self.prepare(&plan, target, weighting, work)?;
        resize(gradient, prediction.shape(), T::zero());
        gradient.assign(prediction);
        let block = gradient.as_slice_mut().ok_or(Error::OutputOrder { what: "gradient" })?;
        Ok(self.compute(&plan, &targets, block, work, |_, _| {}))
    }

    /// The loss of each row or step, weighted: Keras's `reduction=None`. Its shape is the prediction's without the last
    /// axis; of CTC it is (batch).
    ///
    /// # Errors
    /// Those of [`with_gradient`](LossFunction::with_gradient).
    pub fn values<'t, T: Float, D: Dimension>(
        &self,
        prediction: &ArrayRef<T, D>,
        target: impl Into<Target<'t, T>>,
        weighting: Weighting<'_, T>,
    ) -> Result<ArrayD<T>> {
        let (target, mut work) = (target.into(), Work::default());
        let plan = Plan::new(self, prediction.shape(), target.shape())?;
        memory::check::<T>(memory::product(prediction.shape()), prediction.shape())?;
        let own = self.reduction(Reduction::Sum);
        let targets = own.prepare(&plan, &target, &weighting, &mut work)?;
        let mut block: Vec<T> = prediction.iter().copied().collect();
        let mut values = vec![T::zero(); plan.values];
        own.compute(&plan, &targets, &mut block, &mut work, |at, value| values[at] = value);
        for (at, value) in values.iter_mut().enumerate() {
            *value = work.factors.share(at).map_or(T::zero(), |factor| *value * factor);
        }
        let shape = plan.values_shape().to_vec();
        ArrayD::from_shape_vec(&shape[..], values).map_err(|_| Error::TensorTooLarge { shape })
    }

    /// Checks all that can be wrong, and finds out what each value counts.
    pub(super) fn prepare<'t, T: Float>(
        &self,
        plan: &Plan<'_>,
        target: &Target<'t, T>,
        weighting: &Weighting<'_, T>,
        work: &mut Work<T>,
    ) -> Result<Targets<'t, T>> {
        self.validate()?;
        // Arrays without elements may still say that they have many rows, and broadcast ones take no memory.
        memory::check::<Option<T>>(Some(plan.values), plan.values_shape())?;
        memory::check::<i64>(memory::product(target.shape()), target.shape())?;
        work.lengths.clear();
        let mut mask = weighting.mask.as_ref();
        if plan.reads_mask
            && let Some(mask) = mask.take()
        {
            lengths(mask, plan, &mut work.lengths)?;
        }
        let (shape, parts) = (plan.values_shape(), [mask, weighting.sample_weight.as_ref()]);
        check_weights(shape, parts)?;
        if !self.loss.reads_classes() {
            work.factors.weigh(shape, parts, None, self.reduction);
            return Ok(Targets::Floats(target.floats()));
        }
        let classes = target.classes();
        match self.ignore_class {
            Some(ignored) => work.factors.weigh(shape, parts, Some(&|at| classes[at] == ignored), self.reduction),
            None => work.factors.weigh(shape, parts, None, self.reduction),
        }
        if plan.reads_mask {
            check_labels(plan, &classes, &work.lengths)?;
        } else {
            let there = |at: &usize| work.factors.share(*at).is_some();
            let known = |class: i64| usize::try_from(class).is_ok_and(|class| class < plan.width);
            if let Some(at) = (0..plan.values).filter(there).find(|&at| !known(classes[at])) {
                return Err(Error::TargetClass { class: classes[at], classes: plan.width });
            }
        }
        Ok(Targets::Classes(classes))
    }

    /// The loss; predictions become their gradient. `each` hears each value's place and loss.
    pub(super) fn compute<T: Float>(
        &self,
        plan: &Plan<'_>,
        targets: &Targets<'_, T>,
        prediction: &mut [T],
        work: &mut Work<T>,
        mut each: impl FnMut(usize, T),
    ) -> T {
        if plan.block == 0 {
            return T::zero();
        }
        // Of many values: a sum of their type would lose digits.
        let mut sum = 0.0;
        for at in 0..plan.values {
            let block = &mut prediction[at * plan.block..][..plan.block];
            let Some(share) = work.factors.share(at).filter(|_| plan.block > 0) else {
                block.fill(T::zero());
                continue;
            };
            let loss = match targets {
                Targets::Floats(targets) => self.of_floats(block, &targets[at * plan.block..][..plan.block]),
                Targets::Classes(classes) if plan.reads_mask => {
                    let most = classes.len() / plan.values;
                    let labels = classes[at * most..][..most].split(|&label| label == 0).next().unwrap_or(&[]);
                    let steps = work.lengths.get(at).copied().unwrap_or(plan.steps());
                    work.lattice.loss(block, plan.width, steps, labels)
                }
                Targets::Classes(classes) => match self.loss {
                    Loss::SparseCategoricalCrossentropy { from_logits: false } => {
                        probabilistic::sparse(block, classes[at] as usize)
                    }
                    _ => probabilistic::sparse_from_logits(block, classes[at] as usize),
                },
            };
            each(at, loss);
            sum += loss.into_f64() * share.into_f64();
            block.iter_mut().for_each(|d| *d *= share);
        }
        T::from_f64(sum)
    }

    fn of_floats<T: Float>(&self, row: &mut [T], target: &[T]) -> T {
        let kept = T::from_f64(1.0 - self.label_smoothing);
        let smoothed = |even: f64| {
            let added = T::from_f64(self.label_smoothing * even);
            move |j: usize| target[j] * kept + added
        };
        let one_of_many = smoothed(1.0 / row.len() as f64);
        match self.loss {
            Loss::MeanSquaredError => regression::mean_squared_error(row, target),
            Loss::MeanAbsoluteError => regression::mean_absolute_error(row, target),
            Loss::Huber { delta } => regression::huber(row, target, delta),
            Loss::LogCosh => regression::log_cosh(row, target),
            Loss::CosineSimilarity => regression::cosine_similarity(row, target),
            Loss::BinaryCrossentropy { from_logits: true } => probabilistic::binary_from_logits(row, smoothed(0.5)),
            Loss::BinaryCrossentropy { .. } => probabilistic::binary(row, smoothed(0.5)),
            Loss::CategoricalCrossentropy { from_logits: true } => {
                probabilistic::categorical_from_logits(row, one_of_many)
            }
            Loss::CategoricalCrossentropy { .. } => probabilistic::categorical(row, one_of_many),
            Loss::KlDivergence => probabilistic::kl_divergence(row, target),
            Loss::SparseCategoricalCrossentropy { .. } | Loss::Ctc => {
                debug_assert!(false, "their targets are classes");
                T::nan()
            }
        }
    }
}

/// What a loss is computed in, reused from call to call.
#[derive(Debug)]
pub(in crate::training) struct Work<T> {
    pub(super) factors: Factors<T>,
    lattice: Lattice,
    /// The steps of each row that are read; without any all are.
    lengths: Vec<usize>,
}

impl<T: Float> Default for Work<T> {
    fn default() -> Self {
        Work { factors: Factors::default(), lattice: Lattice::default(), lengths: Vec::new() }
    }
}

/// A target as a loss reads it.
pub(super) enum Targets<'t, T: Float> {
    /// A number for each of the prediction.
    Floats(Cow<'t, [T]>),
    /// A class for each value; of CTC, labels for each row.
    Classes(Cow<'t, [i64]>),
}

/// How many of each row's first steps a mask lets through.
fn lengths<T: Float>(mask: &Target<'_, T>, plan: &Plan<'_>, lengths: &mut Vec<usize>) -> Result<()> {
    let steps = plan.steps();
    if mask.shape() != [plan.values, steps] {
        let (expected, given) = (vec![plan.values, steps], mask.shape().to_vec());
        return Err(Error::OutputShape { what: "mask", expected, given });
    }
    lengths.resize(plan.values, 0);
    let mut hole = None;
    mask.each_flag(|at, live| {
        let (row, step) = (at / steps, at % steps);
        match (live, lengths[row] == step) {
            (true, true) => lengths[row] += 1,
            (true, false) => hole = hole.or(Some(row)),
            (false, _) => {}
        }
    });
    match hole {
        None => Ok(()),
        Some(row) => {
            let expected = "true for the first steps of each row alone".into();
            Err(Error::TrainingOption {
                option: "mask of CTC".into(),
                expected,
                given: format!("another one in row {row}"),
            })
        }
    }
}

/// Checks that the labels of each row are classes, and can be aligned with its steps.
fn check_labels(plan: &Plan<'_>, classes: &[i64], lengths: &[usize]) -> Result<()> {
    if plan.values == 0 {
        return Ok(());
    }
    for (row, labels) in classes.chunks((classes.len() / plan.values).max(1)).enumerate() {
        let known = |class: i64| usize::try_from(class).is_ok_and(|class| class < plan.width);
        if let Some(&class) = labels.iter().find(|&&class| !known(class)) {
            return Err(Error::TargetClass { class, classes: plan.width });
        }
        let count = labels.iter().position(|&label| label == 0).unwrap_or(labels.len());
        if let Some(&class) = labels[count..].iter().find(|&&label| label != 0) {
            let given = format!("{class} behind a 0 in row {row}");
            return Err(Error::TrainingOption {
                option: "labels of CTC".into(),
                expected: "padded with 0".into(),
                given,
            });
        }
        let (steps, needed) = (lengths.get(row).copied().unwrap_or(plan.steps()), steps_needed(&labels[..count]));
        if needed > steps {
            return Err(Error::CtcSteps { row, needed, steps });
        }
    }
    Ok(())
}
