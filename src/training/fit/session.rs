//! One batch: forward, loss, backward, update. All memory is reused from batch to batch.

use ndarray::{ArrayD, IxDyn};

use super::batches::{Batches, Inputs};
use super::class_weights::ClassWeights;
use super::meters::Meters;
use crate::error::{Error, Result, words::number};
use crate::float::Float;
use crate::gradients::Gradients;
use crate::graph::pass::{BatchOutputs, Pass};
use crate::graph::{ModelState, Network};
use crate::parameters::Parameters;
use crate::runner::tape::Tape;
use crate::seeds::DropoutSeeds;
use crate::training::loss::{LossFunction, Target, Weighting, Work};
use crate::training::optimizers::Optimizer;
use crate::training::weight_rules::WeightRules;
use crate::weights::WeightVisitor;

/// The loss of an output and what it counts in the whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutputLoss {
    pub(super) loss: LossFunction,
    pub(super) weight: f64,
}

/// What a training run keeps from batch to batch.
pub(super) struct Session<T: Float> {
    pub(super) losses: Vec<OutputLoss>,
    pub(super) class_weights: ClassWeights<T>,
    rules: WeightRules,
    /// What the optimizer divides gradients by.
    scale: f64,
    pub(super) terminate_on_nan: bool,
    /// Updates so far.
    pub(super) updates: u64,
    /// The epoch, from 1.
    pub(super) epoch: usize,
    tape: Tape<T>,
    gradients: Gradients<T>,
    outputs: BatchOutputs<T>,
    /// Where stateful layers have come to.
    pub(super) states: Option<ModelState<T>>,
    d_outputs: Vec<ArrayD<T>>,
    work: Work<T>,
}

impl<T: Float> Session<T> {
    pub(super) fn new<N: Network<T>>(network: &N, losses: Vec<OutputLoss>, class_weights: ClassWeights<T>) -> Self {
        Session {
            losses,
            class_weights,
            rules: WeightRules::new(),
            scale: 1.0,
            terminate_on_nan: true,
            updates: 0,
            epoch: 0,
            tape: Tape::new(),
            gradients: Gradients::new(network).without_input(),
            outputs: BatchOutputs::new(),
            states: None,
            d_outputs: Vec::new(),
            work: Work::default(),
        }
    }

    /// With regularizers and constraints.
    pub(super) fn with_rules(mut self, rules: &WeightRules) -> Self {
        self.tape = std::mem::take(&mut self.tape).keep_outputs(rules.regularizes_activity());
        self.rules = rules.clone();
        self
    }

    /// One update by the batch that is there; returns its loss, before the update.
    pub(super) fn train<N: Network<T>>(
        &mut self,
        network: &mut N,
        optimizer: &mut impl Optimizer<T>,
        batches: &mut dyn Batches<T>,
        rows: usize,
        seeds: &mut DropoutSeeds,
        meters: &mut Meters<T>,
    ) -> Result<f64> {
        network.normalize_kernels()?;
        let Session { tape, outputs, states, .. } = self;
        batches.inputs(&mut |Inputs { inputs, mask, lengths }| {
            network.pass(Pass { inputs, mask, lengths, tape: Some(tape), seeds: Some(seeds), states }, outputs)
        })?;
        self.scale = optimizer.loss_scale_factor().unwrap_or(1.0);
        if self.scale != 1.0 && !self.rules.is_empty() {
            let (expected, given) = ("left out where weights are regularized".into(), number(self.scale));
            return Err(Error::TrainingOption { option: "loss_scale_factor".into(), expected, given });
        }
        let loss = self.measure(batches, true, meters)?;
        if self.terminate_on_nan && !loss.is_finite() {
            return Err(self.not_finite(what_is_not_finite(network)));
        }
        self.gradients.clear();
        let activity = self.activity(network)?;
        match &*self.d_outputs {
            [one] => network.backpropagate(&mut self.tape, &[one], &mut self.gradients)?,
            many => {
                let many: Vec<_> = many.iter().map(|d| &**d).collect();
                network.backpropagate(&mut self.tape, &many, &mut self.gradients)?;
            }
        }
        let loss = loss + activity + self.penalty(network)?;
        if self.terminate_on_nan && !loss.is_finite() {
            return Err(self.not_finite("the penalty of a regularizer".into()));
        }
        meters.add_loss(loss, rows);
        if self.terminate_on_nan {
            let odd = |gradient: &ArrayD<T>| gradient.iter().any(|g| !g.is_finite());
            if let Some(place) = self.gradients.weights.iter().position(odd) {
                let what = format!("the gradient of {}", self.gradients.names[place]);
                return Err(self.not_finite(what));
            }
        }
        optimizer.step(network, &self.gradients)?;
        if !self.rules.is_empty() {
            self.rules.constrain(network)?;
        }
        network.update_statistics(&mut self.tape)?;
        self.updates += 1;
        Ok(loss)
    }

    /// An epoch over the data that is only looked at. The seeds move as those of Keras's layers do then.
    pub(super) fn validate_all<N: Network<T>>(
        &mut self,
        network: &N,
        batches: &mut dyn Batches<T>,
        meters: &mut Meters<T>,
        seeds: &mut DropoutSeeds,
    ) -> Result<()> {
        meters.reset();
        batches.begin(0);
        while let Some(rows) = batches.next() {
            self.validate(network, batches, rows, meters)?;
            seeds.skip_inference();
        }
        Ok(())
    }

    /// The loss of the batch that is there, as in inference.
    fn validate<N: Network<T>>(
        &mut self,
        network: &N,
        batches: &mut dyn Batches<T>,
        rows: usize,
        meters: &mut Meters<T>,
    ) -> Result<()> {
        let Session { tape, outputs, states, rules, .. } = self;
        let records = rules.regularizes_activity();
        batches.inputs(&mut |Inputs { inputs, mask, lengths }| {
            let tape = if records { Some(&mut *tape) } else { None };
            network.pass(Pass { inputs, mask, lengths, tape, seeds: None, states }, outputs)
        })?;
        let loss = self.measure(batches, false, meters)?;
        self.gradients.clear();
        let loss = loss + self.activity(network)? + self.penalty(network)?;
        meters.add_loss(loss, rows);
        Ok(())
    }

    /// The penalties of activity regularizers, whose gradients the backward pass adds.
    fn activity<N: Network<T>>(&mut self, network: &N) -> Result<f64> {
        if !self.rules.regularizes_activity() {
            return Ok(0.0);
        }
        Ok(self.rules.add_activity(network, &mut self.tape)?.into_f64())
    }

    /// The penalties of the weights' regularizers, whose gradients are added.
    fn penalty<N: Network<T>>(&mut self, network: &N) -> Result<f64> {
        if self.rules.is_empty() {
            return Ok(0.0);
        }
        Ok(self.rules.regularize(network, &mut self.gradients)?.into_f64())
    }

    /// The loss, its gradients by the outputs, and the metrics. Classes have weights in training alone, as in Keras.
    fn measure(&mut self, batches: &mut dyn Batches<T>, training: bool, meters: &mut Meters<T>) -> Result<f64> {
        let Session { losses, class_weights, outputs, d_outputs, work, scale, .. } = self;
        let scale = *scale;
        let BatchOutputs { arrays, masks, .. } = outputs;
        d_outputs.resize_with(arrays.len(), || ArrayD::zeros(IxDyn(&[0])));
        let mut sum = 0.0;
        batches.targets(arrays, &mut |targets: &[Target<'_, T>], sample_weight| {
            if targets.len() != arrays.len() {
                return Err(Error::ModelOutputs { expected: arrays.len(), given: targets.len() });
            }
            for (place, (prediction, target)) in arrays.iter().zip(targets).enumerate() {
                let OutputLoss { loss, weight } = losses[place];
                let by_class = if training { class_weights.of(&loss, prediction, target)? } else { None };
                let weighting = Weighting {
                    mask: masks[place].as_ref().map(Target::from),
                    sample_weight: sample_weight.map(Target::view).or(by_class),
                };
                let value = loss.gradient_in(prediction, target, &weighting, &mut d_outputs[place], work)?.into_f64();
                let factor = if training { weight * scale } else { weight };
                if factor != 1.0 {
                    let factor = T::from_f64(factor);
                    d_outputs[place].mapv_inplace(|d| d * factor);
                }
                sum += value * weight;
                meters.add_output(place, value);
                meters.add_metrics(place, prediction, target, &weighting)?;
            }
            Ok(())
        })?;
        Ok(sum)
    }

    #[cold]
    fn not_finite(&self, what: String) -> Error {
        Error::NotFinite { what, update: self.updates + 1, epoch: self.epoch }
    }
}

/// A weight that isn't finite, or else the loss.
#[cold]
fn what_is_not_finite<T: Float>(network: &impl Parameters<T>) -> String {
    let mut found = None;
    network.visit_weights(&mut WeightVisitor::new(&mut |path, weight| {
        if found.is_none() && weight.iter().any(|w: &T| !w.is_finite()) {
            found = Some(format!("the weight {path}"));
        }
    }));
    found.unwrap_or_else(|| "the loss".into())
}
