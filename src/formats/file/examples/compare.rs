//! Comparing what is given here with what was given there.

use ndarray::ArrayD;

use super::Example;
use crate::error::Result;
use crate::float::Float;
use crate::formats::difference::Difference;
use crate::formats::error::{Found, Problem};
use crate::graph::Watch;

/// A difference of one array from another: the largest, relative to the largest number of the expected one, or absolute
/// if that is below one; and where it is.
pub(crate) fn difference<T: Float>(given: &ArrayD<T>, expected: &ArrayD<T>) -> (f64, usize) {
    let finite = |value: &T| if value.is_finite() { value.into_f64().abs() } else { 0.0 };
    let scale = expected.iter().map(finite).fold(1.0, f64::max);
    let mut largest = (0.0, 0);
    for (at, (&given, &expected)) in given.iter().zip(expected).enumerate() {
        let (given, expected) = (given.into_f64(), expected.into_f64());
        let equal = given == expected || given.is_nan() && expected.is_nan();
        let error = if equal { 0.0 } else { (given - expected).abs() / scale };
        // What isn't a number here alone is as far off as can be.
        let error = if error.is_nan() { f64::INFINITY } else { error };
        if error > largest.0 {
            largest = (error, at);
        }
    }
    largest
}

/// The problem, if an array differs by more than the tolerance; or by how much it differs.
pub(crate) fn mismatch<T: Float>(
    what: &str,
    (by, tolerance): (&str, f64),
    example: usize,
    given: &ArrayD<T>,
    expected: &ArrayD<T>,
) -> Found<f64> {
    if given.shape() != expected.shape() {
        let (what, by) = (what.into(), by.into());
        let difference = Difference::Shape { expected: expected.shape().to_vec(), given: given.shape().to_vec() };
        return Err(Problem::Differs { what, by, example, difference: Box::new(difference) });
    }
    let (error, at) = difference(given, expected);
    if error <= tolerance {
        return Ok(error);
    }
    let value = |array: &ArrayD<T>| array.iter().nth(at).map_or(f64::NAN, |value| value.into_f64());
    let difference = Difference::Value {
        at: index(expected.shape(), at),
        expected: value(expected),
        given: value(given),
        error,
        tolerance,
    };
    Err(Problem::Differs { what: what.into(), by: by.into(), example, difference: Box::new(difference) })
}

/// The index of an element by its place in row order.
fn index(shape: &[usize], mut at: usize) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&size| {
            let own = at % size.max(1);
            at /= size.max(1);
            own
        })
        .collect();
    index.reverse();
    index
}

/// Runs an example and compares: first what layers gave on the way, in the order in which they are called, then the
/// outputs. The largest difference.
pub(crate) fn check<T: Float>(
    example: &Example<T>,
    number: usize,
    by: (&str, f64),
    run: impl FnOnce(Option<Watch<'_, T>>) -> Result<Vec<ArrayD<T>>>,
) -> Found<f64> {
    let refused = |source| Problem::Layer { layer: String::new(), source };
    let (mut first, mut seen): (Option<Problem>, Vec<String>) = (None, Vec::new());
    let mut watch = |name: &str, given: &ArrayD<T>| {
        let Some((_, expected)) = example.layers.iter().find(|(layer, _)| layer == name) else { return };
        // Of a shared layer the first call.
        if seen.iter().any(|other| other == name) {
            return;
        }
        seen.push(name.into());
        if first.is_none() {
            first = mismatch(&format!("layer {name:?}"), by, number, given, expected).err();
        }
    };
    let outputs = run(Some(&mut watch)).map_err(refused)?;
    if let Some((name, _)) = example.layers.iter().find(|(name, _)| !seen.contains(name)) {
        return Err(Problem::UnknownLayer { name: name.clone(), known: seen });
    }
    if outputs.len() != example.outputs.len() {
        let difference = Difference::Outputs { expected: example.outputs.len(), given: outputs.len() };
        let (what, by) = ("the result".into(), by.0.into());
        return Err(Problem::Differs { what, by, example: number, difference: Box::new(difference) });
    }
    let mut largest = 0.0;
    for (i, (given, expected)) in outputs.iter().zip(&example.outputs).enumerate() {
        let what = if outputs.len() == 1 { "the output".into() } else { format!("output {i}") };
        match mismatch(&what, by, number, given, expected) {
            Ok(error) => largest = f64::max(largest, error),
            Err(problem) => return Err(first.unwrap_or(problem)),
        }
    }
    // On the way more than the tolerance, and the outputs don't show it.
    match first {
        Some(problem) => Err(problem),
        None => Ok(largest),
    }
}
