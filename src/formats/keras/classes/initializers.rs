//! Initializers: they have done their work when there are weights, and are kept for whoever writes the layer again.

use super::super::identity::Identity;
use super::super::json::{Fields, Json};
use super::Reading;
use crate::formats::error::Found;
use crate::initializers::{FanMode, Initializer, ScalingDistribution};

/// Checks that it is an initializer of Keras's.
pub(super) fn check(json: &Json<'_>) -> Found<()> {
    if json.is_null() {
        return Ok(());
    }
    if json.is_text() {
        let known = json.text("an initializer")?.parse::<Initializer>();
        return known.map(drop).map_err(|_| json.wrong("an object, a name of Keras's or null"));
    }
    json.fields("an initializer", |fields| {
        Identity::take(fields)?.keras(json.layer())?;
        fields.loose(&["config"], "an object, a name or null", |json| {
            json.is_null() || json.is_text() || json.is_object()
        })?;
        fields.loose(&["build_config"], "an object or null", |json| json.is_null() || json.is_object())
    })
}

/// The initializer that it says, if this crate has it.
pub(in super::super) fn read(json: &Json<'_>) -> Option<Initializer> {
    if json.is_text() {
        return json.text("").ok()?.parse().ok();
    }
    let (class, config) = json
        .glance("", |fields| Ok((Identity::take(fields)?.class, fields.take("config").and_then(Json::given))))
        .ok()?;
    let initializer = class.parse().ok()?;
    match config {
        None => Some(initializer),
        Some(config) => config.glance("", |fields| Ok(with_options(initializer, fields))).ok().flatten(),
    }
}

/// With what its options say; nothing if they say what can't be said here.
fn with_options(mut initializer: Initializer, fields: &Fields<'_>) -> Option<Initializer> {
    let number = |key, to: &mut f64| match fields.take(key) {
        None => Some(()),
        Some(json) => json.number().ok().map(|number| *to = number),
    };
    match &mut initializer {
        Initializer::Constant { value } => number("value", value)?,
        Initializer::Identity { gain } | Initializer::Orthogonal { gain, .. } => number("gain", gain)?,
        Initializer::RandomNormal { mean, stddev, .. } | Initializer::TruncatedNormal { mean, stddev, .. } => {
            number("mean", mean)?;
            number("stddev", stddev)?;
        }
        Initializer::RandomUniform { minval, maxval, .. } => {
            number("minval", minval)?;
            number("maxval", maxval)?;
        }
        Initializer::VarianceScaling { scale, mode, distribution, input_axes, output_axes, .. } => {
            number("scale", scale)?;
            if let Some(json) = fields.take("mode") {
                let text = json.text("").ok()?;
                *mode = [FanMode::FanIn, FanMode::FanOut, FanMode::FanAvg]
                    .into_iter()
                    .find(|mode| mode.to_string() == text)?;
            }
            if let Some(json) = fields.take("distribution") {
                // Keras 2 knows the first one by another name, too.
                let text = match json.text("").ok()? {
                    "normal" => "truncated_normal",
                    text => text,
                };
                let all = [
                    ScalingDistribution::TruncatedNormal,
                    ScalingDistribution::UntruncatedNormal,
                    ScalingDistribution::Uniform,
                ];
                *distribution = all.into_iter().find(|distribution| distribution.to_string() == text)?;
            }
            for (key, to) in [("input_axes", input_axes), ("output_axes", output_axes)] {
                if let Some(json) = fields.take(key).and_then(Json::given) {
                    let axes = json.integers().ok()?;
                    *to = Some(axes.into_iter().map(isize::try_from).collect::<Result<_, _>>().ok()?);
                }
            }
        }
        _ => {
            // Of all others they are null.
            let axes = ["input_axes", "output_axes"].iter().any(|key| fields.take(key).and_then(Json::given).is_some());
            if axes {
                return None;
            }
        }
    }
    match fields.take("seed").and_then(Json::given) {
        None => Some(initializer),
        // A generator of seeds is one by itself.
        Some(seed) => seed.integer().ok().map(|seed| initializer.with_seed(seed)),
    }
}

impl Reading<'_, '_> {
    /// How a weight was filled: what the option says, or the default of Keras's constructor.
    pub(super) fn initializer(&self, key: &'static str, default: Initializer) -> Initializer {
        self.fields.take(key).as_ref().and_then(read).unwrap_or(default)
    }
}
