//! Operations that move whole steps: ZeroPadding1D, Cropping1D, UpSampling1D.

use ndarray::ArrayD;

use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, misfit};
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::{Buffer, Gives, Pace, Rate, Step};
use crate::graph::tensor::{Shared, Tensor, Value, in_row_order};

/// Where the steps of (batch, timesteps, channels) go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MovedSteps {
    /// So many zeros before and behind.
    Padded(usize, usize),
    /// So many steps fewer at the beginning and at the end.
    Cropped(usize, usize),
    /// Each step so many times.
    Repeated(usize),
}

/// The operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moving {
    moved: MovedSteps,
    pace: Pace,
}

impl From<MovedSteps> for Moving {
    fn from(moved: MovedSteps) -> Self {
        Moving { moved, pace: Pace::Unknown }
    }
}

/// Zeros before and behind a sequence: Keras's `ZeroPadding1D`. Masks end here.
///
/// A stream has zeros before its first step, if a window follows at once that reaches back over them: that of a
/// convolution or pooling.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Sequential, ops};
/// let model = Sequential::<f32>::builder("moved")
///     .layer(ops::ZeroPadding1D::new(1, 2))
///     .layer(ops::UpSampling1D::new(2)?)
///     .layer(ops::Cropping1D::new(3, 1))
///     .input_shape([None, Some(1)])
///     .build()?;
/// let moved = model.predict_one(&array![[[1.0_f32], [2.0]]])?; // 0 0 1 1 2 2 0 0 0 0, cropped
/// assert_eq!(moved, array![[[1.0], [2.0], [2.0], [0.0], [0.0], [0.0]]].into_dyn());
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ZeroPadding1D(MovedSteps);

/// A sequence without its first and its last steps: Keras's `Cropping1D`. Masks end here. Without the first ones it
/// streams. See [`ZeroPadding1D`] for an example.
#[derive(Debug, Clone, Copy)]
pub struct Cropping1D(MovedSteps);

/// Each step several times: Keras's `UpSampling1D`. Masks end here. It streams where no strides stand before it: a step
/// then gives several outputs, and [`process`](crate::model::ModelStream::process) writes them. See [`ZeroPadding1D`] for an
/// example.
#[derive(Debug, Clone, Copy)]
pub struct UpSampling1D(MovedSteps);

impl ZeroPadding1D {
    /// So many steps of zeros before and behind.
    pub fn new(before: usize, after: usize) -> Self {
        ZeroPadding1D(MovedSteps::Padded(before, after))
    }
}

impl Cropping1D {
    /// So many steps fewer at the beginning and at the end.
    pub fn new(before: usize, after: usize) -> Self {
        Cropping1D(MovedSteps::Cropped(before, after))
    }
}

impl UpSampling1D {
    /// Each step `size` times.
    ///
    /// # Errors
    /// [`Error::ZeroSize`].
    pub fn new(size: usize) -> Result<Self> {
        if size == 0 { Err(Error::ZeroSize { what: "size" }) } else { Ok(UpSampling1D(MovedSteps::Repeated(size))) }
    }
}

macro_rules! moved_steps {
    ($($layer:ident)*) => {$(
        impl From<$layer> for Moving {
            fn from(layer: $layer) -> Self {
                Moving::from(layer.0)
            }
        }
    )*};
}

moved_steps! { ZeroPadding1D Cropping1D UpSampling1D }

impl MovedSteps {
    /// The steps that come out, if there are any and they can be counted.
    pub(super) fn count(self, n: usize) -> Option<usize> {
        match self {
            MovedSteps::Padded(before, after) => n.checked_add(before)?.checked_add(after),
            MovedSteps::Cropped(before, after) => n.checked_sub(before)?.checked_sub(after).filter(|&left| left > 0),
            MovedSteps::Repeated(size) => n.checked_mul(size),
        }
    }

    /// The step that comes out at a place; none for zeros.
    pub(super) fn source(self, at: usize, n: usize) -> Option<usize> {
        match self {
            MovedSteps::Padded(before, _) => at.checked_sub(before).filter(|&step| step < n),
            MovedSteps::Cropped(before, _) => Some(at + before),
            MovedSteps::Repeated(size) => Some(at / size),
        }
    }

    /// Writes each step of (batch, steps, channels) to its place.
    fn whole<A: Copy>(self, [timesteps, channels]: [usize; 2], zero: A, x: &[A], out: &mut [A]) -> Result<()> {
        let count = self.count(timesteps).ok_or_else(misfit)?;
        if channels == 0 {
            return Ok(());
        }
        for (place, out) in out.chunks_exact_mut(channels).enumerate() {
            let (row, at) = (place / count, place % count);
            match self.source(at, timesteps) {
                Some(step) => out.copy_from_slice(&x[(row * timesteps + step) * channels..][..channels]),
                None => out.fill(zero),
            }
        }
        Ok(())
    }

    fn array<A: Copy>(self, x: &Shared<A>, zero: A) -> Result<Shared<A>> {
        let x = in_row_order(x);
        let &[batch, timesteps, channels] = x.shape() else { return Err(misfit()) };
        let count = self.count(timesteps).ok_or_else(misfit)?;
        let mut out = ArrayD::from_elem(vec![batch, count, channels], zero);
        let (x, to) = (x.as_slice().ok_or_else(misfit)?, out.as_slice_mut().ok_or_else(misfit)?);
        self.whole([timesteps, channels], zero, x, to)?;
        Ok(out.into_shared())
    }
}

impl<T: Float> Operation<T> for Moving {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let both = |before: usize, after: usize| vec![before, after];
        Ok(match self.moved {
            MovedSteps::Padded(before, after) => Config::new("ZeroPadding1D").with("padding", both(before, after)),
            MovedSteps::Cropped(before, after) => Config::new("Cropping1D").with("cropping", both(before, after)),
            MovedSteps::Repeated(size) => Config::new("UpSampling1D").with("size", size),
        })
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let least = match self.moved {
            MovedSteps::Cropped(before, after) => format!(", more than {} steps", before.saturating_add(after)),
            _ => String::new(),
        };
        let refuse = || shape::misfit(format!("(batch, timesteps, channels){least}"), inputs);
        match shape::only(inputs)?[..] {
            // One step of a stream.
            [batch, Some(1), channels] if self.pace == Pace::Steps => Ok(vec![vec![batch, Some(1), channels]]),
            [batch, None, channels] => Ok(vec![vec![batch, None, channels]]),
            [batch, Some(steps), channels] => match self.moved.count(steps) {
                Some(count) => Ok(vec![vec![batch, Some(count), channels]]),
                None => refuse(),
            },
            _ => refuse(),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let moved = self.now();
        Ok(vec![Tensor::unmasked(match &inputs[0].value {
            Value::Float(x) => Value::Float(moved.array(x, T::zero())?),
            Value::Int(x) => Value::Int(moved.array(x, 0)?),
            Value::Bool(x) => Value::Bool(moved.array(x, false)?),
        })])
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x) = (back.of_output()?, back.input()?);
        let &[_, timesteps, channels] = x.shape() else { return Err(misfit()) };
        let count = self.moved.count(timesteps).ok_or_else(misfit)?;
        let mut d_x = ArrayD::zeros(x.shape());
        let (d, to) = (d.as_slice().ok_or_else(misfit)?, d_x.as_slice_mut().ok_or_else(misfit)?);
        for (place, d) in d.chunks_exact(channels.max(1)).enumerate() {
            if let Some(step) = self.moved.source(place % count, timesteps) {
                let to = &mut to[(place / count * timesteps + step) * channels..][..channels];
                to.iter_mut().zip(d).for_each(|(to, &d)| *to += d);
            }
        }
        Ok(vec![Some(d_x)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        let &[_, timesteps, channels] = input.shape() else { return Err(misfit()) };
        let (size, moved) = ([timesteps, channels], self.now());
        match (input, step.output()) {
            (Buffer::Float(x), Buffer::Float(out)) => {
                moved.whole(size, T::zero(), slice(x)?, out.as_slice_mut().ok_or_else(misfit)?)
            }
            (Buffer::Int(x), Buffer::Int(out)) => {
                moved.whole(size, 0, slice(x)?, out.as_slice_mut().ok_or_else(misfit)?)
            }
            (Buffer::Bool(x), Buffer::Bool(out)) => {
                moved.whole(size, false, slice(x)?, out.as_slice_mut().ok_or_else(misfit)?)
            }
            _ => Err(misfit()),
        }
    }

    fn pace(&mut self, each_step: bool) -> Result<Gives, &'static str> {
        match self.moved {
            _ if !each_step => {}
            MovedSteps::Padded(_, 0) | MovedSteps::Cropped(_, 0) | MovedSteps::Repeated(_) => {}
            MovedSteps::Padded(..) => {
                return Err("a stream doesn't know of its end: it can have zeros before it alone");
            }
            MovedSteps::Cropped(..) => {
                return Err("a stream doesn't know of its end: it can be without its first steps alone");
            }
        }
        self.pace.choose(each_step)?;
        Ok(Gives::EachStep)
    }

    fn rate(&self, input: Rate) -> Result<Rate, &'static str> {
        match self.moved {
            _ if self.pace != Pace::Steps => input.same(),
            MovedSteps::Padded(before, _) => input.padded(before),
            MovedSteps::Cropped(before, _) => input.cropped(before),
            MovedSteps::Repeated(size) => input.repeated(size),
        }
    }

    fn times(&self) -> usize {
        if let MovedSteps::Repeated(size) = self.moved { size } else { 1 }
    }
}

impl Moving {
    /// What it does to the steps that are there: nothing to one of a stream, which then is another one of its sequence.
    fn now(&self) -> MovedSteps {
        if self.pace == Pace::Steps { MovedSteps::Repeated(1) } else { self.moved }
    }
}

fn slice<A>(array: &ArrayD<A>) -> Result<&[A]> {
    array.as_slice().ok_or_else(misfit)
}
