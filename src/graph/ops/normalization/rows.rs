//! One row of what is normalized together, and the way back.

use ndarray::ArrayD;

use super::{Normalization, NormalizationSums, Statistics};
use crate::float::Float;

impl<T: Float> Normalization<T> {
    /// Normalizes the elements that lie along the axes.
    pub(in crate::graph) fn row(&self, row: &mut [T]) {
        match &self.statistics {
            Statistics::Moving(moving) => {
                for ((x, &scale), &shift) in row.iter_mut().zip(&moving.scale).zip(&moving.shift) {
                    *x = *x * scale + shift;
                }
            }
            Statistics::Own { .. } | Statistics::Square { .. } => {
                let (mean, inverse) = self.mean_and_inverse_deviation(row);
                for (i, x) in row.iter_mut().enumerate() {
                    let (gamma, beta) = (float_at(&self.gamma, i, 1.0), float_at(&self.beta, i, 0.0));
                    *x = T::from_f64((x.into_f64() - mean) * (inverse * gamma) + beta);
                }
            }
        }
    }

    /// The backward pass through [`row`](Normalization::row), in place.
    ///
    /// ```text
    /// n = (x - mean) inverse;  g = d gamma;  d_gamma += d n;  d_beta += d
    /// own statistics:     dx = inverse (g - mean(g) - n mean(g n))
    /// mean square:        dx = inverse (g - n mean(g n)), the mean being zero
    /// moving statistics:  dx = inverse g
    /// ```
    pub(in crate::graph) fn row_backward(&self, x: &[T], d: &mut [T], sums: &mut NormalizationSums<'_, T>) {
        if let Some(beta) = &mut sums.beta {
            beta.iter_mut().zip(&*d).for_each(|(sum, &d)| *sum += d);
        }
        match &self.statistics {
            Statistics::Moving(moving) => {
                if let Some(gamma) = &mut sums.gamma {
                    let statistics = moving.mean.iter().zip(&moving.variance);
                    for (((sum, &d), &x), (&mean, &variance)) in gamma.iter_mut().zip(&*d).zip(x).zip(statistics) {
                        *sum += d * (x - mean) * moving.inverse_deviation(variance);
                    }
                }
                d.iter_mut().zip(&moving.scale).for_each(|(d, &scale)| *d *= scale);
            }
            Statistics::Own { .. } | Statistics::Square { .. } => {
                let (mean, inverse) = self.mean_and_inverse_deviation(x);
                let normal = |x: T| (x.into_f64() - mean) * inverse;
                if let Some(gamma) = &mut sums.gamma {
                    for ((sum, &d), &x) in gamma.iter_mut().zip(&*d).zip(x) {
                        *sum += T::from_f64(d.into_f64() * normal(x));
                    }
                }
                let of_normal = |i: usize, d: T| d.into_f64() * float_at(&self.gamma, i, 1.0);
                let (mut plain, mut along) = (0.0, 0.0);
                for (i, (&d, &x)) in d.iter().zip(x).enumerate() {
                    plain += of_normal(i, d);
                    along += of_normal(i, d) * normal(x);
                }
                if matches!(self.statistics, Statistics::Square { .. }) {
                    plain = 0.0;
                }
                let count = x.len() as f64;
                for (i, (d, &x)) in d.iter_mut().zip(x).enumerate() {
                    let rest = of_normal(i, *d) - plain / count - normal(x) * (along / count);
                    *d = T::from_f64(inverse * rest);
                }
            }
        }
    }

    /// Of a row with statistics of its own; the sums run in `f64`, in one order.
    fn mean_and_inverse_deviation(&self, row: &[T]) -> (f64, f64) {
        let count = row.len() as f64;
        let (mean, epsilon) = match &self.statistics {
            Statistics::Own { epsilon } => (row.iter().fold(0.0, |sum, x| sum + x.into_f64()) / count, *epsilon),
            Statistics::Square { epsilon } => (0.0, *epsilon),
            Statistics::Moving(_) => return (0.0, 1.0),
        };
        let squares = row.iter().fold(0.0, |sum, x| sum + (x.into_f64() - mean) * (x.into_f64() - mean));
        (mean, 1.0 / (squares / count + epsilon).sqrt())
    }
}

pub(super) fn at<T: Float>(weight: &Option<ArrayD<T>>, index: usize) -> Option<T> {
    weight.as_ref()?.as_slice()?.get(index).copied()
}

fn float_at<T: Float>(weight: &Option<ArrayD<T>>, index: usize, default: f64) -> f64 {
    at(weight, index).map_or(default, |value| value.into_f64())
}
