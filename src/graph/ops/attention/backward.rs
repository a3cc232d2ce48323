//! Attention, backward: the scores are computed again.
//!
//! ```text
//! d_value[j]    = sum of weights[i][j] d_result[i]
//! d_weights[i]  = d_result[i] . value[j], and what comes to the weights themselves; times what they were multiplied by
//! d_score[i]    = weights[i] (d_weights[i] - sum of d_weights[i] weights[i])
//! ```

use ndarray::ArrayD;

use super::forward::{Given, Sizes};
use super::{Attention, Score};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Flow, misfit};

/// The gradients of the query, the value and the key.
struct Sums<T> {
    query: ArrayD<T>,
    value: ArrayD<T>,
    key: ArrayD<T>,
    /// Of the scale and of the weight of a concat score.
    scale: Vec<T>,
    concat: T,
}

/// Where in the batch: its row, a step of the query, one of the value.
#[derive(Clone, Copy)]
struct At {
    row: usize,
    query: usize,
    key: usize,
}

impl<T: Float> Attention<T> {
    /// The gradients of the query, the value and the key; those of the weights are added to `sums`.
    pub(super) fn go_back(
        &self,
        given: &Given<'_, T>,
        upstream: &[Flow<T>],
        factors: &[T],
        mut sums: GradientSums<'_, T>,
    ) -> Result<[ArrayD<T>; 3]> {
        let Sizes { batch, queries, keys, width, values } = given.sizes;
        let (mut result, mut weights) =
            (vec![T::zero(); batch * queries * values], vec![T::zero(); batch * queries * keys]);
        self.attend(given, &mut result, &mut weights, &[], &mut Vec::new())?;
        let zeros = |steps: usize, width: usize| ArrayD::zeros(vec![batch, steps, width]);
        let mut own = Sums {
            query: zeros(queries, width),
            value: zeros(keys, values),
            key: zeros(keys, width),
            scale: vec![T::zero(); self.scale.as_ref().map_or(0, ArrayD::len)],
            concat: T::zero(),
        };
        let flow = |at: usize| upstream.get(at).and_then(Option::as_ref).map(|d| d.as_standard_layout());
        let (d_result, d_scores) = (flow(0), flow(1));
        let mut line = vec![T::zero(); keys];
        for (number, weights) in weights.chunks_exact(keys.max(1)).enumerate() {
            let (row, query) = (number / queries, number % queries);
            let d = d_result.as_ref().and_then(|d| d.as_slice()).filter(|_| !given.is_masked(row, query));
            let d = d.map(|d| &d[number * values..][..values]);
            let d_own = d_scores.as_ref().and_then(|d| d.as_slice()).map(|d| &d[number * keys..][..keys]);
            let of_value = own.value.as_slice_mut().ok_or_else(misfit)?;
            let factors = factors.get(number * keys..).unwrap_or(&[]);
            for (key, to) in line.iter_mut().enumerate() {
                let factor = factors.get(key).copied().unwrap_or(T::one());
                *to = d_own.map_or(T::zero(), |d| d[key]);
                let place = (row * keys + key) * values;
                for (feature, &d) in d.unwrap_or(&[]).iter().enumerate() {
                    *to += d * given.value.float(place + feature);
                    of_value[place + feature] += weights[key] * factor * d;
                }
                *to *= factor;
            }
            let along = line.iter().zip(weights).fold(T::zero(), |sum, (&d, &weight)| sum + d * weight);
            for (key, &weight) in weights.iter().enumerate() {
                self.score_back(given, At { row, query, key }, weight * (line[key] - along), &mut own)?;
            }
        }
        for ((name, _), sum) in self.weights().zip(sums.iter_mut()) {
            let of: &[T] = if name == "scale" { &own.scale } else { std::slice::from_ref(&own.concat) };
            sum.iter_mut().zip(of).for_each(|(sum, &of)| *sum += of);
        }
        Ok([own.query, own.value, own.key])
    }

    /// From the gradient of one score to those of what it was made of.
    fn score_back(&self, given: &Given<'_, T>, at: At, d: T, own: &mut Sums<T>) -> Result<()> {
        let Sizes { queries, keys, width, .. } = given.sizes;
        let (scale, concat) = self.numbers()?;
        let (query, key) = ((at.row * queries + at.query) * width, (at.row * keys + at.key) * width);
        let of_query = own.query.as_slice_mut().ok_or_else(misfit)?;
        let of_key = own.key.as_slice_mut().ok_or_else(misfit)?;
        let single = scale.and_then(|scale| scale.first().copied()).unwrap_or(T::one());
        for feature in 0..width {
            let (q, k) = (given.query.float(query + feature), given.key.float(key + feature));
            if self.score == Score::Dot {
                of_query[query + feature] += d * single * k;
                of_key[key + feature] += d * single * q;
                own.scale.iter_mut().for_each(|sum| *sum += d * q * k);
                continue;
            }
            let mut bent = [T::zero()];
            self.bend(scale, &[q], &[k], &mut bent);
            let [y] = bent;
            let slope = T::one() - y * y;
            let inner = match self.score {
                Score::Concat => {
                    own.concat += d * y;
                    own.scale.iter_mut().for_each(|sum| *sum += d * concat * slope * (q + k));
                    d * concat * slope * single
                }
                _ => {
                    own.scale.get_mut(feature).into_iter().for_each(|sum| *sum += d * y);
                    d * slope * scale.map_or(T::one(), |scale| scale[feature])
                }
            };
            of_query[query + feature] += inner;
            of_key[key + feature] += inner;
        }
        Ok(())
    }
}
