//! Merging layers: several inputs that become one, with what each version of Keras does about masks.

mod backward;
mod step;

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Zip};

use super::flags::{any, either};
use super::shapes::reshaped_gradient;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::backward::summed_to;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape, broadcast, pad};
use crate::graph::stream::Step;
use crate::graph::tensor::{Mask, Shared, Tensor, Value};

/// A merging layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Merge {
    pub(crate) how: MergeOp,
    pub(crate) masks: MaskRule,
}

impl<T: Float> Operation<T> for Merge {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new(&format!("{:?}", self.how)).with("masks", self.masks.name()))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        if self.how == MergeOp::Subtract && inputs.len() != 2 {
            return shape::misfit("two inputs", inputs);
        }
        shape::first_of(inputs, 1)?;
        match broadcast(inputs) {
            Some(merged) => Ok(vec![merged]),
            None => shape::misfit("shapes that fit each other", inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        Ok(vec![merged(self.how, self.masks, inputs)?])
    }

    /// Each input's gradient, summed where it was spread. What a mask replaced gets none.
    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, rule) = (back.of_output()?, self.masks);
        let record = &*back.record;
        let inputs = of_one_rank(record.inputs.iter().map(|input| input.floats()))?;
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.shape().to_vec()).collect();
        let count = inputs.len();
        let parts: Vec<ArrayD<T>> = match self.how {
            MergeOp::Add => vec![d; count],
            MergeOp::Average => {
                let by = T::from_f64(count as f64);
                vec![d.mapv(|d| d / by); count]
            }
            MergeOp::Subtract => (0..count).map(|i| if i == 0 { d.clone() } else { d.mapv(|d| -d) }).collect(),
            MergeOp::Multiply => backward::product(&inputs, backward::masks(rule, record)?, d)?,
            MergeOp::Maximum => backward::choice(inputs, backward::masks(rule, record)?, d, |a, b| a >= b)?,
            MergeOp::Minimum => backward::choice(inputs, backward::masks(rule, record)?, d, |a, b| a <= b)?,
        };
        let each = parts.into_iter().zip(&shapes).zip(&record.inputs);
        each.map(|((d, shape), input)| reshaped_gradient(summed_to(d, shape), input.shape()).map(Some)).collect()
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        step::step(self.how, self.masks, step)
    }

    fn steps_alone(&self) -> bool {
        true
    }
}

/// A type for each merging layer, under Keras's name.
macro_rules! layers {
    ($($(#[doc = $text:literal])* $layer:ident)*) => {$(
        $(#[doc = $text])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $layer;
    )*};
}

layers! {
    /// The sum of its inputs, element by element. Inputs of fewer dimensions spread over the others.
    Add
    /// The mean of its inputs, element by element.
    Average
    /// The largest of its inputs, element by element.
    Maximum
    /// The smallest of its inputs, element by element.
    Minimum
    /// The product of its inputs, element by element.
    Multiply
    /// The first of two inputs less the second.
    Subtract
}

/// How several inputs become one, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MergeOp {
    Add,
    Subtract,
    Multiply,
    Average,
    Maximum,
    Minimum,
}

/// What joining tensors does about their masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaskRule {
    /// Keras 3: a step is live where any of the masks says so, and merging layers replace the elements of masked ones:
    /// see [`without_masked`].
    Any,
    /// Keras 2: a step is live where all of the masks say so; elements stay what they are.
    All,
    /// An operation outside of layers: no mask comes out.
    None,
}

impl MaskRule {
    /// The rules by name.
    pub(crate) const NAMES: [(&'static str, MaskRule); 3] =
        [("any", MaskRule::Any), ("all", MaskRule::All), ("none", MaskRule::None)];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, rule)| *rule == self).map_or("", |(name, _)| *name)
    }
}

/// What merging does with two elements.
#[derive(Debug, Clone, Copy)]
struct Arithmetic<A> {
    how: MergeOp,
    combine: fn(MergeOp, A, A) -> A,
    zero: A,
    one: A,
}

fn combine_floats<T: Float>(how: MergeOp, a: T, b: T) -> T {
    match how {
        MergeOp::Add | MergeOp::Average => a + b,
        MergeOp::Subtract => a - b,
        MergeOp::Multiply => a * b,
        MergeOp::Maximum if a >= b || a.is_nan() => a,
        MergeOp::Minimum if a <= b || a.is_nan() => a,
        MergeOp::Maximum | MergeOp::Minimum => b,
    }
}

fn combine_integers(how: MergeOp, a: i64, b: i64) -> i64 {
    match how {
        MergeOp::Add | MergeOp::Average => a.saturating_add(b),
        MergeOp::Subtract => a.saturating_sub(b),
        MergeOp::Multiply => a.saturating_mul(b),
        MergeOp::Maximum => a.max(b),
        MergeOp::Minimum => a.min(b),
    }
}

/// A merging layer. Integers stay integers, but for their average; flags can't be merged.
fn merged<T: Float>(how: MergeOp, rule: MaskRule, inputs: &[&Tensor<T>]) -> Result<Tensor<T>> {
    let flags = |value: &Value<T>| matches!(value, Value::Bool(_));
    if inputs.iter().all(|input| flags(&input.value)) {
        let shape = inputs.first().map_or(&[][..], |input| input.shape());
        return Err(mismatch("numbers, which flags aren't".into(), shape));
    }
    let masks = inside(rule, inputs)?;
    let count = inputs.len() as f64;
    let (value, mask) = if inputs.iter().any(|input| matches!(input.value, Value::Float(_))) {
        let arithmetic = Arithmetic { how, combine: combine_floats, zero: T::zero(), one: T::one() };
        let (mut sum, mask) = arithmetic.merge(inputs.iter().map(|input| input.value.floats()), masks)?;
        if how == MergeOp::Average {
            sum.mapv_inplace(|sum| sum / T::from_f64(count));
        }
        (Value::Float(sum.into_shared()), mask)
    } else {
        let arithmetic = Arithmetic { how, combine: combine_integers, zero: 0, one: 1 };
        let (sum, mask) = arithmetic.merge(inputs.iter().map(|input| input.value.integers()), masks)?;
        if sum.iter().any(|&sum| i32::try_from(sum).is_err()) {
            // Keras's would wrap, at a number of bits that isn't known here.
            return Err(mismatch("integers whose result has 32 bits".into(), sum.shape()));
        }
        let value = match how {
            MergeOp::Average => Value::Float(sum.map(|&sum| T::from_f64(sum as f64 / count)).into_shared()),
            _ => Value::Int(sum.into_shared()),
        };
        (value, mask)
    };
    let mask = match mask {
        Some(mask) => Some(mask),
        None => joined_mask(rule, inputs)?,
    };
    Ok(Tensor { value, mask })
}

/// The masks that a merging layer reads with its inputs, each spread over the features of its own input.
///
/// An input that gets further dimensions, because others have more, loses its mask on the way, as in Keras.
fn inside<T: Float>(rule: MaskRule, inputs: &[&Tensor<T>]) -> Result<Vec<Option<ArrayD<bool>>>> {
    let rank = inputs.iter().map(|input| input.shape().len()).max().unwrap_or(0);
    let one = |input: &&Tensor<T>| match &input.mask {
        Some(mask) if rule == MaskRule::Any && input.shape().len() == rank => spread(mask, input.shape()).map(Some),
        _ => Ok(None),
    };
    inputs.iter().map(one).collect()
}

/// A mask with a last dimension of one, over a shape.
pub(super) fn spread(mask: &Mask, shape: &[usize]) -> Result<ArrayD<bool>> {
    let wide = mask.view().insert_axis(Axis(mask.ndim()));
    let wide = wide.broadcast(shape).ok_or_else(|| mismatch(format!("a mask for {shape:?}"), mask.shape()))?;
    Ok(wide.to_owned())
}

/// `of` where the mask says so, `other` elsewhere; all spread over each other.
fn choose<A: Copy>(mask: &ArrayD<bool>, of: &ArrayD<A>, other: &ArrayD<A>) -> Result<ArrayD<A>> {
    let shape = wide([mask.shape(), of.shape(), other.shape()].into_iter());
    let mut chosen = spread_over(of, &shape)?.to_owned();
    let (mask, other) = (spread_over(mask, &shape)?, spread_over(other, &shape)?);
    Zip::from(&mut chosen).and(&mask).and(&other).for_each(|chosen, &mask, &other| {
        if !mask {
            *chosen = other;
        }
    });
    Ok(chosen)
}

fn spread_over<'a, A>(array: &'a ArrayD<A>, shape: &[usize]) -> Result<ArrayViewD<'a, A>> {
    array.broadcast(IxDyn(shape)).ok_or_else(misfit)
}

/// The shape that several arrays of one rank are spread over.
fn wide<'s>(shapes: impl Iterator<Item = &'s [usize]>) -> Vec<usize> {
    let mut all: Vec<usize> = Vec::new();
    for shape in shapes {
        all.resize(all.len().max(shape.len()), 1);
        all.iter_mut().zip(shape).for_each(|(all, &one)| *all = if *all == 1 { one } else { *all });
    }
    all
}

pub(super) fn either_of(a: &ArrayD<bool>, b: &ArrayD<bool>) -> Result<ArrayD<bool>> {
    let shape = wide([a.shape(), b.shape()].into_iter());
    let mut all = spread_over(a, &shape)?.to_owned();
    all.zip_mut_with(&spread_over(b, &shape)?, |a, &b| *a |= b);
    Ok(all)
}

/// What one input of Maximum or Minimum, and what had been chosen before it, are compared as: a masked element of
/// either is replaced by the other's.
struct Compared<A> {
    before: ArrayD<A>,
    next: ArrayD<A>,
    /// The masks that were read: of what had been chosen, of the input.
    masks: [Option<ArrayD<bool>>; 2],
    /// The mask of what is chosen now.
    mask: Option<ArrayD<bool>>,
}

impl<A: Copy> Compared<A> {
    fn new(
        before: ArrayD<A>,
        before_mask: Option<ArrayD<bool>>,
        next: ArrayD<A>,
        next_mask: Option<ArrayD<bool>>,
    ) -> Result<Self> {
        let next = match &next_mask {
            Some(mask) => choose(mask, &next, &before)?,
            None => next,
        };
        let before = match &before_mask {
            Some(mask) => choose(mask, &before, &next)?,
            None => before,
        };
        let mask = match (&before_mask, &next_mask) {
            (Some(a), Some(b)) => Some(either_of(a, b)?),
            _ => None,
        };
        Ok(Compared { before, next, masks: [before_mask, next_mask], mask })
    }
}

/// The inputs of Multiply as they are multiplied, and the mask of the result.
type Factors<A> = (Vec<ArrayD<A>>, Option<ArrayD<bool>>);

/// The inputs of Multiply: masked elements count as one. And the mask of the result, if every input has one: what is
/// masked in all of them becomes zero.
fn without_masked<A: Copy>(inputs: &[ArrayD<A>], masks: &[Option<ArrayD<bool>>], one: A) -> Result<Factors<A>> {
    let one = ArrayD::from_elem(vec![1; inputs.first().map_or(0, ArrayD::ndim)], one);
    let mut factors = Vec::new();
    let mut all: Option<ArrayD<bool>> = None;
    for (input, mask) in inputs.iter().zip(masks) {
        factors.push(match mask {
            Some(mask) => choose(mask, input, &one)?,
            None => input.clone(),
        });
        all = match (all, mask) {
            (Some(all), Some(mask)) => Some(either_of(&all, mask)?),
            (None, mask) => mask.clone(),
            (all, None) => all,
        };
    }
    Ok((factors, all.filter(|_| masks.iter().all(Option::is_some))))
}

impl<A: Copy> Arithmetic<A> {
    /// The result, and the mask that the layer itself makes.
    fn merge(
        &self,
        inputs: impl Iterator<Item = Shared<A>>,
        masks: Vec<Option<ArrayD<bool>>>,
    ) -> Result<(ArrayD<A>, Option<Mask>)> {
        let inputs = of_one_rank(inputs)?;
        let (result, mask) = match self.how {
            MergeOp::Add | MergeOp::Subtract | MergeOp::Average => (self.fold(&inputs)?, None),
            MergeOp::Multiply => {
                let (factors, mask) = without_masked(&inputs, &masks, self.one)?;
                let product = self.fold(&factors)?;
                let zero = ArrayD::from_elem(vec![1; product.ndim()], self.zero);
                match mask {
                    Some(mask) => (choose(&mask, &product, &zero)?, Some(mask)),
                    None => (product, None),
                }
            }
            MergeOp::Maximum | MergeOp::Minimum => self.compare(inputs, masks)?,
        };
        Ok((result, mask.map(|mask| Mask::of(any(&mask.into_shared(), Some(&[-1]), false)))))
    }

    fn fold(&self, inputs: &[ArrayD<A>]) -> Result<ArrayD<A>> {
        let shape = wide(inputs.iter().map(|input| input.shape()));
        let Some((first, rest)) = inputs.split_first() else { return Err(misfit()) };
        let mut result = spread_over(first, &shape)?.to_owned();
        for next in rest {
            result.zip_mut_with(&spread_over(next, &shape)?, |a, &b| *a = (self.combine)(self.how, *a, b));
        }
        Ok(result)
    }

    fn compare(
        &self,
        inputs: Vec<ArrayD<A>>,
        masks: Vec<Option<ArrayD<bool>>>,
    ) -> Result<(ArrayD<A>, Option<ArrayD<bool>>)> {
        let mut both = inputs.into_iter().zip(masks);
        let (mut result, mut mask) = both.next().ok_or_else(misfit)?;
        for (next, next_mask) in both {
            let compared = Compared::new(result, mask, next, next_mask)?;
            result = self.fold(&[compared.before, compared.next])?;
            mask = compared.mask;
        }
        Ok((result, mask))
    }
}

/// Inputs in row order, those of fewer dimensions with ones behind the batch.
fn of_one_rank<A: Clone>(inputs: impl Iterator<Item = Shared<A>>) -> Result<Vec<ArrayD<A>>> {
    let inputs: Vec<_> = inputs.collect();
    let rank = inputs.iter().map(|input| input.ndim()).max().unwrap_or(0);
    let one = |input: &Shared<A>| {
        let input = input.as_standard_layout().into_owned();
        let shape = pad(input.shape(), rank, 1);
        input.into_shape_with_order(IxDyn(&shape)).map_err(|_| misfit())
    };
    inputs.iter().map(one).collect()
}

/// The mask of merged inputs, where the layer itself has made none.
fn joined_mask<T: Float>(rule: MaskRule, inputs: &[&Tensor<T>]) -> Result<Option<Mask>> {
    match rule {
        MaskRule::None => Ok(None),
        MaskRule::Any => {
            let masks: Option<Vec<_>> =
                inputs.iter().map(|input| input.mask.as_ref().map(|mask| mask.flags().clone())).collect();
            masks.map(|masks| either(&masks).map(Mask::of)).transpose()
        }
        MaskRule::All => {
            let mut masks = inputs.iter().filter_map(|input| input.mask.as_ref());
            let Some(first) = masks.next() else { return Ok(None) };
            let mut all = first.flags().to_owned();
            for mask in masks {
                if mask.shape() != all.shape() {
                    return Err(mismatch(format!("masks of one shape, {:?}", all.shape()), mask.shape()));
                }
                all.zip_mut_with(mask.flags(), |a, &b| *a &= b);
            }
            Ok(Some(Mask::of(all.into_shared())))
        }
    }
}
