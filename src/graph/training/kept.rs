//! What the file of a layer said of training that isn't known here: activity regularizers, dropout within attention.

use crate::float::Float;
use crate::graph::Part;
use crate::graph::training::Differs;

/// What Keras would do with this layer in training, and is not done here.
#[cfg(any(feature = "file", feature = "keras"))]
pub(super) fn differs<T: Float>(part: &Part<T>) -> Option<Differs> {
    let kept = serde_json::from_str::<serde_json::Value>(part.kept.as_deref()?).ok()?;
    let config = kept.get("config")?;
    let number = |key: &str| config.get(key).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
    let (what, given) = match &part.class[..] {
        "ActivityRegularization" if number("l1") != 0.0 || number("l2") != 0.0 => ("l1 or l2", "more"),
        "Attention" | "AdditiveAttention" if number("dropout") > 0.0 => return Some(NO_DROPOUT),
        _ if has_activity_regularizer(config) => {
            let (what, expected) = ("activity_regularizer", "none in a model that is trained");
            return Some(Differs { what, expected, given: "one: take it out of the file, or add its penalty" });
        }
        _ => return None,
    };
    Some(Differs { what, expected: "0 in a model that is trained", given })
}

/// No file, no words.
#[cfg(not(any(feature = "file", feature = "keras")))]
pub(super) fn differs<T: Float>(_part: &Part<T>) -> Option<Differs> {
    None
}

/// Of attention, whose scores are dropped in Keras's training.
pub(crate) const NO_DROPOUT: Differs =
    Differs { what: "dropout", expected: "0 in attention that is trained", given: "more" };

/// Of the layer, or of one inside.
#[cfg(any(feature = "file", feature = "keras"))]
fn has_activity_regularizer(json: &serde_json::Value) -> bool {
    match json {
        serde_json::Value::Object(object) => object.iter().any(|(key, value)| match &key[..] {
            "activity_regularizer" => !value.is_null(),
            _ => has_activity_regularizer(value),
        }),
        serde_json::Value::Array(list) => list.iter().any(has_activity_regularizer),
        _ => false,
    }
}
