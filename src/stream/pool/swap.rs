//! Another pool in the place of one: its streams go on under their ids.

use std::ops::Deref;

use super::table::PAGE;
use super::{Pooled, StreamId, StreamPool};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::stream::replace::ReplaceError;
use crate::stream::swap::check_sizes;

impl<T: Float, P: Deref<Target: Pooled<T, By>>, By> StreamPool<T, P, By> {
    /// Puts another pool in the place of this one, which is handed back: a layer of any structure takes over between
    /// two steps. The streams go on under their ids, and samples that wait stay where they are. The two layers must
    /// have the same numbers of features and outputs.
    ///
    /// A stream begins with the successor's initial state, unless the successor knows it: it can be told of ids by
    /// [`adopt`](StreamPool::adopt) while it is prepared, and be warmed up with the samples that they had last.
    ///
    /// Between pools of fixed capacity it allocates nothing, and takes the time that it takes to write the states of
    /// those streams that the successor didn't know. The pool that comes back is whole, to be dropped elsewhere.
    ///
    /// ```
    /// use recurrent::{Gru, Layer, Lstm, ReplaceError, StreamPool};
    /// let before: Box<dyn Layer<f32>> = Box::new(Lstm::<f32>::new(2, 4));
    /// let mut pool = StreamPool::with_capacity(before, 100)?;
    /// let (ann, bob) = (pool.insert()?, pool.insert()?);
    ///
    /// // Elsewhere: a better model, which is shown what ann said last.
    /// let better: Box<dyn Layer<f32>> = Box::new(Gru::<f32>::new(2, 4));
    /// let mut successor = StreamPool::with_capacity(better, 100)?;
    /// successor.adopt(ann)?;
    /// for sample in [[0.5, -0.5], [1.0, 2.0]] {
    ///     successor.push(ann, &sample)?;
    ///     successor.step();
    /// }
    ///
    /// let old = pool.swap(successor).map_err(ReplaceError::into_error)?;
    /// pool.push(bob, &[0.1, 0.2])?; // bob begins anew
    /// pool.step();
    /// # drop(old);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ReplaceError`] has the successor, and says by [`Error::SwapSize`] what differs; the pool is as before.
    #[allow(clippy::result_large_err)] // to put it in a box would allocate
    pub fn swap(&mut self, mut successor: Self) -> Result<Self, ReplaceError<Self>> {
        if let Err(error) = self.check_successor(&mut successor) {
            return Err(ReplaceError::new(successor, error));
        }
        let begin = &successor.begin;
        successor.table.follow(&self.table, |state, carry| {
            state.copy_from_slice(&begin.state);
            carry.copy_from_slice(&begin.carry[..carry.len()]);
        });
        std::mem::swap(self, &mut successor);
        Ok(successor)
    }

    fn check_successor(&self, successor: &mut Self) -> Result<()> {
        check_sizes(&self.begin.sizes, &successor.begin.sizes)?;
        if successor.table.fixed.is_none() {
            return successor.grow_to(self.table.places());
        }
        let (expected, given) = (self.capacity(), successor.capacity());
        if given < expected {
            return Err(Error::SwapSize { what: "the capacity of the pool", expected, given });
        }
        Ok(())
    }

    /// A stream under the id that it has in another pool, which this one is to take the place of by
    /// [`swap`](StreamPool::swap): it begins with the initial state, and can be given another state and the samples
    /// that it had there. An id that is here already stays as it is; one that another stream had before takes its
    /// place.
    ///
    /// # Errors
    /// [`Error::PoolFull`] if the other pool is larger than this one can be; [`Error::StreamGone`] if a later stream
    /// has the place: the other pool removed this one; [`Error::TensorTooLarge`] if there is no memory.
    pub fn adopt(&mut self, id: StreamId) -> Result<()> {
        if self.table.fixed.is_none() {
            // No further than a pool of so many streams could be.
            self.grow_to(id.place.saturating_add(1))?;
        }
        if let Some(id) = self.table.adopt(id)? {
            self.reset(id)?;
        }
        Ok(())
    }

    fn grow_to(&mut self, places: usize) -> Result<()> {
        if let Some(missing) = places.checked_sub(self.table.places()).filter(|&missing| missing > 0) {
            self.reserve_steps(places.next_multiple_of(PAGE))?;
            self.table.grow(missing.div_ceil(PAGE))?;
        }
        Ok(())
    }
}
