//! A model's weights: by path name, read, replaced, and trained.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

use super::operation::{Op, Operation, Role, Which};
use super::{InputKind, InputSpec, Model, Part};
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::parameters::{Parameters, Sealed, stateless};
use crate::state::StateLayout;
use crate::structure::StructureVisitor;
use crate::weights::{QuantizedVisitor, WeightVisitor, WeightVisitorMut};

impl<T: Float> Model<T> {
    /// The weights with their names, in the order of the layers. A name is the layer's in the model, then the weight's
    /// in the layer: `lstm/kernel`, `bidirectional/forward/kernel`, `encoder/lstm/kernel` in a model within. A
    /// layer inside TimeDistributed adds nothing to the name.
    pub fn weights(&self) -> Vec<(String, ArrayViewD<'_, T>)> {
        let mut weights = Vec::new();
        self.show(Which::All, &mut WeightVisitor::new(&mut |path, array| weights.push((path.to_string(), array))));
        weights
    }

    /// A weight by its name.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are, [`Error::QuantizedWeight`] for one of a quantized layer.
    pub fn weight(&self, name: &str) -> Result<ArrayViewD<'_, T>> {
        Parameters::weight(self, name)
    }

    /// A weight as an array of its own, also of a quantized layer: see [`Parameters::dequantized`].
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are.
    pub fn dequantized(&self, name: &str) -> Result<ArrayD<T>> {
        Parameters::dequantized(self, name)
    }

    /// The bytes that the weights take, each once: quantized ones with their scales.
    pub fn weight_bytes(&self) -> usize {
        Parameters::weight_bytes(self)
    }

    /// Replaces the weights of these names; the others stay. All are checked before any is changed.
    ///
    /// # Errors
    /// [`Error::UnknownName`], [`Error::WeightShape`], [`Error::DuplicateName`], [`Error::QuantizedWeight`]; the model is
    /// unchanged then.
    pub fn set_weights(&mut self, new: &[(&str, ArrayViewD<'_, T>)]) -> Result<()> {
        Parameters::set_weights(self, new)
    }

    /// Whether a layer, or all layers of a model within, are trained: Keras's `layer.trainable = yes`. A loaded model
    /// has what its file says. Gradients, optimizers and tapes that were made before are another model's afterwards.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the layers there are; those of a model within are named by path.
    pub fn set_trainable(&mut self, layer: &str, yes: bool) -> Result<()> {
        if self.try_set_trainable(layer, yes) {
            return Ok(());
        }
        let mut known = Vec::new();
        self.collect_parts("", &mut known);
        Err(Error::unknown_name("layer", layer, known.into_iter()))
    }

    /// Whether there is such a layer.
    fn try_set_trainable(&mut self, layer: &str, yes: bool) -> bool {
        for part in &mut self.parts {
            if part.name == layer {
                part.set_trainable(yes);
                return true;
            }
            let inner = layer.strip_prefix(part.name.as_str()).and_then(|rest| rest.strip_prefix('/'));
            if let (Some(inner), Some(model)) = (inner, part.op.as_mut().and_then(|op| op.model_mut()))
                && model.try_set_trainable(inner, yes)
            {
                part.count_those_within();
                return true;
            }
        }
        false
    }

    fn collect_parts(&self, prefix: &str, names: &mut Vec<String>) {
        for Part { name, op, .. } in &self.parts {
            names.push(format!("{prefix}{name}"));
            if let Some(model) = op.as_ref().and_then(Op::model) {
                model.collect_parts(&format!("{prefix}{name}/"), names);
            }
        }
    }

    pub(super) fn show<'a>(&'a self, which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        for part in &self.parts {
            if let Some(op) = part.op.as_ref().filter(|_| part.is_among(which)) {
                visitor.nested(&part.name, |visitor| op.visit_weights(which, visitor));
            }
        }
    }

    /// The only way to the weights of the parts, whatever they are.
    pub(super) fn change(&mut self, which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.stamp.renew();
        for part in &mut self.parts {
            let among = part.is_among(which);
            if let Some(op) = part.op.as_mut().filter(|_| among) {
                visitor.nested(&part.name, |visitor| op.visit_weights_mut(which, visitor))?;
            }
        }
        Ok(())
    }

    pub(super) fn own(&mut self, which: Which) -> Result<()> {
        for part in &mut self.parts {
            let among = part.is_among(which);
            if let Some(op) = part.op.as_mut().filter(|_| among) {
                op.unshare(which)?;
            }
        }
        Ok(())
    }
}

impl<T: Float> Part<T> {
    pub(super) fn is_among(&self, which: Which) -> bool {
        which == Which::All || self.trainable > 0
    }

    fn set_trainable(&mut self, yes: bool) {
        if let Some(model) = self.op.as_mut().and_then(|op| op.model_mut()) {
            model.parts.iter_mut().for_each(|part| part.set_trainable(yes));
            return self.count_those_within();
        }
        let (all, mut learned) = (self.trainable + self.non_trainable, 0);
        if let Some(op) = self.op.as_ref().filter(|_| yes) {
            op.visit_weights(Which::Trained, &mut WeightVisitor::new(&mut |_, weight| learned += weight.len()));
        }
        (self.trainable, self.non_trainable) = (learned, all - learned);
    }

    /// Makes the counts those of the model that it is.
    fn count_those_within(&mut self) {
        if let Some(model) = self.op.as_ref().and_then(Op::model) {
            let sum = |count: fn(&Part<T>) -> usize| model.parts.iter().map(count).sum();
            (self.trainable, self.non_trainable) = (sum(|part| part.trainable), sum(|part| part.non_trainable));
        }
    }

    /// The number of weights that are trained.
    pub(super) fn trained_weights(&self) -> usize {
        let mut count = 0;
        if let Some(op) = self.op.as_ref().filter(|_| self.is_among(Which::Trained)) {
            op.visit_weights(Which::Trained, &mut WeightVisitor::new(&mut |_, _| count += 1));
        }
        count
    }
}

/// Shows the weights of a layer that are kept in fewer bits.
pub(crate) fn show_quantized<T: Float>(op: &dyn Operation<T>, visitor: &mut QuantizedVisitor<'_>) {
    match op.role() {
        Role::Recurrent { layer, .. } | Role::QuantizedDense(layer) => layer.visit_quantized(visitor),
        Role::TimeDistributed(inner) | Role::ChannelsFirst(inner) => show_quantized(inner, visitor),
        Role::Model(model) => model.visit_quantized(visitor),
        _ => op.visit_quantized(visitor),
    }
}

impl<T: Float> Sealed for Model<T> {}

impl<T: Float> Parameters<T> for Model<T> {
    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.show(Which::All, visitor);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.change(Which::All, visitor)
    }

    fn visit_trained<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.show(Which::Trained, visitor);
    }

    fn visit_trained_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.change(Which::Trained, visitor)
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        for Part { name, op, .. } in &self.parts {
            if let Some(op) = op {
                visitor.nested(name, |visitor| show_quantized(&**op, visitor));
            }
        }
    }

    fn unshare(&mut self) -> Result<()> {
        self.own(Which::All)
    }

    fn layout(&self) -> &Arc<StateLayout> {
        stateless()
    }

    fn show_inputs(&self, show: &mut dyn FnMut(&str, usize, bool)) {
        for input in &self.inputs {
            let InputSpec { name, kind, .. } = input;
            show(name, input.given_shape().len(), matches!(kind, InputKind::Float { .. }));
        }
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        super::described::model(self)
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.layer("Functional", Some(self.stamp));
        visitor.option("layers", self.parts.len() as u64, self.parts.len());
        for part in &self.parts {
            let trained = part.is_among(Which::Trained);
            visitor.nested(&part.name, |visitor| {
                visitor.layer("trainable", None);
                visitor.option("trainable", trained.into(), trained);
                if let Some(model) = part.op.as_ref().and_then(Op::model) {
                    model.visit_structure(visitor);
                }
            });
        }
    }
}
