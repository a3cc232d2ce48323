//! The states that a model's stateful layers keep.

use std::sync::Arc;

#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options, Tensors};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory::MemoryNeeds;
use crate::state::{State, StateLayout};

/// The state of a model's stateful layers, kept by the caller from call to call. Clone it to save it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelState<T> {
    pub(super) states: Vec<State<T>>,
    pub(super) batch: usize,
}

impl<T: Float> ModelState<T> {
    pub(super) fn zeros(layouts: &[Arc<StateLayout>], batch: usize) -> Result<Self> {
        let mut needs = MemoryNeeds::default();
        layouts.iter().for_each(|layout| needs.array::<T>(&[batch, layout.width()]));
        needs.check(&[batch])?;
        let states = layouts.iter().map(|layout| State::try_zeros(Arc::clone(layout), batch)).collect::<Result<_>>()?;
        Ok(ModelState { states, batch })
    }

    pub(super) fn of(states: Vec<State<T>>, batch: usize) -> Self {
        ModelState { states, batch }
    }

    /// Checks that they are the states of layers of these layouts, in order, with this many rows.
    pub(super) fn check<'l>(
        &self,
        layouts: impl ExactSizeIterator<Item = &'l Arc<StateLayout>>,
        batch: usize,
    ) -> Result<()> {
        let parts = |states: usize| format!("the states of {states} layers");
        if self.states.len() != layouts.len() {
            return Err(Error::StateLayout { expected: parts(layouts.len()), given: parts(self.states.len()) });
        }
        self.states.iter().zip(layouts).try_for_each(|(state, layout)| state.check(layout, batch))
    }

    /// Makes all states zeros, as Keras's `reset_states` does.
    pub fn reset(&mut self) {
        for state in &mut self.states {
            state.as_mut_slice().fill(T::zero());
        }
    }

    /// The number of rows.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The states, one for each stateful layer in the model's order.
    pub fn states(&self) -> &[State<T>] {
        &self.states
    }

    /// The states, to be changed.
    pub fn states_mut(&mut self) -> &mut [State<T>] {
        &mut self.states
    }
}

/// As files have it.
#[cfg(feature = "file")]
impl<T: Float> ModelState<T> {
    /// All but the numbers.
    pub(crate) fn describe(&self) -> Config {
        let states: Vec<Config> = self.states.iter().map(State::describe).collect();
        Config::new("ModelState").with("batch", self.batch).with("states", states)
    }

    /// The numbers: `0/values`.
    pub(crate) fn show(&self, show: &mut dyn FnMut(String, ndarray::ArrayViewD<'_, T>)) {
        for (place, state) in self.states.iter().enumerate() {
            state.show(&mut |name, values| show(format!("{place}/{name}"), values));
        }
    }

    pub(crate) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Result<Self, ConfigError> {
        let expected = "a whole number of at least 0";
        let batch = options.need("batch", expected)?.index(expected)?;
        let mut states = Vec::new();
        for (place, item) in options.list("states", "states of layers")?.iter().enumerate() {
            let described = item.config("a state")?;
            if described.class() != "State" {
                return Err(described.wrong_class("State"));
            }
            let state = described.read(|options| State::read(options, &mut tensors.nested(&place.to_string())))?;
            if state.batch() != batch {
                return Err(item.wrong(&format!("a state of {batch} rows")));
            }
            states.push(state);
        }
        Ok(ModelState { states, batch })
    }
}
