//! Normalizations over the last axis, as layers of models that are built by hand.

use ndarray::ArrayD;

use super::{EPSILON, MOMENTUM, Normalization, Statistics, check_features};
use crate::error::Result;
use crate::float::Float;

/// Each step's features, normalized: Keras's `LayerNormalization` over the last axis. Its weights, `gamma` of ones and
/// `beta` of zeros, are the model's.
///
/// ```
/// use recurrent::{Lstm, Sequential, ops};
///
/// let model = Sequential::<f32>::builder("m").layer(ops::LayerNormalization::new(3)?).layer(Lstm::new(3, 4)).build()?;
/// assert_eq!(model.weight("layer_normalization/gamma")?.shape(), [3]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LayerNormalization<T>(pub(crate) Normalization<T>);

/// Each feature, normalized by a mean and a variance: Keras's `BatchNormalization` over the last axis. Its weights,
/// `gamma`, `beta`, `moving_mean` and `moving_variance`, are the model's.
///
/// In inference, and in what [`Model::record`](crate::Model::record) records, the mean and the variance are the moving
/// ones; in training ([`Fit`](crate::training::Fit), [`Model::record_training`](crate::Model::record_training)) those of
/// the batch, of its live steps where it has a mask, and the moving ones move by `1 - momentum` towards them. A layer
/// that [isn't trained](crate::Model::set_trainable) does in training what it does in inference, as in Keras.
#[derive(Debug, Clone)]
pub struct BatchNormalization<T>(pub(crate) Normalization<T>);

impl<T: Float> LayerNormalization<T> {
    /// Of so many features, with Keras's epsilon of 0.001.
    ///
    /// # Errors
    /// [`Error::ZeroSize`](crate::Error::ZeroSize), [`Error::TensorTooLarge`](crate::Error::TensorTooLarge).
    pub fn new(features: usize) -> Result<Self> {
        Normalization::over_features(features, Statistics::Own { epsilon: EPSILON }).map(LayerNormalization)
    }

    /// The number that is added to the variance.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.0.statistics = Statistics::Own { epsilon };
        self
    }
}

impl<T: Float> BatchNormalization<T> {
    /// Of so many features, with Keras's epsilon of 0.001 and momentum of 0.99, a mean of zero and a variance of one.
    ///
    /// # Errors
    /// [`Error::ZeroSize`](crate::Error::ZeroSize), [`Error::TensorTooLarge`](crate::Error::TensorTooLarge).
    pub fn new(features: usize) -> Result<Self> {
        check_features::<T>(features)?;
        let (mean, variance) = (ArrayD::zeros(vec![features]), ArrayD::ones(vec![features]));
        let statistics = Statistics::moving(mean, variance, T::from_f64(EPSILON), Some(MOMENTUM));
        Normalization::over_features(features, statistics).map(BatchNormalization)
    }

    /// The number that is added to the variance.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        if let Statistics::Moving(moving) = &mut self.0.statistics {
            moving.epsilon = T::from_f64(epsilon);
        }
        self.0.fold();
        self
    }

    /// What the moving statistics keep of themselves in each update.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        if let Statistics::Moving(moving) = &mut self.0.statistics {
            moving.momentum = Some(momentum);
        }
        self
    }

    /// The axis along which the features lie; the last one unless it is set.
    #[must_use]
    pub fn axis(mut self, axis: i64) -> Self {
        self.0.axes = vec![axis];
        self
    }

    /// Whether there is `gamma`.
    #[must_use]
    pub fn scale(mut self, yes: bool) -> Self {
        self.0.gamma = yes.then(|| ArrayD::ones(self.0.shape.clone()));
        self.0.fold();
        self
    }

    /// Whether there is `beta`.
    #[must_use]
    pub fn center(mut self, yes: bool) -> Self {
        self.0.beta = yes.then(|| ArrayD::zeros(self.0.shape.clone()));
        self.0.fold();
        self
    }
}

/// Each step's features, divided by the root of their mean square: Keras's `RMSNormalization` over the last axis. Its
/// weight, `scale` of ones, is the model's. Masks end here, as in Keras.
///
/// Zhang and Sennrich, *Root Mean Square Layer Normalization* (2019).
#[derive(Debug, Clone)]
pub struct RMSNormalization<T>(pub(crate) Normalization<T>);

impl<T: Float> RMSNormalization<T> {
    /// Of so many features, with Keras's epsilon of 10^-6.
    ///
    /// # Errors
    /// [`Error::ZeroSize`](crate::Error::ZeroSize), [`Error::TensorTooLarge`](crate::Error::TensorTooLarge).
    pub fn new(features: usize) -> Result<Self> {
        let normalization = Normalization::over_features(features, Statistics::Square { epsilon: 1e-6 })?;
        Ok(RMSNormalization(Normalization { beta: None, ..normalization }))
    }

    /// The number that is added to the mean square.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.0.statistics = Statistics::Square { epsilon };
        self
    }
}
