//! Decay along half a wave, again and again.

use super::Course;
use super::functions::{half_wave, logarithm, power};
#[cfg(feature = "file")]
use super::{count, counted};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::training::optimizers::numbers;

/// Down along half a cosine wave, then up at once and down again (Loshchilov and Hutter 2016): each time for `t_mul`
/// times as many updates, from `m_mul` times the learning rate.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "setters return the schedule"]
pub struct CosineDecayRestarts {
    initial_learning_rate: f64,
    first_decay_steps: u64,
    t_mul: f64,
    m_mul: f64,
    alpha: f64,
}

impl CosineDecayRestarts {
    /// From this learning rate to 0 in `first_decay_steps` updates, at least 1; then from the same rate on in twice as
    /// many.
    pub fn new(initial_learning_rate: f64, first_decay_steps: u64) -> Self {
        CosineDecayRestarts { initial_learning_rate, first_decay_steps, t_mul: 2.0, m_mul: 1.0, alpha: 0.0 }
    }

    /// How many times longer each period is than the one before: at least 1; 2 unless it is set. (Keras takes less, and
    /// makes NaN of it after a while.)
    pub fn t_mul(mut self, factor: f64) -> Self {
        self.t_mul = factor;
        self
    }

    /// How many times larger the learning rate is that each period begins with; 1 unless it is set.
    pub fn m_mul(mut self, factor: f64) -> Self {
        self.m_mul = factor;
        self
    }

    /// The smallest learning rate, as a part of the first one; 0 unless it is set.
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }
}

impl Course for CosineDecayRestarts {
    fn rate(&self, updates: u64) -> f32 {
        let (t_mul, m_mul, alpha) = (self.t_mul as f32, self.m_mul as f32, self.alpha as f32);
        let passed = updates as f32 / self.first_decay_steps as f32;
        let (restarts, fraction) = if t_mul == 1.0 {
            (passed.floor(), passed - passed.floor())
        } else {
            let restarts = (logarithm(1.0 - passed * (1.0 - t_mul)) / logarithm(t_mul)).floor();
            let length = power(t_mul, restarts);
            (restarts, (passed - (1.0 - length) / (1.0 - t_mul)) / length)
        };
        let wave = power(m_mul, restarts) * half_wave(fraction);
        self.initial_learning_rate as f32 * ((1.0 - alpha) * wave + alpha)
    }

    fn check(&self) -> Result<()> {
        numbers::not_negative::<f32>("initial_learning_rate", self.initial_learning_rate)?;
        numbers::at_least("first_decay_steps", (1, "at least 1"), self.first_decay_steps)?;
        numbers::not_negative::<f32>("t_mul", self.t_mul)?;
        numbers::check_option("t_mul", "at least 1", self.t_mul, self.t_mul as f32 >= 1.0)?;
        numbers::not_negative::<f32>("m_mul", self.m_mul)?;
        numbers::not_negative::<f32>("alpha", self.alpha)
    }

    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config {
        let config = config.with("initial_learning_rate", self.initial_learning_rate);
        let config = config.with("first_decay_steps", counted(self.first_decay_steps));
        config.with("t_mul", self.t_mul).with("m_mul", self.m_mul).with("alpha", self.alpha)
    }

    #[cfg(feature = "file")]
    fn read(options: &Options<'_>) -> Result<Self, ConfigError> {
        Ok(CosineDecayRestarts {
            initial_learning_rate: options.number("initial_learning_rate")?,
            first_decay_steps: count(options, "first_decay_steps")?,
            t_mul: options.number("t_mul")?,
            m_mul: options.number("m_mul")?,
            alpha: options.number("alpha")?,
        })
    }
}
