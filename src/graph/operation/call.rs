//! What an operation is handed: in a run, and on the way back.

use ndarray::ArrayD;

use super::{Flow, misfit};
use crate::error::Result;
use crate::float::Float;
use crate::graph::stream::Trace;
use crate::graph::tape::Record;
use crate::graph::tensor::{Mask, Tensor, Value};
use crate::runner::scratch::Scratch;
use crate::seeds::DropoutGenerator;
use crate::state::State;

/// What a call hands to an operation besides its inputs.
#[derive(Debug)]
pub(crate) struct Call<'a, T: Float> {
    /// The mask that the operation reads: the one that the call names, or the input's.
    pub(crate) mask: Option<Mask>,
    /// The mask that goes on with the outputs, where the layer lets it.
    pub(crate) passes: Option<Mask>,
    /// The parts of an initial state.
    pub(crate) initial: Vec<&'a Tensor<T>>,
    /// The states of the model's stateful layers.
    pub(crate) states: &'a mut [State<T>],
    pub(crate) scratch: &'a mut Scratch<T>,
    /// Where a step is tried instead of a whole run.
    pub(crate) trace: Option<&'a mut Trace<T>>,
    /// Whether the call means what it means in Keras 2: see [`run`](crate::graph::run).
    pub(crate) keras_2: bool,
    /// What the backward pass is to read.
    pub(crate) record: Option<&'a mut Record<T>>,
    /// Set where the call is one of training.
    pub(crate) training: Option<Training<'a>>,
}

/// What a call of training is given.
#[derive(Debug)]
pub(crate) struct Training<'a> {
    /// The generators of the operation's dropout, in its order.
    pub(crate) generators: &'a mut [DropoutGenerator],
    /// Whether the layer is trained.
    pub(crate) trainable: bool,
}

impl Training<'_> {
    /// For a call within this one.
    pub(crate) fn again(&mut self) -> Training<'_> {
        Training { generators: &mut *self.generators, ..*self }
    }
}

impl<T: Float> Call<'_, T> {
    /// One output, with the mask that goes on.
    pub(crate) fn passing(self, value: Value<T>) -> Result<Vec<Tensor<T>>> {
        Ok(vec![Tensor { value, mask: self.passes }])
    }
}

/// What the backward pass through one call reads.
pub(crate) struct Back<'a, T> {
    pub(crate) record: &'a mut Record<T>,
    /// The gradients of the outputs.
    pub(crate) upstream: Vec<Flow<T>>,
    /// Of the inputs, then of the initial state, which gradients are asked for.
    pub(crate) wanted: &'a [bool],
}

impl<T: Float> Back<'_, T> {
    /// The gradient of the one output, in row order.
    pub(crate) fn of_output(&mut self) -> Result<ArrayD<T>> {
        let d = self.upstream.first_mut().and_then(Option::take).ok_or_else(misfit)?;
        Ok(if d.is_standard_layout() { d } else { d.as_standard_layout().into_owned() })
    }

    /// What the call read as its first input.
    pub(crate) fn input(&self) -> Result<Value<T>> {
        self.record.inputs.first().cloned().ok_or_else(misfit)
    }

    /// What the call gave as its first output.
    pub(crate) fn output(&self) -> Result<Value<T>> {
        self.record.outputs.first().cloned().ok_or_else(misfit)
    }

    /// Whether the gradient of the first input is asked for.
    pub(crate) fn wants_input(&self) -> bool {
        self.wanted.first().is_some_and(|&wanted| wanted)
    }
}
