//! Every way in which a call can be refused: one variant each, with what was expected and what was given.
//!
//! A message stands over its variant in `variants`; what it says of values in `words`. The style: lower case, no full
//! stop, below 200 characters; what was expected, then `got` what was given; for an option `X must be .., got ..`; what
//! to do stands behind a colon. `tests/api/bad_input/messages.rs` holds examples. Files have messages of their own,
//! `formats/error.rs` (reading) and `formats/save_error.rs` (writing): `.., found ..`.

mod variants;
pub(crate) mod words;

pub use variants::Error;

/// The crate's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// [`Error::UnknownName`] with the names there are.
    #[cold]
    pub(crate) fn unknown_name(what: &'static str, name: &str, known: impl Iterator<Item = String>) -> Self {
        Error::UnknownName { what, name: name.into(), known: known.collect() }
    }

    /// The same error, with the layer of the model where it happened.
    #[cold]
    pub(crate) fn in_layer(self, name: &str) -> Self {
        match self {
            Error::ModelCall { layer, expected, given } if layer.is_empty() => {
                Error::ModelCall { layer: name.into(), expected, given }
            }
            Error::CannotStream { layer, reason } => {
                let layer = if layer.is_empty() { name.into() } else { format!("{name}/{layer}") };
                Error::CannotStream { layer, reason }
            }
            source => Error::InLayer { layer: name.into(), source: Box::new(source) },
        }
    }
}

/// The result of a function that is documented to panic where its twin returns an error: at the caller's line.
#[track_caller]
pub(crate) fn or_panic<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
