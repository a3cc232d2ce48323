//! Gradients to go back to.

use ndarray::{Array3, ArrayD};

use super::Gradients;
use crate::float::Float;
use crate::state::State;

/// A copy of gradients, for a backward pass that may be refused in the middle: a user's cell does that.
#[derive(Debug)]
pub(crate) struct GradientBackup<T> {
    weights: Vec<ArrayD<T>>,
    input: Option<Array3<T>>,
    state: Option<State<T>>,
}

impl<T> Default for GradientBackup<T> {
    fn default() -> Self {
        GradientBackup { weights: Vec::new(), input: None, state: None }
    }
}

impl<T: Float> GradientBackup<T> {
    /// Copies; allocates nothing if the last copy was of the same shapes.
    pub(crate) fn keep(&mut self, gradients: &Gradients<T>) {
        self.weights.clone_from(&gradients.weights);
        self.input.clone_from(&gradients.input);
        let fits = self.state.as_mut().is_some_and(|state| state.copy_from(&gradients.state).is_ok());
        if !fits {
            self.state = Some(gradients.state.clone());
        }
    }

    /// Makes the gradients what they were.
    pub(crate) fn give_back(&mut self, gradients: &mut Gradients<T>) {
        std::mem::swap(&mut self.weights, &mut gradients.weights);
        std::mem::swap(&mut self.input, &mut gradients.input);
        if let Some(state) = &mut self.state {
            std::mem::swap(state, &mut gradients.state);
        }
    }
}
