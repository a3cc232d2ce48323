//! Attention over the steps of a sequence: Keras's `Attention` and `AdditiveAttention`.
//!
//! ```text
//! score[i][j]  = scale (query[i] . key[j])                                  dot
//!                concat sum(tanh(scale (query[i] + key[j])))                concat
//!                sum(scale tanh(query[i] + key[j]))                         additive
//! weights[i]   = softmax(score[i]), masked steps of the value less 10^9; in training some are dropped
//! result[i]    = sum of weights[i][j] value[j]; zero where the query is masked
//! ```

mod backward;
mod forward;

use ndarray::ArrayD;

use self::forward::{Given, Sizes};
use super::noise::Dropout;
use super::places::{Read, in_order};
use crate::buffers::take;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Which, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape, fit};
use crate::graph::stream::{MaskBuffer, Step, Work};
use crate::graph::tape::Record;
use crate::graph::tensor::{Mask, Tensor, Value};
use crate::graph::training::Differs;
use crate::memory::MemoryNeeds;
use crate::seeds::DropoutGenerator;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// Attention of a query to the steps of a value, by its keys.
#[derive(Debug, Clone)]
pub(crate) struct Attention<T> {
    pub(crate) score: Score,
    /// One number, of an additive score one for each feature.
    pub(crate) scale: Option<ArrayD<T>>,
    /// One number, of a concat score.
    pub(crate) concat: Option<ArrayD<T>>,
    /// Whether a step of the query sees no later step of the value.
    pub(crate) causal: bool,
    /// Whether the weights are a second result.
    pub(crate) returns_scores: bool,
    /// Of the weights, in training.
    pub(crate) dropout: Option<Dropout>,
}

/// How a score is made of a query and a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Score {
    Dot,
    Concat,
    Additive,
}

impl Score {
    /// All by name.
    pub(crate) const NAMES: [(&'static str, Score); 3] =
        [("dot", Score::Dot), ("concat", Score::Concat), ("additive", Score::Additive)];
}

impl<T: Float> Attention<T> {
    fn weights(&self) -> impl Iterator<Item = (&'static str, &ArrayD<T>)> {
        let all = [("scale", &self.scale), ("concat_score_weight", &self.concat)];
        all.into_iter().filter_map(|(name, weight)| Some((name, weight.as_ref()?)))
    }

    /// The weights' elements: of the scale, and what a concat score is multiplied by.
    fn numbers(&self) -> Result<(Option<&[T]>, T)> {
        let scale = self.scale.as_ref().map(|scale| scale.as_slice().ok_or_else(misfit)).transpose()?;
        let concat = self.concat.as_ref().and_then(|weight| weight.first().copied());
        Ok((scale, concat.unwrap_or(T::one())))
    }

    /// What is read: floats in row order, and the flags of masks that fit.
    fn given<'r>(
        &self,
        reads: [Read<'r, T>; 3],
        masks: [Option<(&'r [usize], &'r [bool])>; 2],
    ) -> Result<Given<'r, T>> {
        let [query, value, key] = reads;
        let (&[batch, queries, width], &[_, keys, values]) = (query.shape, value.shape) else { return Err(misfit()) };
        let flags = |mask: Option<(&'r [usize], &'r [bool])>, steps: usize| match mask {
            Some((shape, _)) if shape != [batch, steps] => {
                Err(mismatch(format!("a mask of shape [{batch}, {steps}]"), shape))
            }
            mask => Ok(mask.map(|(_, flags)| flags)),
        };
        let sizes = Sizes { batch, queries, keys, width, values };
        let (query_mask, value_mask) = (flags(masks[0], queries)?, flags(masks[1], keys)?);
        Ok(Given { sizes, query, key, value, query_mask, value_mask })
    }
}

/// The places of the query, the value and the key among the inputs.
fn places(inputs: usize) -> [usize; 3] {
    [0, 1, if inputs > 2 { 2 } else { 1 }]
}

pub(super) fn flags_of(mask: &Option<Mask>) -> Option<ArrayD<bool>> {
    mask.as_ref().map(|mask| mask.flags().as_standard_layout().into_owned())
}

pub(super) fn with_shape(mask: &Option<ArrayD<bool>>) -> Option<(&[usize], &[bool])> {
    mask.as_ref().and_then(|mask| Some((mask.shape(), mask.as_slice()?)))
}

/// What the weights of a call in training are multiplied by: nothing in all others. It is left on the tape, or in `own`.
pub(super) fn dropped<'r, T: Float>(
    dropout: Option<&Dropout>,
    len: usize,
    call: &'r mut Call<'_, T>,
    own: &'r mut Vec<T>,
) -> Result<&'r [T]> {
    let (Some(dropout), Some(training)) = (dropout, &mut call.training) else { return Ok(&[]) };
    let kept = call.record.as_mut().map_or(own, |record| &mut record.kept);
    dropout.factors(len, training.generators, kept)?;
    Ok(kept)
}

/// The same on the way back.
pub(super) fn factors_of<T>(record: &Record<T>) -> &[T] {
    if record.trained { &record.kept } else { &[] }
}

impl<T: Float> Operation<T> for Attention<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let score = Score::NAMES.iter().find(|(_, score)| *score == self.score).map_or("", |(name, _)| *name);
        let config = Config::new("Attention").with("score", score);
        let shape = self.scale.as_ref().map(|scale| scale.shape().to_vec());
        let config = config.with("scale", shape).with("causal", self.causal);
        let config = config.with("returns_scores", self.returns_scores);
        let dropout = self.dropout.as_ref();
        let config = config.with_if("dropout", dropout.map(|dropout| dropout.rate));
        Ok(config.with_if("seed", dropout.and_then(|dropout| dropout.seed)))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let refuse = || shape::misfit("a query, a value and perhaps a key, (batch, timesteps, features)", inputs);
        if !(2..=3).contains(&inputs.len()) || inputs.iter().any(|input| input.len() != 3) {
            return refuse();
        }
        let [query, value, key] = places(inputs.len()).map(|place| &inputs[place]);
        let wide = match &self.scale {
            Some(scale) if scale.ndim() == 1 => query[2].is_none_or(|width| width == scale.len()),
            _ => true,
        };
        let batch = fit(query[0], value[0]) && fit(value[0], key[0]);
        if !batch || !fit(value[1], key[1]) || !fit(query[2], key[2]) || !wide {
            return refuse();
        }
        let batch = query[0].or(value[0]);
        let mut shapes = vec![vec![batch, query[1], value[2]]];
        if self.returns_scores {
            shapes.push(vec![batch, query[1], key[1]]);
        }
        Ok(shapes)
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn run(&self, inputs: &[&Tensor<T>], mut call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let values: Vec<Value<T>> = inputs.iter().map(|input| in_order(&input.value)).collect();
        let reads = places(inputs.len()).map(|place| Read::value(&values[place]));
        let [query, value, key] = reads;
        let masks = [flags_of(&inputs[0].mask), flags_of(&inputs[1].mask)];
        let given = self.given([query?, value?, key?], [with_shape(&masks[0]), with_shape(&masks[1])])?;
        let Sizes { batch, queries, keys, values, .. } = given.sizes;
        let mut needs = MemoryNeeds::default();
        needs.array::<T>(&[batch, queries, values]);
        needs.array::<T>(&[batch, queries, keys]);
        needs.check(&[batch, queries, keys])?;
        let mut result = ArrayD::zeros(vec![batch, queries, values]);
        let mut scores = ArrayD::zeros(vec![batch, queries, keys]);
        let to = (result.as_slice_mut().ok_or_else(misfit)?, scores.as_slice_mut().ok_or_else(misfit)?);
        let mut own = Vec::new();
        let factors = dropped(self.dropout.as_ref(), batch * queries * keys, &mut call, &mut own)?;
        self.attend(&given, to.0, to.1, factors, &mut Vec::new())?;
        let mut outputs = call.passing(Value::Float(result.into_shared()))?;
        if self.returns_scores {
            outputs.push(Tensor::float(scores));
        }
        Ok(outputs)
    }

    fn backward(&self, back: Back<'_, T>, sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let record = &*back.record;
        let count = record.inputs.len();
        let values: Vec<Value<T>> = record.inputs.iter().map(in_order).collect();
        let [query, value, key] = places(count).map(|place| Read::value(&values[place]));
        let masks = [0, 1].map(|at| record.masks.get(at).and_then(flags_of));
        let given = self.given([query?, value?, key?], [with_shape(&masks[0]), with_shape(&masks[1])])?;
        let [d_query, d_value, d_key] = self.go_back(&given, &back.upstream, factors_of(record), sums)?;
        let mut flows = match count {
            2 => vec![d_query, d_value + d_key],
            _ => vec![d_query, d_value, d_key],
        };
        let floats = values.iter().map(|value| matches!(value, Value::Float(_)));
        Ok(flows.drain(..).zip(floats).map(|(d, is_float)| is_float.then_some(d)).collect())
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let count = step.inputs().len();
        let [query, value, key] = places(count).map(|place| Read::buffer(step.input(place)));
        let mut masks = step.inputs().map(|(_, mask)| mask);
        let mut next = || -> Option<(&[usize], &[bool])> {
            let MaskBuffer { flags, .. } = masks.next().flatten()?;
            Some((flags.shape(), flags.as_slice()?))
        };
        let masks = [next(), next()];
        let given = self.given([query?, value?, key?], masks)?;
        let Step { outputs, work: Work { floats, more, .. }, .. } = &mut step;
        let Sizes { batch, queries, keys, .. } = given.sizes;
        match &mut outputs[..] {
            [result, scores] => self.attend(&given, result.as_floats()?, scores.as_floats()?, &[], floats),
            [result] => self.attend(&given, result.as_floats()?, take(more, batch * queries * keys), &[], floats),
            _ => Err(misfit()),
        }
    }

    fn differs_in_training(&self, _trainable: bool) -> Option<Differs> {
        self.dropout.as_ref().and_then(Dropout::unknown)
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        self.dropout.iter().for_each(|dropout| dropout.show_generator(show));
    }

    fn trains_by_batch(&self) -> bool {
        self.dropout.is_some()
    }

    fn visit_weights<'a>(&'a self, _which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.weights().for_each(|(name, weight)| visitor.weight(name, weight));
    }

    fn visit_weights_mut(&mut self, _which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        for (name, weight) in [("scale", &mut self.scale), ("concat_score_weight", &mut self.concat)] {
            if let Some(weight) = weight {
                visitor.weight(name, weight);
            }
        }
        Ok(())
    }
}
