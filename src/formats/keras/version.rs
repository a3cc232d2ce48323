//! Which Keras wrote a file, and what its words mean.

use serde_json::Number;

use super::json::Json;
use super::value::Value;
use crate::activation::Activation;
use crate::error::Error;
use crate::formats::error::{Found, Problem};
use crate::graph::ops::merge::MaskRule;
use crate::graph::ops::softmax::SoftmaxMask;

/// The meaning of a file's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Keras2,
    Keras3,
}

impl Version {
    /// By the version in the file: `3.15.1`, `2.15.0`, `2.3.0-tf`.
    pub(super) fn parse(text: &str) -> Found<Self> {
        let refuse = |hint| Err(Problem::Version { version: text.into(), hint });
        match text.split('.').next().unwrap_or_default() {
            "3" => Ok(Version::Keras3),
            "2" => Ok(Version::Keras2),
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

    /// By what stands beside a description, or in it, which is brought into plain form. Keras can do without
    /// `metadata.json`, and the text that `to_json()`
    /// of Keras 2 gives says the version itself: that is taken out of it. Where nothing says it, words that only Keras 2
    /// has do.
    pub(super) fn of(metadata: Option<&Value<'_>>, model: &mut Value<'_>) -> Found<Self> {
        plain_numbers(model);
        let mut own = None;
        if let Value::Object(object) = model {
            own = object.remove("keras_version");
            object.remove("backend");
        }
        let version = |json: Json<'_>| json.text("a version").and_then(Self::parse);
        match (metadata, &own) {
            (Some(metadata), _) => {
                Json::root(metadata).glance("an object", |fields| version(fields.need("keras_version", "a version")?))
            }
            (None, Some(own)) => version(Json::root(own)),
            (None, None) if has_words_of_keras_2(model) => Ok(Version::Keras2),
            (None, None) => Ok(Version::Keras3),
        }
    }

    /// An activation by its name.
    pub(super) fn activation(self, name: &str) -> Result<Activation, Error> {
        match self {
            Version::Keras3 => name.parse(),
            Version::Keras2 => match name {
                "hard_sigmoid" => Ok(Activation::HARD_SIGMOID_KERAS_2),
                // Functions of TensorFlow are saved under names of their own.
                "log_softmax_v2" => Ok(Activation::LogSoftmax),
                "exp" => Ok(Activation::Exponential),
                _ if KERAS_2_NAMES.contains(&name) => name.parse(),
                _ => Err(Error::UnknownActivation { name: name.into(), known: KERAS_2_NAMES.join(", ") }),
            },
        }
    }
}

/// Numbers of numpy's as plain ones: `{"class_name": "__numpy__", "config": {"value": 0.5, "dtype": "float32"}}`.
fn plain_numbers(value: &mut Value<'_>) {
    let number = (|| {
        let object = value.as_object().filter(|object| object.len() == 2)?;
        let config = object.get("config")?.as_object().filter(|config| config.len() == 2)?;
        let numpy = object.get("class_name")?.as_text() == Some("__numpy__");
        let dtype = config.get("dtype")?.as_text().filter(|_| numpy)?;
        cast(config.get("value")?, dtype)
    })();
    match (number, value) {
        (Some(number), value) => *value = number,
        (None, Value::Object(map)) => map.values_mut().for_each(plain_numbers),
        (None, Value::List(list)) => list.iter_mut().for_each(plain_numbers),
        _ => {}
    }
}

/// A number as `numpy.array(value, dtype)` has it, which cuts off what an integer can't hold; nothing if it is beyond the
/// type's range, or if the type isn't known.
fn cast(value: &Value<'_>, dtype: &str) -> Option<Value<'static>> {
    let number = value.as_number();
    let flag = || value.as_bool().map(|flag| f64::from(u8::from(flag)));
    let given = number.and_then(Number::as_f64).or_else(flag)?;
    let float = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    let integer = |bits: u32, signed: bool| {
        let whole = match (number.and_then(Number::as_i64), number.and_then(Number::as_u64)) {
            (Some(whole), _) => i128::from(whole),
            (_, Some(whole)) => i128::from(whole),
            _ => given.trunc() as i128,
        };
        let (least, most) = match signed {
            true => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
            false => (0, (1_i128 << bits) - 1),
        };
        let whole = Some(whole).filter(|whole| (least..=most).contains(whole))?;
        let number = u64::try_from(whole).map(Number::from).or_else(|_| i64::try_from(whole).map(Number::from));
        number.map(Value::Number).ok()
    };
    let narrow = given as f32;
    // Of the shorter floats what they hold exactly, subnormal numbers aside.
    let exact = |unused: u32, exponents: std::ops::RangeInclusive<i32>| {
        let exponent = (narrow.to_bits() >> 23 & 0xff) as i32 - 127;
        let fits = narrow.to_bits() & unused == 0 && f64::from(narrow) == given;
        (fits && (given == 0.0 || exponents.contains(&exponent))).then(|| float(given))
    };
    match dtype {
        // Others make Keras compare in f64 what the layer has in f32.
        "float64" => Some(given).filter(|&given| f64::from(narrow) == given).map(float),
        "float32" => Some(narrow).filter(|narrow| narrow.is_finite()).map(|narrow| float(narrow.into())),
        "float16" => exact(0x1fff, -14..=15),
        "bfloat16" => exact(0xffff, -126..=127),
        "bool" => Some(Value::Bool(given != 0.0)),
        _ => {
            let (signed, bits) = dtype
                .strip_prefix("int")
                .map(|bits| (true, bits))
                .or_else(|| dtype.strip_prefix("uint").map(|bits| (false, bits)))?;
            match bits {
                "8" | "16" | "32" | "64" => integer(bits.parse().ok()?, signed),
                _ => None,
            }
        }
    }
}

fn has_words_of_keras_2(value: &Value<'_>) -> bool {
    match value {
        Value::Object(map) => {
            ["batch_input_shape", "time_major"].iter().any(|word| map.get(word).is_some())
                || map.iter().any(|(_, value)| has_words_of_keras_2(value))
        }
        Value::List(list) => list.iter().any(has_words_of_keras_2),
        _ => false,
    }
}

/// The activations that files of Keras 2 have by name, its own and functions of TensorFlow, and that mean the same in
/// Keras 3 but for `hard_sigmoid`: `leaky_relu` has the slope 0.2 in both.
const KERAS_2_NAMES: [&str; 18] = [
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
];
