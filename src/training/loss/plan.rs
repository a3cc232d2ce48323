//! How a loss goes through its arrays, and whether they fit.

use super::{Loss, LossFunction};
use crate::error::{Error, Result};

/// A prediction as values of a loss, one behind the other in row order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'p> {
    shape: &'p [usize],
    /// The axes that go through the values.
    axes: usize,
    /// The number of values.
    pub(super) values: usize,
    /// The elements of the prediction that each is made of.
    pub(super) block: usize,
    /// The size of the last axis.
    pub(super) width: usize,
    /// Whether a mask says how much of each block is there.
    pub(super) reads_mask: bool,
}

impl<'p> Plan<'p> {
    /// # Errors
    /// Those of shapes.
    pub(super) fn new(function: &LossFunction, shape: &'p [usize], target: &[usize]) -> Result<Self> {
        let reads_mask = function.loss == Loss::Ctc;
        let axes = match reads_mask {
            true => 1,
            false => shape.len().saturating_sub(1),
        };
        if reads_mask && shape.len() != 3 {
            let (expected, given) = ("(batch, timesteps, classes)".into(), format!("{shape:?}"));
            return Err(Error::TrainingOption { option: "prediction of CTC".into(), expected, given });
        }
        let plan = Plan {
            shape,
            axes,
            values: shape[..axes].iter().product(),
            block: shape[axes..].iter().product(),
            width: shape.last().copied().unwrap_or(1),
            reads_mask,
        };
        plan.check(function, target)?;
        Ok(plan)
    }

    /// The shape of the values.
    pub(super) fn values_shape(&self) -> &'p [usize] {
        &self.shape[..self.axes]
    }

    /// The steps of each block.
    pub(super) fn steps(&self) -> usize {
        self.shape.get(1).copied().unwrap_or(1)
    }

    fn check(&self, function: &LossFunction, target: &[usize]) -> Result<()> {
        let refuse =
            |expected: Vec<usize>| Err(Error::OutputShape { what: "target", expected, given: target.to_vec() });
        let squeezed = |whole: &[usize], short: &[usize]| matches!(whole, [first @ .., 1] if first == short);
        match function.loss {
            Loss::Ctc => match target {
                [batch, _] if *batch == self.values => Ok(()),
                _ => refuse(vec![self.values, target.get(1).copied().unwrap_or(1)]),
            },
            loss if loss.reads_classes() => {
                let values = self.values_shape();
                if target == values || squeezed(target, values) { Ok(()) } else { refuse(values.to_vec()) }
            }
            _ if target == self.shape || squeezed(self.shape, target) => Ok(()),
            _ => refuse(self.shape.to_vec()),
        }
    }
}

/// Checks that a target fits a prediction: a class for each row, or a number for each element.
pub(in crate::training) fn check_target(prediction: &[usize], target: &[usize], classes: bool) -> Result<()> {
    let loss = match classes {
        true => Loss::SparseCategoricalCrossentropy { from_logits: true },
        false => Loss::MeanSquaredError,
    };
    Plan::new(&loss.into(), prediction, target).map(|_| ())
}
