//! The activations: their parameters and kinds; [`names`] has their names, [`custom`] those of a user's own. Their
//! mathematics lives in the kernels.

mod custom;
mod names;

pub use custom::CustomActivation;

use crate::error::{Error, Result};

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
/// [`FromStr`](std::str::FromStr) takes the names of `keras.activations.get`, case included, with Keras's default
/// parameters. `activation=None` in Keras is [`Linear`](Activation::Linear), the default here too.
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
    /// `slope * x + offset`: ONNX's `Affine`, which no name of Keras means.
    Affine {
        /// ONNX's `alpha`.
        slope: f64,
        /// The value at zero, ONNX's `beta`.
        offset: f64,
    },
    /// `scale * tanh(slope * x)`: ONNX's `ScaledTanh`, which no name of Keras means.
    ScaledTanh {
        /// ONNX's `alpha`.
        scale: f64,
        /// ONNX's `beta`.
        slope: f64,
    },
    /// Another function of what is brought to the nearer end of `[-bound, bound]` first: ONNX's `clip`. Beyond the bound
    /// the slope is zero.
    Clipped {
        /// The bound.
        bound: f64,
        /// The function, which acts on each element.
        of: Box<Activation>,
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

impl Activation {
    /// The hard sigmoid of Keras 2 and ONNX's default one: `min(max(0.2 * x + 0.5, 0), 1)`.
    pub const HARD_SIGMOID_KERAS_2: Activation = Activation::HardSigmoidWith { slope: 0.2, offset: 0.5 };

    /// Whether each element's result depends on that element only.
    pub fn is_elementwise(&self) -> bool {
        match self {
            Activation::Softmax | Activation::LogSoftmax | Activation::Sparsemax | Activation::Glu => false,
            Activation::Clipped { of, .. } => of.is_elementwise(),
            _ => true,
        }
    }

    /// Whether the result has another width than the input, which no recurrent layer allows: true of `glu` only.
    pub fn changes_width(&self) -> bool {
        matches!(self, Activation::Glu)
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::ActivationParameter`] for a parameter that isn't finite, for `celu` with alpha = 0, for `squareplus`
    /// with a negative `b` and for a bound that isn't above zero; [`Error::ActivationWidth`] for a bound of what needs
    /// the whole row.
    pub fn validate(&self) -> Result<()> {
        let finite = ("a finite number", f64::is_finite as fn(f64) -> bool);
        for (parameter, value, _) in self.parameters() {
            let (expected, holds): (&'static str, fn(f64) -> bool) = match self {
                Activation::Celu { .. } => ("finite and not zero", |v| v.is_finite() && v != 0.0),
                Activation::Squareplus { .. } => ("finite and not negative", |v| v.is_finite() && v >= 0.0),
                Activation::Clipped { .. } => ("above zero", |v| v > 0.0),
                _ => finite,
            };
            if !holds(value) {
                let activation = self.name().to_string();
                return Err(Error::ActivationParameter { activation, parameter, expected, value });
            }
        }
        match self {
            Activation::Clipped { of, .. } if !of.is_elementwise() || matches!(**of, Activation::Clipped { .. }) => {
                Err(Error::ActivationWidth { activation: self.to_string() })
            }
            Activation::Clipped { of, .. } => of.validate(),
            _ => Ok(()),
        }
    }

    /// Checks that the activation can be trained through.
    ///
    /// # Errors
    /// [`Error::NoDerivative`] for a function of your own that came without one.
    pub fn check_derivative(&self) -> Result<()> {
        match self {
            Activation::Custom(custom) if custom.derivative().is_none() => {
                Err(Error::NoDerivative { activation: custom.name().to_string() })
            }
            Activation::Clipped { of, .. } => of.check_derivative(),
            _ => Ok(()),
        }
    }
}
