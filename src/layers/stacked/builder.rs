//! Puts layers on one another, and what follows from them for the stack.

use std::sync::Arc;

use super::{Part, Stacked};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::memory;
use crate::runner::layer::LayerSpec;
use crate::state::StateLayout;
use crate::weights::WeightVisitor;

/// Takes the layers of a [`Stacked`], the first one first.
///
/// ```
/// use recurrent::{Dense, Layer, Lstm, Stacked};
///
/// let lower = Lstm::<f32>::builder(3, 8).return_sequences(true).build()?;
/// let stack = Stacked::builder().layer(lower).layer(Lstm::new(8, 4)).layer(Dense::new(4, 1)).build()?;
/// assert_eq!((stack.input_size(), stack.output_size()), (3, 1));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder makes nothing until `build`"]
pub struct StackedBuilder<T: Float> {
    layers: Vec<Box<dyn Layer<T>>>,
    return_state: bool,
    left_out: Option<Arc<str>>,
}

impl<T: Float> StackedBuilder<T> {
    pub(super) fn new() -> Self {
        StackedBuilder { layers: Vec::new(), return_state: false, left_out: None }
    }

    /// Adds a layer behind the others.
    pub fn layer(mut self, layer: impl Layer<T>) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// [`layer`](Self::layer) of one that has its box.
    pub(crate) fn boxed(mut self, layer: Box<dyn Layer<T>>) -> Self {
        self.layers.push(layer);
        self
    }

    /// Says that a layer of this name isn't in it, which does something in training only.
    pub(crate) fn without(mut self, name: Option<&str>) -> Self {
        self.left_out = self.left_out.or(name.map(Arc::from));
        self
    }

    /// Whether to return the states of all layers after the last step.
    pub fn return_state(mut self, yes: bool) -> Self {
        self.return_state = yes;
        self
    }

    /// Makes the stack.
    ///
    /// # Errors
    /// [`Error::EmptyStack`] without a layer, [`Error::StackWidth`] if a layer doesn't read what the one before puts
    /// out, [`Error::StackNeedsSequence`] if it needs a sequence and gets none, [`Error::StackUnmerged`] if it would
    /// read two directions that aren't merged, [`Error::NestedTooDeep`] for stacks in stacks in stacks,
    /// [`Error::WidthOverflow`] for states that can't be addressed together.
    pub fn build(self) -> Result<Stacked<T>> {
        if self.layers.is_empty() {
            return Err(Error::EmptyStack);
        }
        let mut sequence = true;
        for (index, layer) in self.layers.iter().enumerate() {
            layer.check_ready()?;
            if let Some(before) = index.checked_sub(1).and_then(|before| self.layers.get(before)) {
                let (expected, given) = (layer.input_size(), before.output_size());
                if before.spec().unmerged.is_some() {
                    return Err(Error::StackUnmerged { index: index - 1 });
                }
                if expected != given {
                    return Err(Error::StackWidth { index, expected, given });
                }
                sequence &= before.returns_sequences();
            }
            if !sequence && !layer.per_step() {
                return Err(Error::StackNeedsSequence { index, layer: layer.class_name() });
            }
        }
        let deepest = self.layers.iter().map(|layer| (**layer).spec().depth).max().unwrap_or(0);
        let depth = memory::check_depth(deepest.saturating_add(1))?;
        let layouts = self.layers.iter().enumerate().map(|(i, layer)| (i.to_string(), &**layer.state_layout()));
        let layout = Arc::new(StateLayout::nested(layouts));
        let (mut state, mut carry, mut weights) = (0, 0, 0);
        let ends = group_ends(&self.layers);
        let mut parts = Vec::with_capacity(self.layers.len());
        for (i, (layer, group_end)) in self.layers.into_iter().zip(ends).enumerate() {
            let (state_start, carry_start, weights_start) = (state, carry, weights);
            state = memory::add_width("state", state, layer.state_layout().width())?;
            let spec = layer.spec();
            carry = memory::add_width("output", carry, spec.carry_width)?;
            layer.visit_weights(&mut WeightVisitor::new(&mut |_, _| weights += 1));
            parts.push(Part {
                name: i.to_string(),
                state: state_start..state,
                carry: carry_start..carry,
                weights: weights_start..weights,
                group_end,
                layer,
                spec,
            });
        }
        let spec = LayerSpec { returns_state: self.return_state, carry_width: carry, depth, ..joined(&parts) };
        Ok(Stacked { parts, layout, spec, left_out: self.left_out })
    }
}

/// What follows from the layers of a stack.
fn joined<T: Float>(parts: &[Part<T>]) -> LayerSpec {
    let mut all = LayerSpec { returns_sequences: true, per_step: true, ..LayerSpec::new("Sequential", 0, 0) };
    for (i, Part { spec, state, .. }) in parts.iter().enumerate() {
        if i == 0 {
            all.input_size = spec.input_size;
        }
        // Behind a layer that returns its last output alone there is no sequence.
        all.writes_sequence = all.returns_sequences && spec.writes_sequence;
        all.returns_sequences &= spec.returns_sequences;
        all.per_step &= spec.per_step;
        all.reverses_time ^= spec.reverses_time;
        all.output_size = spec.output_size;
        all.unmerged = spec.unmerged;
        all.output_columns = spec.output_columns.as_ref().map(|own| state.start + own.start..state.start + own.end);
        all.work = all.work.saturating_add(spec.work);
        all.generators += spec.generators;
        all.may_fail_backward |= spec.may_fail_backward;
    }
    all
}

/// For each layer the end of the run of layers from it on that work step by step, each on the sequence of the one
/// before: those can all do a few steps before any of them does the next ones.
fn group_ends<T: Float>(layers: &[Box<dyn Layer<T>>]) -> Vec<usize> {
    let mut ends: Vec<usize> = (1..=layers.len()).collect();
    let streams: Vec<bool> = layers.iter().map(|layer| layer.can_stream().is_ok()).collect();
    for at in (1..layers.len()).rev() {
        if streams[at - 1] && streams[at] && layers[at - 1].returns_sequences() {
            ends[at - 1] = ends[at];
        }
    }
    ends
}
