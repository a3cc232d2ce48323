//! What a user holds: layers with options, weights and defaults, all behind one trait.

pub(crate) mod bidirectional;
mod boxed;
pub(crate) mod builder;
pub(crate) mod dense;
pub(crate) mod embedding;
mod flow;
pub(crate) mod masking;
pub(crate) mod names;
pub(crate) mod recurrent;
pub(crate) mod stacked;
pub(crate) mod stateful;
pub(crate) mod summary;
pub(crate) mod time_distributed;
pub(crate) mod trainable;
mod unrolled;

use std::fmt::{Debug, Display};
use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArrayRef3, ArrayViewD};

use self::trainable::Trainable;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::{Gradients, OutputGradient};
use crate::output::Output;
use crate::room::{Call, CallBack, Held, Room};
use crate::rows::{RowInput, RowStep, Rows, RowsMut};
use crate::runner::backward::backward;
use crate::runner::pass::{BackwardPass, Pass};
use crate::runner::run::{OutputMut, Run, check_input, produce, run_into};
use crate::runner::scratch::Scratch;
use crate::runner::tape::{Node, Tape};
use crate::seeds::{DropoutState, Seeds};
use crate::stamp::Mark;
use crate::state::{State, StateLayout};
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

pub(crate) mod sealed {
    /// Implemented by this crate's layers only, so that [`Layer`](super::Layer) can grow.
    pub trait Sealed {}

    /// Implemented by what has weights, layers or not, so that [`Trainable`](super::Trainable) can grow.
    pub trait Weighted {}

    impl<L: Sealed + ?Sized> Weighted for L {}
}

/// A layer over sequences: (batch, timesteps, features) in, an [`Output`] out.
///
/// Sealed: the crate implements it for its layers; a cell of your own becomes one by
/// [`Recurrent::from_cell`](crate::Recurrent::from_cell). It is object-safe, and `forward` takes `&self`: one layer
/// serves many threads and streams.
pub trait Layer<T: Float>: Trainable<T> + Debug + Display + Send + Sync + sealed::Sealed + 'static {
    /// The number of features of the input.
    fn input_size(&self) -> usize;

    /// The number of features of the output.
    fn output_size(&self) -> usize;

    /// Whether [`Output::sequence`] is there.
    fn returns_sequences(&self) -> bool;

    /// Whether [`Output::state`] is there.
    fn returns_state(&self) -> bool;

    /// Whether each step's output depends on that step alone, as in [`Dense`](crate::Dense).
    fn per_step(&self) -> bool {
        false
    }

    /// The names and widths of the state's parts.
    fn state_layout(&self) -> &Arc<StateLayout>;

    /// Whether the layer can run step by step.
    ///
    /// # Errors
    /// [`Error::CannotStream`] names the layer that can't and says why.
    fn can_stream(&self) -> Result<()>;

    /// The dropout generators of the layer, as new: for [`Run::training`].
    fn seeds(&self) -> Seeds {
        let mut states = Vec::new();
        self.visit_generators(&mut |state| states.push(state));
        Seeds { states }
    }

    /// Shows each generator of [`seeds`](Layer::seeds), as new.
    #[doc(hidden)]
    fn visit_generators(&self, show: &mut dyn FnMut(DropoutState));

    /// The layer's kind in Keras's words: `LSTM`, `Bidirectional`, ...
    fn class_name(&self) -> &'static str;

    /// Shows what the layer is but for its weights: class, options, and the same of what is inside.
    #[doc(hidden)]
    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>);

    /// The layers inside, with their parts of the weights' names.
    #[doc(hidden)]
    fn parts(&self) -> Vec<(&str, &dyn Layer<T>)> {
        Vec::new()
    }

    /// Shows each weight and its path to the visitor, in Keras's order.
    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>);

    /// Hands each weight to the visitor to be changed; afterwards the layer has packed them anew.
    ///
    /// # Errors
    /// [`Error::SharedCell`] if a user's cell is shared between clones and can't be cloned.
    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()>;

    /// The same layer in a box of its own.
    fn boxed_clone(&self) -> Box<dyn Layer<T>>;

    /// Shows the mark of this layer, then those of the layers inside: by them a tape knows whose run it holds, and an
    /// optimizer whose weights it remembers. Options that can be changed after the layer was made belong to its mark.
    #[doc(hidden)]
    fn visit_marks(&self, show: &mut dyn FnMut(Mark));

    /// Makes sure that the weights belong to this layer alone, so that they can be changed.
    #[doc(hidden)]
    fn unshare(&mut self) -> Result<()>;

    /// Writes one row of the state that a call begins with.
    #[doc(hidden)]
    fn fill_initial_state(&self, row: &mut [T]);

    /// The width of the previous outputs of the layer and the layers inside.
    #[doc(hidden)]
    fn carry_width(&self) -> usize {
        self.output_size()
    }

    /// Writes the previous outputs that belong to a state, as far as a state tells.
    #[doc(hidden)]
    fn recall(&self, batch: usize, state: Rows<'_, T>, carry: RowsMut<'_, T>);

    /// The width of the forward direction's output, if the two directions' outputs aren't merged into one.
    #[doc(hidden)]
    fn unmerged(&self) -> Option<usize> {
        None
    }

    /// Multiplications of one row and step: what threads are weighed against.
    #[doc(hidden)]
    fn work(&self) -> usize;

    /// The number of [`seeds`](Layer::seeds).
    #[doc(hidden)]
    fn generators(&self) -> usize {
        let mut count = 0;
        self.visit_generators(&mut |_| count += 1);
        count
    }

    /// Whether the layer can run at all: asked before each call.
    #[doc(hidden)]
    fn ready(&self) -> Result<()> {
        Ok(())
    }

    /// Whether the outputs of all steps stand in the opposite order of the input's steps.
    #[doc(hidden)]
    fn turns_time(&self) -> bool {
        false
    }

    /// Whether the outputs of all steps exist at all.
    #[doc(hidden)]
    fn can_write_sequence(&self) -> bool {
        true
    }

    /// How many layers or cells stand within each other here, this one included.
    #[doc(hidden)]
    fn depth(&self) -> usize {
        1
    }

    /// Adds what [`process`](Layer::process) takes in a call of this size, beyond what it will find.
    #[doc(hidden)]
    fn room(&self, call: Call, held: Held<'_, T>, room: &mut Room);

    /// Adds what [`backward_into`](Layer::backward_into) takes, beyond what it will find.
    #[doc(hidden)]
    fn room_backward(&self, call: CallBack, held: Held<'_, T>, room: &mut Room);

    /// The core: a whole call, shapes checked.
    #[doc(hidden)]
    fn process(&self, pass: Pass<'_, T>, scratch: &mut Scratch<T>);

    /// The core of a stream: one step of every row, shapes checked.
    #[doc(hidden)]
    fn step_into(
        &self,
        batch: usize,
        x: Rows<'_, T>,
        prev: Rows<'_, T>,
        next: RowsMut<'_, T>,
        carry: RowsMut<'_, T>,
        scratch: &mut Scratch<T>,
    );

    /// The columns of the state that are the output, if it is part of the state.
    #[doc(hidden)]
    fn output_columns(&self) -> Option<Range<usize>> {
        None
    }

    /// [`step_into`](Layer::step_into) of the only row, by the shortest way: an output that is part of the state is not
    /// written to `carry`, until [`catch_up`](Layer::catch_up) does so.
    #[doc(hidden)]
    fn step_row(&self, step: &mut RowStep<'_, T>, carry: &mut [T], scratch: &mut Scratch<T>) {
        let RowInput::Raw(x) = step.input else { return };
        let (prev, width, carry_width) = (step.prev, step.next.len(), carry.len());
        let (next, carry) = (RowsMut::packed(&mut *step.next, width), RowsMut::packed(carry, carry_width));
        self.step_into(1, Rows::packed(x, x.len()), Rows::packed(prev, prev.len()), next, carry, scratch);
    }

    /// Writes the outputs that steps by [`step_row`](Layer::step_row) have left in the state.
    #[doc(hidden)]
    fn catch_up(&self, state: &[T], carry: &mut [T]) {
        if let Some(columns) = self.output_columns() {
            let start = carry.len() - columns.len();
            carry[start..].copy_from_slice(&state[columns]);
        }
    }

    /// Whether the layer can be trained: asked before a run records.
    #[doc(hidden)]
    fn can_train(&self) -> Result<()>;

    /// Whether the way back may be refused in the middle, by a user's cell.
    #[doc(hidden)]
    fn may_fail_backward(&self) -> bool {
        false
    }

    /// The core of the way back through a recorded call, shapes checked.
    #[doc(hidden)]
    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()>;

    /// Runs the layer over `x`, (batch, timesteps, features), from the initial state.
    ///
    /// # Errors
    /// [`Error::InputFeatures`] if the feature count isn't the layer's, [`Error::NoTimesteps`] if there is no step,
    /// [`Error::TensorTooLarge`] for an input that repeats its elements more often than there is memory for.
    fn forward(&self, x: &ArrayRef3<T>) -> Result<Output<T>> {
        self.run(x, Run::new())
    }

    /// [`forward`](Layer::forward) with more said: masks, lengths, resets, an initial state, training.
    ///
    /// # Errors
    /// Those of `forward`, and one for each option that doesn't fit the input: [`Error::MaskShape`],
    /// [`Error::MaskAndLengths`], [`Error::LengthsCount`], [`Error::Length`], [`Error::StateBatch`],
    /// [`Error::StateLayout`], [`Error::SeedsCount`], [`Error::SeedsLayer`].
    fn run(&self, x: &ArrayRef3<T>, run: Run<'_, T>) -> Result<Output<T>> {
        check_input(self, x)?;
        let mut scratch = T::lend_scratch();
        let output = produce(self, x, run, None, None, &mut scratch);
        T::give_back_scratch(scratch);
        output
    }

    /// [`run`](Layer::run) into the caller's arrays, with the caller's memory: allocates nothing once `scratch` has
    /// grown to the call's size.
    ///
    /// # Errors
    /// Those of `run`, and [`Error::OutputShape`], [`Error::StateBatch`] or [`Error::StateLayout`] for an array of
    /// the wrong shape. Nothing is written then.
    fn run_into(
        &self,
        x: &ArrayRef3<T>,
        run: Run<'_, T>,
        out: OutputMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        run_into(self, x, run, out, scratch)
    }

    /// The way back through a run that was recorded ([`Run::record`]): from the gradients of its results to those of
    /// the weights, which are added to `gradients`, and of the input and the initial state, which replace what
    /// `gradients` held. The tape is spent then.
    ///
    /// # Errors
    /// [`Error::TapeEmpty`], [`Error::TapeSpent`] for a tape that holds no run to go back through; [`Error::TapeLayer`],
    /// [`Error::TapeOptions`], [`Error::TapeStale`] for one that holds a run of another layer, or of this one with other
    /// options or other weights; [`Error::GradientsLayer`] for another layer's gradients; [`Error::OutputShape`], [`Error::StateBatch`],
    /// [`Error::StateLayout`] for gradients of the wrong shape. `gradients` are as before then, and the tape is still
    /// good. [`Error::NoBackward`], or its own error, of a user's cell: `gradients` are as before, the tape is spent.
    fn backward(
        &self,
        tape: &mut Tape<T>,
        upstream: OutputGradient<'_, T>,
        gradients: &mut Gradients<T>,
    ) -> Result<()> {
        backward(self, tape, upstream, gradients)
    }

    /// The state that a call without one begins with: zeros for this crate's layers.
    ///
    /// # Panics
    /// If there is no memory for so many rows: use [`try_initial_state`](Layer::try_initial_state) for a number that
    /// isn't known to be sound.
    #[track_caller]
    fn initial_state(&self, batch: usize) -> State<T> {
        or_panic(self.try_initial_state(batch))
    }

    /// [`initial_state`](Layer::initial_state), or an error.
    ///
    /// # Errors
    /// [`Error::TensorTooLarge`] for more rows than there is memory for.
    fn try_initial_state(&self, batch: usize) -> Result<State<T>> {
        let mut state = State::try_zeros(Arc::clone(self.state_layout()), batch)?;
        let width = self.state_layout().width();
        for row in state.as_mut_slice().chunks_exact_mut(width.max(1)) {
            self.fill_initial_state(row);
        }
        Ok(state)
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
    /// [`Error::UnknownName`] lists the names there are.
    fn weight(&self, name: &str) -> Result<ArrayViewD<'_, T>> {
        let mut found = None;
        let mut weights = self.weights();
        if let Some(at) = weights.iter().position(|(weight, _)| weight == name) {
            found = Some(weights.swap_remove(at).1);
        }
        found.ok_or_else(|| Error::unknown_name("weight", name, weights.into_iter().map(|(weight, _)| weight)))
    }

    /// Replaces the weights of these names; the others stay. All are checked before any is changed.
    ///
    /// # Errors
    /// [`Error::UnknownName`], [`Error::WeightShape`], [`Error::DuplicateName`], or [`Error::SharedCell`] for clones
    /// of a user's cell that can't be cloned; the layer is unchanged then.
    fn set_weights(&mut self, new: &[(&str, ArrayViewD<'_, T>)]) -> Result<()> {
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
        count
    }
}

/// That there are weights of these names and shapes, each given once.
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

/// The result of a function that is documented to panic where its twin returns an error: at the caller's line.
#[track_caller]
pub(crate) fn or_panic<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
