//! LayerNormalization, RMSNormalization, BatchNormalization, GroupNormalization.

use ndarray::ArrayD;
use serde_json::json;

use super::super::json::Fields;
use super::super::weights::Weight;
use super::super::words::{Said, Unsaid};
use super::{Built, Class, Holds, INPUTS, INPUTS_TRAINING_MASK, Reading, options};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops::group_normalization::GroupNormalization;
use crate::graph::ops::normalization::{MOMENTUM, Normalization, Statistics};

impl<T: Float> Class<T> {
    pub(super) const NORMALIZATION: &'static [Self] = &[
        Class::layer("LayerNormalization", INPUTS, Holds::Weights(gamma_and_beta), layer_normalization).by(written),
        Class::layer("RMSNormalization", INPUTS, Holds::Weights(|_| Ok(vec!["scale"])), root_mean_square)
            .without(&["shape"]),
        Class::layer("GroupNormalization", INPUTS, Holds::Weights(gamma_and_beta), in_groups).without(&["width"]),
        Class::layer("BatchNormalization", INPUTS_TRAINING_MASK, Holds::Weights(with_statistics), batch_normalization)
            .by(written),
    ];
}

fn written(said: &mut Said<'_>) -> Result<(), Unsaid> {
    said.axis("axis");
    ["scale", "center", "epsilon", "momentum"].iter().try_for_each(|name| said.same(name))
}

fn gamma_and_beta(fields: &Fields<'_>) -> Found<Vec<&'static str>> {
    let all = [("gamma", fields.default_flag("scale", true)?), ("beta", fields.default_flag("center", true)?)];
    Ok(all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect())
}

fn with_statistics(fields: &Fields<'_>) -> Found<Vec<&'static str>> {
    Ok([gamma_and_beta(fields)?, vec!["moving_mean", "moving_variance"]].concat())
}

fn layer_normalization<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let fields = reading.fields;
    reading.made_with(&["gamma", "beta"])?;
    fields.only("rms_scaling", &json!(false), "only layers without it are read")?;
    let mut axes = fields.option("axis", "whole numbers")?.map_or(Ok(vec![-1]), |axes| axes.integers())?;
    if axes.len() > 1 {
        // Keras sorts them, as they are, and shapes the weights so.
        axes.sort_unstable();
    }
    let weights = reading.tensors(reading.place, &gamma_and_beta(fields)?)?;
    let shape = weights.first().map_or(vec![], |weight| weight.array.shape().to_vec());
    let odd = |weight: &&Weight<T>| weight.array.ndim() != axes.len() || weight.array.shape() != shape;
    if let Some(weight) = weights.iter().find(odd) {
        return Err(reading.misshapen(weight, format!("{} dimensions, all weights alike", axes.len())));
    }
    let (gamma, beta) = (take(&weights, "gamma"), take(&weights, "beta"));
    let statistics = Statistics::Own { epsilon: fields.default_number("epsilon", 1e-3)? };
    let normalization = Normalization { axes, shape, gamma, beta, statistics };
    Ok(Built::with(normalization, options::count(&weights)))
}

fn root_mean_square<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let fields = reading.fields;
    let mut axes = fields.option("axis", "whole numbers")?.map_or(Ok(vec![-1]), |axes| axes.integers())?;
    axes.sort_unstable();
    let weights = reading.tensors(reading.place, &["scale"])?;
    let shape = weights[0].array.shape().to_vec();
    if shape.len() != axes.len() {
        return Err(reading.misshapen(&weights[0], format!("{} dimensions", axes.len())));
    }
    let statistics = Statistics::Square { epsilon: fields.default_number("epsilon", 1e-6)? };
    let normalization = Normalization { axes, shape, gamma: take(&weights, "scale"), beta: None, statistics };
    Ok(Built::with(normalization, options::count(&weights)))
}

fn in_groups<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let fields = reading.fields;
    reading.made_with(&["gamma", "beta"])?;
    const GROUPS: &str = "a whole number above 0, or -1 for one for each channel";
    let groups = match fields.option("groups", GROUPS)? {
        None => Some(32),
        Some(json) => match json.integer()? {
            -1 => None,
            0 => return Err(json.wrong(GROUPS)),
            _ => Some(json.index(GROUPS)?),
        },
    };
    let axis = reading.axis()?;
    let weights = reading.tensors(reading.place, &gamma_and_beta(fields)?)?;
    let channels = weights.first().map_or(0, |weight| weight.array.len());
    for weight in &weights {
        reading.expect_shape(weight, &[channels])?;
    }
    let (gamma, beta) = (take(&weights, "gamma"), take(&weights, "beta"));
    let epsilon = fields.default_number("epsilon", 1e-3)?;
    Ok(Built::with(GroupNormalization { groups, axis, gamma, beta, epsilon }, options::count(&weights)))
}

fn batch_normalization<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let fields = reading.fields;
    reading.made_with(&["gamma", "beta", "moving_mean", "moving_variance"])?;
    in_training_only(fields)?;
    let axis = reading.axis()?;
    let weights = reading.tensors(reading.place, &with_statistics(fields)?)?;
    let width = weights.last().map_or(0, |weight| weight.array.len());
    for weight in &weights {
        reading.expect_shape(weight, &[width])?;
    }
    let (mean, variance) = (take(&weights, "moving_mean"), take(&weights, "moving_variance"));
    let epsilon = T::from_f64(fields.default_number("epsilon", 1e-3)?);
    let momentum = fields.number_or("momentum", MOMENTUM)?;
    let statistics =
        Statistics::moving(mean.unwrap_or_default(), variance.unwrap_or_default(), epsilon, Some(momentum));
    let (gamma, beta) = (take(&weights, "gamma"), take(&weights, "beta"));
    let mut normalization = Normalization { axes: vec![axis], shape: vec![width], gamma, beta, statistics };
    normalization.fold();
    let (all, fixed) = (options::count(&weights), 2 * width);
    Ok(Built { non_trainable: fixed, ..Built::with(normalization, all - fixed) })
}

/// What matters in training only; renormalization among it.
fn in_training_only(fields: &Fields<'_>) -> Found<()> {
    fields.loose_numbers(&["renorm_momentum"])?;
    fields.loose(&["synchronized"], "true or false", |json| json.flag().is_ok())?;
    fields.loose(&["fused"], "true, false or null", |json| json.is_null() || json.flag().is_ok())?;
    fields.loose(&["renorm_clipping"], "an object or null", |json| json.is_null() || json.is_object())?;
    fields.only("renorm", &json!(false), "it has more weights; only layers without it are read")?;
    for key in ["virtual_batch_size", "adjustment"] {
        fields.only(key, &json!(null), "a part of the batch is normalized by itself")?;
    }
    Ok(())
}

fn take<T: Float>(weights: &[Weight<T>], name: &str) -> Option<ArrayD<T>> {
    let weight = weights.iter().find(|weight| weight.name == name);
    weight.map(|weight| weight.array.as_standard_layout().into_owned())
}
