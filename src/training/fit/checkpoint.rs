//! What a training run goes on from after an epoch, in this process or another.

use ndarray::ArrayD;

use super::early_stopping::Memory;
use crate::error::Result;
use crate::float::Float;
use crate::graph::ModelState;
use crate::parameters::Parameters;
use crate::seeds::DropoutSeeds;
use crate::training::schedule::ReduceLrOnPlateau;

/// Writes it down.
pub(super) type OnCheckpoint<'a, T, O> = Box<dyn FnMut(Checkpoint<T, &O>) -> Result<()> + 'a>;

/// All that a run has changed.
#[derive(Debug)]
#[cfg_attr(not(feature = "file"), allow(dead_code, reason = "files hold it"))]
pub(crate) struct Checkpoint<T, O> {
    pub(crate) weights: Vec<(String, ArrayD<T>)>,
    pub(crate) optimizer: O,
    pub(crate) seeds: DropoutSeeds,
    /// Where stateful layers have come to.
    pub(crate) states: Option<ModelState<T>>,
    /// The epochs that are done.
    pub(crate) epoch: usize,
    pub(crate) early_stopping: Option<Memory<T>>,
    pub(crate) plateaus: Vec<ReduceLrOnPlateau>,
}

#[cfg(feature = "file")]
impl<T, O: Clone> Checkpoint<T, &O> {
    /// With an optimizer of its own.
    pub(crate) fn into_owned(self) -> Checkpoint<T, O> {
        let Checkpoint { weights, optimizer, seeds, states, epoch, early_stopping, plateaus } = self;
        Checkpoint { weights, optimizer: optimizer.clone(), seeds, states, epoch, early_stopping, plateaus }
    }
}

/// The weights, copied.
pub(super) fn weights_of<T: Float>(network: &dyn Parameters<T>) -> Vec<(String, ArrayD<T>)> {
    network.weights().into_iter().map(|(path, weight)| (path, weight.to_owned())).collect()
}
