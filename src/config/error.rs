//! Why something has no description, or a description nothing that it describes.

use crate::error::Error;

/// Why something can't be described, or a description can't be read. `layer` is the path in a model.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigError {
    /// Something of the user's own, which no words describe.
    Custom { layer: String, what: &'static str, name: String },
    /// An option that is missing or of another kind.
    Option { layer: String, option: String, expected: String, found: String },
    /// An option that isn't known.
    UnknownOption { layer: String, class: String, option: String },
    /// A class that isn't known, or isn't known here.
    Class { layer: String, class: String, expected: String },
    /// More than is allowed.
    Limit { what: &'static str, limit: usize, given: usize },
    /// A weight that isn't there.
    MissingTensor { layer: String, weight: String, tensor: String },
    /// A weight of another shape.
    TensorShape { layer: String, weight: String, tensor: String, expected: Vec<usize>, found: Vec<usize> },
    /// A weight of other numbers.
    TensorType { tensor: String, expected: String, found: String },
    /// A number that a weight can't have.
    TensorValue { tensor: String, expected: &'static str, index: usize, found: f64 },
    /// A weight that the operating system doesn't give.
    Unread { reason: String },
    /// What is described can't be made.
    Built { layer: String, error: Error },
}

impl ConfigError {
    pub(crate) fn custom(what: &'static str, name: impl ToString) -> Self {
        ConfigError::Custom { layer: String::new(), what, name: name.to_string() }
    }

    /// The same of something that is inside a layer of a model.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        use ConfigError::*;
        match &mut self {
            Custom { layer, .. }
            | Option { layer, .. }
            | UnknownOption { layer, .. }
            | Class { layer, .. }
            | MissingTensor { layer, .. }
            | TensorShape { layer, .. }
            | Built { layer, .. } => *layer = join(outer, layer),
            Limit { .. } | TensorType { .. } | TensorValue { .. } | Unread { .. } => {}
        }
        self
    }
}

/// A layer's path in a model.
pub(crate) fn join(outer: &str, inner: &str) -> String {
    match (outer, inner) {
        ("", one) | (one, "") => one.into(),
        _ => format!("{outer}/{inner}"),
    }
}

#[cfg(feature = "serde")]
impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ConfigError::Custom { what, name, .. } => {
                write!(f, "{what} {name} is the program's own, which can't be written")
            }
            ConfigError::Option { option, expected, found, .. } => {
                write!(f, "{option} must be {expected}, found {found}")
            }
            ConfigError::UnknownOption { class, option, .. } => {
                write!(f, "{class} has an option {option:?}, which isn't known")
            }
            ConfigError::Class { class, expected, .. } => write!(f, "class_name must be {expected}, found {class:?}"),
            ConfigError::Limit { what, limit, given } => write!(f, "{what}: {given} exceeds the limit of {limit}"),
            ConfigError::Built { error, .. } => write!(f, "{error}"),
            ConfigError::Unread { reason } => f.write_str(reason),
            ConfigError::MissingTensor { tensor, .. }
            | ConfigError::TensorShape { tensor, .. }
            | ConfigError::TensorValue { tensor, .. }
            | ConfigError::TensorType { tensor, .. } => write!(f, "tensor {tensor:?} isn't the one that is described"),
        }
    }
}
