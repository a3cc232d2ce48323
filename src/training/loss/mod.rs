//! Losses: a number to make small, and its gradient.
//!
//! [`Loss`] is which one, [`LossFunction`] the same with options, [`Weighting`] what differs between two calls. A loss
//! is a value for each row of the last axis ([`regression`], [`probabilistic`]; of CTC for each sample), and the mean
//! of those values, weighted: see [`weighting`].
//!
//! **A new one**: a variant and its row in the table over [`Loss`]; a function of a row in [`regression`] or
//! [`probabilistic`], which leaves the gradient where the prediction was; the call of it in [`function`]: `of_floats`,
//! or `compute` where targets are classes (then `reads_classes`, too). Options are checked in `LossFunction::validate`
//! there. Keras's numbers come from `tests/golden/training/losses.py`. `Fit` needs nothing new: once a batch `measure`
//! in `training/fit/session.rs` calls `LossFunction::gradient_in`, whose gradients go back through the network.

mod ctc;
mod function;
mod plan;
mod probabilistic;
mod regression;
mod weighting;

use ndarray::{Array, ArrayD, ArrayRef, Dimension};

pub(in crate::training) use self::function::Work;
pub use self::function::{LossFunction, Reduction};
pub(in crate::training) use self::plan::check_target;
pub use self::weighting::Weighting;
pub(in crate::training) use self::weighting::{Factors, check_weights};
use crate::error::Result;
use crate::float::Float;
use crate::graph::Input;

/// What a prediction is to be, for a loss or a metric: floats of the network's type, integers of any type, or flags,
/// made by `into()` of `&` of an array or view of any dimension, as the inputs of a model are.
pub type Target<'a, T> = Input<'a, T>;

/// A loss by Keras's name, computed as Keras computes it: over the last axis of the prediction, then the mean over all
/// rows and steps (`reduction="sum_over_batch_size"`).
///
/// Its options are setters, which make a [`LossFunction`]; masks and sample weights are a [`Weighting`].
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::training::{Loss, Weighting};
/// let logits = array![[2.0, 0.5, -1.0], [0.0, 1.0, 3.0]];      // (batch, classes)
/// let (loss, gradient) = Loss::SparseCategoricalCrossentropy { from_logits: true }.with_gradient(&logits, &array![0, 1])?;
/// assert!(gradient[[0, 0]] < 0.0 && loss > 0.0);
/// let weights = array![1.0, 0.0];
/// let only_the_first = Weighting::new().sample_weight(&weights);
/// let function = Loss::SparseCategoricalCrossentropy { from_logits: true }.ignore_class(-1);
/// assert!(function.with_gradient(&logits, &array![0, 1], only_the_first)?.0 < loss);
/// # Ok::<(), recurrent::Error>(())
/// ```
///
/// | loss | of one row of predictions p and targets t, n long | targets |
/// |---|---|---|
/// | [`MeanSquaredError`](Loss::MeanSquaredError) | mean (p - t)^2 | like the prediction |
/// | [`MeanAbsoluteError`](Loss::MeanAbsoluteError) | mean \|p - t\| | the same |
/// | [`Huber`](Loss::Huber) | mean of e^2 / 2 up to delta, delta e - delta^2 / 2 above it, e = \|p - t\| | the same |
/// | [`LogCosh`](Loss::LogCosh) | mean ln cosh(p - t) | the same |
/// | [`CosineSimilarity`](Loss::CosineSimilarity) | - sum t p / (\|t\| \|p\|) | the same |
/// | [`BinaryCrossentropy`](Loss::BinaryCrossentropy) | - mean (t ln p + (1 - t) ln(1 - p)) | the same, 0 or 1 or between |
/// | [`CategoricalCrossentropy`](Loss::CategoricalCrossentropy) | - sum t ln p | the same, a distribution in each row |
/// | [`SparseCategoricalCrossentropy`](Loss::SparseCategoricalCrossentropy) | - ln p\[t\] | a class for each row: without the last axis |
/// | [`KlDivergence`](Loss::KlDivergence) | sum t ln(t / p) | like the prediction |
/// | [`Ctc`](Loss::Ctc) | - ln of the sum over all alignments | labels, (batch, the most labels), padded with 0 |
///
/// A target without the last axis is taken where that axis has size one: (batch) for (batch, 1). Probabilities are
/// clipped to 1e-7 and 1 - 1e-7, and where they are clipped no gradient flows: give logits where you can
/// (`from_logits`, and a last layer without softmax or sigmoid). Keras looks for a softmax or sigmoid before its
/// cross-entropies and goes on from *its* input if it finds one; here the loss takes what it is told.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// The mean of the squares of the differences.
    MeanSquaredError,
    /// The mean of the absolute differences. Where there is none, its gradient is 0.
    MeanAbsoluteError,
    /// Half the square of differences up to `delta`, their absolute value beyond (Huber 1964); Keras's default is 1.
    Huber {
        /// Where it turns from a parabola to a line: finite, above 0.
        delta: f64,
    },
    /// The logarithm of the hyperbolic cosine of the differences.
    LogCosh,
    /// The cosine of the angle between prediction and target, with a minus: -1 where they point the same way.
    CosineSimilarity,
    /// For two classes, or several that don't exclude each other: targets of 0 and 1.
    BinaryCrossentropy {
        /// Whether predictions are logits instead of probabilities.
        from_logits: bool,
    },
    /// For classes one of which is true: targets are distributions (one-hot rows).
    CategoricalCrossentropy {
        /// Whether predictions are logits instead of probabilities.
        from_logits: bool,
    },
    /// The same with the class itself as the target. Floats are truncated to classes, as in Keras.
    SparseCategoricalCrossentropy {
        /// Whether predictions are logits instead of probabilities.
        from_logits: bool,
    },
    /// The divergence of Kullback and Leibler, from the prediction to the target.
    KlDivergence,
    /// Connectionist temporal classification (Graves et al. 2006), Keras's `CTC`: from logits, (batch, timesteps,
    /// classes), to labels in order whose steps nobody knows. Class 0 is the blank, so labels are 1 and above, and a 0
    /// ends a row of them. A mask says how many of the first steps of each row are read. What Keras computes in f32 is
    /// computed in f64 here.
    ///
    /// A row with fewer steps than its labels need is an error (Keras returns a number of about 700).
    Ctc,
}

impl Loss {
    /// The loss and its gradient with respect to the prediction. A NaN or an infinity goes on into both, as in Keras.
    ///
    /// # Errors
    /// [`Error::OutputShape`](crate::Error::OutputShape) if the target doesn't fit the prediction,
    /// [`Error::TargetClass`](crate::Error::TargetClass) for a class that there isn't,
    /// [`Error::CtcSteps`](crate::Error::CtcSteps) for labels that can't be aligned,
    /// [`Error::TrainingOption`](crate::Error::TrainingOption) for `delta` out of its range,
    /// [`Error::TensorTooLarge`](crate::Error::TensorTooLarge) for arrays that repeat their elements more often than
    /// there is memory for.
    pub fn with_gradient<'t, T: Float, D: Dimension>(
        self,
        prediction: &ArrayRef<T, D>,
        target: impl Into<Target<'t, T>>,
    ) -> Result<(T, Array<T, D>)> {
        LossFunction::from(self).with_gradient(prediction, target, Weighting::new())
    }

    /// [`with_gradient`](Loss::with_gradient) into the caller's array: allocates nothing, if the arrays are in row
    /// order and the target of the type that the loss reads (`i64` where it is classes); [`Loss::Ctc`] takes memory for
    /// each call.
    ///
    /// # Errors
    /// Those of `with_gradient`; [`Error::OutputShape`](crate::Error::OutputShape) if the gradient's shape isn't the
    /// prediction's. The gradient is as before then.
    pub fn gradient_into<'t, T: Float, D: Dimension>(
        self,
        prediction: &ArrayRef<T, D>,
        target: impl Into<Target<'t, T>>,
        gradient: &mut ArrayRef<T, D>,
    ) -> Result<T> {
        LossFunction::from(self).gradient_into(prediction, target, Weighting::new(), gradient)
    }

    /// The loss of each row or step, Keras's `reduction=None`: the prediction's shape without the last axis; of CTC
    /// (batch).
    ///
    /// # Errors
    /// Those of [`with_gradient`](Loss::with_gradient).
    pub fn values<'t, T: Float, D: Dimension>(
        self,
        prediction: &ArrayRef<T, D>,
        target: impl Into<Target<'t, T>>,
    ) -> Result<ArrayD<T>> {
        LossFunction::from(self).values(prediction, target, Weighting::new())
    }

    /// With another way from the values of rows and steps to one number.
    pub fn reduction(self, reduction: Reduction) -> LossFunction {
        LossFunction::from(self).reduction(reduction)
    }

    /// Moves targets towards the even distribution: see [`LossFunction::label_smoothing`].
    pub fn label_smoothing(self, share: f64) -> LossFunction {
        LossFunction::from(self).label_smoothing(share)
    }

    /// Leaves out rows and steps of this class: see [`LossFunction::ignore_class`].
    pub fn ignore_class(self, class: i64) -> LossFunction {
        LossFunction::from(self).ignore_class(class)
    }

    /// Whether its targets are classes instead of floats.
    pub(in crate::training) fn reads_classes(self) -> bool {
        matches!(self, Loss::SparseCategoricalCrossentropy { .. } | Loss::Ctc)
    }
}
