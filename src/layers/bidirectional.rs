//! Two layers over the same sequence, one from each end.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

#[cfg(feature = "file")]
use super::described::recurrent_class;
use super::recurrent::Recurrent;
use super::{Layer, summary};
use crate::buffers::take;
use crate::cells::builder::Builder;
use crate::cells::{BuiltInCell, Cell};
use crate::config::{Config, ConfigError};
#[cfg(feature = "file")]
use crate::config::{Described, Options, Tensors};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory::{self, MemoryNeeds};
use crate::parameters::{Parameters, Sealed, own_parameters};
use crate::runner::layer::{LayerCore, LayerSpec};
use crate::runner::memory::{Call, CallBack, Held};
use crate::runner::pass::{BackwardPass, MaskedOutput, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::sequence::{Sequence, SequenceMut};
use crate::runner::tape::Node;
use crate::seeds::DropoutGenerator;
use crate::state::StateLayout;
use crate::strided::{Rows, RowsMut};
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// How the outputs of the two directions become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Merge {
    /// Their sum.
    Sum,
    /// Their product, element by element.
    Mul,
    /// Side by side, forward first: twice as wide. The default.
    #[default]
    Concat,
    /// Their mean, `(forward + backward) / 2`.
    Ave,
    /// Not at all (Keras's `None`): the forward direction's is the output, the backward direction's is
    /// [`Output::backward`](crate::Output::backward). Where arrays are the caller's, they stand side by side.
    None,
}

/// Keras's names; its `None` is none.
const MERGES: [(&str, Merge); 4] =
    [("sum", Merge::Sum), ("mul", Merge::Mul), ("concat", Merge::Concat), ("ave", Merge::Ave)];

/// A layer over a sequence in both directions: Keras's `Bidirectional`.
///
/// Outputs stand in the input's order, whatever the direction; the last output joins the last one of each direction
/// (the backward one's belongs to time 0). Masked steps put out zeros in a sequence, and repeat the previous output
/// otherwise, as Keras does it. Weights and states are named `forward/...` and `backward/...`.
///
/// It needs the whole sequence, so it can't stream.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Bidirectional, Layer, Lstm, Merge};
/// let layer = Bidirectional::new(Lstm::<f32>::builder(3, 4).return_sequences(true))?.merge_mode(Merge::Sum);
/// assert_eq!(layer.forward(&Array3::ones((2, 5, 3)))?.sequence()?.dim(), (2, 5, 4));
/// assert_ne!(layer.weight("forward/kernel")?, layer.weight("backward/kernel")?); // each is drawn again
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "setters return the layer"]
pub struct Bidirectional<T: Float = f32> {
    forward: Box<dyn Layer<T>>,
    backward: Box<dyn Layer<T>>,
    merge: Merge,
    layout: Arc<StateLayout>,
    depth: usize,
}

impl<T: Float> Bidirectional<T> {
    /// Makes both directions from one recipe; each draws its own weights. With a seed source, the seeds that Keras
    /// loses (for the layer that it is given and copies twice) are lost too; an explicit seed gives both directions
    /// the same weights, as in Keras.
    ///
    /// # Errors
    /// Those of [`Builder::build`], and [`Error::BidirectionalDirection`] if the recipe says `go_backwards`.
    pub fn new<C: BuiltInCell<Elem = T>>(mut recipe: Builder<'_, C>) -> Result<Self> {
        if recipe.run_options().go_backwards {
            return Err(Error::BidirectionalDirection);
        }
        recipe.copied()?;
        let run = recipe.run_options();
        let forward = Recurrent::with_options(recipe.make_cell()?, run);
        let backward = Recurrent::with_options(recipe.make_cell()?, run).go_backwards(true);
        Self::from_layers(forward, backward)
    }

    /// Makes the directions from a recipe each: Keras's `backward_layer`. A seed source is the forward recipe's and
    /// serves both, in Keras's order: the seeds of the forward layer that Keras copies are lost, then the backward
    /// layer takes its seeds, then the forward one.
    ///
    /// # Errors
    /// Those of [`Builder::build`] and of [`from_layers`](Self::from_layers).
    pub fn with_backward<C, D>(mut forward: Builder<'_, C>, backward: Builder<'_, D>) -> Result<Self>
    where
        C: BuiltInCell<Elem = T>,
        D: BuiltInCell<Elem = T>,
    {
        forward.copied()?;
        let backward = match forward.lend_seeds() {
            Some(seeds) if !backward.has_seeds() => backward.seeds(seeds).build()?,
            _ => backward.build()?,
        };
        Self::from_layers(forward.build()?, backward)
    }

    /// Joins two layers. The outputs of the second are always turned around; with a forward layer that goes backwards
    /// (and a backward one that doesn't) they so stand in the opposite order of the input, as in Keras.
    ///
    /// # Errors
    /// [`Error::BidirectionalPair`] unless exactly one of the two goes backwards, and both read inputs of one size and
    /// return the same things; [`Error::WidthOverflow`] for widths that can't be addressed together.
    pub fn from_layers<F, B>(forward: Recurrent<F>, backward: Recurrent<B>) -> Result<Self>
    where
        F: Cell<Elem = T>,
        B: Cell<Elem = T>,
    {
        Self::from_boxed(Box::new(forward), Box::new(backward))
    }

    /// [`from_layers`](Self::from_layers) of layers of one cell, whatever the cell.
    fn from_boxed(forward: Box<dyn Layer<T>>, backward: Box<dyn Layer<T>>) -> Result<Self> {
        let (same, opposite) = ("they must be the same", "they must be opposite");
        let flag = |yes: bool| usize::from(yes);
        let (of_forward, of_backward) = ((*forward).spec(), (*backward).spec());
        for (option, a, b, fits, expected) in [
            ("go_backwards", flag(of_forward.reverses_time), flag(of_backward.reverses_time), false, opposite),
            ("return_sequences", flag(forward.returns_sequences()), flag(backward.returns_sequences()), true, same),
            ("return_state", flag(forward.returns_state()), flag(backward.returns_state()), true, same),
            ("input_size", forward.input_size(), backward.input_size(), true, same),
        ] {
            if (a == b) != fits {
                return Err(pair(option, a, b, expected));
            }
        }
        forward.check_ready()?;
        backward.check_ready()?;
        memory::add_width("state", forward.state_layout().width(), backward.state_layout().width())?;
        memory::add_width("output", forward.output_size(), backward.output_size())?;
        let depth = memory::check_depth(of_forward.depth.max(of_backward.depth).saturating_add(1))?;
        let names = ["forward", "backward"].map(String::from);
        let layouts = [&**forward.state_layout(), &**backward.state_layout()];
        let layout = Arc::new(StateLayout::nested(names.into_iter().zip(layouts)));
        Ok(Bidirectional { forward, backward, merge: Merge::Concat, layout, depth })
    }

    /// The layer of these options, with these weights.
    #[cfg(feature = "file")]
    pub(crate) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Result<Self, ConfigError> {
        let mut direction = |option, weights| {
            let layer: Described<'_> = options.config(option, "a layer of one cell")?;
            let read = recurrent_class::<T>(layer.class()).ok_or_else(|| layer.wrong_class("a layer of one cell"))?;
            layer.read(|options| read(options, &mut tensors.nested(weights)))
        };
        let (forward, backward) = (direction("layer", "forward")?, direction("backward_layer", "backward")?);
        let expected = "concat, sum, mul, ave or null";
        let merge = match options.need("merge_mode", expected)?.given() {
            Some(_) => options.word("merge_mode", &MERGES)?,
            None => Merge::None,
        };
        let layer = Self::from_boxed(forward, backward).map_err(|error| options.refused(error))?;
        Ok(layer.merge_mode(merge))
    }

    /// How the outputs of the two directions become one; [`Merge::Concat`] unless it is set. Directions of different
    /// widths can only stand side by side: with another mode each call is an error ([`Error::BidirectionalPair`]).
    pub fn merge_mode(mut self, merge: Merge) -> Self {
        self.merge = merge;
        self
    }

    /// The columns of the state that are each direction's.
    fn states(&self) -> (Range<usize>, Range<usize>) {
        let forward = self.forward.state_layout().width();
        (0..forward, forward..self.layout.width())
    }

    /// The width of each direction's output.
    fn units(&self) -> (usize, usize) {
        (self.forward.output_size(), self.backward.output_size())
    }

    fn side_by_side(&self) -> bool {
        matches!(self.merge, Merge::Concat | Merge::None)
    }

    /// Merges a row of the backward direction into one of the forward direction.
    fn merge_into(&self, forward: &mut [T], backward: &[T]) {
        let two = T::one() + T::one();
        for (a, &b) in forward.iter_mut().zip(backward) {
            *a = match self.merge {
                Merge::Sum => *a + b,
                Merge::Mul => *a * b,
                Merge::Ave => (*a + b) / two,
                // These stand side by side.
                Merge::Concat | Merge::None => *a,
            };
        }
    }
}

impl<T: Float> Bidirectional<T> {
    /// Room for the outputs of both directions: of each the rows [row][step], the last output behind a row's
    /// steps.
    fn both_outputs<'b>(&self, batch: usize, timesteps: usize, buffer: &'b mut Vec<T>) -> [RowsMut<'b, T>; 2] {
        let ((forward, backward), rows) = (self.units(), batch * (timesteps + 1));
        let (first, second) = take(buffer, rows * (forward + backward)).split_at_mut(rows * forward);
        [RowsMut::packed(first, forward), RowsMut::packed(second, backward)]
    }

    /// The backward pass through the merge of row `at`: what its gradient is for each direction. `kept` are the outputs
    /// of the directions; only a product needs them.
    fn unmerge(&self, d_out: &[T], kept: Option<&[RowsMut<'_, T>; 2]>, d: &mut [RowsMut<'_, T>; 2], at: usize) {
        let [d_forward, d_backward] = d;
        let (d_forward, d_backward) = (d_forward.row_mut(at), d_backward.row_mut(at));
        match self.merge {
            Merge::Concat | Merge::None => {
                let (first, second) = d_out.split_at(d_forward.len());
                d_forward.copy_from_slice(first);
                d_backward.copy_from_slice(second);
                return;
            }
            Merge::Sum | Merge::Ave | Merge::Mul => {
                d_forward.copy_from_slice(d_out);
                d_backward.copy_from_slice(d_out);
            }
        }
        let two = T::one() + T::one();
        if self.merge == Merge::Ave {
            d_forward.iter_mut().chain(d_backward.iter_mut()).for_each(|d| *d /= two);
        }
        if let Some([forward, backward]) = kept {
            d_forward.iter_mut().zip(backward.row(at)).for_each(|(d, &factor)| *d *= factor);
            d_backward.iter_mut().zip(forward.row(at)).for_each(|(d, &factor)| *d *= factor);
        }
    }
}

fn pair(option: &'static str, forward: usize, backward: usize, expected: &'static str) -> Error {
    Error::BidirectionalPair { option, forward, backward, expected }
}

impl<T: Float> Sealed for Bidirectional<T> {}

impl<T: Float> Parameters<T> for Bidirectional<T> {
    fn layout(&self) -> &Arc<StateLayout> {
        &self.layout
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.nested("forward", |visitor| self.forward.visit_weights(visitor));
        visitor.nested("backward", |visitor| self.backward.visit_weights(visitor));
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.unshare()?;
        visitor.nested("forward", |visitor| self.forward.visit_weights_mut(visitor))?;
        visitor.nested("backward", |visitor| self.backward.visit_weights_mut(visitor))
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        let merge = MERGES.iter().find(|(_, merge)| *merge == self.merge).map(|(name, _)| *name);
        Ok(Config::new("Bidirectional")
            .with("layer", self.forward.describe()?)
            .with("backward_layer", self.backward.describe()?)
            .with("merge_mode", merge))
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.layer(self.class_name(), None);
        visitor.option("merge_mode", self.merge as u64, self.merge);
        visitor.nested("forward", |visitor| self.forward.visit_structure(visitor));
        visitor.nested("backward", |visitor| self.backward.visit_structure(visitor));
    }

    fn unshare(&mut self) -> Result<()> {
        self.forward.unshare()?;
        self.backward.unshare()
    }
}

impl<T: Float> LayerCore<T> for Bidirectional<T> {
    fn spec(&self) -> LayerSpec {
        let (forward, backward) = (self.forward.spec(), self.backward.spec());
        let (units, backward_units) = (forward.output_size, backward.output_size);
        let output_size = if self.side_by_side() { units + backward_units } else { units };
        LayerSpec {
            class_name: "Bidirectional",
            output_size,
            carry_width: output_size,
            unmerged: (self.merge == Merge::None).then_some(units),
            output_columns: None,
            work: forward.work.saturating_add(backward.work),
            generators: forward.generators + backward.generators,
            depth: self.depth,
            may_fail_backward: forward.may_fail_backward || backward.may_fail_backward,
            ..forward
        }
    }

    fn check_ready(&self) -> Result<()> {
        let (forward, backward) = self.units();
        if self.side_by_side() || forward == backward {
            return Ok(());
        }
        Err(pair("units", forward, backward, "they must be the same for this merge mode"))
    }

    fn streams(&self) -> Result<()> {
        let reason = "its backward direction needs the whole sequence";
        Err(Error::CannotStream { layer: self.class_name().into(), reason })
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        self.forward.visit_generators(show);
        self.backward.visit_generators(show);
    }

    fn fill_initial_state(&self, row: &mut [T]) {
        let (forward, backward) = self.states();
        self.forward.fill_initial_state(&mut row[forward]);
        self.backward.fill_initial_state(&mut row[backward]);
    }

    fn outputs_from_state(&self, batch: usize, _state: Rows<'_, T>, mut carry: RowsMut<'_, T>) {
        for row in 0..batch {
            carry.row_mut(row).fill(T::zero());
        }
    }

    fn memory_needs(&self, call: Call, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        let Call { batch, timesteps, .. } = call;
        let (units, backward_units) = self.units();
        let keeps = call.recorded && self.merge == Merge::Mul;
        // Of a direction whose outputs nothing else needs, and of one whose outputs aren't written in place.
        let unwanted = if keeps && !call.sequence { units } else { 0 };
        let call = Call { sequence: call.sequence || keeps, ..call };
        self.forward.memory_needs(call, held.child(0), needs);
        self.backward.memory_needs(call, held.child(1), needs);
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.carry.len()), &[batch, units + backward_units]);
        let by_buffer = if call.sequence && !self.side_by_side() { backward_units } else { 0 };
        let outputs = [batch, timesteps, unwanted + by_buffer];
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.outputs.len()), &outputs);
        let kept = if keeps { units + backward_units } else { 0 };
        needs.buffer::<T>(held.in_node(|node| node.outputs.len()), &[batch, timesteps.saturating_add(1), kept]);
    }

    fn memory_needs_backward(&self, call: CallBack, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        let (units, backward_units) = self.units();
        let sizes = [call.batch, call.timesteps.saturating_add(1), units + backward_units];
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.outputs.len()), &sizes);
        self.forward.memory_needs_backward(call, held.child(0), needs);
        self.backward.memory_needs_backward(call, held.child(1), needs);
    }

    fn process(&self, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        let Pass { batch, timesteps, input, mask, resets, prev, mut next, mut carry, sequence, dropout, .. } = pass;
        let (mut forward_node, mut backward_node, mut outputs) = (None, None, None);
        if let Some(node) = pass.tape {
            (node.batch, node.timesteps) = (batch, timesteps);
            outputs = (self.merge == Merge::Mul).then_some(&mut node.outputs);
            node.children.resize_with(2, Node::default);
            if let [forward, backward] = &mut node.children[..] {
                (forward_node, backward_node) = (Some(forward), Some(backward));
            }
        }
        let (units, backward_units) = self.units();
        let (forward_state, backward_state) = self.states();
        let (forward_generators, backward_generators) = match dropout {
            Some(all) => {
                let (forward, backward) = all.split_at_mut(self.forward.spec().generators);
                (Some(forward), Some(backward))
            }
            None => (None, None),
        };
        // Keras sets zero_output_for_mask on both directions where they return sequences.
        let masked_output = Some(MaskedOutput { zero_sequence: true, zero_last: false });

        let mut lasts = std::mem::take(&mut scratch.carry);
        let (forward_last, backward_last) =
            take(&mut lasts, batch * (units + backward_units)).split_at_mut(batch * units);
        forward_last.fill(T::zero());
        backward_last.fill(T::zero());

        // Directions that stand side by side are written in place; else the backward one goes by a buffer.
        let mut buffer = std::mem::take(&mut scratch.outputs);
        // The backward pass through a product needs all outputs, whatever else needs them.
        let keeps = outputs.is_some();
        let (unwanted, backward_values) = (
            if keeps && sequence.is_none() { batch * timesteps * units } else { 0 },
            if keeps || sequence.is_some() && !self.side_by_side() { batch * timesteps * backward_units } else { 0 },
        );
        let (unwanted, backward_values) = take(&mut buffer, unwanted + backward_values).split_at_mut(unwanted);
        let mut sequence = match sequence {
            None if keeps => Some(SequenceMut::packed(unwanted, timesteps, units)),
            wanted => wanted,
        };
        let [forward_scratch, backward_scratch] = scratch.children(2) else { return };

        self.forward.process(
            Pass {
                batch,
                timesteps,
                input,
                mask,
                resets,
                prev: prev.columns(forward_state.clone()),
                next: next.reborrow().columns(forward_state),
                carry: RowsMut::packed(forward_last, units),
                sequence: sequence.as_mut().map(|sequence| sequence.reborrow().columns(0..units)),
                masked_output,
                tape: forward_node.take(),
                dropout: forward_generators,
            },
            forward_scratch,
        );
        let backward_sequence = match (&mut sequence, self.side_by_side()) {
            (None, _) => None,
            (Some(sequence), true) => Some(sequence.reborrow().columns(units..units + backward_units).flipped()),
            (Some(_), false) => Some(SequenceMut::packed(backward_values, timesteps, backward_units).flipped()),
        };
        self.backward.process(
            Pass {
                batch,
                timesteps,
                input,
                mask,
                resets,
                prev: prev.columns(backward_state.clone()),
                next: next.reborrow().columns(backward_state),
                carry: RowsMut::packed(backward_last, backward_units),
                sequence: backward_sequence,
                masked_output,
                tape: backward_node.take(),
                dropout: backward_generators,
            },
            backward_scratch,
        );
        if let Some(outputs) = outputs {
            let [mut forward, mut backward] = self.both_outputs(batch, timesteps, outputs);
            for row in 0..batch {
                let at = row * (timesteps + 1);
                forward.row_mut(at + timesteps).copy_from_slice(&forward_last[row * units..][..units]);
                backward.row_mut(at + timesteps).copy_from_slice(&backward_last[row * units..][..units]);
                let Some(sequence) = &mut sequence else { continue };
                for time in 0..timesteps {
                    let values = &backward_values[(row * timesteps + time) * units..][..units];
                    backward.row_mut(at + time).copy_from_slice(values);
                    forward.row_mut(at + time).copy_from_slice(sequence.at(time).row(row));
                }
            }
        }
        if let (Some(sequence), false) = (&mut sequence, self.side_by_side()) {
            for time in 0..timesteps {
                let mut forward = sequence.at(time);
                for row in 0..batch {
                    let backward = &backward_values[(row * timesteps + time) * units..][..units];
                    self.merge_into(forward.row_mut(row), backward);
                }
            }
        }
        for row in 0..batch {
            let backward_last = &backward_last[row * backward_units..][..backward_units];
            let (forward, backward) = carry.row_mut(row).split_at_mut(units);
            forward.copy_from_slice(&forward_last[row * units..][..units]);
            if self.side_by_side() {
                backward.copy_from_slice(backward_last);
            } else {
                self.merge_into(forward, backward_last);
            }
        }
        (scratch.carry, scratch.outputs) = (lasts, buffer);
    }

    fn step_into(
        &self,
        _batch: usize,
        _x: Rows<'_, T>,
        _prev: Rows<'_, T>,
        _next: RowsMut<'_, T>,
        _carry: RowsMut<'_, T>,
        _scratch: &mut Scratch<T>,
    ) {
        // Nobody gets here: `can_stream` says no.
    }

    fn can_train(&self) -> Result<()> {
        self.forward.can_train()?;
        self.backward.can_train()
    }

    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        let BackwardPass { d_sequence, flipped, d_last, d_state, mut d_input, mut d_initial, mut gradients } = pass;
        let (batch, timesteps) = (node.batch, node.timesteps);
        let (forward_state, backward_state) = self.states();
        let mut weights = 0;
        self.forward.visit_weights(&mut WeightVisitor::new(&mut |_, _| weights += 1));
        let (forward_gradients, backward_gradients) = gradients.split(weights);

        // The gradient of each direction's outputs: those of a row's steps, in the input's order, then its last one's.
        let mut values = std::mem::take(&mut scratch.outputs);
        let is_product = self.merge == Merge::Mul;
        let kept = is_product.then(|| self.both_outputs(batch, timesteps, &mut node.outputs));
        let mut d = self.both_outputs(batch, timesteps, &mut values);
        for row in 0..batch {
            for step in 0..=timesteps {
                let d_out = match step == timesteps {
                    true => d_last.map(|d_last| d_last.row(row)),
                    false => d_sequence.map(|all| all.at(if flipped { timesteps - 1 - step } else { step }).row(row)),
                };
                let at = row * (timesteps + 1) + step;
                match d_out {
                    Some(d_out) => self.unmerge(d_out, kept.as_ref(), &mut d, at),
                    None => d.iter_mut().for_each(|d| d.row_mut(at).fill(T::zero())),
                }
            }
        }
        let [d_forward, d_backward] = d.map(|d| d.into_rows());
        let result = match (&mut node.children[..], scratch.children(2)) {
            ([forward_node, backward_node], [forward_scratch, backward_scratch]) => {
                let forward = BackwardPass {
                    d_sequence: d_sequence.map(|_| Sequence::of_rows(d_forward, timesteps + 1)),
                    flipped: false,
                    d_last: d_last.map(|_| d_forward.skip(timesteps).every(timesteps + 1)),
                    d_state: d_state.columns(forward_state.clone()),
                    d_input: d_input.as_mut().map(|d_input| d_input.reborrow()),
                    d_initial: d_initial.reborrow().columns(forward_state),
                    gradients: forward_gradients,
                };
                let forward = self.forward.backward_into(forward_node, forward, forward_scratch);
                let backward = BackwardPass {
                    d_sequence: d_sequence.map(|_| Sequence::of_rows(d_backward, timesteps + 1)),
                    flipped: true,
                    d_last: d_last.map(|_| d_backward.skip(timesteps).every(timesteps + 1)),
                    d_state: d_state.columns(backward_state.clone()),
                    d_input,
                    d_initial: d_initial.columns(backward_state),
                    gradients: backward_gradients,
                };
                forward.and_then(|()| self.backward.backward_into(backward_node, backward, backward_scratch))
            }
            _ => Err(Error::TapeLayer),
        };
        scratch.outputs = values;
        result
    }
}

own_parameters!([T: Float] Bidirectional<T>, T);

impl<T: Float> Layer<T> for Bidirectional<T> {
    fn parts(&self) -> Vec<(&str, &dyn Layer<T>)> {
        vec![("forward", &*self.forward), ("backward", &*self.backward)]
    }

    fn boxed_clone(&self) -> Box<dyn Layer<T>> {
        Box::new(self.clone())
    }
}

impl<T: Float> fmt::Display for Bidirectional<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        summary::table(f, self)
    }
}
