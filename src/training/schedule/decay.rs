//! Decay by a factor, and by a divisor that grows.

use super::Course;
use super::functions::power;
#[cfg(feature = "file")]
use super::{count, counted};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::training::optimizers::numbers;

/// The numbers of both.
#[derive(Debug, Clone, PartialEq)]
struct Decay {
    initial_learning_rate: f64,
    decay_steps: u64,
    decay_rate: f64,
    staircase: bool,
}

impl Decay {
    /// `updates / decay_steps`
    fn periods(&self, updates: u64) -> f32 {
        let periods = updates as f32 / self.decay_steps as f32;
        if self.staircase { periods.floor() } else { periods }
    }

    fn check(&self) -> Result<()> {
        numbers::not_negative::<f32>("initial_learning_rate", self.initial_learning_rate)?;
        numbers::at_least("decay_steps", (1, "at least 1"), self.decay_steps)?;
        numbers::not_negative::<f32>("decay_rate", self.decay_rate)
    }

    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config {
        let config = config.with("initial_learning_rate", self.initial_learning_rate);
        let config = config.with("decay_steps", counted(self.decay_steps)).with("decay_rate", self.decay_rate);
        config.with("staircase", self.staircase)
    }

    #[cfg(feature = "file")]
    fn read(options: &Options<'_>) -> Result<Self, ConfigError> {
        let (initial_learning_rate, decay_steps) =
            (options.number("initial_learning_rate")?, count(options, "decay_steps")?);
        let (decay_rate, staircase) = (options.number("decay_rate")?, options.flag("staircase")?);
        Ok(Decay { initial_learning_rate, decay_steps, decay_rate, staircase })
    }
}

/// The two schedules.
macro_rules! decays {
    ($($(#[$doc:meta])* $name:ident: |$rate:ident, $factor:ident, $periods:ident| $result:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[must_use = "setters return the schedule"]
        pub struct $name(Decay);

        impl $name {
            /// From this learning rate on; `decay_steps` is at least 1.
            pub fn new(initial_learning_rate: f64, decay_steps: u64, decay_rate: f64) -> Self {
                $name(Decay { initial_learning_rate, decay_steps, decay_rate, staircase: false })
            }

            /// Whether the rate stays for `decay_steps` updates each time: `t / decay_steps` without its fraction.
            pub fn staircase(mut self, yes: bool) -> Self {
                self.0.staircase = yes;
                self
            }
        }

        impl Course for $name {
            fn rate(&self, updates: u64) -> f32 {
                let ($rate, $factor, $periods) =
                    (self.0.initial_learning_rate as f32, self.0.decay_rate as f32, self.0.periods(updates));
                $result
            }

            fn check(&self) -> Result<()> {
                self.0.check()
            }

            #[cfg(feature = "file")]
            fn describe(&self, config: Config) -> Config {
                self.0.describe(config)
            }

            #[cfg(feature = "file")]
            fn read(options: &Options<'_>) -> Result<Self, ConfigError> {
                Decay::read(options).map($name)
            }
        }
    )*};
}

decays! {
    /// `initial_learning_rate * decay_rate^(t / decay_steps)` after t updates.
    ExponentialDecay: |rate, factor, periods| rate * power(factor, periods);

    /// `initial_learning_rate / (1 + decay_rate * t / decay_steps)` after t updates.
    InverseTimeDecay: |rate, factor, periods| rate / (1.0 + factor * periods);
}
