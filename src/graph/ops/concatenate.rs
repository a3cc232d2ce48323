//! Concatenate, with what each version of Keras does about masks.

use ndarray::{ArrayD, ArrayViewD, Axis, Slice};

use super::flags::{any, every};
use super::merge::{MaskRule, spread};
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape, axis_at, fit, is_beyond_time};
use crate::graph::stream::{Buffer, MaskBuffer, Step};
use crate::graph::tensor::{Mask, Shared, Tensor, Value};

/// Inputs side by side along an axis: Keras's `Concatenate`.
///
/// ```
/// use recurrent::{Dense, Gru, Lstm, Model, ops};
///
/// let mut graph = Model::<f32>::builder("two");
/// let x = graph.input("x", [None, Some(3)])?;
/// let (a, b) = (graph.call("lstm", Lstm::new(3, 4), &[x])?, graph.call("gru", Gru::new(3, 2), &[x])?);
/// let both = graph.call("both", ops::Concatenate::new(-1), &[a[0], b[0]])?;
/// let y = graph.call("dense", Dense::new(6, 1), &both)?;
/// let model = graph.build(&y)?;
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Concatenate {
    pub(crate) axis: i64,
    pub(crate) masks: MaskRule,
}

impl Concatenate {
    /// Along this axis, counted from the end if it is negative; Keras's default is -1, the features.
    pub fn new(axis: i64) -> Self {
        Concatenate { axis, masks: MaskRule::Any }
    }
}

impl<T: Float> Operation<T> for Concatenate {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("Concatenate").with("axis", self.axis).with("masks", self.masks.name()))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::first_of(inputs, 1)?;
        let refuse = || shape::misfit(format!("shapes that are equal but for axis {}", self.axis), inputs);
        let Some(at) = axis_at(self.axis, x.len()) else { return refuse() };
        let mut joined = x.clone();
        for input in &inputs[1..] {
            if input.len() != x.len() {
                return refuse();
            }
            for (i, (joined, &dimension)) in joined.iter_mut().zip(input).enumerate() {
                if i == at {
                    let sum = match (*joined, dimension) {
                        (Some(a), Some(b)) => a.checked_add(b).ok_or(()),
                        _ => Ok(0),
                    };
                    let Ok(sum) = sum else { return refuse() };
                    *joined = joined.and(dimension).map(|_| sum);
                } else if fit(*joined, dimension) {
                    *joined = joined.or(dimension);
                } else {
                    return refuse();
                }
            }
        }
        Ok(vec![joined])
    }

    /// Flags and integers stay what they are.
    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let mask = self.mask(inputs)?;
        Ok(vec![Tensor { value: concatenated(inputs.iter().map(|input| &input.value), self.axis)?, mask }])
    }

    /// Each input's part of what was joined.
    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let d = back.of_output()?;
        let axis = axis_at(self.axis, d.ndim()).ok_or_else(misfit)?;
        let mut end = 0;
        let parts = back.record.inputs.iter().map(|input| {
            let start = end;
            end += input.shape()[axis];
            let part = d.slice_axis(Axis(axis), Slice::from(start..end));
            Some(part.as_standard_layout().into_owned())
        });
        Ok(parts.collect())
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let inputs = step.inputs();
        let at = axis_at(self.axis, step.output().shape().len()).ok_or_else(misfit)?;
        let outer: usize = step.output().shape()[..at].iter().product();
        // How many elements of one row of the result come before an input's.
        let mut start = 0;
        let row = step.output().len() / outer.max(1);
        for (input, _) in inputs.clone() {
            let own = input.len() / outer.max(1);
            let place = |i: usize| i / own * row + start + i % own;
            match step.output() {
                Buffer::Float(to) => {
                    let to = to.as_slice_mut().ok_or_else(misfit)?;
                    input.each_float(|i, value| to[place(i)] = value);
                }
                Buffer::Int(to) => {
                    let to = to.as_slice_mut().ok_or_else(misfit)?;
                    input.each_integer(|i, value| to[place(i)] = value);
                }
                Buffer::Bool(to) => {
                    let to = to.as_slice_mut().ok_or_else(misfit)?;
                    input.each_flag(|i, value| to[place(i)] = value);
                }
            }
            start += own;
        }
        let rank = step.output().shape().len();
        match step.made {
            Some(made) => self.step_mask(made, inputs, at, rank),
            None => Ok(()),
        }
    }

    fn steps_alone(&self) -> bool {
        is_beyond_time(self.axis)
    }
}

impl Concatenate {
    /// [`mask`](Concatenate::mask) for one step.
    fn step_mask<'a, T: Float>(
        &self,
        made: &mut MaskBuffer,
        inputs: impl Iterator<Item = (&'a Buffer<T>, Option<&'a MaskBuffer>)>,
        at: usize,
        rank: usize,
    ) -> Result<()> {
        let all = self.masks == MaskRule::All;
        let beside = at + 1 == rank;
        made.flags.fill(all);
        let mut start = 0;
        for (input, mask) in inputs {
            let steps = if beside { 0..made.flags.len_of(Axis(0)) } else { start..start + input.shape()[at] };
            let axis = if beside { Axis(0) } else { Axis(at) };
            let mut own = made.flags.slice_axis_mut(axis, Slice::from(steps.clone()));
            start = steps.end;
            let join = |to: &mut bool, live: bool| *to = if all { *to && live } else { *to || live };
            match mask {
                None => own.iter_mut().for_each(|to| join(to, true)),
                // A step is what its features are.
                Some(mask) if mask.flags.ndim() == rank => {
                    let lanes = mask.flags.lanes(Axis(rank - 1));
                    for (to, lane) in own.iter_mut().zip(lanes) {
                        join(to, if all { lane.iter().all(|&live| live) } else { lane.iter().any(|&live| live) });
                    }
                }
                Some(mask) => {
                    let wide = mask.flags.broadcast(own.raw_dim()).ok_or_else(misfit)?;
                    own.iter_mut().zip(&wide).for_each(|(to, &live)| join(to, live));
                }
            }
        }
        Ok(())
    }

    /// Each mask with the features of its input, joined like the inputs; a step is live if any feature is (Keras 3), or
    /// if all are (Keras 2, where a mask counts as one feature).
    fn mask<T: Float>(&self, inputs: &[&Tensor<T>]) -> Result<Option<Mask>> {
        if self.masks == MaskRule::None || inputs.iter().all(|input| input.mask.is_none()) {
            return Ok(None);
        }
        let mut masks: Vec<Value<T>> = Vec::new();
        for input in inputs {
            let shape = input.shape();
            masks.push(Value::Bool(match &input.mask {
                None => ArrayD::from_elem(shape, true).into_shared(),
                Some(mask) if mask.ndim() < shape.len() && self.masks == MaskRule::Any => {
                    spread(mask, shape)?.into_shared()
                }
                Some(mask) if mask.ndim() < shape.len() => mask.flags().clone().insert_axis(Axis(mask.ndim())),
                Some(mask) => mask.flags().clone(),
            }));
        }
        let joined = match concatenated(masks.iter(), self.axis) {
            Ok(joined) => joined.flags(),
            Err(_) => {
                let shapes: Vec<_> = masks.iter().map(|mask| format!("{:?}", mask.shape())).collect();
                let given = inputs.first().map_or(&[][..], |input| input.shape());
                return Err(mismatch(format!("masks that can be joined, not {}", shapes.join(" and ")), given));
            }
        };
        Ok(Some(Mask::of(match self.masks {
            MaskRule::All => every(&joined),
            _ => any(&joined, Some(&[-1]), false),
        })))
    }
}

fn concatenated<'a, T: Float>(inputs: impl Iterator<Item = &'a Value<T>>, axis: i64) -> Result<Value<T>> {
    fn join<A: Clone>(arrays: &[Shared<A>], axis: i64) -> Result<Shared<A>> {
        let rank = arrays.first().map_or(0, |array| array.ndim());
        let axis = Axis(axis_at(axis, rank).ok_or_else(misfit)?);
        let views: Vec<ArrayViewD<'_, A>> = arrays.iter().map(|array| array.view()).collect();
        Ok(ndarray::concatenate(axis, &views).map_err(|_| misfit())?.into_shared())
    }
    let inputs: Vec<&Value<T>> = inputs.collect();
    if inputs.iter().all(|value| matches!(value, Value::Bool(_))) {
        let arrays: Vec<_> = inputs.iter().map(|value| value.flags()).collect();
        return Ok(Value::Bool(join(&arrays, axis)?));
    }
    if !inputs.iter().any(|value| matches!(value, Value::Float(_))) {
        let arrays: Vec<_> = inputs.iter().map(|value| value.integers()).collect();
        return Ok(Value::Int(join(&arrays, axis)?));
    }
    let arrays: Vec<_> = inputs.iter().map(|value| value.floats()).collect();
    Ok(Value::Float(join(&arrays, axis)?))
}
