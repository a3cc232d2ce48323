//! Operations on flags, which masks are made with: NotEqual, Any, LogicalOr, ZerosLike and OnesLike.

use ndarray::{ArrayD, Axis};

use super::merge::either_of;
use super::shapes::reshaped;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Role, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape, axis_at, broadcast, is_beyond_time};
use crate::graph::stream::{Buffer, Spread, Step};
use crate::graph::tensor::{Shared, Tensor, Value};

/// Which elements aren't a number, to be a mask: Keras's `ops.not_equal`.
#[derive(Debug, Clone, Copy)]
pub struct NotEqual(pub(crate) f64);

/// Whether any is true along axes, to be a mask: Keras's `ops.any`.
#[derive(Debug, Clone)]
pub struct Any {
    pub(crate) axes: Option<Vec<i64>>,
    pub(crate) keepdims: bool,
}

/// Which are true in any of the inputs: Keras's `ops.logical_or`.
#[derive(Debug, Clone, Copy)]
pub struct LogicalOr;

/// All true or all false, in the shape of the input: Keras's `ops.ones_like(x, dtype="bool")` and `ops.zeros_like`.
#[derive(Debug, Clone, Copy)]
pub struct Flags(pub(crate) bool);

impl NotEqual {
    /// Not this number.
    pub fn new(number: f64) -> Self {
        NotEqual(number)
    }
}

impl Any {
    /// Along this axis, counted from the end if it is negative: of features, which steps have any.
    pub fn new(axis: i64) -> Self {
        Any { axes: Some(vec![axis]), keepdims: false }
    }
}

impl Flags {
    /// All of them are this.
    pub fn new(flag: bool) -> Self {
        Flags(flag)
    }
}

impl<T: Float> Operation<T> for NotEqual {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("NotEqual").with("number", self.0))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        Ok(vec![shape::only(inputs)?.clone()])
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let NotEqual(number) = *self;
        Ok(vec![Tensor::unmasked(Value::Bool(match &inputs[0].value {
            Value::Float(x) => {
                let number = T::from_f64(number);
                x.map(|&x| x != number).into_shared()
            }
            Value::Int(x) => x.map(|&x| x as f64 != number).into_shared(),
            Value::Bool(x) => x.map(|&x| f64::from(u8::from(x)) != number).into_shared(),
        }))])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let (input, NotEqual(number)) = (step.input(0), *self);
        let flags = step.output().as_flags()?;
        match input {
            Buffer::Float(_) => input.each_float(|at, x| flags[at] = x != T::from_f64(number)),
            _ => input.each_integer(|at, x| flags[at] = x as f64 != number),
        }
        Ok(())
    }

    fn backward(&self, _back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        none()
    }

    fn steps_alone(&self) -> bool {
        true
    }

    fn role(&self) -> Role<'_, T> {
        Role::NotEqual(self.0)
    }
}

impl<T: Float> Operation<T> for Any {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("Any").with("axis", self.axes.clone()).with("keepdims", self.keepdims))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        let mut reduced: Vec<usize> = (0..x.len()).collect();
        if let Some(axes) = &self.axes {
            reduced = axes.iter().filter_map(|&axis| axis_at(axis, x.len())).collect();
            if reduced.len() != axes.len() {
                return shape::misfit(format!("axes {axes:?}"), inputs);
            }
        }
        let kept = |(i, &dimension): (usize, &Option<usize>)| match (reduced.contains(&i), self.keepdims) {
            (false, _) => Some(dimension),
            (true, true) => Some(Some(1)),
            (true, false) => None,
        };
        Ok(vec![x.iter().enumerate().filter_map(kept).collect()])
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let flags = any(&inputs[0].value.flags(), self.axes.as_deref(), self.keepdims);
        Ok(vec![Tensor::unmasked(Value::Bool(flags))])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        let rank = input.shape().len();
        let is_reduced = |axis: usize| match &self.axes {
            None => true,
            Some(axes) => axes.iter().any(|&own| axis_at(own, rank) == Some(axis)),
        };
        // The result with ones where axes were reduced, spread over what was read.
        let sizes = input.shape().iter().enumerate().map(|(axis, &size)| if is_reduced(axis) { 1 } else { size });
        let place = Spread::new(sizes, input.shape());
        let flags = step.output().as_flags()?;
        flags.fill(false);
        input.each_flag(|at, flag| flags[place.at(at)] |= flag);
        Ok(())
    }

    fn backward(&self, _back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        none()
    }

    fn steps_alone(&self) -> bool {
        self.axes.as_ref().is_some_and(|axes| axes.iter().all(|&axis| is_beyond_time(axis)))
    }

    fn role(&self) -> Role<'_, T> {
        Role::Any { along_the_last: self.axes.as_deref() == Some(&[-1]) && !self.keepdims }
    }
}

impl<T: Float> Operation<T> for LogicalOr {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("LogicalOr"))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        shape::first_of(inputs, 2)?;
        match broadcast(inputs) {
            Some(merged) => Ok(vec![merged]),
            None => shape::misfit("shapes that fit each other", inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let flags: Vec<_> = inputs.iter().map(|input| input.value.flags()).collect();
        Ok(vec![Tensor::unmasked(Value::Bool(either(&flags)?))])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let inputs = step.inputs();
        let Buffer::Bool(all) = step.output() else { return Err(misfit()) };
        all.fill(false);
        for (input, _) in inputs {
            let place = lead_over(input.shape(), all.shape());
            let flags = all.as_slice_mut().ok_or_else(misfit)?;
            match input {
                Buffer::Bool(own) => {
                    let own = own.as_slice().ok_or_else(misfit)?;
                    flags.iter_mut().enumerate().for_each(|(at, flag)| *flag |= own[place.at(at)]);
                }
                _ if input.len() == flags.len() => input.each_flag(|at, flag| flags[at] |= flag),
                _ => return Err(misfit()),
            }
        }
        Ok(())
    }

    fn backward(&self, _back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        none()
    }

    fn steps_alone(&self) -> bool {
        true
    }

    fn role(&self) -> Role<'_, T> {
        Role::LogicalOr
    }
}

impl<T: Float> Operation<T> for Flags {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new(if self.0 { "OnesLike" } else { "ZerosLike" }))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        Ok(vec![shape::only(inputs)?.clone()])
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        Ok(vec![Tensor::unmasked(Value::Bool(ArrayD::from_elem(inputs[0].shape(), self.0).into_shared()))])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        step.output().as_flags()?.fill(self.0);
        Ok(())
    }

    fn backward(&self, _back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        none()
    }

    fn steps_alone(&self) -> bool {
        true
    }
}

/// Flags have no gradient.
fn none<T>() -> Result<Vec<Flow<T>>> {
    Ok(Vec::new())
}

/// Whether all along the last axis are true.
pub(super) fn every(flags: &Shared<bool>) -> Shared<bool> {
    let last = Axis(flags.ndim().saturating_sub(1));
    flags.map_axis(last, |along| along.iter().all(|&flag| flag)).into_shared()
}

pub(super) fn either(flags: &[Shared<bool>]) -> Result<Shared<bool>> {
    let Some((first, rest)) = flags.split_first() else { return Err(misfit()) };
    let mut all = first.to_owned();
    for flags in rest {
        let rank = all.ndim().max(flags.ndim());
        let (a, b) = (lead(all.shape(), rank), lead(flags.shape(), rank));
        let refuse = |_| mismatch(format!("masks that fit {a:?}"), flags.shape());
        let [a, b] = [(&all.clone().into_shared(), &a), (flags, &b)].map(|(array, shape)| {
            let Value::<f32>::Bool(array) = reshaped(&Value::Bool(array.clone()), shape)? else { return Err(misfit()) };
            Ok(array.to_owned())
        });
        all = either_of(&a?, &b?).map_err(refuse)?;
    }
    Ok(all.into_shared())
}

/// How an array is spread over another by numpy's broadcasting.
pub(super) fn lead_over(shape: &[usize], over: &[usize]) -> Spread {
    let ones = over.len().saturating_sub(shape.len());
    Spread::new((0..over.len()).map(|axis| if axis < ones { 1 } else { shape[axis - ones] }), over)
}

/// numpy's broadcasting: ones in front.
fn lead(shape: &[usize], rank: usize) -> Vec<usize> {
    std::iter::repeat_n(1, rank - shape.len()).chain(shape.iter().copied()).collect()
}

pub(super) fn any(flags: &Shared<bool>, axes: Option<&[i64]>, keepdims: bool) -> Shared<bool> {
    let rank = flags.ndim();
    let mut reduced: Vec<usize> = match axes {
        None => (0..rank).collect(),
        Some(axes) => axes.iter().filter_map(|&axis| axis_at(axis, rank)).collect(),
    };
    // From the last axis on, so that the places of the others stay.
    reduced.sort_unstable_by(|a, b| b.cmp(a));
    reduced.dedup();
    let mut result = flags.to_owned();
    for axis in reduced {
        result = result.map_axis(Axis(axis), |along| along.iter().any(|&flag| flag));
        if keepdims {
            result.insert_axis_inplace(Axis(axis));
        }
    }
    result.into_shared()
}
