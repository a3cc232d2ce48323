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
use crate::kernels::product::{Product, transpose};

/// The gradients of the query, the value and the key.
struct Sums<T> {
    query: ArrayD<T>,
    value: ArrayD<T>,
    key: ArrayD<T>,
    /// Of the scale and of the weight of a concat score.
    scale: Vec<T>,
    concat: T,
}

/// What one row of the batch works in.
struct OfRow<T> {
    /// The gradients of the scores, (queries, keys), and as columns.
    d: Vec<T>,
    turned_d: Vec<T>,
    /// Of the result, zero where the query is masked.
    d_result: Vec<T>,
    /// The value's features as rows.
    columns: Vec<T>,
    /// What aren't floats.
    value: Vec<T>,
    query: Vec<T>,
    key: Vec<T>,
}

impl<T: Float> OfRow<T> {
    fn new(sizes: &Sizes) -> Self {
        let Sizes { queries, keys, width, values, .. } = *sizes;
        let zeros = |len: usize| vec![T::zero(); len];
        OfRow {
            d: zeros(queries * keys),
            turned_d: zeros(queries * keys),
            d_result: zeros(queries * values),
            columns: zeros(keys * values),
            value: zeros(keys * values),
            query: zeros(queries * width),
            key: zeros(keys * width),
        }
    }

    /// The gradients of a row's scores, and of its values, from those of the result and of the weights. `factors`: what
    /// the weights were multiplied by.
    fn go_back(
        &mut self,
        given: &Given<'_, T>,
        row: usize,
        weights: &[T],
        (d_result, d_own, factors): (Option<&[T]>, Option<&[T]>, &[T]),
        of_value: &mut [T],
    ) {
        let Sizes { queries, keys, values, .. } = given.sizes;
        self.d.fill(T::zero());
        if let Some(d) = d_result {
            self.d_result.copy_from_slice(d);
            for (query, d) in self.d_result.chunks_exact_mut(values.max(1)).enumerate() {
                if given.is_masked(row, query) {
                    d.fill(T::zero());
                }
            }
            let value = given.value.floats(row * keys * values, keys * values, &mut self.value);
            transpose(value, values, [keys, values], &mut self.columns);
            let sizes = [queries, values, keys];
            Product { a: &self.d_result, b: &self.columns, sizes, out: &mut self.d }.compute();
            // For a moment the weights as they met the value.
            transpose(weights, keys, [queries, keys], &mut self.turned_d);
            for (at, &factor) in factors.iter().enumerate().take(queries * keys) {
                self.turned_d[at % keys * queries + at / keys] *= factor;
            }
            let sizes = [keys, queries, values];
            Product { a: &self.turned_d, b: &self.d_result, sizes, out: of_value }.compute();
        }
        self.d.iter_mut().zip(d_own.unwrap_or(&[])).for_each(|(d, &own)| *d += own);
        self.d.iter_mut().zip(factors).for_each(|(d, &factor)| *d *= factor);
        for (d, weights) in self.d.chunks_exact_mut(keys.max(1)).zip(weights.chunks_exact(keys.max(1))) {
            let along = d.iter().zip(weights).fold(T::zero(), |sum, (&d, &weight)| sum + d * weight);
            d.iter_mut().zip(weights).for_each(|(d, &weight)| *d = weight * (*d - along));
        }
    }
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
        let mut work = OfRow::new(&given.sizes);
        for (row, weights) in weights.chunks_exact((queries * keys).max(1)).enumerate() {
            let rows = |len: usize| row * len..(row + 1) * len;
            let d_result = d_result.as_ref().and_then(|d| d.as_slice()?.get(rows(queries * values)));
            let d_own = d_scores.as_ref().and_then(|d| d.as_slice()?.get(rows(queries * keys)));
            let factors = factors.get(row * queries * keys..).unwrap_or(&[]);
            let of_value = own.value.as_slice_mut().ok_or_else(misfit)?;
            let of_value = &mut of_value[row * keys * values..][..keys * values];
            work.go_back(given, row, weights, (d_result, d_own, factors), of_value);
            if self.score == Score::Dot {
                self.dot_back(given, row, &mut work, &mut own)?;
                continue;
            }
            for (at, &d) in work.d.iter().enumerate() {
                self.score_back(given, At { row, query: at / keys, key: at % keys }, d, &mut own)?;
            }
        }
        for ((name, _), sum) in self.weights().zip(sums.iter_mut()) {
            let of: &[T] = if name == "scale" { &own.scale } else { std::slice::from_ref(&own.concat) };
            sum.iter_mut().zip(of).for_each(|(sum, &of)| *sum += of);
        }
        Ok([own.query, own.value, own.key])
    }

    /// From the gradients of a row's scores to those of the queries and the keys that they are products of.
    fn dot_back(&self, given: &Given<'_, T>, row: usize, work: &mut OfRow<T>, own: &mut Sums<T>) -> Result<()> {
        let Sizes { queries, keys, width, .. } = given.sizes;
        let OfRow { d, turned_d, query, key, .. } = work;
        let q = given.query.floats(row * queries * width, queries * width, query);
        let k = given.key.floats(row * keys * width, keys * width, key);
        let of_query = &mut own.query.as_slice_mut().ok_or_else(misfit)?[row * queries * width..][..queries * width];
        let of_key = &mut own.key.as_slice_mut().ok_or_else(misfit)?[row * keys * width..][..keys * width];
        Product { a: d, b: k, sizes: [queries, keys, width], out: of_query }.compute();
        transpose(d, keys, [queries, keys], turned_d);
        Product { a: turned_d, b: q, sizes: [keys, queries, width], out: of_key }.compute();
        if let Some(&[scale]) = self.numbers()?.0 {
            let along = of_query.iter().zip(q).fold(T::zero(), |sum, (&d, &q)| sum + d * q);
            own.scale.iter_mut().for_each(|sum| *sum += along);
            of_query.iter_mut().chain(of_key).for_each(|d| *d *= scale);
        }
        Ok(())
    }

    /// From the gradient of one score to those of what it was made of, if it isn't a product.
    fn score_back(&self, given: &Given<'_, T>, at: At, d: T, own: &mut Sums<T>) -> Result<()> {
        let Sizes { queries, keys, width, .. } = given.sizes;
        let (scale, concat) = self.numbers()?;
        let (query, key) = ((at.row * queries + at.query) * width, (at.row * keys + at.key) * width);
        let of_query = own.query.as_slice_mut().ok_or_else(misfit)?;
        let of_key = own.key.as_slice_mut().ok_or_else(misfit)?;
        let single = scale.and_then(|scale| scale.first().copied()).unwrap_or(T::one());
        for feature in 0..width {
            let (q, k) = (given.query.float(query + feature), given.key.float(key + feature));
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
