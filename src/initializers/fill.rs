//! How each initializer fills a tensor, and what its parameters must be.

use super::variance_scaling::{VarianceScaling, fans, fans_over};
use super::{Initializer, orthogonal, too_large};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::random::{self, SeedSource};

impl Initializer {
    /// Fills a tensor of this shape that holds zeros, in row-major order.
    pub(super) fn fill<T: Float>(&self, shape: &[usize], out: &mut [T]) -> Result<()> {
        match *self {
            Initializer::Zeros => {}
            Initializer::Ones => out.fill(T::one()),
            Initializer::Constant { value } => out.fill(self.constant(value)?),
            Initializer::Identity { gain } => {
                let &[_, columns] = shape else { return Err(self.wrong_rank("2", shape)) };
                let gain = self.finite("gain", gain, T::from_f64(gain))?;
                out.fill(gain * T::zero()); // -0 for a negative gain, as in Keras
                out.iter_mut().step_by(columns + 1).take(columns).for_each(|diagonal| *diagonal = gain);
            }
            Initializer::RandomNormal { mean, stddev, seed } => {
                let mean = self.finite("mean", mean, T::from_f64(mean))?;
                let stddev = self.stddev(stddev)?;
                random::normal((or_random(seed)?, 0), mean, stddev, out);
            }
            Initializer::RandomUniform { minval, maxval, seed } => {
                let (low, high) = (T::bound(minval), T::bound(maxval));
                self.finite("minval", minval, low)?;
                self.finite("maxval", maxval, high)?;
                self.finite("maxval - minval", maxval - minval, high - low)?;
                random::uniform((or_random(seed)?, 0), low, high, out);
            }
            Initializer::TruncatedNormal { mean, stddev, seed } => {
                let mean = self.finite("mean", mean, T::from_f64(mean))?;
                let stddev = self.stddev(stddev)?;
                random::truncated_normal((or_random(seed)?, 0), mean, stddev, out);
            }
            Initializer::VarianceScaling { scale, mode, distribution, ref input_axes, ref output_axes, seed } => {
                let scale = self.scale(scale)?;
                let fans = match (input_axes, output_axes) {
                    (Some(input_axes), Some(output_axes)) => fans_over(shape, input_axes, output_axes)?,
                    _ => fans(shape),
                };
                VarianceScaling { scale, mode, distribution }.fill(fans, or_random(seed)?, out);
            }
            Initializer::GlorotNormal { seed } => {
                VarianceScaling::GLOROT_NORMAL.fill(fans(shape), or_random(seed)?, out)
            }
            Initializer::GlorotUniform { seed } => {
                VarianceScaling::GLOROT_UNIFORM.fill(fans(shape), or_random(seed)?, out)
            }
            Initializer::HeNormal { seed } => VarianceScaling::HE_NORMAL.fill(fans(shape), or_random(seed)?, out),
            Initializer::HeUniform { seed } => VarianceScaling::HE_UNIFORM.fill(fans(shape), or_random(seed)?, out),
            Initializer::LecunNormal { seed } => VarianceScaling::LECUN_NORMAL.fill(fans(shape), or_random(seed)?, out),
            Initializer::LecunUniform { seed } => {
                VarianceScaling::LECUN_UNIFORM.fill(fans(shape), or_random(seed)?, out)
            }
            Initializer::Orthogonal { gain, seed } => {
                let &[_, .., columns] = shape else { return Err(self.wrong_rank("2 or more", shape)) };
                let gain = self.finite("gain", gain, T::from_f64(gain))?;
                orthogonal::fill(columns, gain, or_random(seed)?, out).ok_or_else(|| too_large(shape))?;
            }
            Initializer::Custom(ref custom) => custom.fill(shape, out)?,
        }
        Ok(())
    }

    /// A constant after rounding: NaN and infinities are fine, but must have been there before.
    fn constant<T: Float>(&self, value: f64) -> Result<T> {
        let rounded = T::bound(value);
        if value.is_finite() { self.finite("value", value, rounded) } else { Ok(rounded) }
    }

    fn scale(&self, scale: f64) -> Result<f64> {
        if scale > 0.0 && scale.is_finite() {
            return Ok(scale);
        }
        Err(self.wrong_parameter("scale", "finite and above 0", scale))
    }

    fn stddev<T: Float>(&self, stddev: f64) -> Result<T> {
        if stddev.is_finite() && stddev >= 0.0 {
            return self.finite("stddev", stddev, T::from_f64(stddev));
        }
        Err(self.wrong_parameter("stddev", "finite and not negative", stddev))
    }

    /// A parameter after rounding, if it is still finite.
    fn finite<T: Float>(&self, parameter: &'static str, value: f64, rounded: T) -> Result<T> {
        if rounded.is_finite() {
            return Ok(rounded);
        }
        let expected = if value.is_finite() { "in the range of f32" } else { "finite" };
        Err(self.wrong_parameter(parameter, expected, value))
    }

    fn wrong_parameter(&self, parameter: &'static str, expected: &'static str, value: f64) -> Error {
        Error::InitializerParameter { initializer: self.name(), parameter, expected, value }
    }

    fn wrong_rank(&self, expected: &'static str, shape: &[usize]) -> Error {
        Error::InitializerRank { initializer: self.name(), expected, shape: shape.to_vec() }
    }
}

pub(super) fn or_random(seed: Option<i64>) -> Result<i64> {
    seed.map_or_else(|| Ok(SeedSource::random()?.next_seed()), Ok)
}
