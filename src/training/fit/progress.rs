//! What callbacks hear.

use std::fmt;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// An epoch that is over, for [`Fit::on_epoch`](super::Fit::on_epoch). Its `Display` is the line that
/// [`Fit::print_progress`](super::Fit::print_progress) prints.
///
/// ```
/// use std::ops::ControlFlow;
/// use recurrent::training::{Adam, Fit, Loss};
///
/// let fit = Fit::<f32, _>::new(Loss::MeanSquaredError, Adam::<f32>::new(0.01)).on_epoch(|progress| {
///     println!("{progress}");
///     ControlFlow::Continue(())
/// });
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// From 1.
    pub epoch: usize,
    /// How many there are to be.
    pub epochs: usize,
    /// The mean of the losses of all updates of the epoch, weighted by their rows, as Keras logs it.
    pub loss: f64,
    /// How long the run has taken so far; `None` where there is no clock.
    pub elapsed: Option<Duration>,
    pub(super) logs: &'a [(String, f64)],
    /// The epochs of this run so far.
    pub(super) done: usize,
}

impl Progress<'_> {
    /// A number by its name: `val_loss`, `binary_accuracy`.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are.
    pub fn get(&self, name: &str) -> Result<f64> {
        let entry = self.logs.iter().find(|(own, _)| own == name);
        let known = || self.logs.iter().map(|(name, _)| name.clone());
        entry.map(|(_, value)| *value).ok_or_else(|| Error::unknown_name("history", name, known()))
    }

    /// All numbers by their names.
    pub fn logs(&self) -> impl Iterator<Item = (&str, f64)> {
        self.logs.iter().map(|(name, value)| (&**name, *value))
    }

    /// How long the epochs to come will take, if they take as long as those that are over.
    pub fn left(&self) -> Option<Duration> {
        let left = self.epochs.saturating_sub(self.epoch) as f64;
        let seconds = self.elapsed?.as_secs_f64() / self.done.max(1) as f64 * left;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

impl fmt::Display for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}/{}:", self.epoch, self.epochs)?;
        for (place, (name, value)) in self.logs.iter().enumerate() {
            // As many digits as tell two epochs apart, in whatever size.
            let comma = if place == 0 { "" } else { "," };
            match value.abs() {
                0.001..10_000.0 => write!(f, "{comma} {name} {value:.4}")?,
                0.0 => write!(f, "{comma} {name} 0")?,
                _ => write!(f, "{comma} {name} {value:.3e}")?,
            }
        }
        match self.left() {
            Some(left) if self.epoch < self.epochs => write!(f, " ({:.1} s left)", left.as_secs_f64()),
            _ => match self.elapsed {
                Some(elapsed) => write!(f, " ({:.1} s)", elapsed.as_secs_f64()),
                None => Ok(()),
            },
        }
    }
}

/// An update that is done, for [`Fit::on_update`](super::Fit::on_update).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Update {
    /// From 1.
    pub epoch: usize,
    /// Of this run, from 1.
    pub update: u64,
    /// Of this epoch, from 1.
    pub batch: usize,
    /// The batches of an epoch, if that is known.
    pub batches: Option<usize>,
    /// The loss of the batch, before the update.
    pub loss: f64,
}

/// A clock, where there is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Option<Instant>);

impl Clock {
    pub(super) fn start() -> Self {
        // In a browser's wasm the standard library's clock panics.
        let is_there = !cfg!(all(target_family = "wasm", target_os = "unknown"));
        Clock(is_there.then(Instant::now))
    }

    pub(super) fn elapsed(self) -> Option<Duration> {
        self.0.map(|start| start.elapsed())
    }
}
