//! Initializers in descriptions: Keras's class and its options, the seed among them.

use super::{FanMode, Initializer, ScalingDistribution};
use crate::config::{Config, ConfigError, Item, Options, Value};

const EXPECTED: &str = "an initializer";
const AXES: &str = "axes or null";

impl Initializer {
    /// As the value of an option.
    pub(crate) fn describe(&self) -> Result<Value, ConfigError> {
        let config = Config::new(self.name());
        let config = match self {
            Initializer::Custom(custom) => return Err(ConfigError::custom("initializer", custom)),
            Initializer::Constant { value } => config.with("value", *value),
            Initializer::Identity { gain } | Initializer::Orthogonal { gain, .. } => config.with("gain", *gain),
            Initializer::RandomNormal { mean, stddev, .. } | Initializer::TruncatedNormal { mean, stddev, .. } => {
                config.with("mean", *mean).with("stddev", *stddev)
            }
            Initializer::RandomUniform { minval, maxval, .. } => config.with("minval", *minval).with("maxval", *maxval),
            Initializer::VarianceScaling { scale, mode, distribution, input_axes, output_axes, .. } => {
                let axes = |axes: &Option<Vec<isize>>| {
                    axes.as_ref().map(|axes| axes.iter().map(|&axis| axis as i64).collect::<Vec<_>>())
                };
                config
                    .with("scale", *scale)
                    .with("mode", &*mode.to_string())
                    .with("distribution", &*distribution.to_string())
                    .with("input_axes", axes(input_axes))
                    .with("output_axes", axes(output_axes))
            }
            _ => config,
        };
        let random = self.random_seed();
        Ok(match random {
            Some(seed) => config.with("seed", seed),
            None => config,
        }
        .into())
    }

    /// The one that an option says.
    pub(crate) fn read(item: &Item<'_>) -> Result<Self, ConfigError> {
        let described = item.config(EXPECTED)?;
        described.read(|options| {
            let number = |name| options.number(name);
            // What has a seed says so below.
            let seed = None;
            let initializer = match described.class() {
                "Zeros" => Initializer::Zeros,
                "Ones" => Initializer::Ones,
                "Constant" => Initializer::Constant { value: number("value")? },
                "Identity" => Initializer::Identity { gain: number("gain")? },
                "RandomNormal" => Initializer::RandomNormal { mean: number("mean")?, stddev: number("stddev")?, seed },
                "RandomUniform" => {
                    Initializer::RandomUniform { minval: number("minval")?, maxval: number("maxval")?, seed }
                }
                "TruncatedNormal" => {
                    Initializer::TruncatedNormal { mean: number("mean")?, stddev: number("stddev")?, seed }
                }
                "VarianceScaling" => variance_scaling(options)?,
                "GlorotNormal" => Initializer::GlorotNormal { seed },
                "GlorotUniform" => Initializer::GlorotUniform { seed },
                "HeNormal" => Initializer::HeNormal { seed },
                "HeUniform" => Initializer::HeUniform { seed },
                "LecunNormal" => Initializer::LecunNormal { seed },
                "LecunUniform" => Initializer::LecunUniform { seed },
                "Orthogonal" => Initializer::Orthogonal { gain: number("gain")?, seed },
                _ => return Err(described.wrong_class(EXPECTED)),
            };
            if !initializer.needs_seed() {
                return Ok(initializer);
            }
            let seed =
                options.need("seed", "a whole number or null")?.given().map(|seed| seed.integer()).transpose()?;
            Ok(seed.map_or(initializer.clone(), |seed| initializer.with_seed(seed)))
        })
    }
}

fn variance_scaling(options: &Options<'_>) -> Result<Initializer, ConfigError> {
    let modes = [FanMode::FanIn, FanMode::FanOut, FanMode::FanAvg].map(|mode| (mode.to_string(), mode));
    let distributions =
        [ScalingDistribution::TruncatedNormal, ScalingDistribution::UntruncatedNormal, ScalingDistribution::Uniform]
            .map(|distribution| (distribution.to_string(), distribution));
    let axes = |name| {
        let Some(axes) = options.need(name, AXES)?.given() else { return Ok(None) };
        let axis = |axis: Item<'_>| isize::try_from(axis.integer()?).map_err(|_| axis.wrong(AXES));
        axes.list(AXES)?.into_iter().map(axis).collect::<Result<Vec<_>, _>>().map(Some)
    };
    Ok(Initializer::VarianceScaling {
        scale: options.number("scale")?,
        mode: options.word("mode", &modes.each_ref().map(|(word, mode)| (&**word, *mode)))?,
        distribution: options.word("distribution", &distributions.each_ref().map(|(word, one)| (&**word, *one)))?,
        input_axes: axes("input_axes")?,
        output_axes: axes("output_axes")?,
        seed: None,
    })
}

#[cfg(feature = "serde")]
crate::config::serialized::by_description!(Initializer, Initializer::describe, Initializer::read);
