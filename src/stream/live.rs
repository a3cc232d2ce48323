//! A stream whose layer is exchanged while it is heard: with a warm-up, and a crossfade.

use std::fmt;
use std::ops::Deref;

use ndarray::{ArrayRef2, ArrayRef3, ArrayView2};

use super::Stream;
use super::replace::ReplaceError;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::runner::output_mut::OutputMut;
use crate::runner::run::Run;
use crate::state::State;
use crate::strided::Rows;

/// What takes the place of a [`LiveStream`]'s stream: another layer with all memory that it takes, prepared where a
/// thread may wait.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gru, Successor};
/// let recent = Array3::<f32>::ones((1, 200, 1)); // the last 200 samples
/// let successor = Successor::prepare(Box::new(Gru::<f32>::new(1, 8)), 1)?.warm_up(&recent)?.crossfade(256);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[must_use = "a successor does nothing until a stream is given it"]
pub struct Successor<T: Float, P> {
    stream: Stream<T, P>,
    crossfade: usize,
}

impl<T: Float, P: Deref<Target: Layer<T>>> Successor<T, P> {
    /// A stream of `batch` rows that begins with the layer's initial state.
    ///
    /// # Errors
    /// Those of [`Stream::new`].
    pub fn prepare(layer: P, batch: usize) -> Result<Self> {
        Stream::new(layer, batch).map(Successor::of)
    }

    /// A stream as it is: one with a state of its own, or with [reserved steps](Stream::reserve_steps).
    pub fn of(stream: Stream<T, P>) -> Self {
        Successor { stream, crossfade: 0 }
    }

    /// Shows it the last samples of the stream that it replaces, (batch, timesteps, features): as many as the layer
    /// remembers, since it hasn't the old one's state.
    ///
    /// # Errors
    /// Those of [`Stream::run`].
    pub fn warm_up(mut self, recent: &ArrayRef3<T>) -> Result<Self> {
        self.stream.run_into(recent, Run::new(), OutputMut::new())?;
        Ok(self)
    }

    /// Makes it begin with a state.
    ///
    /// # Errors
    /// Those of [`Stream::set_state`].
    pub fn state(mut self, state: &State<T>) -> Result<Self> {
        self.stream.set_state(state)?;
        Ok(self)
    }

    /// For so many steps the output goes over from the old stream's to the new one's, in a straight line: nothing
    /// clicks. Both are run meanwhile. 0, if nothing is said.
    pub fn crossfade(self, steps: usize) -> Self {
        Successor { crossfade: steps, ..self }
    }

    /// The stream.
    pub fn into_stream(self) -> Stream<T, P> {
        self.stream
    }
}

impl<T: Float, P: fmt::Debug> fmt::Debug for Successor<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Successor").field("stream", &self.stream).field("crossfade", &self.crossfade).finish()
    }
}

/// A [`Stream`] whose layer may be exchanged for one of any structure while it is heard.
///
/// A [`Successor`] is prepared on another thread. [`swap`](LiveStream::swap) puts it in the old stream's place between
/// two samples; if it says so, the outputs of the two are crossfaded for some steps. Then the old stream can be
/// [taken](LiveStream::take_old), to be dropped elsewhere. Steps and swaps that succeed allocate nothing, take no lock
/// and make no system call.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gru, Layer, LiveStream, Lstm, ReplaceError, Stream, Successor};
/// type AnyLayer = Box<dyn Layer<f32>>;
/// let mut live = LiveStream::new(Stream::new(Box::new(Lstm::<f32>::new(1, 2)) as AnyLayer, 1)?);
/// let (block, mut output) = ([0.5; 64], [0.0; 2 * 64]);
/// live.process(&block, &mut output)?;
///
/// // On another thread.
/// let recent = Array3::from_elem((1, 64, 1), 0.5);
/// let better: AnyLayer = Box::new(Gru::<f32>::new(1, 2));
/// let successor = Successor::prepare(better, 1)?.warm_up(&recent)?.crossfade(32);
///
/// live.swap(successor).map_err(ReplaceError::into_error)?;
/// live.process(&block, &mut output)?; // 32 steps of both, then the new one alone
/// let old = live.take_old(); // to be dropped on another thread
/// assert!(old.is_some());
/// # Ok::<(), recurrent::Error>(())
/// ```
pub struct LiveStream<T: Float, P> {
    stream: Stream<T, P>,
    /// The stream before, until it is taken.
    old: Option<Stream<T, P>>,
    /// The steps of the crossfade, and those that are to come.
    crossfade: usize,
    left: usize,
    /// (batch, outputs): the last output of a crossfade.
    mixed: Vec<T>,
    /// Whether the last output is that.
    is_mixed: bool,
}

impl<T: Float, P: Deref<Target: Layer<T>>> LiveStream<T, P> {
    /// A stream, which goes on.
    pub fn new(stream: Stream<T, P>) -> Self {
        let mixed = vec![T::zero(); stream.batch * stream.sizes.output];
        LiveStream { stream, old: None, crossfade: 0, left: 0, mixed, is_mixed: false }
    }

    /// Puts the successor in the stream's place, from the next sample on. If it has a crossfade, the old stream is held
    /// until that is over.
    ///
    /// # Errors
    /// [`ReplaceError`] has the successor, and says why: [`Error::SwapSize`] for other numbers of rows, features or
    /// outputs; [`Error::SwapHeld`] as long as the stream that the last swap replaced hasn't been
    /// [taken](LiveStream::take_old), since to drop it isn't for this thread. The stream is as before.
    #[allow(clippy::result_large_err)] // to put it in a box would allocate
    pub fn swap(&mut self, successor: Successor<T, P>) -> Result<(), ReplaceError<Successor<T, P>>> {
        let held = if self.old.is_some() { Err(Error::SwapHeld { left: self.left }) } else { Ok(()) };
        if let Err(error) = held.and_then(|()| self.stream.check_successor(&successor.stream)) {
            return Err(ReplaceError::new(successor, error));
        }
        (self.crossfade, self.left, self.is_mixed) = (successor.crossfade, successor.crossfade, false);
        self.old = Some(std::mem::replace(&mut self.stream, successor.stream));
        Ok(())
    }

    /// The stream that the last swap replaced, once its crossfade is over.
    pub fn take_old(&mut self) -> Option<Stream<T, P>> {
        if self.left == 0 { self.old.take() } else { None }
    }

    /// The steps of a crossfade that are to come.
    pub fn crossfade_left(&self) -> usize {
        self.left
    }

    /// [`Stream::step_one`].
    ///
    /// # Errors
    /// Those of [`Stream::step_one`]; the stream is as before.
    pub fn step_one(&mut self, x: &[T]) -> Result<&[T]> {
        if self.left == 0 {
            let output = self.stream.step_one(x)?;
            self.is_mixed = false;
            return Ok(output);
        }
        if let Some(old) = &mut self.old {
            old.step_one(x)?;
        }
        self.stream.step_one(x)?;
        self.mix();
        Ok(&self.mixed)
    }

    /// [`Stream::step`]: (batch, features) to (batch, units).
    ///
    /// # Errors
    /// Those of [`Stream::step`]; the stream is as before.
    pub fn step(&mut self, x: &ArrayRef2<T>) -> Result<ArrayView2<'_, T>> {
        if self.left > 0
            && let Some(old) = &mut self.old
        {
            old.step(x)?;
        }
        self.stream.step(x)?;
        self.mix();
        Ok(self.output())
    }

    /// [`Stream::process`]: a block of steps on plain slices.
    ///
    /// # Errors
    /// Those of [`Stream::process`]; the stream and `output` are as before.
    pub fn process(&mut self, input: &[T], output: &mut [T]) -> Result<()> {
        if self.left == 0 {
            self.stream.process(input, output)?;
            self.is_mixed &= output.is_empty();
            return Ok(());
        }
        let steps = self.stream.steps_of_block(input.len(), output.len())?;
        let (batch, features, units) = (self.stream.batch, self.stream.sizes.input, self.stream.sizes.output);
        let mut step = 0;
        while step < steps {
            if batch == 1 && self.left == 0 {
                self.is_mixed = false;
                return self.stream.process(&input[step * features..], &mut output[step * units..]);
            }
            let x = Rows::new(input, step * features, steps * features, features);
            if self.left > 0
                && let Some(old) = &mut self.old
            {
                old.advance(x);
            }
            self.stream.advance(x);
            self.mix();
            for (row, y) in self.output().outer_iter().enumerate() {
                let to = &mut output[(row * steps + step) * units..][..units];
                to.iter_mut().zip(y).for_each(|(to, &from)| *to = from);
            }
            step += 1;
        }
        Ok(())
    }

    /// The output of the last step, crossfaded if it was: (batch, units). After a swap it is the successor's own, until
    /// the next step.
    pub fn output(&self) -> ArrayView2<'_, T> {
        let mixed = ArrayView2::from_shape((self.stream.batch, self.stream.sizes.output), &self.mixed[..]);
        match mixed {
            Ok(mixed) if self.is_mixed => mixed,
            _ => self.stream.output(),
        }
    }

    /// The stream: the successor, after a swap.
    pub fn stream(&self) -> &Stream<T, P> {
        &self.stream
    }

    /// [`Stream::set_state`]; a crossfade goes on, to what comes of that.
    ///
    /// # Errors
    /// Those of [`Stream::set_state`]; the stream is as before.
    pub fn set_state(&mut self, state: &State<T>) -> Result<()> {
        self.stream.set_state(state)?;
        self.is_mixed = false;
        Ok(())
    }

    /// [`Stream::reset`], of the old stream too while it fades.
    pub fn reset(&mut self) {
        self.is_mixed = false;
        self.old.iter_mut().for_each(Stream::reset);
        self.stream.reset();
    }

    /// [`Stream::flush_below`], of the old stream too while it fades.
    pub fn flush_below(&mut self, limit: T) {
        self.old.iter_mut().for_each(|old| old.flush_below(limit));
        self.stream.flush_below(limit);
    }

    /// After a step of both streams, or of the new one alone.
    fn mix(&mut self) {
        self.is_mixed = self.left > 0;
        let Some(old) = self.old.as_ref().filter(|_| self.is_mixed) else { return };
        // The first step has some of the new stream already, the last one still some of the old.
        let part = |steps: usize| T::from_f64(steps as f64 / (self.crossfade as f64 + 1.0));
        let (of_old, of_new) = (part(self.left), part(self.crossfade - self.left + 1));
        for ((mixed, &old), &new) in self.mixed.iter_mut().zip(&old.output()).zip(&self.stream.output()) {
            // An old stream that has gone wrong is left at once.
            *mixed = if old.is_finite() { of_old * old + of_new * new } else { new };
        }
        self.left -= 1;
    }
}

impl<T: Float, P: fmt::Debug> fmt::Debug for LiveStream<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveStream").field("stream", &self.stream).field("left", &self.left).finish_non_exhaustive()
    }
}
