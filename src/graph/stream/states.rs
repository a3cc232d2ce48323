//! The states of a stream.

use std::sync::Arc;

use super::ModelStream;
use crate::error::Result;
use crate::float::Float;
use crate::graph::ModelState;
use crate::state::StateLayout;

impl<T: Float> ModelStream<T> {
    /// The states of the recurrent layers now, of causal convolutions and of global pooling, one for each call; then
    /// those that are inputs and outputs, each with its input's name.
    pub fn state(&self) -> ModelState<T> {
        let kept = self.program.streams.iter().filter(|started| started.anew.is_none());
        let states = kept.map(|started| started.kept.state().clone());
        let own = self.states.iter().map(|state| state.now(&self.program, self.batch));
        ModelState::of(states.chain(own).collect(), self.batch)
    }

    /// Goes on from a state that was saved.
    ///
    /// # Errors
    /// [`Error::StateLayout`](crate::Error::StateLayout), [`Error::StateBatch`](crate::Error::StateBatch) for a state of
    /// another model or batch; the stream is as before.
    pub fn set_state(&mut self, state: &ModelState<T>) -> Result<()> {
        let kept = self.program.streams.iter().filter(|started| started.anew.is_none());
        let layouts = kept.map(|started| started.kept.state().layout());
        let layouts: Vec<&Arc<StateLayout>> = layouts.chain(self.states.iter().map(|state| &state.layout)).collect();
        state.check(layouts.into_iter(), self.batch)?;
        let kept = self.program.streams.iter_mut().filter(|started| started.anew.is_none());
        kept.zip(state.states()).try_for_each(|(started, state)| started.kept.set_state(state))?;
        let done = state.states().len() - self.states.len();
        for (own, state) in self.states.iter().zip(&state.states()[done..]) {
            self.program.values[own.input].as_floats()?.copy_from_slice(state.as_slice());
        }
        Ok(())
    }

    /// Starts over; a decoder with what [`start`](ModelStream::start) gave it last.
    pub fn reset(&mut self) {
        self.forget();
        let begun = self.program.start();
        debug_assert!(begun.is_ok(), "what was started once can be started again");
        self.outputs.iter_mut().for_each(|output| output.fill(T::zero()));
    }

    /// The names of the outputs, in order: those of the model but for the states that are the stream's.
    pub fn output_names(&self) -> impl Iterator<Item = &str> {
        self.results.iter().filter_map(|(place, _)| self.model.output_names.get(*place)).map(String::as_str)
    }

    /// The states that are inputs and outputs begin with zeros.
    pub(super) fn forget(&mut self) {
        for state in &self.states {
            if let Ok(values) = self.program.values[state.input].as_floats() {
                values.fill(T::zero());
            }
        }
    }
}
