//! An activation over the last axis.

use ndarray::{ArrayD, Axis, Slice};

use crate::activation::Activation;
use crate::buffers::take;
use crate::config::{Config, ConfigError, activations};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, misfit};
use crate::graph::per_step::Map;
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tensor::{Tensor, Value, in_row_order};
use crate::kernels::activate::{activate, activate_backward};
use crate::kernels::isa::Isa;

impl<T: Float> Operation<T> for Activation {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("Activation").with("activation", activations::describe(self)?))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let mut shape = shape::only(inputs)?.clone();
        if self.changes_width()
            && let Some(Some(last)) = shape.last_mut()
        {
            if *last % 2 != 0 {
                return shape::misfit("an even number of features", inputs);
            }
            *last /= 2;
        }
        Ok(vec![shape])
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let mut x = in_row_order(&inputs[0].value.floats());
        let isa = Isa::detect();
        let width = x.shape().last().copied().unwrap_or(0);
        let Some(values) = x.as_slice_mut() else { return Err(misfit()) };
        if self.is_elementwise() {
            activate(isa, self, values);
        } else if width > 0 {
            values.chunks_exact_mut(width).for_each(|row| activate(isa, self, row));
        }
        if self.changes_width() {
            let last = Axis(x.ndim() - 1);
            x = x.slice_axis(last, Slice::from(..width / 2)).to_owned();
        }
        call.passing(Value::Float(x.into_shared()))
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (mut d, x) = (back.of_output()?, in_row_order(&back.input()?.floats()));
        let width = x.shape().last().copied().unwrap_or(0);
        let y = if self.changes_width() {
            // The kernel wants a gradient as wide as the input, of which the first half counts, and looks at no result.
            let mut wide = ArrayD::zeros(x.raw_dim());
            wide.slice_axis_mut(Axis(x.ndim() - 1), Slice::from(..width / 2)).assign(&d);
            d = wide;
            x.clone()
        } else {
            in_row_order(&back.output()?.floats())
        };
        let (Some(x), Some(y), Some(slopes)) = (x.as_slice(), y.as_slice(), d.as_slice_mut()) else {
            return Err(misfit());
        };
        if self.is_elementwise() {
            activate_backward(Isa::detect(), self, x, y, slopes);
        } else if width > 0 {
            let rows = x.chunks_exact(width).zip(y.chunks_exact(width)).zip(slopes.chunks_exact_mut(width));
            rows.for_each(|((x, y), d)| activate_backward(Isa::detect(), self, x, y, d));
        }
        Ok(vec![Some(d)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let isa = Isa::detect();
        let width = step.input(0).shape().last().copied().unwrap_or(0);
        if !self.changes_width() {
            let values = step.copied()?;
            if self.is_elementwise() {
                activate(isa, self, values);
            } else if width > 0 {
                values.chunks_exact_mut(width).for_each(|row| activate(isa, self, row));
            }
            return Ok(());
        }
        let input = step.input(0);
        let wide = take(&mut step.work.floats, input.len());
        input.each_float(|at, value| wide[at] = value);
        wide.chunks_exact_mut(width.max(1)).for_each(|row| activate(isa, self, row));
        let output = step.outputs[0].as_floats()?;
        for (to, from) in output.chunks_exact_mut((width / 2).max(1)).zip(wide.chunks_exact(width.max(1))) {
            to.copy_from_slice(&from[..width / 2]);
        }
        Ok(())
    }

    fn can_train(&self) -> Result<()> {
        self.check_derivative()
    }

    fn steps_alone(&self) -> bool {
        true
    }

    fn per_step(&self, _features: usize) -> Option<Map<T>> {
        (!self.changes_width()).then(|| Map::Activation(self.clone()))
    }
}

/// Turns the gradient by the activations of rows into that by their preactivations, in place.
pub(super) fn through_rows<T: Float>(activation: &Activation, width: usize, z: &[T], dz: &mut [T]) {
    let (isa, mut y) = (Isa::detect(), vec![T::zero(); width]);
    for (z, dz) in z.chunks_exact(width.max(1)).zip(dz.chunks_exact_mut(width.max(1))) {
        y.copy_from_slice(z);
        activate(isa, activation, &mut y);
        activate_backward(isa, activation, z, &y, dz);
    }
}
