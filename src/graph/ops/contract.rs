//! Sums of products of two arrays along common axes: Keras's `ops.matmul`, `ops.dot`, `ops.einsum` and the layer `Dot`.

mod labels;
mod sums;

use ndarray::ArrayD;

pub(super) use self::labels::Labels;
pub(crate) use self::labels::Pattern;
use self::labels::Terms;
use self::sums::{Side, sum};
use super::constant::{Operand, describe, reads, shapes};
use super::places::{Kind, Read, all_known, gathered, in_order, written};
pub(crate) use super::unit::Unit;
use super::unit::UnitNormalization;
use crate::buffers::take;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, OverTime, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape, known};
use crate::graph::stream::{Buffer, Step, Work};
use crate::graph::tensor::{Tensor, Value};

/// Products of two arrays, summed along the axes that a pattern names.
#[derive(Debug, Clone)]
pub(crate) struct Contract<T> {
    pub(crate) pattern: Pattern,
    /// Whether the vectors that are summed along are made of length one first.
    pub(crate) unit: Option<Unit>,
    pub(crate) left: Operand<T>,
    pub(crate) right: Operand<T>,
}

impl<T: Float> Contract<T> {
    fn operands(&self) -> [&Operand<T>; 2] {
        [&self.left, &self.right]
    }

    /// The sizes of the result.
    fn shape(&self, inputs: &[Shape]) -> Option<Shape> {
        let all = shapes(self.operands(), inputs)?;
        let terms = self.pattern.terms(all[0].len(), all[1].len())?;
        let mut shape = terms.infer(&all[0], &all[1])?;
        // The layer Dot gives a number for each row of the batch as a feature.
        if shape.len() == 1 && matches!(self.pattern, Pattern::Batch { .. }) {
            shape.push(Some(1));
        }
        Some(shape)
    }

    fn compute(&self, [a, b]: [Read<'_, T>; 2], output: &mut Buffer<T>, work: &mut Work<T>) -> Result<()> {
        let terms = self.pattern.terms(a.shape.len(), b.shape.len()).ok_or_else(misfit)?;
        let sizes = terms.sizes(a.shape, b.shape);
        let to = output.as_floats()?;
        sum([Side::new(a, terms.left), Side::new(b, terms.right)], (to, terms.result), &sizes, self.unit, work);
        Ok(())
    }
}

impl<T: Float> Contract<T> {
    /// What makes the vectors of either side of length one.
    fn normalizations(&self, sides: [Labels; 2], result: Labels) -> [Option<UnitNormalization>; 2] {
        sides.map(|labels| {
            let axes = labels.iter().enumerate().filter(|&(_, label)| !result.has(label));
            let axes = axes.map(|(axis, _)| axis as i64).collect();
            self.unit.map(|least| UnitNormalization { axes, least })
        })
    }

    /// Both sides with vectors of length one, if that is asked for.
    fn units(&self, reads: [Read<'_, T>; 2], sides: [Labels; 2]) -> Result<Option<[Value<T>; 2]>> {
        let terms = self.pattern.terms(reads[0].shape.len(), reads[1].shape.len()).ok_or_else(misfit)?;
        let [Some(left), Some(right)] = self.normalizations(sides, terms.result) else { return Ok(None) };
        let value = |array: ArrayD<T>| Value::Float(array.into_shared());
        Ok(Some([value(left.of(reads[0])?), value(right.of(reads[1])?)]))
    }
}

impl<T: Float> Operation<T> for Contract<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let config = Config::new("Contract").and(self.pattern.describe()).with("unit", self.unit.map(|unit| unit.0));
        Ok(config.with("left", describe(&self.left)).with("right", describe(&self.right)))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        match self.shape(inputs) {
            Some(shape) => Ok(vec![shape]),
            None => shape::misfit(format!("two arrays that fit {:?}", self.pattern), inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let inputs: Vec<Value<T>> = inputs.iter().map(|input| in_order(&input.value)).collect();
        let sizes: Vec<Shape> = inputs.iter().map(|input| known(input.shape())).collect();
        let shape = all_known(&[self.shape(&sizes).ok_or_else(misfit)?])?;
        let all = reads(self.operands(), inputs.iter().map(Read::value))?;
        if all.iter().all(|read| read.kind() != Kind::Float) {
            return Err(mismatch("floats: products of whole numbers aren't summed".into(), all[0].shape));
        }
        let mut output = Buffer::Float(ArrayD::zeros(shape));
        self.compute(all, &mut output, &mut Work::default())?;
        Ok(vec![written(output)])
    }

    /// Of `c = a b`: `da = dc b`, `db = dc a`, along the axes of the other two.
    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let d = back.of_output()?;
        let d = Value::Float(d.into_shared());
        let inputs: Vec<Value<T>> = back.record.inputs.iter().map(in_order).collect();
        let [a, b] = reads(self.operands(), inputs.iter().map(Read::value))?;
        let Terms { left, right, result } = self.pattern.terms(a.shape.len(), b.shape.len()).ok_or_else(misfit)?;
        let sizes = Terms { left, right, result }.sizes(a.shape, b.shape);
        let d = Side::new(Read::value(&d)?, result);
        let mut flows = Vec::new();
        let (units, lengths) = (self.units([a, b], [left, right])?, self.normalizations([left, right], result));
        let (unit_a, unit_b) = match &units {
            Some([a, b]) => (Read::value(a)?, Read::value(b)?),
            None => (a, b),
        };
        let sides = [(a, left, Side::new(unit_b, right)), (b, right, Side::new(unit_a, left))];
        for (((own, labels, other), operand), length) in sides.into_iter().zip(self.operands()).zip(lengths) {
            if operand.is_some() {
                continue;
            }
            if own.kind() != Kind::Float {
                flows.push(None);
                continue;
            }
            // Of the size to which it was spread, then summed back.
            let wide: Vec<usize> = labels.iter().map(|label| sizes[label]).collect();
            let mut of = ArrayD::zeros(wide);
            let to = of.as_slice_mut().ok_or_else(misfit)?;
            sum([d, other], (to, labels), &sizes, None, &mut Work::default());
            let of = gathered(of, own.shape);
            flows.push(Some(match length {
                Some(length) => length.back(own, of)?,
                None => of,
            }));
        }
        Ok(flows)
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let all = reads(self.operands(), step.inputs().map(|(input, _)| Read::buffer(input)))?;
        let Step { outputs, work, .. } = &mut step;
        self.compute(all, &mut outputs[0], work)
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    /// A product with a constant along axes behind time, or of each step's with its own.
    fn over_time(&self, ranks: &[usize]) -> OverTime {
        let mut inputs = ranks.iter().copied();
        let mut rank = |operand: &Operand<T>| match operand {
            Some(constant) => Some(constant.shape().len()),
            None => inputs.next(),
        };
        let (left, right) = (rank(&self.left), rank(&self.right));
        let terms = left.zip(right).and_then(|(left, right)| self.pattern.terms(left, right));
        let alone = terms.is_some_and(|Terms { left, right, result }| {
            let leads =
                |labels: &Labels, place: usize| labels.at(place).is_some_and(|own| result.at(place) == Some(own));
            let own = |operand: &Operand<T>, labels: &Labels| match operand {
                None => leads(labels, 0) && leads(labels, 1),
                // Of a constant no axis is the batch or time.
                Some(_) => !labels.iter().any(|label| result.at(0) == Some(label) || result.at(1) == Some(label)),
            };
            own(&self.left, &left) && own(&self.right, &right)
        });
        if alone { OverTime::Alone } else { OverTime::Whole }
    }
}

/// Memory that a sum of products works in.
pub(super) fn halves<T: Float>(buffer: &mut Vec<T>, first: usize, second: usize) -> (&mut [T], &mut [T]) {
    take(buffer, first + second).split_at_mut(first)
}
