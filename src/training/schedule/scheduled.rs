//! An optimizer that follows a schedule.

use super::Schedule;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::Gradients;
use crate::parameters::Parameters;
use crate::training::optimizers::Optimizer;

/// An optimizer whose learning rate follows a [`Schedule`]: each update has the rate of its number, as where Keras's
/// optimizers are given a schedule for their `learning_rate`.
///
/// ```
/// use recurrent::{Dense, Gradients, training::*};
/// let mut layer = Dense::<f32>::new(3, 2);
/// let gradients = Gradients::new(&layer);
/// let mut optimizer = Scheduled::new(AdamW::new(0.1), ExponentialDecay::new(0.1, 10, 0.5).staircase(true));
/// for _ in 0..25 {
///     optimizer.step(&mut layer, &gradients)?;
/// }
/// assert_eq!((optimizer.iterations(), optimizer.learning_rate() as f32), (25, 0.025));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scheduled<O> {
    optimizer: O,
    schedule: Schedule,
}

impl<O> Scheduled<O> {
    /// Of any optimizer; the learning rate that it was made with is replaced.
    #[must_use]
    pub fn new(optimizer: O, schedule: impl Into<Schedule>) -> Self {
        Scheduled { optimizer, schedule: schedule.into() }
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &O {
        &self.optimizer
    }

    /// The schedule.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Follows another schedule from now on.
    pub fn set_schedule(&mut self, schedule: impl Into<Schedule>) {
        self.schedule = schedule.into();
    }

    /// The optimizer, to go on without a schedule, with the learning rate of its last update.
    pub fn into_inner(self) -> O {
        self.optimizer
    }
}

impl<T: Float, O: Optimizer<T>> Optimizer<T> for Scheduled<O> {
    fn step_all<'a>(&mut self, parts: &mut [(&'a mut dyn Parameters<T>, &'a Gradients<T>)]) -> Result<()> {
        self.schedule.validate()?;
        let (before, rate) = (self.optimizer.learning_rate(), self.learning_rate());
        self.optimizer.set_learning_rate(rate)?;
        let result = self.optimizer.step_all(parts);
        if result.is_err() {
            self.optimizer.set_learning_rate(before)?;
        }
        result
    }

    fn learning_rate(&self) -> f64 {
        self.schedule.at(self.optimizer.iterations())
    }

    fn set_learning_rate(&mut self, _learning_rate: f64) -> Result<()> {
        Err(Error::ScheduledRate)
    }

    fn iterations(&self) -> u64 {
        self.optimizer.iterations()
    }

    fn validate(&self) -> Result<()> {
        self.schedule.validate()?;
        self.optimizer.validate()
    }

    fn loss_scale_factor(&self) -> Option<f64> {
        self.optimizer.loss_scale_factor()
    }

    fn finalize_variable_values(&self, parts: &mut [&mut dyn Parameters<T>]) -> Result<()> {
        self.optimizer.finalize_variable_values(parts)
    }
}
