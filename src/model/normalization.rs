//! Layer and batch normalization, in inference.

use ndarray::{ArrayD, Axis};

use super::op::Normalization;
use super::shape::axis_at;
use crate::float::Float;

impl<T: Float> Normalization<T> {
    /// Normalizes an array in row order.
    pub(crate) fn apply(&self, mut x: ArrayD<T>) -> ArrayD<T> {
        match self {
            Normalization::Batch { axis, scale, shift } => {
                if let Some(axis) = axis_at(*axis, x.ndim()) {
                    for ((mut along, &scale), &shift) in x.axis_iter_mut(Axis(axis)).zip(scale).zip(shift) {
                        along.mapv_inplace(|x| x * scale + shift);
                    }
                }
                x
            }
            Normalization::Layer { axes, epsilon, gamma, beta, .. } => {
                let rank = x.ndim();
                let mut axes: Vec<usize> = axes.iter().filter_map(|&axis| axis_at(axis, rank)).collect();
                axes.sort_unstable();
                axes.dedup();
                // The normalized axes last, so that what belongs together lies together.
                let order: Vec<usize> =
                    (0..rank).filter(|axis| !axes.contains(axis)).chain(axes.iter().copied()).collect();
                let width: usize = axes.iter().map(|&axis| x.shape()[axis]).product();
                let mut moved = x.permuted_axes(order.clone()).as_standard_layout().into_owned();
                if let Some(values) = moved.as_slice_mut() {
                    for row in values.chunks_exact_mut(width.max(1)) {
                        normalize(row, *epsilon, gamma.as_deref(), beta.as_deref());
                    }
                }
                let mut back = vec![0; rank];
                order.iter().enumerate().for_each(|(at, &axis)| back[axis] = at);
                moved.permuted_axes(back).as_standard_layout().into_owned()
            }
        }
    }
}

/// `gamma (x - mean) / sqrt(variance + epsilon) + beta`; the sums run in `f64`, in one order.
pub(super) fn normalize<T: Float>(row: &mut [T], epsilon: f64, gamma: Option<&[T]>, beta: Option<&[T]>) {
    let count = row.len() as f64;
    let mean = row.iter().fold(0.0, |sum, x| sum + x.into_f64()) / count;
    let squares = row.iter().fold(0.0, |sum, x| sum + (x.into_f64() - mean) * (x.into_f64() - mean));
    let inverse = 1.0 / (squares / count + epsilon).sqrt();
    for (i, x) in row.iter_mut().enumerate() {
        let gamma = gamma.and_then(|gamma| gamma.get(i)).map_or(1.0, |gamma| gamma.into_f64());
        let beta = beta.and_then(|beta| beta.get(i)).map_or(0.0, |beta| beta.into_f64());
        *x = T::from_f64((x.into_f64() - mean) * (inverse * gamma) + beta);
    }
}
