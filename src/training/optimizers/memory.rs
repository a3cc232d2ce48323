//! What an optimizer remembers, and of which layers.

use ndarray::{ArrayD, ArrayViewD};

use crate::error::{Error, Result};
use crate::float::Float;
use crate::marks::{Difference, Marks};
use crate::parameters::Parameters;
use crate::weights::WeightVisitor;

/// The layers that an optimizer works on: those of its first step, as Keras's optimizers are built for their variables.
/// Clones of them are taken too.
#[derive(Debug, Clone, Default)]
pub(super) struct Owners {
    pub(super) known: bool,
    /// Whether they are known by their weights alone, as after a restart: the layers of the next step are theirs.
    pub(super) by_weights: bool,
    /// Of each weight.
    pub(super) names: Vec<String>,
    pub(super) shapes: Vec<Vec<usize>>,
    pub(super) marks: Marks,
}

impl Owners {
    /// Checks that these are the layers, if any are known yet.
    pub(super) fn check<'p, T: Float>(&self, parts: impl Iterator<Item = &'p dyn Parameters<T>>) -> Result<()> {
        if !self.known {
            return Ok(());
        }
        let (mut index, mut fits) = (0, true);
        let difference = self.marks.compare(|visitor| {
            for part in parts {
                part.visit_structure(visitor);
                part.visit_trained(&mut WeightVisitor::new(&mut |path, weight: ArrayViewD<'_, T>| {
                    fits &= self.names.get(index).is_some_and(|name| path.matches(name));
                    fits &= self.shapes.get(index).is_some_and(|shape| shape == weight.shape());
                    index += 1;
                }));
            }
        });
        // Options may change, weights do.
        let same = self.by_weights || difference != Difference::Layer;
        let fits = fits && index == self.names.len() && same;
        if fits { Ok(()) } else { Err(Error::GradientsLayer) }
    }

    /// From now on these are the layers, if none are known yet.
    pub(super) fn become_those_of<'p, T: Float>(&mut self, parts: impl Iterator<Item = &'p dyn Parameters<T>>) {
        let by_weights = std::mem::take(&mut self.by_weights);
        if std::mem::replace(&mut self.known, true) && !by_weights {
            return;
        }
        self.names.clear();
        self.shapes.clear();
        for part in parts {
            self.marks.keep(|visitor| part.visit_structure(visitor));
            part.visit_trained(&mut WeightVisitor::new(&mut |path, weight: ArrayViewD<'_, T>| {
                self.names.push(path.to_string());
                self.shapes.push(weight.shape().to_vec());
            }));
        }
    }

    /// The number of weights.
    pub(super) fn weights(&self) -> usize {
        self.shapes.len()
    }
}

/// Arrays like the weights, of one value at first; kept from update to update.
#[derive(Debug, Clone)]
pub(super) struct Slots<T>(Vec<ArrayD<T>>);

impl<T: Float> Slots<T> {
    pub(super) fn new() -> Self {
        Slots(Vec::new())
    }

    /// Makes them, if they aren't there yet.
    pub(super) fn make(&mut self, owners: &Owners) {
        self.make_filled(owners, T::zero());
    }

    /// Makes them of this value, if they aren't there yet.
    pub(super) fn make_filled(&mut self, owners: &Owners, value: T) {
        if self.0.is_empty() {
            self.0 = owners.shapes.iter().map(|shape| ArrayD::from_elem(&shape[..], value)).collect();
        }
    }

    #[cfg(feature = "file")]
    pub(super) fn push(&mut self, array: ArrayD<T>) {
        self.0.push(array);
    }

    pub(super) fn get(&self, index: usize) -> &ArrayD<T> {
        &self.0[index]
    }

    pub(super) fn get_mut(&mut self, index: usize) -> &mut ArrayD<T> {
        &mut self.0[index]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ArrayD<T>> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut ArrayD<T>> {
        self.0.iter_mut()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
