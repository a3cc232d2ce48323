//! Losses: a number to make small, and its gradient.

use ndarray::{Array, ArrayRef, Dimension, Zip};

use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory;

/// A loss by Keras's name, averaged over all elements as Keras's `reduction="sum_over_batch_size"` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The mean of `(prediction - target)^2`.
    MeanSquaredError,
}

impl Loss {
    /// The loss and its gradient with respect to the prediction, for arrays of any rank. A NaN or an infinity goes on
    /// into both, as in Keras.
    ///
    /// # Errors
    /// [`Error::OutputShape`] if the two differ in shape, [`Error::TensorTooLarge`] for arrays that repeat their
    /// elements more often than there is memory for.
    pub fn with_gradient<T: Float, D: Dimension>(
        self,
        prediction: &ArrayRef<T, D>,
        target: &ArrayRef<T, D>,
    ) -> Result<(T, Array<T, D>)> {
        check_shapes(prediction, &[("target", target.shape())])?;
        memory::check::<T>(memory::product(prediction.shape()), prediction.shape())?;
        let mut gradient = Array::zeros(prediction.raw_dim());
        let loss = self.gradient_into(prediction, target, &mut gradient)?;
        Ok((loss, gradient))
    }

    /// [`with_gradient`](Loss::with_gradient) into the caller's array: allocates nothing.
    ///
    /// # Errors
    /// [`Error::OutputShape`] if the three differ in shape.
    pub fn gradient_into<T: Float, D: Dimension>(
        self,
        prediction: &ArrayRef<T, D>,
        target: &ArrayRef<T, D>,
        gradient: &mut ArrayRef<T, D>,
    ) -> Result<T> {
        check_shapes(prediction, &[("target", target.shape()), ("gradient", gradient.shape())])?;
        // An empty batch has no loss.
        let count = T::from_f64(prediction.len().max(1) as f64);
        match self {
            Loss::MeanSquaredError => {
                let (two, mut sum) = (T::one() + T::one(), T::zero());
                Zip::from(gradient).and(prediction).and(target).for_each(|gradient, &p, &t| {
                    sum += (p - t) * (p - t);
                    *gradient = two * (p - t) / count;
                });
                Ok(sum / count)
            }
        }
    }
}

/// Checks that these arrays have the prediction's shape.
fn check_shapes<T, D: Dimension>(prediction: &ArrayRef<T, D>, others: &[(&'static str, &[usize])]) -> Result<()> {
    match others.iter().find(|(_, given)| *given != prediction.shape()) {
        Some(&(what, given)) => {
            let (expected, given) = (prediction.shape().to_vec(), given.to_vec());
            Err(Error::OutputShape { what, expected, given })
        }
        None => Ok(()),
    }
}
