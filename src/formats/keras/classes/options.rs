//! What the options of many classes have in common: types of numbers, initializers, tensors and their shapes.

use super::super::identity::Identity;
use super::super::json::{Fields, Json};
use super::super::policy as policies;
use super::super::version::Version;
use super::super::weights::{Place, Weight};
use super::initializers::check as initializer;
use super::{Reader, Reading};
use crate::error::Error;
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::parameters::Parameters;

/// How a weight comes about: where its first numbers are from, and what holds in training.
const INITIALIZERS: &[&str] = &[
    "kernel_initializer",
    "depthwise_initializer",
    "pointwise_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "embeddings_initializer",
    "alpha_initializer",
    "gamma_initializer",
    "beta_initializer",
    "moving_mean_initializer",
    "moving_variance_initializer",
];

/// Regularizers and constraints by name, as either version of Keras knows them.
const NAMES_IN_TRAINING: &str = "L1 l1 L2 l2 L1L2 l1l2 l1_l2 OrthogonalRegularizer orthogonal_regularizer \
    MaxNorm max_norm maxnorm MinMaxNorm min_max_norm NonNeg non_neg nonneg UnitNorm unit_norm unitnorm \
    RadialConstraint radial_constraint";

/// Regularizers and constraints, which matter in training only, whosever they are: objects with a class, or names of
/// Keras's.
pub(super) fn serialized(fields: &Fields<'_>, keys: &[&'static str]) -> Found<()> {
    for json in keys.iter().filter_map(|key| fields.take(key)).filter_map(Json::given) {
        const EXPECTED: &str = "an object with a class_name, a name of Keras's or null";
        let known = match json.is_text() {
            true => NAMES_IN_TRAINING.split(' ').any(|name| json.text(EXPECTED) == Ok(name)),
            false => json
                .glance(EXPECTED, |fields| fields.need("class_name", "a class's name")?.text("a class's name"))
                .is_ok(),
        };
        if !known {
            return Err(json.wrong(EXPECTED));
        }
    }
    Ok(())
}

/// Checks that a layer has no adapters: the legacy format has them beside the weights, with others' names and in other
/// places.
pub(super) fn merged(fields: &Fields<'_>) -> Found<()> {
    match fields.take("lora_rank").and_then(Json::given) {
        Some(rank) => Err(rank.unsupported(
            "LoRA adapters are kept beside the weights in a legacy .h5 file: save the model as .keras, which merges them",
        )),
        None => Ok(()),
    }
}

impl Reader<'_, '_> {
    /// Float types are honoured or refused: there is no arithmetic of 16 bits, and no silent loss of 64.
    pub(in super::super) fn check_dtype<T: Float>(&self, dtype: Option<&Json<'_>>) -> Found<()> {
        self.dtype_of::<T>(dtype, false).map(drop)
    }

    /// The same of a layer that may have a form in bytes: whether it is that.
    pub(super) fn dtype_of<T: Float>(&self, dtype: Option<&Json<'_>>, has_bytes: bool) -> Found<bool> {
        let Some(dtype) = dtype.filter(|dtype| !dtype.is_null()) else { return Ok(false) };
        let policy = match dtype.is_text() {
            true => Policy::named(dtype.text("a type's name")?),
            false => Policy::of(dtype)?,
        };
        let (hint, given) = match policy {
            Policy::Float(name) => match policies::check::<T>(name, self.dtypes, self.options) {
                Ok(()) => return Ok(false),
                Err(hint) => (hint, name.into()),
            },
            Policy::Quantized { mode: "int8", source } if has_bytes => match policies::check_bytes::<T>(source) {
                Ok(()) => return Ok(true),
                Err(hint) => (hint, format!("int8_from_{source}")),
            },
            Policy::Quantized { mode, source } => (policies::QUANTIZED, format!("{mode}_from_{source}")),
            Policy::Other => (policies::QUANTIZED, dtype.show()),
        };
        Err(Problem::DType { layer: dtype.layer().into(), dtype: given, hint })
    }
}

/// What a layer computes in.
enum Policy<'a> {
    /// In floats, by this name.
    Float(&'a str),
    /// In fewer bits, what was of this policy before.
    Quantized { mode: &'a str, source: &'a str },
    /// In another kind of fewer bits.
    Other,
}

/// Whether a type is that of a layer in bytes.
pub(super) fn is_bytes(dtype: &Json<'_>) -> Found<bool> {
    let policy = if dtype.is_text() { Policy::named(dtype.text("a type's name")?) } else { Policy::of(dtype)? };
    Ok(matches!(policy, Policy::Quantized { mode: "int8", .. }))
}

impl<'a> Policy<'a> {
    fn named(name: &'a str) -> Self {
        match name.split_once("_from_") {
            Some((mode, source)) => Policy::Quantized { mode, source },
            None => Policy::Float(name),
        }
    }

    fn of(dtype: &Json<'a>) -> Found<Self> {
        let expected = "a type's name or a policy";
        let identity = dtype.glance(expected, Identity::take)?;
        identity.keras(dtype.layer())?;
        let is_quantized = identity.class == "QuantizedDTypePolicy";
        if !is_quantized && !matches!(identity.class, "DTypePolicy" | "FloatDTypePolicy" | "Policy") {
            return Ok(Policy::Other);
        }
        dtype.fields(expected, |fields| {
            Identity::take(fields)?;
            let text = |fields: &Fields<'a>, key| fields.need(key, "a policy's name")?.text("a policy's name");
            fields.need("config", "an object")?.fields("an object", |fields| match is_quantized {
                // Keras 3.3 had no more than a name there.
                true if !fields.has("name") => {
                    Ok(Policy::Quantized { mode: text(fields, "mode")?, source: text(fields, "source_name")? })
                }
                _ => match Policy::named(text(fields, "name")?) {
                    Policy::Float(_) if is_quantized => Ok(Policy::Other),
                    policy => Ok(policy),
                },
            })
        })
    }
}

impl<'e> Reading<'e, '_> {
    /// The layer's path in the model.
    pub(super) fn path(&self) -> &'e str {
        &self.fields.owner().layer
    }

    pub(super) fn is_keras2(&self) -> bool {
        self.reader.version == Version::Keras2
    }

    /// Whether the file is older than Keras 2.3, which wrote no type of numbers, and none of the options that came
    /// later: what they mean is what such versions did.
    pub(super) fn is_old(&self) -> bool {
        self.is_keras2() && !self.fields.has("dtype")
    }

    /// A flag with the default of Keras's constructor, or with what `old` files mean that leave it out.
    pub(super) fn newer_flag(&self, key: &'static str, default: bool, old: Option<bool>) -> Found<bool> {
        match old {
            Some(meant) => self.fields.flag_or(key, meant),
            None => self.fields.default_flag(key, default),
        }
    }

    /// A whole number, or a list of one, with the default of Keras's constructor.
    pub(super) fn axis(&self) -> Found<i64> {
        let Some(axes) = self.fields.option("axis", "a whole number")? else { return Ok(-1) };
        match axes.integers()?[..] {
            [axis] => Ok(axis),
            _ => Err(axes.unsupported("one axis is supported")),
        }
    }

    pub(super) fn size(&self, key: &'static str) -> Found<usize> {
        self.fields.size(key, self.reader.options.limits.units)
    }

    /// What the weights of these names were made and trained with: it has no effect here.
    pub(super) fn made_with(&self, weights: &[&str]) -> Found<()> {
        let of = |key: &&&'static str| {
            weights.iter().any(|weight| key.strip_prefix(weight).is_some_and(|rest| rest.starts_with('_')))
        };
        for key in INITIALIZERS.iter().filter(of) {
            self.fields.take(key).as_ref().map_or(Ok(()), initializer)?;
        }
        let keys: Vec<&'static str> = IN_TRAINING.iter().filter(of).copied().collect();
        serialized(self.fields, &keys)
    }

    /// Checks that a layer isn't quantized, unless it is one of bytes. Adapters are merged into the weights when a model
    /// is saved.
    pub(super) fn plain(&self) -> Found<()> {
        if !self.bytes
            && let Some(value) = self.fields.take("quantization_config").and_then(Json::given)
        {
            return Err(value.unsupported("save the model without quantization"));
        }
        self.fields.loose(&["lora_rank", "lora_alpha"], "a number or null", |json| json.is_null() || json.is_number())
    }

    /// The weights of these names; there must be no others.
    pub(super) fn tensors<T: Float>(&self, place: &Place<'_>, names: &[&'static str]) -> Found<Vec<Weight<T>>> {
        match self.reader.weights {
            Some(weights) => weights.read(self.path(), place, names),
            None => Err(Problem::Incomplete { what: "weights", hint: "save the whole model" }),
        }
    }

    /// What a builder refused.
    pub(super) fn refused(&self, source: Error) -> Problem {
        Problem::Layer { layer: self.path().into(), source }
    }

    /// Gives a layer its weights, the first of which decided its size.
    pub(super) fn set<T: Float>(&self, layer: &mut impl Parameters<T>, weights: &[Weight<T>]) -> Found<()> {
        for weight in weights.iter().skip(1) {
            let bias = layer.weight(weight.name).map_err(|source| self.refused(source))?;
            let shape = bias.shape().to_vec();
            self.expect_shape(weight, &shape)?;
        }
        let views: Vec<_> = weights.iter().map(|weight| (weight.name, weight.array.view())).collect();
        layer.set_weights(&views).map_err(|source| self.refused(source))
    }

    pub(super) fn misshapen<T>(&self, weight: &Weight<T>, expected: String) -> Problem {
        Problem::TensorShape {
            layer: self.path().into(),
            weight: weight.name.into(),
            tensor: weight.tensor.clone(),
            expected,
            found: weight.array.shape().to_vec(),
        }
    }

    pub(super) fn expect_shape<T>(&self, weight: &Weight<T>, shape: &[usize]) -> Found<()> {
        if weight.array.shape() == shape { Ok(()) } else { Err(self.misshapen(weight, format!("{shape:?}"))) }
    }

    /// The rows of a kernel, which are the layer's features; its columns are the configuration's.
    pub(super) fn rows<T>(&self, kernel: &Weight<T>, units: usize, gates: usize) -> Found<usize> {
        match (kernel.array.shape(), units.checked_mul(gates)) {
            (&[rows, columns], Some(expected)) if rows > 0 && columns == expected => Ok(rows),
            _ => Err(self.misshapen(kernel, format!("[features, {gates} x {units}]"))),
        }
    }
}

/// How many elements weights have.
pub(super) fn count<T>(weights: &[Weight<T>]) -> usize {
    weights.iter().map(|weight| weight.array.len()).sum()
}

/// What regularizers and constraints are called in options.
const IN_TRAINING: &[&str] = &[
    "kernel_regularizer",
    "kernel_constraint",
    "depthwise_regularizer",
    "depthwise_constraint",
    "pointwise_regularizer",
    "pointwise_constraint",
    "recurrent_regularizer",
    "recurrent_constraint",
    "bias_regularizer",
    "bias_constraint",
    "embeddings_regularizer",
    "embeddings_constraint",
    "alpha_regularizer",
    "alpha_constraint",
    "gamma_regularizer",
    "gamma_constraint",
    "beta_regularizer",
    "beta_constraint",
    "moving_mean_regularizer",
    "moving_mean_constraint",
    "moving_variance_regularizer",
    "moving_variance_constraint",
];
