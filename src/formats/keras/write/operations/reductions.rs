//! Operations that make one number of all along some axes.

use serde_json::{Value as Json, json};

use super::super::super::words::values::plain;
use super::{KerasOperation, Made, Words};
use crate::config::Value;

/// Their names here, and Keras's classes.
const REDUCTIONS: [(&str, &[&str]); 14] = [
    ("sum", &["Sum"]),
    ("mean", &["Mean", "Average"]),
    ("max", &["Max", "Amax"]),
    ("min", &["Min", "Amin"]),
    ("prod", &["Prod"]),
    ("var", &["Var"]),
    ("std", &["Std"]),
    ("logsumexp", &["Logsumexp"]),
    ("norm", &["Norm"]),
    ("all", &["All"]),
    ("any", &["Any"]),
    ("argmax", &["Argmax"]),
    ("argmin", &["Argmin"]),
    ("count_nonzero", &["CountNonzero"]),
];

pub(super) fn of(words: Words<'_>) -> Made {
    let name = words.text("function");
    let classes = REDUCTIONS.iter().find(|(own, _)| *own == name).map(|(_, classes)| *classes);
    let keepdims = words.get("keepdims");
    let mut class = words.class(classes.ok_or_else(|| words.unsaid("function"))?);
    if class == "Average" && *keepdims != Value::Flag(false) {
        class = "Mean";
    }
    let mut made = along(class, words);
    match class {
        // Those have no `keepdims`.
        "Average" => drop(made.kwargs.insert("weights".into(), Json::Null)),
        "CountNonzero" => {}
        _ => made = made.with("keepdims", plain(keepdims)),
    }
    Ok(vec![match class {
        "Max" | "Min" => made.with("initial", Json::Null),
        "Prod" => made.with("dtype", Json::Null),
        "Norm" => made.with("ord", json!(null)),
        _ => made,
    }])
}

/// An operation along an axis, along several, or along all.
pub(super) fn along(class: &'static str, words: Words<'_>) -> KerasOperation {
    KerasOperation::of_one(class).with("axis", words.one_or_list("axis"))
}
