//! Operations that move elements and change none: Flatten, Reshape, Permute, RepeatVector, ExpandDims.

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};

use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Role, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape, axis_at, product};
use crate::graph::stream::{Buffer, Step, permuted};
use crate::graph::tensor::{Shared, Tensor, Value};

/// All dimensions behind the batch as one: Keras's `Flatten`.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Lstm, Sequential, ops};
///
/// let lstm = Lstm::<f32>::builder(3, 4).return_sequences(true).build()?;
/// let head = Dense::new(5 * 4, 2); // of five steps
/// let model = Sequential::<f32>::builder("m").input_shape([Some(5), Some(3)]).layer(lstm).layer(ops::Flatten).layer(head).build()?;
/// assert_eq!(model.predict_one(&Array3::<f32>::ones((2, 5, 3)))?.shape(), [2, 2]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Flatten;

/// The elements in row order in another shape: Keras's `Reshape`.
#[derive(Debug, Clone)]
pub struct Reshape(pub(crate) Vec<Option<usize>>);

/// Another order of the axes: Keras's `Permute`.
#[derive(Debug, Clone)]
pub struct Permute(pub(crate) Vec<usize>);

/// So many times the same, as steps: Keras's `RepeatVector`.
#[derive(Debug, Clone, Copy)]
pub struct RepeatVector(pub(crate) usize);

impl Reshape {
    /// To this shape, without the batch; one size may be `None`, which is what is left.
    pub fn new(shape: impl AsRef<[Option<usize>]>) -> Self {
        Reshape(shape.as_ref().to_vec())
    }
}

impl Permute {
    /// In this order: 1, 2, .. without the batch, each once.
    pub fn new(order: impl AsRef<[usize]>) -> Self {
        Permute(order.as_ref().to_vec())
    }
}

impl RepeatVector {
    /// `n` times.
    pub fn new(n: usize) -> Self {
        RepeatVector(n)
    }
}

/// A new dimension of one: Keras's `ops.expand_dims`.
#[derive(Debug, Clone, Copy)]
pub struct ExpandDims(pub(crate) i64);

impl ExpandDims {
    /// At this axis, counted from the end if it is negative.
    pub fn new(axis: i64) -> Self {
        ExpandDims(axis)
    }
}

impl<T: Float> Operation<T> for Flatten {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("Flatten"))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        if x.len() == 1 {
            return Ok(vec![vec![x[0], Some(1)]]);
        }
        match product(&x[1..]) {
            None if x[1..].iter().all(Option::is_some) => shape::misfit("fewer elements", inputs),
            flat => Ok(vec![vec![x[0], flat]]),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = &inputs[0].value;
        let (batch, rest) = x.shape().split_first().map_or((0, 1), |(&batch, rest)| (batch, rest.iter().product()));
        Ok(vec![Tensor::unmasked(reshaped(x, &[batch, rest])?)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        step.output().copy_from(input)
    }

    fn backward(&self, back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        in_the_input_shape(back)
    }
}

impl<T: Float> Operation<T> for Reshape {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("Reshape").with("target_shape", self.0.clone()))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let (x, target) = (shape::only(inputs)?, &self.0);
        let (from, known) = (&x[1..], target.iter().filter_map(|&n| n).try_fold(1_usize, |all, n| all.checked_mul(n)));
        let refuse = || shape::misfit(format!("what can take the shape {}", shape::display(target)), inputs);
        let Some(known) = known else { return refuse() };
        let open = target.iter().filter(|size| size.is_none()).count();
        if open > 1 {
            return shape::misfit("one size at most that is left open", inputs);
        }
        let open = open == 1;
        let fill = match (product(from), from.iter().all(Option::is_some)) {
            (None, true) => return refuse(),
            (None, false) => None,
            (Some(all), _) if open && known > 0 && all % known == 0 => Some(all / known),
            (Some(all), _) if !open && all == known => None,
            (Some(_), _) => return refuse(),
        };
        Ok(vec![std::iter::once(x[0]).chain(target.iter().map(|&dimension| dimension.or(fill))).collect()])
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = &inputs[0].value;
        let shapes = Operation::<T>::infer(self, &[shape::known(x.shape())]).map_err(|_| misfit())?;
        let target: Option<Vec<usize>> = shapes[0].iter().copied().collect();
        Ok(vec![Tensor::unmasked(reshaped(x, &target.ok_or_else(misfit)?)?)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        step.output().copy_from(input)
    }

    fn backward(&self, back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        in_the_input_shape(back)
    }
}

impl Permute {
    fn axes(&self) -> Vec<usize> {
        std::iter::once(0).chain(self.0.iter().copied()).collect()
    }
}

impl<T: Float> Operation<T> for Permute {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("Permute").with("dims", self.0.clone()))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        if self.0.len() + 1 != x.len() {
            return shape::misfit(format!("{} dimensions", self.0.len() + 1), inputs);
        }
        if (1..x.len()).any(|axis| !self.0.contains(&axis)) {
            return shape::misfit("each of 1, 2, .. once in the order of the axes", inputs);
        }
        Ok(vec![self.axes().into_iter().map(|axis| x[axis]).collect()])
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let axes = self.axes();
        Ok(vec![Tensor::unmasked(match &inputs[0].value {
            Value::Float(x) => Value::Float(x.clone().permuted_axes(axes)),
            Value::Int(x) => Value::Int(x.clone().permuted_axes(axes)),
            Value::Bool(x) => Value::Bool(x.clone().permuted_axes(axes)),
        })])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let axes = || std::iter::once(0).chain(self.0.iter().copied());
        match (step.input(0), step.output()) {
            (Buffer::Float(from), Buffer::Float(to)) => fill(to, permuted(from.view(), axes())),
            (Buffer::Int(from), Buffer::Int(to)) => fill(to, permuted(from.view(), axes())),
            (Buffer::Bool(from), Buffer::Bool(to)) => fill(to, permuted(from.view(), axes())),
            _ => return Err(misfit()),
        }
        Ok(())
    }

    /// The axes where they were before.
    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let d = back.of_output()?.permuted_axes(inverse(&self.axes()));
        Ok(vec![Some(d.as_standard_layout().into_owned())])
    }
}

impl<T: Float> Operation<T> for RepeatVector {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("RepeatVector").with("n", self.0))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        match shape::only(inputs)?[..] {
            [batch, features] => Ok(vec![vec![batch, Some(self.0), features]]),
            _ => shape::misfit("(batch, features)", inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        fn repeat<A: Clone>(x: &Shared<A>, n: usize) -> Result<Shared<A>> {
            let [batch, features] = x.shape() else { return Err(misfit()) };
            let wide = x.view().insert_axis(Axis(1));
            let wide = wide.broadcast(IxDyn(&[*batch, n, *features])).ok_or_else(misfit)?;
            Ok(wide.to_owned().into_shared())
        }
        Ok(vec![Tensor::unmasked(match &inputs[0].value {
            Value::Float(x) => Value::Float(repeat(x, self.0)?),
            Value::Int(x) => Value::Int(repeat(x, self.0)?),
            Value::Bool(x) => Value::Bool(repeat(x, self.0)?),
        })])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let [batch, features] = *step.input(0).shape() else { return Err(misfit()) };
        let of = move |i: usize| i / (features * self.0) * features + i % features;
        debug_assert_eq!(step.output().len(), batch * features * self.0);
        match (step.input(0), step.output()) {
            (Buffer::Float(from), Buffer::Float(to)) => repeat_into(to, from, of),
            (Buffer::Int(from), Buffer::Int(to)) => repeat_into(to, from, of),
            (Buffer::Bool(from), Buffer::Bool(to)) => repeat_into(to, from, of),
            _ => Err(misfit()),
        }
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        Ok(vec![Some(back.of_output()?.sum_axis(Axis(1)))])
    }

    fn give_one_step(&mut self) {
        self.0 = 1;
    }

    fn role(&self) -> Role<'_, T> {
        Role::Repeat
    }
}

impl<T: Float> Operation<T> for ExpandDims {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("ExpandDims").with("axis", self.0))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let mut expanded = shape::only(inputs)?.clone();
        let Some(at) = axis_at(self.0, expanded.len() + 1) else {
            return shape::misfit(format!("an axis {}", self.0), inputs);
        };
        expanded.insert(at, Some(1));
        Ok(vec![expanded])
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = &inputs[0].value;
        let at = axis_at(self.0, x.shape().len() + 1).ok_or_else(misfit)?;
        let mut shape = x.shape().to_vec();
        shape.insert(at, 1);
        Ok(vec![Tensor::unmasked(reshaped(x, &shape)?)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        step.output().copy_from(input)
    }

    fn backward(&self, back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        in_the_input_shape(back)
    }

    fn steps_alone(&self) -> bool {
        self.0 == -1 || self.0 > 1
    }
}

/// The elements in row order in another shape.
pub(in crate::graph) fn reshaped<T: Float>(x: &Value<T>, shape: &[usize]) -> Result<Value<T>> {
    fn go<A: Clone>(x: &Shared<A>, shape: &[usize]) -> Result<Shared<A>> {
        let reshaped = x.to_shape(IxDyn(shape)).map_err(|_| mismatch(format!("{shape:?}"), x.shape()))?;
        Ok(reshaped.into_owned().into_shared())
    }
    Ok(match x {
        Value::Float(x) => Value::Float(go(x, shape)?),
        Value::Int(x) => Value::Int(go(x, shape)?),
        Value::Bool(x) => Value::Bool(go(x, shape)?),
    })
}

/// The same of a gradient.
pub(in crate::graph) fn reshaped_gradient<T: Float>(d: ArrayD<T>, shape: &[usize]) -> Result<ArrayD<T>> {
    let refuse = mismatch(format!("{shape:?}"), d.shape());
    let d = d.as_standard_layout().into_owned();
    d.into_shape_with_order(IxDyn(shape)).map_err(|_| refuse)
}

fn fill<A: Copy>(to: &mut ArrayD<A>, from: ArrayViewD<'_, A>) {
    to.iter_mut().zip(&from).for_each(|(to, &from)| *to = from);
}

/// Each element of a larger array, by its place in a smaller one.
fn repeat_into<A: Copy>(to: &mut ArrayD<A>, from: &ArrayD<A>, of: impl Fn(usize) -> usize) -> Result<()> {
    let from = from.as_slice().ok_or_else(misfit)?;
    to.iter_mut().enumerate().for_each(|(i, to)| *to = from[of(i)]);
    Ok(())
}

fn in_the_input_shape<T: Float>(mut back: Back<'_, T>) -> Result<Vec<Flow<T>>> {
    let (d, x) = (back.of_output()?, back.input()?);
    Ok(vec![Some(reshaped_gradient(d, x.shape())?)])
}

/// The order that undoes another.
pub(super) fn inverse(order: &[usize]) -> Vec<usize> {
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(at, &axis)| back[axis] = at);
    back
}
