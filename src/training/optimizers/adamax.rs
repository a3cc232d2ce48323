//! Adam by the largest gradient.

use ndarray::{ArrayViewMutD, Zip};

use super::common_options::common_options;
use super::memory::{Owners, Slots};
use super::numbers;
use super::rules::{Gradient, Rule, Rules, left_by_f32};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::float::Float;

/// Keras's `Adamax` (Kingma and Ba 2014, section 7.1), with its defaults: beta_1 0.9, beta_2 0.999, epsilon 1e-7.
///
/// ```text
/// m += (1 - beta_1) (g - m);  u = max(beta_2 u, |g|)
/// w -= learning_rate m / ((1 - beta_1^t) (u + epsilon))
/// ```
#[derive(Debug, Clone)]
#[must_use = "setters return the optimizer"]
pub struct Adamax<T> {
    rules: Rules<T>,
    rule: LargestMoments<T>,
}

/// The rule, the means and the largest gradients.
#[derive(Debug, Clone)]
struct LargestMoments<T> {
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    means: Slots<T>,
    largest: Slots<T>,
    rate: T,
    /// `1 - beta_1^t`
    left: T,
}

impl<T: Float> Adamax<T> {
    /// With this learning rate (Keras's default is 0.001): finite, at least 0. It and all other numbers are checked at
    /// each step, or by [`validate`](super::Optimizer::validate).
    pub fn new(learning_rate: f64) -> Self {
        let rule = LargestMoments {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            means: Slots::new(),
            largest: Slots::new(),
            rate: T::zero(),
            left: T::one(),
        };
        Adamax { rules: Rules::new(learning_rate), rule }
    }

    /// How much of the mean of the gradients is kept at each update: at least 0, below 1.
    pub fn beta_1(mut self, beta_1: f64) -> Self {
        self.rule.beta_1 = beta_1;
        self
    }

    /// How much of the largest gradient is kept at each update: 0 to 1.
    pub fn beta_2(mut self, beta_2: f64) -> Self {
        self.rule.beta_2 = beta_2;
        self
    }

    /// What keeps the quotient finite: above 0.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule.epsilon = epsilon;
        self
    }
}

common_options!(Adamax);

impl<T: Float> Rule<T> for LargestMoments<T> {
    const READS_ABSOLUTES: bool = true;

    fn check(&self) -> Result<()> {
        numbers::beta("beta_1", self.beta_1)?;
        numbers::fraction("beta_2", self.beta_2)?;
        numbers::positive::<T>("epsilon", self.epsilon)
    }

    fn remember(&mut self, owners: &Owners) {
        self.means.make(owners);
        self.largest.make(owners);
    }

    fn begin(&mut self, update: u64, learning_rate: T) {
        (self.rate, self.left) = (learning_rate, left_by_f32(self.beta_1, update));
    }

    fn change(&mut self, index: usize, weight: &mut ArrayViewMutD<'_, T>, gradient: Gradient<'_, T>) {
        let (take, keep) = (T::from_f64(1.0 - self.beta_1), T::from_f64(self.beta_2));
        let (epsilon, rate, left) = (T::from_f64(self.epsilon), self.rate, self.left);
        let (m, u) = (self.means.get_mut(index), self.largest.get_mut(index));
        Zip::from(&mut *m).and(gradient.values).for_each(|m, &g| *m += (g - *m) * take);
        gradient.with_absolutes(u, |u, size| {
            let kept = keep * *u;
            // Not `max`: NaN stays.
            *u = if kept > size || kept.is_nan() { kept } else { size };
        });
        Zip::from(weight).and(&*m).and(&*u).for_each(|w, &m, &u| *w -= rate * m / (left * (u + epsilon)));
    }

    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config {
        let config = config.with("beta_1", self.beta_1).with("beta_2", self.beta_2).with("epsilon", self.epsilon);
        self.describe_slots(config)
    }

    #[cfg(feature = "file")]
    fn read(&mut self, options: &Options<'_>) -> Result<(), ConfigError> {
        (self.beta_1, self.beta_2) = (options.number("beta_1")?, options.number("beta_2")?);
        self.epsilon = options.number("epsilon")?;
        Ok(())
    }

    #[cfg(feature = "file")]
    fn slots(&self) -> Vec<(&'static str, &Slots<T>)> {
        vec![("means", &self.means), ("largest", &self.largest)]
    }

    #[cfg(feature = "file")]
    fn slots_mut(&mut self) -> Vec<(&'static str, &mut Slots<T>)> {
        vec![("means", &mut self.means), ("largest", &mut self.largest)]
    }
}
