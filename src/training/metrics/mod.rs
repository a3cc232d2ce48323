//! Metrics: numbers that tell how well a network does, accumulated over batches.
//!
//! **A new one**: a variant of [`Metric`], with `name`, `rises`, `reads_classes` and `validate`; what it says of a row
//! in [`rows`], called by `add_means` in [`state`]. What counts instead of taking means has its file, as [`auc`], and
//! `is_mean`, `add_counts` and `result` there. Keras's numbers come from `tests/golden/training/metrics.py`.
//!
//! `Fit` needs nothing new: `measure` in `training/fit/session.rs` hands each batch to `add_metrics` in
//! `training/fit/meters.rs`, which has a [`MetricState`] for each metric and logs it under its name.

mod auc;
mod confusion;
mod rows;
mod state;

pub use self::auc::{Auc, Curve, SummationMethod};
pub use self::confusion::{Precision, Recall};
pub use self::state::MetricState;
use crate::error::{Error, Result, words::number};

/// A metric by Keras's name, computed as Keras computes it.
///
/// [`Fit::metric`](super::Fit::metric) takes it; in a loop of one's own [`MetricState`] accumulates it.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::training::{Metric, Weighting};
/// let mut accuracy = Metric::SparseCategoricalAccuracy.start()?;
/// accuracy.update(&array![[0.1, 0.9], [0.8, 0.2]], &array![1, 1], &Weighting::new())?;
/// accuracy.update(&array![[0.3, 0.7]], &array![1], &Weighting::new())?;
/// assert!((accuracy.result() - 2.0 / 3.0).abs() < 1e-12);
/// # Ok::<(), recurrent::Error>(())
/// ```
///
/// Keras's "accuracy" is one of three: [`BinaryAccuracy`](Metric::BinaryAccuracy) where the prediction has one column,
/// [`SparseCategoricalAccuracy`](Metric::SparseCategoricalAccuracy) where targets are classes,
/// [`CategoricalAccuracy`](Metric::CategoricalAccuracy) otherwise. As in Keras masks count in all metrics but
/// the root mean squared error, precision, recall and AUC.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Metric {
    /// How often predictions above the threshold are those with a target of 1 (Keras's default is 0.5).
    BinaryAccuracy {
        /// In 0..=1 for probabilities; 0 for logits.
        threshold: f64,
    },
    /// How often the largest prediction of a row is where the largest target is.
    CategoricalAccuracy,
    /// How often the largest prediction of a row is that of the target's class.
    SparseCategoricalAccuracy,
    /// How often fewer than `k` predictions of a row are larger than that where the largest target is.
    TopKCategoricalAccuracy {
        /// Keras's default is 5; at least 1.
        k: usize,
    },
    /// How often fewer than `k` predictions of a row are larger than that of the target's class.
    SparseTopKCategoricalAccuracy {
        /// Keras's default is 5; at least 1.
        k: usize,
    },
    /// The mean of the squares of the differences.
    MeanSquaredError,
    /// The mean of the absolute differences.
    MeanAbsoluteError,
    /// The root of the mean of the squares of the differences.
    RootMeanSquaredError,
    /// Which part of the predictions above a threshold have a target of 1.
    Precision(Precision),
    /// Which part of the targets of 1 are predicted above a threshold.
    Recall(Recall),
    /// The area under a curve of two such rates over all thresholds.
    Auc(Auc),
}

impl Metric {
    /// With nothing accumulated.
    ///
    /// # Errors
    /// [`Error::TrainingOption`] for an option out of its range.
    pub fn start(&self) -> Result<MetricState> {
        self.validate()?;
        Ok(MetricState::new(self.clone()))
    }

    /// Keras's name, under which [`History`](super::History) has it.
    pub fn name(&self) -> &'static str {
        match self {
            Metric::BinaryAccuracy { .. } => "binary_accuracy",
            Metric::CategoricalAccuracy => "categorical_accuracy",
            Metric::SparseCategoricalAccuracy => "sparse_categorical_accuracy",
            Metric::TopKCategoricalAccuracy { .. } => "top_k_categorical_accuracy",
            Metric::SparseTopKCategoricalAccuracy { .. } => "sparse_top_k_categorical_accuracy",
            Metric::MeanSquaredError => "mean_squared_error",
            Metric::MeanAbsoluteError => "mean_absolute_error",
            Metric::RootMeanSquaredError => "root_mean_squared_error",
            Metric::Precision(_) => "precision",
            Metric::Recall(_) => "recall",
            Metric::Auc(_) => "auc",
        }
    }

    /// Whether more is better.
    pub fn rises(&self) -> bool {
        !matches!(self, Metric::MeanSquaredError | Metric::MeanAbsoluteError | Metric::RootMeanSquaredError)
    }

    /// Whether its targets are classes instead of floats.
    pub(in crate::training) fn reads_classes(&self) -> bool {
        matches!(self, Metric::SparseCategoricalAccuracy | Metric::SparseTopKCategoricalAccuracy { .. })
    }

    fn validate(&self) -> Result<()> {
        match self {
            Metric::BinaryAccuracy { threshold } if !threshold.is_finite() => {
                refused("threshold", "finite", number(*threshold))
            }
            Metric::TopKCategoricalAccuracy { k: 0 } | Metric::SparseTopKCategoricalAccuracy { k: 0 } => {
                refused("k", "at least 1", "0".into())
            }
            Metric::Precision(precision) => precision.0.validate(),
            Metric::Recall(recall) => recall.0.validate(),
            Metric::Auc(auc) => auc.validate(),
            _ => Ok(()),
        }
    }
}

fn refused<V>(option: &str, expected: &str, given: String) -> Result<V> {
    Err(Error::TrainingOption { option: option.into(), expected: expected.into(), given })
}

macro_rules! into_metric {
    ($($kind:ident)*) => {$(
        impl From<$kind> for Metric {
            fn from(metric: $kind) -> Self {
                Metric::$kind(metric)
            }
        }
    )*};
}
into_metric!(Precision Recall Auc);
