//! Adagrad.

use ndarray::{ArrayViewMutD, Zip};

use super::common_options::common_options;
use super::memory::{Owners, Slots};
use super::numbers;
use super::rules::{Gradient, Rule, Rules, by_f32};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::float::Float;

/// Keras's `Adagrad` (Duchi et al. 2011), with its defaults: initial_accumulator_value 0.1, epsilon 1e-7.
///
/// ```text
/// a += g^2
/// w -= learning_rate g / sqrt(a + epsilon)
/// ```
#[derive(Debug, Clone)]
#[must_use = "setters return the optimizer"]
pub struct Adagrad<T> {
    rules: Rules<T>,
    rule: SquaresSoFar<T>,
}

/// The rule and the sums.
#[derive(Debug, Clone)]
struct SquaresSoFar<T> {
    initial_accumulator_value: f64,
    epsilon: f64,
    accumulators: Slots<T>,
    learning_rate: T,
}

impl<T: Float> Adagrad<T> {
    /// With this learning rate (Keras's default is 0.001): finite, at least 0. It and all other numbers are checked at
    /// each step, or by [`validate`](super::Optimizer::validate).
    pub fn new(learning_rate: f64) -> Self {
        let rule = SquaresSoFar {
            initial_accumulator_value: 0.1,
            epsilon: 1e-7,
            accumulators: Slots::new(),
            learning_rate: T::zero(),
        };
        Adagrad { rules: Rules::new(learning_rate), rule }
    }

    /// What the sums of squares begin with, before the first update: finite, at least 0.
    pub fn initial_accumulator_value(mut self, value: f64) -> Self {
        self.rule.initial_accumulator_value = value;
        self
    }

    /// What keeps the quotient finite: above 0.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule.epsilon = epsilon;
        self
    }
}

common_options!(Adagrad);

impl<T: Float> Rule<T> for SquaresSoFar<T> {
    fn check(&self) -> Result<()> {
        numbers::not_negative::<f32>("initial_accumulator_value", self.initial_accumulator_value)?;
        numbers::positive::<T>("epsilon", self.epsilon)
    }

    fn remember(&mut self, owners: &Owners) {
        self.accumulators.make_filled(owners, by_f32(self.initial_accumulator_value));
    }

    fn begin(&mut self, _update: u64, learning_rate: T) {
        self.learning_rate = learning_rate;
    }

    fn change(&mut self, index: usize, weight: &mut ArrayViewMutD<'_, T>, gradient: Gradient<'_, T>) {
        let (epsilon, rate) = (T::from_f64(self.epsilon), self.learning_rate);
        let sums = self.accumulators.get_mut(index);
        gradient.with_squares(sums, |sum, square| *sum += square);
        let all = Zip::from(weight).and(gradient.values).and(&*sums);
        all.for_each(|w, &g, &sum| *w -= rate * g / (sum + epsilon).sqrt());
    }

    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config {
        let config = config.with("initial_accumulator_value", self.initial_accumulator_value);
        self.describe_slots(config.with("epsilon", self.epsilon))
    }

    #[cfg(feature = "file")]
    fn read(&mut self, options: &Options<'_>) -> Result<(), ConfigError> {
        self.initial_accumulator_value = options.number("initial_accumulator_value")?;
        self.epsilon = options.number("epsilon")?;
        Ok(())
    }

    #[cfg(feature = "file")]
    fn slots(&self) -> Vec<(&'static str, &Slots<T>)> {
        vec![("accumulators", &self.accumulators)]
    }

    #[cfg(feature = "file")]
    fn slots_mut(&mut self) -> Vec<(&'static str, &mut Slots<T>)> {
        vec![("accumulators", &mut self.accumulators)]
    }
}
