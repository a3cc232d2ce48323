//! Dense, over the last axis of anything.

use std::sync::Arc;

use ndarray::{Ix2, IxDyn};

use super::quantized_dense::QuantizedDense;
use super::shapes;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::gradients::OutputGradient;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Op, Operation, Role, Which, misfit};
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tensor::{Tensor, Value, in_row_order};
use crate::layers::Layer;
use crate::layers::dense::Dense as Layers;
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::runner::layer::LayerCore;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// A dense layer over the last axis of any array.
#[derive(Debug, Clone)]
pub(crate) struct Dense<T: Float> {
    layer: Arc<Layers<T>>,
}

impl<T: Float> Dense<T> {
    pub(crate) fn new(layer: Layers<T>) -> Self {
        Dense { layer: Arc::new(layer) }
    }
}

impl<T: Float> Operation<T> for Dense<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        self.layer.describe()
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        shape::over_last(inputs, self.layer.input_size(), self.layer.output_size())
    }

    fn run(&self, inputs: &[&Tensor<T>], mut call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = inputs[0].value.floats();
        let rows = x.shape().iter().rev().skip(1).product();
        let flat = in_row_order(&x).into_shape_with_order((rows, self.layer.input_size())).map_err(|_| misfit())?;
        let out = self.layer.forward_rows(&flat)?;
        if let Some(record) = call.record.take() {
            self.layer.record_rows(&flat, &mut record.tape);
        }
        let mut shape = x.shape().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = self.layer.output_size();
        }
        let out = out.into_shape_with_order(IxDyn(&shape)).map_err(|_| misfit())?;
        call.passing(Value::Float(out.into_shared()))
    }

    fn backward(&self, mut back: Back<'_, T>, mut sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x) = (back.of_output()?, back.input()?);
        let rows = x.shape().iter().rev().skip(1).product();
        let d = shapes::reshaped_gradient(d, &[rows, self.layer.output_size()])?;
        let d = d.into_dimensionality::<Ix2>().map_err(|_| misfit())?;
        let (with_input, upstream) = (back.wants_input(), OutputGradient::new().last(&d));
        let layer = &*self.layer;
        let found = sums.lend(layer, with_input, |lent| layer.backward(&mut back.record.tape, upstream, lent))?;
        Ok(vec![found.input.map(|input| shapes::reshaped_gradient(input.into_dyn(), x.shape())).transpose()?])
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        let x = input.floats(&mut step.work.floats)?;
        self.layer.forward_into(x, step.outputs[0].as_floats()?);
        Ok(())
    }

    fn can_train(&self) -> Result<()> {
        self.layer.can_train()
    }

    fn visit_weights<'a>(&'a self, _which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.layer.visit_weights(visitor);
    }

    fn visit_weights_mut(&mut self, _which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        Arc::make_mut(&mut self.layer).visit_weights_mut(visitor)
    }

    fn steps_alone(&self) -> bool {
        true
    }

    fn quantized(&self, precision: Precision) -> Result<Option<Op<T>>> {
        Ok(Some(Op::new(QuantizedDense::new(Layer::quantize(&*self.layer, precision)?))))
    }

    fn role(&self) -> Role<'_, T> {
        Role::Dense(&self.layer)
    }
}
