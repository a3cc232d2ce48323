//! Layers that do something in training only.

use super::super::json::{Fields, Json};
use super::super::words::{Said, Unsaid};
use super::{Built, Class, Holds, INPUTS, INPUTS_AND_TRAINING, Reading};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops::identity::Identity;
use crate::graph::ops::noise::{Dropout, Noise};
use crate::graph::shape::Shape;
use crate::random::SeedSource;

impl<T: Float> Class<T> {
    pub(super) const TRAINING_ONLY: &'static [Self] = &[
        Class::layer("Dropout", INPUTS_AND_TRAINING, Holds::Nothing, |reading| {
            let shape = shape(reading)?;
            noise(reading, Noise::Mask { shape })
        }),
        Class::layer("SpatialDropout1D", INPUTS_AND_TRAINING, Holds::Nothing, |reading| spatial(reading, 1))
            .by(of_spatial),
        Class::layer("SpatialDropout2D", INPUTS_AND_TRAINING, Holds::Nothing, |reading| spatial(reading, 2))
            .by(of_spatial),
        Class::layer("SpatialDropout3D", INPUTS_AND_TRAINING, Holds::Nothing, |reading| spatial(reading, 3))
            .by(of_spatial),
        Class::layer("GaussianDropout", INPUTS_AND_TRAINING, Holds::Nothing, |reading| noise(reading, Noise::Factors)),
        Class::layer("GaussianNoise", INPUTS_AND_TRAINING, Holds::Nothing, |reading| noise(reading, Noise::Summands)),
        Class::layer("AlphaDropout", INPUTS_AND_TRAINING, Holds::Nothing, |reading| {
            let shape = shape(reading)?;
            noise(reading, Noise::Alpha { shape })
        }),
        Class::layer("ActivityRegularization", INPUTS, Holds::Nothing, |reading| {
            reading.fields.loose_numbers(&["l1", "l2"])?;
            Ok(Built::with(Identity { keeps_mask: true }, 0))
        })
        .without(SAME),
        Class::layer("Identity", INPUTS, Holds::Nothing, |reading| {
            Ok(Built::with(Identity { keeps_mask: !reading.is_keras2() }, 0))
        })
        .without(SAME),
    ];
}

/// What Keras's layer hasn't got.
const SAME: &[&str] = &["keeps_mask"];

/// Keras's constructors take the name and the type alone.
fn of_spatial(said: &mut Said<'_>) -> Result<(), Unsaid> {
    said.leave("trainable");
    ["rate", "seed", "data_format"].iter().try_for_each(|name| said.same(name))
}

/// The dropout of the weights of attention, if it has one.
pub(super) fn of_scores(fields: &Fields<'_>) -> Found<Option<Dropout>> {
    let json = fields.option("dropout", RATE)?;
    let rate = json.as_ref().map_or(Ok(0.0), |json| json.number())?;
    match json {
        Some(json) if !(0.0..=1.0).contains(&rate) => return Err(json.wrong(RATE)),
        _ => {}
    }
    Ok(Dropout::of_scores(rate, seed(fields, rate)?))
}

/// Keras's seed, or one that is drawn, as Keras does it, if it matters and can be.
pub(super) fn seed(fields: &Fields<'_>, rate: f64) -> Found<Option<i64>> {
    let drawn = || SeedSource::random().ok().map(|mut source| source.next_seed());
    Ok(fields.integer_if("seed")?.or_else(|| if rate > 0.0 { drawn() } else { None }))
}

const RATE: &str = "a number from 0 to 1";

/// The options of Dropout and its kin.
fn noise<T: Float>(reading: &Reading<'_, '_>, noise: Noise) -> Found<Built<T>> {
    let fields = reading.fields;
    let (size, expected) = match noise {
        // Keras 2 lets it be more than one.
        Noise::Summands => ("stddev", "a number of at least 0"),
        _ => ("rate", RATE),
    };
    let json = fields.need(size, expected)?;
    let rate = json.number()?;
    if !(rate >= 0.0 && rate.is_finite() && (rate <= 1.0 || size == "stddev")) {
        return Err(json.wrong(expected));
    }
    let seed = seed(fields, rate)?;
    Ok(Built::with(Dropout { noise, rate, seed }, 0))
}

/// A `noise_shape`, of sizes above 0.
fn shape(reading: &Reading<'_, '_>) -> Found<Option<Shape>> {
    let Some(json) = reading.fields.take("noise_shape").and_then(Json::given) else { return Ok(None) };
    let shape = json.shape()?;
    if shape.contains(&Some(0)) { Err(json.wrong("a shape of sizes above 0, or null")) } else { Ok(Some(shape)) }
}

fn spatial<T: Float>(reading: &Reading<'_, '_>, rank: usize) -> Found<Built<T>> {
    // Files of Keras 2 may say it: the layer's own rule is another.
    shape(reading)?;
    let formats = "channels_last, channels_first or null";
    let format = reading.fields.take("data_format").and_then(Json::given);
    let channels_first = match format.as_ref().map(|json| json.text(formats)).transpose()? {
        Some("channels_first") => true,
        None | Some("channels_last") => false,
        Some(_) => {
            return Err(
                format.map_or_else(|| reading.fields.absent("data_format", formats), |json| json.wrong(formats))
            );
        }
    };
    noise(reading, Noise::Spatial { rank, channels_first: channels_first && rank > 1 })
}
