//! Two layers over the same sequence, one from each end.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::builder::{Builder, Kind};
use super::recurrent::Recurrent;
use super::sealed::Sealed;
use super::{Layer, summary};
use crate::cells::Cell;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::rows::{Rows, RowsMut};
use crate::runner::pass::{MaskedOutput, Pass};
use crate::runner::scratch::{Scratch, take};
use crate::runner::sequence::SequenceMut;
use crate::seeds::Seeds;
use crate::state::StateLayout;
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
/// assert_ne!(layer.weight("forward/kernel")?, layer.weight("backward/kernel")?); // each is drawn anew
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Bidirectional<T: Float = f32> {
    forward: Box<dyn Layer<T>>,
    backward: Box<dyn Layer<T>>,
    merge: Merge,
    layout: Arc<StateLayout>,
}

impl<T: Float> Bidirectional<T> {
    /// Makes both directions from one recipe; each draws its own weights. With a seed source, the seeds that Keras
    /// loses (for the layer that it is given and copies twice) are lost too; an explicit seed gives both directions
    /// the same weights, as in Keras.
    ///
    /// # Errors
    /// Those of [`Builder::build`], and [`Error::BidirectionalDirection`] if the recipe says `go_backwards`.
    pub fn new<C: Kind<Elem = T>>(mut recipe: Builder<'_, C>) -> Result<Self> {
        if recipe.run_options().go_backwards {
            return Err(Error::BidirectionalDirection);
        }
        recipe.lose_seeds()?;
        let run = *recipe.run_options();
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
        C: Kind<Elem = T>,
        D: Kind<Elem = T>,
    {
        forward.lose_seeds()?;
        let backward = match forward.lend_seeds() {
            Some(seeds) if !backward.has_seeds() => backward.seeds(seeds).build()?,
            _ => backward.build()?,
        };
        Self::from_layers(forward.build()?, backward)
    }

    /// Joins two layers.
    ///
    /// # Errors
    /// [`Error::BidirectionalPair`] unless exactly the second goes backwards, and both read inputs of one size, are as
    /// wide as each other and return the same things.
    pub fn from_layers<F, B>(forward: Recurrent<F>, backward: Recurrent<B>) -> Result<Self>
    where
        F: Cell<Elem = T>,
        B: Cell<Elem = T>,
    {
        let pair = |option, forward: String, backward: String, expected| {
            Err(Error::BidirectionalPair { option, forward, backward, expected })
        };
        let directions = (forward.goes_backwards(), backward.goes_backwards());
        if directions != (false, true) {
            let (forward, backward) = (directions.0.to_string(), directions.1.to_string());
            return pair("go_backwards", forward, backward, "it must be false and true");
        }
        let same = "they must be the same";
        for (option, a, b) in [
            ("return_sequences", forward.returns_sequences(), backward.returns_sequences()),
            ("return_state", forward.returns_state(), backward.returns_state()),
        ] {
            if a != b {
                return pair(option, a.to_string(), b.to_string(), same);
            }
        }
        for (option, a, b) in [
            ("input_size", forward.input_size(), backward.input_size()),
            ("units", forward.output_size(), backward.output_size()),
        ] {
            if a != b {
                return pair(option, a.to_string(), b.to_string(), same);
            }
        }
        let names =
            [("forward".to_string(), &**forward.state_layout()), ("backward".to_string(), &**backward.state_layout())];
        let layout = Arc::new(StateLayout::nested(names));
        Ok(Bidirectional { forward: Box::new(forward), backward: Box::new(backward), merge: Merge::Concat, layout })
    }

    /// How the outputs of the two directions become one; [`Merge::Concat`] unless it is set.
    pub fn merge_mode(mut self, merge: Merge) -> Self {
        self.merge = merge;
        self
    }

    /// The columns of the state that are each direction's.
    fn states(&self) -> (Range<usize>, Range<usize>) {
        let forward = self.forward.state_layout().width();
        (0..forward, forward..self.layout.width())
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

impl<T: Float> Sealed for Bidirectional<T> {}

impl<T: Float> Layer<T> for Bidirectional<T> {
    fn input_size(&self) -> usize {
        self.forward.input_size()
    }

    fn output_size(&self) -> usize {
        let units = self.forward.output_size();
        if self.side_by_side() { 2 * units } else { units }
    }

    fn returns_sequences(&self) -> bool {
        self.forward.returns_sequences()
    }

    fn returns_state(&self) -> bool {
        self.forward.returns_state()
    }

    fn state_layout(&self) -> &Arc<StateLayout> {
        &self.layout
    }

    fn can_stream(&self) -> Result<()> {
        Err(Error::CannotStream { layer: self.to_string(), reason: "its backward direction needs the whole sequence" })
    }

    fn seeds(&self) -> Seeds {
        let mut states = self.forward.seeds().states;
        states.extend(self.backward.seeds().states);
        Seeds { states }
    }

    fn class_name(&self) -> &'static str {
        "Bidirectional"
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

    fn boxed_clone(&self) -> Box<dyn Layer<T>> {
        Box::new(self.clone())
    }

    fn unshare(&mut self) -> Result<()> {
        self.forward.unshare()?;
        self.backward.unshare()
    }

    fn fill_initial_state(&self, row: &mut [T]) {
        let (forward, backward) = self.states();
        self.forward.fill_initial_state(&mut row[forward]);
        self.backward.fill_initial_state(&mut row[backward]);
    }

    fn recall(&self, batch: usize, _state: Rows<'_, T>, mut carry: RowsMut<'_, T>) {
        for row in 0..batch {
            carry.row_mut(row).fill(T::zero());
        }
    }

    fn unmerged(&self) -> Option<usize> {
        (self.merge == Merge::None).then(|| self.forward.output_size())
    }

    fn process(&self, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        let Pass { batch, timesteps, input, mask, resets, prev, mut next, mut carry, mut sequence, dropout, .. } = pass;
        let units = self.forward.output_size();
        let (forward_state, backward_state) = self.states();
        let (forward_generators, backward_generators) = match dropout {
            Some(all) => {
                let (forward, backward) = all.split_at_mut(self.forward.seeds().states.len());
                (Some(forward), Some(backward))
            }
            None => (None, None),
        };
        // Keras sets zero_output_for_mask on both directions where they return sequences.
        let masked_output = Some(MaskedOutput { zero_sequence: true, zero_last: false });

        let mut lasts = std::mem::take(&mut scratch.carry);
        let (forward_last, backward_last) = take(&mut lasts, 2 * batch * units).split_at_mut(batch * units);
        forward_last.fill(T::zero());
        backward_last.fill(T::zero());

        // Directions that stand side by side are written in place; else the backward one goes by a buffer.
        let mut buffer = std::mem::take(&mut scratch.outputs);
        let backward_len = if sequence.is_some() && !self.side_by_side() { batch * timesteps * units } else { 0 };
        let backward_values = take(&mut buffer, backward_len);
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
                dropout: forward_generators,
            },
            forward_scratch,
        );
        let backward_sequence = match (&mut sequence, self.side_by_side()) {
            (None, _) => None,
            (Some(sequence), true) => Some(sequence.reborrow().columns(units..2 * units).flipped()),
            (Some(_), false) => Some(SequenceMut::packed(backward_values, timesteps, units).flipped()),
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
                carry: RowsMut::packed(backward_last, units),
                sequence: backward_sequence,
                masked_output,
                dropout: backward_generators,
            },
            backward_scratch,
        );
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
            let range = row * units..(row + 1) * units;
            let (forward, backward) = carry.row_mut(row).split_at_mut(units);
            forward.copy_from_slice(&forward_last[range.clone()]);
            if self.side_by_side() {
                backward.copy_from_slice(&backward_last[range]);
            } else {
                self.merge_into(forward, &backward_last[range]);
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
}

impl<T: Float> fmt::Display for Bidirectional<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        summary::line(f, self)
    }
}
