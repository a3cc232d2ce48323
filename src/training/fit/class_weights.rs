//! What rows count by the class of their target.

use ndarray::{ArrayD, IxDyn};

use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::rows::resize;
use crate::training::loss::{Loss, LossFunction, Target};

/// Keras's `class_weight`: sample weights by class; classes that aren't named count 1.
#[derive(Debug)]
pub(super) struct ClassWeights<T> {
    table: Vec<(i64, f64)>,
    /// Of the batch.
    weights: ArrayD<T>,
}

impl<T: Float> ClassWeights<T> {
    pub(super) fn new(table: &[(i64, f64)]) -> Self {
        ClassWeights { table: table.to_vec(), weights: ArrayD::zeros(IxDyn(&[0])) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The sample weights of a batch, if classes have weights: a class is the target itself if the loss reads classes
    /// or predicts one number (rounded), else the place of a row's largest target.
    pub(super) fn of(
        &mut self,
        loss: &LossFunction,
        prediction: &ArrayD<T>,
        target: &Target<'_, T>,
    ) -> Result<Option<Target<'_, T>>> {
        if self.is_empty() {
            return Ok(None);
        }
        if loss.loss == Loss::Ctc {
            let expected = "left out for CTC: give sample weights".into();
            return Err(Error::TrainingOption { option: "class_weight".into(), expected, given: "some".into() });
        }
        let values = &prediction.shape()[..prediction.ndim().saturating_sub(1)];
        let width = prediction.shape().last().copied().unwrap_or(1).max(1);
        resize(&mut self.weights, values, T::zero());
        let table = &self.table;
        let weight = |class: i64| table.iter().find(|(own, _)| *own == class).map_or(1.0, |(_, weight)| *weight);
        let weights = self.weights.iter_mut();
        if loss.reads_classes() {
            weights.zip(&*target.classes()).for_each(|(to, &class)| *to = T::from_f64(weight(class)));
            return Ok(Some(Target::from(&self.weights)));
        }
        for (to, row) in weights.zip(target.floats().chunks(width)) {
            let class = match row {
                [one] => one.into_f64().round_ties_even() as i64,
                many => {
                    let most = many.iter().enumerate().fold(0, |at, (j, x)| if *x > many[at] { j } else { at });
                    most as i64
                }
            };
            *to = T::from_f64(weight(class));
        }
        Ok(Some(Target::from(&self.weights)))
    }
}
