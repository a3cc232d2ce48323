//! What a training run has logged.

use std::fmt;

use crate::error::{Error, Result};

/// What [`Fit`](super::Fit) has logged of each epoch, by Keras's names: `loss`, `val_loss`, those of metrics, and with
/// several outputs `NAME_loss` (in which all batches count alike, as in Keras; in `loss` and in metrics rows do).
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, training::*};
/// let (mut dense, x, target) = (Dense::<f64>::new(2, 1), Array3::<f64>::ones((4, 1, 2)), Array3::<f64>::zeros((4, 1, 1)));
/// let history = Fit::new(Loss::MeanSquaredError, Sgd::new(0.1)).epochs(3).run(&mut dense, &x, &target)?;
/// assert_eq!(history.get("loss")?.len(), 3);
/// assert_eq!(history.get("val_loss").unwrap_err().to_string(), "there is no history \"val_loss\": the names are loss");
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, PartialEq, Default)]
pub struct History {
    pub(super) entries: Vec<(String, Vec<f64>)>,
    pub(super) best_epoch: Option<usize>,
    pub(super) stopped_epoch: Option<usize>,
}

impl History {
    /// One number for each epoch; of `val_..` for each epoch after which was validated.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are.
    pub fn get(&self, name: &str) -> Result<&[f64]> {
        let entry = self.entries.iter().find(|(own, _)| own == name);
        entry.map(|(_, values)| &values[..]).ok_or_else(|| Error::unknown_name("history", name, self.owned_names()))
    }

    /// The names, in the order in which Keras prints them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| &**name)
    }

    fn owned_names(&self) -> impl Iterator<Item = String> {
        self.entries.iter().map(|(name, _)| name.clone())
    }

    /// The number of epochs.
    pub fn epochs(&self) -> usize {
        self.entries.first().map_or(0, |(_, values)| values.len())
    }

    /// The epoch that was best, from 1, if there was early stopping: its weights are those of the network if they were
    /// to be restored.
    pub fn best_epoch(&self) -> Option<usize> {
        self.best_epoch
    }

    /// The epoch after which early stopping ended the run, from 1.
    pub fn stopped_epoch(&self) -> Option<usize> {
        self.stopped_epoch
    }

    pub(super) fn push(&mut self, logs: &[(String, f64)]) {
        for (name, value) in logs {
            match self.entries.iter_mut().find(|(own, _)| own == name) {
                Some((_, values)) => values.push(*value),
                None => self.entries.push((name.clone(), vec![*value])),
            }
        }
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries.iter().map(|(name, values)| (name, values))).finish()
    }
}
