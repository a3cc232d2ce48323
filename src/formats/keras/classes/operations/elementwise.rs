//! Operations on each element: of one array, of two, of three.

use serde_json::json;

use super::super::super::json::Json;
use super::super::{Class, Reading};
use super::{TWO, X, unmasked};
use crate::activation::Activation;
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::operation::Op;
use crate::graph::ops::binary::{Binary, Two, Where};
use crate::graph::ops::cast::{Cast, FullLike, OneHot};
use crate::graph::ops::flags::{Flags, NotEqual};
use crate::graph::ops::identity::Identity;
use crate::graph::ops::softmax::{Softmax, SoftmaxMask};
use crate::graph::ops::unary::{Function, Unary};

impl<T: Float> Class<T> {
    pub(in super::super) const ELEMENTWISE: &'static [Self] = &[
        Self::operation("Negative", X, |_| plain("negative")),
        Self::operation("Absolute", X, |_| plain("absolute")),
        Self::operation("Abs", X, |_| plain("absolute")),
        Self::operation("Square", X, |_| plain("square")),
        Self::operation("Sign", X, |_| plain("sign")),
        Self::operation("Sqrt", X, |_| plain("sqrt")),
        Self::operation("Rsqrt", X, |_| plain("rsqrt")),
        Self::operation("Reciprocal", X, |_| plain("reciprocal")),
        Self::operation("Log", X, |_| plain("log")),
        Self::operation("Log1p", X, |_| plain("log1p")),
        Self::operation("Expm1", X, |_| plain("expm1")),
        Self::operation("Floor", X, |_| plain("floor")),
        Self::operation("Ceil", X, |_| plain("ceil")),
        Self::operation("Round", X, |reading| {
            reading.only("decimals", &json!(0), "only whole numbers are rounded to")?;
            plain("round")
        }),
        Self::operation("LogicalNot", X, |_| plain("logical_not")),
        Self::operation("Isnan", X, |_| plain("isnan")),
        Self::operation("Isinf", X, |_| plain("isinf")),
        Self::operation("Isfinite", X, |_| plain("isfinite")),
        Self::operation("Clip", X, |reading| clip(reading, "x_min", "x_max")),
        Self::operation("Exp", X, |_| activation(Activation::Exponential)),
        Self::operation("Tanh", X, |_| activation(Activation::Tanh)),
        Self::operation("Sigmoid", X, |_| activation(Activation::Sigmoid)),
        Self::operation("Relu", X, |_| activation(Activation::Relu)),
        Self::operation("Relu6", X, |_| activation(Activation::Relu6)),
        Self::operation("Softplus", X, |_| activation(Activation::Softplus)),
        Self::operation("Softsign", X, |_| activation(Activation::Softsign)),
        Self::operation("Silu", X, |_| activation(Activation::Silu)),
        Self::operation("Selu", X, |_| activation(Activation::Selu)),
        Self::operation("HardSigmoid", X, |_| activation(Activation::HardSigmoid)),
        Self::operation("HardSilu", X, |_| activation(Activation::HardSilu)),
        Self::operation("HardTanh", X, |_| activation(Activation::HardTanh)),
        Self::operation("TanhShrink", X, |_| activation(Activation::TanhShrink)),
        Self::operation("LogSigmoid", X, |_| activation(Activation::LogSigmoid)),
        Self::operation("Elu", X, |reading| {
            activation(Activation::Elu { alpha: reading.number_said("alpha")?.unwrap_or(1.0) })
        }),
        Self::operation("LeakyRelu", X, |reading| {
            activation(Activation::LeakyRelu { negative_slope: reading.number_said("negative_slope")?.unwrap_or(0.2) })
        }),
        Self::operation("Gelu", X, |reading| {
            activation(Activation::Gelu {
                approximate: reading.stated("approximate")?.map_or(Ok(true), |json| json.flag())?,
            })
        }),
        Self::operation("Softmax", X, softmax),
        Self::operation("LogSoftmax", X, log_softmax),
        Self::operation("Add", TWO, |reading| two(reading, Two::Add, TWO)),
        Self::operation("Subtract", TWO, |reading| two(reading, Two::Subtract, TWO)),
        Self::operation("Multiply", TWO, |reading| two(reading, Two::Multiply, TWO)),
        Self::operation("Divide", TWO, |reading| two(reading, Two::Divide, TWO)),
        Self::operation("TrueDivide", TWO, |reading| two(reading, Two::Divide, TWO)),
        Self::operation("DivideNoNan", TWO, |reading| two(reading, Two::DivideNoNan, TWO)),
        Self::operation("FloorDivide", TWO, |reading| two(reading, Two::FloorDivide, TWO)),
        Self::operation("Mod", TWO, |reading| two(reading, Two::Mod, TWO)),
        Self::operation("Power", TWO, |reading| two(reading, Two::Power, TWO)),
        Self::operation("Maximum", TWO, |reading| two(reading, Two::Maximum, TWO)),
        Self::operation("Minimum", TWO, |reading| two(reading, Two::Minimum, TWO)),
        Self::operation("Equal", TWO, |reading| two(reading, Two::Equal, TWO)),
        Self::operation("NotEqual", TWO, |reading| not_equal(reading, TWO)),
        Self::operation("Greater", TWO, |reading| two(reading, Two::Greater, TWO)),
        Self::operation("GreaterEqual", TWO, |reading| two(reading, Two::GreaterEqual, TWO)),
        Self::operation("Less", TWO, |reading| two(reading, Two::Less, TWO)),
        Self::operation("LessEqual", TWO, |reading| two(reading, Two::LessEqual, TWO)),
        Self::operation("LogicalAnd", TWO, |reading| two(reading, Two::And, TWO)),
        Self::operation("LogicalXor", TWO, |reading| two(reading, Two::Xor, TWO)),
        Self::operation("Where", WHERE, |reading| choose(reading, WHERE)),
        Self::operation("Cast", X, |reading| cast(reading)),
        Self::operation("Copy", X, |_| Ok(Op::new(Identity { keeps_mask: false }))),
        Self::operation("ConvertToTensor", X, |reading| convert(reading)),
        Self::operation("OneHot", X, |reading| one_hot(reading)),
        Self::operation("ZerosLike", X, |reading| like(reading, 0.0)),
        Self::operation("OnesLike", X, |reading| like(reading, 1.0)),
    ];
}

const WHERE: &[&str] = &["condition", "x1", "x2"];

pub(super) fn plain<T: Float>(name: &str) -> Found<Op<T>> {
    let function = Function::named(name);
    debug_assert!(function.is_some(), "{name} is on the list");
    Ok(Op::new(Unary(function.unwrap_or(Function::Activation(Activation::Linear)))))
}

pub(super) fn activation<T: Float>(activation: Activation) -> Found<Op<T>> {
    Ok(match Function::activation(activation.clone()) {
        Some(function) => Op::new(Unary(function)),
        None => unmasked(activation),
    })
}

/// Between two numbers, either of which may be left open.
pub(super) fn clip<T: Float>(reading: &Reading<'_, '_>, least: &'static str, most: &'static str) -> Found<Op<T>> {
    let limit = |name: &'static str| match reading.stated(name)? {
        Some(json) if !json.is_number() => Err(json.unsupported("numbers are supported")),
        limit => limit.map(|json| json.any_number()).transpose(),
    };
    let (min, max) = (limit(least)?.unwrap_or(f64::NEG_INFINITY), limit(most)?.unwrap_or(f64::INFINITY));
    Ok(Op::new(Unary(Function::Clip { min, max })))
}

pub(super) fn softmax<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    reading.has_axis()?;
    let axis = reading.integer_said("axis")?.unwrap_or(-1);
    Ok(unmasked(Softmax { axis, masks: SoftmaxMask::Replaces }))
}

pub(super) fn log_softmax<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    reading.has_axis()?;
    reading.only("axis", &json!(-1), "only the last axis is supported")?;
    Ok(unmasked(Activation::LogSoftmax))
}

/// Two arrays, or an array and a constant.
pub(super) fn two<T: Float>(reading: &Reading<'_, '_>, how: Two, names: &[&'static str]) -> Found<Op<T>> {
    let [left, right] = names else { return Err(reading.unsupported("it reads two arrays")) };
    Ok(Op::new(Binary { how, left: reading.operand(left)?, right: reading.operand(right)? }))
}

/// A comparison with a number, which masks are made with, or of two arrays.
pub(super) fn not_equal<T: Float>(reading: &Reading<'_, '_>, names: &[&'static str]) -> Found<Op<T>> {
    let number = names.last().and_then(|name| reading.says(name));
    if let Some(flag) = number.as_ref().filter(|number| number.flag().is_ok()) {
        return Err(flag.wrong("a number, or an array"));
    }
    let number = number.filter(Json::is_number);
    match number {
        Some(number) => Ok(Op::new(NotEqual(number.number()?))),
        None => two(reading, Two::NotEqual, names),
    }
}

/// One array where a condition holds, another one elsewhere.
pub(super) fn choose<T: Float>(reading: &Reading<'_, '_>, names: &[&'static str]) -> Found<Op<T>> {
    let [condition, then, otherwise] = names else { return Err(reading.unsupported("it reads three arrays")) };
    let (condition, then) = (reading.operand(condition)?, reading.operand(then)?);
    Ok(Op::new(Where { condition, then, otherwise: reading.operand(otherwise)? }))
}

/// The type that an option says.
pub(super) fn type_of<T: Float>(reading: &Reading<'_, '_>, json: &Json<'_>) -> Found<Cast> {
    let wide = size_of::<T>() == 8;
    Ok(match json.text("a type's name")? {
        "float32" if wide && reading.reader.dtypes.float64 => Cast::Narrow,
        "float32" => Cast::Float,
        "float64" if wide => Cast::Float,
        "int32" | "int64" => Cast::Int,
        "bool" => Cast::Bool,
        _ => return Err(json.unsupported("float32, int32, int64 and bool are supported, and float64 in f64 models")),
    })
}

pub(super) fn cast<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    let json = reading.must_say("dtype", "a type's name")?;
    Ok(Op::new(type_of::<T>(reading, &json)?))
}

/// The same tensor, with its mask, unless another type is asked for.
fn convert<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    for name in ["sparse", "ragged"] {
        reading.only(name, &json!(false), "only dense arrays are supported")?;
    }
    match reading.says("dtype") {
        Some(json) => Ok(Op::new(type_of::<T>(reading, &json)?)),
        None => Ok(Op::new(Identity { keeps_mask: true })),
    }
}

fn one_hot<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    reading.only("sparse", &json!(false), "only dense arrays are supported")?;
    reading.says("dtype").map_or(Ok(()), |json| float_type(&json))?;
    let classes = reading.size("num_classes")?;
    Ok(Op::new(OneHot { classes, axis: reading.integer_said("axis")?.unwrap_or(-1), on: 1.0, off: 0.0 }))
}

/// Floats of the model's own type.
pub(super) fn float_type(json: &Json<'_>) -> Found<()> {
    match json.text("a type's name")? {
        "float32" | "float64" => Ok(()),
        _ => Err(json.unsupported("only floats of the model's own type are supported")),
    }
}

/// Zeros or ones in the shape of the input; flags are what masks are made with.
pub(super) fn like<T: Float>(reading: &Reading<'_, '_>, number: f64) -> Found<Op<T>> {
    let of = match reading.stated("dtype")? {
        None => None,
        Some(json) => Some(type_of::<T>(reading, &json)?),
    };
    Ok(match of {
        Some(Cast::Bool) => Op::new(Flags(number != 0.0)),
        of => Op::new(FullLike { number, of }),
    })
}
