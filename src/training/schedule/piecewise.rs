//! Rates that stay for a while.

use super::Course;
#[cfg(feature = "file")]
use super::counted;
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::training::optimizers::numbers;

/// One learning rate up to and with the first boundary, another up to and with the second, ..., the last one ever after.
///
/// ```
/// use recurrent::training::PiecewiseConstantDecay;
/// let schedule = PiecewiseConstantDecay::new(&[100, 200], &[0.5, 0.25, 0.125]);
/// assert_eq!([0, 100, 101, 200, 201].map(|update| schedule.at(update)), [0.5, 0.5, 0.25, 0.25, 0.125]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PiecewiseConstantDecay {
    boundaries: Vec<u64>,
    values: Vec<f64>,
}

impl PiecewiseConstantDecay {
    /// The boundaries, at least one, each larger than the one before, and the learning rates, one more.
    #[must_use]
    pub fn new(boundaries: &[u64], values: &[f64]) -> Self {
        PiecewiseConstantDecay { boundaries: boundaries.into(), values: values.into() }
    }
}

impl Course for PiecewiseConstantDecay {
    fn rate(&self, updates: u64) -> f32 {
        let piece = self.boundaries.iter().take_while(|&&boundary| updates > boundary).count();
        // What isn't there is refused by `check`.
        self.values.get(piece).map_or(f32::NAN, |&value| value as f32)
    }

    fn check(&self) -> Result<()> {
        let (boundaries, values) = (self.boundaries.len(), self.values.len());
        numbers::check_option("the number of boundaries", "at least 1", boundaries as f64, boundaries > 0)?;
        let expected = "one more than that of boundaries";
        numbers::check_option("the number of values", expected, values as f64, values == boundaries + 1)?;
        for pair in self.boundaries.windows(2) {
            let expected = "larger than the one before";
            numbers::check_option("each of the boundaries", expected, pair[1] as f64, pair[1] > pair[0])?;
        }
        self.values.iter().try_for_each(|&value| numbers::not_negative::<f32>("each of the values", value))
    }

    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config {
        let boundaries: Vec<i64> = self.boundaries.iter().map(|&boundary| counted(boundary)).collect();
        config.with("boundaries", boundaries).with("values", self.values.clone())
    }

    #[cfg(feature = "file")]
    fn read(options: &Options<'_>) -> Result<Self, ConfigError> {
        let expected = "a whole number of at least 0";
        let boundary =
            |item: &crate::config::Item<'_>| u64::try_from(item.integer()?).map_err(|_| item.wrong(expected));
        Ok(PiecewiseConstantDecay {
            boundaries: options.list("boundaries", "whole numbers")?.iter().map(boundary).collect::<Result<_, _>>()?,
            values: options.list("values", "numbers")?.iter().map(|item| item.number()).collect::<Result<_, _>>()?,
        })
    }
}
