//! Another operation for each step.

use ndarray::{Axis, stack};

use super::shapes::{reshaped, reshaped_gradient};
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::Model;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Op, Operation, Role, Training, Which, misfit, mismatch};
use crate::graph::per_step::Map;
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tape::Record;
use crate::graph::tensor::{Mask, Tensor, Value};
use crate::graph::training::Differs;
use crate::precision::Precision;
use crate::runner::scratch::Scratch;
use crate::seeds::DropoutGenerator;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// The inner operation with time as more rows of the batch.
///
/// It reads the mask of each step, if it reads masks. The mask of the input goes on with the output; in Keras 2 the one
/// that the inner operation makes does, (batch, timesteps, ..), and if it makes none, whether anything in a step is
/// live.
#[derive(Debug, Clone)]
pub(crate) struct TimeDistributed<T: Float>(pub(crate) Op<T>);

/// Whether there is a layer over time inside, which runs over what is a sequence to it alone, from its beginning, in
/// each step of the outer one.
pub(in crate::graph) fn runs_anew<T: Float>(inner: &dyn Operation<T>) -> bool {
    match inner.role() {
        Role::Recurrent { .. } | Role::ConvLstm(_) => true,
        Role::TimeDistributed(inner) => runs_anew(inner),
        Role::Model(model) => model.parts.iter().filter_map(|part| part.op.as_ref()).any(|op| runs_anew(&**op)),
        _ => false,
    }
}

impl<T: Float> Operation<T> for TimeDistributed<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("TimeDistributed").with("layer", self.0.describe()?))
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

    fn spreads_mask(&self) -> bool {
        self.0.spreads_mask()
    }

    fn run(&self, inputs: &[&Tensor<T>], mut call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = &inputs[0].value;
        let [batch, timesteps, rest @ ..] = x.shape() else { return Err(misfit()) };
        let steps = [*batch, *timesteps];
        let mask = call.mask.take();
        let inner = mask.as_ref().map(|mask| mask_of_rows(mask, steps)).transpose()?;
        let trace = call.trace.take();
        let traced = trace.is_some();
        if traced && inner.is_some() && self.0.takes_mask() {
            return Err(cannot_stream("it reads a mask in each of its steps"));
        }
        if call.training.is_some() && self.0.trains_by_batch() {
            // Each step is a batch of its own in Keras's training.
            if call.keras_2 && mask.is_some() {
                let (expected, given) = ("none where Keras 3 trains it step by step".into(), "one".into());
                return Err(Error::TrainingOption { option: "the mask".into(), expected, given });
            }
            return self.run_by_step(x, mask.as_ref(), call);
        }
        if let Some(mask) = mask.filter(|_| !call.keras_2 && *timesteps > 1 && self.0.spreads_mask()) {
            return self.run_by_step(x, Some(&mask), call);
        }
        let rows = reshaped(x, &[&[batch * timesteps], rest].concat())?;
        let record = call.record.map(|record| record.inner.only());
        let (passes, keras_2) = (call.passes, call.keras_2);
        let mut trace = trace.filter(|_| !runs_anew(&*self.0));
        if let Some(trace) = trace.as_deref_mut() {
            trace.reshaped(x, &rows)?;
        }
        // A stream has no number for a mask of rows; where it would be read there is none.
        let inside = inner.clone().filter(|_| !traced);
        let call = Call {
            mask: inside.clone().filter(|_| self.0.takes_mask()),
            passes: inside.clone().filter(|_| keras_2),
            trace: trace.as_deref_mut(),
            record,
            ..call
        };
        let outputs = self.0.apply(&[&Tensor { value: rows, mask: inside }], call)?;
        let Some(output) = outputs.into_iter().next() else { return Err(misfit()) };
        if traced && keras_2 && inner.is_none() && output.mask.is_some() {
            return Err(cannot_stream("a mask is made in each of its steps"));
        }
        let in_steps = |shape: &[usize]| shape.get(1..).map(|rest| [&steps, rest].concat()).ok_or_else(misfit);
        let mask = match (keras_2, &output.mask) {
            // The mask that it was given: a stream knows it by its array.
            (true, Some(_)) if traced => passes,
            (true, Some(mask)) => Some(mask.reshaped(&in_steps(mask.shape())?)?),
            (true, None) => passes.map(|mask| mask.of_leading_axes(2)),
            (false, _) => passes,
        };
        let value = reshaped(&output.value, &in_steps(output.shape())?)?;
        if let Some(trace) = trace {
            trace.reshaped(&output.value, &value)?;
        }
        Ok(vec![Tensor { value, mask }])
    }

    fn backward(&self, mut back: Back<'_, T>, mut sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x) = (back.of_output()?, back.input()?);
        let [batch, timesteps, ..] = x.shape() else { return Err(misfit()) };
        let Back { record, wanted, .. } = back;
        if record.inner.records.len() > 1 {
            let mut steps = Vec::new();
            for (record, d) in record.inner.records.iter_mut().zip(d.axis_iter(Axis(1))) {
                let back = Back { record, upstream: vec![Some(d.to_owned())], wanted };
                steps.extend(self.0.backward(back, sums.all())?.into_iter().next().flatten());
            }
            // Each has one, or none has.
            let d: Vec<_> = steps.iter().map(|d| d.view()).collect();
            let whole = (d.len() == *timesteps).then(|| stack(Axis(1), &d).map_err(|_| misfit()));
            return Ok(vec![whole.transpose()?]);
        }
        let rest = d.shape().get(2..).ok_or_else(misfit)?.to_vec();
        let d = reshaped_gradient(d, &[&[batch * timesteps], &rest[..]].concat())?;
        let record = record.inner.only();
        let inner = self.0.backward(Back { record, upstream: vec![Some(d)], wanted }, sums)?;
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
            keras_2: false,
            record: None,
            training: None,
        };
        let outputs = self.run(&[&x], call)?;
        step.output().set(&outputs.first().ok_or_else(misfit)?.value)
    }

    fn differs_in_training(&self, trainable: bool) -> Option<Differs> {
        // How often these would move in inference isn't known without the number of steps.
        let mut drops = false;
        self.0.visit_generators(&mut |generator| drops |= generator.moves_in_inference());
        let (what, expected) = ("dropout", "0 in a recurrent layer inside a TimeDistributed that is trained");
        let drops = drops.then_some(Differs { what, expected, given: "more" });
        let (what, expected) = ("SpectralNormalization", "outside of a TimeDistributed in a model that is trained");
        let given = "inside one, where Keras normalizes the kernel anew for each step";
        let normalizes = self.0.has_normalized().map(|_| Differs { what, expected, given });
        drops.or(normalizes).or_else(|| self.0.differs_in_training(trainable))
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        self.0.visit_generators(show);
    }

    fn trains_by_batch(&self) -> bool {
        self.0.trains_by_batch()
    }

    /// That it isn't trained, [`differs_in_training`](Operation::differs_in_training) says.
    fn has_normalized(&self) -> Option<bool> {
        self.0.has_normalized()
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

    fn steps_alone(&self) -> bool {
        true
    }

    fn per_step(&self, features: usize) -> Option<Map<T>> {
        self.0.per_step(features)
    }

    fn quantize(&mut self, precision: Precision) -> Result<()> {
        self.0.quantize(precision)
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

impl<T: Float> TimeDistributed<T> {
    /// Step by step, as Keras 3 does it: so that a mask spreads over its own step, its first axis, the batch, over any
    /// other.
    fn run_by_step(&self, x: &Value<T>, mask: Option<&Mask>, call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let timesteps = x.shape().get(1).copied().unwrap_or(0);
        let Call { states, scratch, mut record, passes, mut training, .. } = call;
        if let Some(record) = record.as_deref_mut() {
            record.inner.make_room(timesteps);
        }
        let mut outputs = Vec::new();
        for time in 0..timesteps {
            let mask = mask.map(|mask| Mask::of(mask.index_axis(Axis(1), time).to_owned().into_shared()));
            let step = Tensor { value: x.step(time), mask: mask.clone() };
            let call = Call {
                mask: mask.filter(|_| self.0.takes_mask()),
                passes: None,
                initial: vec![],
                states: &mut *states,
                scratch: &mut *scratch,
                trace: None,
                keras_2: false,
                record: record.as_deref_mut().and_then(|record| record.inner.records.get_mut(time)),
                training: training.as_mut().map(Training::again),
            };
            outputs.push(self.0.apply(&[&step], call)?.into_iter().next().ok_or_else(misfit)?.value.floats());
        }
        let views: Vec<_> = outputs.iter().map(|output| output.view()).collect();
        let whole = stack(Axis(1), &views).map_err(|_| misfit())?;
        Ok(vec![Tensor { value: Value::Float(whole.into_shared()), mask: passes }])
    }
}

/// The call's layer is named further up.
fn cannot_stream(reason: &'static str) -> Error {
    Error::CannotStream { layer: String::new(), reason }
}

/// A mask of (batch, timesteps, ..) with time as more rows of the batch.
fn mask_of_rows(mask: &Mask, steps: [usize; 2]) -> Result<Mask> {
    match mask.shape() {
        [batch, timesteps, rest @ ..] if [*batch, *timesteps] == steps => {
            mask.reshaped(&[&[batch * timesteps], rest].concat())
        }
        other => Err(mismatch(format!("a mask of shape [{}, {}, ..]", steps[0], steps[1]), other)),
    }
}
