//! A layer that is run one step at a time.
//!
//! **A step allocates nothing**, not even the first, because [`Stream::new`] has made each kind of step once already:
//! one row alone, all rows, masked. States and outputs have their places in the stream; all else is in a `Scratch`,
//! whose buffers only grow (`buffers.rs`) and so have their size by then. `tests/machine/allocations/streams.rs`
//! counts, layer by layer, kind of call by kind of call.
//!
//! One step is `step.rs`, slices as audio comes `block.rs`, arrays of steps `chunk.rs`; other layers or streams take
//! over in `replace.rs`, `swap.rs`, `live.rs`; many streams are `pool`.

mod block;
mod chunk;
mod generated;
mod live;
mod pool;
mod replace;
mod step;
mod swap;
mod window;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

pub use self::live::{LiveStream, Successor};
pub(crate) use self::pool::{Beginning, RowsOfStep};
pub use self::pool::{ByLayer, ByModel, Pooled, StreamId, StreamPool};
pub use self::replace::ReplaceError;
pub use self::window::Window;

use ndarray::{Array2, ArrayView2, s};

use crate::aligned::Aligned;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::memory::MemoryNeeds;
use crate::runner::layer::LayerCore;
use crate::runner::memory::{Call, Held};
use crate::runner::scratch::Scratch;
use crate::state::State;
use crate::strided::{Rows, RowsMut};

/// A layer, its state and its working memory: one time step in, one output out.
///
/// The layer is borrowed or shared (`&L`, `Arc<L>`, `Box<L>`, each also of `dyn Layer<T>`), and all that changes is
/// the stream's, so many streams can use one layer, on many threads. [`new`](Stream::new) allocates all that is
/// needed: from the first step on, a step that succeeds allocates nothing, takes no lock and makes no system call.
///
/// Blocks on plain slices, as audio comes, are [`process`](Stream::process)ed; [`replace_layer`](Stream::replace_layer)
/// swaps the weights while it runs, [`swap`](Stream::swap) the whole stream. Many streams that live and die by
/// themselves are a [`StreamPool`]. What to know where a thread must not wait, and what type to write where a stream
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
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) input: usize,
    pub(crate) state: usize,
    pub(crate) carry: usize,
    pub(crate) output: usize,
    /// Where in the state the output begins, if it is part of the state.
    pub(crate) output_in_state: Option<usize>,
}

impl Sizes {
    fn of<T: Float>(layer: &(impl Layer<T> + ?Sized)) -> Self {
        let spec = layer.spec();
        Sizes {
            input: spec.input_size,
            state: layer.state_layout().width(),
            carry: spec.carry_width,
            output: spec.output_size,
            output_in_state: spec.output_columns.map(|columns| columns.start),
        }
    }

    /// Checks that there is memory for steps of so many rows.
    fn check_memory<T: Float>(&self, layer: &(impl Layer<T> + ?Sized), batch: usize) -> Result<()> {
        // The states, the outputs and the inputs twice each, and as much again in scratch.
        let width = [self.state, self.carry, self.input].into_iter().try_fold(0, usize::checked_add);
        let mut needs = MemoryNeeds::default();
        needs.array::<T>(&[batch, width.unwrap_or(usize::MAX), 4]);
        let call = Call { batch, timesteps: 1, sequence: false, resets: false, recorded: false, dropout: false };
        layer.memory_needs(call, Held::nothing(), &mut needs);
        needs.check(&[batch, self.state.max(self.input)])
    }
}

impl<T: Float, P: Deref<Target: Layer<T>>> Stream<T, P> {
    /// A stream of `batch` rows that begins with the layer's initial state.
    ///
    /// # Errors
    /// [`Error::CannotStream`] for a layer that needs the whole sequence: it goes backwards in time.
    /// [`Error::TensorTooLarge`] for more rows than there is memory for.
    pub fn new(layer: P, batch: usize) -> Result<Self> {
        layer.can_stream()?;
        let sizes = Sizes::of(&*layer);
        sizes.check_memory(&*layer, batch)?;
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

    fn fill_initial(&mut self, row: usize) {
        let width = self.sizes.state;
        let state = self.states[usize::from(self.second)].as_mut_slice();
        self.layer.fill_initial_state(&mut state[row * width..][..width]);
    }

    /// A row's previous outputs are zero.
    fn forget_output(&mut self, row: usize) {
        self.carry[row * self.sizes.carry..][..self.sizes.carry].fill(T::zero());
    }

    /// All rows' states and previous outputs, to be read or written.
    pub(crate) fn parts_mut(&mut self) -> (&mut [T], &mut [T]) {
        self.flush_outputs();
        (self.states[usize::from(self.second)].as_mut_slice(), &mut self.carry)
    }

    /// The previous outputs that belong to the state.
    pub(crate) fn outputs_from_state(&mut self) {
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
