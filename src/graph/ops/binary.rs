//! Operations on two arrays, element by element, with numpy's broadcasting and constants on either side.

mod arithmetic;

pub(crate) use self::arithmetic::Two;
use super::constant::{Operand, describe, each_step_alone, reads, shapes};
use super::places::{Kind, Read, Spreading, all_known, blank, broadcast, gathered, in_order, written};
use super::unary::WHOLE;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, OverTime, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape, known};
use crate::graph::stream::{Buffer, Step};
use crate::graph::tensor::{Tensor, Value};

/// Two arrays, element by element: Keras's `ops.add` and its like.
#[derive(Debug, Clone)]
pub(crate) struct Binary<T> {
    pub(crate) how: Two,
    pub(crate) left: Operand<T>,
    pub(crate) right: Operand<T>,
}

impl<T: Float> Binary<T> {
    fn operands(&self) -> [&Operand<T>; 2] {
        [&self.left, &self.right]
    }

    /// The kind of the result.
    fn kind(&self, a: Kind, b: Kind, shape: &[usize]) -> Result<Kind> {
        let both = match (a, b) {
            (Kind::Float, _) | (_, Kind::Float) => Kind::Float,
            (Kind::Bool, Kind::Bool) => Kind::Bool,
            _ => Kind::Int,
        };
        match self.how {
            how if how.gives_flags() => Ok(Kind::Bool),
            Two::Divide | Two::DivideNoNan => Ok(Kind::Float),
            _ if both == Kind::Bool => Err(mismatch("numbers, which flags aren't".into(), shape)),
            _ => Ok(both),
        }
    }

    fn compute(&self, [a, b]: [Read<'_, T>; 2], output: &mut Buffer<T>) -> Result<()> {
        let how = self.how;
        let (left, right) = (Spreading::new(a.shape, output.shape()), Spreading::new(b.shape, output.shape()));
        let floats = a.kind() == Kind::Float || b.kind() == Kind::Float;
        match output {
            Buffer::Float(to) => {
                let to = to.as_slice_mut().ok_or_else(misfit)?;
                for (at, to) in to.iter_mut().enumerate() {
                    *to = how.of_floats(a.float(left.at(at)), b.float(right.at(at)));
                }
            }
            Buffer::Int(to) => {
                for (at, to) in to.iter_mut().enumerate() {
                    let result = how.of_integers(a.integer(left.at(at)), b.integer(right.at(at)));
                    *to = result.ok_or_else(|| mismatch(WHOLE.into(), a.shape))?;
                }
            }
            Buffer::Bool(to) if how.is_logical() => {
                let each = to.iter_mut().enumerate();
                each.for_each(|(at, to)| *to = how.of_flags(a.flag(left.at(at)), b.flag(right.at(at))));
            }
            Buffer::Bool(to) if floats => {
                let each = to.iter_mut().enumerate();
                each.for_each(|(at, to)| *to = how.compare(&a.float(left.at(at)), &b.float(right.at(at))));
            }
            Buffer::Bool(to) => {
                let each = to.iter_mut().enumerate();
                each.for_each(|(at, to)| *to = how.compare(&a.integer(left.at(at)), &b.integer(right.at(at))));
            }
        }
        Ok(())
    }
}

impl<T: Float> Operation<T> for Binary<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let config = Config::new("OfTwo").with("function", self.how.name());
        Ok(config.with("left", describe(&self.left)).with("right", describe(&self.right)))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let merged = shapes(self.operands(), inputs).and_then(|all| broadcast(all.iter().map(|shape| &shape[..])));
        match merged {
            Some(merged) => Ok(vec![merged]),
            None => shape::misfit("shapes that spread over each other, of at most eight dimensions", inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let inputs: Vec<Value<T>> = inputs.iter().map(|input| in_order(&input.value)).collect();
        let shapes: Vec<Shape> = inputs.iter().map(|input| known(input.shape())).collect();
        let shape = all_known(&self.infer(&shapes).map_err(|_| misfit())?)?;
        let all = reads(self.operands(), inputs.iter().map(Read::value))?;
        let mut output = blank(self.kind(all[0].kind(), all[1].kind(), all[0].shape)?, &shape);
        self.compute(all, &mut output)?;
        Ok(vec![written(output)])
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let d = back.of_output()?;
        let inputs: Vec<Value<T>> = back.record.inputs.iter().map(in_order).collect();
        if !matches!(back.output()?, Value::Float(_)) {
            return Ok(vec![None; inputs.len()]);
        }
        let [a, b] = reads(self.operands(), inputs.iter().map(Read::value))?;
        let (left, right) = (Spreading::new(a.shape, d.shape()), Spreading::new(b.shape, d.shape()));
        let mut of = [d.clone(), d];
        let both = of.iter_mut().map(|d| d.as_slice_mut().ok_or_else(misfit)).collect::<Result<Vec<_>>>()?;
        let [of_left, of_right] = <[_; 2]>::try_from(both).map_err(|_| misfit())?;
        for (at, (of_left, of_right)) in of_left.iter_mut().zip(of_right).enumerate() {
            (*of_left, *of_right) = self.how.back(a.float(left.at(at)), b.float(right.at(at)), *of_left);
        }
        let each = of.into_iter().zip([a, b]).zip(self.operands()).filter(|(_, operand)| operand.is_none());
        Ok(each.map(|((d, read), _)| (read.kind() == Kind::Float).then(|| gathered(d, read.shape))).collect())
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let all = reads(self.operands(), step.inputs().map(|(input, _)| Read::buffer(input)))?;
        self.compute(all, step.output())
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        if each_step_alone(self.operands(), ranks) { OverTime::Alone } else { OverTime::Whole }
    }
}

/// One array where a condition holds, another one elsewhere: Keras's `ops.where`.
#[derive(Debug, Clone)]
pub(crate) struct Where<T> {
    pub(crate) condition: Operand<T>,
    pub(crate) then: Operand<T>,
    pub(crate) otherwise: Operand<T>,
}

impl<T: Float> Where<T> {
    fn operands(&self) -> [&Operand<T>; 3] {
        [&self.condition, &self.then, &self.otherwise]
    }

    fn compute(&self, [condition, a, b]: [Read<'_, T>; 3], output: &mut Buffer<T>) {
        let over = output.shape();
        let [of, left, right] = [condition.shape, a.shape, b.shape].map(|shape| Spreading::new(shape, over));
        let choose = |at: usize| if condition.flag(of.at(at)) { (a, left.at(at)) } else { (b, right.at(at)) };
        match output {
            Buffer::Float(to) => to.iter_mut().enumerate().for_each(|(at, to)| {
                let (from, place) = choose(at);
                *to = from.float(place);
            }),
            Buffer::Int(to) => to.iter_mut().enumerate().for_each(|(at, to)| {
                let (from, place) = choose(at);
                *to = from.integer(place);
            }),
            Buffer::Bool(to) => to.iter_mut().enumerate().for_each(|(at, to)| {
                let (from, place) = choose(at);
                *to = from.flag(place);
            }),
        }
    }
}

impl<T: Float> Operation<T> for Where<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let config = Config::new("Where").with("condition", describe(&self.condition));
        Ok(config.with("then", describe(&self.then)).with("otherwise", describe(&self.otherwise)))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let merged = shapes(self.operands(), inputs).and_then(|all| broadcast(all.iter().map(|shape| &shape[..])));
        match merged {
            Some(merged) => Ok(vec![merged]),
            None => shape::misfit("shapes that spread over each other, of at most eight dimensions", inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let inputs: Vec<Value<T>> = inputs.iter().map(|input| in_order(&input.value)).collect();
        let shapes: Vec<Shape> = inputs.iter().map(|input| known(input.shape())).collect();
        let shape = all_known(&self.infer(&shapes).map_err(|_| misfit())?)?;
        let all = reads(self.operands(), inputs.iter().map(Read::value))?;
        let kind = match (all[1].kind(), all[2].kind()) {
            (Kind::Float, _) | (_, Kind::Float) => Kind::Float,
            (Kind::Bool, Kind::Bool) => Kind::Bool,
            _ => Kind::Int,
        };
        let mut output = blank(kind, &shape);
        self.compute(all, &mut output);
        Ok(vec![written(output)])
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let d = back.of_output()?;
        let inputs: Vec<Value<T>> = back.record.inputs.iter().map(in_order).collect();
        let all = reads(self.operands(), inputs.iter().map(Read::value))?;
        let condition = Spreading::new(all[0].shape, d.shape());
        let kept = |side: bool| {
            let mut kept = d.clone();
            let each = kept.iter_mut().enumerate();
            let (condition, of) = (condition, all[0]);
            each.filter(|(at, _)| of.flag(condition.at(*at)) != side).for_each(|(_, d)| *d = T::zero());
            kept
        };
        let mut flows = Vec::new();
        for (place, (operand, read)) in self.operands().into_iter().zip(all).enumerate() {
            if operand.is_none() {
                let flows_back = place > 0 && read.kind() == Kind::Float;
                flows.push(flows_back.then(|| gathered(kept(place == 1), read.shape)));
            }
        }
        Ok(flows)
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let all = reads(self.operands(), step.inputs().map(|(input, _)| Read::buffer(input)))?;
        self.compute(all, step.output());
        Ok(())
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        if each_step_alone(self.operands(), ranks) { OverTime::Alone } else { OverTime::Whole }
    }
}
