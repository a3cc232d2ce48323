//! A learning rate that falls when nothing gets better.

#[cfg(feature = "file")]
use super::{count, counted};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::float::Float;
use crate::training::optimizers::{Optimizer, numbers};

/// Whether a monitored number is to become small (a loss) or large (an accuracy).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MonitorMode {
    /// Smaller is better.
    #[default]
    Min,
    /// Larger is better.
    Max,
}

/// Keras's `ReduceLROnPlateau`: lowers an optimizer's learning rate when a number that is monitored (a validation loss)
/// hasn't got better for a while. It is told the number after each epoch.
///
/// ```
/// use recurrent::training::{Optimizer, ReduceLrOnPlateau, Sgd};
/// let mut optimizer = Sgd::<f32>::new(0.5);
/// let mut plateau = ReduceLrOnPlateau::new().factor(0.5).patience(2);
/// for validation_loss in [3.0, 2.0, 2.5, 2.1, 2.0] {
///     if plateau.update(validation_loss, &mut optimizer)? {
///         println!("the learning rate is {} now", optimizer.learning_rate());
///     }
/// }
/// assert_eq!(optimizer.learning_rate(), 0.25);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "setters return the value"]
pub struct ReduceLrOnPlateau {
    factor: f64,
    patience: u64,
    min_delta: f64,
    cooldown: u64,
    min_lr: f64,
    mode: Option<MonitorMode>,
    best: Option<f64>,
    cooldown_left: u64,
    wait: u64,
}

impl Default for ReduceLrOnPlateau {
    fn default() -> Self {
        ReduceLrOnPlateau::new()
    }
}

impl ReduceLrOnPlateau {
    /// With Keras's defaults: a tenth of the learning rate after 10 numbers that aren't smaller than the smallest by
    /// 0.0001.
    pub fn new() -> Self {
        ReduceLrOnPlateau {
            factor: 0.1,
            patience: 10,
            min_delta: 1e-4,
            cooldown: 0,
            min_lr: 0.0,
            mode: None,
            best: None,
            cooldown_left: 0,
            wait: 0,
        }
    }

    /// What the learning rate is multiplied with: at least 0, below 1.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// After how many numbers without improvement.
    pub fn patience(mut self, numbers: u64) -> Self {
        self.patience = numbers;
        self
    }

    /// By how much better a number must be to count: at least 0.
    pub fn min_delta(mut self, delta: f64) -> Self {
        self.min_delta = delta;
        self
    }

    /// How many numbers aren't counted after the learning rate was lowered.
    pub fn cooldown(mut self, numbers: u64) -> Self {
        self.cooldown = numbers;
        self
    }

    /// The learning rate isn't lowered below this.
    pub fn min_lr(mut self, learning_rate: f64) -> Self {
        self.min_lr = learning_rate;
        self
    }

    /// Whether smaller or larger is better: smaller, unless this says otherwise. A [`Fit`](crate::training::Fit) knows it
    /// of its metrics, as Keras does.
    pub fn mode(mut self, mode: MonitorMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// The next monitored number; whether the learning rate was lowered. Numbers are compared in f32, as in Keras. NaN
    /// is no improvement. (In Keras a first one is, and nothing is better than it ever after.)
    ///
    /// # Errors
    /// [`Error::OptimizerOption`](crate::Error::OptimizerOption) for an option out of range,
    /// [`Error::ScheduledRate`](crate::Error::ScheduledRate) for an optimizer that follows a schedule; nothing is
    /// changed then, and the number isn't counted.
    pub fn update<T: Float, O: Optimizer<T> + ?Sized>(&mut self, monitored: f64, optimizer: &mut O) -> Result<bool> {
        self.update_by(MonitorMode::Min, monitored, optimizer)
    }

    /// The same with the way that is better unless it was said.
    pub(crate) fn update_by<T: Float, O: Optimizer<T> + ?Sized>(
        &mut self,
        mode: MonitorMode,
        monitored: f64,
        optimizer: &mut O,
    ) -> Result<bool> {
        self.validate()?;
        let mut next = self.clone();
        if next.cooldown_left > 0 {
            next.cooldown_left -= 1;
            next.wait = 0;
        }
        let mut lowered = false;
        if self.is_improvement(self.mode.unwrap_or(mode), monitored) {
            (next.best, next.wait) = (Some(monitored), 0);
        } else if next.cooldown_left == 0 {
            next.wait = next.wait.saturating_add(1);
            let rate = f64::from(optimizer.learning_rate() as f32);
            if next.wait >= self.patience && rate as f32 > self.min_lr as f32 {
                optimizer.set_learning_rate((rate * self.factor).max(self.min_lr))?;
                (next.cooldown_left, next.wait, lowered) = (self.cooldown, 0, true);
            }
        }
        *self = next;
        Ok(lowered)
    }

    fn is_improvement(&self, mode: MonitorMode, monitored: f64) -> bool {
        match (self.best, mode) {
            (None, _) => !monitored.is_nan(),
            (Some(best), MonitorMode::Min) => ((monitored + self.min_delta) as f32) < best as f32,
            (Some(best), MonitorMode::Max) => ((monitored - self.min_delta) as f32) > best as f32,
        }
    }

    /// The best number so far.
    pub fn best(&self) -> Option<f64> {
        self.best
    }

    /// Forgets the numbers so far: what Keras does at the beginning of `fit`.
    pub fn reset(&mut self) {
        (self.best, self.cooldown_left, self.wait) = (None, 0, 0);
    }

    /// Checks that every number makes sense, as each [`update`](ReduceLrOnPlateau::update) does.
    ///
    /// # Errors
    /// [`Error::OptimizerOption`](crate::Error::OptimizerOption) names the option and its range.
    pub fn validate(&self) -> Result<()> {
        numbers::check_option("factor", "in 0..1", self.factor, (0.0..1.0).contains(&self.factor))?;
        numbers::not_negative::<f32>("min_delta", self.min_delta)?;
        numbers::not_negative::<f32>("min_lr", self.min_lr)
    }

    /// All of it, for files.
    #[cfg(feature = "file")]
    pub(crate) fn describe(&self) -> Config {
        Config::new("ReduceLrOnPlateau")
            .with("factor", self.factor)
            .with("patience", counted(self.patience))
            .with("min_delta", self.min_delta)
            .with("cooldown", counted(self.cooldown))
            .with("min_lr", self.min_lr)
            .with("mode", self.mode.map_or("auto", |mode| if mode == MonitorMode::Min { "min" } else { "max" }))
            .with("best", self.best)
            .with("cooldown_left", counted(self.cooldown_left))
            .with("wait", counted(self.wait))
    }

    #[cfg(feature = "file")]
    pub(crate) fn read(options: &Options<'_>) -> Result<Self, ConfigError> {
        Ok(ReduceLrOnPlateau {
            factor: options.number("factor")?,
            patience: count(options, "patience")?,
            min_delta: options.number("min_delta")?,
            cooldown: count(options, "cooldown")?,
            min_lr: options.number("min_lr")?,
            mode: options
                .word("mode", &[("auto", None), ("min", Some(MonitorMode::Min)), ("max", Some(MonitorMode::Max))])?,
            best: options.need("best", "a number or null")?.given().map(|best| best.number()).transpose()?,
            cooldown_left: count(options, "cooldown_left")?,
            wait: count(options, "wait")?,
        })
    }
}
