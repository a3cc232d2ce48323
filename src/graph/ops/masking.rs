//! A mask from the values of an input.

use ndarray::Axis;

use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Role, misfit};
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tensor::{Mask, Tensor, Value, in_row_order};

/// The steps that differ from this value in any feature are live; the others are read as zeros.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Masking<T>(pub(crate) T);

impl<T: Float> Operation<T> for Masking<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("Masking").with("mask_value", self.0.into_f64()))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        if x.len() < 2 { shape::misfit("(batch, timesteps, features)", inputs) } else { Ok(vec![x.clone()]) }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = inputs[0].value.floats();
        let last = Axis(x.ndim().saturating_sub(1));
        let mask = x.map_axis(last, |step| step.iter().any(|&value| value != self.0));
        let mut x = x.to_owned();
        for (mut step, &live) in x.lanes_mut(last).into_iter().zip(&mask) {
            if !live {
                step.fill(T::zero());
            }
        }
        Ok(vec![Tensor { value: Value::Float(x.into_shared()), mask: Some(Mask::of(mask.into_shared())) }])
    }

    /// A masked step was read as zeros, whatever it held: nothing flows back to it.
    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (mut d, x) = (back.of_output()?, in_row_order(&back.input()?.floats()));
        let last = Axis(x.ndim().saturating_sub(1));
        for (x, mut d) in x.lanes(last).into_iter().zip(d.lanes_mut(last)) {
            if x.iter().all(|&value| value == self.0) {
                d.fill(T::zero());
            }
        }
        Ok(vec![Some(d)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let width = step.input(0).shape().last().copied().unwrap_or(0).max(1);
        let values = step.copied()?;
        for row in values.chunks_exact_mut(width) {
            if row.iter().all(|&value| value == self.0) {
                row.fill(T::zero());
            }
        }
        let input = step.input(0);
        let made = step.made.ok_or_else(misfit)?.flags.as_slice_mut().ok_or_else(misfit)?;
        made.fill(false);
        input.each_float(|at, value| made[at / width] |= value != self.0);
        Ok(())
    }

    fn steps_alone(&self) -> bool {
        true
    }

    fn role(&self) -> Role<'_, T> {
        Role::Masking(self.0)
    }
}
