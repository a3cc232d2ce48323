//! Attention, forward: row by row of the batch.

use super::{Attention, Score};
use crate::activation::Activation;
use crate::buffers::take;
use crate::error::Result;
use crate::float::Float;
use crate::graph::ops::places::Read;
use crate::kernels::activate::activate;
use crate::kernels::isa::Isa;
use crate::kernels::product::{Product, transpose};

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    /// Steps of the query and of the value.
    pub(super) queries: usize,
    pub(super) keys: usize,
    /// Features of the query, as of the key, and of the value.
    pub(super) width: usize,
    pub(super) values: usize,
}

/// What is read.
#[derive(Clone, Copy)]
pub(super) struct Given<'r, T> {
    pub(super) sizes: Sizes,
    pub(super) query: Read<'r, T>,
    pub(super) key: Read<'r, T>,
    pub(super) value: Read<'r, T>,
    pub(super) query_mask: Option<&'r [bool]>,
    pub(super) value_mask: Option<&'r [bool]>,
}

impl<T: Float> Given<'_, T> {
    /// Whether a step of the value is left out for a step of the query.
    pub(super) fn is_hidden(&self, causal: bool, row: usize, query: usize, key: usize) -> bool {
        let masked = self.value_mask.is_some_and(|mask| !mask[row * self.sizes.keys + key]);
        masked || causal && key > query
    }

    /// Whether a step of the query is masked.
    pub(super) fn is_masked(&self, row: usize, query: usize) -> bool {
        self.query_mask.is_some_and(|mask| !mask[row * self.sizes.queries + query])
    }
}

/// What is taken from the scores of masked steps.
const HIDDEN: f64 = 1e9;

impl<T: Float> Attention<T> {
    /// The result (batch, queries, values) and the weights (batch, queries, keys), multiplied by these factors if there
    /// are any.
    pub(super) fn attend(
        &self,
        given: &Given<'_, T>,
        result: &mut [T],
        weights: &mut [T],
        factors: &[T],
        work: &mut Vec<T>,
    ) -> Result<()> {
        let Sizes { batch, queries, keys, width, values } = given.sizes;
        let work = take(work, width * (queries + 2 * keys + 1) + keys * values);
        let (q, rest) = work.split_at_mut(queries * width);
        let (k, rest) = rest.split_at_mut(keys * width);
        let (turned, rest) = rest.split_at_mut(keys * width);
        let (line, v) = rest.split_at_mut(width);
        let hides = self.causal || given.value_mask.is_some();
        for row in 0..batch {
            let q = given.query.floats(row * queries * width, queries * width, q);
            let k = given.key.floats(row * keys * width, keys * width, k);
            let v = given.value.floats(row * keys * values, keys * values, v);
            let weights = &mut weights[row * queries * keys..][..queries * keys];
            self.scores(&given.sizes, [q, k], [turned, line], weights)?;
            for (query, weights) in weights.chunks_exact_mut(keys.max(1)).enumerate() {
                for (key, weight) in weights.iter_mut().enumerate().filter(|_| hides) {
                    if given.is_hidden(self.causal, row, query, key) {
                        *weight -= T::from_f64(HIDDEN);
                    }
                }
                activate(Isa::detect(), &Activation::Softmax, weights);
            }
            let factors = factors.get(row * queries * keys..).unwrap_or(&[]);
            weights.iter_mut().zip(factors).for_each(|(weight, &factor)| *weight *= factor);
            let result = &mut result[row * queries * values..][..queries * values];
            Product { a: weights, b: v, sizes: [queries, keys, values], out: result }.compute();
            for (query, result) in result.chunks_exact_mut(values.max(1)).enumerate() {
                if given.is_masked(row, query) {
                    result.fill(T::zero());
                }
            }
        }
        Ok(())
    }

    /// The scores of one row of the batch, before the softmax.
    fn scores(&self, sizes: &Sizes, [q, k]: [&[T]; 2], [turned, line]: [&mut [T]; 2], scores: &mut [T]) -> Result<()> {
        let Sizes { queries, keys, width, .. } = *sizes;
        let (scale, concat) = self.numbers()?;
        if self.score == Score::Dot {
            transpose(k, width, [keys, width], turned);
            Product { a: q, b: turned, sizes: [queries, width, keys], out: scores }.compute();
            if let Some(&[scale]) = scale {
                scores.iter_mut().for_each(|score| *score *= scale);
            }
            return Ok(());
        }
        for (at, score) in scores.iter_mut().enumerate() {
            let (q, k) = (&q[at / keys * width..][..width], &k[at % keys * width..][..width]);
            self.bend(scale, q, k, line);
            let weighed = |(feature, &x): (usize, &T)| match (self.score, scale) {
                (Score::Additive, Some(scale)) => scale[feature].into_f64() * x.into_f64(),
                _ => x.into_f64(),
            };
            *score = concat * T::from_f64(line.iter().enumerate().map(weighed).fold(0.0, |sum, x| sum + x));
        }
        Ok(())
    }

    /// The tangents of what a query and a key add up to.
    pub(super) fn bend(&self, scale: Option<&[T]>, q: &[T], k: &[T], line: &mut [T]) {
        let inner = match (self.score, scale) {
            (Score::Concat, Some(&[scale])) => scale,
            _ => T::one(),
        };
        line.iter_mut().zip(q.iter().zip(k)).for_each(|(to, (&q, &k))| *to = inner * (q + k));
        activate(Isa::detect(), &Activation::Tanh, line);
    }
}
