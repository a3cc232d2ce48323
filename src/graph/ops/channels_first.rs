//! Another operation with time as the last axis: Keras's `data_format="channels_first"`.

use ndarray::ArrayD;

use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::Model;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Op, Operation, Role, Which, misfit};
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tensor::{Tensor, Value};
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// What is inside reads (batch, timesteps, channels), and this one (batch, channels, timesteps); an output of three
/// dimensions is turned back.
#[derive(Debug, Clone)]
pub(crate) struct ChannelsFirst<T: Float>(pub(crate) Op<T>);

const ORDER: [usize; 3] = [0, 2, 1];

impl<T: Float> Operation<T> for ChannelsFirst<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("ChannelsFirst").with("layer", self.0.describe()?))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let [batch, channels, steps] = shape::only(inputs)?[..] else {
            return shape::misfit("(batch, channels, timesteps)", inputs);
        };
        let refuse = |misfit: Misfit| Misfit { expected: format!("channels first: {}", misfit.expected), ..misfit };
        let outputs = self.0.infer(&[vec![batch, steps, channels]]).map_err(refuse)?;
        Ok(outputs.into_iter().map(turned).collect())
    }

    fn takes_mask(&self) -> bool {
        self.0.takes_mask()
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let [input] = inputs else { return Err(misfit()) };
        let record = call.record.map(|record| record.inner.only());
        let value = match &input.value {
            Value::Float(x) => Value::Float(x.clone().permuted_axes(&ORDER[..])),
            Value::Int(x) => Value::Int(x.clone().permuted_axes(&ORDER[..])),
            Value::Bool(x) => Value::Bool(x.clone().permuted_axes(&ORDER[..])),
        };
        let call = Call { record, trace: None, passes: None, ..call };
        let outputs = self.0.apply(&[&Tensor { value, mask: input.mask.clone() }], call)?;
        Ok(outputs.into_iter().map(|output| Tensor::unmasked(turned_value(output.value))).collect())
    }

    fn backward(&self, back: Back<'_, T>, sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let Back { record, upstream, wanted } = back;
        let upstream = upstream.into_iter().map(|flow| flow.map(turned_gradient)).collect();
        let flows = self.0.backward(Back { record: record.inner.only(), upstream, wanted }, sums)?;
        Ok(flows.into_iter().map(|flow| flow.map(turned_gradient)).collect())
    }

    /// What comes first here isn't time: a stream runs it on what it has as a whole.
    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let x = Tensor::unmasked(step.input(0).value());
        let mut scratch = crate::runner::scratch::Scratch::new();
        let call = Call {
            mask: None,
            passes: None,
            initial: vec![],
            states: &mut [],
            scratch: &mut scratch,
            trace: None,
            keras_2: false,
            record: None,
        };
        let outputs = self.run(&[&x], call)?;
        step.output().set(&outputs.first().ok_or_else(misfit)?.value)
    }

    fn can_train(&self) -> Result<()> {
        self.0.can_train()
    }

    fn visit_weights<'a>(&'a self, which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.0.visit_weights(which, visitor);
    }

    fn visit_weights_mut(&mut self, which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.0.visit_weights_mut(which, visitor)
    }

    fn unshare(&mut self, which: Which) -> Result<()> {
        self.0.unshare(which)
    }

    fn role(&self) -> Role<'_, T> {
        Role::ChannelsFirst(&*self.0)
    }

    fn model_mut(&mut self) -> Option<&mut Model<T>> {
        self.0.model_mut()
    }
}

fn turned(shape: Shape) -> Shape {
    match shape[..] {
        [batch, steps, channels] => vec![batch, channels, steps],
        _ => shape,
    }
}

fn turned_value<T: Float>(value: Value<T>) -> Value<T> {
    match value {
        Value::Float(x) if x.ndim() == 3 => Value::Float(x.permuted_axes(&ORDER[..])),
        Value::Int(x) if x.ndim() == 3 => Value::Int(x.permuted_axes(&ORDER[..])),
        Value::Bool(x) if x.ndim() == 3 => Value::Bool(x.permuted_axes(&ORDER[..])),
        other => other,
    }
}

fn turned_gradient<T: Float>(d: ArrayD<T>) -> ArrayD<T> {
    match d.ndim() {
        3 => d.permuted_axes(&ORDER[..]).as_standard_layout().into_owned(),
        _ => d,
    }
}
