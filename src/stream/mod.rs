//! A layer that is run one step at a time.

mod block;
mod replace;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

pub use self::replace::ReplaceError;

use ndarray::{Array2, ArrayRef2, ArrayRef3, ArrayView2, s};

use crate::aligned::Aligned;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::mask::TimeMask;
use crate::memory::MemoryNeeds;
use crate::output::Output;
use crate::runner::check::{check_features, check_outputs};
use crate::runner::execute::{execute, produce};
use crate::runner::layer::LayerCore;
use crate::runner::memory::{Call, Held};
use crate::runner::output_mut::{OutputMut, OutputSlices};
use crate::runner::pass::Pass;
use crate::runner::run::Run;
use crate::runner::scratch::Scratch;
use crate::runner::sequence::Sequence;
use crate::state::State;
use crate::strided::{RowInput, RowStep, Rows, RowsMut};

/// A layer, its state and its working memory: one time step in, one output out.
///
/// The layer is borrowed or shared (`&L`, `Arc<L>`, `Box<L>`, each also of `dyn Layer<T>`), and all that changes is
/// the stream's, so many streams can use one layer, on many threads. [`new`](Stream::new) allocates all that is
/// needed: from the first step on, a step that succeeds allocates nothing, takes no lock and makes no system call.
///
/// Blocks on plain slices, as audio comes, are [`process`](Stream::process)ed; [`replace_layer`](Stream::replace_layer)
/// swaps the weights while it runs. What to know where a thread must not wait, and what type to write where a stream
/// stands in a struct (`Stream<f32, Arc<Lstm>>`, `Stream<f32, Box<dyn Layer<f32>>>`), is on the page
/// [`real_time`](crate::real_time).
///
/// One NaN in an input stays in the state, and in all outputs, until a [`reset`](Stream::reset):
/// [`State::is_finite`] sees it.
///
/// Steps and chunks of any sizes give the bits of one whole run. A stream also carries the previous output, which
/// masked steps repeat: it follows from the state. A [`run`](Layer::run) with an initial state is Keras's call and
/// begins with a previous output of zero; the two differ only where a call begins with masked steps.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Layer, Lstm, Stream};
/// let lstm = Lstm::<f32>::new(2, 3);
/// let mut stream = Stream::new(&lstm, 1)?;
/// stream.step_one(&[0.5, -0.5])?;
/// let saved = stream.state().clone();
/// let next = stream.step_one(&[1.0, 2.0])?.to_vec();
/// stream.set_state(&saved)?;
/// assert_eq!(stream.step_one(&[1.0, 2.0])?, next);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub struct Stream<T: Float, P> {
    layer: P,
    batch: usize,
    /// The state and the one that the next step writes, in turn.
    states: [State<T>; 2],
    /// Whether the state now is the second. Not an index: a `bool` is written and read by instructions of one width,
    /// and what one step wrote the next one can read before it has reached the cache.
    second: bool,
    /// The previous outputs of the layer and of those inside: (batch, carry width).
    carry: Aligned<T>,
    /// Whether outputs of steps are in the state and not yet in `carry`.
    behind: bool,
    /// The last columns of `carry` as an array, after a step that returns one.
    output: Array2<T>,
    /// A copy of an input that doesn't lie in row order.
    input: Vec<T>,
    scratch: Scratch<T>,
    sizes: Sizes,
    /// The steps that there is room for at once, if the user has asked for it.
    reserved: usize,
}

/// Sizes of the layer, asked once.
#[derive(Clone, Copy)]
struct Sizes {
    input: usize,
    state: usize,
    carry: usize,
    output: usize,
    /// Where in the state the output begins, if it is part of the state.
    output_in_state: Option<usize>,
}

impl<T: Float, P: Deref<Target: Layer<T>>> Stream<T, P> {
    /// A stream of `batch` rows that begins with the layer's initial state.
    ///
    /// # Errors
    /// [`Error::CannotStream`] for a layer that needs the whole sequence: it goes backwards in time.
    /// [`Error::TensorTooLarge`] for more rows than there is memory for.
    pub fn new(layer: P, batch: usize) -> Result<Self> {
        layer.can_stream()?;
        let spec = layer.spec();
        let sizes = Sizes {
            input: spec.input_size,
            state: layer.state_layout().width(),
            carry: spec.carry_width,
            output: spec.output_size,
            output_in_state: spec.output_columns.map(|columns| columns.start),
        };
        // The states, the outputs and the inputs twice each, and as much again in scratch.
        let width = [sizes.state, sizes.carry, sizes.input].into_iter().try_fold(0, usize::checked_add);
        let mut needs = MemoryNeeds::default();
        needs.array::<T>(&[batch, width.unwrap_or(usize::MAX), 4]);
        let call = Call { batch, timesteps: 1, sequence: false, resets: false, recorded: false, dropout: false };
        layer.memory_needs(call, Held::nothing(), &mut needs);
        needs.check(&[batch, sizes.state.max(sizes.input)])?;
        let zeros = || State::zeros(Arc::clone(layer.state_layout()), batch);
        let mut stream = Stream {
            batch,
            states: [zeros(), zeros()],
            second: false,
            behind: false,
            carry: Aligned::zeros(batch * sizes.carry),
            output: Array2::zeros((batch, sizes.output)),
            input: vec![T::zero(); batch * sizes.input],
            scratch: Scratch::new(),
            layer,
            sizes,
            reserved: 0,
        };
        // All memory that a step takes is taken now. Two inputs: one of them may be what a Masking layer hides.
        for value in [T::zero(), T::one()] {
            let input = vec![value; batch * sizes.input];
            if batch == 1 {
                stream.step_one(&input)?;
            }
            stream.advance(Rows::packed(&input, sizes.input));
            stream.advance_masked(&input, &vec![true; batch]);
        }
        stream.reset();
        Ok(stream)
    }

    /// One step of every row: (batch, features) to (batch, units).
    ///
    /// # Errors
    /// [`Error::StepShape`]; the stream is as before.
    pub fn step(&mut self, x: &ArrayRef2<T>) -> Result<&ArrayRef2<T>> {
        self.check_step(x)?;
        match x.as_slice() {
            Some(x) => self.advance(Rows::packed(x, self.sizes.input)),
            None => self.by_copy(x, |stream, x| stream.advance(Rows::packed(x, stream.sizes.input))),
        }
        Ok(self.published())
    }

    /// [`step`](Stream::step) of the rows that are `live`: the others keep their state and repeat their previous
    /// output, or output zeros, as in a masked run.
    ///
    /// # Errors
    /// [`Error::StepShape`], [`Error::LengthsCount`]; the stream is as before.
    pub fn step_masked(&mut self, x: &ArrayRef2<T>, live: &[bool]) -> Result<&ArrayRef2<T>> {
        self.check_step(x)?;
        if live.len() != self.batch {
            return Err(Error::LengthsCount { expected: self.batch, given: live.len() });
        }
        match x.as_slice() {
            Some(x) => self.advance_masked(x, live),
            None => self.by_copy(x, |stream, x| stream.advance_masked(x, live)),
        }
        Ok(self.published())
    }

    /// One step of a stream of one row, by slices: features to units.
    ///
    /// # Errors
    /// [`Error::StepShape`] if the stream has another number of rows, or `x` another number of features.
    #[inline(always)] // a call is a tenth of a small step
    pub fn step_one(&mut self, x: &[T]) -> Result<&[T]> {
        if self.batch != 1 || x.len() != self.sizes.input {
            return Err(self.not_one_row(x.len()));
        }
        Ok(self.advance_row(x))
    }

    /// One step of the only row; `x` has been checked.
    #[inline(always)]
    fn advance_row(&mut self, x: &[T]) -> &[T] {
        let (prev, next) = in_turn(&mut self.states, self.second);
        let next = next.as_mut_slice();
        let mut step = RowStep { input: RowInput::Raw(x), prev: prev.as_slice(), next: &mut *next };
        self.layer.step_row(&mut step, &mut self.carry, &mut self.scratch);
        self.second = !self.second;
        self.behind = true;
        let Sizes { carry, output, output_in_state, .. } = self.sizes;
        match output_in_state {
            Some(start) => &next[start..][..output],
            None => &self.carry[carry - output..],
        }
    }

    /// A chunk of any number of steps, none included: (batch, timesteps, features).
    ///
    /// # Errors
    /// [`Error::InputFeatures`], [`Error::StateBatch`] for another number of rows.
    pub fn run(&mut self, x: &ArrayRef3<T>) -> Result<Output<T>> {
        self.run_with(x, Run::new())
    }

    /// A chunk with options: masks, lengths, resets.
    ///
    /// # Errors
    /// Those of [`run`](Stream::run) and of the options; [`Error::StreamInitialState`] for an initial state, which a
    /// stream takes by [`set_state`](Stream::set_state).
    pub fn run_with(&mut self, x: &ArrayRef3<T>, run: Run<'_, T>) -> Result<Output<T>> {
        self.begin_chunk(x, &run)?;
        let (prev, next) = in_turn(&mut self.states, self.second);
        let run = run.initial_state(prev);
        let output = produce(&*self.layer, x, run, Some(next), Some(&mut self.carry), &mut self.scratch)?;
        self.second = !self.second;
        self.scratch.call.reserve_copies(x.dim());
        Ok(output)
    }

    /// [`run_with`](Stream::run_with) into the caller's arrays; allocates nothing once the stream has seen a chunk of
    /// this size with such options, or has been told of it by [`reserve_steps`](Stream::reserve_steps).
    ///
    /// With the feature `rayon`, a chunk of so much work that threads pay is shared among them, which allocates, unless
    /// its steps were reserved.
    ///
    /// # Errors
    /// Those of [`run_with`](Stream::run_with), and [`Error::OutputShape`]; arrays must lie in row order
    /// ([`Error::OutputOrder`]).
    pub fn run_into(&mut self, x: &ArrayRef3<T>, run: Run<'_, T>, out: OutputMut<'_, T>) -> Result<()> {
        check_outputs(&*self.layer, x, &out)?;
        let (sequence, last, state) = out.into_parts();
        let sequence = match sequence {
            Some(array) => Some(array.as_slice_mut().ok_or(Error::OutputOrder { what: "sequence" })?),
            None => None,
        };
        self.begin_chunk(x, &run)?;
        let (prev, next) = in_turn(&mut self.states, self.second);
        let slices = OutputSlices { sequence, last: None, state: Some(next.as_mut_slice()) };
        let run = run.initial_state(prev);
        execute(&*self.layer, x, run, slices, Some(&mut self.carry), &mut self.scratch)?;
        self.second = !self.second;
        self.scratch.call.reserve_copies(x.dim());
        if let Some(last) = last {
            last.assign(&self.output());
        }
        if let Some(state) = state {
            state.copy_from(self.state())?;
        }
        Ok(())
    }

    /// The state now.
    pub fn state(&self) -> &State<T> {
        &self.states[usize::from(self.second)]
    }

    /// The layer.
    pub fn layer(&self) -> &P::Target {
        &self.layer
    }

    /// The number of rows.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The output of the last step: (batch, units); zeros before the first.
    pub fn output(&self) -> ArrayView2<'_, T> {
        let Sizes { carry, output, state, output_in_state, .. } = self.sizes;
        let (values, width, start) = match output_in_state {
            Some(start) if self.behind => (self.state().as_slice(), state, start),
            _ => (&self.carry[..], carry, carry - output),
        };
        // The shape is that of the values by construction.
        let all = ArrayView2::from_shape((self.batch, width), values);
        all.map_or_else(|_| self.output.view(), |all| all.slice_move(s![.., start..start + output]))
    }

    /// Goes on from a state that was saved or made; the previous output becomes the one that belongs to it. Allocates
    /// nothing.
    ///
    /// # Errors
    /// [`Error::StateLayout`], [`Error::StateBatch`]; the stream is as before.
    pub fn set_state(&mut self, state: &State<T>) -> Result<()> {
        self.states[usize::from(self.second)].copy_from(state)?;
        self.outputs_from_state();
        Ok(())
    }

    /// Begins with a state as a run does: the previous outputs are zero. Allocates nothing.
    pub(crate) fn begin_with(&mut self, state: &State<T>) -> Result<()> {
        self.set_state(state)?;
        for row in 0..self.batch {
            self.forget_output(row);
        }
        Ok(())
    }

    /// Starts over, with the layer's initial state. Allocates nothing.
    pub fn reset(&mut self) {
        for row in 0..self.batch {
            self.fill_initial(row);
        }
        self.outputs_from_state();
        for row in 0..self.batch {
            self.forget_output(row);
        }
    }

    /// Resets one row. Allocates nothing.
    ///
    /// # Errors
    /// [`Error::Row`] if there is no such row.
    pub fn reset_row(&mut self, row: usize) -> Result<()> {
        if row >= self.batch {
            return Err(Error::Row { row, batch: self.batch });
        }
        self.flush_outputs();
        self.fill_initial(row);
        self.forget_output(row);
        Ok(())
    }

    /// Makes zeros of the state's values nearer to zero than `limit`, say 1e-12: called between two blocks, it keeps
    /// silence from becoming slow. Allocates nothing; the previous output stays as it was.
    ///
    /// In silence after a signal, values die away towards zero, and before they arrive their products leave the range
    /// of normal numbers; with such *subnormal* ones many processors compute more slowly. (Measured on a Zen 4, an LSTM
    /// with 16 units and a forget bias of 0: up to 1.7 times slower for some 100 steps, from a |c| of 1e-13, whose
    /// third power is subnormal, down to 1e-38; then fast again.) What is flushed here isn't part of the same-bits
    /// promise: the results differ by about `limit` from those without, and depend on when it was called, but on
    /// nothing else.
    ///
    /// ```
    /// use recurrent::{Lstm, Stream};
    /// let lstm = Lstm::<f32>::new(1, 4);
    /// let mut stream = Stream::new(&lstm, 1)?;
    /// let (silence, mut output) = ([0.0; 64], [0.0; 4 * 64]);
    /// for _block in 0..10 {
    ///     stream.process(&silence, &mut output)?;
    ///     stream.flush_below(1e-12);
    /// }
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn flush_below(&mut self, limit: T) {
        self.flush_outputs();
        self.states[usize::from(self.second)].flush_below(limit);
    }

    #[cold]
    fn not_one_row(&self, features: usize) -> Error {
        Error::StepShape { expected: (self.batch, self.sizes.input), given: (1, features) }
    }

    fn fill_initial(&mut self, row: usize) {
        let width = self.sizes.state;
        let state = self.states[usize::from(self.second)].as_mut_slice();
        self.layer.fill_initial_state(&mut state[row * width..][..width]);
    }

    /// A row's previous outputs are zero.
    fn forget_output(&mut self, row: usize) {
        self.carry[row * self.sizes.carry..][..self.sizes.carry].fill(T::zero());
    }

    /// The previous outputs that belong to the state.
    fn outputs_from_state(&mut self) {
        self.behind = false;
        let carry = RowsMut::packed(&mut self.carry, self.sizes.carry);
        self.layer.outputs_from_state(self.batch, self.states[usize::from(self.second)].rows(), carry);
    }

    /// Writes to `carry` what steps by [`step_one`](Stream::step_one) left in the state.
    fn flush_outputs(&mut self) {
        if std::mem::take(&mut self.behind) {
            self.layer.flush_outputs(self.states[usize::from(self.second)].as_slice(), &mut self.carry);
        }
    }

    /// The layer's own output as an array.
    fn published(&mut self) -> &ArrayRef2<T> {
        let Sizes { carry, output, .. } = self.sizes;
        let rows = Rows::packed(&self.carry, carry).columns(carry - output..carry);
        for (row, mut to) in self.output.rows_mut().into_iter().enumerate() {
            to.iter_mut().zip(rows.row(row)).for_each(|(to, &from)| *to = from);
        }
        &self.output
    }

    fn check_step(&self, x: &ArrayRef2<T>) -> Result<()> {
        let (expected, given) = ((self.batch, self.sizes.input), x.dim());
        if expected == given { Ok(()) } else { Err(Error::StepShape { expected, given }) }
    }

    fn by_copy(&mut self, x: &ArrayRef2<T>, go: impl FnOnce(&mut Self, &[T])) {
        let mut input = std::mem::take(&mut self.input);
        input.iter_mut().zip(x).for_each(|(to, from)| *to = *from);
        go(self, &input);
        self.input = input;
    }

    /// One step; `x` has been checked.
    #[inline]
    fn advance(&mut self, x: Rows<'_, T>) {
        self.flush_outputs();
        let (prev, next) = in_turn(&mut self.states, self.second);
        self.layer.step_into(
            self.batch,
            x,
            prev.rows(),
            RowsMut::packed(next.as_mut_slice(), self.sizes.state),
            RowsMut::packed(&mut self.carry, self.sizes.carry),
            &mut self.scratch,
        );
        self.second = !self.second;
    }

    fn advance_masked(&mut self, x: &[T], live: &[bool]) {
        self.flush_outputs();
        let (prev, next) = in_turn(&mut self.states, self.second);
        self.layer.process(
            Pass {
                batch: self.batch,
                timesteps: 1,
                input: Sequence::one_step(x, self.sizes.input),
                mask: TimeMask::Steps { mask: live, timesteps: 1 },
                resets: None,
                prev: prev.rows(),
                next: RowsMut::packed(next.as_mut_slice(), self.sizes.state),
                carry: RowsMut::packed(&mut self.carry, self.sizes.carry),
                sequence: None,
                masked_output: None,
                tape: None,
                dropout: None,
            },
            &mut self.scratch,
        );
        self.second = !self.second;
    }

    /// Checks a chunk, and gets ready to run it.
    fn begin_chunk(&mut self, x: &ArrayRef3<T>, run: &Run<'_, T>) -> Result<()> {
        check_features(&*self.layer, x)?;
        let (batch, timesteps, _) = x.dim();
        if batch != self.batch {
            return Err(Error::StateBatch { expected: batch, given: self.batch });
        }
        if run.has_initial_state() {
            return Err(Error::StreamInitialState);
        }
        self.scratch.on_one_thread = timesteps <= self.reserved;
        self.flush_outputs();
        Ok(())
    }
}

/// The state now and the one to write.
fn in_turn<T>([first, second]: &mut [State<T>; 2], is_second: bool) -> (&mut State<T>, &mut State<T>) {
    if is_second { (second, first) } else { (first, second) }
}

impl<T: Float, P: fmt::Debug> fmt::Debug for Stream<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("layer", &self.layer).field("batch", &self.batch).finish_non_exhaustive()
    }
}
