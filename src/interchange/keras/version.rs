//! Which Keras wrote a file, and what its words mean.

use crate::activation::Activation;
use crate::error::Error;
use crate::interchange::error::{Found, Problem};
use crate::model::merge::MaskRule;
use crate::model::op::SoftmaxMask;

/// The meaning of a file's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Keras2,
    Keras3,
}

impl Version {
    /// By the version in the file: `3.15.1`, `2.15.0`, `2.3.0-tf`.
    pub(super) fn parse(text: &str, legacy: bool) -> Found<Self> {
        let refuse = |hint| Err(Problem::Version { version: text.into(), hint });
        match text.split('.').next().unwrap_or_default() {
            "3" => Ok(Version::Keras3),
            "2" if legacy => Ok(Version::Keras2),
            "2" => refuse("its .keras files are laid out in another way; save the model as \"model.h5\" there"),
            "0" | "1" => refuse("load it with Keras 2 and save it again"),
            _ => refuse("only versions 2 and 3 are known"),
        }
    }

    /// What merging layers do about masks.
    pub(super) fn mask_rule(self) -> MaskRule {
        match self {
            Version::Keras2 => MaskRule::All,
            Version::Keras3 => MaskRule::Any,
        }
    }

    /// What a Softmax makes of its mask.
    pub(super) fn softmax_mask(self) -> SoftmaxMask {
        match self {
            Version::Keras2 => SoftmaxMask::Adds,
            Version::Keras3 => SoftmaxMask::Replaces,
        }
    }

    /// An activation by its name.
    pub(super) fn activation(self, name: &str) -> Result<Activation, Error> {
        match (self, name) {
            (Version::Keras2, "hard_sigmoid") => Ok(Activation::HARD_SIGMOID_KERAS_2),
            (Version::Keras2, "leaky_relu") => {
                // tf.nn's, with a slope of its own, by way of a serialized function.
                Err(Error::UnknownActivation { name: name.into(), known: KERAS_2_NAMES.join(", ") })
            }
            (Version::Keras2, _) if !KERAS_2_NAMES.contains(&name) => {
                Err(Error::UnknownActivation { name: name.into(), known: KERAS_2_NAMES.join(", ") })
            }
            _ => name.parse(),
        }
    }
}

/// The activations that Keras 2 has by name, and that mean the same in Keras 3 but for `hard_sigmoid`.
const KERAS_2_NAMES: [&str; 15] = [
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "linear",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
];
