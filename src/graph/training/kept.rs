//! What the file of a layer said of training that isn't known here.

use crate::float::Float;
use crate::graph::Part;
use crate::graph::training::Differs;

/// Dropout within attention, of which files of our own kept the words alone before it was known here.
#[cfg(any(feature = "file", feature = "keras"))]
pub(super) fn differs<T: Float>(part: &Part<T>) -> Option<Differs> {
    if !matches!(&part.class[..], "Attention" | "AdditiveAttention") {
        return None;
    }
    let op = part.op.as_ref()?;
    if op.describe().is_ok_and(|config| config.options.iter().any(|(name, _)| name == "dropout")) {
        return None;
    }
    let kept = serde_json::from_str::<serde_json::Value>(part.kept.as_deref()?).ok()?;
    let rate = kept.get("config")?.get("dropout").and_then(serde_json::Value::as_f64);
    rate.filter(|&rate| rate > 0.0).map(|_| Differs {
        what: "dropout",
        expected: "known",
        given: "unknown: make the model anew",
    })
}

/// No file, no words.
#[cfg(not(any(feature = "file", feature = "keras")))]
pub(super) fn differs<T: Float>(_part: &Part<T>) -> Option<Differs> {
    None
}
