//! What the file of a layer said of training that isn't known here: dropout within attention.

use crate::float::Float;
use crate::graph::Part;
use crate::graph::training::Differs;

/// What Keras would do with this layer in training, and is not done here.
#[cfg(any(feature = "file", feature = "keras"))]
pub(super) fn differs<T: Float>(part: &Part<T>) -> Option<Differs> {
    if !matches!(&part.class[..], "Attention" | "AdditiveAttention") {
        return None;
    }
    let kept = serde_json::from_str::<serde_json::Value>(part.kept.as_deref()?).ok()?;
    let rate = kept.get("config")?.get("dropout").and_then(serde_json::Value::as_f64);
    rate.filter(|&rate| rate > 0.0).map(|_| NO_DROPOUT)
}

/// No file, no words.
#[cfg(not(any(feature = "file", feature = "keras")))]
pub(super) fn differs<T: Float>(_part: &Part<T>) -> Option<Differs> {
    None
}

/// Of attention, whose scores are dropped in Keras's training.
pub(crate) const NO_DROPOUT: Differs =
    Differs { what: "dropout", expected: "0 in attention that is trained", given: "more" };
