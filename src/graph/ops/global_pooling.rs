//! Pooling over the whole of time: the largest or the mean of each channel.

use std::sync::Arc;

use ndarray::ArrayD;

use super::pooling::Pool;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::{Gives, Pace, Step};
use crate::graph::tensor::{Mask, Tensor, in_row_order};
use crate::state::StateLayout;

/// Pooling of all steps of (batch, timesteps, channels).
#[derive(Debug, Clone, Copy)]
pub(crate) struct GlobalPooling {
    pub(crate) pool: Pool,
    /// Whether time stays, as one step.
    pub(crate) keepdims: bool,
    pub(crate) pace: Pace,
}

/// The largest of all steps, channel by channel: Keras's `GlobalMaxPooling1D`. It doesn't look at masks, as in Keras; a
/// NaN is the largest.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Embedding, Sequential, ops};
/// let model = Sequential::<f32>::builder("bag_of_words")
///     .layer(Embedding::builder(10, 4).mask_zero(true).build()?)
///     .layer(ops::GlobalAveragePooling1D::new())
///     .build()?;
/// assert_eq!(model.predict_one(&array![[3, 1, 0], [4, 0, 0]])?.shape(), [2, 4]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct GlobalMaxPooling1D {
    keepdims: bool,
}

/// The mean of all steps, channel by channel, of those that aren't masked: Keras's `GlobalAveragePooling1D`. Of no
/// steps it is NaN; a NaN under a mask doesn't count, as in Keras from 3.15 on. A stream of f32 counts up to 2^24 steps.
/// See [`GlobalMaxPooling1D`] for an example.
#[derive(Debug, Clone, Copy, Default)]
pub struct GlobalAveragePooling1D {
    keepdims: bool,
}

/// What both have.
macro_rules! global {
    ($($layer:ident: $pool:ident;)*) => {$(
        impl $layer {
            /// (batch, timesteps, channels) to (batch, channels).
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            /// Whether time stays, as one step: (batch, 1, channels).
            #[must_use]
            pub fn keepdims(self, yes: bool) -> Self {
                $layer { keepdims: yes }
            }
        }

        impl From<$layer> for GlobalPooling {
            fn from(layer: $layer) -> Self {
                GlobalPooling::new(Pool::$pool, layer.keepdims)
            }
        }
    )*};
}

global! { GlobalMaxPooling1D: Max; GlobalAveragePooling1D: Average; }

impl GlobalPooling {
    pub(crate) fn new(pool: Pool, keepdims: bool) -> Self {
        GlobalPooling { pool, keepdims, pace: Pace::Unknown }
    }

    /// What a step keeps of each row: the largest or the sum up to there, and how many steps counted.
    fn layout(&self, channels: usize) -> StateLayout {
        let name = if self.pool == Pool::Max { "max" } else { "sum" };
        StateLayout::new([(name, channels), ("count", 1)])
    }

    /// One more step of each row; `live`: whether it counts.
    fn next<T: Float>(&self, channels: usize, kept: &mut [T], x: &[T], live: Option<&[bool]>, out: &mut [T]) {
        for (row, kept) in kept.chunks_exact_mut(channels + 1).enumerate() {
            let ([sofar @ .., count], x) = (kept, &x[row * channels..][..channels]) else { continue };
            if live.is_none_or(|live| live[row]) {
                let first = *count == T::zero();
                for (sofar, &x) in sofar.iter_mut().zip(x) {
                    *sofar = match self.pool {
                        Pool::Max if first => x,
                        Pool::Max => larger(*sofar, x),
                        Pool::Average => *sofar + x,
                    };
                }
                *count += T::one();
            }
            let out = &mut out[row * channels..][..channels];
            match self.pool {
                Pool::Max => out.copy_from_slice(sofar),
                Pool::Average => out.iter_mut().zip(sofar).for_each(|(out, sum)| *out = *sum / *count),
            }
        }
    }

    /// Writes (batch, channels). `live`: whether a step counts.
    pub(super) fn whole<T: Float>(
        &self,
        [timesteps, channels]: [usize; 2],
        x: &[T],
        live: Option<&dyn Fn(usize) -> bool>,
        out: &mut [T],
    ) {
        for (row, out) in out.chunks_exact_mut(channels.max(1)).enumerate() {
            out.fill(match self.pool {
                Pool::Max => T::neg_infinity(),
                Pool::Average => T::zero(),
            });
            let mut count = 0_usize;
            for step in row * timesteps..(row + 1) * timesteps {
                if live.is_some_and(|live| !live(step)) {
                    continue;
                }
                count += 1;
                let x = &x[step * channels..][..channels];
                match self.pool {
                    Pool::Max => out.iter_mut().zip(x).for_each(|(most, &x)| *most = larger(*most, x)),
                    Pool::Average => out.iter_mut().zip(x).for_each(|(sum, &x)| *sum += x),
                }
            }
            if self.pool == Pool::Average {
                let count = T::from_f64(count as f64);
                out.iter_mut().for_each(|sum| *sum /= count);
            }
        }
    }
}

/// NaN, if there is one.
fn larger<T: Float>(a: T, b: T) -> T {
    if a > b || a.is_nan() { a } else { b }
}

/// The flags of each step, in row order.
fn of_steps(mask: &Mask, [batch, timesteps]: [usize; 2]) -> Result<Vec<bool>> {
    match mask.shape() == [batch, timesteps] {
        true => Ok(mask.iter().copied().collect()),
        false => Err(mismatch(format!("a mask of shape [{batch}, {timesteps}]"), mask.shape())),
    }
}

impl<T: Float> Operation<T> for GlobalPooling {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let class = match self.pool {
            Pool::Max => "GlobalMaxPooling1D",
            Pool::Average => "GlobalAveragePooling1D",
        };
        Ok(Config::new(class).with("keepdims", self.keepdims))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        match shape::only(inputs)?[..] {
            [batch, steps, channels] if steps != Some(0) => Ok(vec![match self.keepdims {
                true => vec![batch, Some(1), channels],
                false => vec![batch, channels],
            }]),
            _ => shape::misfit("(batch, timesteps, channels), one step or more", inputs),
        }
    }

    fn takes_mask(&self) -> bool {
        self.pool == Pool::Average
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = in_row_order(&inputs[0].value.floats());
        let &[batch, timesteps, channels] = x.shape() else { return Err(misfit()) };
        if let (Some(trace), Pace::Steps) = (call.trace, self.pace) {
            trace.keep(Arc::new(self.layout(channels)))?;
            let shape = if self.keepdims { vec![batch, 1, channels] } else { vec![batch, channels] };
            return Ok(vec![Tensor::float(ArrayD::zeros(shape))]);
        }
        let mask = call.mask.filter(|_| self.pool == Pool::Average);
        if let Some(mask) = mask.as_ref().filter(|mask| call.keras_2 && mask.is_graded()) {
            return Err(mismatch("a mask of zeros and ones".into(), mask.shape()));
        }
        let live = mask.as_ref().map(|mask| of_steps(mask, [batch, timesteps])).transpose()?;
        let x = x.as_slice().ok_or_else(misfit)?;
        if let Some(record) = call.record {
            record.masks = vec![mask];
        }
        let shape = if self.keepdims { vec![batch, 1, channels] } else { vec![batch, channels] };
        let mut out = ArrayD::zeros(shape);
        let to = out.as_slice_mut().ok_or_else(misfit)?;
        match live {
            Some(live) => self.whole([timesteps, channels], x, Some(&|step: usize| live[step]), to),
            None => self.whole([timesteps, channels], x, None, to),
        }
        Ok(vec![Tensor::float(out)])
    }

    /// The largest gets the gradient, in equal parts if they are several.
    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x) = (back.of_output()?, in_row_order(&back.input()?.floats()));
        let &[batch, timesteps, channels] = x.shape() else { return Err(misfit()) };
        let mask = back.record.masks.first().cloned().flatten().filter(|_| self.pool == Pool::Average);
        let live = mask.map(|mask| of_steps(&mask, [batch, timesteps])).transpose()?;
        let mut d_x = ArrayD::zeros(x.raw_dim());
        let (d, x) = (d.as_slice().ok_or_else(misfit)?, x.as_slice().ok_or_else(misfit)?);
        let (most, to) = (in_row_order(&back.output()?.floats()), d_x.as_slice_mut().ok_or_else(misfit)?);
        let most = most.as_slice().ok_or_else(misfit)?;
        for (place, (&d, &most)) in d.iter().zip(most).enumerate() {
            let (row, channel) = (place / channels, place % channels);
            let counts = |&step: &usize| match self.pool {
                Pool::Max => x[step * channels + channel] == most,
                Pool::Average => live.as_ref().is_none_or(|live| live[step]),
            };
            let steps = || row * timesteps..(row + 1) * timesteps;
            let share = d / T::from_f64(steps().filter(counts).count() as f64);
            steps().filter(counts).for_each(|step| to[step * channels + channel] = share);
        }
        Ok(vec![Some(d_x)])
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        let (input, mask) = (step.input(0), step.mask());
        let &[_, timesteps, channels] = input.shape() else { return Err(misfit()) };
        let mask = mask.filter(|_| self.pool == Pool::Average).map(|mask| mask.flags.as_slice().ok_or_else(misfit));
        let x = input.floats(&mut step.work.floats)?;
        let (out, mask) = (step.outputs[0].as_floats()?, mask.transpose()?);
        if let Some(kept) = step.kept {
            self.next(channels, kept.values()?, x, mask, out);
            return Ok(());
        }
        match mask {
            Some(live) => self.whole([timesteps, channels], x, Some(&|step: usize| live[step]), out),
            None => self.whole([timesteps, channels], x, None, out),
        }
        Ok(())
    }

    fn pace(&mut self, each_step: bool) -> Result<Gives, &'static str> {
        self.pace.choose(each_step)?;
        Ok(Gives::SoFar)
    }
}
