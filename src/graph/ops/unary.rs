//! Operations on each element by itself.

use ndarray::Zip;

use super::places::{Kind, Read, all_known, blank, in_order, written};
use crate::activation::Activation;
use crate::config::{Config, ConfigError, activations};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, misfit, mismatch};
use crate::graph::per_step::Map;
use crate::graph::shape::{self, Misfit, Shape, known};
use crate::graph::stream::{Buffer, MOST_AXES, Step};
use crate::graph::tensor::{Tensor, in_row_order};
use crate::kernels::activate::{activate, activate_backward};
use crate::kernels::isa::Isa;
use crate::kernels::math::scalar;
use crate::math;

/// A function of each element: Keras's `ops.exp` and its like.
#[derive(Debug, Clone)]
pub(crate) struct Unary(pub(crate) Function);

/// A function of one number.
#[derive(Debug, Clone)]
pub(crate) enum Function {
    /// One of the list.
    Plain(&'static Plain),
    /// An activation that acts on each element.
    Activation(Activation),
    /// Within two numbers.
    Clip { min: f64, max: f64 },
}

/// A function by its name.
#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) name: &'static str,
    does: Does,
}

/// What a function does.
#[derive(Debug)]
enum Does {
    /// Whole numbers stay what they are.
    Negate,
    Absolute,
    Square,
    Sign,
    /// Floats: the function and its derivative, of `x` and of the value `y`. In f64, whose results are rounded, what
    /// the processor computes exactly; else by the crate's own functions.
    Floats(Of),
    /// Flags.
    Not,
    Is(fn(f64) -> bool),
}

#[derive(Debug, Clone, Copy)]
enum Of {
    Sqrt,
    Rsqrt,
    Reciprocal,
    Log,
    Log1p,
    Expm1,
    Erf,
    Floor,
    Ceil,
    Round,
}

/// The functions.
pub(crate) const PLAIN: &[Plain] = &[
    Plain { name: "negative", does: Does::Negate },
    Plain { name: "absolute", does: Does::Absolute },
    Plain { name: "square", does: Does::Square },
    Plain { name: "sign", does: Does::Sign },
    Plain { name: "sqrt", does: Does::Floats(Of::Sqrt) },
    Plain { name: "rsqrt", does: Does::Floats(Of::Rsqrt) },
    Plain { name: "reciprocal", does: Does::Floats(Of::Reciprocal) },
    Plain { name: "log", does: Does::Floats(Of::Log) },
    Plain { name: "log1p", does: Does::Floats(Of::Log1p) },
    Plain { name: "expm1", does: Does::Floats(Of::Expm1) },
    Plain { name: "erf", does: Does::Floats(Of::Erf) },
    Plain { name: "floor", does: Does::Floats(Of::Floor) },
    Plain { name: "ceil", does: Does::Floats(Of::Ceil) },
    Plain { name: "round", does: Does::Floats(Of::Round) },
    Plain { name: "logical_not", does: Does::Not },
    Plain { name: "isnan", does: Does::Is(f64::is_nan) },
    Plain { name: "isinf", does: Does::Is(f64::is_infinite) },
    Plain { name: "isfinite", does: Does::Is(f64::is_finite) },
];

impl Plain {
    /// One of the list, by a name that is there.
    pub(crate) const fn named(name: &str) -> &'static Plain {
        let mut at = 0;
        while !same(PLAIN[at].name, name) {
            at += 1;
        }
        &PLAIN[at]
    }
}

/// Whether two names are the same, at compile time.
const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

impl Function {
    /// One of the list, by its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        PLAIN.iter().find(|plain| plain.name == name).map(Function::Plain)
    }

    /// An activation that acts on each element.
    pub(crate) fn activation(activation: Activation) -> Option<Self> {
        activation.is_elementwise().then_some(Function::Activation(activation))
    }

    fn kind(&self, of: Kind) -> Kind {
        match self {
            Function::Plain(plain) => match plain.does {
                Does::Negate | Does::Absolute | Does::Square | Does::Sign if of != Kind::Bool => of,
                Does::Negate | Does::Absolute | Does::Square | Does::Sign => Kind::Int,
                Does::Floats(_) => Kind::Float,
                Does::Not | Does::Is(_) => Kind::Bool,
            },
            Function::Activation(_) => Kind::Float,
            Function::Clip { min, max } if min.fract() == 0.0 && max.fract() == 0.0 && of != Kind::Bool => of,
            Function::Clip { .. } => Kind::Float,
        }
    }
}

impl Of {
    fn value<T: Float>(self, x: T) -> T {
        match self {
            Of::Sqrt => x.sqrt(),
            Of::Rsqrt => T::one() / x.sqrt(),
            Of::Reciprocal => T::one() / x,
            Of::Log => math::ln(x),
            Of::Log1p => math::ln_1p(x),
            Of::Expm1 => math::exp_m1(x),
            Of::Erf => scalar::erf(x),
            Of::Floor => x.floor(),
            Of::Ceil => x.ceil(),
            Of::Round => T::from_f64(x.into_f64().round_ties_even()),
        }
    }

    /// The derivative, by the value, too.
    fn slope<T: Float>(self, x: T, y: T) -> T {
        let half = T::from_f64(0.5);
        match self {
            Of::Sqrt => half / y,
            Of::Rsqrt => -half * y * y * y,
            Of::Reciprocal => -(y * y),
            Of::Log => T::one() / x,
            Of::Log1p => T::one() / (T::one() + x),
            Of::Expm1 => y + T::one(),
            Of::Erf => T::from_f64(std::f64::consts::FRAC_2_SQRT_PI) * math::exp(-(x * x)),
            Of::Floor | Of::Ceil | Of::Round => T::zero(),
        }
    }
}

fn sign<T: Float>(x: T) -> T {
    match () {
        () if x > T::zero() => T::one(),
        () if x < T::zero() => -T::one(),
        // Zero and NaN.
        () => x,
    }
}

fn clip<T: Float>(x: T, min: T, max: T) -> T {
    let low = if x <= max || x.is_nan() { x } else { max };
    if low >= min || low.is_nan() { low } else { min }
}

impl Unary {
    fn compute<T: Float>(&self, x: Read<'_, T>, output: &mut Buffer<T>) -> Result<()> {
        match (&self.0, output) {
            (Function::Activation(activation), output) => {
                let values = output.as_floats()?;
                values.iter_mut().enumerate().for_each(|(at, to)| *to = x.float(at));
                activate(Isa::detect(), activation, values);
            }
            (_, Buffer::Float(to)) => {
                let of = self.of_floats::<T>()?;
                to.iter_mut().enumerate().for_each(|(at, to)| *to = of(x.float(at)));
            }
            (_, Buffer::Int(to)) => {
                for (at, to) in to.iter_mut().enumerate() {
                    *to = self.of_integer(x.integer(at)).ok_or_else(|| mismatch(WHOLE.into(), x.shape))?;
                }
            }
            (Function::Plain(Plain { does: Does::Is(is), .. }), Buffer::Bool(to)) => {
                to.iter_mut().enumerate().for_each(|(at, to)| *to = is(x.float(at).into_f64()));
            }
            (_, Buffer::Bool(to)) => to.iter_mut().enumerate().for_each(|(at, to)| *to = !x.flag(at)),
        }
        Ok(())
    }

    fn of_floats<T: Float>(&self) -> Result<impl Fn(T) -> T + use<T>> {
        let does = match &self.0 {
            Function::Plain(plain) => Some(&plain.does),
            _ => None,
        };
        let limits = match self.0 {
            Function::Clip { min, max } => (T::from_f64(min), T::from_f64(max)),
            _ => (T::zero(), T::zero()),
        };
        Ok(move |x: T| match does {
            None => clip(x, limits.0, limits.1),
            Some(Does::Negate) => -x,
            Some(Does::Absolute) => x.abs(),
            Some(Does::Square) => x * x,
            Some(Does::Sign) => sign(x),
            Some(Does::Floats(of)) => of.value(x),
            Some(Does::Not | Does::Is(_)) => x,
        })
    }

    /// Nothing if the result has more than 32 bits, which Keras's would wrap at.
    fn of_integer(&self, x: i64) -> Option<i64> {
        let y = match &self.0 {
            Function::Plain(Plain { does: Does::Negate, .. }) => x.checked_neg()?,
            Function::Plain(Plain { does: Does::Absolute, .. }) => x.checked_abs()?,
            Function::Plain(Plain { does: Does::Square, .. }) => x.checked_mul(x)?,
            Function::Plain(_) => x.signum(),
            Function::Clip { min, max } => x.min(*max as i64).max(*min as i64),
            Function::Activation(_) => x,
        };
        i32::try_from(y).is_ok().then_some(y)
    }

    /// The derivative.
    fn slope<T: Float>(&self, x: T, y: T) -> T {
        match &self.0 {
            Function::Clip { min, max } if x >= T::from_f64(*min) && x <= T::from_f64(*max) => T::one(),
            Function::Clip { .. } | Function::Activation(_) => T::zero(),
            Function::Plain(plain) => match &plain.does {
                Does::Negate => -T::one(),
                Does::Absolute => sign(x),
                Does::Square => x + x,
                Does::Floats(of) => of.slope(x, y),
                Does::Sign | Does::Not | Does::Is(_) => T::zero(),
            },
        }
    }
}

/// What integers must give.
pub(super) const WHOLE: &str = "integers whose result has 32 bits";

impl<T: Float> Operation<T> for Unary {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let config = Config::new("Elementwise");
        Ok(match &self.0 {
            Function::Plain(plain) => config.with("function", plain.name),
            Function::Activation(activation) => {
                config.with("function", "activation").with("activation", activations::describe(activation)?)
            }
            Function::Clip { min, max } => config.with("function", "clip").with("min", *min).with("max", *max),
        })
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        match inputs {
            [x] if x.len() <= MOST_AXES => Ok(vec![x.clone()]),
            _ => shape::misfit("one input", inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = in_order(&inputs[0].value);
        let x = Read::value(&x)?;
        let shape = all_known(&[known(x.shape)])?;
        let mut output = blank(self.0.kind(x.kind()), &shape);
        self.compute(x, &mut output)?;
        Ok(vec![written(output)])
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let mut d = back.of_output()?;
        let (x, y) = (in_row_order(&back.input()?.floats()), in_row_order(&back.output()?.floats()));
        if let Function::Activation(activation) = &self.0 {
            let (Some(x), Some(y), Some(d)) = (x.as_slice(), y.as_slice(), d.as_slice_mut()) else {
                return Err(misfit());
            };
            activate_backward(Isa::detect(), activation, x, y, d);
        } else {
            Zip::from(&mut d).and(&x).and(&y).for_each(|d, &x, &y| *d *= self.slope(x, y));
        }
        Ok(vec![Some(d)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        self.compute(Read::buffer(step.input(0))?, step.output())
    }

    fn can_train(&self) -> Result<()> {
        match &self.0 {
            Function::Activation(activation) => activation.check_derivative(),
            _ => Ok(()),
        }
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn steps_alone(&self) -> bool {
        true
    }

    fn per_step(&self, _features: usize) -> Option<Map<T>> {
        match &self.0 {
            Function::Activation(activation) => Some(Map::Activation(activation.clone())),
            _ => None,
        }
    }
}
