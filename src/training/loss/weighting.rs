//! What each row or step counts in a loss.
//!
//! Keras's rule, which a mask becomes part of: of N values with masks m and sample weights w,
//!
//! ```text
//! sum_over_batch_size, mean: sum(m w value) / valid, valid = how many m are true (without a mask N)
//! sum:                       sum(m w value)
//! mean_with_sample_weight:   sum(m w value) / sum(m w)
//! ```
//!
//! A sum over nothing, divided by nothing, is 0.

use super::Target;
use super::function::Reduction;
use crate::error::{Error, Result};
use crate::float::Float;

/// Which rows and steps count in a loss or a metric, and how much.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::training::{Loss, Reduction, Weighting};
/// let (prediction, target) = (array![[[1.0], [2.0]], [[3.0], [9.0]]], Array3::<f64>::zeros((2, 2, 1)));
/// let mask = array![[true, true], [true, false]];               // (batch, timesteps)
/// let loss = Loss::MeanSquaredError.reduction(Reduction::SumOverBatchSize);
/// let (value, _) = loss.with_gradient(&prediction, &target, Weighting::new().mask(&mask))?;
/// assert!((value - (1.0 + 4.0 + 9.0) / 3.0).abs() < 1e-12);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "options do nothing until a call gets them"]
pub struct Weighting<'a, T> {
    pub(in crate::training) mask: Option<Target<'a, T>>,
    pub(in crate::training) sample_weight: Option<Target<'a, T>>,
}

impl<'a, T: Float> Weighting<'a, T> {
    /// All count alike.
    pub fn new() -> Self {
        Weighting { mask: None, sample_weight: None }
    }

    /// What counts at all, in the shape of the loss's values: (batch, timesteps) for predictions of each step. What is
    /// masked isn't read.
    pub fn mask(mut self, mask: impl Into<Target<'a, T>>) -> Self {
        self.mask = Some(mask.into());
        self
    }

    /// What each value is multiplied with: in the values' shape, or (batch) or (batch, 1) for whole rows. (For
    /// predictions of each step Keras takes (batch, 1) alone.)
    pub fn sample_weight(mut self, weights: impl Into<Target<'a, T>>) -> Self {
        self.sample_weight = Some(weights.into());
        self
    }
}

/// Checks that a mask and weights fit values of this shape.
pub(in crate::training) fn check_weights<T: Float>(
    values: &[usize],
    [mask, weights]: [Option<&Target<'_, T>>; 2],
) -> Result<()> {
    let refuse =
        |what, given: &[usize]| Err(Error::OutputShape { what, expected: values.to_vec(), given: given.to_vec() });
    match (mask, weights) {
        (Some(mask), _) if without_ones(mask.shape()) != without_ones(values) => refuse("mask", mask.shape()),
        (_, Some(weights)) if spread(weights.shape(), values).is_none() => refuse("sample weight", weights.shape()),
        _ => Ok(()),
    }
}

impl<T: Float> Default for Weighting<'_, T> {
    fn default() -> Self {
        Weighting::new()
    }
}

/// A shape but for a last axis of size one behind the first.
fn without_ones(shape: &[usize]) -> &[usize] {
    match shape {
        [first @ .., 1] if !first.is_empty() => first,
        _ => shape,
    }
}

/// How many values each weight is for; `None` if the shapes don't fit.
fn spread(weights: &[usize], values: &[usize]) -> Option<usize> {
    if without_ones(weights) == without_ones(values) {
        return Some(1);
    }
    let [batch, steps @ ..] = values else { return None };
    (without_ones(weights) == [*batch]).then(|| steps.iter().product())
}

/// What each value is multiplied with; `None`: it isn't read.
#[derive(Debug)]
pub(in crate::training) struct Factors<T> {
    /// Whether all are one, and none is written down.
    alike: bool,
    of: Vec<Option<T>>,
    /// What the sum of the products is divided by.
    divisor: T,
}

impl<T: Float> Default for Factors<T> {
    fn default() -> Self {
        Factors { alike: true, of: Vec::new(), divisor: T::one() }
    }
}

impl<T: Float> Factors<T> {
    /// For values of this shape, which mask and weights fit; `ignored` says which of them are none.
    pub(in crate::training) fn weigh(
        &mut self,
        shape: &[usize],
        [mask, weights]: [Option<&Target<'_, T>>; 2],
        ignored: Option<&dyn Fn(usize) -> bool>,
        reduction: Reduction,
    ) {
        let (zero, one) = (T::zero(), T::one());
        let values = shape.iter().product();
        let masked = ignored.is_some() || mask.is_some();
        self.alike = !masked && weights.is_none();
        if self.alike {
            let all = T::from_f64(values as f64);
            self.divisor = if reduction == Reduction::Sum { one } else { all };
            return;
        }
        self.begin(values, mask);
        if let Some(ignored) = ignored {
            self.of.iter_mut().enumerate().filter(|(at, _)| ignored(*at)).for_each(|(_, factor)| *factor = None);
        }
        let (all, valid) = (self.of.len() as f64, self.of.iter().flatten().count() as f64);
        let mut sum_of_weights = None;
        if let Some(given) = weights {
            let (mut sum, each) = (zero, spread(given.shape(), shape).unwrap_or(0));
            given.each_float(|at, weight| {
                sum += weight;
                self.of[at * each..][..each].iter_mut().flatten().for_each(|factor| *factor *= weight);
            });
            sum_of_weights = Some(sum);
        }
        let all = T::from_f64(all);
        self.divisor = match reduction {
            Reduction::Sum => one,
            Reduction::SumOverBatchSize | Reduction::Mean => {
                // As Keras does it: those that are there count for those that aren't.
                if masked {
                    let more = if valid == 0.0 { zero } else { all / T::from_f64(valid) };
                    self.of.iter_mut().flatten().for_each(|factor| *factor *= more);
                }
                all
            }
            Reduction::MeanWithSampleWeight if masked => self.of.iter().flatten().fold(zero, |sum, &w| sum + w),
            Reduction::MeanWithSampleWeight => sum_of_weights.unwrap_or(all),
        };
    }

    /// One for each value, `None` where it is masked.
    fn begin(&mut self, values: usize, mask: Option<&Target<'_, T>>) {
        self.of.clear();
        self.of.resize(values, Some(T::one()));
        if let Some(mask) = mask {
            mask.each_flag(|at, live| {
                if !live {
                    self.of[at] = None;
                }
            });
        }
    }

    /// What a value counts in the whole.
    pub(in crate::training) fn share(&self, at: usize) -> Option<T> {
        let factor = if self.alike { T::one() } else { self.of[at]? };
        Some(if self.divisor == T::zero() { T::zero() } else { factor / self.divisor })
    }
}
