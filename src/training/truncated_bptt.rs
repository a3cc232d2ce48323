//! Long sequences in pieces.

use ndarray::ArrayRef3;

use super::Tape;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::{Gradients, OutputGradient};
use crate::layers::Layer;
use crate::marks::{Difference, Marks};
use crate::memory;
use crate::output::Output;
use crate::runner::check::{check_input, check_outputs};
use crate::runner::execute::{execute, produce};
use crate::runner::output_mut::{OutputMut, OutputSlices};
use crate::runner::run::Run;
use crate::runner::scratch::Scratch;
use crate::state::State;
use crate::strided::RowsMut;

/// Truncated backpropagation through time: a long sequence is trained on in chunks. The state is carried from chunk to
/// chunk, the gradient is cut between them.
///
/// It holds what is carried, and a tape; the loop is the caller's, so that the weights can change between two chunks:
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Gradients, Gru, Layer, OutputGradient, Run, SeedSource, Stacked, training::*};
/// let mut seeds = SeedSource::keras(7);
/// let mut net = Stacked::builder()
///     .layer(Gru::<f32>::builder(1, 8).seeds(&mut seeds).return_sequences(true).build()?)
///     .layer(Dense::builder(8, 1).seeds(&mut seeds).build()?)
///     .build()?;
/// let x = Array3::from_shape_fn((2, 100, 1), |(row, t, _)| (0.3 * t as f32 + row as f32).sin());
/// let target = x.mapv(|x| x * x);
/// let (mut gradients, mut optimizer) = (Gradients::new(&net).without_input(), Adam::new(0.02));
/// let mut chunks = TruncatedBptt::new(&net, 2)?;
/// let mut losses = Vec::new();
/// for _epoch in 0..3 {
///     chunks.reset(&net)?;
///     for (x, target) in x.axis_chunks_iter(Axis(1), 20).zip(target.axis_chunks_iter(Axis(1), 20)) {
///         let output = chunks.run(&net, &x, Run::new())?; // goes on from the last chunk's state
///         let (loss, d_sequence) = Loss::MeanSquaredError.with_gradient(output.sequence()?, &target)?;
///         gradients.clear();
///         chunks.backward(&net, OutputGradient::new().sequence(&d_sequence), &mut gradients)?; // to the chunk's begin
///         optimizer.step(&mut net, &gradients)?;
///         losses.push(loss);
///     }
/// }
/// assert!(losses[14] < losses[0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
///
/// As in a [`Stream`](crate::Stream), a chunk that begins with masked steps repeats the output of the chunk before.
#[derive(Debug)]
pub struct TruncatedBptt<T> {
    /// Whose state is carried.
    layer: Marks,
    state: State<T>,
    /// Where the next chunk's final state goes, so that a chunk that is refused leaves the carried one as it was.
    next: State<T>,
    /// The previous outputs of all layers.
    carry: Vec<T>,
    tape: Tape<T>,
    scratch: Scratch<T>,
}

impl<T: Float> TruncatedBptt<T> {
    /// For sequences of `batch` rows that begin with the layer's initial state. All chunks are that layer's, or a
    /// clone's: its weights and options may change between them.
    ///
    /// # Errors
    /// [`Error::CannotStream`] for a layer that goes backwards in time, [`Error::TensorTooLarge`] for more rows than
    /// there is memory for.
    pub fn new(layer: &(impl Layer<T> + ?Sized), batch: usize) -> Result<Self> {
        layer.can_stream()?;
        let (width, carry_width) = (layer.state_layout().width(), layer.spec().carry_width);
        // The state twice, and the outputs; rows of no width are counted too.
        let row = [width, width, carry_width, 1].into_iter().try_fold(0, usize::checked_add);
        memory::check::<T>(row.and_then(|row| memory::product(&[batch, row])), &[batch, width.max(carry_width)])?;
        let mut marks = Marks::default();
        marks.keep(|visitor| layer.visit_structure(visitor));
        let state = layer.try_initial_state(batch)?;
        let carry = vec![T::zero(); batch * carry_width];
        let (tape, scratch) = (Tape::new(), Scratch::new());
        Ok(TruncatedBptt { layer: marks, next: state.clone(), state, carry, tape, scratch })
    }

    /// The next chunk, recorded: it begins with the state that the last one ended with.
    ///
    /// # Errors
    /// Those of [`Layer::run`]; [`Error::StateBatch`] for another number of rows, [`Error::StateLayout`] or
    /// [`Error::ChunkLayer`] for another layer, [`Error::ChunkOption`] for an initial state or a tape in `run`. What is
    /// carried, and the chunk before, stay then.
    pub fn run(&mut self, layer: &(impl Layer<T> + ?Sized), x: &ArrayRef3<T>, run: Run<'_, T>) -> Result<Output<T>> {
        self.check(layer, x, &run)?;
        let run = run.initial_state(&self.state).record_next(&mut self.tape);
        let output = produce(layer, x, run, Some(&mut self.next), Some(&mut self.carry), &mut self.scratch)?;
        std::mem::swap(&mut self.state, &mut self.next);
        Ok(output)
    }

    /// [`run`](TruncatedBptt::run) into the caller's arrays; allocates nothing once it has seen a chunk of this size.
    ///
    /// # Errors
    /// Those of [`run`](TruncatedBptt::run), and [`Error::OutputShape`]; the arrays must lie in row order
    /// ([`Error::OutputOrder`]).
    pub fn run_into(
        &mut self,
        layer: &(impl Layer<T> + ?Sized),
        x: &ArrayRef3<T>,
        run: Run<'_, T>,
        out: OutputMut<'_, T>,
    ) -> Result<()> {
        self.check(layer, x, &run)?;
        check_outputs(layer, x, &out)?;
        let (sequence, last, state) = out.into_parts();
        let sequence = sequence.map(|array| array.as_slice_mut().ok_or(Error::OutputOrder { what: "sequence" }));
        let last = last.map(|array| array.as_slice_mut().ok_or(Error::OutputOrder { what: "last" }));
        let slices = OutputSlices {
            sequence: sequence.transpose()?,
            last: last.transpose()?,
            state: Some(self.next.as_mut_slice()),
        };
        let run = run.initial_state(&self.state).record_next(&mut self.tape);
        execute(layer, x, run, slices, Some(&mut self.carry), &mut self.scratch)?;
        std::mem::swap(&mut self.state, &mut self.next);
        self.scratch.call.reserve_copies(x.dim());
        match state {
            Some(state) => state.copy_from(&self.state),
            None => Ok(()),
        }
    }

    /// The backward pass through the latest chunk, as [`Layer::backward`]: what would flow on into the chunk before is
    /// dropped (it can be read from [`Gradients::initial_state`]).
    ///
    /// # Errors
    /// Those of [`Layer::backward`].
    pub fn backward(
        &mut self,
        layer: &(impl Layer<T> + ?Sized),
        upstream: OutputGradient<'_, T>,
        gradients: &mut Gradients<T>,
    ) -> Result<()> {
        layer.backward(&mut self.tape, upstream, gradients)
    }

    /// The state that the next chunk begins with.
    pub fn state(&self) -> &State<T> {
        &self.state
    }

    /// Resets all rows.
    ///
    /// # Errors
    /// [`Error::StateLayout`] or [`Error::ChunkLayer`] for another layer.
    pub fn reset(&mut self, layer: &(impl Layer<T> + ?Sized)) -> Result<()> {
        self.check_layer(layer)?;
        (0..self.state.batch()).for_each(|row| self.fill_row(layer, row));
        Ok(())
    }

    /// Resets one row: its sequence has ended.
    ///
    /// # Errors
    /// [`Error::Row`] if there is no such row, [`Error::StateLayout`] or [`Error::ChunkLayer`] for another layer.
    pub fn reset_row(&mut self, layer: &(impl Layer<T> + ?Sized), row: usize) -> Result<()> {
        self.check_layer(layer)?;
        let batch = self.state.batch();
        if row >= batch {
            return Err(Error::Row { row, batch });
        }
        self.fill_row(layer, row);
        Ok(())
    }

    /// Goes on from this state; the previous outputs become those that belong to it.
    ///
    /// # Errors
    /// [`Error::StateLayout`], [`Error::StateBatch`], [`Error::ChunkLayer`]; what is carried stays then.
    pub fn set_state(&mut self, layer: &(impl Layer<T> + ?Sized), state: &State<T>) -> Result<()> {
        self.check_layer(layer)?;
        self.state.copy_from(state)?;
        layer.outputs_from_state(
            state.batch(),
            self.state.rows(),
            RowsMut::packed(&mut self.carry, layer.spec().carry_width),
        );
        Ok(())
    }

    fn fill_row(&mut self, layer: &(impl Layer<T> + ?Sized), row: usize) {
        let (width, carry) = (layer.state_layout().width(), layer.spec().carry_width);
        layer.fill_initial_state(&mut self.state.as_mut_slice()[row * width..][..width]);
        self.carry[row * carry..][..carry].fill(T::zero());
    }

    fn check_layer(&self, layer: &(impl Layer<T> + ?Sized)) -> Result<()> {
        self.state.check(layer.state_layout(), self.state.batch())?;
        // Options may change, weights do.
        match self.layer.compare(|visitor| layer.visit_structure(visitor)) {
            Difference::Layer => Err(Error::ChunkLayer),
            Difference::None | Difference::Weights | Difference::Options => Ok(()),
        }
    }

    fn check(&self, layer: &(impl Layer<T> + ?Sized), x: &ArrayRef3<T>, run: &Run<'_, T>) -> Result<()> {
        check_input(layer, x)?;
        self.check_layer(layer)?;
        self.state.check(layer.state_layout(), x.dim().0)?;
        for (option, given) in [("initial_state", run.has_initial_state()), ("record", run.has_tape())] {
            if given {
                return Err(Error::ChunkOption { option });
            }
        }
        Ok(())
    }
}
