//! Equality of bits: NaN equals NaN, +0 doesn't equal -0.

use ndarray::{ArrayRef, Dimension};
use proptest::test_runner::{TestCaseError, TestCaseResult};
use recurrent::{Float, Output, State};

/// Whether two numbers have the same bits, or are both NaN.
pub fn same_bits<T: Float>(a: T, b: T) -> bool {
    a.into_f64().to_bits() == b.into_f64().to_bits() || a.is_nan() && b.is_nan()
}

/// Checks that two arrays have the same shape and bits.
pub fn same<T: Float, D: Dimension>(what: &str, left: &ArrayRef<T, D>, right: &ArrayRef<T, D>) -> TestCaseResult {
    if left.shape() != right.shape() {
        return Err(TestCaseError::fail(format!("{what}: shapes {:?} and {:?}", left.shape(), right.shape())));
    }
    match left.indexed_iter().zip(right).find(|((_, a), b)| !same_bits(**a, **b)) {
        None => Ok(()),
        Some(((at, a), b)) => Err(TestCaseError::fail(format!("{what}: {a:?} and {b:?} at {at:?}"))),
    }
}

/// Checks that two states have the same parts and bits.
pub fn same_state<T: Float>(what: &str, left: &State<T>, right: &State<T>) -> TestCaseResult {
    if left.layout() != right.layout() {
        return Err(TestCaseError::fail(format!("{what}: layouts {} and {}", left.layout(), right.layout())));
    }
    same(what, &left.values(), &right.values())
}

/// Checks that two results, with sequence and state, are the same.
pub fn same_output<T: Float>(what: &str, left: &Output<T>, right: &Output<T>) -> TestCaseResult {
    same(&format!("{what}: sequence"), left.sequence()?, right.sequence()?)?;
    same(&format!("{what}: last"), left.last(), right.last())?;
    same_state(&format!("{what}: state"), left.state()?, right.state()?)
}
