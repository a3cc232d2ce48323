//! The activations: names, parameters and kinds. Their mathematics lives in the kernels.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, Result, number};

/// An activation function, as Keras 3 defines it.
///
/// ```
/// use recurrent::Activation;
///
/// let by_name: Activation = "leaky_relu".parse()?;
/// assert_eq!(by_name, Activation::LeakyRelu { negative_slope: 0.2 });
/// assert_eq!(by_name.to_string(), "leaky_relu");
/// assert_eq!(Activation::Elu { alpha: 0.5 }.to_string(), "elu(alpha=0.5)");
/// # Ok::<(), recurrent::Error>(())
/// ```
///
/// [`FromStr`] takes the names of `keras.activations.get`, case included, with Keras's default parameters.
/// `activation=None` in Keras is [`Linear`](Activation::Linear), the default here too.
///
/// Most functions act on each element alone. [`Softmax`](Activation::Softmax), [`LogSoftmax`](Activation::LogSoftmax)
/// and [`Sparsemax`](Activation::Sparsemax) need the whole row, and [`Glu`](Activation::Glu) halves its width.
/// [`math`](crate::math) says how exact they are. Infinities and NaN give what the equations make of them, as in Keras:
/// `silu` of minus infinity is NaN, and the shrinks and thresholds, whose comparisons a NaN fails, give their other
/// value.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// `x`
    #[default]
    Linear,
    /// `max(x, 0)`
    Relu,
    /// `relu` with its three options: `x` above the threshold and at most `max_value`, below it
    /// `negative_slope * (x - threshold)`. With a slope alone it is [`LeakyRelu`](Activation::LeakyRelu).
    ///
    /// In `f64` too the maximum, and the threshold where the upper part begins, are the nearest `f32` numbers, as in
    /// Keras.
    ReluWith {
        /// The slope below the threshold.
        negative_slope: f64,
        /// The largest value, if there is one.
        max_value: Option<f64>,
        /// Where the function leaves its lower part.
        threshold: f64,
    },
    /// `x` above zero, `negative_slope * x` below. By name 0.2.
    LeakyRelu {
        /// The slope below zero. Rounded to `f32` in `f64` layers too, as in TensorFlow.
        negative_slope: f64,
    },
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x` above zero, `alpha * (exp(x) - 1)` below. By name 1.
    Elu {
        /// Minus the value at minus infinity.
        alpha: f64,
    },
    /// `max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)`. By name 1.
    ///
    /// Its derivative at zero is 1; TensorFlow's automatic one, a sum of two halves, says 2.
    Celu {
        /// Minus the value at minus infinity. Not zero.
        alpha: f64,
    },
    /// [`Elu`](Activation::Elu) with alpha = 1.6732632423543772, times 1.0507009873554805.
    Selu,
    /// `ln(exp(x) + 1)`
    Softplus,
    /// `x / (1 + |x|)`
    Softsign,
    /// `(x + sqrt(x^2 + b)) / 2`. By name 4. Finite wherever the value is; in Keras the square of an `f32` above 1.8e19
    /// overflows.
    Squareplus {
        /// How smooth the bend is. Not negative.
        b: f64,
    },
    /// `x` moved towards zero by the threshold, zero within it. By name 0.5.
    SoftShrink {
        /// Half the width of the part that becomes zero.
        threshold: f64,
    },
    /// `x`, but zero within the threshold. By name 0.5.
    HardShrink {
        /// Half the width of the part that becomes zero.
        threshold: f64,
    },
    /// `x - tanh(x)`
    TanhShrink,
    /// `min(max(x, -1), 1)`
    HardTanh,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// Keras 3's hard sigmoid, `min(max(x + 3, 0), 6) / 6`. Keras 2 and ONNX mean another one by the same name:
    /// [`HARD_SIGMOID_KERAS_2`](Activation::HARD_SIGMOID_KERAS_2).
    HardSigmoid,
    /// `min(max(slope * x + offset, 0), 1)`, which no name of Keras 3 means.
    HardSigmoidWith {
        /// ONNX's `alpha`.
        slope: f64,
        /// The value at zero, ONNX's `beta`.
        offset: f64,
    },
    /// 0 below -1, 1 above 1, `(x + 1) / 2` between.
    SparseSigmoid,
    /// `-ln(1 + exp(-x))`
    LogSigmoid,
    /// `x * sigmoid(x)`, also known as swish.
    Silu,
    /// `x * hard_sigmoid(x)`, also known as hard swish.
    HardSilu,
    /// `x * (1 + erf(x / sqrt(2))) / 2`, or its approximation with tanh. By name exact.
    ///
    /// In `f64` too, 1 / sqrt(2) and 0.044715 are the nearest `f32` numbers, as in TensorFlow.
    Gelu {
        /// Whether `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))` is meant.
        approximate: bool,
    },
    /// 0 below -1, `x` above 1, `(x + 1)^2 / 4` between.
    SparsePlus,
    /// `x * tanh(softplus(x))`
    Mish,
    /// `a * sigmoid(b)`, `a` and `b` the two halves of a row: half as wide as its input.
    Glu,
    /// `x` above the threshold, else the default value. It has no defaults, so its name alone is an error.
    Threshold {
        /// What `x` must exceed to stay.
        threshold: f64,
        /// What replaces it otherwise.
        default_value: f64,
    },
    /// `exp(x)`
    Exponential,
    /// `exp(x)` over its sum in the row.
    Softmax,
    /// The logarithm of [`Softmax`](Activation::Softmax).
    LogSoftmax,
    /// `max(x - tau, 0)`, tau being one number for the row: the one that Keras computes.
    ///
    /// Keras's is not the sparsemax of its documentation, whose results sum to one: with `k` the number of elements in
    /// the support, its tau is `(sum of the cumulative sums - 1) / k`, where `(the last one - 1) / k` would be right.
    /// `[1, 2, 3, 3]` gives `[0, 0, 0, 0]` instead of `[0, 0, 0.5, 0.5]`.
    Sparsemax,
    /// A function of your own.
    Custom(CustomActivation),
}

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
    /// The hard sigmoid of Keras 2 and ONNX's default one: `min(max(0.2 * x + 0.5, 0), 1)`.
    pub const HARD_SIGMOID_KERAS_2: Activation = Activation::HardSigmoidWith { slope: 0.2, offset: 0.5 };

    /// A function of your own, applied to each element. Without a derivative it can't be trained through.
    ///
    /// `name` is for messages. Only the function that stands in both places makes two of them equal.
    ///
    /// ```
    /// use recurrent::Activation;
    ///
    /// let mut row = [1.0_f32, -2.0];
    /// Activation::custom("square", |x| x * x).apply(&mut row)?;
    /// assert_eq!(row, [1.0, 4.0]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn custom(name: &str, function: impl Fn(f64) -> f64 + Send + Sync + 'static) -> Activation {
        Activation::Custom(CustomActivation { name: name.into(), function: Arc::new(function), derivative: None })
    }

    /// A function of your own and its derivative, both of the preactivation.
    pub fn custom_with_derivative(
        name: &str,
        function: impl Fn(f64) -> f64 + Send + Sync + 'static,
        derivative: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Activation {
        Activation::Custom(CustomActivation {
            name: name.into(),
            function: Arc::new(function),
            derivative: Some(Arc::new(derivative)),
        })
    }

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

    /// Whether each element's result depends on that element only.
    pub fn is_elementwise(&self) -> bool {
        !matches!(self, Activation::Softmax | Activation::LogSoftmax | Activation::Sparsemax | Activation::Glu)
    }

    /// Whether the result has another width than the input, which no recurrent layer allows: true of `glu` only.
    pub fn changes_width(&self) -> bool {
        matches!(self, Activation::Glu)
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::ActivationParameter`] for a parameter that isn't finite, for `celu` with alpha = 0 and for `squareplus`
    /// with a negative `b`.
    pub fn validate(&self) -> Result<()> {
        let finite = ("a finite number", f64::is_finite as fn(f64) -> bool);
        for (parameter, value, _) in self.parameters() {
            let (expected, holds): (&'static str, fn(f64) -> bool) = match self {
                Activation::Celu { .. } => ("finite and not zero", |v| v.is_finite() && v != 0.0),
                Activation::Squareplus { .. } => ("finite and not negative", |v| v.is_finite() && v >= 0.0),
                _ => finite,
            };
            if !holds(value) {
                let activation = self.name().to_string();
                return Err(Error::ActivationParameter { activation, parameter, expected, value });
            }
        }
        Ok(())
    }

    /// Checks that the activation can be trained through.
    ///
    /// # Errors
    /// [`Error::NoDerivative`] for a function of your own that came without one.
    pub fn check_derivative(&self) -> Result<()> {
        match self {
            Activation::Custom(custom) if custom.derivative.is_none() => {
                Err(Error::NoDerivative { activation: custom.name().to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Name, value and default of each numeric parameter.
    fn parameters(&self) -> Vec<(&'static str, f64, Option<f64>)> {
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
            Activation::HardSigmoidWith { slope, offset } => {
                vec![("slope", slope, None), ("offset", offset, None)]
            }
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

type Function = Arc<dyn Fn(f64) -> f64 + Send + Sync>;

/// A user's function in an [`Activation`], made by [`Activation::custom`].
#[derive(Clone)]
pub struct CustomActivation {
    name: Arc<str>,
    function: Function,
    derivative: Option<Function>,
}

impl CustomActivation {
    /// The name that it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn function(&self) -> &(dyn Fn(f64) -> f64 + Send + Sync) {
        &*self.function
    }

    pub(crate) fn derivative(&self) -> Option<&(dyn Fn(f64) -> f64 + Send + Sync)> {
        self.derivative.as_deref()
    }
}

impl fmt::Debug for CustomActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomActivation").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Equal if both hold the same functions, not only equal ones.
impl PartialEq for CustomActivation {
    fn eq(&self, other: &Self) -> bool {
        let same_derivative = match (&self.derivative, &other.derivative) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        self.name == other.name && Arc::ptr_eq(&self.function, &other.function) && same_derivative
    }
}
