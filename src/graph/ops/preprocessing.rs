//! Keras's preprocessing of numbers: `Rescaling` and `Normalization`.

use ndarray::ArrayD;

use super::constant::Constant;
use super::places::{Kind, Read, Spreading, blank, broadcast, in_order};
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, OverTime, Which, misfit};
use crate::graph::shape::{self, Misfit, Shape, axis_at, fit, known};
use crate::graph::stream::{MOST_AXES, Step};
use crate::graph::tensor::{Tensor, Value};
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// `x scale + offset`, both spread over `x`.
#[derive(Debug, Clone)]
pub(crate) struct Rescaling<T> {
    pub(crate) scale: Constant<T>,
    pub(crate) offset: Constant<T>,
}

impl<T: Float> Rescaling<T> {
    fn infer(&self, x: &Shape) -> Option<Shape> {
        let all = [x.clone(), self.scale.shape(), self.offset.shape()];
        broadcast(all.iter().map(|shape| &shape[..]))
    }

    fn compute(&self, x: Read<'_, T>, shape: &[usize], to: &mut [T]) -> Result<()> {
        let (scale, offset) = (self.scale.read()?, self.offset.read()?);
        let [of, by, plus] = [x.shape, scale.shape, offset.shape].map(|own| Spreading::new(own, shape));
        for (at, to) in to.iter_mut().enumerate() {
            *to = x.float(of.at(at)) * scale.float(by.at(at)) + offset.float(plus.at(at));
        }
        Ok(())
    }
}

impl<T: Float> Operation<T> for Rescaling<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let config = Config::new("Rescaling").with("scale", self.scale.describe());
        Ok(config.with("offset", self.offset.describe()))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        match (shape::only(inputs)?, self.infer(shape::only(inputs)?)) {
            (x, Some(shape)) if shape.len() == x.len() => Ok(vec![shape]),
            _ => shape::misfit("what the scale and the offset spread over", inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let value = in_order(&inputs[0].value);
        let x = Read::value(&value)?;
        let shape = super::places::all_known(&[self.infer(&known(x.shape)).ok_or_else(misfit)?])?;
        let mut output = blank(Kind::Float, &shape);
        self.compute(x, &shape, output.as_floats()?)?;
        call.passing(super::places::written(output).value)
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (mut d, x) = (back.of_output()?, back.input()?);
        if !matches!(x, Value::Float(_)) {
            return Ok(vec![None]);
        }
        let scale = self.scale.read()?;
        let by = Spreading::new(scale.shape, d.shape());
        d.iter_mut().enumerate().for_each(|(at, d)| *d *= scale.float(by.at(at)));
        Ok(vec![Some(super::places::gathered(d, x.shape()))])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let x = Read::buffer(step.input(0))?;
        let mut shape = [0; MOST_AXES];
        let rank = step.output().shape().len();
        shape[..rank].copy_from_slice(step.output().shape());
        self.compute(x, &shape[..rank], step.output().as_floats()?)
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        let rank = ranks.first().copied().unwrap_or(0);
        let alone = [&self.scale, &self.offset].iter().all(|constant| {
            let shape = constant.shape();
            shape.len() <= rank && shape.iter().rev().skip(rank.saturating_sub(2)).all(|&size| size == Some(1))
        });
        if alone { OverTime::Alone } else { OverTime::Whole }
    }
}

/// `(x - mean) / max(sqrt(variance), epsilon)`, or back; one mean and one variance for each place along some axes.
#[derive(Debug, Clone)]
pub(crate) struct Standardization<T> {
    pub(crate) axes: Vec<i64>,
    pub(crate) mean: ArrayD<T>,
    pub(crate) variance: ArrayD<T>,
    /// Of those that were found by `adapt`, which are weights: from how many rows.
    pub(crate) count: Option<ArrayD<T>>,
    pub(crate) invert: bool,
}

/// Keras's.
const EPSILON: f64 = 1e-7;

impl<T: Float> Standardization<T> {
    /// The shape of the mean over an array of this rank: along the axes, the last of them first, one elsewhere.
    fn spread(&self, rank: usize) -> Option<[usize; MOST_AXES]> {
        let mut kept = [false; MOST_AXES];
        for &axis in &self.axes {
            *kept.get_mut(axis_at(axis, rank)?)? = true;
        }
        let mut shape = [1; MOST_AXES];
        let mut sizes = self.mean.shape().iter().rev();
        for axis in (0..rank).rev().filter(|&axis| kept[axis]) {
            shape[axis] = sizes.next().copied().unwrap_or(1);
        }
        sizes.next().is_none().then_some(shape)
    }

    fn compute(&self, x: Read<'_, T>, to: &mut [T]) -> Result<()> {
        let rank = x.shape.len();
        let place = Spreading::new(&self.spread(rank).ok_or_else(misfit)?[..rank], x.shape);
        let (mean, variance) = (self.mean.as_slice().ok_or_else(misfit)?, self.variance.as_slice().ok_or_else(misfit)?);
        for (at, to) in to.iter_mut().enumerate() {
            let (own, x) = (place.at(at), x.float(at));
            let deviation = self.deviation(variance[own]);
            *to = if self.invert { mean[own] + x * deviation } else { (x - mean[own]) / deviation };
        }
        Ok(())
    }

    fn deviation(&self, variance: T) -> T {
        let (deviation, least) = (variance.sqrt(), T::from_f64(EPSILON));
        if deviation < least { least } else { deviation }
    }
}

impl<T: Float> Operation<T> for Standardization<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let config = Config::new("Normalization").with("axis", self.axes.clone()).with("invert", self.invert);
        let numbers = |array: &ArrayD<T>| array.iter().map(|x| x.into_f64()).collect::<Vec<_>>();
        let config = config.with("shape", self.mean.shape().to_vec()).with("adapted", self.count.is_some());
        let given = self.count.is_none();
        let config = config.with("mean", given.then(|| numbers(&self.mean)));
        Ok(config.with("variance", given.then(|| numbers(&self.variance))))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        let spread = self.spread(x.len()).filter(|_| x.len() <= MOST_AXES);
        let fits =
            |spread: [usize; MOST_AXES]| x.iter().zip(spread).all(|(&size, own)| own == 1 || fit(size, Some(own)));
        if self.mean.shape() != self.variance.shape() || !spread.is_some_and(fits) {
            return shape::misfit(format!("a mean for each place along axes {:?}", self.axes), inputs);
        }
        Ok(vec![x.clone()])
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let value = in_order(&inputs[0].value);
        let x = Read::value(&value)?;
        let mut output = blank(Kind::Float, x.shape);
        self.compute(x, output.as_floats()?)?;
        call.passing(super::places::written(output).value)
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (mut d, x) = (back.of_output()?, back.input()?);
        if !matches!(x, Value::Float(_)) {
            return Ok(vec![None]);
        }
        let rank = d.ndim();
        let place = Spreading::new(&self.spread(rank).ok_or_else(misfit)?[..rank], x.shape());
        let variance = self.variance.as_slice().ok_or_else(misfit)?;
        d.iter_mut().enumerate().for_each(|(at, d)| {
            let deviation = self.deviation(variance[place.at(at)]);
            *d = if self.invert { *d * deviation } else { *d / deviation };
        });
        Ok(vec![Some(d)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let x = Read::buffer(step.input(0))?;
        self.compute(x, step.output().as_floats()?)
    }

    fn visit_weights<'a>(&'a self, which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        if let (Some(count), Which::All) = (&self.count, which) {
            visitor.weight("mean", &self.mean);
            visitor.weight("variance", &self.variance);
            visitor.weight("count", count);
        }
    }

    fn visit_weights_mut(&mut self, which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        if let (Some(count), Which::All) = (&mut self.count, which) {
            visitor.weight("mean", &mut self.mean);
            visitor.weight("variance", &mut self.variance);
            visitor.weight("count", count);
        }
        Ok(())
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        let rank = ranks.first().copied().unwrap_or(0);
        let spread = self.spread(rank).filter(|_| rank > 1);
        let alone = spread.is_some_and(|spread| spread[0] == 1 && spread[1] == 1);
        if alone { OverTime::Alone } else { OverTime::Whole }
    }
}
