//! A model that is a chain of layers over time, as one layer.

use std::collections::HashMap;

use super::Model;
use super::masked::Masked;
use super::operation::{Op, Role};
use super::per_step::PerStep;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::layers::embedding::Embedding;
use crate::layers::stacked::Stacked;
use crate::memory::MOST_NESTED;

impl<T: Float> Op<T> {
    /// The layer over time that it is.
    pub(super) fn as_layer(&self) -> Option<&dyn Layer<T>> {
        match self.role() {
            Role::Recurrent { layer, .. } | Role::QuantizedDense(layer) => Some(&***layer),
            Role::Dense(layer) => Some(layer),
            Role::TimeDistributed(inner) => match inner.role() {
                Role::Dense(layer) => Some(layer),
                Role::QuantizedDense(layer) => Some(&***layer),
                _ => None,
            },
            _ => None,
        }
    }
}

impl<T: Float> Model<T> {
    /// The model as one layer, if it is a chain of layers over time that reads (batch, timesteps, features): it streams
    /// and takes every option of a [`Run`](crate::Run). A layer that returns only its last output may stand in it,
    /// before layers that need no sequence.
    ///
    /// A Masking in it makes a mask of its own, from the steps' values: as in Keras, the mask or the lengths of a `Run` end
    /// there. Pad rows with the value that it hides.
    ///
    /// It trains as any layer does, dropout of its recurrent layers included; all its weights but moving statistics are
    /// trained then. What the file says of `trainable` is the model's: see [`record`](Model::record). What
    /// [`ops::Dropout`](crate::ops::Dropout) was in the model hands on here what it is given, and BatchNormalization has
    /// the moving statistics: [`Fit`](crate::training::Fit) refuses a layer made of such a model. Train the model, then
    /// make the layer.
    ///
    /// A model that begins with an Embedding reads ids: see
    /// [`into_embedding_and_layer`](Model::into_embedding_and_layer), or stream it as a
    /// [`ModelStream`](super::ModelStream).
    ///
    /// # Errors
    /// [`Error::CannotStream`] names the layer that doesn't work step by step, or that isn't part of a chain.
    pub fn into_layer(self) -> Result<Box<dyn Layer<T>>> {
        self.as_one_layer().map_err(|refusal| self.with_a_way_out(refusal))
    }

    fn as_one_layer(&self) -> Result<Box<dyn Layer<T>>> {
        let chain = self.chain(&mut None, "")?;
        if let Some((first, rest)) = chain.split_first()
            && let Role::Embedding(table) = first.op.role()
        {
            // What is behind it may be what can't be done.
            link(rest, Some(table.embeddings().ncols()), table.masks_zero())?;
            return Err(cannot(first.name, "it reads ids: use into_embedding_and_layer, or Model::stream"));
        }
        if let Some(first) = chain.first()
            && let Role::QuantizedEmbedding(_) = first.op.role()
        {
            return Err(cannot(first.name, "it reads ids, of a table in fewer bits: use Model::stream"));
        }
        let features = self.inputs.first().and_then(|input| input.shape.last().copied().flatten());
        link(&chain, features, false)
    }

    /// [`into_layer`](Model::into_layer) for a model that begins with an Embedding: its table, and the layer behind it.
    /// The rows of [`Embedding::embeddings`] are what to step the layer with; with `mask_zero`, id 0 is a step for
    /// [`Stream::step_masked`](crate::Stream::step_masked).
    ///
    /// # Errors
    /// Those of [`into_layer`](Model::into_layer), and [`Error::CannotStream`] if the first layer isn't an Embedding.
    pub fn into_embedding_and_layer(self) -> Result<(Embedding<T>, Box<dyn Layer<T>>)> {
        self.as_table_and_layer().map_err(|refusal| self.with_a_way_out(refusal))
    }

    fn as_table_and_layer(&self) -> Result<(Embedding<T>, Box<dyn Layer<T>>)> {
        let chain = self.chain(&mut None, "")?;
        if let Some((first, rest)) = chain.split_first()
            && let Role::Embedding(table) = first.op.role()
        {
            let width = table.embeddings().ncols();
            return Ok((table.clone(), link(rest, Some(width), table.masks_zero())?));
        }
        // That into_layer takes it is to be true.
        self.as_one_layer()?;
        let name = chain.first().map_or("", |link| link.name);
        Err(cannot(name, "the model doesn't begin with an Embedding: use into_layer"))
    }

    /// A refusal that names a [`ModelStream`](super::ModelStream) only if that can run the model; if that can't either,
    /// what keeps it from doing so is the true cause.
    fn with_a_way_out(&self, refusal: Error) -> Error {
        match (self.check_stream(), refusal) {
            (Err(cause), _) => cause,
            (Ok(()), Error::CannotStream { layer, reason }) if !reason.contains(": use ") => {
                cannot(&layer, "it can't be part of a layer: use Model::stream")
            }
            (Ok(()), other) => other,
        }
    }

    /// The operations one after another, those of models within in their place. `mask` says how the mask is made that
    /// is attached to the input, then to the output; `path` is this model's.
    fn chain(&self, mask: &mut Option<String>, path: &str) -> Result<Vec<Link<'_, T>>> {
        if self.inputs.len() != 1 || self.outputs.len() != 1 {
            return Err(cannot(
                &self.name,
                "it has several inputs or outputs, and so isn't a layer: use Model::stream",
            ));
        }
        let mut chain = Vec::new();
        let mut tensor = 0;
        // How the flags that masks are made of are made.
        let mut flags: HashMap<usize, String> = HashMap::new();
        for call in &self.calls {
            let (name, op) = self.called(call)?;
            let named = |of: usize, value: f64| format!("{path}{of} != {value}");
            let made = match op.role() {
                Role::NotEqual(value) => Some(named(call.inputs[0], value)),
                Role::Any { along_the_last } => {
                    let of = flags.get(&call.inputs[0]).filter(|_| along_the_last);
                    Some(of.map_or(String::new(), |of| format!("any {of}")))
                }
                _ => None,
            };
            if let (Some(made), Some(&output)) = (made, call.outputs.first()) {
                flags.insert(output, made);
                continue;
            }
            if call.inputs != [tensor] || !call.initial_state.is_empty() {
                return Err(cannot(name, "it isn't part of a chain: use Model::stream"));
            }
            // Masks that are computed in the graph are mostly those that Embedding and Masking attach.
            let own = |named: &usize| mask.is_none() || flags.get(named) != mask.as_ref();
            if call.masks.iter().flatten().any(own) {
                return Err(cannot(name, "its mask isn't the one of its input: use Model::stream"));
            }
            match op.role() {
                Role::Model(inner) => chain.extend(inner.chain(mask, &format!("{path}{name}/"))?),
                Role::Embedding(table) => *mask = table.masks_zero().then(|| named(tensor, 0.0)),
                Role::QuantizedEmbedding(table) => *mask = table.masks_zero().then(|| named(tensor, 0.0)),
                Role::Masking(value) => *mask = Some(format!("any {}", named(tensor, value.into_f64()))),
                _ => {}
            }
            if !matches!(op.role(), Role::Model(_)) {
                chain.push(Link { name, op });
            }
            tensor = call.outputs.first().copied().unwrap_or(tensor);
        }
        if self.outputs != [tensor] {
            return Err(cannot(&self.name, "its output isn't the last layer's: use Model::stream"));
        }
        Ok(chain)
    }
}

/// An operation of a chain.
struct Link<'m, T: Float> {
    name: &'m str,
    op: &'m Op<T>,
}

#[cold]
pub(super) fn cannot(layer: &str, reason: &'static str) -> Error {
    Error::CannotStream { layer: layer.into(), reason }
}

/// The layers behind each other; those behind a Masking are within it, which makes a stack of stacks. `masked`: whether
/// their input has a mask.
fn link<T: Float>(chain: &[Link<'_, T>], features: Option<usize>, masked: bool) -> Result<Box<dyn Layer<T>>> {
    let mut stack = Stacked::builder();
    let mut width = features;
    let mut empty = true;
    for (at, Link { name, op }) in chain.iter().enumerate() {
        let known = || width.ok_or_else(|| cannot(name, "the number of its features isn't known"));
        let layer: Box<dyn Layer<T>> = match op.role() {
            // Each is a stack in a box in the one before.
            Role::Masking(_) if maskings(chain) * 3 > MOST_NESTED => {
                return Err(Error::NestedTooDeep { most: MOST_NESTED });
            }
            Role::Masking(value) => {
                let inner = link(&chain[at + 1..], width, true)?;
                let layer = Masked::new(value, inner);
                stack = stack.layer(layer);
                return stack.build().map(|stack| Box::new(stack) as Box<dyn Layer<T>>);
            }
            _ if masked && op.reads_or_loses_mask() => {
                return Err(cannot(name, "it does something else with the mask: use Model::stream"));
            }
            Role::Same { .. } if !(empty && at + 1 == chain.len()) => {
                stack = stack.without(op.trains_by_batch().then_some(*name));
                continue;
            }
            _ => match op.as_layer() {
                Some(layer) => layer.boxed_clone(),
                None => Box::new(PerStep::new(&***op, known()?).ok_or_else(|| cannot(name, WHOLE))?),
            },
        };
        layer.can_stream().map_err(|error| match error {
            Error::CannotStream { reason, .. } => cannot(name, reason),
            other => other,
        })?;
        width = Some(layer.output_size());
        empty = false;
        stack = stack.layer(layer);
    }
    if empty {
        let width = width.ok_or_else(|| cannot("model", "the number of its features isn't known"))?;
        stack = stack.layer(PerStep::identity(width));
    }
    Ok(Box::new(stack.build()?))
}

/// How many layers of a chain hide steps.
fn maskings<T: Float>(chain: &[Link<'_, T>]) -> usize {
    chain.iter().filter(|link| matches!(link.op.role(), Role::Masking(_))).count()
}

pub(super) const WHOLE: &str = "it works on the whole time axis, or isn't made for one step";
