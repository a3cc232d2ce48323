//! Operations of TensorFlow between the layers of Keras 2, by the names of their functions: the classes `TFOpLambda` and
//! `SlicingOpLambda`.

use serde_json::json;

use super::super::super::description::Described;
use super::super::super::json::Json;
use super::super::{Class, Reading};
use super::{elementwise, moving, products, reductions};
use crate::activation::Activation;
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::operation::Op;
use crate::graph::ops::binary::Two;
use crate::graph::ops::cast::OneHot;
use crate::graph::ops::flags::{Any, LogicalOr};
use crate::graph::ops::get_item::{Parts, Split, View};
use crate::graph::ops::identity::Identity;
use crate::graph::ops::reduce::All;
use crate::graph::ops::shapes::ExpandDims;

impl<T: Float> Class<T> {
    pub(in super::super) const TENSORFLOW: &'static [Self] = &[
        Self::operation("TFOpLambda", &[], |reading| read(reading)),
        Self::operation("SlicingOpLambda", &[], |reading| read(reading)),
    ];
}

/// A function of TensorFlow's.
struct Function<T: Float> {
    /// Without the module that it is in.
    name: &'static str,
    /// The arguments that may be tensors, in order; the first one is the call's first.
    arguments: &'static [&'static str],
    read: fn(&Reading<'_, '_>) -> Found<Op<T>>,
}

const X: &[&str] = &["x"];
const TWO: &[&str] = &["x", "y"];
const INPUT: &[&str] = &["input"];
const TENSOR: &[&str] = &["input_tensor"];
const FEATURES: &[&str] = &["features"];
const LOGITS: &[&str] = &["logits"];
const VALUES: &[&str] = &["values"];
const WHERE: &[&str] = &["condition", "x", "y"];

/// The modules that functions are in.
const MODULES: [&str; 9] =
    ["", "math", "nn", "linalg", "dtypes", "compat.v1", "compat.v1.math", "compat.v1.nn", "__operators__"];

impl<T: Float> Function<T> {
    const ALL: &'static [&'static [Self]] = &[Self::OF_EACH, Self::OF_TWO, Self::OF_ALL, Self::OF_PLACES];

    const fn new(
        name: &'static str,
        arguments: &'static [&'static str],
        read: fn(&Reading<'_, '_>) -> Found<Op<T>>,
    ) -> Self {
        Function { name, arguments, read }
    }

    const OF_EACH: &'static [Self] = &[
        Self::new("negative", X, |_| elementwise::plain("negative")),
        Self::new("abs", X, |_| elementwise::plain("absolute")),
        Self::new("square", X, |_| elementwise::plain("square")),
        Self::new("sign", X, |_| elementwise::plain("sign")),
        Self::new("sqrt", X, |_| elementwise::plain("sqrt")),
        Self::new("rsqrt", X, |_| elementwise::plain("rsqrt")),
        Self::new("reciprocal", X, |_| elementwise::plain("reciprocal")),
        Self::new("log", X, |_| elementwise::plain("log")),
        Self::new("log1p", X, |_| elementwise::plain("log1p")),
        Self::new("expm1", X, |_| elementwise::plain("expm1")),
        Self::new("floor", X, |_| elementwise::plain("floor")),
        Self::new("ceil", X, |_| elementwise::plain("ceil")),
        Self::new("round", X, |_| elementwise::plain("round")),
        Self::new("logical_not", X, |_| elementwise::plain("logical_not")),
        Self::new("is_nan", X, |_| elementwise::plain("isnan")),
        Self::new("is_inf", X, |_| elementwise::plain("isinf")),
        Self::new("is_finite", X, |_| elementwise::plain("isfinite")),
        Self::new("clip_by_value", &["t"], |reading| elementwise::clip(reading, "clip_value_min", "clip_value_max")),
        Self::new("exp", X, |_| elementwise::activation(Activation::Exponential)),
        Self::new("tanh", X, |_| elementwise::activation(Activation::Tanh)),
        Self::new("sigmoid", X, |_| elementwise::activation(Activation::Sigmoid)),
        Self::new("log_sigmoid", X, |_| elementwise::activation(Activation::LogSigmoid)),
        Self::new("softplus", FEATURES, |_| elementwise::activation(Activation::Softplus)),
        Self::new("softsign", FEATURES, |_| elementwise::activation(Activation::Softsign)),
        Self::new("relu", FEATURES, |_| elementwise::activation(Activation::Relu)),
        Self::new("relu6", FEATURES, |_| elementwise::activation(Activation::Relu6)),
        Self::new("elu", FEATURES, |_| elementwise::activation(Activation::Elu { alpha: 1.0 })),
        Self::new("selu", FEATURES, |_| elementwise::activation(Activation::Selu)),
        Self::new("silu", FEATURES, |reading| {
            reading.only("beta", &json!(1.0), "only a beta of 1 is supported")?;
            elementwise::activation(Activation::Silu)
        }),
        Self::new("leaky_relu", FEATURES, |reading| {
            let negative_slope = reading.number_said("alpha")?.unwrap_or(0.2);
            elementwise::activation(Activation::LeakyRelu { negative_slope })
        }),
        Self::new("gelu", FEATURES, |reading| {
            elementwise::activation(Activation::Gelu { approximate: reading.flag_said("approximate")? })
        }),
        Self::new("softmax", LOGITS, |reading| elementwise::softmax(reading)),
        Self::new("log_softmax", LOGITS, |reading| elementwise::log_softmax(reading)),
        Self::new("identity", INPUT, |_| Ok(Op::new(Identity { keeps_mask: false }))),
        Self::new("cast", X, |reading| elementwise::cast(reading)),
        Self::new("zeros_like", INPUT, |reading| elementwise::like(reading, 0.0)),
        Self::new("ones_like", INPUT, |reading| elementwise::like(reading, 1.0)),
        Self::new("one_hot", &["indices"], |reading| one_hot(reading)),
    ];

    const OF_TWO: &'static [Self] = &[
        Self::new("add", TWO, |reading| elementwise::two(reading, Two::Add, TWO)),
        Self::new("subtract", TWO, |reading| elementwise::two(reading, Two::Subtract, TWO)),
        Self::new("sub", TWO, |reading| elementwise::two(reading, Two::Subtract, TWO)),
        Self::new("multiply", TWO, |reading| elementwise::two(reading, Two::Multiply, TWO)),
        Self::new("mul", TWO, |reading| elementwise::two(reading, Two::Multiply, TWO)),
        Self::new("divide", TWO, |reading| elementwise::two(reading, Two::Divide, TWO)),
        Self::new("truediv", TWO, |reading| elementwise::two(reading, Two::Divide, TWO)),
        Self::new("divide_no_nan", TWO, |reading| elementwise::two(reading, Two::DivideNoNan, TWO)),
        Self::new("floordiv", TWO, |reading| elementwise::two(reading, Two::FloorDivide, TWO)),
        Self::new("floor_div", TWO, |reading| elementwise::two(reading, Two::FloorDivide, TWO)),
        Self::new("floormod", TWO, |reading| elementwise::two(reading, Two::Mod, TWO)),
        Self::new("pow", TWO, |reading| elementwise::two(reading, Two::Power, TWO)),
        Self::new("maximum", TWO, |reading| elementwise::two(reading, Two::Maximum, TWO)),
        Self::new("minimum", TWO, |reading| elementwise::two(reading, Two::Minimum, TWO)),
        Self::new("squared_difference", TWO, |reading| elementwise::two(reading, Two::SquaredDifference, TWO)),
        Self::new("equal", TWO, |reading| elementwise::two(reading, Two::Equal, TWO)),
        Self::new("not_equal", TWO, |reading| elementwise::not_equal(reading, TWO)),
        Self::new("greater", TWO, |reading| elementwise::two(reading, Two::Greater, TWO)),
        Self::new("greater_equal", TWO, |reading| elementwise::two(reading, Two::GreaterEqual, TWO)),
        Self::new("less", TWO, |reading| elementwise::two(reading, Two::Less, TWO)),
        Self::new("less_equal", TWO, |reading| elementwise::two(reading, Two::LessEqual, TWO)),
        Self::new("logical_and", TWO, |reading| elementwise::two(reading, Two::And, TWO)),
        Self::new("logical_or", TWO, |_| Ok(Op::new(LogicalOr))),
        Self::new("logical_xor", TWO, |reading| elementwise::two(reading, Two::Xor, TWO)),
        Self::new("bias_add", &["value", "bias"], |reading| elementwise::two(reading, Two::Add, &["value", "bias"])),
        Self::new("matmul", &["a", "b"], |reading| products::tensorflow(reading)),
        Self::new("l2_normalize", X, |reading| products::l2_normalize(reading)),
        Self::new("where", WHERE, |reading| elementwise::choose(reading, WHERE)),
        Self::new("where_v2", WHERE, |reading| elementwise::choose(reading, WHERE)),
    ];

    const OF_ALL: &'static [Self] = &[
        Self::new("reduce_sum", TENSOR, |reading| reductions::tensorflow(reading, All::Sum)),
        Self::new("reduce_mean", TENSOR, |reading| reductions::tensorflow(reading, All::Mean)),
        Self::new("reduce_max", TENSOR, |reading| reductions::tensorflow(reading, All::Max)),
        Self::new("reduce_min", TENSOR, |reading| reductions::tensorflow(reading, All::Min)),
        Self::new("reduce_prod", TENSOR, |reading| reductions::tensorflow(reading, All::Prod)),
        Self::new("reduce_std", TENSOR, |reading| reductions::tensorflow(reading, All::Std)),
        Self::new("reduce_variance", TENSOR, |reading| reductions::tensorflow(reading, All::Var)),
        Self::new("reduce_logsumexp", TENSOR, |reading| reductions::tensorflow(reading, All::LogSumExp)),
        Self::new("reduce_all", TENSOR, |reading| reductions::tensorflow(reading, All::Every)),
        Self::new("reduce_any", TENSOR, |reading| {
            let axes = reading.integers_said("axis")?;
            Ok(Op::new(Any { axes, keepdims: reading.flag_said("keepdims")? }))
        }),
        Self::new("argmax", INPUT, |reading| reductions::tensorflow(reading, All::ArgMax)),
        Self::new("argmin", INPUT, |reading| reductions::tensorflow(reading, All::ArgMin)),
    ];

    const OF_PLACES: &'static [Self] = &[
        Self::new("getitem", &["tensor"], |reading| moving::get_item(reading, "slice_spec")),
        Self::new("transpose", &["a"], |reading| {
            reading.only("conjugate", &json!(false), "numbers are real")?;
            Ok(Op::new(View::Transpose(reading.integers_said("perm")?)))
        }),
        Self::new("squeeze", INPUT, |reading| Ok(Op::new(View::Squeeze(reading.integers_said("axis")?)))),
        Self::new("reverse", &["tensor"], |reading| Ok(Op::new(View::Flip(reading.integers_said("axis")?)))),
        Self::new("expand_dims", INPUT, |reading| {
            Ok(Op::new(ExpandDims(reading.must_say("axis", "a whole number")?.integer()?)))
        }),
        Self::new("reshape", &["tensor"], |reading| moving::reshape(reading, "shape")),
        Self::new("broadcast_to", INPUT, |reading| moving::broadcast_to(reading)),
        Self::new("concat", VALUES, |reading| super::concatenate(reading, "axis")),
        Self::new("stack", VALUES, |reading| moving::stack(reading)),
        Self::new("unstack", &["value"], |reading| moving::unstack(reading)),
        Self::new("split", &["value"], |reading| split(reading)),
        Self::new("tile", INPUT, |reading| moving::tile(reading, "multiples")),
        Self::new("repeat", INPUT, |reading| moving::repeat(reading)),
        Self::new("pad", &["tensor"], |reading| moving::pad(reading, "paddings", "CONSTANT")),
        Self::new("roll", INPUT, |reading| moving::roll(reading)),
        Self::new("gather", &["params"], |reading| {
            reading.only("batch_dims", &json!(0), "fixed places along one axis are supported")?;
            moving::take(reading)
        }),
    ];

    /// By the name in a file, module and all.
    fn named(name: &str) -> Option<&'static Self> {
        let (module, own) = name.rsplit_once('.').unwrap_or(("", name));
        let all = Self::ALL.iter().copied().flatten();
        all.into_iter().find(|function| function.name == own).filter(|_| MODULES.contains(&module))
    }
}

/// What of a call's arguments may be tensors, in order; nothing if the layer isn't an operation of TensorFlow.
pub(in super::super::super) fn arguments(layer: &Described<'_>) -> Option<Found<&'static [&'static str]>> {
    matches!(layer.class(), "TFOpLambda" | "SlicingOpLambda").then(|| {
        let name = layer.config.glance("an object", |fields| fields.need("function", NAME)?.text(NAME))?;
        let unknown = || unsupported(layer.path(), layer.class(), name);
        Function::<f32>::named(name).map(|function| function.arguments).ok_or_else(unknown)
    })
}

const NAME: &str = "a function's name";

fn unsupported(path: &str, class: &str, name: &str) -> Problem {
    let hint = "it is an operation of TensorFlow that isn't read: put a layer of Keras in its place, or take layers over \
                time out with keras::File::layer";
    Problem::UnsupportedClass { layer: path.into(), class: format!("{class}({name})"), hint: hint.into() }
}

fn read<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    let fields = reading.fields;
    fields.flag_or("trainable", true)?;
    reading.reader.check_dtype::<T>(fields.take("dtype").as_ref())?;
    let name = fields.need("function", NAME)?.text(NAME)?;
    // The operation's name in TensorFlow's graph.
    reading.says("name").map_or(Ok(""), |json| json.text("a name or null"))?;
    let function = Function::<T>::named(name).ok_or_else(|| unsupported(reading.path(), reading.class(), name))?;
    (function.read)(reading)
}

fn one_hot<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    reading.says("dtype").map_or(Ok(()), |json| elementwise::float_type(&json))?;
    let classes = reading.must_say("depth", "a whole number above 0")?.size(reading.reader.options.limits.units)?;
    let (on, off) = (reading.number_said("on_value")?, reading.number_said("off_value")?);
    let axis = reading.integer_said("axis")?.unwrap_or(-1);
    Ok(Op::new(OneHot { classes, axis, on: on.unwrap_or(1.0), off: off.unwrap_or(0.0) }))
}

/// Sizes of parts, where Keras 3 has places.
fn split<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    let parts = reading.must_say("num_or_size_splits", "a whole number, or sizes")?;
    reading.says("num");
    let axis = reading.integer_said("axis")?.unwrap_or(0);
    if !parts.is_list() {
        return Ok(Op::new(Split { axis, parts: Parts::Equal(parts.size(moving::MOST_PARTS)?) }));
    }
    let sizes = parts.list("sizes")?.iter().map(|size: &Json<'_>| size.index("a size")).collect::<Found<Vec<_>>>()?;
    Ok(Op::new(Split { axis, parts: Parts::Sizes(sizes) }))
}
