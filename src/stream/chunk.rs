//! Chunks of any number of steps, as arrays.

use std::ops::Deref;

use ndarray::ArrayRef3;

use super::{Stream, in_turn};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::output::Output;
use crate::runner::check::{check_features, check_outputs};
use crate::runner::execute::{execute, produce};
use crate::runner::output_mut::{OutputMut, OutputSlices};
use crate::runner::run::Run;

impl<T: Float, P: Deref<Target: Layer<T>>> Stream<T, P> {
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
