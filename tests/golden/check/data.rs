//! Reads the data files and compares arrays: the format is described in `tests/golden/README.md`.

use ndarray::{Array2, Array3, ArrayD, ArrayView, Dimension, IxDyn};
use recurrent::Float;
use serde_json::Value;

use super::parity;

/// What went wrong in a case.
pub type Outcome<R = ()> = Result<R, Box<dyn std::error::Error>>;

/// An element type with Keras's name and the tolerance of all cases: |a - b| <= TOLERANCE * max(1, |b|).
pub trait Element: Float {
    const DTYPE: &'static str;
    const TOLERANCE: f64;
}

impl Element for f32 {
    const DTYPE: &'static str = "float32";
    const TOLERANCE: f64 = 1e-5;
}

impl Element for f64 {
    const DTYPE: &'static str = "float64";
    const TOLERANCE: f64 = 1e-12;
}

/// Runs `check` on every case of a file and fails with the names of all cases that failed. The topic is the file's path
/// within `tests/golden`.
///
/// `expected` is the number of cases, written down in the test, so that neither a file that lost cases nor a loop that
/// skips some can pass.
pub fn every_case(topic: &str, expected: usize, check: impl Fn(&Value) -> Outcome) {
    let path = format!("{}/tests/golden/{topic}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (mut run, mut failures) = (0, Vec::new());
    for case in list(&file["cases"]) {
        parity::begin(topic, case);
        if let Err(error) = check(case) {
            failures.push(format!("{topic}.json, {}: {error}", text_of(&case["name"])));
        }
        run += 1;
    }
    let first: Vec<_> = failures.iter().take(20).map(String::as_str).collect();
    assert!(failures.is_empty(), "{} of {run} cases failed:\n{}", failures.len(), first.join("\n"));
    assert_eq!(run, expected, "the number of cases in {topic}.json");
    parity::end(topic);
    println!("{topic}.json: {run} cases");
}

/// Runs `$check::<f32>($case)` or `$check::<f64>($case)`, as the case's dtype says.
#[macro_export]
macro_rules! by_dtype {
    ($check:ident, $case:expr) => {
        match $case["dtype"].as_str() {
            Some("float32") => $check::<f32>($case),
            Some("float64") => $check::<f64>($case),
            other => panic!("dtype {other:?}"),
        }
    };
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("a list, not {value}"))
}

pub fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a string, not {value}"))
}

pub fn flag(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| panic!("true or false, not {value}"))
}

pub fn size(value: &Value) -> usize {
    value.as_u64().and_then(|n| n.try_into().ok()).unwrap_or_else(|| panic!("a size, not {value}"))
}

pub fn float(value: &Value) -> f64 {
    match value.as_str() {
        Some("NaN") => f64::NAN,
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        _ => value.as_f64().unwrap_or_else(|| panic!("a number, not {value}")),
    }
}

/// A bare list of numbers. The digits identify the number in its type, also by way of f64.
pub fn numbers<T: Element>(value: &Value) -> Vec<T> {
    list(value).iter().map(|number| T::from_f64(float(number))).collect()
}

pub fn array<T: Element>(value: &Value) -> ArrayD<T> {
    let shape: Vec<_> = list(&value["shape"]).iter().map(size).collect();
    ArrayD::from_shape_vec(shape, numbers(&value["data"])).unwrap_or_else(|error| panic!("{error}"))
}

pub fn sequence<T: Element>(value: &Value) -> Array3<T> {
    array(value).into_dimensionality().unwrap_or_else(|error| panic!("(batch, timesteps, features): {error}"))
}

pub fn matrix<T: Element>(value: &Value) -> Array2<T> {
    array(value).into_dimensionality().unwrap_or_else(|error| panic!("a matrix: {error}"))
}

/// A mask, true for 1; `None` for null.
pub fn mask(value: &Value) -> Option<Array2<bool>> {
    (!value.is_null()).then(|| matrix::<f32>(value).mapv(|number| number == 1.0))
}

/// Checks that ours is Keras's: the same shape, and each number within the tolerance, NaN for NaN, infinity for
/// infinity.
pub fn close<T: Element, D: Dimension>(what: &str, ours: ArrayView<'_, T, D>, keras: &ArrayD<T>) -> Outcome {
    within(what, ours, keras, |a, b| (a - b).abs() <= T::TOLERANCE * b.abs().max(1.0))
}

/// [`close`] with a rule of its own for two finite numbers, ours and Keras's.
pub fn within<T: Element, D: Dimension>(
    what: &str,
    ours: ArrayView<'_, T, D>,
    keras: &ArrayD<T>,
    close: impl Fn(f64, f64) -> bool,
) -> Outcome {
    if ours.shape() != keras.shape() {
        return Err(format!("{what} of shape {:?}, Keras's is {:?}", ours.shape(), keras.shape()).into());
    }
    let ours = ours.into_dyn();
    for (at, (a, b)) in keras.indexed_iter().map(|(at, b)| (at.clone(), (ours[at].into_f64(), b.into_f64()))) {
        parity::saw(T::DTYPE, a, b);
        let same = if a.is_finite() && b.is_finite() { close(a, b) } else { a == b || a.is_nan() && b.is_nan() };
        if !same {
            let at: IxDyn = at;
            return Err(format!("{what}{:?} is {a:e}, Keras's is {b:e}", at.slice()).into());
        }
    }
    Ok(())
}

/// Runs a check on all cases, and fails with the names of those that failed.
pub fn every(cases: &[Value], check: impl Fn(&Value, &str) -> Outcome) {
    let mut failures = Vec::new();
    for case in cases {
        let name = text_of(&case["name"]);
        if let Err(error) = check(case, name) {
            failures.push(format!("{name}: {error}"));
        }
    }
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// [`every`] of a topic whose numbers belong on the page of parity.
pub fn every_of(topic: &str, cases: &[Value], check: impl Fn(&Value, &str) -> Outcome) {
    every(cases, |case, name| {
        parity::begin(topic, case);
        check(case, name)
    });
    parity::end(topic);
}
