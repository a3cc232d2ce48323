//! Vectors of length one: Keras's `UnitNormalization`, `ops.normalize` and what the layer `Dot` may do first.

use ndarray::ArrayD;

use super::places::{Read, in_order};
use super::reduce::Ways;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, OverTime, misfit};
use crate::graph::shape::{self, Misfit, Shape, axis_at};
use crate::graph::stream::{MOST_AXES, Step};
use crate::graph::tensor::{Tensor, Value};

/// The least that a sum of squares counts as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Unit(pub(crate) f64);

impl Unit {
    /// Keras 3's operation, whose vectors are divided by 10^-7 at least.
    pub(crate) const KERAS: Unit = Unit(1e-14);
    /// Keras 3's layer.
    pub(crate) const LAYER: Unit = Unit(1e-24);
    /// TensorFlow's.
    pub(crate) const TENSORFLOW: Unit = Unit(1e-12);

    /// What a vector of this sum of squares is multiplied by.
    pub(super) fn factor(self, squares: f64) -> f64 {
        1.0 / squares.max(self.0).sqrt()
    }
}

/// Divided by the length of the vectors that lie along some axes.
#[derive(Debug, Clone)]
pub(crate) struct UnitNormalization {
    pub(crate) axes: Vec<i64>,
    pub(crate) least: Unit,
}

impl UnitNormalization {
    fn ways(&self, shape: &[usize]) -> Ways {
        Ways::of(shape, |axis| self.axes.iter().any(|&own| axis_at(own, shape.len()) == Some(axis)))
    }

    pub(super) fn apply<T: Float>(&self, ways: Ways, x: Read<'_, T>, to: &mut [T]) {
        let Ways { results, along } = ways;
        for result in 0..results.len() {
            let first = results.at(result);
            let places = (0..along.len()).map(|number| first + along.at(number));
            let square = |at: usize| x.float(at).into_f64() * x.float(at).into_f64();
            let factor = self.least.factor(places.clone().fold(0.0, |sum, at| sum + square(at)));
            places.for_each(|at| to[at] = T::from_f64(x.float(at).into_f64() * factor));
        }
    }

    /// A whole array.
    pub(super) fn of<T: Float>(&self, x: Read<'_, T>) -> Result<ArrayD<T>> {
        let mut unit = ArrayD::zeros(x.shape);
        self.apply(self.ways(x.shape), x, unit.as_slice_mut().ok_or_else(misfit)?);
        Ok(unit)
    }

    /// From the gradient of the result to that of `x`: `factor (d - y sum(d y))`, with `factor` alone where the vector is
    /// too short.
    pub(super) fn back<T: Float>(&self, x: Read<'_, T>, mut d: ArrayD<T>) -> Result<ArrayD<T>> {
        let Ways { results, along } = self.ways(x.shape);
        let d_slice = d.as_slice_mut().ok_or_else(misfit)?;
        for result in 0..results.len() {
            let first = results.at(result);
            let places = (0..along.len()).map(|number| first + along.at(number));
            let value = |at: usize| x.float(at).into_f64();
            let squares = places.clone().fold(0.0, |sum, at| sum + value(at) * value(at));
            let factor = self.least.factor(squares);
            let sum = places.clone().fold(0.0, |sum, at| sum + d_slice[at].into_f64() * value(at) * factor);
            let sum = if squares > self.least.0 { sum } else { 0.0 };
            places.for_each(|at| {
                d_slice[at] = T::from_f64(factor * (d_slice[at].into_f64() - value(at) * factor * sum));
            });
        }
        Ok(d)
    }
}

impl<T: Float> Operation<T> for UnitNormalization {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("UnitNormalization").with("axis", self.axes.clone()).with("least", self.least.0))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        if x.len() > MOST_AXES || self.axes.iter().any(|&axis| axis_at(axis, x.len()).is_none()) {
            return shape::misfit(format!("axes {:?} of at most eight", self.axes), inputs);
        }
        Ok(vec![x.clone()])
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let value = in_order(&inputs[0].value);
        call.passing(Value::Float(self.of(Read::value(&value)?)?.into_shared()))
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x) = (back.of_output()?, in_order(&back.input()?));
        Ok(vec![Some(self.back(Read::value(&x)?, d)?)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let x = Read::buffer(step.input(0))?;
        self.apply(self.ways(x.shape), x, step.output().as_floats()?);
        Ok(())
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        let rank = ranks.first().copied().unwrap_or(0);
        let alone = self.axes.iter().all(|&axis| axis_at(axis, rank).is_some_and(|axis| axis > 1));
        if alone { OverTime::Alone } else { OverTime::Whole }
    }
}
