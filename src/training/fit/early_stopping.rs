//! Early stopping, and the best weights.

use ndarray::ArrayD;

use crate::error::{Error, Result, words::number};
use crate::float::Float;
use crate::parameters::Parameters;
use crate::training::schedule::MonitorMode;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// Keras's `EarlyStopping`: ends a run when a number hasn't become better for some epochs.
///
/// ```
/// use recurrent::training::{Adam, EarlyStopping, Fit, Loss};
///
/// let rule = EarlyStopping::new("val_loss").patience(3).restore_best_weights(true);
/// let fit = Fit::<f32, _>::new(Loss::MeanSquaredError, Adam::<f32>::new(0.01)).validation_split(0.2).early_stopping(rule);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "setters return it"]
pub struct EarlyStopping {
    pub(super) monitor: String,
    min_delta: f64,
    patience: usize,
    mode: Option<MonitorMode>,
    baseline: Option<f64>,
    start_from_epoch: usize,
    restore_best_weights: bool,
}

impl EarlyStopping {
    /// By the number of this name: `val_loss`, `loss`, or a metric's. Less is better of losses and errors, more of all
    /// other metrics.
    pub fn new(monitor: &str) -> Self {
        EarlyStopping {
            monitor: monitor.into(),
            min_delta: 0.0,
            patience: 0,
            mode: None,
            baseline: None,
            start_from_epoch: 0,
            restore_best_weights: false,
        }
    }

    /// How many epochs may pass without a better number.
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }

    /// A number counts as better from this difference on.
    pub fn min_delta(mut self, delta: f64) -> Self {
        self.min_delta = delta.abs();
        self
    }

    /// Which way is better.
    pub fn mode(mut self, mode: MonitorMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// What must be beaten besides.
    pub fn baseline(mut self, value: f64) -> Self {
        self.baseline = Some(value);
        self
    }

    /// Epochs before this one, counted from 0, aren't looked at.
    pub fn start_from_epoch(mut self, epoch: usize) -> Self {
        self.start_from_epoch = epoch;
        self
    }

    /// Whether the network has the weights of its best epoch at the end, whether it was stopped or not.
    pub fn restore_best_weights(mut self, yes: bool) -> Self {
        self.restore_best_weights = yes;
        self
    }
}

/// What has been seen so far.
#[derive(Debug, Clone)]
pub(crate) struct Memory<T> {
    /// Epochs since the best one.
    pub(crate) wait: usize,
    pub(crate) best: Option<f64>,
    pub(crate) best_epoch: Option<usize>,
    pub(crate) best_weights: Vec<ArrayD<T>>,
    /// Whether the run has been stopped.
    pub(crate) over: bool,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Memory { wait: 0, best: None, best_epoch: None, best_weights: Vec::new(), over: false }
    }
}

/// A rule at work.
pub(super) struct Watch<T> {
    rule: EarlyStopping,
    mode: MonitorMode,
    pub(super) memory: Memory<T>,
}

impl<T: Float> Watch<T> {
    /// `rises` says whether more is better of the number that is watched.
    pub(super) fn new(rule: EarlyStopping, rises: bool) -> Result<Self> {
        if !rule.min_delta.is_finite() {
            let given = number(rule.min_delta);
            return Err(Error::TrainingOption { option: "min_delta".into(), expected: "finite".into(), given });
        }
        if let Some(baseline) = rule.baseline.filter(|baseline| baseline.is_nan()) {
            let (expected, given) = ("a number".into(), number(baseline));
            return Err(Error::TrainingOption { option: "baseline".into(), expected, given });
        }
        let mode = rule.mode.unwrap_or(if rises { MonitorMode::Max } else { MonitorMode::Min });
        Ok(Watch { rule, mode, memory: Memory::default() })
    }

    fn is_better(&self, value: f64, than: Option<f64>) -> bool {
        than.is_none_or(|than| match self.mode {
            MonitorMode::Min => value + self.rule.min_delta < than,
            MonitorMode::Max => value - self.rule.min_delta > than,
        })
    }

    /// Whether the run was stopped before it was resumed, by no more patience than there is now.
    pub(super) fn was_over(&self) -> bool {
        self.memory.over && self.memory.wait >= self.rule.patience
    }

    /// After an epoch, from 0; whether the run is over. As Keras's callback does it, step by step.
    pub(super) fn is_over(&mut self, epoch: usize, logs: &[(String, f64)], network: &dyn Parameters<T>) -> bool {
        let Some((_, value)) = logs.iter().find(|(name, _)| *name == self.rule.monitor) else { return false };
        if epoch < self.rule.start_from_epoch {
            return false;
        }
        if self.rule.restore_best_weights && self.memory.best_weights.is_empty() {
            self.keep(epoch, network);
        }
        self.memory.wait += 1;
        if self.is_better(*value, self.memory.best) {
            self.memory.best = Some(*value);
            self.keep(epoch, network);
            if self.rule.baseline.is_none() || self.is_better(*value, self.rule.baseline) {
                self.memory.wait = 0;
            }
            return false;
        }
        self.memory.over = self.memory.wait >= self.rule.patience && epoch > 0;
        self.memory.over
    }

    fn keep(&mut self, epoch: usize, network: &dyn Parameters<T>) {
        self.memory.best_epoch = Some(epoch + 1);
        if !self.rule.restore_best_weights {
            return;
        }
        let mut place = 0;
        network.visit_weights(&mut WeightVisitor::new(&mut |_, weight| {
            match self.memory.best_weights.get_mut(place) {
                Some(kept) => kept.assign(&weight),
                None => self.memory.best_weights.push(weight.to_owned()),
            }
            place += 1;
        }));
    }

    /// The best weights become those of the network, if they are to.
    pub(super) fn restore(&self, network: &mut dyn Parameters<T>) -> Result<()> {
        if !self.rule.restore_best_weights || self.memory.best_weights.is_empty() {
            return Ok(());
        }
        network.unshare()?;
        let mut kept = self.memory.best_weights.iter();
        network.visit_weights_mut(&mut WeightVisitorMut::new(&mut |_, mut weight| {
            if let Some(kept) = kept.next() {
                weight.assign(kept);
            }
        }))
    }
}
