//! Constraints.

use ndarray::{ArrayD, ArrayViewMutD, Axis, Zip};

use super::check;
use crate::error::Result;
use crate::float::Float;

/// What is done to a weight after each update: Keras's constraints by their names.
///
/// Norms are taken along axes: `[0]`, Keras's default, is the norm of what comes into each unit of a Dense or recurrent
/// layer (the columns of its kernel). A negative axis counts from the last one.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::training::Constraint;
/// let mut weight = array![[3.0_f64, 0.3], [4.0, 0.4]].into_dyn();
/// Constraint::MaxNorm { max_value: 1.0, axis: vec![0] }.apply(&mut weight.view_mut())?;
/// assert!((&weight - array![[0.6, 0.3], [0.8, 0.4]]).iter().all(|difference| difference.abs() < 1e-6));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Constraint {
    /// Norms of at most `max_value`.
    MaxNorm {
        /// Finite, at least 0; Keras's is 2 unless it is said.
        max_value: f64,
        /// The axes along which the norms are taken.
        axis: Vec<isize>,
    },
    /// Norms of 1.
    UnitNorm {
        /// The axes along which the norms are taken.
        axis: Vec<isize>,
    },
    /// No element below 0: Keras's `NonNeg`.
    NonNegative,
    /// Norms between two values, or on their way there.
    MinMaxNorm {
        /// Finite, at least 0; Keras's is 0 unless it is said.
        min_value: f64,
        /// Finite, at least `min_value`; Keras's is 1 unless it is said.
        max_value: f64,
        /// How much of the way is gone at each update, 0 to 1; Keras's is 1 unless it is said.
        rate: f64,
        /// The axes along which the norms are taken.
        axis: Vec<isize>,
    },
}

impl Constraint {
    /// Checks that the numbers make sense, and that a weight of this shape has the axes.
    ///
    /// # Errors
    /// [`Error::WeightRule`](crate::Error::WeightRule).
    pub fn validate(&self, shape: &[usize]) -> Result<()> {
        let axes = match self {
            Constraint::NonNegative => return Ok(()),
            Constraint::UnitNorm { axis } => axis,
            Constraint::MaxNorm { max_value, axis } => {
                super::not_negative("the max_value of MaxNorm", *max_value)?;
                axis
            }
            Constraint::MinMaxNorm { min_value, max_value, rate, axis } => {
                super::not_negative("the min_value of MinMaxNorm", *min_value)?;
                super::not_negative("the max_value of MinMaxNorm", *max_value)?;
                let expected = "at least its min_value";
                check("the max_value of MinMaxNorm", expected, *max_value, max_value >= min_value)?;
                check("the rate of MinMaxNorm", "in 0..=1", *rate, (0.0..=1.0).contains(rate))?;
                axis
            }
        };
        check("the number of axes of a norm", "at least 1", axes.len() as f64, !axes.is_empty())?;
        for (place, &axis) in axes.iter().enumerate() {
            let known = place_of(axis, shape.len());
            check("an axis of a norm", "an axis of the weight", axis as f64, known.is_some())?;
            let twice = axes[..place].iter().any(|&other| place_of(other, shape.len()) == known);
            check("an axis of a norm", "said once", axis as f64, !twice)?;
        }
        Ok(())
    }

    /// Changes a weight so that it obeys.
    ///
    /// # Errors
    /// Those of [`validate`](Constraint::validate); nothing is changed then.
    pub fn apply<T: Float>(&self, weight: &mut ArrayViewMutD<'_, T>) -> Result<()> {
        self.validate(weight.shape())?;
        // Keras's epsilon.
        let (epsilon, number) = (T::from_f64(1e-7), T::from_f64);
        // Not `min` and `max`: NaN stays.
        let clip = |norm: T, low: T, high: T| {
            if norm < low {
                low
            } else if norm > high {
                high
            } else {
                norm
            }
        };
        match self {
            Constraint::NonNegative => weight.mapv_inplace(|w| if w < T::zero() { T::zero() } else { w }),
            Constraint::UnitNorm { axis } => {
                by_norms(weight, axis, |w, norm| w / (epsilon + norm));
            }
            Constraint::MaxNorm { max_value, axis } => {
                let largest = number(*max_value);
                by_norms(weight, axis, |w, norm| w * (clip(norm, T::zero(), largest) / (epsilon + norm)));
            }
            Constraint::MinMaxNorm { min_value, max_value, rate, axis } => {
                let (low, high, rate, rest) =
                    (number(*min_value), number(*max_value), number(*rate), number(1.0 - *rate));
                by_norms(weight, axis, |w, norm| w * ((rate * clip(norm, low, high) + rest * norm) / (epsilon + norm)));
            }
        }
        Ok(())
    }
}

/// The place of an axis that may count from the last one, if there is one.
fn place_of(axis: isize, axes: usize) -> Option<usize> {
    let place = if axis < 0 { axes.checked_sub(axis.unsigned_abs())? } else { axis.unsigned_abs() };
    (place < axes).then_some(place)
}

/// Changes each element by itself and the norm that it has a part in.
fn by_norms<T: Float>(weight: &mut ArrayViewMutD<'_, T>, axes: &[isize], change: impl Fn(T, T) -> T) {
    let mut norms: ArrayD<T> = weight.map(|&w| w * w);
    for place in axes.iter().filter_map(|&axis| place_of(axis, weight.ndim())) {
        norms = norms.fold_axis(Axis(place), T::zero(), |&sum, &square| sum + square).insert_axis(Axis(place));
    }
    norms.mapv_inplace(|sum| sum.sqrt());
    if let Some(norms) = norms.broadcast(weight.raw_dim()) {
        Zip::from(weight).and(norms).for_each(|w, &norm| *w = change(*w, norm));
    }
}
