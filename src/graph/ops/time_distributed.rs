//! Another operation for each step.

use super::shapes::{reshaped, reshaped_gradient};
use crate::error::Result;
use crate::float::Float;
use crate::graph::Model;
use crate::graph::gradients::Sums;
use crate::graph::operation::{Back, Call, Flow, Op, Operation, Role, Which, misfit, mismatch};
use crate::graph::per_step::Map;
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tensor::Tensor;
use crate::runner::scratch::Scratch;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// The inner operation with time as more rows of the batch.
#[derive(Debug, Clone)]
pub(crate) struct TimeDistributed<T: Float>(pub(crate) Op<T>);

/// Whether there is a layer over time inside, which runs over what is a sequence to it alone, from its beginning, in each
/// step of the outer one.
pub(in crate::graph) fn runs_anew<T: Float>(inner: &dyn Operation<T>) -> bool {
    match inner.role() {
        Role::Recurrent { .. } => true,
        Role::TimeDistributed(inner) => runs_anew(inner),
        Role::Model(model) => model.parts.iter().filter_map(|part| part.op.as_ref()).any(|op| runs_anew(&**op)),
        _ => false,
    }
}

impl<T: Float> Operation<T> for TimeDistributed<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        if x.len() < 3 {
            return shape::misfit("(batch, timesteps, .., features)", inputs);
        }
        let inner = self.0.infer(&[[&x[..1], &x[2..]].concat()])?;
        let [output] = &inner[..] else { return shape::misfit("a layer of one output", inputs) };
        Ok(vec![[&output[..1], &x[1..2], &output[1..]].concat()])
    }

    fn takes_mask(&self) -> bool {
        true
    }

    fn reads_or_loses_mask(&self) -> bool {
        self.0.reads_or_loses_mask()
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = &inputs[0].value;
        let [batch, timesteps, rest @ ..] = x.shape() else { return Err(misfit()) };
        if let Some(mask) = &call.mask {
            if mask.shape().get(..2) != Some(&[*batch, *timesteps]) {
                return Err(mismatch(format!("a mask of shape [{batch}, {timesteps}, ..]"), mask.shape()));
            }
            if self.0.takes_mask() && !self.0.takes_any_mask() {
                // Keras hands the mask of one step to it, (batch,), which no such layer can read.
                return Err(mismatch("no mask inside TimeDistributed".into(), mask.shape()));
            }
        }
        let rows = reshaped(x, &[&[batch * timesteps], rest].concat())?;
        let record = call.record.map(|record| record.inner.only());
        let (passes, mut trace) = (call.passes, call.trace.filter(|_| !runs_anew(&*self.0)));
        if let Some(trace) = trace.as_deref_mut() {
            trace.reshaped(x, &rows)?;
        }
        let call = Call { mask: None, passes: None, trace: trace.as_deref_mut(), record, ..call };
        let outputs = self.0.apply(&[&Tensor::unmasked(rows)], call)?;
        let Some(output) = outputs.into_iter().next() else { return Err(misfit()) };
        let shape = [&[*batch, *timesteps], output.shape().get(1..).ok_or_else(misfit)?].concat();
        let value = reshaped(&output.value, &shape)?;
        if let Some(trace) = trace {
            trace.reshaped(&output.value, &value)?;
        }
        Ok(vec![Tensor { value, mask: passes }])
    }

    fn backward(&self, mut back: Back<'_, T>, sums: Sums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x) = (back.of_output()?, back.input()?);
        let [batch, timesteps, ..] = x.shape() else { return Err(misfit()) };
        let rest = d.shape().get(2..).ok_or_else(misfit)?.to_vec();
        let d = reshaped_gradient(d, &[&[batch * timesteps], &rest[..]].concat())?;
        let record = back.record.inner.only();
        let inner = self.0.backward(Back { record, upstream: vec![Some(d)], wanted: back.wanted }, sums)?;
        let d = inner.into_iter().next().flatten();
        Ok(vec![d.map(|d| reshaped_gradient(d, x.shape())).transpose()?])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        debug_assert!(runs_anew(&*self.0), "what is inside takes steps by itself");
        let x = Tensor::unmasked(step.input(0).value());
        let call = Call {
            mask: None,
            passes: None,
            initial: vec![],
            states: &mut [],
            scratch: &mut Scratch::new(),
            trace: None,
            kept_state_wins: false,
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

    fn steps_alone(&self) -> bool {
        true
    }

    fn per_step(&self, features: usize) -> Option<Map<T>> {
        self.0.per_step(features)
    }

    fn role(&self) -> Role<'_, T> {
        Role::TimeDistributed(&*self.0)
    }

    fn model_mut(&mut self) -> Option<&mut Model<T>> {
        self.0.model_mut()
    }

    fn move_slots(&mut self, by: usize) {
        self.0.move_slots(by);
    }
}
