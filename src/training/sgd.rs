//! Stochastic gradient descent.

use ndarray::{ArrayViewMutD, Zip};

use super::common_options::common_options;
#[cfg(feature = "file")]
use super::described::Show;
use super::memory::{Owners, Slots};
use super::numbers;
use super::optimizer::Optimizer;
use super::rules::{Gradient, Rule, Rules, by_f32};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options, Tensors};
use crate::error::Result;
use crate::float::Float;
use crate::gradients::Gradients;
use crate::parameters::Parameters;

/// Keras's `SGD`: `w -= learning_rate * g`, or with momentum `v = momentum * v - learning_rate * g; w += v`.
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
    /// are checked at each step, or by [`validate`](Sgd::validate).
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

/// For files.
#[cfg(feature = "file")]
impl<T: Float> Sgd<T> {
    pub(crate) fn describe(&self) -> Config {
        let Momentum { momentum, nesterov, velocities, .. } = &self.rule;
        let config = self.rules.describe("Sgd").with("momentum", *momentum).with("nesterov", *nesterov);
        config.with("velocities", !velocities.is_empty())
    }

    pub(crate) fn show(&self, show: &mut Show<'_, T>) {
        self.rules.show(show);
        self.rule.velocities.show("velocities", show);
    }

    pub(crate) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Result<Self, ConfigError> {
        let rules = Rules::read(options, tensors)?;
        let rule = Momentum {
            momentum: options.number("momentum")?,
            nesterov: options.flag("nesterov")?,
            velocities: Slots::read(options, tensors, "velocities", rules.owners())?,
            learning_rate: T::zero(),
        };
        Ok(Sgd { rules, rule })
    }
}

impl<T: Float> Optimizer<T> for Sgd<T> {
    fn step_all<'a>(&mut self, parts: &mut [(&'a mut dyn Parameters<T>, &'a Gradients<T>)]) -> Result<()> {
        self.rules.step(&mut self.rule, parts)
    }
}

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
}
