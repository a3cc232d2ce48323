//! Operations on each element: of one array, of two, of three.

use serde_json::{Value as Json, json};

use super::super::super::words::constants::shortest;
use super::super::super::words::values::plain;
use super::{Argument, KerasOperation, Made, Words};
use crate::config::{Config, Value};

/// Functions by their names here, and Keras's classes.
const FUNCTIONS: [(&str, &[&str]); 17] = [
    ("negative", &["Negative"]),
    ("absolute", &["Absolute", "Abs"]),
    ("square", &["Square"]),
    ("sign", &["Sign"]),
    ("sqrt", &["Sqrt"]),
    ("rsqrt", &["Rsqrt"]),
    ("reciprocal", &["Reciprocal"]),
    ("log", &["Log"]),
    ("log1p", &["Log1p"]),
    ("expm1", &["Expm1"]),
    ("floor", &["Floor"]),
    ("ceil", &["Ceil"]),
    ("round", &["Round"]),
    ("logical_not", &["LogicalNot"]),
    ("isnan", &["Isnan"]),
    ("isinf", &["Isinf"]),
    ("isfinite", &["Isfinite"]),
];

/// Activations that are operations.
const ACTIVATIONS: [(&str, &str); 18] = [
    ("exponential", "Exp"),
    ("tanh", "Tanh"),
    ("sigmoid", "Sigmoid"),
    ("relu", "Relu"),
    ("relu6", "Relu6"),
    ("softplus", "Softplus"),
    ("softsign", "Softsign"),
    ("silu", "Silu"),
    ("selu", "Selu"),
    ("hard_sigmoid", "HardSigmoid"),
    ("hard_silu", "HardSilu"),
    ("hard_tanh", "HardTanh"),
    ("tanh_shrink", "TanhShrink"),
    ("log_sigmoid", "LogSigmoid"),
    ("elu", "Elu"),
    ("leaky_relu", "LeakyRelu"),
    ("gelu", "Gelu"),
    ("log_softmax", "LogSoftmax"),
];

/// Functions of two arrays.
const OF_TWO: [(&str, &[&str]); 19] = [
    ("add", &["Add"]),
    ("subtract", &["Subtract"]),
    ("multiply", &["Multiply"]),
    ("divide", &["TrueDivide", "Divide"]),
    ("divide_no_nan", &["DivideNoNan"]),
    ("floor_divide", &["FloorDivide"]),
    ("mod", &["Mod"]),
    ("power", &["Power"]),
    ("maximum", &["Maximum"]),
    ("minimum", &["Minimum"]),
    ("equal", &["Equal"]),
    ("not_equal", &["NotEqual"]),
    ("greater", &["Greater"]),
    ("greater_equal", &["GreaterEqual"]),
    ("less", &["Less"]),
    ("less_equal", &["LessEqual"]),
    ("logical_and", &["LogicalAnd"]),
    ("logical_or", &["LogicalOr"]),
    ("logical_xor", &["LogicalXor"]),
];

/// A function of one array.
pub(super) fn function(words: Words<'_>) -> Made {
    let single = words.around.dtype == "float32";
    match words.text("function") {
        "activation" => activation(words, words.get("activation")),
        "clip" => {
            // What is left open has no number.
            let limit = |name: &str, open: f64| match words.number(name) {
                limit if limit.is_finite() => Ok(json!(if single { shortest(limit) } else { limit })),
                limit if limit == open => Ok(Json::Null),
                _ => Err(words.unsaid(name)),
            };
            let (min, max) = (limit("min", f64::NEG_INFINITY)?, limit("max", f64::INFINITY)?);
            Ok(vec![KerasOperation::of_one("Clip").with("x_min", min).with("x_max", max)])
        }
        name => {
            let classes = FUNCTIONS.iter().find(|(own, _)| *own == name).map(|(_, classes)| *classes);
            let made = KerasOperation::of_one(words.class(classes.ok_or_else(|| words.unsaid("function"))?));
            Ok(vec![if name == "round" { made.with("decimals", 0) } else { made }])
        }
    }
}

fn activation(words: Words<'_>, activation: &Value) -> Made {
    let unsaid = || words.unsaid("activation");
    let (name, options): (&str, &[(String, Value)]) = match activation {
        Value::Text(name) => (name, &[]),
        Value::Config(Config { class, options }) => (class, options),
        _ => return Err(unsaid()),
    };
    let (_, class) = ACTIVATIONS.iter().find(|(own, _)| *own == name).ok_or_else(unsaid)?;
    // Those that a name alone stands for.
    let default = match name {
        "elu" => Some(("alpha", json!(1.0))),
        "leaky_relu" => Some(("negative_slope", json!(0.2))),
        "gelu" => Some(("approximate", json!(false))),
        "log_softmax" => Some(("axis", json!(-1))),
        _ => None,
    };
    let made = KerasOperation::of_one(class);
    let Some((option, default)) = default else {
        return if options.is_empty() { Ok(vec![made]) } else { Err(unsaid()) };
    };
    let said = options.iter().find(|(own, _)| own == option);
    Ok(vec![made.with(option, said.map_or(default, |(_, value)| plain(value)))])
}

/// What a layer does, where masks end.
pub(super) fn of_layer(words: Words<'_>) -> Made {
    let Value::Config(layer) = words.get("layer") else { return Err(words.unsaid("layer")) };
    let inner = Words { described: layer, ..words };
    match &layer.class[..] {
        "Activation" => activation(words, inner.get("activation")),
        "Softmax" => Ok(vec![KerasOperation::of_one("Softmax").with("axis", inner.integer("axis"))]),
        "UnitNormalization" => super::products::normalize(inner),
        _ => Err(words.unsaid("layer")),
    }
}

/// A function of two arrays.
pub(super) fn of_two(words: Words<'_>) -> Made {
    let args = vec![words.operand("left")?, words.operand("right")?];
    let name = words.text("function");
    if name == "squared_difference" {
        // TensorFlow's alone.
        let difference = KerasOperation::new("Subtract", args);
        return Ok(vec![difference, KerasOperation::new("Square", vec![Argument::Result(0)])]);
    }
    let classes = OF_TWO.iter().find(|(own, _)| *own == name).map(|(_, classes)| *classes);
    Ok(vec![KerasOperation::new(words.class(classes.ok_or_else(|| words.unsaid("function"))?), args)])
}

/// A comparison with a number.
pub(super) fn not_equal(words: Words<'_>) -> Made {
    let number = words.number("number");
    if !number.is_finite() {
        return Err(words.unsaid("number"));
    }
    Ok(vec![KerasOperation::new("NotEqual", vec![Argument::Input, Argument::Constant(number.into())])])
}

/// One array where a condition holds, another one elsewhere.
pub(super) fn choose(words: Words<'_>) -> Made {
    let args = ["condition", "then", "otherwise"].map(|name| words.operand(name));
    Ok(vec![KerasOperation::new("Where", args.into_iter().collect::<Result<_, _>>()?)])
}

/// Zeros or ones in the shape of the input.
pub(super) fn full_like(words: Words<'_>) -> Made {
    let class = match words.number("number") {
        0.0 => "ZerosLike",
        1.0 => "OnesLike",
        _ => return Err(words.unsaid("number")),
    };
    Ok(vec![KerasOperation::of_one(class).with("dtype", words.type_of("of")?)])
}

/// One of several classes.
pub(super) fn one_hot(words: Words<'_>) -> Made {
    let dtype = words.around.dtype;
    let ones = KerasOperation::of_one("OneHot")
        .with("num_classes", words.integer("classes"))
        .with("axis", words.integer("axis"))
        .with("dtype", dtype)
        .with("sparse", false);
    let (on, off) = (words.number("on"), words.number("off"));
    if (on, off) == (1.0, 0.0) {
        return Ok(vec![ones]);
    }
    // Other numbers are TensorFlow's alone.
    for (name, number) in [("on", on), ("off", off)] {
        if !number.is_finite() {
            return Err(words.unsaid(name));
        }
    }
    // An array of one, whose type isn't that of Python's numbers.
    let number = |number: f64| {
        Argument::Constant(json!({"class_name": "__numpy__", "config": {"value": [number], "dtype": dtype}}))
    };
    let flags = KerasOperation::new("NotEqual", vec![Argument::Result(0), Argument::Constant(json!(0.0))]);
    let chosen = KerasOperation::new("Where", vec![Argument::Result(1), number(on), number(off)]);
    Ok(vec![ones, flags, chosen])
}
