//! The way back through operations that change elements where they are.

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice, Zip};

use super::shapes::reshaped;
use super::{Flow, summed_to};
use crate::activation::Activation;
use crate::error::Result;
use crate::float::Float;
use crate::kernels::activate::activate_backward;
use crate::kernels::isa::Isa;
use crate::model::op::{MergeOp, misfit};
use crate::model::shape::{axis_at, pad};
use crate::model::tensor::{Value, in_row_order};

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

/// Several inputs that became one: each one's gradient, summed where it was spread.
pub(super) fn merge<T: Float>(how: MergeOp, inputs: &[Value<T>], d: ArrayD<T>) -> Result<Vec<Flow<T>>> {
    let rank = d.ndim();
    let mut padded = Vec::new();
    for input in inputs {
        padded.push(reshaped(in_row_order(&input.floats()), &pad(input.shape(), rank, 1))?);
    }
    let wide: Option<Vec<ArrayViewD<'_, T>>> = padded.iter().map(|input| input.broadcast(IxDyn(d.shape()))).collect();
    let wide = wide.ok_or_else(misfit)?;
    let parts: Vec<ArrayD<T>> = match how {
        MergeOp::Add => vec![d; inputs.len()],
        MergeOp::Average => {
            let count = T::from_f64(inputs.len() as f64);
            vec![d.mapv(|d| d / count); inputs.len()]
        }
        MergeOp::Subtract => (0..inputs.len()).map(|i| if i == 0 { d.clone() } else { d.mapv(|d| -d) }).collect(),
        MergeOp::Multiply => {
            let others = |i: usize| wide.iter().enumerate().filter(move |&(j, _)| j != i).map(|(_, input)| input);
            (0..inputs.len()).map(|i| others(i).fold(d.clone(), |product, input| product * input)).collect()
        }
        MergeOp::Maximum => choice(&wide, d, |a, b| a >= b),
        MergeOp::Minimum => choice(&wide, d, |a, b| a <= b),
    };
    let each = parts.into_iter().zip(&padded).zip(inputs);
    each.map(|((d, padded), input)| reshaped(summed_to(d, padded.shape()), input.shape()).map(Some)).collect()
}

/// Of inputs that were compared one after another: of two the first gets the gradient if `first` says so, as in
/// TensorFlow, where equal ones go to the first.
fn choice<T: Float>(inputs: &[ArrayViewD<'_, T>], d: ArrayD<T>, first: impl Fn(T, T) -> bool) -> Vec<ArrayD<T>> {
    let Some((start, rest)) = inputs.split_first() else { return Vec::new() };
    // What had been chosen before each of the others came.
    let mut chosen = vec![start.to_owned()];
    for next in rest {
        let mut best = chosen[chosen.len() - 1].clone();
        best.zip_mut_with(next, |a, &b| *a = if first(*a, b) || a.is_nan() { *a } else { b });
        chosen.push(best);
    }
    let mut parts = Vec::new();
    let mut left = d;
    for (next, before) in rest.iter().zip(&chosen).rev() {
        let mut own = left.clone();
        Zip::from(&mut left).and(&mut own).and(before).and(next).for_each(|left, own, &a, &b| {
            let lost = if first(a, b) { own } else { left };
            *lost = T::zero();
        });
        parts.push(own);
    }
    parts.push(left);
    parts.reverse();
    parts
}
