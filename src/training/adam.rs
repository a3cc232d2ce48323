//! Adam.

use ndarray::Zip;

use super::optimizer::{Optimizer, Slots, update_each};
use crate::error::Result;
use crate::float::Float;
use crate::gradients::Gradients;
use crate::layers::Layer;

/// Keras's `Adam` (Kingma and Ba 2014), with its defaults: beta_1 0.9, beta_2 0.999, epsilon 1e-7.
///
/// ```text
/// m += (1 - beta_1) (g - m);  v += (1 - beta_2) (g^2 - v)
/// w -= learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t)  m / (sqrt(v) + epsilon)
/// ```
#[derive(Debug, Clone)]
pub struct Adam<T> {
    learning_rate: f64,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    amsgrad: bool,
    updates: u64,
    momentums: Slots<T>,
    velocities: Slots<T>,
    largest_velocities: Slots<T>,
}

impl<T: Float> Adam<T> {
    /// With this learning rate (Keras's default is 0.001).
    pub fn new(learning_rate: f64) -> Self {
        Adam {
            learning_rate,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            amsgrad: false,
            updates: 0,
            momentums: Slots::new(),
            velocities: Slots::new(),
            largest_velocities: Slots::new(),
        }
    }

    /// How much of the mean of the gradients is kept at each update.
    pub fn beta_1(mut self, beta_1: f64) -> Self {
        self.beta_1 = beta_1;
        self
    }

    /// How much of the mean of the squared gradients is kept at each update.
    pub fn beta_2(mut self, beta_2: f64) -> Self {
        self.beta_2 = beta_2;
        self
    }

    /// What keeps the quotient finite ("epsilon hat" in the paper).
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Whether to divide by the largest mean so far (Reddi et al. 2018).
    pub fn amsgrad(mut self, yes: bool) -> Self {
        self.amsgrad = yes;
        self
    }

    /// Changes the learning rate for the updates to come.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }

    /// `learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t)`, each operation in `T` as in Keras.
    fn rate(&self) -> T {
        let t = T::from_f64((self.updates + 1) as f64);
        let power = |beta: f64| T::from_f64(beta).powf(t);
        let one = T::one();
        T::from_f64(self.learning_rate) * (one - power(self.beta_2)).sqrt() / (one - power(self.beta_1))
    }
}

impl<T: Float> Optimizer<T> for Adam<T> {
    fn step(&mut self, layer: &mut dyn Layer<T>, gradients: &Gradients<T>) -> Result<()> {
        self.momentums.prepare(gradients)?;
        self.velocities.prepare(gradients)?;
        if self.amsgrad {
            self.largest_velocities.prepare(gradients)?;
        }
        let rate = self.rate();
        let keep = |beta: f64| T::from_f64(1.0 - beta);
        let (take_1, take_2, epsilon) = (keep(self.beta_1), keep(self.beta_2), T::from_f64(self.epsilon));
        let Adam { momentums, velocities, largest_velocities, amsgrad, .. } = self;
        update_each(layer, gradients, |index, mut weight, gradient| {
            let (m, v) = (momentums.get_mut(index), velocities.get_mut(index));
            Zip::from(&mut *m).and(gradient).for_each(|m, &g| *m += (g - *m) * take_1);
            Zip::from(&mut *v).and(gradient).for_each(|v, &g| *v += (g * g - *v) * take_2);
            let v = if *amsgrad {
                let largest = largest_velocities.get_mut(index);
                Zip::from(&mut *largest).and(&*v).for_each(|largest, &v| *largest = largest.max(v));
                &*largest
            } else {
                &*v
            };
            Zip::from(&mut weight).and(&*m).and(v).for_each(|w, &m, &v| *w -= m * rate / (v.sqrt() + epsilon));
        })?;
        self.updates += 1;
        Ok(())
    }
}
