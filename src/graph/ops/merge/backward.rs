//! The backward pass through merging layers that compare or multiply.

use ndarray::{ArrayD, ArrayViewD, IxDyn, Zip};

use super::{Compared, MaskRule, choose, inside, wide, without_masked};
use crate::error::Result;
use crate::float::Float;
use crate::graph::backward::summed_to;
use crate::graph::operation::misfit;
use crate::graph::tape::Record;
use crate::graph::tensor::Tensor;

/// The masks that the layer read.
pub(super) fn masks<T: Float>(rule: MaskRule, record: &Record<T>) -> Result<Vec<Option<ArrayD<bool>>>> {
    let each = record.inputs.iter().zip(&record.masks);
    let tensors: Vec<Tensor<T>> =
        each.map(|(value, mask)| Tensor { value: value.clone(), mask: mask.clone() }).collect();
    inside(rule, &tensors.iter().collect::<Vec<_>>())
}

/// The gradient where the mask says so, zero elsewhere.
fn kept<T: Float>(mask: &ArrayD<bool>, d: &ArrayD<T>) -> Result<ArrayD<T>> {
    choose(mask, d, &ArrayD::from_elem(vec![1; d.ndim()], T::zero()))
}

/// The backward pass through a product.
pub(super) fn product<T: Float>(
    inputs: &[ArrayD<T>],
    masks: Vec<Option<ArrayD<bool>>>,
    d: ArrayD<T>,
) -> Result<Vec<ArrayD<T>>> {
    let (factors, mask) = without_masked(inputs, &masks, T::one())?;
    let d = match &mask {
        Some(mask) => kept(mask, &d)?,
        None => d,
    };
    let spread: Option<Vec<ArrayViewD<'_, T>>> =
        factors.iter().map(|factor| factor.broadcast(IxDyn(d.shape()))).collect();
    let spread = spread.ok_or_else(misfit)?;
    let others = |i: usize| spread.iter().enumerate().filter(move |&(j, _)| j != i).map(|(_, factor)| factor);
    let each = masks.iter().enumerate().map(|(i, mask)| {
        let own = others(i).fold(d.clone(), |product, factor| product * factor);
        match mask {
            Some(mask) => kept(mask, &own),
            None => Ok(own),
        }
    });
    each.collect()
}

/// Of inputs that were compared one after another: of two the first gets the gradient if `first` says so, as in
/// TensorFlow, where equal ones go to the first.
pub(super) fn choice<T: Float>(
    inputs: Vec<ArrayD<T>>,
    masks: Vec<Option<ArrayD<bool>>>,
    d: ArrayD<T>,
    first: impl Fn(T, T) -> bool,
) -> Result<Vec<ArrayD<T>>> {
    let mut both = inputs.into_iter().zip(masks);
    let (mut chosen, mut mask) = both.next().ok_or_else(misfit)?;
    // What was compared at each step, and of which shape what had been chosen before was.
    let mut steps = Vec::new();
    for (next, next_mask) in both {
        let shape = chosen.shape().to_vec();
        let compared = Compared::new(chosen, mask, next, next_mask)?;
        mask = compared.mask.clone();
        let to = wide([compared.before.shape(), compared.next.shape()].into_iter());
        let [a, b] = [&compared.before, &compared.next].map(|side| side.broadcast(IxDyn(&to)));
        let (mut best, b) = (a.ok_or_else(misfit)?.to_owned(), b.ok_or_else(misfit)?);
        best.zip_mut_with(&b, |a, &b| *a = if first(*a, b) || a.is_nan() { *a } else { b });
        chosen = best;
        steps.push((shape, compared));
    }
    let mut parts = Vec::new();
    let mut left = d;
    for (shape, Compared { before, next, masks: [before_mask, next_mask], .. }) in steps.into_iter().rev() {
        let mut own = left.clone();
        let [a, b] = [&before, &next].map(|side| side.broadcast(left.raw_dim()).ok_or_else(misfit));
        Zip::from(&mut left).and(&mut own).and(&a?).and(&b?).for_each(|left, own, &a, &b| {
            let lost = if first(a, b) { own } else { left };
            *lost = T::zero();
        });
        // A masked element was the other's: so is its gradient, the last replacement first.
        if let Some(mask) = &before_mask {
            own = own + without(mask, &left)?;
            left = kept(mask, &left)?;
        }
        if let Some(mask) = &next_mask {
            left = left + without(mask, &own)?;
            own = kept(mask, &own)?;
        }
        left = summed_to(left, &shape);
        parts.push(own);
    }
    parts.push(left);
    parts.reverse();
    Ok(parts)
}

/// The gradient where the mask doesn't say so.
fn without<T: Float>(mask: &ArrayD<bool>, d: &ArrayD<T>) -> Result<ArrayD<T>> {
    kept(&mask.mapv(|live| !live), d)
}
