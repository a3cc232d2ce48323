//! Layers behind a Masking, with it as one layer.

use std::fmt;
use std::sync::Arc;

use crate::buffers::take;
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::{Layer, summary};
use crate::mask::TimeMask;
use crate::memory::MemoryNeeds;
use crate::parameters::{Parameters, Sealed};
use crate::precision::Precision;
use crate::runner::backward::add;
use crate::runner::layer::{LayerCore, LayerSpec};
use crate::runner::memory::{Call, CallBack, Held};
use crate::runner::pass::{BackwardPass, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::sequence::{Sequence, SequenceMut};
use crate::runner::tape::Node;
use crate::seeds::DropoutGenerator;
use crate::state::StateLayout;
use crate::strided::{Rows, RowsMut};
use crate::structure::StructureVisitor;
use crate::weights::{QuantizedVisitor, WeightVisitor, WeightVisitorMut};

/// Layers behind a Masking: steps whose features all equal the mask value are masked for them, and read as zeros.
#[derive(Debug, Clone)]
pub(super) struct Masked<T: Float> {
    mask_value: T,
    layer: Box<dyn Layer<T>>,
}

impl<T: Float> Masked<T> {
    pub(super) fn new(mask_value: T, layer: Box<dyn Layer<T>>) -> Self {
        Masked { mask_value, layer }
    }

    fn is_live(&self, step: &[T]) -> bool {
        step.iter().any(|&value| value != self.mask_value)
    }
}

impl<T: Float> Sealed for Masked<T> {}

impl<T: Float> Parameters<T> for Masked<T> {
    fn layout(&self) -> &Arc<StateLayout> {
        self.layer.layout()
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.layer.visit_weights(visitor);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.layer.visit_weights_mut(visitor)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let config = Config::new("Masked").with("mask_value", self.mask_value.into_f64());
        Ok(config.with("layer", self.layer.describe()?))
    }

    fn visit_stored<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.layer.visit_stored(visitor);
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        self.layer.visit_quantized(visitor);
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.layer(self.class_name(), None);
        visitor.option("mask_value", self.mask_value.into_f64().to_bits(), self.mask_value);
        visitor.nested("layer", |visitor| self.layer.visit_structure(visitor));
    }

    fn unshare(&mut self) -> Result<()> {
        self.layer.unshare()
    }
}

impl<T: Float> LayerCore<T> for Masked<T> {
    fn spec(&self) -> LayerSpec {
        let inner = self.layer.spec();
        let depth = inner.depth.saturating_add(1);
        LayerSpec { class_name: "Masking", per_step: false, output_columns: None, depth, ..inner }
    }

    fn check_ready(&self) -> Result<()> {
        self.layer.check_ready()
    }

    fn streams(&self) -> Result<()> {
        self.layer.can_stream()
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        self.layer.visit_generators(show);
    }

    fn fill_initial_state(&self, row: &mut [T]) {
        self.layer.fill_initial_state(row);
    }

    fn outputs_from_state(&self, batch: usize, state: Rows<'_, T>, carry: RowsMut<'_, T>) {
        self.layer.outputs_from_state(batch, state, carry);
    }

    fn memory_needs(&self, call: Call, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        let Call { batch, timesteps, .. } = call;
        let flags = [batch, timesteps];
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.work.len()), &[batch, timesteps, self.layer.input_size()]);
        needs.buffer::<bool>(held.in_scratch(|scratch| scratch.flags.capacity()), &flags);
        if call.recorded {
            needs.buffer::<bool>(held.in_node(|node| node.live.capacity()), &flags);
        }
        self.layer.memory_needs(call, held.child(0), needs);
    }

    fn memory_needs_backward(&self, call: CallBack, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        let values = if call.input { self.layer.input_size() } else { 0 };
        let sizes = [call.batch, call.timesteps, values];
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.work.len()), &sizes);
        self.layer.memory_needs_backward(call, held.child(0), needs);
    }

    fn process(&self, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        let Pass { batch, timesteps, input, resets, prev, next, carry, sequence, masked_output, dropout, .. } = pass;
        let width = self.layer.input_size();
        let mut values = std::mem::take(&mut scratch.work);
        let mut flags = std::mem::take(&mut scratch.flags);
        flags.clear();
        flags.reserve_exact(batch * timesteps);
        let copy = take(&mut values, batch * timesteps * width);
        for (row, steps) in copy.chunks_exact_mut((timesteps * width).max(1)).enumerate().take(batch) {
            for (time, step) in steps.chunks_exact_mut(width.max(1)).enumerate() {
                let x = input.at(time).row(row);
                // Keras's Masking makes a mask of its own, whatever mask there was.
                let live = self.is_live(x);
                flags.push(live);
                if live { step.copy_from_slice(x) } else { step.fill(T::zero()) }
            }
        }
        let node = pass.tape.and_then(|node| {
            (node.batch, node.timesteps) = (batch, timesteps);
            node.live.clone_from(&flags);
            node.children(1).first_mut()
        });
        let child = &mut scratch.children(1)[0];
        self.layer.process(
            Pass {
                batch,
                timesteps,
                input: Sequence::packed(copy, timesteps, width),
                mask: TimeMask::Steps { mask: &flags, timesteps },
                resets,
                prev,
                next,
                carry,
                sequence,
                masked_output,
                tape: node,
                dropout,
            },
            child,
        );
        (scratch.work, scratch.flags) = (values, flags);
    }

    fn step_into(
        &self,
        batch: usize,
        x: Rows<'_, T>,
        prev: Rows<'_, T>,
        next: RowsMut<'_, T>,
        carry: RowsMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        // Taken at the first step already, so that a later one allocates nothing.
        take(&mut scratch.outputs, batch * self.layer.input_size());
        if (0..batch).all(|row| self.is_live(x.row(row))) {
            let child = &mut scratch.children(1)[0];
            return self.layer.step_into(batch, x, prev, next, carry, child);
        }
        // As a whole call of one step, which knows of masks.
        let width = self.layer.input_size();
        let mut step = std::mem::take(&mut scratch.outputs);
        let rows = take(&mut step, batch * width);
        for (row, to) in rows.chunks_exact_mut(width.max(1)).enumerate() {
            to.copy_from_slice(x.row(row));
        }
        self.process(
            Pass {
                batch,
                timesteps: 1,
                input: Sequence::one_step(rows, width),
                mask: TimeMask::All,
                resets: None,
                prev,
                next,
                carry,
                sequence: None,
                masked_output: None,
                tape: None,
                dropout: None,
            },
            scratch,
        );
        scratch.outputs = step;
    }

    fn trains_as_in_keras(&self) -> Result<()> {
        self.layer.trains_as_in_keras()
    }

    fn can_train(&self) -> Result<()> {
        self.layer.can_train()
    }

    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        // A masked step was read as zeros, whatever it held: nothing flows back to it.
        let (batch, timesteps, width) = (node.batch, node.timesteps, self.layer.input_size());
        let mut values = std::mem::take(&mut scratch.work);
        let d_x = take(&mut values, if pass.d_input.is_some() { batch * timesteps * width } else { 0 });
        d_x.fill(T::zero());
        let BackwardPass { d_input, .. } = pass;
        let own = d_input.is_some().then(|| SequenceMut::packed(d_x, timesteps, width));
        let result = match (&mut node.children[..], scratch.children(1)) {
            ([node, ..], [child]) => self.layer.backward_into(node, BackwardPass { d_input: own, ..pass }, child),
            _ => Err(Error::TapeLayer),
        };
        if let Some(mut d_input) = d_input {
            for (at, d_x) in values.chunks_exact(width.max(1)).enumerate().take(batch * timesteps) {
                if node.live[at] {
                    add(d_input.at(at % timesteps).row_mut(at / timesteps), d_x);
                }
            }
        }
        scratch.work = values;
        result
    }
}

impl<T: Float> Layer<T> for Masked<T> {
    fn parts(&self) -> Vec<(&str, &dyn Layer<T>)> {
        vec![("", &*self.layer)]
    }

    fn boxed_clone(&self) -> Box<dyn Layer<T>> {
        Box::new(self.clone())
    }

    fn quantize(&self, precision: Precision) -> Result<Box<dyn Layer<T>>> {
        Ok(Box::new(Masked::new(self.mask_value, self.layer.quantize(precision)?)))
    }
}

impl<T: Float> fmt::Display for Masked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        summary::table(f, self)
    }
}
