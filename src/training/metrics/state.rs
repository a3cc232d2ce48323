//! What a metric has accumulated.

use std::borrow::Cow;

use ndarray::{ArrayRef, Dimension};

use super::confusion::{Confusion, divide};
use super::rows::{absolute, argmax, binary_accuracy, in_top_k, squared};
use super::{Metric, Precision, Recall};
use crate::error::Result;
use crate::float::Float;
use crate::memory;
use crate::training::loss::{Factors, Reduction, Target, Weighting, check_target, check_weights};

/// A [`Metric`] and what it has accumulated, made by [`Metric::start`].
#[derive(Debug, Clone)]
pub struct MetricState {
    metric: Metric,
    /// Of the metrics that are means: the sum, and the weight of what is in it.
    total: f64,
    count: f64,
    /// Of the others.
    confusion: Confusion,
    thresholds: Option<Vec<f64>>,
    kept: Vec<bool>,
}

impl MetricState {
    pub(super) fn new(metric: Metric) -> Self {
        let thresholds = match &metric {
            Metric::Auc(auc) => auc.uneven(),
            _ => None,
        };
        let (confusion, kept) = (Confusion::default(), Vec::new());
        let mut state = MetricState { metric, total: 0.0, count: 0.0, confusion, thresholds, kept };
        state.reset();
        state
    }

    /// Which metric it is.
    pub fn metric(&self) -> &Metric {
        &self.metric
    }

    /// Forgets what was accumulated.
    pub fn reset(&mut self) {
        (self.total, self.count) = (0.0, 0.0);
        let thresholds = match &self.metric {
            Metric::Auc(auc) => auc.count_of_thresholds(),
            _ => 1,
        };
        self.confusion.reset(thresholds);
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// [`Error::OutputShape`](crate::Error::OutputShape) for a target, a mask or weights that don't fit the prediction,
    /// [`Error::TrainingOption`](crate::Error::TrainingOption) for a class that it doesn't have. Nothing is added then.
    pub fn update<'t, T: Float, D: Dimension>(
        &mut self,
        prediction: &ArrayRef<T, D>,
        target: impl Into<Target<'t, T>>,
        weighting: &Weighting<'_, T>,
    ) -> Result<()> {
        let target = target.into();
        check_target(prediction.shape(), target.shape(), self.metric.reads_classes())?;
        for shape in [prediction.shape(), target.shape()] {
            memory::check::<T>(memory::product(shape), shape)?;
        }
        let slice = prediction.as_slice().map_or_else(|| prediction.iter().copied().collect(), Cow::Borrowed);
        self.add(prediction.shape(), &slice, &target, weighting, &mut Factors::default())
    }

    /// [`update`](MetricState::update) of a prediction in row order.
    pub(in crate::training) fn add<T: Float>(
        &mut self,
        shape: &[usize],
        prediction: &[T],
        target: &Target<'_, T>,
        weighting: &Weighting<'_, T>,
        factors: &mut Factors<T>,
    ) -> Result<()> {
        check_target(shape, target.shape(), self.metric.reads_classes())?;
        let values = &shape[..shape.len().saturating_sub(1)];
        // As Keras does.
        let mask = weighting.mask.as_ref().filter(|_| self.is_mean() && self.metric != Metric::RootMeanSquaredError);
        let parts = [mask, weighting.sample_weight.as_ref()];
        check_weights(values, parts)?;
        factors.weigh(values, parts, None, Reduction::Sum);
        let width = shape.last().copied().unwrap_or(1);
        if width == 0 {
            return Ok(());
        }
        if self.is_mean() {
            let steps: usize = values.iter().skip(1).product();
            self.add_means(prediction, width, target, factors, steps.max(1) as f64);
            return Ok(());
        }
        if let Metric::Precision(Precision(selection)) | Metric::Recall(Recall(selection)) = &self.metric {
            selection.check_width(width)?;
        }
        self.add_counts(prediction, width, &target.floats(), factors);
        Ok(())
    }

    /// What it is of all that was added; 0 of nothing.
    pub fn result(&self) -> f64 {
        let Confusion { true_positives, false_positives, false_negatives, .. } = &self.confusion;
        match &self.metric {
            Metric::RootMeanSquaredError => divide(self.total, self.count).sqrt(),
            Metric::Precision(_) => divide(true_positives[0], true_positives[0] + false_positives[0]),
            Metric::Recall(_) => divide(true_positives[0], true_positives[0] + false_negatives[0]),
            Metric::Auc(auc) => auc.result(&self.confusion, self.thresholds.is_none()),
            _ => divide(self.total, self.count),
        }
    }

    fn is_mean(&self) -> bool {
        !matches!(self.metric, Metric::Precision(_) | Metric::Recall(_) | Metric::Auc(_))
    }

    /// Keras takes the mean of each row's steps first, and a row's weight is the mean of theirs.
    fn add_means<T: Float>(
        &mut self,
        prediction: &[T],
        width: usize,
        target: &Target<'_, T>,
        factors: &Factors<T>,
        steps: f64,
    ) {
        let (mut total, mut count) = (0.0, 0.0);
        let mut add = |at: usize, value: &dyn Fn() -> f64| {
            if let Some(weight) = factors.share(at) {
                total += value() * weight.into_f64();
                count += weight.into_f64();
            }
        };
        let rows = || prediction.chunks_exact(width).enumerate();
        let flag = |yes: bool| f64::from(u8::from(yes));
        if self.metric.reads_classes() {
            let classes = target.classes();
            for (at, row) in rows() {
                match self.metric {
                    Metric::SparseTopKCategoricalAccuracy { k } => add(at, &|| flag(in_top_k(row, classes[at], k))),
                    _ => add(at, &|| flag(usize::try_from(classes[at]) == Ok(argmax(row)))),
                }
            }
        } else {
            let targets = target.floats();
            for ((at, row), target) in rows().zip(targets.chunks_exact(width)) {
                match self.metric {
                    Metric::BinaryAccuracy { threshold } => {
                        add(at, &|| binary_accuracy(row, target, T::from_f64(threshold)));
                    }
                    Metric::TopKCategoricalAccuracy { k } => {
                        add(at, &|| flag(in_top_k(row, argmax(target) as i64, k)));
                    }
                    Metric::MeanAbsoluteError => add(at, &|| absolute(row, target)),
                    Metric::MeanSquaredError | Metric::RootMeanSquaredError => add(at, &|| squared(row, target)),
                    _ => add(at, &|| flag(argmax(row) == argmax(target))),
                }
            }
        }
        self.total += total / steps;
        self.count += count / steps;
    }

    fn add_counts<T: Float>(&mut self, prediction: &[T], width: usize, target: &[T], factors: &Factors<T>) {
        let rows = prediction.chunks_exact(width).zip(target.chunks_exact(width)).enumerate();
        for (at, (row, target)) in rows {
            let weight = factors.share(at).map_or(0.0, T::into_f64);
            match &self.metric {
                Metric::Precision(Precision(selection)) | Metric::Recall(Recall(selection)) => {
                    selection.count(row, target, weight, &mut self.kept, &mut self.confusion);
                }
                Metric::Auc(auc) => auc.count(row, target, weight, self.thresholds.as_deref(), &mut self.confusion),
                _ => {}
            }
        }
    }
}
