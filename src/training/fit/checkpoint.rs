//! What a training run goes on from after an epoch, in this process or another.

use ndarray::ArrayD;

use super::early_stopping::Memory;
use crate::error::Result;
use crate::float::Float;
use crate::parameters::Parameters;
use crate::seeds::DropoutSeeds;
use crate::training::schedule::ReduceLrOnPlateau;

/// Writes it down.
pub(super) type OnCheckpoint<'a, T, O> = Box<dyn FnMut(Checkpoint<T, O>) -> Result<()> + 'a>;

/// Makes a copy of an optimizer, which not every one can do.
pub(super) type CopyOf<O> = fn(&O) -> O;

/// All that a run has changed.
#[derive(Debug)]
#[cfg_attr(not(feature = "file"), allow(dead_code, reason = "files hold it"))]
pub(crate) struct Checkpoint<T, O> {
    pub(crate) weights: Vec<(String, ArrayD<T>)>,
    pub(crate) optimizer: O,
    pub(crate) seeds: DropoutSeeds,
    /// The epochs that are done.
    pub(crate) epoch: usize,
    pub(crate) early_stopping: Option<Memory<T>>,
    pub(crate) plateaus: Vec<ReduceLrOnPlateau>,
}

/// The weights, copied.
pub(super) fn weights_of<T: Float>(network: &dyn Parameters<T>) -> Vec<(String, ArrayD<T>)> {
    network.weights().into_iter().map(|(path, weight)| (path, weight.to_owned())).collect()
}
