//! Another operation with time, or rows and columns, behind the channels: Keras's `data_format="channels_first"`.

use ndarray::ArrayD;

use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::Model;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Op, Operation, Role, Which, misfit};
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tape::Record;
use crate::graph::tensor::{Shared, Tensor, Value};
use crate::graph::training::Differs;
use crate::precision::Precision;
use crate::seeds::DropoutGenerator;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// What is inside reads (batch, timesteps, channels), and this one (batch, channels, timesteps); an output of as many
/// dimensions is turned back. The same of (batch, rows, columns, channels), and of one dimension more.
#[derive(Debug, Clone)]
pub(crate) struct ChannelsFirst<T: Float>(pub(crate) Op<T>);

/// The channels last.
fn channels_last(rank: usize) -> Vec<usize> {
    std::iter::once(0).chain(2..rank).chain([1]).collect()
}

/// The channels first.
fn channels_first(rank: usize) -> Vec<usize> {
    [0, rank - 1].into_iter().chain(1..rank - 1).collect()
}

impl<T: Float> Operation<T> for ChannelsFirst<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("ChannelsFirst").with("layer", self.0.describe()?))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        if x.len() < 3 {
            return shape::misfit("(batch, channels, timesteps or rows and columns)", inputs);
        }
        let refuse = |misfit: Misfit| Misfit { expected: format!("channels first: {}", misfit.expected), ..misfit };
        let last = channels_last(x.len()).into_iter().map(|axis| x[axis]).collect();
        let outputs = self.0.infer(&[last]).map_err(refuse)?;
        Ok(outputs.into_iter().map(turned).collect())
    }

    fn takes_mask(&self) -> bool {
        self.0.takes_mask()
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let [input] = inputs else { return Err(misfit()) };
        let record = call.record.map(|record| record.inner.only());
        let order = &channels_last(input.shape().len())[..];
        let value = match &input.value {
            Value::Float(x) => Value::Float(x.clone().permuted_axes(order)),
            Value::Int(x) => Value::Int(x.clone().permuted_axes(order)),
            Value::Bool(x) => Value::Bool(x.clone().permuted_axes(order)),
        };
        let call = Call { record, trace: None, passes: None, ..call };
        let outputs = self.0.apply(&[&Tensor { value, mask: input.mask.clone() }], call)?;
        Ok(outputs.into_iter().map(|output| Tensor::unmasked(turned_value(output.value))).collect())
    }

    fn backward(&self, back: Back<'_, T>, sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let Back { record, upstream, wanted } = back;
        let upstream = upstream.into_iter().map(|flow| flow.map(|d| turned_gradient(d, channels_last))).collect();
        let flows = self.0.backward(Back { record: record.inner.only(), upstream, wanted }, sums)?;
        Ok(flows.into_iter().map(|flow| flow.map(|d| turned_gradient(d, channels_first))).collect())
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
            training: None,
        };
        let outputs = self.run(&[&x], call)?;
        step.output().set(&outputs.first().ok_or_else(misfit)?.value)
    }

    fn differs_in_training(&self, trainable: bool) -> Option<Differs> {
        self.0.differs_in_training(trainable)
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        self.0.visit_generators(show);
    }

    fn trains_by_batch(&self) -> bool {
        self.0.trains_by_batch()
    }

    fn has_normalized(&self) -> Option<bool> {
        self.0.has_normalized()
    }

    fn normalize_kernels(&mut self) -> Result<()> {
        self.0.normalize_kernels()
    }

    fn move_statistics(&mut self, record: &Record<T>) {
        record.inner.records.iter().for_each(|record| self.0.move_statistics(record));
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

    fn quantize(&mut self, precision: Precision) -> Result<()> {
        self.0.quantize(precision)
    }

    fn role(&self) -> Role<'_, T> {
        Role::ChannelsFirst(&*self.0)
    }

    fn model_mut(&mut self) -> Option<&mut Model<T>> {
        self.0.model_mut()
    }
}

fn turned(shape: Shape) -> Shape {
    match shape.len() {
        0..=2 => shape,
        rank => channels_first(rank).into_iter().map(|axis| shape[axis]).collect(),
    }
}

fn turn<A>(x: Shared<A>) -> Shared<A> {
    let order = channels_first(x.ndim());
    x.permuted_axes(&order[..])
}

fn turned_value<T: Float>(value: Value<T>) -> Value<T> {
    match value {
        Value::Float(x) if x.ndim() > 2 => Value::Float(turn(x)),
        Value::Int(x) if x.ndim() > 2 => Value::Int(turn(x)),
        Value::Bool(x) if x.ndim() > 2 => Value::Bool(turn(x)),
        other => other,
    }
}

fn turned_gradient<T: Float>(d: ArrayD<T>, order: fn(usize) -> Vec<usize>) -> ArrayD<T> {
    match d.ndim() {
        0..=2 => d,
        rank => d.permuted_axes(&order(rank)[..]).as_standard_layout().into_owned(),
    }
}
