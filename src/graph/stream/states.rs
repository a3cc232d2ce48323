//! The states of a stream.

use std::sync::Arc;

use super::ModelStream;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::ModelState;
use crate::state::{State, StateLayout};

impl<T: Float> ModelStream<T> {
    /// The states of the recurrent layers now, of convolutions, windows and global pooling, one for each call; then
    /// those that are inputs and outputs, each with its input's name. Where steps differ, as strides and windows make
    /// them, what they hold for each other (`latest`) and which one is next (`phase`) stand behind.
    pub fn state(&self) -> ModelState<T> {
        let kept = self.program.streams.iter().filter(|started| started.anew.is_none());
        let states = kept.map(|started| started.kept.state().clone());
        let own = self.states.iter().map(|state| state.now(&self.program, self.batch));
        let phase = self.phase.iter().map(|layout| {
            let mut phase = State::zeros(Arc::clone(layout), self.batch);
            phase.as_mut_slice().fill(T::from_f64(self.program.clock.time as f64));
            phase
        });
        ModelState::of(states.chain(own).chain(phase).collect(), self.batch)
    }

    /// Goes on from a state that was saved.
    ///
    /// # Errors
    /// [`Error::StateLayout`], [`Error::StateBatch`] for a state of another model or batch, or of rows that aren't at
    /// the same step; the stream is as before.
    pub fn set_state(&mut self, state: &ModelState<T>) -> Result<()> {
        let kept = self.program.streams.iter().filter(|started| started.anew.is_none());
        let layouts = kept.map(|started| started.kept.state().layout());
        let own = self.states.iter().map(|state| &state.layout).chain(&self.phase);
        let layouts: Vec<&Arc<StateLayout>> = layouts.chain(own).collect();
        state.check(layouts.into_iter(), self.batch)?;
        let (states, phase) = state.states().split_at(state.states().len() - usize::from(self.phase.is_some()));
        let time = phase.first().map_or(Ok(0), |phase| self.time_of(phase))?;
        let kept = self.program.streams.iter_mut().filter(|started| started.anew.is_none());
        kept.zip(states).try_for_each(|(started, state)| started.kept.set_state(state))?;
        let done = states.len() - self.states.len();
        for (own, state) in self.states.iter().zip(&states[done..]) {
            self.program.values[own.input].as_floats()?.copy_from_slice(state.as_slice());
        }
        self.program.clock.time = time;
        Ok(())
    }

    /// The step that is next, if all rows say the same.
    fn time_of(&self, phase: &State<T>) -> Result<usize> {
        let (steps, ticks) = (self.program.clock.steps(), self.program.clock.ticks);
        // A step begins with its first tick.
        let begins = |time: f64| time.fract() == 0.0 && (time as usize).is_multiple_of(ticks);
        let first = phase.as_slice().first().map_or(0.0, |time| time.into_f64());
        let odd = phase
            .as_slice()
            .iter()
            .map(|time| time.into_f64())
            .find(|&time| !(time == first && time >= 0.0 && time < steps as f64 && begins(time)));
        match odd {
            None => Ok(first as usize),
            Some(odd) => Err(Error::StateLayout {
                expected: format!("one phase for all rows, a multiple of {ticks} below {steps}"),
                given: format!("{odd}"),
            }),
        }
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
