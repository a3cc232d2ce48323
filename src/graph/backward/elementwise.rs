//! The way back through operations that change elements where they are.

use ndarray::{ArrayD, Axis, Slice};

use super::Flow;
use crate::activation::Activation;
use crate::float::Float;
use crate::graph::shape::axis_at;
use crate::graph::tensor::{Value, in_row_order};
use crate::kernels::activate::activate_backward;
use crate::kernels::isa::Isa;

/// An activation over the last axis.
pub(super) fn activation<T: Float>(
    activation: &Activation,
    x: &ArrayD<T>,
    outputs: &[Value<T>],
    d: ArrayD<T>,
) -> Flow<T> {
    let width = x.shape().last().copied().unwrap_or(0);
    let (mut back, y) = if activation.changes_width() {
        // The kernel wants a gradient as wide as the input, of which the first half counts, and looks at no result.
        let mut wide = ArrayD::zeros(x.raw_dim());
        wide.slice_axis_mut(Axis(x.ndim() - 1), Slice::from(..width / 2)).assign(&d);
        (wide, x.clone())
    } else {
        (d, in_row_order(&outputs.first()?.floats()))
    };
    let (x, y, d) = (x.as_slice()?, y.as_slice()?, back.as_slice_mut()?);
    if activation.is_elementwise() {
        activate_backward(Isa::detect(), activation, x, y, d);
    } else if width > 0 {
        let rows = x.chunks_exact(width).zip(y.chunks_exact(width)).zip(d.chunks_exact_mut(width));
        rows.for_each(|((x, y), d)| activate_backward(Isa::detect(), activation, x, y, d));
    }
    Some(back)
}

/// Softmax along an axis. What was masked came out as zero, and so it gets and gives nothing.
pub(super) fn softmax<T: Float>(axis: i64, outputs: &[Value<T>], mut d: ArrayD<T>) -> Flow<T> {
    let y = outputs.first()?.floats();
    let axis = Axis(axis_at(axis, y.ndim())?);
    let (mut along_y, mut along_d) = (Vec::new(), Vec::new());
    for (y, mut d) in y.lanes(axis).into_iter().zip(d.lanes_mut(axis)) {
        along_y.clear();
        along_y.extend(y.iter().copied());
        along_d.clear();
        along_d.extend(d.iter().copied());
        activate_backward(Isa::detect(), &Activation::Softmax, &along_y, &along_y, &mut along_d);
        d.iter_mut().zip(&along_d).for_each(|(to, &from)| *to = from);
    }
    Some(d)
}

/// A masked step was read as zeros, whatever it held: nothing flows back to it.
pub(super) fn masking<T: Float>(mask_value: T, x: &ArrayD<T>, mut d: ArrayD<T>) -> ArrayD<T> {
    let last = Axis(x.ndim().saturating_sub(1));
    for (x, mut d) in x.lanes(last).into_iter().zip(d.lanes_mut(last)) {
        if x.iter().all(|&value| value == mask_value) {
            d.fill(T::zero());
        }
    }
    d
}
