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

    /// An activation that can't be made from its name alone.
    #[error("activation {activation:?} has no defaults: give {parameters}")]
    ActivationArguments {
        /// The activation's name.
        activation: &'static str,
        /// The parameters without a default, in words.
        parameters: &'static str,
    },

    /// An activation's parameter that is out of its range.
    #[error("{activation}: {parameter} must be {expected}, got {value}")]
    ActivationParameter {
        /// The activation's name.
        activation: String,
        /// The parameter's name.
        parameter: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The value that was given.
        value: f64,
    },

    /// An activation that halves a row was given one that has no half.
    #[error("{activation} needs an even width, got {width}")]
    OddWidth {
        /// The activation's name.
        activation: &'static str,
        /// The row's width.
        width: usize,
    },

    /// Training through an activation of the user's own that came without its derivative.
    #[error("activation {activation:?} can't be trained through: it has no derivative")]
    NoDerivative {
        /// The activation's name.
        activation: String,
    },

    /// An initializer name that Keras doesn't know.
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

    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: {reason}")]
    NoRandomness {
        /// What the operating system said.
        reason: String,
    },
}
