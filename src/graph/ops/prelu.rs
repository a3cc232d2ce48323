//! PReLU: `x` where it is positive, `alpha x` where it is negative; alpha is learned.

use ndarray::{ArrayD, Zip};

use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::backward::summed_to;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Which, misfit};
use crate::graph::per_step::Map;
use crate::graph::shape::{self, Misfit, Shape, fit};
use crate::graph::stream::{Buffer, Step};
use crate::graph::tensor::{Tensor, Value, in_row_order};
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// `x` where it is positive, `alpha x` where it is negative; alpha is learned: Keras's `PReLU`.
#[derive(Debug, Clone)]
pub struct PRelu<T>(pub(crate) ArrayD<T>);

impl<T: Float> PRelu<T> {
    /// With this alpha, which has the shape of the input without the batch; a size of one spreads over that axis.
    pub fn new(alpha: ArrayD<T>) -> Self {
        PRelu(alpha.as_standard_layout().into_owned())
    }
}

impl<T: Float> Operation<T> for PRelu<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("PReLU").with("shape", self.0.shape().to_vec()))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        let expected: Shape = [vec![None], shape::known(self.0.shape())].concat();
        let fits = |(&a, &b): (&Option<usize>, &Option<usize>)| b == Some(1) || fit(a, b);
        if x.len() != expected.len() || !x.iter().zip(&expected).all(fits) {
            return shape::misfit(shape::display(&expected), inputs);
        }
        Ok(vec![x.clone()])
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let mut x = in_row_order(&inputs[0].value.floats());
        for mut row in x.outer_iter_mut() {
            let alpha = self.0.broadcast(row.raw_dim()).ok_or_else(misfit)?;
            row.zip_mut_with(&alpha, |x, &alpha| *x = value(*x, alpha));
        }
        call.passing(Value::Float(x.into_shared()))
    }

    fn backward(&self, mut back: Back<'_, T>, mut sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (mut d, x) = (back.of_output()?, in_row_order(&back.input()?.floats()));
        let mut of_alpha = ArrayD::zeros(x.raw_dim());
        for ((mut d, mut of_alpha), x) in d.outer_iter_mut().zip(of_alpha.outer_iter_mut()).zip(x.outer_iter()) {
            let alpha = self.0.broadcast(x.raw_dim()).ok_or_else(misfit)?;
            let each = |d: &mut T, of_alpha: &mut T, &x: &T, &alpha: &T| *of_alpha = value_backward(x, alpha, d);
            Zip::from(&mut d).and(&mut of_alpha).and(&x).and(&alpha).for_each(each);
        }
        if let Some(sum) = sums.iter_mut().next() {
            let shape: Vec<usize> = std::iter::once(1).chain(self.0.shape().iter().copied()).collect();
            let of_alpha = summed_to(of_alpha, &shape);
            sum.iter_mut().zip(&of_alpha).for_each(|(sum, &of_alpha)| *sum += of_alpha);
        }
        Ok(vec![Some(d)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        step.copied()?;
        let Buffer::Float(x) = step.output() else { return Err(misfit()) };
        for mut row in x.outer_iter_mut() {
            let alpha = self.0.broadcast(row.raw_dim()).ok_or_else(misfit)?;
            row.zip_mut_with(&alpha, |x, &alpha| *x = value(*x, alpha));
        }
        Ok(())
    }

    fn visit_weights<'a>(&'a self, _which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("alpha", &self.0);
    }

    fn visit_weights_mut(&mut self, _which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        visitor.weight("alpha", &mut self.0);
        Ok(())
    }

    fn steps_alone(&self) -> bool {
        self.0.shape().first() == Some(&1)
    }

    fn per_step(&self, features: usize) -> Option<Map<T>> {
        let fits = self.0.len() == features && self.0.shape().last() == Some(&features);
        fits.then(|| Map::PRelu(self.0.clone()))
    }
}

pub(in crate::graph) fn value<T: Float>(x: T, alpha: T) -> T {
    if x < T::zero() { alpha * x } else { x }
}

/// Turns the gradient of the value into that of `x`, and returns alpha's. Keras makes the value of two halves by relu,
/// whose slope at zero is zero.
pub(in crate::graph) fn value_backward<T: Float>(x: T, alpha: T, d: &mut T) -> T {
    let of_alpha = if x >= T::zero() { T::zero() } else { x * *d };
    *d = match () {
        () if x > T::zero() => *d,
        () if x < T::zero() => alpha * *d,
        () => T::zero(),
    };
    of_alpha
}
