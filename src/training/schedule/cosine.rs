//! Decay along half a wave, after a warm-up.

use super::Course;
use super::functions::half_wave;
#[cfg(feature = "file")]
use super::{count, counted};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::training::optimizers::numbers;

/// Down along half a cosine wave (Loshchilov and Hutter 2016), to `alpha` times what it began with, and on at that.
///
/// ```text
/// rate(t) = initial_learning_rate ((1 - alpha) (1 + cos(π t / decay_steps)) / 2 + alpha)   for t <= decay_steps
/// ```
///
/// With a warm-up it first goes from the initial learning rate to another one in a straight line, and then down from
/// that.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "setters return the schedule"]
pub struct CosineDecay {
    initial_learning_rate: f64,
    decay_steps: u64,
    alpha: f64,
    warmup: Option<(f64, u64)>,
}

impl CosineDecay {
    /// From this learning rate to 0 in `decay_steps` updates, at least 1.
    pub fn new(initial_learning_rate: f64, decay_steps: u64) -> Self {
        CosineDecay { initial_learning_rate, decay_steps, alpha: 0.0, warmup: None }
    }

    /// What is left at the end, as a part of what it began with; 0 unless it is set.
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Begins with so many steps from the initial learning rate to this one: Keras's `warmup_target` and `warmup_steps`.
    /// The decay comes after them.
    pub fn warmup(mut self, target: f64, steps: u64) -> Self {
        self.warmup = Some((target, steps));
        self
    }
}

impl Course for CosineDecay {
    fn rate(&self, updates: u64) -> f32 {
        let (initial, decay_steps) = (self.initial_learning_rate as f32, self.decay_steps as f32);
        let (target, warmup_steps) =
            self.warmup.map_or((initial, 0.0), |(target, steps)| (target as f32, steps as f32));
        let t = (updates as f32).min(decay_steps + warmup_steps);
        if t < warmup_steps {
            return (target - initial) * (t / warmup_steps) + initial;
        }
        let wave = half_wave((t - warmup_steps) / decay_steps);
        target * ((1.0 - self.alpha) as f32 * wave + self.alpha as f32)
    }

    fn check(&self) -> Result<()> {
        numbers::not_negative::<f32>("initial_learning_rate", self.initial_learning_rate)?;
        numbers::at_least("decay_steps", (1, "at least 1"), self.decay_steps)?;
        numbers::not_negative::<f32>("alpha", self.alpha)?;
        numbers::not_negative::<f32>("warmup_target", self.warmup.map_or(0.0, |(target, _)| target))
    }

    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config {
        let config = config.with("initial_learning_rate", self.initial_learning_rate);
        let config = config.with("decay_steps", counted(self.decay_steps)).with("alpha", self.alpha);
        let (target, steps) = self.warmup.unzip();
        config.with("warmup_target", target).with("warmup_steps", steps.map(counted))
    }

    #[cfg(feature = "file")]
    fn read(options: &Options<'_>) -> Result<Self, ConfigError> {
        let target = options.need("warmup_target", "a number or null")?.given();
        let steps = options.need("warmup_steps", "a whole number or null")?.given().is_some();
        let target = target.filter(|_| steps).map(|target| target.number()).transpose()?;
        Ok(CosineDecay {
            initial_learning_rate: options.number("initial_learning_rate")?,
            decay_steps: count(options, "decay_steps")?,
            alpha: options.number("alpha")?,
            warmup: target.map(|target| Ok((target, count(options, "warmup_steps")?))).transpose()?,
        })
    }
}
