//! What is predicted rightly and wrongly on both sides of thresholds.

use super::rows::top_k;
use super::{number, refused};
use crate::error::Result;
use crate::float::Float;

/// What precision and recall have in common.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Selection {
    threshold: Option<f64>,
    top_k: Option<usize>,
    class_id: Option<usize>,
}

impl Selection {
    pub(super) fn validate(&self) -> Result<()> {
        match (self.threshold, self.top_k) {
            (Some(threshold), _) if !(0.0..=1.0).contains(&threshold) => {
                refused("threshold", "in 0..=1", number(threshold))
            }
            (_, Some(0)) => refused("top_k", "at least 1", "0".into()),
            _ => Ok(()),
        }
    }

    /// Counts one row, of this weight.
    pub(super) fn count<T: Float>(
        &self,
        row: &[T],
        target: &[T],
        weight: f64,
        kept: &mut Vec<bool>,
        sums: &mut Confusion,
    ) {
        if let Some(k) = self.top_k {
            top_k(row, k, kept);
        }
        // As in Keras, which compares the others with -1e10.
        let threshold = self.threshold.map_or(if self.top_k.is_some() { -1e10 } else { 0.5 }, |threshold| threshold);
        let positive = |j: usize| {
            let is_kept = self.top_k.is_none() || kept[j];
            is_kept && row[j] > T::from_f64(threshold)
        };
        let columns = self.class_id.map_or(0..row.len(), |class| class..class + 1);
        columns.for_each(|j| sums.add(0, target[j] != T::zero(), positive(j), weight));
    }

    /// Checks that there is the class that is looked at.
    pub(super) fn check_width(&self, width: usize) -> Result<()> {
        match self.class_id {
            Some(class) if class >= width => {
                refused("class_id", &format!("a class of the {width} that are predicted"), class.to_string())
            }
            _ => Ok(()),
        }
    }
}

macro_rules! selecting {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        #[must_use = "setters return the metric"]
        pub struct $name(pub(super) Selection);

        impl $name {
            /// With the threshold 0.5, over all classes.
            pub fn new() -> Self {
                $name::default()
            }

            /// Predictions above it count as 1: in 0..=1.
            pub fn threshold(mut self, threshold: f64) -> Self {
                self.0.threshold = Some(threshold);
                self
            }

            /// Of each row the `k` largest predictions alone can count as 1, whatever they are unless a threshold is
            /// set.
            pub fn top_k(mut self, k: usize) -> Self {
                self.0.top_k = Some(k);
                self
            }

            /// Looks at one column alone.
            pub fn class_id(mut self, class: usize) -> Self {
                self.0.class_id = Some(class);
                self
            }
        }
    )*};
}

selecting! {
    /// Keras's `Precision`: true positives among all that are predicted.
    Precision;
    /// Keras's `Recall`: true positives among all that are there.
    Recall;
}

/// Sums of weights, for each threshold.
#[derive(Debug, Clone, Default)]
pub(super) struct Confusion {
    pub(super) true_positives: Vec<f64>,
    pub(super) false_positives: Vec<f64>,
    pub(super) true_negatives: Vec<f64>,
    pub(super) false_negatives: Vec<f64>,
}

impl Confusion {
    /// Zeros.
    pub(super) fn reset(&mut self, thresholds: usize) {
        let all =
            [&mut self.true_positives, &mut self.false_positives, &mut self.true_negatives, &mut self.false_negatives];
        for sums in all {
            sums.clear();
            sums.resize(thresholds, 0.0);
        }
    }

    /// One prediction.
    pub(super) fn add(&mut self, threshold: usize, is_there: bool, predicted: bool, weight: f64) {
        let sums = match (is_there, predicted) {
            (true, true) => &mut self.true_positives,
            (false, true) => &mut self.false_positives,
            (false, false) => &mut self.true_negatives,
            (true, false) => &mut self.false_negatives,
        };
        sums[threshold] += weight;
    }
}

/// Nothing divided by nothing is 0.
pub(super) fn divide(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}
