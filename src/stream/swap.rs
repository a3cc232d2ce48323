//! Another stream in the place of one, whatever its layer.

use std::ops::Deref;

use super::replace::ReplaceError;
use super::{Sizes, Stream};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;

impl<T: Float, P: Deref<Target: Layer<T>>> Stream<T, P> {
    /// Puts another stream in the place of this one, which is handed back: a layer of any structure takes over between
    /// two samples, with the state that its stream has. The two must have the same numbers of rows, features and
    /// outputs.
    ///
    /// The successor is prepared elsewhere, with all memory that it takes, and may have seen the last samples already;
    /// then this allocates nothing, and the stream that comes back can be dropped elsewhere. If only the weights are
    /// others, [`replace_layer`](Stream::replace_layer) keeps the state. What is to be heard has a
    /// [`LiveStream`](crate::LiveStream), which fades from one to the other.
    ///
    /// ```
    /// use recurrent::{Gru, Layer, Lstm, ReplaceError, Stream};
    /// let before: Box<dyn Layer<f32>> = Box::new(Lstm::<f32>::new(2, 4));
    /// let mut stream = Stream::new(before, 1)?;
    /// stream.step_one(&[0.5, -0.5])?;
    ///
    /// let better: Box<dyn Layer<f32>> = Box::new(Gru::<f32>::new(2, 4));
    /// let mut successor = Stream::new(better, 1)?; // on another thread
    /// successor.step_one(&[0.5, -0.5])?; // what the stream has heard last
    ///
    /// let old = stream.swap(successor).map_err(ReplaceError::into_error)?;
    /// stream.step_one(&[1.0, 2.0])?;
    /// # drop(old);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ReplaceError`] has the successor, and says by [`Error::SwapSize`] what differs; the stream is as before.
    #[allow(clippy::result_large_err)] // to put it in a box would allocate
    pub fn swap(&mut self, successor: Self) -> Result<Self, ReplaceError<Self>> {
        match self.check_successor(&successor) {
            Ok(()) => Ok(std::mem::replace(self, successor)),
            Err(error) => Err(ReplaceError::new(successor, error)),
        }
    }

    pub(super) fn check_successor(&self, successor: &Self) -> Result<()> {
        check_size("the number of rows", self.batch, successor.batch)?;
        check_sizes(&self.sizes, &successor.sizes)
    }
}

/// Checks that whoever gives samples and takes outputs can go on doing so.
pub(super) fn check_sizes(own: &Sizes, successor: &Sizes) -> Result<()> {
    check_size("the number of features", own.input, successor.input)?;
    check_size("the number of outputs", own.output, successor.output)
}

fn check_size(what: &'static str, expected: usize, given: usize) -> Result<()> {
    if expected == given { Ok(()) } else { Err(Error::SwapSize { what, expected, given }) }
}
