//! Operations that say the whole shape, the batch included, and what puts arrays side by side along a new axis: Keras's
//! `ops.reshape`, `ops.broadcast_to` and `ops.stack`.

use ndarray::{ArrayD, Axis, IxDyn};

use super::places::{Kind, Read, Spreading, all_known, blank, broadcast, gathered, in_order, written};
use super::shapes::{reshaped, reshaped_gradient};
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, OverTime, misfit};
use crate::graph::shape::{self, Misfit, Shape, axis_at, fit, known, product};
use crate::graph::stream::{Buffer, MOST_AXES, Step};
use crate::graph::tensor::{Tensor, Value};

/// The elements in row order in another shape, the batch included; one size may be -1, which is what is left.
#[derive(Debug, Clone)]
pub(crate) struct ReshapeAll(pub(crate) Vec<i64>);

impl ReshapeAll {
    fn infer(&self, x: &Shape) -> Option<Shape> {
        let target: Shape = self.0.iter().map(|&size| usize::try_from(size).ok()).collect();
        let open = target.iter().filter(|size| size.is_none()).count();
        if open > 1 || self.0.iter().any(|&size| size < -1) || target.len() > MOST_AXES {
            return None;
        }
        let own: Shape = target.iter().filter(|size| size.is_some()).copied().collect();
        let own = product(&own)?;
        match (product(x), open) {
            (None, _) if x.iter().all(Option::is_some) => None,
            // Sizes that aren't known yet are among what is left.
            (None, _) => Some(target),
            (Some(all), 1) if own > 0 && all % own == 0 => {
                Some(target.into_iter().map(|size| size.or(Some(all / own))).collect())
            }
            (Some(all), 0) if all == own => Some(target),
            (Some(_), _) => None,
        }
    }
}

impl<T: Float> Operation<T> for ReshapeAll {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("ReshapeAll").with("shape", self.0.clone()))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let [x] = inputs else { return shape::misfit("one input", inputs) };
        match self.infer(x) {
            Some(shape) => Ok(vec![shape]),
            None => shape::misfit(format!("what can take the shape {:?}", self.0), inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = &inputs[0].value;
        let shape = all_known(&[self.infer(&known(x.shape())).ok_or_else(misfit)?])?;
        Ok(vec![Tensor::unmasked(reshaped(x, &shape)?)])
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x) = (back.of_output()?, back.input()?);
        Ok(vec![Some(reshaped_gradient(d, x.shape())?)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        step.output().copy_from(input)
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }
}

/// Spread to a shape, the batch included.
#[derive(Debug, Clone)]
pub(crate) struct BroadcastTo(pub(crate) Vec<usize>);

impl<T: Float> Operation<T> for BroadcastTo {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("BroadcastTo").with("shape", self.0.clone()))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let (to, merged) = (known(&self.0), broadcast(inputs.iter().map(|x| &x[..]).chain([&known(&self.0)[..]])));
        match (inputs, merged) {
            ([x], Some(merged)) if merged == to && x.len() <= to.len() => Ok(vec![to]),
            _ => shape::misfit(format!("what spreads to {:?}", self.0), inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let value = in_order(&inputs[0].value);
        let x = Read::value(&value)?;
        let mut output = blank(x.kind(), &self.0);
        spread(x, &mut output)?;
        Ok(vec![written(output)])
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x) = (back.of_output()?, back.input()?);
        Ok(vec![Some(gathered(d, x.shape()))])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        spread(Read::buffer(step.input(0))?, step.output())
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }
}

fn spread<T: Float>(x: Read<'_, T>, output: &mut Buffer<T>) -> Result<()> {
    let place = Spreading::new(x.shape, output.shape());
    match output {
        Buffer::Float(to) => to.iter_mut().enumerate().for_each(|(at, to)| *to = x.float(place.at(at))),
        Buffer::Int(to) => to.iter_mut().enumerate().for_each(|(at, to)| *to = x.integer(place.at(at))),
        Buffer::Bool(to) => to.iter_mut().enumerate().for_each(|(at, to)| *to = x.flag(place.at(at))),
    }
    Ok(())
}

/// Arrays of one shape side by side along a new axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stack(pub(crate) i64);

impl Stack {
    fn compute<'r, T: Float>(
        &self,
        inputs: impl ExactSizeIterator<Item = Result<Read<'r, T>>>,
        output: &mut Buffer<T>,
    ) -> Result<()> {
        let at = axis_at(self.0, output.shape().len()).ok_or_else(misfit)?;
        let (count, inner): (usize, usize) = (inputs.len(), output.shape()[at + 1..].iter().product());
        for (number, x) in inputs.enumerate() {
            let x = x?;
            let to_place = |place: usize| place / inner * inner * count + number * inner + place % inner;
            match output {
                Buffer::Float(to) => {
                    let to = to.as_slice_mut().ok_or_else(misfit)?;
                    (0..x.len()).for_each(|place| to[to_place(place)] = x.float(place));
                }
                Buffer::Int(to) => {
                    let to = to.as_slice_mut().ok_or_else(misfit)?;
                    (0..x.len()).for_each(|place| to[to_place(place)] = x.integer(place));
                }
                Buffer::Bool(to) => {
                    let to = to.as_slice_mut().ok_or_else(misfit)?;
                    (0..x.len()).for_each(|place| to[to_place(place)] = x.flag(place));
                }
            }
        }
        Ok(())
    }
}

impl<T: Float> Operation<T> for Stack {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("Stack").with("axis", self.0))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let refuse = || shape::misfit(format!("inputs of one shape, to be stacked along axis {}", self.0), inputs);
        let Some(mut stacked) = inputs.first().cloned() else { return refuse() };
        for input in inputs {
            if input.len() != stacked.len() || !stacked.iter().zip(input).all(|(&a, &b)| fit(a, b)) {
                return refuse();
            }
            stacked.iter_mut().zip(input).for_each(|(to, &size)| *to = to.or(size));
        }
        match axis_at(self.0, stacked.len() + 1) {
            Some(at) if stacked.len() < MOST_AXES => {
                stacked.insert(at, Some(inputs.len()));
                Ok(vec![stacked])
            }
            _ => refuse(),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let values: Vec<Value<T>> = inputs.iter().map(|input| in_order(&input.value)).collect();
        let shapes: Vec<Shape> = values.iter().map(|value| known(value.shape())).collect();
        let shape = all_known(&Operation::<T>::infer(self, &shapes).map_err(|_| misfit())?)?;
        let kinds =
            values.iter().map(|value| Read::value(value).map(|read| read.kind())).collect::<Result<Vec<_>>>()?;
        let kind = match &kinds[..] {
            kinds if kinds.contains(&Kind::Float) => Kind::Float,
            kinds if kinds.contains(&Kind::Int) => Kind::Int,
            _ => Kind::Bool,
        };
        let mut output = blank(kind, &shape);
        self.compute(values.iter().map(Read::value), &mut output)?;
        Ok(vec![written(output)])
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let d = back.of_output()?;
        let axis = Axis(axis_at(self.0, d.ndim()).ok_or_else(misfit)?);
        let each = d.axis_iter(axis).zip(&back.record.inputs);
        let of = |(d, input): (ndarray::ArrayView<'_, T, IxDyn>, &Value<T>)| -> Flow<T> {
            matches!(input, Value::Float(_))
                .then(|| ArrayD::from_shape_vec(d.shape(), d.iter().copied().collect()).ok())?
        };
        Ok(each.map(of).collect())
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let inputs = step.inputs().map(|(input, _)| Read::buffer(input));
        self.compute(inputs, step.output())
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        let at = ranks.first().and_then(|&rank| axis_at(self.0, rank + 1));
        if at.is_some_and(|at| at > 1) { OverTime::Alone } else { OverTime::Whole }
    }
}
