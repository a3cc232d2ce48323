//! The area under a curve.

use super::confusion::{Confusion, divide};
use super::{number, refused};
use crate::error::Result;
use crate::float::Float;
use crate::math::{ln, sigmoid};

/// The curve that [`Auc`] takes the area under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Curve {
    /// True over false positive rate.
    #[default]
    Roc,
    /// Precision over recall.
    Pr,
}

/// How [`Auc`] fills the space between two thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SummationMethod {
    /// By the mean of both heights; of [`Curve::Pr`] along the curve that goes through them (Davis and Goadrich 2006).
    #[default]
    Interpolation,
    /// By the larger of both heights.
    Majoring,
    /// By the smaller of both heights.
    Minoring,
}

/// Keras's `AUC`: the area under a curve that is drawn through 200 thresholds, all predictions in one.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "setters return the metric"]
pub struct Auc {
    curve: Curve,
    summation_method: SummationMethod,
    num_thresholds: usize,
    thresholds: Option<Vec<f64>>,
    from_logits: bool,
}

impl Default for Auc {
    fn default() -> Self {
        Auc::new()
    }
}

/// Keras's `epsilon()`: the first threshold is below 0 and the last above 1 by it.
const EPSILON: f64 = 1e-7;

impl Auc {
    /// The area under the receiver operating characteristic.
    pub fn new() -> Self {
        Auc {
            curve: Curve::Roc,
            summation_method: SummationMethod::Interpolation,
            num_thresholds: 200,
            thresholds: None,
            from_logits: false,
        }
    }

    /// Another curve.
    pub fn curve(mut self, curve: Curve) -> Self {
        self.curve = curve;
        self
    }

    /// Another way between two thresholds.
    pub fn summation_method(mut self, method: SummationMethod) -> Self {
        self.summation_method = method;
        self
    }

    /// So many thresholds, evenly spread over 0..=1: from 2 to a million.
    pub fn num_thresholds(mut self, count: usize) -> Self {
        self.num_thresholds = count;
        self
    }

    /// These thresholds between 0 and 1, both of which are added.
    pub fn thresholds(mut self, thresholds: &[f64]) -> Self {
        self.thresholds = Some(thresholds.to_vec());
        self
    }

    /// Whether predictions are logits instead of probabilities.
    pub fn from_logits(mut self, yes: bool) -> Self {
        self.from_logits = yes;
        self
    }

    pub(super) fn validate(&self) -> Result<()> {
        if let Some(odd) = self.thresholds.iter().flatten().find(|threshold| !(0.0..=1.0).contains(*threshold)) {
            return refused("a threshold", "in 0..=1", number(*odd));
        }
        match self.num_thresholds {
            2..=1_000_000 => Ok(()),
            count => refused("num_thresholds", "from 2 to a million", count.to_string()),
        }
    }

    /// The number of all thresholds.
    pub(super) fn count_of_thresholds(&self) -> usize {
        self.thresholds.as_ref().map_or(self.num_thresholds, |thresholds| thresholds.len() + 2)
    }

    /// The thresholds in order; `None` where they are spread evenly.
    pub(super) fn uneven(&self) -> Option<Vec<f64>> {
        let mut inner = self.thresholds.clone()?;
        inner.sort_by(f64::total_cmp);
        let count = inner.len() + 2;
        let spread = |(i, &threshold): (usize, &f64)| {
            let even = f64::from((i + 1) as f32 / (count - 1) as f32);
            (threshold - even).abs() <= EPSILON + 1e-5 * even.abs()
        };
        if count >= 3 && inner.iter().enumerate().all(spread) {
            return None;
        }
        inner.insert(0, -EPSILON);
        inner.push(1.0 + EPSILON);
        Some(inner)
    }

    /// Counts one row, of this weight. Of evenly spread thresholds it counts where the prediction lies between them,
    /// and [`result`](Auc::result) adds up.
    pub(super) fn count<T: Float>(
        &self,
        row: &[T],
        target: &[T],
        weight: f64,
        uneven: Option<&[f64]>,
        sums: &mut Confusion,
    ) {
        for (&p, &t) in row.iter().zip(target) {
            let p = if self.from_logits { sigmoid(p) } else { p };
            let is_there = t != T::zero();
            match uneven {
                Some(thresholds) => {
                    for (i, &threshold) in thresholds.iter().enumerate() {
                        sums.add(i, is_there, p > T::from_f64(threshold), weight);
                    }
                }
                None if p.is_nan() => {}
                None => {
                    let last = self.count_of_thresholds() - 1;
                    let place = p.max(T::zero()).min(T::one()) * T::from_f64(last as f64);
                    // Above a threshold, not on it: 0.5 belongs below that of 0.5.
                    let bucket = (place.ceil().into_f64() - 1.0).max(0.0) as usize;
                    sums.add(bucket, is_there, true, weight);
                }
            }
        }
    }

    /// The area, from the sums at each threshold.
    pub(super) fn result(&self, sums: &Confusion, even: bool) -> f64 {
        let mut sums = sums.clone();
        if even {
            let whole = |buckets: &[f64]| buckets.iter().sum::<f64>();
            let (there, not) = (whole(&sums.true_positives), whole(&sums.false_positives));
            for buckets in [&mut sums.true_positives, &mut sums.false_positives] {
                for i in (0..buckets.len().saturating_sub(1)).rev() {
                    buckets[i] += buckets[i + 1];
                }
            }
            sums.false_negatives = sums.true_positives.iter().map(|true_positives| there - true_positives).collect();
            sums.true_negatives = sums.false_positives.iter().map(|false_positives| not - false_positives).collect();
        }
        let Confusion { true_positives: tp, false_positives: fp, true_negatives: tn, false_negatives: fne } = &sums;
        let rate = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(&a, &b)| divide(a, a + b)).collect() };
        let (x, y) = match (self.curve, self.summation_method) {
            (Curve::Pr, SummationMethod::Interpolation) => return interpolated_pr(&sums),
            (Curve::Pr, _) => (rate(tp, fne), rate(tp, fp)),
            (Curve::Roc, _) => (rate(fp, tn), rate(tp, fne)),
        };
        let height = |a: f64, b: f64| match self.summation_method {
            SummationMethod::Interpolation => (a + b) / 2.0,
            SummationMethod::Majoring => a.max(b),
            SummationMethod::Minoring => a.min(b),
        };
        x.windows(2).zip(y.windows(2)).map(|(x, y)| (x[0] - x[1]) * height(y[0], y[1])).sum()
    }
}

/// Keras's `interpolate_pr_auc`.
fn interpolated_pr(sums: &Confusion) -> f64 {
    let Confusion { true_positives: tp, false_positives: fp, false_negatives: fne, .. } = sums;
    let mut area = 0.0;
    for i in 0..tp.len().saturating_sub(1) {
        let (positives, next) = (tp[i] + fp[i], tp[i + 1] + fp[i + 1]);
        let gained = tp[i] - tp[i + 1];
        let slope = divide(gained, (positives - next).max(0.0));
        let intercept = tp[i + 1] - slope * next;
        let ratio = if positives > 0.0 && next > 0.0 { divide(positives, next.max(0.0)) } else { 1.0 };
        area += divide(slope * (gained + intercept * ln(ratio)), (tp[i + 1] + fne[i + 1]).max(0.0));
    }
    area
}
