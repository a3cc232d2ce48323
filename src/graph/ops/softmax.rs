//! Keras's Softmax layer, which is more than the activation: any axis, and masks.

use ndarray::{ArrayViewD, ArrayViewMutD, Axis};

use crate::activation::Activation;
use crate::buffers::take;
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, misfit, mismatch};
use crate::graph::per_step::Map;
use crate::graph::shape::{self, Misfit, Shape, axis_at, is_beyond_time};
use crate::graph::stream::{Buffer, Step};
use crate::graph::tensor::{Tensor, Value, in_row_order};
use crate::kernels::activate::{activate, activate_backward};
use crate::kernels::isa::Isa;

/// A softmax along an axis, which leaves out what is masked: Keras's layer of that name.
#[derive(Debug, Clone, Copy)]
pub struct Softmax {
    pub(crate) axis: i64,
    pub(crate) masks: SoftmaxMask,
}

/// What a Softmax makes of a mask, where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SoftmaxMask {
    /// Keras 3: masked elements count for nothing and come out as zero.
    Replaces,
    /// Keras 2: a large negative number is added to them.
    Adds,
}

/// What is made of masks, by name.
pub(crate) const MASKS: [(&str, SoftmaxMask); 2] = [("replaces", SoftmaxMask::Replaces), ("adds", SoftmaxMask::Adds)];

impl Softmax {
    /// Along this axis, counted from the end if it is negative; Keras's default is -1, the features.
    pub fn new(axis: i64) -> Self {
        Softmax { axis, masks: SoftmaxMask::Replaces }
    }

    /// Makes masked elements count for nothing.
    fn hide<T: Float>(&self, mut x: ArrayViewMutD<'_, T>, mask: &ArrayViewD<'_, bool>) {
        // Keras's large negative number.
        let low = T::from_f64(-1e9);
        match self.masks {
            SoftmaxMask::Replaces => x.zip_mut_with(mask, |x, &live| *x = if live { *x } else { low }),
            SoftmaxMask::Adds => x.zip_mut_with(mask, |x, &live| *x += if live { T::zero() } else { low }),
        }
    }

    /// Makes zeros of them, once all is done.
    fn clear<T: Float>(&self, mut x: ArrayViewMutD<'_, T>, mask: &ArrayViewD<'_, bool>) {
        if self.masks == SoftmaxMask::Replaces {
            x.zip_mut_with(mask, |x, &live| *x = if live { *x } else { T::zero() });
        }
    }
}

impl<T: Float> Operation<T> for Softmax {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let masks = MASKS.iter().find(|(_, masks)| *masks == self.masks).map_or("", |(name, _)| *name);
        Ok(Config::new("Softmax").with("axis", self.axis).with("masks", masks))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        match axis_at(self.axis, x.len()) {
            Some(_) => Ok(vec![x.clone()]),
            None => shape::misfit(format!("an axis {}", self.axis), inputs),
        }
    }

    fn takes_mask(&self) -> bool {
        true
    }

    fn spreads_mask(&self) -> bool {
        true
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    /// The mask spreads as numpy does it.
    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = inputs[0].value.floats();
        let axis = Axis(axis_at(self.axis, x.ndim()).ok_or_else(misfit)?);
        let mut x = in_row_order(&x);
        let mask = match &call.mask {
            None => None,
            Some(mask) if mask.is_graded() => return Err(graded(mask.shape())),
            Some(mask) => match mask.broadcast(x.raw_dim()) {
                Some(wide) => Some(wide.to_owned()),
                None => return Err(mismatch(format!("a mask that spreads to {:?}", x.shape()), mask.shape())),
            },
        };
        if let Some(mask) = &mask {
            self.hide(x.view_mut(), &mask.view());
        }
        let mut lane = Vec::new();
        for mut along in x.lanes_mut(axis) {
            lane.clear();
            lane.extend(along.iter().copied());
            activate(Isa::detect(), &Activation::Softmax, &mut lane);
            along.iter_mut().zip(&lane).for_each(|(to, &from)| *to = from);
        }
        if let Some(mask) = &mask {
            self.clear(x.view_mut(), &mask.view());
        }
        call.passing(Value::Float(x.into_shared()))
    }

    /// What was masked came out as zero, and so it gets and gives nothing.
    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (mut d, y) = (back.of_output()?, back.output()?.floats());
        let axis = Axis(axis_at(self.axis, y.ndim()).ok_or_else(misfit)?);
        let (mut along_y, mut along_d) = (Vec::new(), Vec::new());
        for (y, mut d) in y.lanes(axis).into_iter().zip(d.lanes_mut(axis)) {
            along_y.clear();
            along_y.extend(y.iter().copied());
            along_d.clear();
            along_d.extend(d.iter().copied());
            activate_backward(Isa::detect(), &Activation::Softmax, &along_y, &along_y, &mut along_d);
            d.iter_mut().zip(&along_d).for_each(|(to, &from)| *to = from);
        }
        Ok(vec![Some(d)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let mask = step.mask();
        if let Some(mask) = mask.filter(|mask| mask.graded) {
            return Err(graded(mask.flags.shape()));
        }
        step.copied()?;
        let Step { outputs: [Buffer::Float(x), ..], work, .. } = &mut step else { return Err(misfit()) };
        let mask = mask.map(|mask| mask.flags.broadcast(x.raw_dim()).ok_or_else(misfit)).transpose()?;
        if let Some(mask) = &mask {
            self.hide(x.view_mut(), mask);
        }
        let axis = Axis(axis_at(self.axis, x.ndim()).ok_or_else(misfit)?);
        let lane = take(&mut work.floats, x.len_of(axis));
        for mut along in x.lanes_mut(axis) {
            lane.iter_mut().zip(&along).for_each(|(to, &from)| *to = from);
            activate(Isa::detect(), &Activation::Softmax, lane);
            along.iter_mut().zip(&*lane).for_each(|(to, &from)| *to = from);
        }
        if let Some(mask) = &mask {
            self.clear(x.view_mut(), mask);
        }
        Ok(())
    }

    fn steps_alone(&self) -> bool {
        is_beyond_time(self.axis)
    }

    fn per_step(&self, _features: usize) -> Option<Map<T>> {
        (self.axis == -1).then_some(Map::Activation(Activation::Softmax))
    }
}

#[cold]
fn graded(mask: &[usize]) -> Error {
    let expected = "a mask of zeros and ones, or flags: Softmax reads other numbers in a way of its own";
    mismatch(expected.into(), mask)
}
