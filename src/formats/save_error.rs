//! What couldn't be written.

use super::error::Problem;
use super::mismatch::Mismatch;

/// Why a file wasn't written. An old file of the name is as it was.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The operating system refused.
    #[error("{file}: can't be written: {reason}")]
    Io {
        /// The file, as it was named.
        file: String,
        /// What the operating system says.
        reason: String,
    },

    /// A layer that the format doesn't have.
    #[error("{prefix:?}: {class} can't be written: {hint}")]
    Class {
        /// The name that it was to have.
        prefix: String,
        /// Its class.
        class: String,
        /// What to do.
        hint: &'static str,
    },

    /// An option that the format's layer doesn't have.
    #[error("{prefix:?}: {class} with {option}={value} can't be written: {hint}")]
    Option {
        /// The name that the layer was to have.
        prefix: String,
        /// Its class.
        class: String,
        /// The option's name.
        option: String,
        /// Its value.
        value: String,
        /// What to do.
        hint: &'static str,
    },

    /// Layers that aren't one module of the format together.
    #[error("{prefix:?} isn't an {expected}: {reason}")]
    Module {
        /// The name that they were to have.
        prefix: String,
        /// The kind of module: `nn.LSTM`.
        expected: &'static str,
        /// What doesn't fit.
        reason: Mismatch,
    },

    /// Something of the user's own, which no file can hold.
    #[error(
        "{}{what} {name} is the program's own, which no file can hold: save its weights, and build it again",
        at(layer)
    )]
    Custom {
        /// The layer of a model, by its path; empty for the whole.
        layer: String,
        /// `"cell"`, `"activation"` or `"initializer"`.
        what: &'static str,
        /// Its name.
        name: String,
    },

    /// A layer whose weights are in fewer bits, in a format that doesn't have it.
    #[error(
        "{}a {class} can't be written here: recurrent::file::save writes it, or write the layer it was made of",
        at(layer)
    )]
    Quantized {
        /// The layer of a model, by its path; empty for the whole.
        layer: String,
        /// The quantized layer's class.
        class: &'static str,
    },

    /// Examples that aren't what the layer or model gives.
    #[error("its examples can't be saved: {problem}")]
    Examples {
        /// What differs.
        problem: Box<Problem>,
    },

    /// More layers within each other than a file can hold.
    #[error("more than {limit} layers within each other: put some of them side by side")]
    Depth {
        /// The most that there can be.
        limit: usize,
    },

    /// A layer that is no model by itself.
    #[error("it can't be written as a model: {source}")]
    NoModel {
        /// Why a model of it can't be made.
        source: crate::Error,
    },

    /// What a file of another framework said of a layer isn't what the layer is: the file that it came here by was
    /// changed.
    #[error(
        "layer {layer:?}: what it keeps of Keras's words isn't what it is: set it anew, or load Keras's own file again"
    )]
    Kept {
        /// The layer's path in the model.
        layer: String,
    },

    /// A weight that the format has no place for.
    #[error("{group:?}: its weight {weight:?} has no place in the file: save it with recurrent::file::save")]
    NoPlace {
        /// Where the layer's weights are in the file.
        group: String,
        /// The weight's name.
        weight: String,
    },

    /// Two tensors of one name.
    #[error("two modules have a tensor {tensor:?}: give them different prefixes")]
    Twice {
        /// The name.
        tensor: String,
    },
}

/// The layer that a message is about; that of the whole is empty.
fn at(layer: &str) -> String {
    if layer.is_empty() { String::new() } else { format!("layer {layer:?}: ") }
}
