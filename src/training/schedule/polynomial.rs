//! Decay along a power of time.

use super::Course;
use super::functions::power;
#[cfg(feature = "file")]
use super::{count, counted};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::training::optimizers::numbers;

/// From one learning rate to another, in a straight line or along a power of it, and on at that.
///
/// ```text
/// rate(t) = (initial_learning_rate - end_learning_rate) (1 - t / decay_steps)^power + end_learning_rate
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "setters return the schedule"]
pub struct PolynomialDecay {
    initial_learning_rate: f64,
    decay_steps: u64,
    end_learning_rate: f64,
    power: f64,
    cycle: bool,
}

impl PolynomialDecay {
    /// From this learning rate to 0.0001 in `decay_steps` updates, at least 1.
    pub fn new(initial_learning_rate: f64, decay_steps: u64) -> Self {
        PolynomialDecay { initial_learning_rate, decay_steps, end_learning_rate: 1e-4, power: 1.0, cycle: false }
    }

    /// The learning rate at the end; 0.0001 unless it is set.
    pub fn end_learning_rate(mut self, learning_rate: f64) -> Self {
        self.end_learning_rate = learning_rate;
        self
    }

    /// The power: at least 0; 1, a straight line, unless it is set.
    pub fn power(mut self, power: f64) -> Self {
        self.power = power;
        self
    }

    /// Whether to begin again at the end: with the first multiple of `decay_steps` that isn't below t instead.
    pub fn cycle(mut self, yes: bool) -> Self {
        self.cycle = yes;
        self
    }
}

impl Course for PolynomialDecay {
    fn rate(&self, updates: u64) -> f32 {
        let (initial, end) = (self.initial_learning_rate as f32, self.end_learning_rate as f32);
        let (mut t, mut steps) = (updates as f32, self.decay_steps as f32);
        if !self.cycle {
            t = t.min(steps);
        } else if t != 0.0 {
            steps *= (t / steps).ceil();
        }
        (initial - end) * power((1.0 - t / steps).max(0.0), self.power as f32) + end
    }

    fn check(&self) -> Result<()> {
        numbers::not_negative::<f32>("initial_learning_rate", self.initial_learning_rate)?;
        numbers::at_least("decay_steps", (1, "at least 1"), self.decay_steps)?;
        numbers::not_negative::<f32>("end_learning_rate", self.end_learning_rate)?;
        numbers::not_negative::<f32>("power", self.power)
    }

    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config {
        let config = config.with("initial_learning_rate", self.initial_learning_rate);
        let config = config.with("decay_steps", counted(self.decay_steps));
        let config = config.with("end_learning_rate", self.end_learning_rate).with("power", self.power);
        config.with("cycle", self.cycle)
    }

    #[cfg(feature = "file")]
    fn read(options: &Options<'_>) -> Result<Self, ConfigError> {
        Ok(PolynomialDecay {
            initial_learning_rate: options.number("initial_learning_rate")?,
            decay_steps: count(options, "decay_steps")?,
            end_learning_rate: options.number("end_learning_rate")?,
            power: options.number("power")?,
            cycle: options.flag("cycle")?,
        })
    }
}
