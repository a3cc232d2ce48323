//! Learning rates that fall when a number hasn't become better.

use crate::error::{Error, Result};
use crate::float::Float;
use crate::training::optimizers::Optimizer;
use crate::training::schedule::{MonitorMode, ReduceLrOnPlateau};

/// Each with the name of its number.
#[derive(Debug, Clone, Default)]
pub(super) struct Plateaus(Vec<(String, ReduceLrOnPlateau)>);

impl Plateaus {
    pub(super) fn push(&mut self, monitor: &str, plateau: ReduceLrOnPlateau) {
        self.0.push((monitor.into(), plateau));
    }

    /// Checks options, and that their numbers are logged.
    pub(super) fn check(&self, names: &[(String, bool)]) -> Result<()> {
        for (monitor, plateau) in &self.0 {
            plateau.validate()?;
            if !names.iter().any(|(name, _)| name == monitor) {
                let known = names.iter().map(|(name, _)| name.clone());
                return Err(Error::unknown_name("number to monitor", monitor, known));
            }
        }
        Ok(())
    }

    /// After an epoch; one without validation has no numbers of it. `names` say of which of them more is better.
    pub(super) fn update<T: Float, O: Optimizer<T>>(
        &mut self,
        names: &[(String, bool)],
        logs: &[(String, f64)],
        optimizer: &mut O,
    ) -> Result<()> {
        for (monitor, plateau) in &mut self.0 {
            if let Some((_, value)) = logs.iter().find(|(name, _)| name == monitor) {
                let rises = names.iter().any(|(name, rises)| name == monitor && *rises);
                plateau.update_by(if rises { MonitorMode::Max } else { MonitorMode::Min }, *value, optimizer)?;
            }
        }
        Ok(())
    }

    pub(super) fn copies(&self) -> Vec<ReduceLrOnPlateau> {
        self.0.iter().map(|(_, plateau)| plateau.clone()).collect()
    }

    /// What these have seen in an earlier run.
    #[cfg(feature = "file")]
    pub(super) fn go_on_from(&mut self, earlier: Vec<ReduceLrOnPlateau>) -> Result<()> {
        if earlier.len() != self.0.len() {
            let expected = format!("called {} times, as in the run that goes on", earlier.len());
            let given = format!("{} times", self.0.len());
            return Err(Error::TrainingOption { option: "reduce_lr_on_plateau".into(), expected, given });
        }
        self.0.iter_mut().zip(earlier).for_each(|((_, own), earlier)| *own = earlier);
        Ok(())
    }
}
