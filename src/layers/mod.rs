//! What a user holds: layers with options, weights and defaults, all behind one trait.

pub(crate) mod bidirectional;
mod boxed;
pub(crate) mod builder;
pub(crate) mod compare;
pub(crate) mod convolution;
pub(crate) mod dense;
pub(crate) mod described;
pub(crate) mod embedding;
pub(crate) mod masking;
pub(crate) mod names;
pub(crate) mod quantize;
pub(crate) mod quantized_dense;
pub(crate) mod quantized_embedding;
pub(crate) mod recurrent;
pub(crate) mod stacked;
pub(crate) mod stateful;
pub(crate) mod summary;
pub(crate) mod time_distributed;
mod unrolled;

use std::sync::Arc;

use ndarray::ArrayRef3;

use self::compare::Comparison;
use crate::error::{Error, Result, or_panic};
use crate::float::Float;
use crate::gradients::{Gradients, OutputGradient};
use crate::output::Output;
use crate::precision::Precision;
use crate::runner::backward::backward;
use crate::runner::check::check_input;
use crate::runner::execute::{produce, run_into};
use crate::runner::layer::LayerCore;
use crate::runner::output_mut::OutputMut;
use crate::runner::run::Run;
use crate::runner::scratch::{Scratch, with_own_scratch};
use crate::runner::tape::Tape;
use crate::seeds::DropoutSeeds;
use crate::state::{State, StateLayout};

/// A layer over sequences: (batch, timesteps, features) in, an [`Output`] out.
///
/// Sealed: the crate implements it for its layers; a cell of your own becomes one by
/// [`Recurrent::from_cell`](crate::Recurrent::from_cell). It is object-safe, and `forward` takes `&self`: one layer
/// serves many threads and streams. Weights are read and set by [`Parameters`](crate::Parameters), whose methods every
/// layer has.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Layer, Lstm, Run, Stream};
///
/// let lstm = Lstm::<f32>::builder(3, 4).return_sequences(true).return_state(true).build()?;
/// let x = Array3::ones((2, 5, 3));
/// let output = lstm.forward(&x)?;                             // a whole batch
/// assert_eq!(output.sequence()?.dim(), (2, 5, 4));
/// let go_on = Run::new().initial_state(output.state()?).lengths(&[5, 3]);
/// let later = lstm.run(&x, go_on)?;                           // with more said
/// assert_eq!(later.last().dim(), (2, 4));
/// assert_eq!(lstm.weight("recurrent_kernel")?.shape(), [4, 16]);
/// let mut stream = Stream::new(&lstm, 1)?;                    // step by step
/// stream.step_one(&[1.0, 1.0, 1.0])?;
/// # Ok::<(), recurrent::Error>(())
/// ```
pub trait Layer<T: Float>: LayerCore<T> {
    /// The same layer in a box of its own.
    fn boxed_clone(&self) -> Box<dyn Layer<T>>;

    /// The layers inside, with their parts of the weights' names.
    #[doc(hidden)]
    fn parts(&self) -> Vec<(&str, &dyn Layer<T>)>;

    /// The layer's kind in Keras's words: `LSTM`, `Bidirectional`, ...
    fn class_name(&self) -> &'static str {
        self.spec().class_name
    }

    /// The number of features of the input.
    fn input_size(&self) -> usize {
        self.spec().input_size
    }

    /// The number of features of the output.
    fn output_size(&self) -> usize {
        self.spec().output_size
    }

    /// Whether [`Output::sequence`] is there.
    fn returns_sequences(&self) -> bool {
        self.spec().returns_sequences
    }

    /// Whether [`Output::state`] is there.
    fn returns_state(&self) -> bool {
        self.spec().returns_state
    }

    /// Whether each step's output depends on that step alone, as in [`Dense`](crate::Dense).
    fn per_step(&self) -> bool {
        self.spec().per_step
    }

    /// The names and widths of the state's parts.
    fn state_layout(&self) -> &Arc<StateLayout> {
        self.layout()
    }

    /// Whether the layer can run step by step.
    ///
    /// # Errors
    /// [`Error::CannotStream`] names the layer that can't and says why.
    fn can_stream(&self) -> Result<(), Error> {
        self.streams()
    }

    /// The dropout generators of the layer, as new: for [`Run::training`].
    fn seeds(&self) -> DropoutSeeds {
        let mut states = Vec::new();
        self.visit_generators(&mut |state| states.push(state));
        DropoutSeeds { states }
    }

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
        with_own_scratch(|scratch| produce(self, x, run, None, None, scratch))
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

    /// The backward pass through a run that was recorded ([`Run::record`]): from the gradients of its results to those
    /// of the weights, which are added to `gradients`, and of the input and the initial state, which replace what
    /// `gradients` held. The tape is spent then.
    ///
    /// # Errors
    /// [`Error::TapeEmpty`], [`Error::TapeSpent`] for a tape that holds no run to go back through;
    /// [`Error::TapeLayer`],
    /// [`Error::TapeOptions`], [`Error::TapeStale`] for one that holds a run of another layer, or of this one with
    /// other options or other weights; [`Error::GradientsLayer`] for another layer's gradients; [`Error::OutputShape`],
    /// [`Error::StateBatch`],
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

    /// The same layer with its weights in fewer bits: a layer like any other, but that its weights can't be changed nor
    /// trained, and are read by [`dequantized`](crate::Parameters::dequantized). It takes a quarter or half of the
    /// memory, and of a large layer's bytes to read at each step: see the page `fewer_bits`.
    ///
    /// SimpleRNN, LSTM, GRU and Dense of f32 can, and what is made of them: Stacked, Bidirectional, TimeDistributed.
    ///
    /// # Errors
    /// [`Error::CannotQuantize`] names the layer that can't and says why; [`Error::QuantizedValue`] if a weight isn't
    /// finite.
    fn quantize(&self, _precision: Precision) -> Result<Box<dyn Layer<T>>> {
        let reason = "its kind has no quantized form: SimpleRNN, LSTM, GRU and Dense have";
        Err(Error::CannotQuantize { layer: self.class_name().into(), reason })
    }

    /// What another form of this layer, a quantized one, does differently with `x`, (batch, timesteps, features): errors
    /// by step and by output, and how often the largest output is another one.
    ///
    /// # Errors
    /// Those of [`forward`](Layer::forward); [`Error::Compared`] for layers whose outputs have different shapes.
    fn compare(&self, other: &dyn Layer<T>, x: &ArrayRef3<T>) -> Result<Comparison> {
        compare::compare(self, other, x)
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
}
