//! A model in training: dropout draws, BatchNormalization looks at the batch.
//!
//! ```text
//! model.normalize_kernels()                                of SpectralNormalization
//! outputs = model.record_training(inputs, tape, seeds)     draws masks, leaves the statistics of batches on the tape
//! model.backward(tape, d_outputs, gradients)
//! optimizer.step(model, gradients)
//! model.update_statistics(tape)                            moves those of inference towards them
//! ```
//!
//! The generators of all layers are one list, in the order of the layers; a run hands each layer its own.

pub(super) mod activity;
pub(super) mod kept;
mod normalized;

use std::ops::Range;

use ndarray::ArrayD;

use super::model_state::ModelState;
use super::operation::{Op, Role, Which};
use super::ops::noise::Dropout;
use super::tape::{Frame, Recording};
use super::tensor::{Input, Tensor};
use super::{Model, Part};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::runner::tape::Tape;
use crate::seeds::{DropoutGenerator, DropoutSeeds, check_generators};

/// What of an operation isn't in training what it is in Keras's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Differs {
    /// The option.
    pub(crate) what: &'static str,
    /// What it would have to be.
    pub(crate) expected: &'static str,
    /// What it is.
    pub(crate) given: &'static str,
}

impl Differs {
    fn of(self, layer: &str) -> Error {
        let Differs { what, expected, given } = self;
        Error::TrainingOption { option: format!("{what} of {layer}"), expected: expected.into(), given: given.into() }
    }
}

impl<T: Float> Model<T> {
    /// The dropout generators of the layers, as new, in the order of the layers: for
    /// [`record_training`](Model::record_training).
    pub fn seeds(&self) -> DropoutSeeds {
        let mut states = Vec::new();
        self.visit_generators(&mut |generator| states.push(generator));
        DropoutSeeds { states }
    }

    /// [`record`](Model::record) as in training, Keras's `model(x, training=True)` under a `tf.GradientTape`: dropout
    /// draws its masks from `seeds`, in recurrent layers and in [`ops::Dropout`](crate::ops::Dropout), and
    /// BatchNormalization takes the mean and the variance of the batch. The moving ones stay, until
    /// [`update_statistics`](Model::update_statistics).
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Conv1D, Dense, Gradients, Gru, Model, SeedSource, ops, training::*};
    /// let (mut seeds, mut graph) = (SeedSource::keras(7), Model::<f32>::builder("counts"));
    /// let x = graph.input("x", [None, Some(2)])?;
    /// let y = graph.call("conv", Conv1D::builder(2, 4, 3).seeds(&mut seeds).build()?, &[x])?;
    /// let y = graph.call("norm", ops::BatchNormalization::new(4)?.momentum(0.9), &y)?;
    /// let y = graph.call("drop", ops::Dropout::builder(0.2).seeds(&mut seeds).build()?, &y)?;
    /// let y = graph.call("gru", Gru::builder(4, 5).dropout(0.1).seeds(&mut seeds).build()?, &y)?;
    /// let y = graph.call("dense", Dense::builder(5, 1).seeds(&mut seeds).build()?, &y)?;
    /// let mut model = graph.build(&y)?;
    /// let x = Array3::from_shape_fn((6, 9, 2), |(b, t, f)| ((b + 2 * t + 3 * f) as f32).sin());
    /// let target = Array2::<f32>::ones((6, 1)).into_dyn();
    /// let (mut tape, mut gradients, mut optimizer) = (Tape::new(), Gradients::new(&model), Adam::new(1e-2));
    /// let mut masks = model.seeds();
    /// for _ in 0..3 {
    ///     let outputs = model.record_training(&[(&x).into()], &mut tape, &mut masks)?;
    ///     let (_, d_output) = Loss::MeanSquaredError.with_gradient(&outputs[0], &target)?;
    ///     gradients.clear();
    ///     model.backward(&mut tape, &[&d_output], &mut gradients)?;
    ///     optimizer.step(&mut model, &gradients)?;
    ///     model.update_statistics(&mut tape)?;
    /// }
    /// assert!(model.weight("norm/moving_mean")?.iter().all(|mean| *mean != 0.0));
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`record`](Model::record); [`Error::SeedsCount`], [`Error::SeedsLayer`] for the seeds of another model;
    /// [`Error::TrainingOption`] names a layer that would not train as in Keras, a SpectralNormalization without
    /// [`normalize_kernels`](Model::normalize_kernels), and a stateful layer: see
    /// [`record_training_stateful`](Model::record_training_stateful). The tape is empty then, and the seeds are as before.
    pub fn record_training(
        &self,
        inputs: &[Input<'_, T>],
        tape: &mut Tape<T>,
        seeds: &mut DropoutSeeds,
    ) -> Result<Vec<ArrayD<T>>> {
        tape.begin();
        if let Some(name) = self.stateful_layer() {
            let (what, expected) = ("stateful", "false in record_training");
            return Err(Differs { what, expected, given: "true: see record_training_stateful" }.of(name));
        }
        self.recorded_in_training(None, inputs, tape, seeds)
    }

    /// [`record_training`](Model::record_training) with the state of stateful layers kept in `state` from call to call,
    /// as [`record_stateful`](Model::record_stateful) keeps it.
    ///
    /// # Errors
    /// Those of [`record_training`](Model::record_training) and [`record_stateful`](Model::record_stateful); the tape is
    /// empty then, and state and seeds are as before.
    pub fn record_training_stateful(
        &self,
        state: &mut ModelState<T>,
        inputs: &[Input<'_, T>],
        tape: &mut Tape<T>,
        seeds: &mut DropoutSeeds,
    ) -> Result<Vec<ArrayD<T>>> {
        tape.begin();
        self.recorded_in_training(Some(state), inputs, tape, seeds)
    }

    fn recorded_in_training(
        &self,
        state: Option<&mut ModelState<T>>,
        inputs: &[Input<'_, T>],
        tape: &mut Tape<T>,
        seeds: &mut DropoutSeeds,
    ) -> Result<Vec<ArrayD<T>>> {
        self.trains_as_in_keras()?;
        self.check_normalized()?;
        let outputs = self.run_training(state, inputs, tape, seeds)?;
        Ok(outputs.iter().enumerate().map(|(place, output)| self.outward(place, &output.value)).collect())
    }

    /// The name of a stateful layer, of a model within too.
    fn stateful_layer(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| {
            let op = part.op.as_ref()?;
            match op.role() {
                Role::Recurrent { slot: Some(_), .. } => Some(&*part.name),
                _ => op.model()?.stateful_layer(),
            }
        })
    }

    /// A run in training, recorded. One that fails leaves the seeds as they were.
    pub(super) fn run_training(
        &self,
        state: Option<&mut ModelState<T>>,
        inputs: &[Input<'_, T>],
        tape: &mut Tape<T>,
        seeds: &mut DropoutSeeds,
    ) -> Result<Vec<Tensor<T>>> {
        self.can_train()?;
        self.check_seeds(seeds)?;
        let mut next = seeds.states.clone();
        let outputs = self.run_tensors(state, inputs, (Some(tape), Some(&mut next)), None)?;
        seeds.states.copy_from_slice(&next);
        Ok(outputs)
    }

    /// Moves the moving statistics of all BatchNormalization towards what the run on the tape has seen, by each layer's
    /// `momentum`: what Keras does within each training call. Once for each
    /// [`record_training`](Model::record_training), after [`backward`](Model::backward); the optimizer's step may come
    /// before or after. Without such a layer nothing changes.
    ///
    /// # Errors
    /// [`Error::TapeEmpty`] for a tape without a run, [`Error::TapeSpent`] if it was one of [`record`](Model::record) or
    /// its statistics are in already; [`Error::TapeLayer`], [`Error::TapeOptions`] for a run of another model, or of this
    /// one before [`set_trainable`](Model::set_trainable).
    pub fn update_statistics(&mut self, tape: &mut Tape<T>) -> Result<()> {
        tape.check_whose(self)?;
        let recording = Recording::on(tape);
        if !std::mem::take(&mut recording.moves) {
            return Err(Error::TapeSpent);
        }
        self.move_by(&recording.frame);
        Ok(())
    }

    /// The same for a model within.
    pub(super) fn move_by(&mut self, frame: &Frame<T>) {
        if !self.parts.iter().filter_map(|part| part.op.as_ref()).any(|op| op.trains_by_batch()) {
            return;
        }
        self.stamp.renew();
        for (call, record) in self.calls.iter().zip(&frame.records) {
            if let Some(op) = &mut self.parts[call.part].op {
                op.move_statistics(record);
            }
        }
    }

    /// The generators, each with the number of its calls in one run.
    pub(super) fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        let mut calls = vec![0; self.parts.len()];
        self.calls.iter().for_each(|call| calls[call.part] += 1);
        for (part, calls) in self.parts.iter().zip(calls) {
            if let Some(op) = &part.op {
                op.visit_generators(&mut |generator| show(generator.called(calls)));
            }
        }
    }

    /// Of each part, which of the generators are its own.
    pub(super) fn places_of_generators(&self) -> Vec<Range<usize>> {
        let mut end = 0;
        let of_part = |part: &Part<T>| {
            let start = end;
            if let Some(op) = &part.op {
                op.visit_generators(&mut |_| end += 1);
            }
            start..end
        };
        self.parts.iter().map(of_part).collect()
    }

    pub(super) fn check_seeds(&self, seeds: &DropoutSeeds) -> Result<()> {
        check_generators(&seeds.states, |show| self.visit_generators(show))
    }

    /// Checks that training does with all layers what Keras does.
    pub(super) fn trains_as_in_keras(&self) -> Result<()> {
        for (place, part) in self.parts.iter().enumerate() {
            let Some(op) = &part.op else { continue };
            if let Role::Recurrent { layer, .. } = op.role() {
                layer.trains_as_in_keras().map_err(|error| error.in_layer(&part.name))?;
            }
            if let Some(inner) = op.model() {
                inner.trains_as_in_keras().map_err(|error| error.in_layer(&part.name))?;
            }
            let differs = op.differs_in_training(part.is_among(Which::Trained));
            let differs = differs.or_else(|| self.normalizes_once(place, part));
            if let Some(differs) = differs.or_else(|| lost(part, op)).or_else(|| kept::differs(part)) {
                return Err(differs.of(&part.name));
            }
        }
        Ok(())
    }
}

/// What has the name of a layer of noise and draws none: files of our own said so before such layers did.
fn lost<T: Float>(part: &Part<T>, op: &Op<T>) -> Option<Differs> {
    let named = Dropout::CLASSES.contains(&&*part.class);
    let lost = named && op.describe().is_ok_and(|config| config.class == "Identity");
    lost.then_some(Differs { what: "rate", expected: "known", given: "unknown: make the model anew" })
}
