//! Lion.

use ndarray::{ArrayViewMutD, Zip};

use super::common_options::common_options;
use super::memory::{Owners, Slots};
use super::numbers;
use super::rules::{Gradient, Rule, Rules, by_f32};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::float::Float;

/// Keras's `Lion` (Chen et al. 2023), with its defaults: beta_1 0.9, beta_2 0.99. All weights move by the learning rate,
/// up or down, so that it is chosen smaller than Adam's, and the weight decay larger.
///
/// ```text
/// w -= learning_rate sign(beta_1 m + (1 - beta_1) g)
/// m = beta_2 m + (1 - beta_2) g
/// ```
#[derive(Debug, Clone)]
#[must_use = "setters return the optimizer"]
pub struct Lion<T> {
    rules: Rules<T>,
    rule: Signs<T>,
}

/// The rule and the means.
#[derive(Debug, Clone)]
struct Signs<T> {
    beta_1: f64,
    beta_2: f64,
    means: Slots<T>,
    learning_rate: T,
}

impl<T: Float> Lion<T> {
    /// With this learning rate (Keras's default is 0.001): finite, at least 0. It and all other numbers are checked at
    /// each step, or by [`validate`](super::Optimizer::validate).
    pub fn new(learning_rate: f64) -> Self {
        let rule = Signs { beta_1: 0.9, beta_2: 0.99, means: Slots::new(), learning_rate: T::zero() };
        Lion { rules: Rules::new(learning_rate), rule }
    }

    /// How much the mean of the gradients counts beside the newest one: above 0, at most 1.
    pub fn beta_1(mut self, beta_1: f64) -> Self {
        self.rule.beta_1 = beta_1;
        self
    }

    /// How much of the mean of the gradients is kept at each update: 0 to 1.
    pub fn beta_2(mut self, beta_2: f64) -> Self {
        self.rule.beta_2 = beta_2;
        self
    }
}

common_options!(Lion);

impl<T: Float> Rule<T> for Signs<T> {
    fn check(&self) -> Result<()> {
        numbers::share("beta_1", self.beta_1)?;
        numbers::fraction("beta_2", self.beta_2)
    }

    fn remember(&mut self, owners: &Owners) {
        self.means.make(owners);
    }

    fn begin(&mut self, _update: u64, learning_rate: T) {
        self.learning_rate = learning_rate;
    }

    fn change(&mut self, index: usize, weight: &mut ArrayViewMutD<'_, T>, gradient: Gradient<'_, T>) {
        let (keep_1, keep_2) = (by_f32::<T>(self.beta_1), by_f32::<T>(self.beta_2));
        let (take_1, take_2, rate) = (T::one() - keep_1, T::one() - keep_2, self.learning_rate);
        Zip::from(weight).and(self.means.get_mut(index)).and(gradient.values).for_each(|w, m, &g| {
            *w -= rate * sign(*m * keep_1 + g * take_1);
            *m = *m * keep_2 + g * take_2;
        });
    }

    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config {
        self.describe_slots(config.with("beta_1", self.beta_1).with("beta_2", self.beta_2))
    }

    #[cfg(feature = "file")]
    fn read(&mut self, options: &Options<'_>) -> Result<(), ConfigError> {
        (self.beta_1, self.beta_2) = (options.number("beta_1")?, options.number("beta_2")?);
        Ok(())
    }

    #[cfg(feature = "file")]
    fn slots(&self) -> Vec<(&'static str, &Slots<T>)> {
        vec![("means", &self.means)]
    }

    #[cfg(feature = "file")]
    fn slots_mut(&mut self) -> Vec<(&'static str, &mut Slots<T>)> {
        vec![("means", &mut self.means)]
    }
}

/// 1, -1, or a zero or NaN as it is.
fn sign<T: Float>(x: T) -> T {
    if x > T::zero() {
        T::one()
    } else if x < T::zero() {
        -T::one()
    } else {
        x
    }
}
