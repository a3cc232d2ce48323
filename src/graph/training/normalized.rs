//! Kernels that are divided by their largest singular value before each update: Keras's `SpectralNormalization`.

use super::Differs;
use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::Which;
use crate::graph::{Model, Part};

const WHAT: &str = "SpectralNormalization";

impl<T: Float> Model<T> {
    /// Divides the kernel of each `SpectralNormalization` by its largest singular value, as far as the layer's
    /// `power_iterations` find it: what Keras does within each training call. It is the weight itself that is divided.
    /// Before each [`record_training`](Model::record_training), which says so if it is forgotten;
    /// [`Fit`](crate::training::Fit) does it. Without such a layer nothing changes.
    ///
    /// # Errors
    /// [`Error::TrainingOption`](crate::Error::TrainingOption) names one that the model calls more than once, or that
    /// is inside a TimeDistributed: in Keras each call of it divides anew.
    pub fn normalize_kernels(&mut self) -> Result<()> {
        if self.has_normalized().is_none() {
            return Ok(());
        }
        self.trains_as_in_keras()?;
        self.stamp.renew();
        self.normalize_own_kernels()
    }

    /// The same for a model within.
    pub(in crate::graph) fn normalize_own_kernels(&mut self) -> Result<()> {
        for op in self.parts.iter_mut().filter_map(|part| part.op.as_mut()) {
            if op.has_normalized().is_some() {
                op.unshare(Which::All)?;
                op.normalize_kernels()?;
            }
        }
        Ok(())
    }

    /// Whether all kernels that are divided have been since they were changed last; `None` if there are none.
    pub(in crate::graph) fn has_normalized(&self) -> Option<bool> {
        let each = self.parts.iter().filter_map(|part| part.op.as_ref()?.has_normalized());
        each.reduce(|all, one| all && one)
    }

    /// Checks that each is divided once in a call.
    pub(super) fn normalizes_once(&self, place: usize, part: &Part<T>) -> Option<Differs> {
        part.op.as_ref()?.has_normalized()?;
        let calls = self.calls.iter().filter(|call| call.part == place).count();
        let given = "called more than once, where Keras divides its kernel in each call";
        (calls > 1).then_some(Differs { what: WHAT, expected: "called once in a model that is trained", given })
    }

    /// Checks that kernels have been divided for the run in training that begins.
    pub(super) fn check_normalized(&self) -> Result<()> {
        let behind = |part: &&Part<T>| part.op.as_ref().and_then(|op| op.has_normalized()) == Some(false);
        let Some(part) = self.parts.iter().find(behind) else { return Ok(()) };
        let (expected, given) = ("a kernel that normalize_kernels() has divided before each run", "one changed since");
        Err(Differs { what: WHAT, expected, given }.of(&part.name))
    }
}
