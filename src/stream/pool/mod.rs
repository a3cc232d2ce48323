//! Many streams that live and die by themselves, stepped as one batch.

mod pooled;
mod step;
mod swap;
mod table;

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

pub(crate) use self::pooled::{Beginning, RowsOfStep};
pub use self::pooled::{ByLayer, ByModel, Pooled};
use self::step::{Batch, Stepping, batch_rows};
pub use self::table::StreamId;
use self::table::{PAGE, Table, Widths};
use super::replace::{ReplaceError, check_structure};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::runner::layer::LayerCore;
use crate::state::State;

/// Live streams of one layer or model, each of one row: they come and go, a sample for some of them arrives, and
/// [`step`](StreamPool::step) runs those that have one as a batch and leaves the others alone.
///
/// A batch does in one pass over the weights what a [`Stream`](crate::Stream) each would do in as many. **A stream has
/// the bits that it would have alone**, whoever else is in the pool.
///
/// Any layer that streams will do, and any [`Model`](crate::Model), whatever its graph: its inputs of a step stand side by
/// side in a sample, ids as whole numbers, and so do its outputs. (A chain of layers that reads floats is quicker as one
/// layer, by [`Model::into_layer`](crate::Model::into_layer).) The layer is borrowed or shared, as a
/// [`Stream`](crate::Stream)'s.
///
/// A pool made by [`new`](StreamPool::new) grows where it must, and doesn't move the streams that are there. One made
/// by [`with_capacity`](StreamPool::with_capacity) has so many places and no more, and nothing is allocated once it is
/// made: see the page [`real_time`](crate::real_time). Both insert and remove a stream in the time that it takes to
/// write its state.
///
/// ```
/// use recurrent::{Lstm, StreamPool};
/// let lstm = Lstm::<f32>::new(8, 16);
/// let mut pool = StreamPool::new(&lstm)?;
/// let (ann, bob) = (pool.insert()?, pool.insert()?);
/// pool.push(ann, &[0.5; 8])?; // bob has nothing to say
/// pool.step(); // all that have a sample, as one batch
/// println!("{:?}", pool.output(ann)?);
/// let state = pool.remove(bob)?; // the bits it would have had alone
/// println!("{}", state.get("h")?);
/// # Ok::<(), recurrent::Error>(())
/// ```
///
/// Streams that are idle can wait as bytes:
///
/// ```
/// use recurrent::{Gru, StreamPool};
/// let gru = Gru::<f32>::new(2, 4);
/// let mut pool = StreamPool::with_capacity(&gru, 1000)?;
/// let ann = pool.insert()?;
/// pool.push(ann, &[0.5, -0.5])?;
/// pool.step();
/// let bytes = pool.evict(ann)?; // her place is free, and her id is no longer good
/// let ann = pool.restore(&bytes)?; // goes on where she was
/// pool.push(ann, &[1.0, 2.0])?;
/// pool.step();
/// # Ok::<(), recurrent::Error>(())
/// ```
pub struct StreamPool<T: Float, P, By = ByLayer> {
    layer: P,
    begin: Beginning<T>,
    table: Table<T>,
    /// The places of a step.
    places: Vec<usize>,
    /// Where steps are made: one, and those of other threads, once there are any.
    batches: Vec<Batch<T>>,
    threads: bool,
    by: PhantomData<fn() -> By>,
}

impl<T: Float, P: Deref<Target: Pooled<T, By>>, By> StreamPool<T, P, By> {
    /// An empty pool, which grows.
    ///
    /// # Errors
    /// [`Error::CannotStream`] for a layer that needs the whole sequence: it goes backwards in time; and for a model that
    /// begins with inputs of its own, a decoder, or whose strides and windows let only some steps give an output.
    pub fn new(layer: P) -> Result<Self> {
        Self::of(layer, None)
    }

    /// An empty pool of so many places, which doesn't grow: all memory is taken now.
    ///
    /// # Errors
    /// [`Error::CannotStream`] for a layer that needs the whole sequence: it goes backwards in time.
    /// [`Error::ZeroSize`]; [`Error::TensorTooLarge`] for more places than there is memory for.
    pub fn with_capacity(layer: P, capacity: usize) -> Result<Self> {
        Self::of(layer, Some(capacity))
    }

    fn of(layer: P, capacity: Option<usize>) -> Result<Self> {
        let begin = layer.beginning()?;
        let sizes = begin.sizes;
        // A layer whose previous outputs are its output alone, which is in the state, doesn't read them in a step.
        let in_state = sizes.output_in_state.filter(|_| sizes.carry == sizes.output);
        let widths = Widths {
            input: sizes.input,
            state: sizes.state,
            carry: if in_state.is_some() { 0 } else { sizes.carry },
            output: sizes.output,
            output_in_state: in_state,
        };
        let table = match capacity {
            None => Table::new(widths),
            Some(capacity) => Table::with_capacity(widths, capacity)?,
        };
        let mut pool = StreamPool {
            layer,
            begin,
            table,
            places: Vec::new(),
            batches: vec![Batch::new()],
            threads: capacity.is_none(),
            by: PhantomData,
        };
        pool.reserve_steps(capacity.unwrap_or(0))?;
        Ok(pool)
    }

    /// Whether steps that are worth it are shared among threads: yes, unless said otherwise, in a pool that grows; in
    /// one of a fixed capacity only if said so, because whoever starts threads allocates. The bits are the same.
    #[cfg(feature = "rayon")]
    #[must_use = "setters return the pool"]
    pub fn threads(mut self, yes: bool) -> Self {
        self.threads = yes;
        self
    }

    /// A new stream, with the layer's initial state.
    ///
    /// # Errors
    /// [`Error::PoolFull`] in a pool of a fixed capacity; [`Error::TensorTooLarge`] if there is no memory.
    pub fn insert(&mut self) -> Result<StreamId> {
        self.make_room()?;
        let id = self.table.insert()?;
        self.reset(id)?;
        Ok(id)
    }

    /// A new stream that goes on from a state of one row: one that was removed, or made.
    ///
    /// # Errors
    /// Those of [`insert`](StreamPool::insert), [`Error::StateLayout`], [`Error::StateBatch`]; the pool is as before.
    pub fn insert_with(&mut self, state: &State<T>) -> Result<StreamId> {
        state.check(&self.begin.layout, 1)?;
        self.make_room()?;
        let id = self.table.insert()?;
        self.set_state(id, state)?;
        Ok(id)
    }

    /// Ends a stream, and returns its state, which is all that is allocated. A sample that waits is dropped.
    ///
    /// # Errors
    /// [`Error::StreamGone`].
    pub fn remove(&mut self, id: StreamId) -> Result<State<T>> {
        let state = self.state(id)?;
        self.table.remove(id)?;
        Ok(state)
    }

    /// [`remove`](StreamPool::remove) with the state written into the caller's, of one row: allocates nothing.
    ///
    /// # Errors
    /// [`Error::StreamGone`]; [`Error::StateLayout`], [`Error::StateBatch`], and the stream stays.
    pub fn remove_into(&mut self, id: StreamId, state: &mut State<T>) -> Result<()> {
        self.state_into(id, state)?;
        self.table.remove(id)
    }

    /// Gives a stream its next sample, of as many features as the layer reads; [`step`](StreamPool::step) takes it.
    ///
    /// # Errors
    /// [`Error::StreamGone`]; [`Error::StepShape`] for another number of features; [`Error::SampleWaits`] for a second
    /// sample before a step: each stream makes one step at a time. The pool is as before.
    pub fn push(&mut self, id: StreamId, x: &[T]) -> Result<()> {
        self.table.push(id, x)
    }

    /// One step of all streams that have a sample; how many they were. The others aren't touched.
    ///
    /// A model may refuse a sample only here: an id that an Embedding hasn't got. Then this stream, and no other one, is
    /// as before, and its [`output`](StreamPool::output) is the error.
    pub fn step(&mut self) -> usize {
        self.table.take_ready(&mut self.places);
        let stepping = Stepping { runs: &*self.layer, begin: &self.begin, widths: &self.table.widths, by: PhantomData };
        stepping.run(&mut self.table.pages, &self.places, &mut self.batches, self.threads);
        for batch in &mut self.batches {
            batch.refused.drain(..).for_each(|(place, error)| self.table.refuse(place, error));
        }
        self.places.len()
    }

    /// The output of a stream's last step.
    ///
    /// # Errors
    /// [`Error::StreamGone`]; [`Error::NoOutputYet`] before its first step, and before the first one with a state that
    /// was set; what a model said against the last sample.
    pub fn output(&self, id: StreamId) -> Result<&[T]> {
        self.table.output(id)
    }

    /// The state of a stream now, of one row. Allocates it.
    ///
    /// # Errors
    /// [`Error::StreamGone`].
    pub fn state(&self, id: StreamId) -> Result<State<T>> {
        let (page, at) = self.table.find(id)?;
        let mut state = State::try_zeros(Arc::clone(&self.begin.layout), 1)?;
        state.as_mut_slice().copy_from_slice(page.state(at, &self.table.widths));
        Ok(state)
    }

    /// [`state`](StreamPool::state) into the caller's, of one row: allocates nothing.
    ///
    /// # Errors
    /// [`Error::StreamGone`], [`Error::StateLayout`], [`Error::StateBatch`].
    pub fn state_into(&self, id: StreamId, state: &mut State<T>) -> Result<()> {
        let (page, at) = self.table.find(id)?;
        state.check(&self.begin.layout, 1)?;
        state.as_mut_slice().copy_from_slice(page.state(at, &self.table.widths));
        Ok(())
    }

    /// Makes a stream go on from a state of one row; the previous output becomes the one that belongs to it. A sample
    /// that waits is the next one from there.
    ///
    /// # Errors
    /// [`Error::StreamGone`], [`Error::StateLayout`], [`Error::StateBatch`]; the pool is as before.
    pub fn set_state(&mut self, id: StreamId, state: &State<T>) -> Result<()> {
        self.table.find(id)?;
        state.check(&self.begin.layout, 1)?;
        let (own, carry) = self.table.restate(id)?;
        own.copy_from_slice(state.as_slice());
        if let Some(batch) = self.batches.first_mut().filter(|_| !carry.is_empty()) {
            self.layer.carry_of_state(state.as_slice(), carry, &mut batch.scratch);
        }
        Ok(())
    }

    /// Starts a stream over, with the layer's initial state. A sample that waits is the next one from there.
    ///
    /// # Errors
    /// [`Error::StreamGone`].
    pub fn reset(&mut self, id: StreamId) -> Result<()> {
        let (state, carry) = self.table.restate(id)?;
        state.copy_from_slice(&self.begin.state);
        carry.copy_from_slice(&self.begin.carry[..carry.len()]);
        Ok(())
    }

    /// [`remove`](StreamPool::remove)s a stream that is to wait elsewhere: its state as
    /// [bytes](State::to_bytes).
    ///
    /// # Errors
    /// [`Error::StreamGone`]; [`Error::SampleWaits`] if a sample would be lost.
    pub fn evict(&mut self, id: StreamId) -> Result<Vec<u8>> {
        if self.table.is_ready(id)? {
            return Err(Error::SampleWaits { number: id.number() });
        }
        self.remove(id).map(|state| state.to_bytes())
    }

    /// A stream that was [`evict`](StreamPool::evict)ed goes on, under a new id.
    ///
    /// # Errors
    /// Those of [`State::from_bytes`] and [`insert_with`](StreamPool::insert_with).
    pub fn restore(&mut self, bytes: &[u8]) -> Result<StreamId> {
        self.insert_with(&State::from_bytes(bytes)?)
    }

    /// The layer or model.
    pub fn layer(&self) -> &P::Target {
        &self.layer
    }

    /// The number of streams.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no stream.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of streams that there is room for: all there can be in a pool of a fixed capacity, those before it
    /// grows in another.
    pub fn capacity(&self) -> usize {
        self.table.fixed.unwrap_or(self.table.places())
    }

    /// Whether the id's stream is here.
    pub fn contains(&self, id: StreamId) -> bool {
        self.table.find(id).is_ok()
    }

    /// Whether a stream has a sample that waits for the next step.
    ///
    /// # Errors
    /// [`Error::StreamGone`].
    pub fn is_ready(&self, id: StreamId) -> Result<bool> {
        self.table.is_ready(id)
    }

    /// The steps of the pool since a stream last took part in one, or was inserted: which to
    /// [`evict`](StreamPool::evict).
    ///
    /// # Errors
    /// [`Error::StreamGone`].
    pub fn idle_steps(&self, id: StreamId) -> Result<u64> {
        self.table.idle_steps(id)
    }

    /// The ids of all streams, in no order that means anything.
    pub fn ids(&self) -> impl Iterator<Item = StreamId> {
        self.table.ids()
    }

    /// A place for another stream, if the pool may grow.
    fn make_room(&mut self) -> Result<()> {
        if self.table.is_full() && self.table.fixed.is_none() {
            // Room for steps first: if there is none, there is no new place either.
            self.reserve_steps(self.table.places() + PAGE)?;
            self.table.grow(1)?;
        }
        Ok(())
    }

    /// Room for steps of so many streams.
    fn reserve_steps(&mut self, streams: usize) -> Result<()> {
        let rows = batch_rows::<T>(&self.table.widths).min(streams);
        if let Some(batch) = self.batches.first_mut() {
            batch.reserve(&*self.layer, &self.begin, rows)?;
        }
        self.places.clear();
        self.places.reserve_exact(streams);
        Ok(())
    }
}

impl<T: Float, P: Deref<Target: Layer<T>>> StreamPool<T, P> {
    /// Puts another layer in the place of the pool's, which is handed back: see
    /// [`Stream::replace_layer`](crate::Stream::replace_layer). A layer of another structure takes over by
    /// [`swap`](StreamPool::swap).
    ///
    /// # Errors
    /// [`ReplaceError`] has the new layer, and says what differs; the pool is as before.
    pub fn replace_layer(&mut self, layer: P) -> Result<P, ReplaceError<P>> {
        match check_structure(&*self.layer, &*layer) {
            Ok(()) => {
                // What a stream begins with may be among the weights.
                layer.fill_initial_state(&mut self.begin.state);
                self.begin.layout = Arc::clone(layer.state_layout());
                Ok(std::mem::replace(&mut self.layer, layer))
            }
            Err(error) => Err(ReplaceError::new(layer, error)),
        }
    }
}

impl<T: Float, P: fmt::Debug, By> fmt::Debug for StreamPool<T, P, By> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamPool")
            .field("layer", &self.layer)
            .field("streams", &self.table.len())
            .finish_non_exhaustive()
    }
}
