//! What a stream keeps from step to step.

use std::sync::Arc;

use super::OwnStream;
use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::misfit;
use crate::state::{State, StateLayout};

/// What an operation keeps from step to step.
#[derive(Debug)]
pub(crate) enum Kept<T: Float> {
    /// A layer over time: its stream.
    Layer(Box<OwnStream<T>>),
    /// Any other one: values of its own, zeros before the first step.
    Own(State<T>),
}

impl<T: Float> Kept<T> {
    /// Zeros, for an operation's own.
    pub(super) fn own(layout: Arc<StateLayout>, batch: usize) -> Result<Self> {
        State::try_zeros(layout, batch).map(Kept::Own)
    }

    pub(super) fn state(&self) -> &State<T> {
        match self {
            Kept::Layer(stream) => stream.state(),
            Kept::Own(state) => state,
        }
    }

    pub(super) fn set_state(&mut self, new: &State<T>) -> Result<()> {
        match self {
            Kept::Layer(stream) => stream.set_state(new),
            Kept::Own(state) => state.copy_from(new),
        }
    }

    /// Begins with a state as a call does.
    pub(super) fn begin_with(&mut self, new: &State<T>) -> Result<()> {
        match self {
            Kept::Layer(stream) => stream.begin_with(new),
            Kept::Own(state) => state.copy_from(new),
        }
    }

    /// All rows' states, and their previous outputs if there are any.
    pub(super) fn parts_mut(&mut self) -> (&mut [T], &mut [T]) {
        match self {
            Kept::Layer(stream) => stream.parts_mut(),
            Kept::Own(state) => (state.as_mut_slice(), &mut []),
        }
    }

    /// The previous outputs that belong to the state.
    pub(super) fn outputs_from_state(&mut self) {
        if let Kept::Layer(stream) = self {
            stream.outputs_from_state();
        }
    }

    pub(super) fn reset(&mut self) {
        match self {
            Kept::Layer(stream) => stream.reset(),
            Kept::Own(state) => state.as_mut_slice().fill(T::zero()),
        }
    }

    /// The stream of a layer over time.
    pub(crate) fn layer(&mut self) -> Result<&mut OwnStream<T>> {
        match self {
            Kept::Layer(stream) => Ok(stream),
            Kept::Own(_) => Err(misfit()),
        }
    }

    /// The values of any other operation: of each row, the parts of its state side by side.
    pub(crate) fn values(&mut self) -> Result<&mut [T]> {
        match self {
            Kept::Own(state) => Ok(state.as_mut_slice()),
            Kept::Layer(_) => Err(misfit()),
        }
    }
}
