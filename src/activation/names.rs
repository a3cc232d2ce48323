//! The names of the activations, as Keras reads and writes them, and their parameters.

use std::fmt;
use std::str::FromStr;

use super::Activation;
use crate::error::words::number;
use crate::error::{Error, Result};

/// What each name of Keras means by itself.
static NAMED: [Activation; 29] = {
    use Activation::*;
    [
        Celu { alpha: 1.0 },
        Elu { alpha: 1.0 },
        Exponential,
        Gelu { approximate: false },
        Glu,
        HardShrink { threshold: 0.5 },
        HardSigmoid,
        HardSilu,
        HardTanh,
        LeakyRelu { negative_slope: 0.2 },
        Linear,
        LogSigmoid,
        LogSoftmax,
        Mish,
        Relu,
        Relu6,
        Selu,
        Sigmoid,
        Silu,
        SoftShrink { threshold: 0.5 },
        Softmax,
        Softplus,
        Softsign,
        SparsePlus,
        SparseSigmoid,
        Sparsemax,
        Squareplus { b: 4.0 },
        Tanh,
        TanhShrink,
    ]
};

/// Further names of Keras for the same functions.
const ALIASES: [(&str, &str); 2] = [("swish", "silu"), ("hard_swish", "hard_silu")];

impl Activation {
    /// Keras's name, without parameters.
    pub fn name(&self) -> &str {
        match self {
            Activation::Linear => "linear",
            Activation::Relu | Activation::ReluWith { .. } => "relu",
            Activation::LeakyRelu { .. } => "leaky_relu",
            Activation::Relu6 => "relu6",
            Activation::Elu { .. } => "elu",
            Activation::Celu { .. } => "celu",
            Activation::Selu => "selu",
            Activation::Softplus => "softplus",
            Activation::Softsign => "softsign",
            Activation::Squareplus { .. } => "squareplus",
            Activation::SoftShrink { .. } => "soft_shrink",
            Activation::HardShrink { .. } => "hard_shrink",
            Activation::TanhShrink => "tanh_shrink",
            Activation::HardTanh => "hard_tanh",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
            Activation::HardSigmoid | Activation::HardSigmoidWith { .. } => "hard_sigmoid",
            Activation::Affine { .. } => "affine",
            Activation::ScaledTanh { .. } => "scaled_tanh",
            Activation::Clipped { .. } => "clipped",
            Activation::SparseSigmoid => "sparse_sigmoid",
            Activation::LogSigmoid => "log_sigmoid",
            Activation::Silu => "silu",
            Activation::HardSilu => "hard_silu",
            Activation::Gelu { .. } => "gelu",
            Activation::SparsePlus => "sparse_plus",
            Activation::Mish => "mish",
            Activation::Glu => "glu",
            Activation::Threshold { .. } => "threshold",
            Activation::Exponential => "exponential",
            Activation::Softmax => "softmax",
            Activation::LogSoftmax => "log_softmax",
            Activation::Sparsemax => "sparsemax",
            Activation::Custom(custom) => custom.name(),
        }
    }

    /// Name, value and default of each numeric parameter.
    pub(super) fn parameters(&self) -> Vec<(&'static str, f64, Option<f64>)> {
        match *self {
            Activation::ReluWith { negative_slope, max_value, threshold } => {
                let mut all = vec![("negative_slope", negative_slope, Some(0.0))];
                all.extend(max_value.map(|value| ("max_value", value, None)));
                all.push(("threshold", threshold, Some(0.0)));
                all
            }
            Activation::LeakyRelu { negative_slope } => {
                vec![("negative_slope", negative_slope, Some(0.2))]
            }
            Activation::Elu { alpha } | Activation::Celu { alpha } => {
                vec![("alpha", alpha, Some(1.0))]
            }
            Activation::Squareplus { b } => vec![("b", b, Some(4.0))],
            Activation::SoftShrink { threshold } | Activation::HardShrink { threshold } => {
                vec![("threshold", threshold, Some(0.5))]
            }
            Activation::HardSigmoidWith { slope, offset } | Activation::Affine { slope, offset } => {
                vec![("slope", slope, None), ("offset", offset, None)]
            }
            Activation::ScaledTanh { scale, slope } => vec![("scale", scale, None), ("slope", slope, None)],
            Activation::Clipped { bound, .. } => vec![("bound", bound, None)],
            Activation::Threshold { threshold, default_value } => {
                vec![("threshold", threshold, None), ("default_value", default_value, None)]
            }
            _ => Vec::new(),
        }
    }
}

/// Keras's name, with the parameters that differ from its defaults: `relu(max_value=2)`.
impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parameters: Vec<String> = self
            .parameters()
            .into_iter()
            .filter(|&(_, value, default)| Some(value) != default)
            .map(|(name, value, _)| format!("{name}={}", number(value)))
            .collect();
        if let Activation::Gelu { approximate: true } = self {
            parameters.push("approximate=True".to_string());
        }
        if let Activation::Clipped { of, .. } = self {
            parameters.push(format!("of={of}"));
        }
        if parameters.is_empty() {
            return f.pad(self.name());
        }
        f.pad(&format!("{}({})", self.name(), parameters.join(", ")))
    }
}

/// Keras's names, case included, with Keras's default parameters.
impl FromStr for Activation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Activation> {
        let canonical = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
        if name == "threshold" {
            return Err(Error::ActivationArguments {
                activation: "threshold",
                parameters: "threshold and default_value",
            });
        }
        NAMED
            .iter()
            .find(|activation| activation.name() == canonical)
            .cloned()
            .ok_or_else(|| Error::UnknownActivation { name: name.to_string(), known: known_names() })
    }
}

fn known_names() -> String {
    let mut names: Vec<&str> = NAMED.iter().map(Activation::name).collect();
    names.extend(ALIASES.iter().map(|(alias, _)| *alias));
    names.sort_unstable();
    names.join(", ")
}
