//! Merging layers, one step at a time: element by element, in the same order.

use super::super::flags::lead_over;
use super::{MaskRule, MergeOp, combine_floats, combine_integers, mismatch};
use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::misfit;
use crate::graph::stream::{Buffer, MaskBuffer, Spread, Step};

/// One step of a merging layer.
pub(super) fn step<T: Float>(how: MergeOp, rule: MaskRule, mut step: Step<'_, T>) -> Result<()> {
    let (inputs, count) = (step.inputs(), step.inputs().len());
    let mut made = step.made.take();
    if let Some(made) = made.as_deref_mut() {
        join_masks(rule, inputs.clone(), made)?;
    }
    // A mask that the layer makes itself is false until an element of a step is live.
    let own = rule == MaskRule::Any && matches!(how, MergeOp::Multiply | MergeOp::Maximum | MergeOp::Minimum);
    let mut own_mask = made.filter(|_| own && inputs.clone().all(|(input, mask)| reads(&step, input, mask)));
    if let Some(made) = own_mask.as_deref_mut() {
        made.flags.fill(false);
    }
    let plain = |(input, mask): (&Buffer<T>, Option<&MaskBuffer>)| {
        input.is_float() && input.shape() == step.outputs[0].shape() && !(own && mask.is_some())
    };
    if inputs.clone().all(plain) {
        return plainly(how, &mut step);
    }
    let arithmetic = inputs.clone().any(|(input, _)| input.is_float());
    let shape = step.outputs[0].shape();
    let (last, len) = (shape.last().copied().unwrap_or(1).max(1), step.outputs[0].len());
    let mut live = |at: usize, mask: Option<bool>| -> Result<()> {
        if let (Some(made), Some(mask)) = (own_mask.as_deref_mut(), mask) {
            made.flags.as_slice_mut().ok_or_else(misfit)?[at / last] |= mask;
        }
        Ok(())
    };
    for at in 0..len {
        if arithmetic {
            let (sum, mask) = element(how, rule, &step, at, T::one(), T::zero(), combine_floats, float_at)?;
            let by = if how == MergeOp::Average { T::from_f64(count as f64) } else { T::one() };
            live(at, mask)?;
            step.outputs[0].as_floats()?[at] = if how == MergeOp::Average { sum / by } else { sum };
            continue;
        }
        let (sum, mask) = element(how, rule, &step, at, 1, 0, combine_integers, integer_at)?;
        live(at, mask)?;
        if i32::try_from(sum).is_err() {
            return Err(mismatch("integers whose result has 32 bits".into(), step.outputs[0].shape()));
        }
        match how {
            MergeOp::Average => step.outputs[0].as_floats()?[at] = T::from_f64(sum as f64 / count as f64),
            _ => step.outputs[0].as_integers()?[at] = sum,
        }
    }
    Ok(())
}

/// Floats of one shape, whose masks don't matter.
fn plainly<T: Float>(how: MergeOp, step: &mut Step<'_, T>) -> Result<()> {
    let (mut inputs, count) = (step.inputs(), step.inputs().len());
    let result = step.outputs[0].as_floats()?;
    result.copy_from_slice(inputs.next().and_then(|(input, _)| input.as_float_slice()).ok_or_else(misfit)?);
    for (input, _) in inputs {
        let next = input.as_float_slice().ok_or_else(misfit)?;
        result.iter_mut().zip(next).for_each(|(to, &next)| *to = combine_floats(how, *to, next));
    }
    if how == MergeOp::Average {
        let count = T::from_f64(count as f64);
        result.iter_mut().for_each(|sum| *sum /= count);
    }
    Ok(())
}

/// Whether an input's mask is read with it: one that gets further dimensions loses it.
fn reads<T: Float>(step: &Step<'_, T>, input: &Buffer<T>, mask: Option<&MaskBuffer>) -> bool {
    mask.is_some() && input.shape().len() == step.outputs[0].shape().len()
}

/// One element of the result, and the mask that the layer makes for it.
#[allow(clippy::too_many_arguments)] // what differs between floats and integers
fn element<T: Float, A: Copy>(
    how: MergeOp,
    rule: MaskRule,
    step: &Step<'_, T>,
    at: usize,
    one: A,
    zero: A,
    combine: impl Fn(MergeOp, A, A) -> A,
    value: impl Fn(&Buffer<T>, usize) -> Result<A>,
) -> Result<(A, Option<bool>)> {
    let over = step.outputs[0].shape();
    let mut result: Option<(A, Option<bool>)> = None;
    for (input, mask) in step.inputs() {
        let next = value(input, padded_over(input.shape(), over).at(at))?;
        let mask = match mask.filter(|_| rule == MaskRule::Any && reads(step, input, mask)) {
            Some(mask) => {
                let flags = mask.flags.as_slice().ok_or_else(misfit)?;
                Some(flags[spread_over(mask.flags.shape(), over).at(at)])
            }
            None => None,
        };
        result = Some(match (result, how) {
            (None, MergeOp::Multiply) => (if mask == Some(false) { one } else { next }, mask),
            (None, _) => (next, mask),
            (Some((before, before_mask)), MergeOp::Multiply) => {
                let next = if mask == Some(false) { one } else { next };
                (combine(how, before, next), before_mask.zip(mask).map(|(a, b)| a | b))
            }
            (Some((before, before_mask)), MergeOp::Maximum | MergeOp::Minimum) => {
                let next = if mask == Some(false) { before } else { next };
                let before = if before_mask == Some(false) { next } else { before };
                (combine(how, before, next), before_mask.zip(mask).map(|(a, b)| a | b))
            }
            (Some((before, _)), _) => (combine(how, before, next), None),
        });
    }
    let (result, mask) = result.ok_or_else(misfit)?;
    Ok((if how == MergeOp::Multiply && mask == Some(false) { zero } else { result }, mask))
}

fn float_at<T: Float>(buffer: &Buffer<T>, at: usize) -> Result<T> {
    Ok(match buffer {
        Buffer::Float(array) => array.as_slice().ok_or_else(misfit)?[at],
        Buffer::Int(array) => T::from_f64(array.as_slice().ok_or_else(misfit)?[at] as f64),
        Buffer::Bool(array) => {
            if array.as_slice().ok_or_else(misfit)?[at] {
                T::one()
            } else {
                T::zero()
            }
        }
    })
}

fn integer_at<T: Float>(buffer: &Buffer<T>, at: usize) -> Result<i64> {
    match buffer {
        Buffer::Float(_) => Err(misfit()),
        Buffer::Int(array) => Ok(array.as_slice().ok_or_else(misfit)?[at]),
        Buffer::Bool(array) => Ok(array.as_slice().ok_or_else(misfit)?[at].into()),
    }
}

/// An input over the result: with ones behind the batch, so that it has its rank.
fn padded_over(shape: &[usize], over: &[usize]) -> Spread {
    let ones = over.len().saturating_sub(shape.len());
    let size = |axis: usize| match axis {
        0 => shape.first().copied().unwrap_or(1),
        axis if axis <= ones => 1,
        axis => shape[axis - ones],
    };
    Spread::new((0..over.len()).map(size), over)
}

/// A mask over the result: for all features of its input.
fn spread_over(mask: &[usize], over: &[usize]) -> Spread {
    Spread::new((0..over.len()).map(|axis| mask.get(axis).copied().unwrap_or(1)), over)
}

/// The mask of the result where the layer makes none itself.
fn join_masks<'a, T: Float>(
    rule: MaskRule,
    inputs: impl Iterator<Item = (&'a Buffer<T>, Option<&'a MaskBuffer>)>,
    made: &mut MaskBuffer,
) -> Result<()> {
    let all = rule == MaskRule::All;
    made.flags.fill(all);
    for mask in inputs.filter_map(|(_, mask)| mask) {
        let place = lead_over(mask.flags.shape(), made.flags.shape());
        let own = mask.flags.as_slice().ok_or_else(misfit)?;
        for (at, to) in made.flags.iter_mut().enumerate() {
            let live = own[place.at(at)];
            *to = if all { *to && live } else { *to || live };
        }
    }
    Ok(())
}
