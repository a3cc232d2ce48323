//! The way back through operations that move elements and change none.

use ndarray::{ArrayD, Axis, IxDyn, Slice};

use super::Flow;
use crate::error::Result;
use crate::float::Float;
use crate::graph::normalization::back;
use crate::graph::op::{misfit, mismatch};
use crate::graph::shape::axis_at;
use crate::graph::tensor::Value;

/// The elements in row order in another shape.
pub(super) fn reshaped<T: Float>(d: ArrayD<T>, shape: &[usize]) -> Result<ArrayD<T>> {
    let refuse = mismatch(format!("{shape:?}"), d.shape());
    let d = d.as_standard_layout().into_owned();
    d.into_shape_with_order(IxDyn(shape)).map_err(|_| refuse)
}

/// The axes where they were before Permute.
pub(super) fn permuted_back<T: Float>(d: ArrayD<T>, dims: &[usize]) -> ArrayD<T> {
    let order: Vec<usize> = std::iter::once(0).chain(dims.iter().copied()).collect();
    d.permuted_axes(back(&order)).as_standard_layout().into_owned()
}

/// Each input's part of what was joined.
pub(super) fn split<T: Float>(inputs: &[Value<T>], axis: i64, d: &ArrayD<T>) -> Result<Vec<Flow<T>>> {
    let axis = axis_at(axis, d.ndim()).ok_or_else(misfit)?;
    let mut end = 0;
    let parts = inputs.iter().map(|input| {
        let start = end;
        end += input.shape().get(axis).copied().unwrap_or(0);
        let part = d.slice_axis(Axis(axis), Slice::from(start..end.min(d.len_of(Axis(axis)))));
        Some(part.as_standard_layout().into_owned())
    });
    Ok(parts.collect())
}
