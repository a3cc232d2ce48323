//! A model that is a chain of layers over time, as one layer.

use std::fmt;
use std::sync::Arc;

use ndarray::ArrayD;

use super::Model;
use super::normalization::{Normalization, Sums};
use super::op::Op;
use super::prelu;
use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::activate::{activate, activate_backward};
use crate::kernels::isa::Isa;
use crate::layers::embedding::Embedding;
use crate::layers::sealed::Sealed;
use crate::layers::stacked::Stacked;
use crate::layers::{Layer, summary};
use crate::mask::TimeMask;
use crate::rows::{Rows, RowsMut};
use crate::runner::backward::add;
use crate::runner::pass::{BackwardPass, Pass};
use crate::runner::scratch::{Scratch, take};
use crate::runner::sequence::{Sequence, SequenceMut};
use crate::runner::tape::Node;
use crate::seeds::Seeds;
use crate::state::StateLayout;
use crate::weights::{WeightVisitor, WeightVisitorMut};

impl<T: Float> Model<T> {
    /// The model as one layer, if it is a chain of layers over time that reads (batch, timesteps, features): it streams
    /// and takes every option of a [`Run`](crate::Run). A layer that returns only its last output may stand in it,
    /// before layers that need no sequence.
    ///
    /// A model that begins with an Embedding reads ids: see [`into_embedding_and_layer`](Model::into_embedding_and_layer),
    /// or stream it as a [`ModelStream`](super::ModelStream).
    ///
    /// # Errors
    /// [`Error::CannotStream`] names the layer that doesn't work step by step, or that isn't part of a chain.
    pub fn into_layer(self) -> Result<Box<dyn Layer<T>>> {
        let chain = self.chain()?;
        if let Some(Link { name, op: Op::Embedding(_) }) = chain.first() {
            return Err(cannot(name, "it reads ids: use into_embedding_and_layer, or a ModelStream"));
        }
        let features = self.inputs.first().and_then(|input| input.shape.last().copied().flatten());
        link(&chain, features)
    }

    /// [`into_layer`](Model::into_layer) for a model that begins with an Embedding: its table, and the layer behind it.
    /// The rows of [`Embedding::embeddings`] are what to step the layer with; with `mask_zero`, id 0 is a step for
    /// [`Stream::step_masked`](crate::Stream::step_masked).
    ///
    /// # Errors
    /// Those of [`into_layer`](Model::into_layer), and [`Error::CannotStream`] if the first layer isn't an Embedding.
    pub fn into_embedding_and_layer(self) -> Result<(Embedding<T>, Box<dyn Layer<T>>)> {
        let chain = self.chain()?;
        let Some((Link { op: Op::Embedding(table), .. }, rest)) = chain.split_first() else {
            let name = chain.first().map_or("", |link| link.name);
            return Err(cannot(name, "the model doesn't begin with an Embedding: use into_layer"));
        };
        let width = table.embeddings().ncols();
        Ok(((**table).clone(), link(rest, Some(width))?))
    }

    /// The operations one after another, those of models within in their place.
    fn chain(&self) -> Result<Vec<Link<'_, T>>> {
        if self.inputs.len() != 1 || self.outputs.len() != 1 {
            return Err(cannot(&self.name, "it has several inputs or outputs: use a ModelStream"));
        }
        let mut chain = Vec::new();
        let mut tensor = 0;
        for call in &self.calls {
            let Some(part) = self.parts.get(call.part) else { continue };
            let Some(op) = &part.op else { continue };
            // Masks that are computed in the graph are those that Embedding and Masking attach.
            if matches!(op, Op::NotEqual(_) | Op::Any { .. }) {
                continue;
            }
            if call.inputs != [tensor] || !call.initial_state.is_empty() {
                return Err(cannot(&part.name, "it isn't part of a chain: use a ModelStream"));
            }
            match op {
                Op::Model(inner) => chain.extend(inner.chain()?),
                op => chain.push(Link { name: &part.name, op }),
            }
            tensor = call.outputs.first().copied().unwrap_or(tensor);
        }
        if self.outputs != [tensor] {
            return Err(cannot(&self.name, "its output isn't the last layer's: use a ModelStream"));
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

/// The layers behind each other; those behind a Masking are within it.
fn link<T: Float>(chain: &[Link<'_, T>], features: Option<usize>) -> Result<Box<dyn Layer<T>>> {
    let mut stack = Stacked::builder();
    let mut width = features;
    let mut empty = true;
    for (at, Link { name, op }) in chain.iter().enumerate() {
        let known = || width.ok_or_else(|| cannot(name, "the number of its features isn't known"));
        let layer: Box<dyn Layer<T>> = match op {
            Op::Masking(value) => {
                let rest = chain.get(at + 1..).unwrap_or(&[]);
                let inner = link(rest, width)?;
                let layer = Masked { mask_value: *value, layer: inner };
                stack = stack.layer(layer);
                return stack.build().map(|stack| Box::new(stack) as Box<dyn Layer<T>>);
            }
            Op::Identity if !(empty && at + 1 == chain.len()) => continue,
            Op::Recurrent { layer, .. } => (**layer).clone(),
            Op::Dense(layer) => Box::new((**layer).clone()),
            Op::TimeDistributed(inner) => match &**inner {
                Op::Dense(layer) => Box::new((**layer).clone()),
                inner => Box::new(PerStep::new(inner, known()?).ok_or_else(|| cannot(name, WHOLE))?),
            },
            op => Box::new(PerStep::new(op, known()?).ok_or_else(|| cannot(name, WHOLE))?),
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
        stack = stack.layer(PerStep { features: width, map: Map::Same, layout: Arc::default() });
    }
    Ok(Box::new(stack.build()?))
}

pub(super) const WHOLE: &str = "it works on the whole time axis, or isn't made for one step";

/// A layer that maps the features of each step by themselves.
#[derive(Debug, Clone)]
pub(super) struct PerStep<T: Float> {
    features: usize,
    map: Map<T>,
    layout: Arc<StateLayout>,
}

#[derive(Debug, Clone)]
enum Map<T: Float> {
    Same,
    Activation(Activation),
    PRelu(ArrayD<T>),
    Normalize(Box<Normalization<T>>),
}

impl<T: Float> PerStep<T> {
    /// `None` for an operation that looks at more than one step's features.
    pub(super) fn new(op: &Op<T>, features: usize) -> Option<Self> {
        let map = match op {
            Op::Identity => Map::Same,
            Op::Activation(activation) if !activation.changes_width() => Map::Activation(activation.clone()),
            Op::Softmax { axis: -1, .. } => Map::Activation(Activation::Softmax),
            Op::PRelu(alpha) if alpha.len() == features && alpha.shape().last() == Some(&features) => {
                Map::PRelu(alpha.clone())
            }
            // The last of three axes; 1 is the last of two, where the time axis is gone.
            Op::Normalize(normalization) if matches!(normalization.axes[..], [-1 | 2]) => {
                Map::Normalize(normalization.clone())
            }
            _ => return None,
        };
        Some(PerStep { features, map, layout: Arc::default() })
    }

    fn apply(&self, from: &[T], to: &mut [T]) {
        to.copy_from_slice(from);
        match &self.map {
            Map::Same => {}
            Map::Activation(activation) => activate(Isa::detect(), activation, to),
            Map::PRelu(alpha) => {
                to.iter_mut().zip(alpha).for_each(|(x, &alpha)| *x = prelu::value(*x, alpha));
            }
            Map::Normalize(normalization) => normalization.row(to),
        }
    }

    /// The way back through [`apply`](PerStep::apply), in place.
    fn apply_backward(&self, x: &[T], y: &mut [T], d: &mut [T], gradients: &mut WeightGradients<'_, T>) {
        match &self.map {
            Map::Same => {}
            Map::Activation(activation) => {
                y.copy_from_slice(x);
                activate(Isa::detect(), activation, y);
                activate_backward(Isa::detect(), activation, x, y, d);
            }
            Map::PRelu(alpha) => {
                let sums = gradients.slice(0).iter_mut();
                for (((sum, &alpha), &x), d) in sums.zip(alpha).zip(x).zip(d) {
                    *sum += prelu::backward(x, alpha, d);
                }
            }
            Map::Normalize(normalization) => {
                let mut sums = Sums::new(normalization, gradients.slices());
                normalization.row_backward(x, d, &mut sums);
            }
        }
    }

    fn rows(&self, batch: usize, from: Rows<'_, T>, mut to: RowsMut<'_, T>) {
        for row in 0..batch {
            self.apply(from.row(row), to.row_mut(row));
        }
    }
}

impl<T: Float> Sealed for PerStep<T> {}

impl<T: Float> Layer<T> for PerStep<T> {
    fn input_size(&self) -> usize {
        self.features
    }

    fn output_size(&self) -> usize {
        self.features
    }

    fn returns_sequences(&self) -> bool {
        true
    }

    fn returns_state(&self) -> bool {
        false
    }

    fn per_step(&self) -> bool {
        true
    }

    fn work(&self) -> usize {
        self.features
    }

    fn state_layout(&self) -> &Arc<StateLayout> {
        &self.layout
    }

    fn can_stream(&self) -> Result<()> {
        Ok(())
    }

    fn seeds(&self) -> Seeds {
        Seeds::default()
    }

    fn class_name(&self) -> &'static str {
        match &self.map {
            Map::Same => "Identity",
            Map::Activation(_) => "Activation",
            Map::PRelu(_) => "PReLU",
            Map::Normalize(normalization) if normalization.is_batch() => "BatchNormalization",
            Map::Normalize(_) => "LayerNormalization",
        }
    }

    // Moving statistics stay what they are.
    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        match &self.map {
            Map::Same | Map::Activation(_) => {}
            Map::PRelu(alpha) => visitor.weight("alpha", alpha),
            Map::Normalize(normalization) => normalization.show_weights(visitor),
        }
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        match &mut self.map {
            Map::Same | Map::Activation(_) => {}
            Map::PRelu(alpha) => visitor.weight("alpha", alpha),
            Map::Normalize(normalization) => normalization.change_weights(visitor),
        }
        Ok(())
    }

    fn boxed_clone(&self) -> Box<dyn Layer<T>> {
        Box::new(self.clone())
    }

    fn unshare(&mut self) -> Result<()> {
        Ok(())
    }

    fn fill_initial_state(&self, _row: &mut [T]) {}

    fn recall(&self, batch: usize, _state: Rows<'_, T>, mut carry: RowsMut<'_, T>) {
        for row in 0..batch {
            carry.row_mut(row).fill(T::zero());
        }
    }

    fn process(&self, pass: Pass<'_, T>, _scratch: &mut Scratch<T>) {
        let Pass { batch, timesteps, input, mut carry, mut sequence, .. } = pass;
        if let Some(node) = pass.tape {
            (node.batch, node.timesteps) = (batch, timesteps);
            let kept = take(&mut node.x, batch * timesteps * self.features);
            for (at, kept) in kept.chunks_exact_mut(self.features.max(1)).enumerate() {
                kept.copy_from_slice(input.at(at / batch).row(at % batch));
            }
        }
        for time in 0..timesteps {
            if let Some(sequence) = &mut sequence {
                self.rows(batch, input.at(time), sequence.at(time));
            }
            if time + 1 == timesteps {
                self.rows(batch, input.at(time), carry.reborrow());
            }
        }
    }

    fn step_into(
        &self,
        batch: usize,
        x: Rows<'_, T>,
        _prev: Rows<'_, T>,
        _next: RowsMut<'_, T>,
        carry: RowsMut<'_, T>,
        _scratch: &mut Scratch<T>,
    ) {
        self.rows(batch, x, carry);
    }

    fn can_train(&self) -> Result<()> {
        match &self.map {
            Map::Activation(activation) => activation.check_derivative(),
            _ => Ok(()),
        }
    }

    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        let BackwardPass { d_sequence, flipped, d_last, mut d_input, mut gradients, .. } = pass;
        let (batch, timesteps, features) = (node.batch, node.timesteps, self.features);
        let (d, y) = take(&mut scratch.work, 2 * features).split_at_mut(features);
        for time in 0..timesteps {
            for row in 0..batch {
                match d_sequence {
                    Some(all) => d.copy_from_slice(all.at(if flipped { timesteps - 1 - time } else { time }).row(row)),
                    None => d.fill(T::zero()),
                }
                if let Some(d_last) = d_last.filter(|_| time + 1 == timesteps) {
                    add(d, d_last.row(row));
                }
                let x = &node.x[(time * batch + row) * features..][..features];
                self.apply_backward(x, y, d, &mut gradients);
                if let Some(d_input) = &mut d_input {
                    add(d_input.at(time).row_mut(row), d);
                }
            }
        }
        Ok(())
    }
}

impl<T: Float> fmt::Display for PerStep<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        summary::line(f, self)
    }
}

/// Layers behind a Masking: steps whose features all equal the mask value are masked for them, and read as zeros.
#[derive(Debug, Clone)]
struct Masked<T: Float> {
    mask_value: T,
    layer: Box<dyn Layer<T>>,
}

impl<T: Float> Masked<T> {
    fn is_real(&self, step: &[T]) -> bool {
        step.iter().any(|&value| value != self.mask_value)
    }
}

impl<T: Float> Sealed for Masked<T> {}

impl<T: Float> Layer<T> for Masked<T> {
    fn input_size(&self) -> usize {
        self.layer.input_size()
    }

    fn output_size(&self) -> usize {
        self.layer.output_size()
    }

    fn returns_sequences(&self) -> bool {
        self.layer.returns_sequences()
    }

    fn returns_state(&self) -> bool {
        self.layer.returns_state()
    }

    fn work(&self) -> usize {
        self.layer.work()
    }

    fn ready(&self) -> Result<()> {
        self.layer.ready()
    }

    fn turns_time(&self) -> bool {
        self.layer.turns_time()
    }

    fn state_layout(&self) -> &Arc<StateLayout> {
        self.layer.state_layout()
    }

    fn can_stream(&self) -> Result<()> {
        self.layer.can_stream()
    }

    fn seeds(&self) -> Seeds {
        self.layer.seeds()
    }

    fn class_name(&self) -> &'static str {
        "Masking"
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.layer.visit_weights(visitor);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.layer.visit_weights_mut(visitor)
    }

    fn boxed_clone(&self) -> Box<dyn Layer<T>> {
        Box::new(self.clone())
    }

    fn unshare(&mut self) -> Result<()> {
        self.layer.unshare()
    }

    fn generators(&self) -> usize {
        self.layer.generators()
    }

    fn fill_initial_state(&self, row: &mut [T]) {
        self.layer.fill_initial_state(row);
    }

    fn carry_width(&self) -> usize {
        self.layer.carry_width()
    }

    fn recall(&self, batch: usize, state: Rows<'_, T>, carry: RowsMut<'_, T>) {
        self.layer.recall(batch, state, carry);
    }

    fn unmerged(&self) -> Option<usize> {
        self.layer.unmerged()
    }

    fn can_write_sequence(&self) -> bool {
        self.layer.can_write_sequence()
    }

    fn process(&self, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        let Pass { batch, timesteps, input, resets, prev, next, carry, sequence, masked_output, dropout, .. } = pass;
        let width = self.input_size();
        let mut values = std::mem::take(&mut scratch.work);
        let mut flags = std::mem::take(&mut scratch.flags);
        flags.clear();
        let copy = take(&mut values, batch * timesteps * width);
        for (row, steps) in copy.chunks_exact_mut((timesteps * width).max(1)).enumerate().take(batch) {
            for (time, step) in steps.chunks_exact_mut(width.max(1)).enumerate() {
                let x = input.at(time).row(row);
                // Keras's Masking makes a mask of its own, whatever mask there was.
                let real = self.is_real(x);
                flags.push(real);
                if real { step.copy_from_slice(x) } else { step.fill(T::zero()) }
            }
        }
        let node = pass.tape.and_then(|node| {
            (node.batch, node.timesteps) = (batch, timesteps);
            node.live.clone_from(&flags);
            node.children(1).first_mut()
        });
        let [child] = scratch.children(1) else { return };
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
        take(&mut scratch.outputs, batch * self.input_size());
        if (0..batch).all(|row| self.is_real(x.row(row))) {
            let [child] = scratch.children(1) else { return };
            return self.layer.step_into(batch, x, prev, next, carry, child);
        }
        // As a whole call of one step, which knows of masks.
        let width = self.input_size();
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

    fn can_train(&self) -> Result<()> {
        self.layer.can_train()
    }

    fn may_fail_backward(&self) -> bool {
        self.layer.may_fail_backward()
    }

    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        // A masked step was read as zeros, whatever it held: nothing flows back to it.
        let (batch, timesteps, width) = (node.batch, node.timesteps, self.input_size());
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

impl<T: Float> fmt::Display for Masked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.layer)
    }
}
