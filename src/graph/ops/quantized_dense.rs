//! Dense in fewer bits, over the last axis of anything.

use std::mem::swap;
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};

use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Role, SharedLayer, misfit};
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tensor::{Tensor, Value, in_row_order};
use crate::layers::Layer;
use crate::memory;
use crate::precision::Precision;
use crate::runner::scratch::Scratch;
use crate::strided::{Rows, RowsMut};

/// What [`Model::quantize`](crate::Model::quantize) makes of a dense layer.
#[derive(Debug, Clone)]
pub(crate) struct QuantizedDense<T: Float> {
    layer: SharedLayer<T>,
}

impl<T: Float> QuantizedDense<T> {
    /// A layer whose steps are alone, and which has no state.
    pub(crate) fn new(layer: Box<dyn Layer<T>>) -> Self {
        QuantizedDense { layer: Arc::new(layer) }
    }

    fn rows(&self, x: &[T], out: &mut [T], scratch: &mut Scratch<T>) {
        let (features, units) = (self.layer.input_size(), self.layer.output_size());
        let (no_state, none) = (Rows::packed(&[], 0), RowsMut::packed(&mut [], 0));
        let (x_rows, out) = (Rows::packed(x, features), RowsMut::packed(out, units));
        self.layer.step_into(x.len() / features, x_rows, no_state, none, out, scratch);
    }
}

impl<T: Float> Operation<T> for QuantizedDense<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        self.layer.describe()
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        shape::over_last(inputs, self.layer.input_size(), self.layer.output_size())
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = inputs[0].value.floats();
        let mut shape = x.shape().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = self.layer.output_size();
        }
        memory::check_shape(&shape)?;
        let mut out = ArrayD::zeros(IxDyn(&shape));
        let x = in_row_order(&x);
        if let (Some(x), Some(out)) = (x.as_slice(), out.as_slice_mut()) {
            self.rows(x, out, call.scratch);
        }
        call.passing(Value::Float(out.into_shared()))
    }

    fn backward(&self, _back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        self.layer.can_train()?;
        Err(misfit())
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        let x = input.floats(&mut step.work.floats)?;
        let mut scratch = Scratch::default();
        swap(&mut scratch.work, &mut step.work.more);
        self.rows(x, step.outputs[0].as_floats()?, &mut scratch);
        swap(&mut scratch.work, &mut step.work.more);
        Ok(())
    }

    fn can_train(&self) -> Result<()> {
        self.layer.can_train()
    }

    fn steps_alone(&self) -> bool {
        true
    }

    fn quantize(&mut self, precision: Precision) -> Result<()> {
        self.layer.quantize(precision).map(drop) // which refuses
    }

    fn role(&self) -> Role<'_, T> {
        Role::QuantizedDense(&self.layer)
    }
}
