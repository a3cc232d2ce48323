//! Two layers over the same sequence, one from each end.

mod backward;
mod forward;
mod merge;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use merge::Merge;

#[cfg(feature = "file")]
use super::described::recurrent_class;
use super::recurrent::Recurrent;
use super::{Layer, quantize, summary};
use crate::cells::builder::Builder;
use crate::cells::{BuiltInCell, Cell};
use crate::config::{Config, ConfigError};
#[cfg(feature = "file")]
use crate::config::{Described, Options, Tensors};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory::{self, MemoryNeeds};
use crate::parameters::{Parameters, Sealed, own_parameters};
use crate::precision::Precision;
use crate::runner::layer::{LayerCore, LayerSpec};
use crate::runner::memory::{Call, CallBack, Held};
use crate::runner::pass::{BackwardPass, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::tape::Node;
use crate::seeds::DropoutGenerator;
use crate::state::StateLayout;
use crate::strided::{Rows, RowsMut};
use crate::structure::StructureVisitor;
use crate::weights::{QuantizedVisitor, WeightVisitor, WeightVisitorMut};

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
        let merge = Merge::read(&options.need("merge_mode", "concat, sum, mul, ave or null")?)?;
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

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        visitor.nested("forward", |visitor| self.forward.visit_quantized(visitor));
        visitor.nested("backward", |visitor| self.backward.visit_quantized(visitor));
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        Ok(Config::new("Bidirectional")
            .with("layer", self.forward.describe()?)
            .with("backward_layer", self.backward.describe()?)
            .with("merge_mode", self.merge.name()))
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
        self.needs_of_run(call, held, needs);
    }

    fn memory_needs_backward(&self, call: CallBack, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        self.needs_of_backward(call, held, needs);
    }

    fn process(&self, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        self.run_both(pass, scratch);
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
        debug_assert!(false, "`streams` refuses");
    }

    fn trains_as_in_keras(&self) -> Result<()> {
        self.forward.trains_as_in_keras()?;
        self.backward.trains_as_in_keras()
    }

    fn can_train(&self) -> Result<()> {
        self.forward.can_train()?;
        self.backward.can_train()
    }

    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        self.backward_both(node, pass, scratch)
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

    fn quantize(&self, precision: Precision) -> Result<Box<dyn Layer<T>>> {
        let forward = quantize::inside("forward", &*self.forward, precision)?;
        let backward = quantize::inside("backward", &*self.backward, precision)?;
        Ok(Box::new(Bidirectional::from_boxed(forward, backward)?.merge_mode(self.merge)))
    }
}

impl<T: Float> fmt::Display for Bidirectional<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        summary::table(f, self)
    }
}
