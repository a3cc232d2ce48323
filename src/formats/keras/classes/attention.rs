//! Attention, AdditiveAttention and Dot.

use serde_json::json;

use super::super::json::Fields;
use super::super::weights::Weight;
use super::super::words::values::plain;
use super::super::words::{Said, Unsaid};
use super::{Built, Class, Holds, INPUTS, Reading, options, training_only};
use crate::config::Value;
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops::attention::{Attention, Score};
use crate::graph::ops::contract::{Contract, Pattern, Unit};

/// What attention takes.
pub(in super::super) const ARGUMENTS_OF_ATTENTION: &[&str] =
    &["inputs", "mask", "training", "return_attention_scores", "use_causal_mask"];

impl<T: Float> Class<T> {
    pub(super) const ATTENTION: &'static [Self] = &[
        Class::layer("Attention", ARGUMENTS_OF_ATTENTION, Holds::Weights(weights), |reading| {
            attention(reading, score(reading.fields)?)
        })
        .by(of_attention),
        Class::layer("AdditiveAttention", ARGUMENTS_OF_ATTENTION, Holds::Weights(scale), |reading| {
            attention(reading, Score::Additive)
        })
        .by(of_attention),
        Class::layer("Dot", INPUTS, Holds::Nothing, dot).by(of_dot).of_list(),
    ];
}

/// What the calls say isn't an option.
fn of_attention(said: &mut Said<'_>) -> Result<(), Unsaid> {
    said.write("use_scale", said.get("scale").is_some_and(|scale| *scale != Value::Null));
    if said.get("score") != Some(&"additive".into()) {
        let mode = said.get("score").map_or(json!("dot"), plain);
        said.write("score_mode", mode);
    }
    said.write("dropout", 0.0);
    said.write("seed", json!(null));
    said.same("dropout")?;
    said.same("seed")
}

/// An axis for both sides is one number.
fn of_dot(said: &mut Said<'_>) -> Result<(), Unsaid> {
    let axis = |name: &str| said.get(name).map_or(json!(null), plain);
    let (left, right) = (axis("left_axis"), axis("right_axis"));
    for side in ["left", "right"] {
        if said.get(side).is_some_and(|constant| *constant != Value::Null) {
            return Err(said.unsaid(side));
        }
    }
    let normalize = said.get("unit").is_some_and(|unit| *unit != Value::Null);
    said.write("axes", if left == right { left } else { json!([left, right]) });
    said.write("normalize", normalize);
    Ok(())
}

fn score(fields: &Fields<'_>) -> Found<Score> {
    // Versions before 2.8 had no other.
    let Some(mode) = fields.take("score_mode") else { return Ok(Score::Dot) };
    match mode.text("\"dot\" or \"concat\"")? {
        "dot" => Ok(Score::Dot),
        "concat" => Ok(Score::Concat),
        _ => Err(mode.wrong("\"dot\" or \"concat\"")),
    }
}

fn scale(fields: &Fields<'_>) -> Found<Vec<&'static str>> {
    let scaled = fields.option("use_scale", "true or false")?.map(|json| json.flag()).transpose()?;
    // The constructors' defaults.
    let scaled = scaled.unwrap_or(fields.owner().class == "AdditiveAttention");
    Ok(if scaled { vec!["scale"] } else { vec![] })
}

fn weights(fields: &Fields<'_>) -> Found<Vec<&'static str>> {
    let mut names = scale(fields)?;
    if score(fields)? == Score::Concat {
        names.push("concat_score_weight");
    }
    Ok(names)
}

fn attention<T: Float>(reading: &Reading<'_, '_>, score: Score) -> Found<Built<T>> {
    let fields = reading.fields;
    let dropout = training_only::of_scores(fields)?;
    let causal = fields.flag_or("causal", false)? || reading.flag_said("use_causal_mask")?;
    let names = if score == Score::Additive { scale(fields)? } else { weights(fields)? };
    let tensors: Vec<Weight<T>> = reading.tensors(reading.place, &names)?;
    for weight in &tensors {
        let expected = usize::from(score == Score::Additive);
        if weight.array.ndim() != expected {
            return Err(reading.misshapen(weight, format!("{expected} dimensions")));
        }
    }
    let take = |name: &str| {
        let weight = tensors.iter().find(|weight| weight.name == name);
        weight.map(|weight| weight.array.as_standard_layout().into_owned())
    };
    let (scale, concat) = (take("scale"), take("concat_score_weight"));
    let returns_scores = reading.flag_said("return_attention_scores")?;
    Ok(Built::with(Attention { score, scale, concat, causal, returns_scores, dropout }, options::count(&tensors)))
}

fn dot<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let axes = reading.fields.need("axes", "one or two whole numbers")?;
    let (left, right) = match axes.integers()?[..] {
        [both] => (both, both),
        [left, right] => (left, right),
        _ => return Err(axes.wrong("one or two whole numbers")),
    };
    let normalize = reading.fields.take("normalize").map_or(Ok(false), |json| json.flag())?;
    let unit = normalize.then_some(match reading.is_keras2() {
        true => Unit::TENSORFLOW,
        false => Unit::KERAS,
    });
    Ok(Built::with(Contract { pattern: Pattern::Batch { left, right }, unit, left: None, right: None }, 0))
}
