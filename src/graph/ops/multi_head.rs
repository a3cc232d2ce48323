//! Attention of several heads, with dense layers before and behind: Keras's `MultiHeadAttention` and
//! `GroupQueryAttention`.
//!
//! ```text
//! q, k, v      = dense layers of the query, the key, the value, in heads
//! score[i][j]  = q[i] . k[j] / sqrt(width of k)
//! weights[i]   = softmax(score[i]) over the steps that step i may see; in training some are dropped for the result
//! result[i]    = sum of weights[i][j] v[j], times sigmoid(a dense layer of the query) if it is gated
//! output       = a dense layer of the results of all heads
//! ```
//!
//! In groups, several heads of the query share one of the key and the value.

mod backward;
mod forward;
mod options;

use ndarray::ArrayD;

use self::forward::{Given, Masks, Sizes};
use super::attention::{dropped, factors_of, flags_of, with_shape};
use super::einsum_dense::EinsumDense;
use super::noise::Dropout;
use super::places::{Read, in_order};
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Which, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape, fit};
use crate::graph::stream::{MaskBuffer, Step, Work};
use crate::graph::tensor::{Tensor, Value};
use crate::graph::training::Differs;
use crate::memory::MemoryNeeds;
use crate::seeds::DropoutGenerator;
use crate::weights::{WeightVisitor, WeightVisitorMut};

pub(crate) use self::options::{Heads, PROJECTIONS};

/// Attention of several heads.
#[derive(Debug, Clone)]
pub(crate) struct MultiHead<T: Float> {
    /// Of the query, the key, the gate, the value and the output.
    projections: [Option<EinsumDense<T>>; 5],
    heads: Heads,
}

/// What becomes of steps that a step of the query doesn't see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hides {
    /// Their scores are the smallest number: of nothing but those, all weights are the same.
    Smallest,
    /// The same, and their weights are zero.
    Zero,
    /// Keras 2: their scores are less 10^9.
    Less,
}

impl Hides {
    /// All by name.
    pub(crate) const NAMES: [(&'static str, Hides); 3] =
        [("smallest", Hides::Smallest), ("zero", Hides::Zero), ("less", Hides::Less)];
}

/// Places of projections.
const QUERY: usize = 0;
const KEY: usize = 1;
const GATE: usize = 2;
const VALUE: usize = 3;
const OUTPUT: usize = 4;

impl<T: Float> MultiHead<T> {
    fn projection(&self, place: usize) -> Result<&EinsumDense<T>> {
        self.projections[place].as_ref().ok_or_else(misfit)
    }

    fn each(&self) -> impl Iterator<Item = (&'static str, &EinsumDense<T>)> {
        PROJECTIONS.into_iter().zip(&self.projections).filter_map(|(name, own)| Some((name, own.as_ref()?)))
    }

    /// The places of the query, the key and the value among the inputs, and that of the mask for all pairs of steps.
    fn places(&self) -> ([usize; 3], Option<usize>) {
        let pairs = self.heads.reads_mask.then_some(2);
        let key = if self.heads.reads_key { 2 + usize::from(self.heads.reads_mask) } else { 1 };
        ([0, key, 1], pairs)
    }

    /// What is read. `masks`: those that are attached to the inputs.
    fn given<'r>(&self, reads: &[Read<'r, T>], masks: &[Option<(&'r [usize], &'r [bool])>]) -> Result<Given<'r, T>> {
        let (places, pairs) = self.places();
        let read = |place: usize| reads.get(place).copied().ok_or_else(misfit);
        let [query, key, value] = [read(places[0])?, read(places[1])?, read(places[2])?];
        let (&[batch, queries, _], &[_, keys, _]) = (query.shape, value.shape) else { return Err(misfit()) };
        let flags = |place: usize, steps: usize| match masks.get(place).copied().flatten() {
            Some((shape, _)) if shape != [batch, steps] => {
                Err(mismatch(format!("a mask of shape [{batch}, {steps}]"), shape))
            }
            mask => Ok(mask.map(|(_, flags)| flags)),
        };
        let key_mask = if self.heads.reads_key { flags(places[1], keys)? } else { None };
        let pairs = pairs.map(read).transpose()?;
        let masks = Masks { query: flags(0, queries)?, value: flags(1, keys)?, key: key_mask, pairs };
        let Heads { query_heads, key_heads, key_dim, value_dim, .. } = self.heads;
        let sizes = Sizes { batch, queries, keys, heads: query_heads, key_heads, width: key_dim, values: value_dim };
        Ok(Given { sizes, query, key, value, masks })
    }

    /// The elements of the weights of all heads.
    fn scores_shape(&self, sizes: Sizes) -> Vec<usize> {
        vec![sizes.batch, sizes.heads, sizes.queries, sizes.keys]
    }
}

impl<T: Float> Operation<T> for MultiHead<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(self.description())
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let (places, pairs) = self.places();
        let refuse = || {
            let key = if self.heads.reads_key { ", a key" } else { "" };
            let pairs = if pairs.is_some() { ", a mask of (batch, of the query, of the value)" } else { "" };
            shape::misfit(format!("a query and a value, (batch, timesteps, features){pairs}{key}"), inputs)
        };
        let count = 2 + usize::from(self.heads.reads_key) + usize::from(self.heads.reads_mask);
        if inputs.len() != count || inputs.iter().any(|input| input.len() != 3) {
            return refuse();
        }
        let [query, key, value] = places.map(|place| &inputs[place]);
        for (place, input) in [(QUERY, query), (KEY, key), (VALUE, value)] {
            if let Some(projection) = &self.projections[place] {
                projection.infer(std::slice::from_ref(input))?;
            }
        }
        let spreads = |own: Option<usize>, wide: Option<usize>| own == Some(1) || fit(own, wide);
        let of_pairs = pairs.is_none_or(|place| {
            let [batch, queries, keys] = inputs[place][..] else { return false };
            spreads(batch, query[0]) && spreads(queries, query[1]) && spreads(keys, value[1])
        });
        if !fit(query[0], value[0]) || !fit(value[0], key[0]) || !fit(value[1], key[1]) || !of_pairs {
            return refuse();
        }
        let batch = query[0].or(value[0]);
        let features = self.projections[OUTPUT].as_ref().map(|output| {
            output.infer(&[vec![batch, query[1], Some(self.heads.query_heads), Some(self.heads.value_dim)]])
        });
        let Some(mut shapes) = features.transpose()? else { return refuse() };
        if let Some(steps) = shapes.first_mut().and_then(|shape| shape.get_mut(1)) {
            *steps = query[1];
        }
        if self.heads.returns_scores {
            // Before a call Keras takes both for as long, but in groups.
            let unknown = !self.heads.grouped && inputs.iter().flatten().any(Option::is_none);
            let keys = if unknown { query[1] } else { value[1] };
            shapes.push(vec![batch, Some(self.heads.query_heads), query[1], keys]);
        }
        Ok(shapes)
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn names_masks_apart(&self) -> bool {
        true
    }

    fn takes_masks_away(&self) -> bool {
        !self.heads.grouped && self.heads.hides != Hides::Less
    }

    fn run(&self, inputs: &[&Tensor<T>], mut call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let values: Vec<Value<T>> = inputs.iter().map(|input| in_order(&input.value)).collect();
        let reads = values.iter().map(Read::value).collect::<Result<Vec<_>>>()?;
        let masks: Vec<_> = inputs.iter().map(|input| flags_of(&input.mask)).collect();
        let given = self.given(&reads, &masks.iter().map(with_shape).collect::<Vec<_>>())?;
        let shapes = self.infer(&values.iter().map(|value| shape::known(value.shape())).collect::<Vec<_>>());
        let shape = super::places::all_known(&shapes.map_err(|_| misfit())?)?;
        let scores_shape = if self.heads.returns_scores { self.scores_shape(given.sizes) } else { vec![0] };
        let mut needs = MemoryNeeds::default();
        (0..2).for_each(|_| needs.array::<T>(&shape));
        needs.array::<T>(&scores_shape);
        needs.array::<T>(&[given.sizes.work_len().unwrap_or(usize::MAX)]);
        needs.check(&shape)?;
        let (mut result, mut scores) = (ArrayD::zeros(shape), ArrayD::zeros(scores_shape));
        let to = (result.as_slice_mut().ok_or_else(misfit)?, scores.as_slice_mut().ok_or_else(misfit)?);
        let (len, mut own) = (self.scores_shape(given.sizes).iter().product(), Vec::new());
        let factors = dropped(self.heads.dropout.as_ref(), len, &mut call, &mut own)?;
        self.whole(&given, to.0, to.1, factors, [&mut Vec::new(), &mut Vec::new(), &mut Vec::new()])?;
        let mut outputs = call.passing(Value::Float(result.into_shared()))?;
        if self.heads.returns_scores {
            outputs.push(Tensor::float(scores));
        }
        Ok(outputs)
    }

    fn backward(&self, back: Back<'_, T>, mut sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let record = &*back.record;
        let values: Vec<Value<T>> = record.inputs.iter().map(in_order).collect();
        let reads = values.iter().map(Read::value).collect::<Result<Vec<_>>>()?;
        let masks: Vec<_> = record.masks.iter().map(flags_of).collect();
        let given = self.given(&reads, &masks.iter().map(with_shape).collect::<Vec<_>>())?;
        let (found, [query, key, value]) = self.go_back(&given, &back.upstream, factors_of(record))?;
        let weights = found.iter().flat_map(|found| found.weights());
        sums.iter_mut().zip(weights).for_each(|(sum, own)| *sum += own);
        let pairs = if self.heads.reads_mask { vec![None] } else { vec![] };
        let flows = match self.heads.reads_key {
            true => [vec![Some(query), Some(value)], pairs, vec![Some(key)]].concat(),
            false => [vec![Some(query), Some(value + key)], pairs].concat(),
        };
        let floats = values.iter().map(|value| matches!(value, Value::Float(_)));
        Ok(flows.into_iter().zip(floats).map(|(d, is_float)| d.filter(|_| is_float)).collect())
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        let mut reads = [Read { shape: &[], elements: super::places::Elements::Float(&[]) }; 4];
        let mut masks = [None; 4];
        for ((input, mask), (read, own)) in step.inputs().zip(reads.iter_mut().zip(&mut masks)) {
            *read = Read::buffer(input)?;
            *own = mask.and_then(|MaskBuffer { flags, .. }| Some((flags.shape(), flags.as_slice()?)));
        }
        let given = self.given(&reads, &masks)?;
        let Step { outputs, work: Work { floats, more, most }, .. } = step;
        match outputs {
            [result, scores] => self.whole(&given, result.as_floats()?, scores.as_floats()?, &[], [floats, more, most]),
            [result] => self.whole(&given, result.as_floats()?, &mut [], &[], [floats, more, most]),
            _ => Err(misfit()),
        }
    }

    fn differs_in_training(&self, _trainable: bool) -> Option<Differs> {
        self.heads.dropout.as_ref().and_then(Dropout::unknown)
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        self.heads.dropout.iter().for_each(|dropout| dropout.show_generator(show));
    }

    fn trains_by_batch(&self) -> bool {
        self.heads.dropout.is_some()
    }

    fn visit_weights<'a>(&'a self, which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        for (name, projection) in self.each() {
            visitor.nested(name, |visitor| projection.visit_weights(which, visitor));
        }
    }

    fn visit_weights_mut(&mut self, which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        for (name, projection) in PROJECTIONS.into_iter().zip(&mut self.projections) {
            if let Some(projection) = projection {
                visitor.nested(name, |visitor| projection.visit_weights_mut(which, visitor))?;
            }
        }
        Ok(())
    }
}
