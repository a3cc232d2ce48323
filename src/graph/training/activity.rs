//! Activity regularizers: penalties of what layers gave in a recorded run, by the layers' paths.
//!
//! A model's calls have left their outputs on the tape. Layers over time keep those of the layers inside
//! (`runner/activity.rs`), where the tape says so. Inside a TimeDistributed nothing is regularized, as in Keras.

use ndarray::ArrayD;

use crate::config::join;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::Model;
use crate::graph::backward::join as add_flow;
use crate::graph::operation::{Flow, Role};
use crate::graph::tape::{Frame, Record};
use crate::layers::Layer;
use crate::runner::tape::Node;
use crate::weight_rules::Regularizer;

type Rules<'a> = &'a [(String, Regularizer)];

/// Whether any rule is about something inside of this path.
fn reaches_into(rules: Rules<'_>, path: &str) -> bool {
    let inside = |own: &str| own.strip_prefix(path).is_some_and(|rest| path.is_empty() || rest.starts_with('/'));
    rules.iter().any(|(own, _)| own != path && inside(own))
}

/// The paths of the layers inside a layer.
pub(in crate::graph) fn add_paths<T: Float>(layer: &dyn Layer<T>, path: &str, paths: &mut Vec<String>) {
    for (name, part) in layer.parts() {
        let inner = join(path, name);
        add_paths(part, &inner, paths);
        // What has no name of its own gives what the layer around it gives.
        if !name.is_empty() {
            paths.push(inner);
        }
    }
}

/// The penalties of a layer and of those inside.
pub(in crate::graph) fn of_layer<T: Float>(
    layer: &dyn Layer<T>,
    node: &mut Node<T>,
    path: &str,
    rules: Rules<'_>,
) -> Result<T> {
    let mut penalty = T::zero();
    for (_, regularizer) in rules.iter().filter(|(own, _)| own == path) {
        if layer.returns_state() {
            let expected = "of a layer that doesn't return its state: a Model's own layers may".into();
            let option = format!("the activity regularizer of {path:?}");
            return Err(Error::TrainingOption { option, expected, given: "return_state".into() });
        }
        penalty += node.activity.regularize(regularizer)?;
    }
    Ok(penalty + of_parts(layer, node, path, rules)?)
}

/// The penalties of the layers inside a layer.
fn of_parts<T: Float>(layer: &dyn Layer<T>, node: &mut Node<T>, path: &str, rules: Rules<'_>) -> Result<T> {
    let mut penalty = T::zero();
    if !reaches_into(rules, path) {
        return Ok(penalty);
    }
    let parts = layer.parts();
    for ((name, part), node) in parts.iter().zip(&mut node.children) {
        penalty += match name.is_empty() {
            true => of_parts(*part, node, path, rules)?,
            false => of_layer(*part, node, &join(path, name), rules)?,
        };
    }
    Ok(penalty)
}

impl<T: Float> Model<T> {
    /// The paths of all layers, those of models within and of both directions too.
    pub(in crate::graph) fn add_paths(&self, prefix: &str, paths: &mut Vec<String>) {
        for part in &self.parts {
            let Some(op) = &part.op else { continue };
            let path = join(prefix, &part.name);
            match op.role() {
                Role::Model(model) => model.add_paths(&path, paths),
                Role::Recurrent { layer, .. } => add_paths(&**layer, &path, paths),
                _ => {}
            }
            paths.push(path);
        }
    }

    /// The penalties of all calls.
    pub(in crate::graph) fn regularize_calls(&self, frame: &mut Frame<T>, prefix: &str, rules: Rules<'_>) -> Result<T> {
        let mut penalty = T::zero();
        for (call, record) in self.calls.iter().zip(&mut frame.records) {
            let (name, op) = self.called(call)?;
            let path = join(prefix, name);
            for (_, regularizer) in rules.iter().filter(|(own, _)| *own == path) {
                penalty += record.regularize(regularizer).map_err(|error| error.in_layer(name))?;
            }
            penalty += match op.role() {
                Role::Model(model) if reaches_into(rules, &path) => {
                    model.regularize_calls(&mut record.inner, &path, rules)?
                }
                Role::Recurrent { layer, .. } => of_parts(&**layer, &mut record.tape.node, &path, rules)?,
                _ => T::zero(),
            };
        }
        Ok(penalty)
    }
}

impl<T: Float> Record<T> {
    /// The penalty of all that the call gave.
    fn regularize(&mut self, regularizer: &Regularizer) -> Result<T> {
        let mut penalty = T::zero();
        self.activity.resize(self.outputs.len(), None);
        for (output, gradient) in self.outputs.iter().zip(&mut self.activity) {
            let output = output.floats();
            let gradient = gradient.get_or_insert_with(|| ArrayD::zeros(output.shape()));
            penalty += regularizer.add_of_outputs(&output.view(), &mut gradient.view_mut())?;
        }
        Ok(penalty)
    }

    /// Adds what regularizers say to the gradients of the outputs.
    pub(in crate::graph) fn join_activity(&mut self, upstream: &mut [Flow<T>]) {
        for (sum, own) in upstream.iter_mut().zip(self.activity.drain(..)) {
            add_flow(sum, own);
        }
        // A call that nothing comes back to goes back all the same if something inside has a penalty.
        if upstream.iter().all(Option::is_none)
            && self.is_regularized_inside()
            && let ([first, ..], [output, ..]) = (upstream, &self.outputs[..])
        {
            *first = Some(ArrayD::zeros(output.shape()));
        }
    }

    fn is_regularized_inside(&self) -> bool {
        let mut inside = self.inner.records.iter();
        self.tape.node.is_regularized()
            || inside.any(|record| record.activity.iter().any(Option::is_some) || record.is_regularized_inside())
    }
}
