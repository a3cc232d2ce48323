//! MultiHeadAttention and GroupQueryAttention.

use serde_json::json;

use super::super::json::{Fields, Json};
use super::super::weights::{Place, Weight};
use super::super::words::{Said, Unsaid};
use super::{Built, Class, Holds, Reading, options, training_only};
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::ops::multi_head::{Heads, Hides, MultiHead};

/// What such attention takes.
pub(in super::super) const ARGUMENTS_OF_HEADS: &[&str] = &[
    "query",
    "value",
    "key",
    "query_mask",
    "value_mask",
    "key_mask",
    "attention_mask",
    "return_attention_scores",
    "training",
    "use_causal_mask",
];

/// Those that are tensors, in the order of the inputs: Keras's, of arguments by name that of the names.
pub(in super::super) const TENSORS_OF_HEADS: [&str; 4] = ["query", "value", "attention_mask", "key"];

/// Where in a file the weights of each dense layer stand, with heads of equal number and in groups.
pub(in super::super) const GROUPS_OF_HEADS: [[&str; 2]; 5] = [
    ["query_dense", "_query_dense"],
    ["key_dense", "_key_dense"],
    ["_gate_dense", "_gate_dense"],
    ["value_dense", "_value_dense"],
    ["output_dense", "_output_dense"],
];

impl<T: Float> Class<T> {
    pub(super) const MULTI_HEAD: &'static [Self] = &[
        Class::layer("MultiHeadAttention", ARGUMENTS_OF_HEADS, Holds::Weights(weights), |reading| read(reading, false))
            .by(written),
        Class::layer("GroupQueryAttention", ARGUMENTS_OF_HEADS, Holds::Weights(weights), |reading| read(reading, true))
            .by(written),
        // Its name in an `.h5` file.
        Class::layer(IN_PYTHON, ARGUMENTS_OF_HEADS, Holds::Weights(weights), |reading| read(reading, true)).by(written),
    ];
}

pub(super) const IN_PYTHON: &str = "GroupedQueryAttention";

fn written(said: &mut Said<'_>) -> Result<(), Unsaid> {
    if said.get("hides") == Some(&"less".into()) {
        return Err(said.unsaid("hides"));
    }
    for name in ["num_heads", "key_dim", "value_dim", "output_shape", "attention_axes"] {
        said.same(name)?;
    }
    for name in ["head_dim", "num_query_heads", "num_key_value_heads", "use_bias", "use_gate", "sliding_window"] {
        said.same(name)?;
    }
    said.write("dropout", 0.0);
    // What isn't returned is hidden as Keras does it without dropout, and with.
    let scores = said.get("returns_scores") == Some(&true.into());
    if said.get("hides") == Some(&"zero".into()) && !scores {
        said.write("dropout", 0.5);
    }
    said.same("dropout")?;
    said.same("seed")
}

fn flags(fields: &Fields<'_>) -> Found<(bool, bool)> {
    Ok((fields.default_flag("use_bias", true)?, fields.flag_or("use_gate", false)?))
}

fn weights(fields: &Fields<'_>) -> Found<Vec<&'static str>> {
    let (use_bias, use_gate) = flags(fields)?;
    let each = if use_bias { &["kernel", "bias"][..] } else { &["kernel"][..] };
    Ok(each.repeat(4 + usize::from(use_gate)))
}

const WINDOW: &str = "a whole number above 0, or null";
const SHAPE: &str = "sizes or null";

fn read<T: Float>(reading: &Reading<'_, '_>, grouped: bool) -> Found<Built<T>> {
    let fields = reading.fields;
    reading.made_with(&["kernel", "bias"])?;
    // Of Keras 2: the shapes that it was built for.
    for key in ["query_shape", "key_shape", "value_shape"] {
        fields.loose(&[key], "a shape or null", |json| json.is_null() || json.shape().is_ok())?;
    }
    fields.only("softmax_robust_masking", &json!(false), "masked scores less 10^9 are read")?;
    let (use_bias, use_gate) = flags(fields)?;
    let limit = reading.reader.options.limits.units;
    let window = fields.option("sliding_window", WINDOW)?.and_then(Json::given);
    let sliding_window = window.map(|window| window.size(limit)).transpose()?;
    let ([query_heads, key_heads, key_dim, value_dim], output_shape) = match grouped {
        true => {
            let (heads, groups) = (reading.size("num_query_heads")?, reading.size("num_key_value_heads")?);
            let width = reading.size("head_dim")?;
            ([heads, groups, width, width], None)
        }
        false => of_equal_heads(reading)?,
    };
    let returns_scores = reading.flag_said("return_attention_scores")?;
    let dropout = training_only::of_scores(fields)?;
    let hides = match () {
        () if reading.is_keras2() => Hides::Less,
        () if returns_scores || dropout.is_some() => Hides::Zero,
        () => Hides::Smallest,
    };
    let heads = Heads {
        query_heads,
        key_heads,
        key_dim,
        value_dim,
        use_bias,
        use_gate,
        output_shape,
        causal: reading.flag_said("use_causal_mask")?,
        sliding_window,
        returns_scores,
        reads_key: reading.arguments.reads("key"),
        reads_mask: reading.arguments.reads("attention_mask"),
        grouped,
        hides,
        dropout,
    };
    with_weights(reading, heads)
}

/// What MultiHeadAttention says of its sizes: heads of the query and of the key, their widths, and the output's shape.
fn of_equal_heads(reading: &Reading<'_, '_>) -> Found<([usize; 4], Option<Vec<usize>>)> {
    let (fields, limit) = (reading.fields, reading.reader.options.limits.units);
    if let Some(axes) = fields.option("attention_axes", "whole numbers or null")?.and_then(Json::given)
        && axes.integers()? != [1]
    {
        return Err(axes.unsupported("attention along axis 1, time, is read"));
    }
    let (heads, key_dim) = (reading.size("num_heads")?, reading.size("key_dim")?);
    let value_dim = fields.option("value_dim", WINDOW)?.and_then(Json::given);
    let value_dim = value_dim.map_or(Ok(key_dim), |width| width.size(limit))?;
    let shape = fields.option("output_shape", SHAPE)?.and_then(Json::given);
    let shape = shape.map(|shape| match shape.is_list() {
        true => shape.list(SHAPE)?.iter().map(|size| size.size(limit)).collect(),
        false => Ok(vec![shape.size(limit)?]),
    });
    Ok(([heads, heads, key_dim, value_dim], shape.transpose()?.filter(|shape: &Vec<usize>| !shape.is_empty())))
}

/// Tells projections with scales, which Keras's `quantize("int8")` leaves, from others that don't fit.
fn in_bytes(problem: Problem) -> Problem {
    match problem {
        Problem::TensorNames { layer, expected, found } if found.len() == expected.len() + 1 => {
            let hint = "its projections are in bytes, which Keras can't load either: leave EinsumDense out by the filters \
                        of quantize(\"int8\")";
            Problem::DType { layer, dtype: "int8".into(), hint }
        }
        other => other,
    }
}

fn with_weights<T: Float>(reading: &Reading<'_, '_>, heads: Heads) -> Found<Built<T>> {
    let names = &["kernel", "bias"][..1 + usize::from(heads.use_bias)];
    let (mut weights, mut count, mut query) = ([const { None }; 5], 0, 0);
    for (place, own) in weights.iter_mut().enumerate() {
        if heads.shapes(place, 1, &[1]).is_none() {
            continue;
        }
        let [plain, in_groups] = GROUPS_OF_HEADS[place];
        let own_name = if heads.grouped { in_groups } else { plain };
        let found: Found<Vec<Weight<T>>> = reading.tensors(&reading.place.child(own_name), names);
        // Older versions of Keras 3 have another name for the group.
        let found = match (found, reading.place) {
            (Err(error), Place::Group(_)) => reading.tensors(&reading.place.child(in_groups), names).map_err(|_| error),
            (found, _) => found,
        }
        .map_err(in_bytes)?;
        let shape = found[0].array.shape();
        let features = shape.first().copied().unwrap_or(0);
        query = if place == 0 { features } else { query };
        let output = heads.output_shape.clone().unwrap_or_else(|| vec![query]);
        let expected = heads.shapes(place, features, &output).unwrap_or_default();
        for (weight, shape) in found.iter().zip([&expected.0, &expected.1]) {
            reading.expect_shape(weight, shape)?;
        }
        count += options::count(&found);
        let mut arrays = found.into_iter().map(|weight| weight.array);
        *own = arrays.next().map(|kernel| (kernel, arrays.next()));
    }
    Ok(Built::with(MultiHead::made(heads, weights).map_err(|source| reading.refused(source))?, count))
}
