//! The shape of a closure's output: by trials on zeros, each remembered.

use std::sync::PoisonError;

use ndarray::{ArrayD, IxDyn};

use super::CustomLayer;
use crate::float::Float;
use crate::graph::shape::{self, Misfit, Shape};
use crate::memory;

/// What a trial has found.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    inputs: Vec<Shape>,
    /// Without the batch.
    output: Vec<Size>,
}

/// A size of the output.
#[derive(Debug, Clone, Copy)]
enum Size {
    Known(usize),
    /// As large as this axis of this input, whose size wasn't known.
    As {
        input: usize,
        axis: usize,
    },
    /// It depends on the inputs, who knows how.
    Any,
}

/// The rows of both trials, and the sizes that stand for those that aren't known.
const ROWS: [usize; 2] = [2, 3];
const SIZES: [usize; 2] = [64, 81];

impl<T: Float> CustomLayer<T> {
    /// The shape of the output.
    pub(super) fn shape(&self, inputs: &[Shape]) -> Result<Shape, Misfit> {
        if inputs.is_empty() || self.of_one && inputs.len() != 1 {
            return shape::misfit("one input", inputs);
        }
        if inputs.iter().any(Vec::is_empty) {
            return shape::misfit("at least the batch's dimension", inputs);
        }
        let batch = inputs[0][0];
        if let Some(stated) = &self.output_shape {
            return Ok([&[batch], &stated[..]].concat());
        }
        // A panic of another thread leaves nothing half done here.
        let trials = || self.trials.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = trials().iter().find(|trial| trial.covers(inputs)).cloned();
        let trial = match remembered {
            Some(trial) => trial,
            None => {
                // Without the lock: the closure may come back here by a way of its own.
                let new = self.try_out(inputs)?;
                trials().push(new.clone());
                new
            }
        };
        Ok([vec![batch], trial.output.iter().map(|size| size.of(inputs)).collect()].concat())
    }

    fn try_out(&self, inputs: &[Shape]) -> Result<Trial, Misfit> {
        let unknown = inputs.iter().any(|input| input[1..].contains(&None));
        let count = if unknown { 2 } else { 1 };
        let outputs = (0..count).map(|which| self.output_of_zeros(inputs, which)).collect::<Result<Vec<_>, _>>()?;
        let output = match &outputs[..] {
            [one, other] if one.len() != other.len() => {
                return shape::misfit("an input with which its output has one number of dimensions", inputs);
            }
            [one, other] => {
                let axis = the_unknown_axis(inputs);
                let size = |(&one, &other): (&usize, &usize)| match axis {
                    _ if one == other => Size::Known(one),
                    Some((input, axis)) if [one, other] == SIZES => Size::As { input, axis },
                    _ => Size::Any,
                };
                one.iter().zip(other).map(size).collect()
            }
            all => all.iter().flatten().map(|&size| Size::Known(size)).collect(),
        };
        Ok(Trial { inputs: inputs.to_vec(), output })
    }

    /// What it makes of zeros, without the batch.
    fn output_of_zeros(&self, inputs: &[Shape], which: usize) -> Result<Vec<usize>, Misfit> {
        let mut zeros = Vec::new();
        for input in inputs {
            let sizes = input[1..].iter().map(|size| size.unwrap_or(SIZES[which]));
            let sizes: Vec<usize> = [ROWS[which]].into_iter().chain(sizes).collect();
            if memory::check_shape(&sizes).and_then(|()| memory::check::<T>(memory::product(&sizes), &sizes)).is_err() {
                return shape::misfit("less than there is memory for, or a stated output_shape", inputs);
            }
            zeros.push(ArrayD::<T>::zeros(IxDyn(&sizes)));
        }
        let views: Vec<_> = zeros.iter().map(|zeros| zeros.view()).collect();
        let masks = vec![None; inputs.len()];
        match (self.forward)(&views, &masks) {
            Ok(output) if output.shape().first() == Some(&ROWS[which]) => Ok(output.shape()[1..].to_vec()),
            Ok(output) => {
                let given = output.shape();
                shape::misfit(
                    format!("what its code keeps the rows of (it made {given:?} of {} rows)", ROWS[which]),
                    inputs,
                )
            }
            Err(error) => shape::misfit(
                format!("what its code takes (a trial on zeros, which output_shape saves, says: {error})"),
                inputs,
            ),
        }
    }
}

/// The one axis whose size isn't known, if it is one in all inputs, behind the first input that has it so.
fn the_unknown_axis(inputs: &[Shape]) -> Option<(usize, usize)> {
    let unknown = |(at, input): (usize, &Shape)| {
        let axes: Vec<usize> = (1..input.len()).filter(|&axis| input[axis].is_none()).collect();
        axes.into_iter().map(move |axis| (at, axis))
    };
    let mut axes = inputs.iter().enumerate().flat_map(unknown);
    let (input, first) = axes.next()?;
    axes.all(|(_, axis)| axis == first).then_some((input, first))
}

impl Trial {
    /// Whether it was a trial of such inputs.
    fn covers(&self, inputs: &[Shape]) -> bool {
        let covers = |(own, given): (&Shape, &Shape)| {
            own.len() == given.len()
                && own.iter().zip(given).skip(1).all(|(&own, &given)| own.is_none() || own == given)
        };
        self.inputs.len() == inputs.len() && self.inputs.iter().zip(inputs).all(covers)
    }
}

impl Size {
    fn of(self, inputs: &[Shape]) -> Option<usize> {
        match self {
            Size::Known(size) => Some(size),
            Size::As { input, axis } => inputs.get(input)?.get(axis).copied()?,
            Size::Any => None,
        }
    }
}
