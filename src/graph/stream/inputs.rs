//! What an input of a model makes of what it is given, step by step.

use ndarray::ArrayViewD;

use super::buffers::{Buffer, write};
use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::misfit;
use crate::graph::outside::Outside;
use crate::graph::shape::display;
use crate::graph::tensor::{Given, Input};
use crate::graph::{InputKind, InputSpec};

impl InputSpec {
    /// [`convert`](InputSpec::convert) for one step of an input, into an array that is there.
    pub(super) fn write_step<T: Float>(&self, input: &Input<'_, T>, sequence: bool, to: &mut Buffer<T>) -> Result<()> {
        let fits = |given: &[usize], own: &[usize]| {
            // (batch, features) for (batch, 1, features); Keras adds or takes away a last dimension of one.
            let own_without_time = own.iter().enumerate().filter(|&(axis, _)| !(sequence && axis == 1));
            let without_time = own_without_time.map(|(_, &size)| size);
            let rank = own.len() - usize::from(sequence);
            match given.len() {
                n if n == rank => given.iter().copied().eq(without_time),
                n if n == rank + 1 => given[rank] == 1 && given[..rank].iter().copied().eq(without_time),
                n if n + 1 == rank => own.last() == Some(&1) && given.iter().copied().eq(without_time.take(n)),
                _ => false,
            }
        };
        if let Some(outside) = &self.outside {
            return self.write_outside(outside, input, sequence, to);
        }
        if !fits(input.shape(), to.shape()) {
            let mut shape = self.shape.clone();
            if sequence {
                shape.remove(1);
            }
            return Err(self.refuse(display(&shape), input.shape()));
        }
        let through_f32 = self.kind == InputKind::Float { through_f32: true };
        self.check_numbers(input)?;
        write(&input.0, to, through_f32)?;
        self.check_range(to)
    }

    /// The same of plain numbers, as many as there are.
    pub(super) fn write_flat<T: Float>(&self, x: ArrayViewD<'_, T>, to: &mut Buffer<T>) -> Result<()> {
        let input = Input(Given::Float(x));
        self.check_numbers(&input)?;
        write(&input.0, to, self.kind == InputKind::Float { through_f32: true })?;
        self.check_range(to)
    }

    /// The same of an array whose axes are in another order outside.
    fn write_outside<T: Float>(
        &self,
        outside: &Outside,
        input: &Input<'_, T>,
        sequence: bool,
        to: &mut Buffer<T>,
    ) -> Result<()> {
        let expected = outside.of_a_step(sequence).map(|place| to.shape()[place]);
        if !input.shape().iter().copied().eq(expected) {
            let kept = outside.places.iter().zip(&outside.shape).filter(|(place, _)| !(sequence && **place == 1));
            let shape: Vec<Option<usize>> = kept.map(|(_, size)| *size).collect();
            return Err(self.refuse(display(&shape), input.shape()));
        }
        self.check_numbers(input)?;
        let walk = outside.walk(to.shape(), sequence);
        match to {
            Buffer::Float(array) => {
                let values = array.as_slice_mut().ok_or_else(misfit)?;
                input.0.each_float(|at, value| values[walk.at(at)] = value);
            }
            Buffer::Int(array) => {
                let values = array.as_slice_mut().ok_or_else(misfit)?;
                input.0.each_integer(|at, value| values[walk.at(at)] = value);
            }
            Buffer::Bool(array) => {
                let values = array.as_slice_mut().ok_or_else(misfit)?;
                input.0.each_flag(|at, value| values[walk.at(at)] = value);
            }
        }
        self.check_range(to)
    }

    /// Checks that floats that become integers are numbers.
    fn check_numbers<T: Float>(&self, input: &Input<'_, T>) -> Result<()> {
        if let (InputKind::Int { .. }, Given::Float(floats)) = (self.kind, &input.0)
            && let Some(odd) = floats.iter().find(|value| !value.is_finite())
        {
            return Err(self.refuse(format!("numbers, not {odd}"), input.shape()));
        }
        Ok(())
    }

    /// The same for what a model within is called on.
    pub(super) fn convert_step<T: Float>(&self, from: &Buffer<T>, to: &mut Buffer<T>) -> Result<()> {
        match (&mut *to, self.kind) {
            (Buffer::Float(to), InputKind::Float { through_f32 }) => {
                let to = to.as_slice_mut().ok_or_else(misfit)?;
                let round = |x: T| if through_f32 { T::from_f64((x.into_f64() as f32).into()) } else { x };
                from.each_float(|at, value| to[at] = round(value));
            }
            (Buffer::Int(to), InputKind::Int { .. }) => {
                if let Buffer::Float(floats) = from
                    && let Some(odd) = floats.iter().find(|value| !value.is_finite())
                {
                    return Err(self.refuse(format!("numbers, not {odd}"), from.shape()));
                }
                let to = to.as_slice_mut().ok_or_else(misfit)?;
                from.each_integer(|at, value| to[at] = value);
            }
            (Buffer::Bool(to), InputKind::Bool) => {
                let to = to.as_slice_mut().ok_or_else(misfit)?;
                from.each_flag(|at, value| to[at] = value);
            }
            _ => return Err(misfit()),
        }
        self.check_range(to)
    }

    fn check_range<T: Float>(&self, value: &Buffer<T>) -> Result<()> {
        if let (InputKind::Int { min, max }, Buffer::Int(ids)) = (self.kind, value)
            && let Some(odd) = ids.iter().find(|&&id| id < min || id > max)
        {
            return Err(self.refuse(format!("integers from {min} to {max}, not {odd}"), value.shape()));
        }
        Ok(())
    }
}
