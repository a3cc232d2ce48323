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
#[non_exhaustive]
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
#[non_exhaustive]
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

    /// Fills a tensor with these fans. The spread is computed in f64 and rounded once.
    pub fn fill<T: Float>(&self, fans: (f64, f64), seed: i64, out: &mut [T]) {
        // The standard deviation of a standard normal distribution that is cut off at -2 and 2.
        const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;

        let variance = self.scale / self.fan(fans).max(1.0);
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

    fn fan(&self, (fan_in, fan_out): (f64, f64)) -> f64 {
        match self.mode {
            FanMode::FanIn => fan_in,
            FanMode::FanOut => fan_out,
            FanMode::FanAvg => (fan_in + fan_out) / 2.0,
        }
    }
}

/// The numbers of inputs and of outputs of a weight of this shape.
pub(super) fn fans(shape: &[usize]) -> (f64, f64) {
    match *shape {
        [] => (1.0, 1.0),
        [n] => (n as f64, n as f64),
        [ref field @ .., inputs, outputs] => {
            let field = product(field);
            (inputs as f64 * field, outputs as f64 * field)
        }
    }
}

/// The same where the caller says which axes are inputs and which are outputs; negative ones count from the end.
pub(super) fn fans_over(shape: &[usize], input_axes: &[isize], output_axes: &[isize]) -> Result<(f64, f64)> {
    let fan = |axes: &[isize]| {
        let sizes: Result<Vec<_>> = axes.iter().map(|&axis| size_of_axis(shape, axis)).collect();
        sizes.map(|sizes| product(&sizes))
    };
    Ok((fan(input_axes)?, fan(output_axes)?))
}

fn size_of_axis(shape: &[usize], axis: isize) -> Result<usize> {
    let from_start = if axis < 0 { shape.len().checked_add_signed(axis) } else { Some(axis.unsigned_abs()) };
    let size = from_start.and_then(|axis| shape.get(axis));
    size.copied().ok_or_else(|| Error::InitializerAxis { axis, shape: shape.to_vec() })
}

/// As an f64, which no product of sizes can overflow; below 2^53 it is exact.
fn product(sizes: &[usize]) -> f64 {
    sizes.iter().map(|&size| size as f64).product()
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
        assert_eq!(fans(&[]), (1.0, 1.0));
        assert_eq!(fans(&[7]), (7.0, 7.0));
        assert_eq!(fans(&[3, 16]), (3.0, 16.0));
        assert_eq!(fans(&[5, 2, 3]), (10.0, 15.0));
        assert_eq!(fans(&[4, 5, 2, 3]), (40.0, 60.0));
        assert_eq!(fans(&[0, 4]), (0.0, 4.0));
    }

    #[test]
    fn fans_over_axes_follow_keras() {
        let shape = [2, 3, 5];
        assert_eq!(fans_over(&shape, &[0, 1], &[2]), Ok((6.0, 5.0)));
        assert_eq!(fans_over(&shape, &[-1], &[-2]), Ok((5.0, 3.0)));
        assert_eq!(fans_over(&shape, &[0, 0], &[]), Ok((4.0, 1.0)));
    }

    #[test]
    fn the_average_of_the_fans_is_not_rounded() {
        let fan = |mode| VarianceScaling { mode, ..VarianceScaling::GLOROT_NORMAL }.fan((3.0, 4.0));
        assert_eq!([FanMode::FanIn, FanMode::FanOut, FanMode::FanAvg].map(fan), [3.0, 4.0, 3.5]);
    }
}
