//! What has weights: layers, embeddings and models, all behind one trait.

use std::sync::{Arc, LazyLock};

use ndarray::{ArrayD, ArrayViewD};

use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::state::StateLayout;
use crate::structure::StructureVisitor;
use crate::weights::{QuantizedVisitor, WeightVisitor, WeightVisitorMut};

/// Implemented by this crate's types only, so that [`Parameters`] can grow.
pub trait Sealed {}

impl<P: Sealed + ?Sized> Sealed for Box<P> {}

/// What has weights: every [`Layer`](crate::Layer), an [`Embedding`](crate::Embedding), which is none because it reads
/// ids, and a model.
///
/// Sealed. It is what [`Gradients::new`](crate::Gradients::new) and
/// [`Optimizer::step`](crate::training::Optimizer::step) take. Each type has the methods for names and arrays as its
/// own, too: they need no `use`.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Parameters};
///
/// fn norm(parts: &dyn Parameters<f32>) -> f32 {
///     parts.weights().iter().flat_map(|(_, weight)| weight.iter()).map(|w| w * w).sum::<f32>().sqrt()
/// }
///
/// let mut dense = Dense::<f32>::new(3, 2);
/// dense.set_weights(&[("kernel", Array2::from_elem((3, 2), 2.0).view().into_dyn())])?;
/// assert_eq!(norm(&dense), 24f32.sqrt());
/// # Ok::<(), recurrent::Error>(())
/// ```
pub trait Parameters<T: Float>: Sealed {
    /// Shows each weight and its path to the visitor, in Keras's order.
    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>);

    /// Hands each weight to the visitor to be changed; afterwards the layer has packed them again.
    ///
    /// # Errors
    /// [`Error::SharedCell`] if a user's cell is shared between clones and can't be cloned.
    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()>;

    /// Shows each weight that is trained: all, unless a model says otherwise.
    #[doc(hidden)]
    fn visit_trained<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.visit_weights(visitor);
    }

    /// Hands each weight that is trained to the visitor to be changed.
    #[doc(hidden)]
    fn visit_trained_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.visit_weights_mut(visitor)
    }

    /// Shows each weight that is kept in fewer bits: those aren't among [`visit_weights`](Self::visit_weights)'.
    #[doc(hidden)]
    fn visit_quantized(&self, _visitor: &mut QuantizedVisitor<'_>) {}

    /// Makes sure that the weights belong to this one alone, so that they can be changed.
    #[doc(hidden)]
    fn unshare(&mut self) -> Result<()>;

    /// The parts of the state; none for what has no state.
    #[doc(hidden)]
    fn layout(&self) -> &Arc<StateLayout>;

    /// Shows the inputs of a model: the name, the rank, whether there is a gradient.
    #[doc(hidden)]
    fn show_inputs(&self, _show: &mut dyn FnMut(&str, usize, bool)) {}

    /// Describes this one but for the values of its weights: class, sizes, options, and the same of what is inside.
    #[doc(hidden)]
    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>);

    /// Describes this one but for its weights, so that it can be made again.
    ///
    /// # Errors
    /// What is the user's own has no description.
    #[doc(hidden)]
    fn describe(&self) -> std::result::Result<Config, ConfigError>;

    /// Shows each array that a file must hold: the weights, and statistics that aren't among them.
    #[doc(hidden)]
    fn visit_stored<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.visit_weights(visitor);
    }

    /// The weights with their names, in Keras's order and shapes.
    fn weights(&self) -> Vec<(String, ArrayViewD<'_, T>)> {
        let mut weights = Vec::new();
        self.visit_weights(&mut WeightVisitor::new(&mut |path, array| weights.push((path.to_string(), array))));
        weights
    }

    /// A weight by name: `kernel`, `recurrent_kernel`, `bias`, or a path such as `0/forward/kernel`.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are, [`Error::QuantizedWeight`] for one of a quantized layer.
    fn weight(&self, name: &str) -> Result<ArrayViewD<'_, T>> {
        let mut found = None;
        let mut weights = self.weights();
        if let Some(at) = weights.iter().position(|(weight, _)| weight == name) {
            found = Some(weights.swap_remove(at).1);
        }
        found.ok_or_else(|| no_weight(self, name, weights.into_iter().map(|(weight, _)| weight)))
    }

    /// A weight by name as an array of its own: of a quantized layer what its numbers mean, of any other a copy.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are.
    fn dequantized(&self, name: &str) -> Result<ArrayD<T>> {
        let mut found = None;
        self.visit_quantized(&mut QuantizedVisitor::new(&mut |path, weight| {
            if path.matches(name) {
                let values = (weight.kept)().values().into_iter().map(|value| T::from_f64(value.into())).collect();
                found = ArrayD::from_shape_vec(weight.shape, values).ok();
            }
        }));
        found.map_or_else(|| self.weight(name).map(|weight| weight.to_owned()), Ok)
    }

    /// The bytes that the weights take, each once: quantized ones with their scales.
    fn weight_bytes(&self) -> usize {
        let mut bytes = 0;
        self.visit_weights(&mut WeightVisitor::new(&mut |_, array| bytes += array.len() * size_of::<T>()));
        self.visit_quantized(&mut QuantizedVisitor::new(&mut |_, weight| bytes += weight.bytes));
        bytes
    }

    /// Replaces the weights of these names; the others stay. All are checked before any is changed.
    ///
    /// # Errors
    /// [`Error::UnknownName`], [`Error::WeightShape`], [`Error::DuplicateName`], [`Error::QuantizedWeight`] for one of
    /// a quantized layer, or [`Error::SharedCell`] for clones of a user's cell that can't be cloned; the layer is
    /// unchanged then.
    fn set_weights(&mut self, new: &[(&str, ArrayViewD<'_, T>)]) -> Result<()> {
        if let Some((name, _)) = new.iter().find(|(name, _)| is_quantized(self, name)) {
            return Err(Error::QuantizedWeight { name: (*name).into() });
        }
        check_new_weights(&self.weights(), new)?;
        self.unshare()?;
        self.visit_weights_mut(&mut WeightVisitorMut::new(&mut |path, mut weight| {
            if let Some((_, array)) = new.iter().find(|(name, _)| path.matches(name)) {
                weight.assign(array);
            }
        }))
    }

    /// The number of all weights' elements.
    fn count_params(&self) -> usize {
        let mut count = 0;
        self.visit_weights(&mut WeightVisitor::new(&mut |_, array| count += array.len()));
        self.visit_quantized(&mut QuantizedVisitor::new(&mut |_, weight| count += weight.len()));
        count
    }
}

/// Whether a weight of this name is kept in fewer bits.
fn is_quantized<T: Float>(holder: &(impl Parameters<T> + ?Sized), name: &str) -> bool {
    let mut found = false;
    holder.visit_quantized(&mut QuantizedVisitor::new(&mut |path, _| found |= path.matches(name)));
    found
}

/// Why there is no array of this name among those.
#[cold]
fn no_weight<T: Float>(
    holder: &(impl Parameters<T> + ?Sized),
    name: &str,
    known: impl Iterator<Item = String>,
) -> Error {
    if is_quantized(holder, name) {
        return Error::QuantizedWeight { name: name.into() };
    }
    let mut quantized = Vec::new();
    holder.visit_quantized(&mut QuantizedVisitor::new(&mut |path, _| quantized.push(path.to_string())));
    Error::unknown_name("weight", name, known.chain(quantized))
}

/// The layout of what has no state.
pub(crate) fn stateless() -> &'static Arc<StateLayout> {
    static NONE: LazyLock<Arc<StateLayout>> = LazyLock::new(Arc::default);
    &NONE
}

/// Gives a type the methods of [`Parameters`] that users call as its own, so that they are there without a `use`.
macro_rules! own_parameters {
    ([$($generics:tt)*] $type:ty, $elem:ty) => {
        impl<$($generics)*> $type {
            /// The weights with their names, in Keras's order and shapes.
            pub fn weights(&self) -> Vec<(String, ndarray::ArrayViewD<'_, $elem>)> {
                $crate::parameters::Parameters::weights(self)
            }

            /// A weight by name, or by path: see [`Parameters::weight`](crate::Parameters::weight).
            ///
            /// # Errors
            /// [`Error::UnknownName`](crate::Error::UnknownName) lists the names there are.
            pub fn weight(&self, name: &str) -> $crate::Result<ndarray::ArrayViewD<'_, $elem>> {
                $crate::parameters::Parameters::weight(self, name)
            }

            /// A weight as an array of its own, also of a quantized layer: see
            /// [`Parameters::dequantized`](crate::Parameters::dequantized).
            ///
            /// # Errors
            /// [`Error::UnknownName`](crate::Error::UnknownName) lists the names there are.
            pub fn dequantized(&self, name: &str) -> $crate::Result<ndarray::ArrayD<$elem>> {
                $crate::parameters::Parameters::dequantized(self, name)
            }

            /// The bytes that the weights take, each once: quantized ones with their scales.
            pub fn weight_bytes(&self) -> usize {
                $crate::parameters::Parameters::weight_bytes(self)
            }

            /// Replaces the weights of these names; the others stay. All are checked before any is changed.
            ///
            /// # Errors
            /// Those of [`Parameters::set_weights`](crate::Parameters::set_weights); nothing is changed then.
            pub fn set_weights(&mut self, new: &[(&str, ndarray::ArrayViewD<'_, $elem>)]) -> $crate::Result<()> {
                $crate::parameters::Parameters::set_weights(self, new)
            }

            /// The number of all weights' elements.
            pub fn count_params(&self) -> usize {
                $crate::parameters::Parameters::count_params(self)
            }
        }
    };
}

pub(crate) use own_parameters;

/// Checks that there are weights of these names and shapes, each given once.
pub(crate) fn check_new_weights<T>(
    weights: &[(String, ArrayViewD<'_, T>)],
    new: &[(&str, ArrayViewD<'_, T>)],
) -> Result<()> {
    for (i, (name, array)) in new.iter().enumerate() {
        let Some((_, weight)) = weights.iter().find(|(weight, _)| weight == name) else {
            let known = weights.iter().map(|(weight, _)| weight.clone());
            return Err(Error::unknown_name("weight", name, known));
        };
        if weight.shape() != array.shape() {
            let (expected, given) = (weight.shape().to_vec(), array.shape().to_vec());
            return Err(Error::WeightShape { name: (*name).into(), expected, given });
        }
        if new[..i].iter().any(|(earlier, _)| earlier == name) {
            return Err(Error::DuplicateName { what: "weight", name: (*name).into() });
        }
    }
    Ok(())
}
