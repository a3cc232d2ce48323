//! The backward pass through a model: its calls from the last to the first.
//!
//! ```text
//! for call in calls.rev():  d_outputs = what has come to its outputs
//!                           d_inputs, d_states, d_weights = the operation's backward pass (d_outputs)
//!                           d of each tensor that it read += d_inputs, d_states
//! ```
//!
//! Each operation goes back by itself: see [`ops`](super::ops). A gradient that isn't there is zero, and nothing is
//! computed for it.

use ndarray::{ArrayD, ArrayRefD, Axis};

use super::gradients::GradientSums;
use super::model_state::ModelState;
use super::operation::{Back, Flow};
use super::ops::shapes::reshaped_gradient;
use super::tape::{Frame, Recording};
use super::tensor::Input;
use super::{CallSpec, InputKind, InputSpec, Model};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::Gradients;
use crate::runner::tape::Tape;

impl<T: Float> Model<T> {
    /// [`predict`](Model::predict), recorded for [`backward`](Model::backward). What the tape held before is forgotten.
    ///
    /// The model runs as in inference: dropout is off, and BatchNormalization takes its moving statistics and leaves them
    /// (Keras's `model(x, training=False)` under a `tf.GradientTape`). [`record_training`](Model::record_training) runs
    /// it as in training.
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Dense, Embedding, Gradients, Lstm, Sequential, training::*};
    /// let mut model = Sequential::<f32>::builder("score")
    ///     .layer(Embedding::new(10, 3))
    ///     .layer(Lstm::new(3, 4))
    ///     .layer(Dense::new(4, 1))
    ///     .build()?;
    /// let (ids, target) = (array![[3, 1, 4], [1, 5, 0]], Array2::<f32>::zeros((2, 1)).into_dyn());
    /// let (mut tape, mut gradients, mut optimizer) = (Tape::new(), Gradients::new(&model), Adam::new(1e-3));
    /// for _ in 0..10 {
    ///     let outputs = model.record(&[(&ids).into()], &mut tape)?;
    ///     let (loss, d_output) = Loss::MeanSquaredError.with_gradient(&outputs[0], &target)?;
    ///     gradients.clear();
    ///     model.backward(&mut tape, &[&d_output], &mut gradients)?;
    ///     optimizer.step(&mut model, &gradients)?;
    ///     println!("{loss}: {}", gradients.get("lstm/kernel")?);
    /// }
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`predict`](Model::predict), and [`Error::InLayer`] for a layer that can't be trained. The tape is
    /// empty then.
    pub fn record(&self, inputs: &[Input<'_, T>], tape: &mut Tape<T>) -> Result<Vec<ArrayD<T>>> {
        tape.begin();
        self.can_train()?;
        self.run(None, inputs, Some(tape), None)
    }

    /// [`record`](Model::record) with the state of stateful layers kept in `state` from call to call. No gradient flows
    /// back through a state that was kept, as in Keras: not into earlier runs, and not from one call of a shared
    /// stateful layer into its call before.
    ///
    /// # Errors
    /// Those of [`record`](Model::record), [`Error::StateBatch`] for another number of rows than the state's,
    /// [`Error::StateLayout`] for another model's state; the state is as before then, and the tape
    /// is empty.
    pub fn record_stateful(
        &self,
        state: &mut ModelState<T>,
        inputs: &[Input<'_, T>],
        tape: &mut Tape<T>,
    ) -> Result<Vec<ArrayD<T>>> {
        tape.begin();
        self.can_train()?;
        self.run(Some(state), inputs, Some(tape), None)
    }

    /// The backward pass through a recorded run: from the gradient of each output, in the outputs' order and shapes, to
    /// those of the weights, which are added to `gradients`, and of the inputs, which replace what `gradients` held. An
    /// output that the loss doesn't read gets zeros. The tape is spent then; between the two neither the weights nor
    /// what is trained may change.
    ///
    /// # Errors
    /// [`Error::TapeEmpty`], [`Error::TapeSpent`] for a tape that holds no run to go back through;
    /// [`Error::TapeLayer`],
    /// [`Error::TapeOptions`], [`Error::TapeStale`] for one that holds a run of another model, or of this one before
    /// [`set_trainable`](Model::set_trainable) or with other weights; [`Error::GradientsLayer`] for another model's
    /// gradients; [`Error::ModelOutputs`], [`Error::ModelOutput`] for gradients of other outputs. `gradients` are as
    /// before then, and the tape is still good.
    pub fn backward(&self, tape: &mut Tape<T>, upstream: &[&ArrayRefD<T>], gradients: &mut Gradients<T>) -> Result<()> {
        tape.check(self)?;
        if !gradients.fit(self) {
            return Err(Error::GradientsLayer);
        }
        let Recording { frame, outputs, sums, .. } = Recording::on(tape);
        if upstream.len() != outputs.len() {
            return Err(Error::ModelOutputs { expected: outputs.len(), given: upstream.len() });
        }
        let outside = |place: usize| self.outside.get(place).and_then(Option::as_ref);
        for (place, (upstream, shape)) in upstream.iter().zip(&*outputs).enumerate() {
            let outward = outside(place).map(|outside| outside.shape_outward(shape));
            let shape = outward.as_ref().unwrap_or(shape);
            if upstream.shape() != shape {
                let output = self.outputs().nth(place).map_or("", |(name, _)| name).into();
                let (expected, given) = (shape.clone(), upstream.shape().to_vec());
                return Err(Error::ModelOutput { place, output, expected, given });
            }
        }
        // What fails in the middle has added nothing yet.
        let mut own = sums.take().filter(|sums| sums.fit(self)).unwrap_or_else(|| Gradients::new(self));
        own.clear();
        let inward = |(place, &upstream): (usize, &&ArrayRefD<T>)| {
            let own = upstream.as_standard_layout().into_owned();
            Some(match outside(place) {
                Some(outside) => outside.gradient_inward(own),
                None => own,
            })
        };
        let upstream = upstream.iter().enumerate().map(inward).collect();
        let wanted = gradients.wanted_inputs();
        let inputs = self.go_back(frame, upstream, &wanted, GradientSums::of(&mut own));
        let shapes = std::mem::take(&mut frame.inputs);
        frame.forget();
        let inputs = inputs.inspect(|_| gradients.add(&own));
        *sums = Some(own);
        tape.spend();
        for (place, (new, shape)) in inputs?.into_iter().zip(shapes).enumerate() {
            if wanted[place] {
                let new = new.unwrap_or_else(|| ArrayD::zeros(shape));
                let outside = self.inputs[place].outside.as_ref();
                gradients.set_input(
                    place,
                    match outside {
                        Some(outside) => outside.outward(new),
                        None => new,
                    },
                );
            }
        }
        Ok(())
    }

    /// The gradients of those inputs that are wanted.
    pub(super) fn go_back(
        &self,
        frame: &mut Frame<T>,
        upstream: Vec<Flow<T>>,
        wanted: &[bool],
        mut sums: GradientSums<'_, T>,
    ) -> Result<Vec<Flow<T>>> {
        // Of each part, where its weights begin and how many are trained.
        let mut end = 0;
        let mut places = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let start = end;
            end += part.trained_weights();
            places.push((start, end - start));
        }
        let wanted = self.leading_back(wanted, &places);
        let mut flows: Vec<Flow<T>> = vec![None; self.tensors.len()];
        for (&output, upstream) in self.outputs.iter().zip(upstream) {
            join(&mut flows[output], upstream);
        }
        for (call, record) in self.calls.iter().zip(&mut frame.records).rev() {
            let (name, op) = self.called(call)?;
            let mut upstream: Vec<Flow<T>> = call.outputs.iter().map(|&output| flows[output].take()).collect();
            record.join_activity(&mut upstream);
            let leads = call.outputs.iter().any(|&output| wanted[output]);
            if !leads || upstream.iter().all(Option::is_none) {
                continue;
            }
            let read = || call.inputs.iter().chain(&call.initial_state).copied();
            let wants: Vec<bool> = read().map(|tensor| wanted[tensor]).collect();
            let (start, count) = places[call.part];
            let back = op.backward(Back { record, upstream, wanted: &wants }, sums.part(start, count));
            for (tensor, flow) in read().zip(back.map_err(|error| error.in_layer(name))?) {
                if wanted[tensor] {
                    join(&mut flows[tensor], flow);
                }
            }
        }
        let shapes = self.inputs.iter().zip(&frame.inputs);
        flows.into_iter().zip(shapes).map(|(flow, (spec, shape))| spec.go_back(flow, shape)).collect()
    }

    /// The tensors from which there is a way to a weight that is trained or to an input that is wanted.
    fn leading_back(&self, inputs: &[bool], places: &[(usize, usize)]) -> Vec<bool> {
        let mut leading = vec![false; self.tensors.len()];
        leading.iter_mut().zip(inputs).for_each(|(leading, &input)| *leading = input);
        for CallSpec { part, inputs, initial_state, outputs, .. } in &self.calls {
            let leads = places[*part].1 > 0 || inputs.iter().chain(initial_state).any(|&tensor| leading[tensor]);
            outputs.iter().for_each(|&output| leading[output] = leads);
        }
        leading
    }

    pub(super) fn can_train(&self) -> Result<()> {
        let mut parts = self.parts.iter().filter_map(|part| Some((part, part.op.as_ref()?)));
        parts.try_for_each(|(part, op)| op.can_train().map_err(|error| error.in_layer(&part.name)))
    }
}

impl InputSpec {
    /// The backward pass through [`convert`](InputSpec::convert): the gradient of what was given.
    fn go_back<T: Float>(&self, flow: Flow<T>, shape: &[usize]) -> Result<Flow<T>> {
        let (Some(mut d), InputKind::Float { through_f32 }) = (flow, self.kind) else { return Ok(None) };
        if through_f32 {
            // Keras casts it as it casts the input.
            d.mapv_inplace(|d| T::from_f64((d.into_f64() as f32).into()));
        }
        reshaped_gradient(d, shape).map(Some)
    }
}

/// Adds what comes to what has come.
pub(super) fn join<T: Float>(sum: &mut Flow<T>, flow: Flow<T>) {
    match (&mut *sum, flow) {
        (Some(sum), Some(flow)) => *sum += &flow,
        (None, flow) => *sum = flow,
        (Some(_), None) => {}
    }
}

/// The gradient of an array of this shape that was spread to the gradient's: the sum over the axes along which it was.
pub(super) fn summed_to<T: Float>(mut d: ArrayD<T>, shape: &[usize]) -> ArrayD<T> {
    for (axis, &size) in shape.iter().enumerate() {
        if size == 1 && d.shape().get(axis).is_some_and(|&wide| wide != 1) {
            d = d.sum_axis(Axis(axis)).insert_axis(Axis(axis));
        }
    }
    d
}
