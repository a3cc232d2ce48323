//! BatchNormalization in training: by the mean and the variance of the batch, which move the statistics of inference.
//!
//! ```text
//! n live elements of a feature, D = n; with a mask D = n + 1e-7, Keras's epsilon
//! mean = sum(x) / D;  variance = sum((x - mean)^2) / D;  r = 1 / sqrt(variance + epsilon)
//! y = gamma (x - mean) r + beta, at masked places too
//! moving = momentum moving + (1 - momentum) of the batch
//!
//! g = d gamma;  d_gamma = sum(d (x - mean) r);  d_beta = sum(d)
//! d_variance = -r^3 / 2 sum(g (x - mean));  d_mean = -r sum(g) - 2 d_variance (sum(x) - n mean) / D
//! dx = g r, and where x is live + (2 d_variance (x - mean) + d_mean) / D
//! ```

use ndarray::ArrayD;

use super::rows::at;
use super::{Moving, Normalization, NormalizationSums, Statistics, inverse, moved};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::operation::{Back, misfit, mismatch};
use crate::graph::shape::axis_at;
use crate::graph::tape::Record;
use crate::graph::tensor::{Mask, in_row_order};

/// Keras's `backend.epsilon()`, which keeps a batch without a live step from a division by zero.
const KERAS_EPSILON: f64 = 1e-7;

/// What a batch has been normalized by, feature by feature.
struct Batch<'a, T> {
    mean: &'a [T],
    variance: &'a [T],
    /// What sums were divided by.
    divisor: f64,
    live: f64,
}

impl<T: Float> Normalization<T> {
    /// What [`apply`](Normalization::apply) does, by the statistics of the batch, which are left in `kept`: the means,
    /// then the variances.
    pub(super) fn apply_by_batch(&self, x: ArrayD<T>, mask: Option<&Mask>, kept: &mut Vec<T>) -> Result<ArrayD<T>> {
        let Statistics::Moving(moving) = &self.statistics else { return Err(misfit()) };
        let rank = x.ndim();
        let live = self.live_rows(rank, mask)?;
        let (order, width) = self.order(x.shape());
        let mut x = moved(x, &order);
        let values = x.as_slice_mut().ok_or_else(misfit)?;
        let width = width.max(1);
        kept.clear();
        kept.resize(2 * width, T::zero());
        let (mean, variance) = kept.split_at_mut(width);
        let divisor = divisor(values.len() / width, live.as_deref());
        let is_live = |row: usize| live.as_deref().is_none_or(|live| live[row]);
        let rows = || values.chunks_exact(width).enumerate().filter(|(row, _)| is_live(*row)).map(|(_, x)| x);
        let mut sums = vec![0.0; width];
        for row in rows() {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x.into_f64());
        }
        mean.iter_mut().zip(&sums).for_each(|(mean, sum)| *mean = T::from_f64(sum / divisor));
        sums.fill(0.0);
        for row in rows() {
            for ((sum, x), mean) in sums.iter_mut().zip(row).zip(&*mean) {
                let difference = (*x - *mean).into_f64();
                *sum += difference * difference;
            }
        }
        variance.iter_mut().zip(&sums).for_each(|(variance, sum)| *variance = T::from_f64(sum / divisor));
        let folded = |i: usize| {
            let scale = moving.inverse_deviation(variance[i]) * at(&self.gamma, i).unwrap_or(T::one());
            (scale, at(&self.beta, i).unwrap_or(T::zero()) - mean[i] * scale)
        };
        let folded: Vec<(T, T)> = (0..width).map(folded).collect();
        for row in values.chunks_exact_mut(width) {
            row.iter_mut().zip(&folded).for_each(|(x, &(scale, shift))| *x = *x * scale + shift);
        }
        Ok(moved(x, &inverse(&order)))
    }

    /// The way back through [`apply_by_batch`](Normalization::apply_by_batch).
    pub(super) fn backward_by_batch(
        &self,
        back: &Back<'_, T>,
        d: ArrayD<T>,
        mut sums: NormalizationSums<'_, T>,
    ) -> Result<ArrayD<T>> {
        let x = in_row_order(&back.input()?.floats());
        let (order, width) = self.order(x.shape());
        let (mean, variance) = back.record.kept.split_at_checked(width.max(1)).ok_or_else(misfit)?;
        let live = self.live_rows(x.ndim(), back.record.masks.first().and_then(Option::as_ref))?;
        let (x, mut d) = (moved(x, &order), moved(d, &order));
        let (Some(values), Some(gradients)) = (x.as_slice(), d.as_slice_mut()) else { return Err(misfit()) };
        let count = values.len() / width.max(1);
        let divisor = divisor(count, live.as_deref());
        let alive = live.as_ref().map_or(count, |live| live.iter().filter(|live| **live).count()) as f64;
        let batch = Batch { mean, variance, divisor, live: alive };
        self.features_backward(values, gradients, live.as_deref(), &batch, &mut sums);
        Ok(moved(d, &inverse(&order)))
    }

    /// The way back of rows of features, in place; sums run in f64, in one order.
    fn features_backward(
        &self,
        x: &[T],
        d: &mut [T],
        live: Option<&[bool]>,
        batch: &Batch<'_, T>,
        sums: &mut NormalizationSums<'_, T>,
    ) {
        let Statistics::Moving(moving) = &self.statistics else { return };
        let width = batch.mean.len();
        let is_live = |row: usize| live.is_none_or(|live| live[row]);
        // Of each feature: the sums of d, of d (x - mean), of live x.
        let mut along = vec![[0.0; 3]; width];
        for (row, (x, d)) in x.chunks_exact(width).zip(d.chunks_exact(width)).enumerate() {
            for ((sums, (&x, &d)), &mean) in along.iter_mut().zip(x.iter().zip(d)).zip(batch.mean) {
                sums[0] += d.into_f64();
                sums[1] += d.into_f64() * (x - mean).into_f64();
                sums[2] += if is_live(row) { x.into_f64() } else { 0.0 };
            }
        }
        let inverse_of = |i: usize| moving.inverse_deviation(batch.variance[i]).into_f64();
        if let Some(beta) = &mut sums.beta {
            beta.iter_mut().zip(&along).for_each(|(sum, [d, ..])| *sum += T::from_f64(*d));
        }
        if let Some(gamma) = &mut sums.gamma {
            gamma.iter_mut().zip(&along).enumerate().for_each(|(i, (sum, [_, d, _]))| {
                *sum += T::from_f64(d * inverse_of(i));
            });
        }
        // Of each feature: the factor of d, of x - mean, and what is added.
        let ways = along.iter().enumerate().map(|(i, [d, along, x])| {
            let (r, gamma) = (inverse_of(i), at(&self.gamma, i).map_or(1.0, |gamma| gamma.into_f64()));
            let d_variance = -0.5 * r * r * r * gamma * along;
            let left = x - batch.live * batch.mean[i].into_f64();
            // Without a mask nothing is left but what rounding leaves.
            let left = if live.is_some() { left } else { 0.0 };
            let d_mean = -r * gamma * d - 2.0 * d_variance * left / batch.divisor;
            [gamma * r, 2.0 * d_variance / batch.divisor, d_mean / batch.divisor]
        });
        let ways: Vec<[f64; 3]> = ways.collect();
        for (row, (x, d)) in x.chunks_exact(width).zip(d.chunks_exact_mut(width)).enumerate() {
            let live = if is_live(row) { 1.0 } else { 0.0 };
            for ((d, &x), ([own, along, added], &mean)) in d.iter_mut().zip(x).zip(ways.iter().zip(batch.mean)) {
                let rest = if live == 0.0 { 0.0 } else { along * (x - mean).into_f64() + added };
                *d = T::from_f64(own * d.into_f64() + rest);
            }
        }
    }

    /// Which of the rows of features are live: a mask is of all axes but the last.
    fn live_rows(&self, rank: usize, mask: Option<&Mask>) -> Result<Option<Vec<bool>>> {
        let Some(mask) = mask else { return Ok(None) };
        if self.axes.iter().any(|&axis| axis_at(axis, rank) != Some(rank - 1)) {
            return Err(Error::TrainingOption {
                option: "axis".into(),
                expected: "-1 where a mask is read in training".into(),
                given: format!("{:?}", self.axes),
            });
        }
        if mask.ndim() + 1 != rank {
            return Err(mismatch(format!("a mask of {} dimensions", rank - 1), mask.shape()));
        }
        Ok(Some(mask.flags().iter().copied().collect()))
    }

    /// Moves the statistics of inference by what a run has left.
    pub(super) fn move_by(&mut self, record: &Record<T>) {
        let Statistics::Moving(moving) = &mut self.statistics else { return };
        let (Some(momentum), width) = (moving.momentum, moving.mean.len()) else { return };
        let Some((mean, variance)) = record.kept.split_at_checked(width).filter(|(_, second)| second.len() == width)
        else {
            return;
        };
        let (keep, take) = (T::from_f64(momentum), T::from_f64(1.0 - momentum));
        let Moving { mean: own_mean, variance: own_variance, .. } = &mut **moving;
        own_mean.iter_mut().zip(mean).for_each(|(own, &new)| *own = *own * keep + new * take);
        own_variance.iter_mut().zip(variance).for_each(|(own, &new)| *own = *own * keep + new * take);
        self.fold();
    }
}

/// What sums over a batch are divided by.
fn divisor(rows: usize, live: Option<&[bool]>) -> f64 {
    match live {
        None => rows as f64,
        Some(live) => live.iter().filter(|live| **live).count() as f64 + KERAS_EPSILON,
    }
}
