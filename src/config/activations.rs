//! Activations in descriptions: Keras's name, or with parameters that the name doesn't imply, a class with options.

use super::{Config, ConfigError, Item, Value};
use crate::activation::Activation;

const EXPECTED: &str = "an activation";

/// An activation as the value of an option.
pub(crate) fn describe(activation: &Activation) -> Result<Value, ConfigError> {
    if let Activation::Custom(custom) = activation {
        return Err(ConfigError::custom("activation", custom.name()));
    }
    let name = activation.name();
    if name.parse::<Activation>().is_ok_and(|named| named == *activation) {
        return Ok(name.into());
    }
    let config = Config::new(name);
    Ok(Value::Config(match *activation {
        Activation::ReluWith { negative_slope, max_value, threshold } => {
            config.with("negative_slope", negative_slope).with("max_value", max_value).with("threshold", threshold)
        }
        Activation::LeakyRelu { negative_slope } => config.with("negative_slope", negative_slope),
        Activation::Elu { alpha } | Activation::Celu { alpha } => config.with("alpha", alpha),
        Activation::Squareplus { b } => config.with("b", b),
        Activation::SoftShrink { threshold } | Activation::HardShrink { threshold } => {
            config.with("threshold", threshold)
        }
        Activation::HardSigmoidWith { slope, offset } | Activation::Affine { slope, offset } => {
            config.with("slope", slope).with("offset", offset)
        }
        Activation::ScaledTanh { scale, slope } => config.with("scale", scale).with("slope", slope),
        Activation::Clipped { bound, ref of } => config.with("bound", bound).with("of", describe(of)?),
        Activation::Gelu { approximate } => config.with("approximate", approximate),
        Activation::Threshold { threshold, default_value } => {
            config.with("threshold", threshold).with("default_value", default_value)
        }
        // Those without parameters are their names.
        _ => config,
    }))
}

/// The activation that an option says.
pub(crate) fn read(item: &Item<'_>) -> Result<Activation, ConfigError> {
    if item.is_text() {
        return item.text(EXPECTED)?.parse().map_err(|_| item.wrong(EXPECTED));
    }
    let described = item.config(EXPECTED)?;
    let class = described.class();
    described.read(|options| {
        let activation = match class {
            "relu" => Activation::ReluWith {
                negative_slope: options.number("negative_slope")?,
                max_value: options
                    .need("max_value", "a number or null")?
                    .given()
                    .map(|max| max.number())
                    .transpose()?,
                threshold: options.number("threshold")?,
            },
            "leaky_relu" => Activation::LeakyRelu { negative_slope: options.number("negative_slope")? },
            "elu" => Activation::Elu { alpha: options.number("alpha")? },
            "celu" => Activation::Celu { alpha: options.number("alpha")? },
            "squareplus" => Activation::Squareplus { b: options.number("b")? },
            "soft_shrink" => Activation::SoftShrink { threshold: options.number("threshold")? },
            "hard_shrink" => Activation::HardShrink { threshold: options.number("threshold")? },
            "hard_sigmoid" => {
                Activation::HardSigmoidWith { slope: options.number("slope")?, offset: options.number("offset")? }
            }
            "affine" => Activation::Affine { slope: options.number("slope")?, offset: options.number("offset")? },
            "scaled_tanh" => {
                Activation::ScaledTanh { scale: options.number("scale")?, slope: options.number("slope")? }
            }
            "clipped" => {
                let of = Box::new(read(&options.need("of", EXPECTED)?)?);
                Activation::Clipped { bound: options.number("bound")?, of }
            }
            "gelu" => Activation::Gelu { approximate: options.flag("approximate")? },
            "threshold" => Activation::Threshold {
                threshold: options.number("threshold")?,
                default_value: options.number("default_value")?,
            },
            _ => return Err(described.wrong_class("an activation with parameters")),
        };
        activation.validate().map_err(|error| options.refused(error))?;
        Ok(activation)
    })
}

#[cfg(feature = "serde")]
super::serialized::by_description!(Activation, describe, read);
