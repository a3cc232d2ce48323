//! Writers: what a layer or a model says of itself, in Keras 3's words.
//!
//! ```text
//! mod      what can be written, into which kind of file
//! model    layers, inputs and outputs    weights  where they are, which HDF5 takes
//! layer    one layer's options, by the table of classes
//! operations  what stands between layers
//! calls    how layers and operations are called
//! kept     what a file said beyond all that
//! bytes    layers of Keras's quantize("int8")
//! masks    what can't be Keras 3's of Keras 2
//! ```
//!
//! [`words`](super::words) has the words: activations, initializers, options. A class is written as the line of the table beside its reader says ([`Written`](super::classes::Written)).

mod bytes;
mod calls;
mod file;
pub(super) mod kept;
mod layer;
mod masks;
mod model;
mod operations;
mod weights;

pub use self::file::{Saved, save, save_weights, to_bytes};

use super::words::{OUR_OWN, Unsaid};
use crate::config::ConfigError;
use crate::formats::save_error::SaveError;

/// What has no words in Keras.
#[derive(Debug)]
enum Unwritten {
    Class(String),
    Option(Unsaid),
    /// Code of the program's own, in the place of what an older version said.
    Old(String),
}

impl From<Unsaid> for Unwritten {
    fn from(unsaid: Unsaid) -> Self {
        Unwritten::Option(unsaid)
    }
}

impl Unwritten {
    /// The error of the layer at a path.
    fn of(self, path: &str, class: &str) -> SaveError {
        let prefix = path.into();
        match self {
            Unwritten::Class(class) => SaveError::Class { prefix, class, hint: OUR_OWN },
            Unwritten::Old(class) => SaveError::Class { prefix, class, hint: OLD },
            Unwritten::Option(Unsaid { option, value, hint }) => {
                SaveError::Option { prefix, class: class.into(), option, value, hint }
            }
        }
    }
}

const OLD: &str =
    "its words are Keras 2's, or its tensors a legacy file's: save it in Python as .keras by Keras 3, and load that";

/// What can't even be described.
fn of_config(error: ConfigError, path: &str) -> SaveError {
    match error.within(path) {
        ConfigError::Custom { layer, what, name } => SaveError::Custom { layer, what, name },
        // Nothing else is said of what is there.
        other => SaveError::Custom { layer: path.into(), what: "description", name: format!("{other:?}") },
    }
}
