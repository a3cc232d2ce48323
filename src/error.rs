//! Every way in which a call can be refused: one variant each, with what was expected and what was given.

/// The crate's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call was refused. Whatever was refused left the layer, the state and the caller's arrays as they were.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A size that must be at least one is zero.
    #[error("{what} must be at least 1, got 0")]
    ZeroSize {
        /// `"units"`, `"input_size"`, ...
        what: &'static str,
    },

    /// A layer of these sizes would have more weights than memory can address.
    #[error("{what} of {rows} x {columns} elements can't be addressed on this machine")]
    SizeOverflow {
        /// The weight that would be too large.
        what: &'static str,
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
    },

    /// An activation name that Keras doesn't know.
    #[error("unknown activation {name:?}: the names are {known}")]
    UnknownActivation {
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },

    /// An initializer name that Keras doesn't know, or one that this crate doesn't have (`stft`).
    #[error("unknown initializer {name:?}: the names are {known}")]
    UnknownInitializer {
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },

    /// An initializer that can't fill a tensor of this rank.
    #[error("{initializer} needs a tensor of rank {expected}, got shape {shape:?}")]
    InitializerRank {
        /// The initializer's name.
        initializer: &'static str,
        /// The ranks it can fill, in words.
        expected: &'static str,
        /// The shape that was asked for.
        shape: Vec<usize>,
    },

    /// An initializer's parameter that is out of its range.
    #[error("{initializer}: {parameter} must be {expected}, got {value}")]
    InitializerParameter {
        /// The initializer's name.
        initializer: &'static str,
        /// The parameter's name.
        parameter: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The value that was given.
        value: f64,
    },

    /// A name of an initializer's option that Keras doesn't know.
    #[error("unknown {option} {name:?}: the names are {known}")]
    UnknownInitializerOption {
        /// `"mode"` or `"distribution"`.
        option: &'static str,
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },

    /// A user's initializer made an array of another shape than it was asked for.
    #[error("a custom initializer must make an array of shape {expected:?}, got {given:?}")]
    CustomInitializerShape {
        /// The shape that was asked for.
        expected: Vec<usize>,
        /// The shape of what it made.
        given: Vec<usize>,
    },

    /// A tensor of this shape can't be addressed, or the operating system has no memory for it.
    #[error("a tensor of shape {shape:?} doesn't fit in memory")]
    TensorTooLarge {
        /// The shape that was asked for.
        shape: Vec<usize>,
    },

    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: {reason}")]
    NoRandomness {
        /// What the operating system said.
        reason: String,
    },
}
