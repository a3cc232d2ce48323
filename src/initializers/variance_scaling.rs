//! `VarianceScaling` and its named cases: a spread that depends on the tensor's shape.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::float::Float;
use crate::random;

/// Which fan of a tensor divides the variance of [`Initializer::VarianceScaling`](crate::Initializer::VarianceScaling).
///
/// ```
/// use recurrent::FanMode;
///
/// assert_eq!("fan_avg".parse::<FanMode>()?, FanMode::FanAvg);   // Keras's names, in this letter case only
/// assert_eq!(FanMode::FanAvg.to_string(), "fan_avg");
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FanMode {
    /// The number of inputs.
    FanIn,
    /// The number of outputs.
    FanOut,
    /// Half of their sum.
    FanAvg,
}

/// The distribution of [`Initializer::VarianceScaling`](crate::Initializer::VarianceScaling).
///
/// ```
/// use recurrent::ScalingDistribution;
///
/// // Keras takes any letter case here, and `normal` for the truncated one.
/// assert_eq!("Normal".parse::<ScalingDistribution>()?, ScalingDistribution::TruncatedNormal);
/// assert_eq!(ScalingDistribution::TruncatedNormal.to_string(), "truncated_normal");
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScalingDistribution {
    /// Normal, drawn again beyond two standard deviations, widened so that the variance is right after that.
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
    /// Uniform.
    Uniform,
}

/// The rule without its seed; `scale` is above 0 and finite.
pub(super) struct VarianceScaling {
    pub scale: f64,
    pub mode: FanMode,
    pub distribution: ScalingDistribution,
}

impl VarianceScaling {
    pub const GLOROT_NORMAL: Self = Self::new(1.0, FanMode::FanAvg, ScalingDistribution::TruncatedNormal);
    pub const GLOROT_UNIFORM: Self = Self::new(1.0, FanMode::FanAvg, ScalingDistribution::Uniform);
    pub const HE_NORMAL: Self = Self::new(2.0, FanMode::FanIn, ScalingDistribution::TruncatedNormal);
    pub const HE_UNIFORM: Self = Self::new(2.0, FanMode::FanIn, ScalingDistribution::Uniform);
    pub const LECUN_NORMAL: Self = Self::new(1.0, FanMode::FanIn, ScalingDistribution::TruncatedNormal);
    pub const LECUN_UNIFORM: Self = Self::new(1.0, FanMode::FanIn, ScalingDistribution::Uniform);

    const fn new(scale: f64, mode: FanMode, distribution: ScalingDistribution) -> Self {
        VarianceScaling { scale, mode, distribution }
    }

    /// Fills a tensor of this shape. The spread is computed in f64 and rounded once.
    pub fn fill<T: Float>(&self, shape: &[usize], seed: i64, out: &mut [T]) {
        // The standard deviation of a standard normal distribution that is cut off at -2 and 2.
        const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;

        let variance = self.scale / self.fan(shape).max(1.0);
        let stddev = variance.sqrt();
        match self.distribution {
            ScalingDistribution::TruncatedNormal => {
                random::truncated_normal((seed, 0), T::zero(), T::from_f64(stddev / TRUNCATED_STDDEV), out);
            }
            ScalingDistribution::UntruncatedNormal => {
                random::normal((seed, 0), T::zero(), T::from_f64(stddev), out);
            }
            ScalingDistribution::Uniform => {
                let limit = T::bound((3.0 * variance).sqrt());
                random::uniform((seed, 0), -limit, limit, out);
            }
        }
    }

    fn fan(&self, shape: &[usize]) -> f64 {
        let (fan_in, fan_out) = fans(shape);
        match self.mode {
            FanMode::FanIn => fan_in as f64,
            FanMode::FanOut => fan_out as f64,
            FanMode::FanAvg => (fan_in as u128 + fan_out as u128) as f64 / 2.0,
        }
    }
}

/// The numbers of inputs and of outputs of a weight of this shape, whose sizes must have a product below 2^63.
fn fans(shape: &[usize]) -> (usize, usize) {
    match *shape {
        [] => (1, 1),
        [n] => (n, n),
        [ref field @ .., inputs, outputs] => {
            let field: usize = field.iter().product();
            (inputs * field, outputs * field)
        }
    }
}

impl fmt::Display for FanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FanMode::FanIn => "fan_in",
            FanMode::FanOut => "fan_out",
            FanMode::FanAvg => "fan_avg",
        })
    }
}

impl FromStr for FanMode {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [FanMode::FanIn, FanMode::FanOut, FanMode::FanAvg]
            .into_iter()
            .find(|mode| mode.to_string() == name)
            .ok_or_else(|| unknown("mode", name, "fan_in, fan_out, fan_avg"))
    }
}

impl fmt::Display for ScalingDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ScalingDistribution::TruncatedNormal => "truncated_normal",
            ScalingDistribution::UntruncatedNormal => "untruncated_normal",
            ScalingDistribution::Uniform => "uniform",
        })
    }
}

impl FromStr for ScalingDistribution {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name.to_lowercase().as_str() {
            "truncated_normal" | "normal" => Ok(ScalingDistribution::TruncatedNormal),
            "untruncated_normal" => Ok(ScalingDistribution::UntruncatedNormal),
            "uniform" => Ok(ScalingDistribution::Uniform),
            _ => Err(unknown("distribution", name, "truncated_normal, normal, untruncated_normal, uniform")),
        }
    }
}

fn unknown(option: &'static str, name: &str, known: &str) -> Error {
    Error::UnknownInitializerOption { option, name: name.to_owned(), known: known.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fans_follow_keras() {
        assert_eq!(fans(&[]), (1, 1));
        assert_eq!(fans(&[7]), (7, 7));
        assert_eq!(fans(&[3, 16]), (3, 16));
        assert_eq!(fans(&[5, 2, 3]), (10, 15));
        assert_eq!(fans(&[4, 5, 2, 3]), (40, 60));
        assert_eq!(fans(&[0, 4]), (0, 4));
    }

    #[test]
    fn the_average_of_the_fans_is_not_rounded_and_a_fan_is_at_least_one() {
        let fan = |mode, shape: &[usize]| VarianceScaling { mode, ..VarianceScaling::GLOROT_NORMAL }.fan(shape);
        assert_eq!(fan(FanMode::FanAvg, &[3, 4]), 3.5);
        assert_eq!(fan(FanMode::FanOut, &[3, 4]), 4.0);
        let mut out = [];
        VarianceScaling::LECUN_NORMAL.fill::<f32>(&[0, 4], 1, &mut out);
    }
}
