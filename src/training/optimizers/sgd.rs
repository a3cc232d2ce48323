//! Stochastic gradient descent.

use ndarray::{ArrayViewMutD, Zip};

use super::common_options::common_options;
use super::memory::{Owners, Slots};
use super::numbers;
use super::rules::{Gradient, Rule, Rules, by_f32};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::float::Float;

/// Keras's `SGD`: `w -= learning_rate * g`, or with momentum `v = momentum * v - learning_rate * g; w += v`.
///
/// ```
/// use recurrent::training::{Optimizer, Sgd};
///
/// let sgd = Sgd::<f32>::new(0.1).momentum(0.9).nesterov(true);
/// assert_eq!(sgd.learning_rate(), 0.1);
/// ```
#[derive(Debug, Clone)]
#[must_use = "setters return the optimizer"]
pub struct Sgd<T> {
    rules: Rules<T>,
    rule: Momentum<T>,
}

/// The rule and the velocities.
#[derive(Debug, Clone)]
struct Momentum<T> {
    momentum: f64,
    nesterov: bool,
    velocities: Slots<T>,
    learning_rate: T,
}

impl<T: Float> Sgd<T> {
    /// Plain descent with this learning rate (Keras's default is 0.01): finite, at least 0. It and all other numbers
    /// are checked at each step, or by [`validate`](super::Optimizer::validate).
    pub fn new(learning_rate: f64) -> Self {
        let rule = Momentum { momentum: 0.0, nesterov: false, velocities: Slots::new(), learning_rate: T::zero() };
        Sgd { rules: Rules::new(learning_rate), rule }
    }

    /// With momentum, 0 to 1.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.rule.momentum = momentum;
        self
    }

    /// With Nesterov's form of the momentum: `w += momentum * v - learning_rate * g`.
    pub fn nesterov(mut self, yes: bool) -> Self {
        self.rule.nesterov = yes;
        self
    }
}

common_options!(Sgd);

impl<T: Float> Rule<T> for Momentum<T> {
    fn check(&self) -> Result<()> {
        numbers::fraction("momentum", self.momentum)
    }

    fn remember(&mut self, owners: &Owners) {
        if self.momentum != 0.0 {
            self.velocities.make(owners);
        }
    }

    fn begin(&mut self, _update: u64, learning_rate: T) {
        self.learning_rate = learning_rate;
    }

    fn change(&mut self, index: usize, weight: &mut ArrayViewMutD<'_, T>, gradient: Gradient<'_, T>) {
        let gradient = gradient.values;
        let (rate, momentum, nesterov) = (self.learning_rate, by_f32::<T>(self.momentum), self.nesterov);
        if self.momentum == 0.0 {
            return Zip::from(weight).and(gradient).for_each(|w, &g| *w -= g * rate);
        }
        Zip::from(weight).and(gradient).and(self.velocities.get_mut(index)).for_each(|w, &g, v| {
            *v = *v * momentum - g * rate;
            *w += if nesterov { *v * momentum - g * rate } else { *v };
        });
    }

    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config {
        self.describe_slots(config.with("momentum", self.momentum).with("nesterov", self.nesterov))
    }

    #[cfg(feature = "file")]
    fn read(&mut self, options: &Options<'_>) -> Result<(), ConfigError> {
        (self.momentum, self.nesterov) = (options.number("momentum")?, options.flag("nesterov")?);
        Ok(())
    }

    #[cfg(feature = "file")]
    fn slots(&self) -> Vec<(&'static str, &Slots<T>)> {
        vec![("velocities", &self.velocities)]
    }

    #[cfg(feature = "file")]
    fn slots_mut(&mut self) -> Vec<(&'static str, &mut Slots<T>)> {
        vec![("velocities", &mut self.velocities)]
    }
}
