//! What differs between an example and what is given here.

/// How what is given here differs from an example.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Difference {
    /// A number that is too far off.
    #[error("at {at:?} it is {given:?} here and {expected:?} there, {error:.1e} relative; {tolerance:.1e} is allowed")]
    Value {
        /// The element's index.
        at: Vec<usize>,
        /// The number there.
        expected: f64,
        /// The number here.
        given: f64,
        /// The difference, relative to the largest number of the array, or absolute if that is below one.
        error: f64,
        /// The largest difference that is allowed.
        tolerance: f64,
    },
    /// Another shape.
    #[error("its shape is {given:?} here and {expected:?} there")]
    Shape {
        /// The shape there.
        expected: Vec<usize>,
        /// The shape here.
        given: Vec<usize>,
    },
    /// Another number of outputs.
    #[error("there are {given} outputs here and {expected} there")]
    Outputs {
        /// The number there.
        expected: usize,
        /// The number here.
        given: usize,
    },
}
