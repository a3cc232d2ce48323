//! What doesn't fit where tensors were asked for as a certain module.

/// Why tensors aren't those of a module. Tensors are named as the file names them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// No name begins with the prefix and a dot.
    #[error("no tensor's name begins so")]
    NoSuchPrefix,

    /// A tensor isn't there.
    #[error("there is no tensor {tensor:?}")]
    Missing {
        /// Its name.
        tensor: String,
    },

    /// A tensor has another shape.
    #[error("{tensor:?} is {found:?}, expected {expected}")]
    Shape {
        /// Its name.
        tensor: String,
        /// The shape that the others ask for, or what is asked of every shape.
        expected: String,
        /// Its shape.
        found: Vec<usize>,
    },

    /// A matrix lies the other way round.
    #[error(
        "{tensor:?} looks transposed: it is {found:?}, expected {expected:?}; PyTorch's have a row for each output"
    )]
    Transposed {
        /// Its name.
        tensor: String,
        /// The shape that is expected.
        expected: Vec<usize>,
        /// Its shape.
        found: Vec<usize>,
    },

    /// A tensor that the module doesn't have.
    #[error("{tensor:?} isn't one of its tensors")]
    Leftover {
        /// Its name.
        tensor: String,
    },
}
