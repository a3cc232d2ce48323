//! Stochastic gradient descent.

use ndarray::Zip;

use super::optimizer::{Optimizer, Slots, update_each};
use crate::error::Result;
use crate::float::Float;
use crate::gradients::Gradients;
use crate::layers::Layer;

/// Keras's `SGD`: `w -= learning_rate * g`, or with momentum `v = momentum * v - learning_rate * g; w += v`.
#[derive(Debug, Clone)]
pub struct Sgd<T> {
    learning_rate: T,
    momentum: T,
    nesterov: bool,
    velocities: Slots<T>,
}

impl<T: Float> Sgd<T> {
    /// Plain descent with this learning rate (Keras's default is 0.01).
    pub fn new(learning_rate: f64) -> Self {
        let learning_rate = T::from_f64(learning_rate);
        Sgd { learning_rate, momentum: T::zero(), nesterov: false, velocities: Slots::new() }
    }

    /// With momentum.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = T::from_f64(momentum);
        self
    }

    /// With Nesterov's form of the momentum: `w += momentum * v - learning_rate * g`.
    pub fn nesterov(mut self, yes: bool) -> Self {
        self.nesterov = yes;
        self
    }

    /// Changes the learning rate for the updates to come.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = T::from_f64(learning_rate);
    }
}

impl<T: Float> Optimizer<T> for Sgd<T> {
    fn step(&mut self, layer: &mut dyn Layer<T>, gradients: &Gradients<T>) -> Result<()> {
        let Sgd { learning_rate, momentum, nesterov, velocities } = self;
        let (rate, momentum, nesterov) = (*learning_rate, *momentum, *nesterov);
        if momentum == T::zero() {
            return update_each(layer, gradients, |_, mut weight, gradient| {
                Zip::from(&mut weight).and(gradient).for_each(|w, &g| *w -= rate * g);
            });
        }
        velocities.prepare(gradients)?;
        update_each(layer, gradients, |index, mut weight, gradient| {
            Zip::from(&mut weight).and(gradient).and(velocities.get_mut(index)).for_each(|w, &g, v| {
                *v = momentum * *v - rate * g;
                *w += if nesterov { momentum * *v - rate * g } else { *v };
            });
        })
    }
}
