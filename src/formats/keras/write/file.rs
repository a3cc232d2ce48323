//! Into files: what can be written, and the parts of a `.keras` file.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::super::value::file_text;
use super::{masks, weights};
use crate::float::Float;
use crate::formats::disk;
use crate::formats::hdf5::Node;
use crate::formats::save_error::SaveError;
pub use crate::formats::saved_model::Saved;
use crate::formats::zip::{self, Member};
use crate::graph::Model;

/// The version whose words are written.
const VERSION: &str = "3.15.1";

/// Writes a `.keras` file, whole or not at all, which `keras.models.load_model` of Keras 3 takes.
///
/// # Errors
/// [`SaveError::Class`], [`SaveError::Option`] and [`SaveError::Custom`] for what Keras can't say, [`SaveError::Io`];
/// an old file is as it was.
pub fn save<S: Saved + ?Sized>(path: impl AsRef<Path>, thing: &S) -> Result<(), SaveError> {
    let path = path.as_ref();
    let model = as_model(thing)?;
    let content = Content::of(&model)?;
    disk::write(path, |out| content.write(out)).map_err(|error| io_error(&path.display().to_string(), &error))
}

/// Writes a `.weights.h5` file, whole or not at all, which `model.load_weights` takes of a model with these layers.
///
/// # Errors
/// Those of [`save`].
pub fn save_weights<S: Saved + ?Sized>(path: impl AsRef<Path>, thing: &S) -> Result<(), SaveError> {
    let path = path.as_ref();
    let model = as_model(thing)?;
    let content = Content::of(&model)?;
    disk::write(path, |out| content.weights.write(out)).map_err(|error| io_error(&path.display().to_string(), &error))
}

/// What [`save`] writes, as bytes.
///
/// # Errors
/// Those of [`save`].
pub fn to_bytes<S: Saved + ?Sized>(thing: &S) -> Result<Vec<u8>, SaveError> {
    let model = as_model(thing)?;
    let mut bytes = Vec::new();
    Content::of(&model)?.write(&mut bytes).map_err(|error| io_error("the bytes", &error))?;
    Ok(bytes)
}

fn as_model<S: Saved + ?Sized>(thing: &S) -> Result<Cow<'_, Model<S::Elem>>, SaveError> {
    thing.as_model().map_err(|source| SaveError::NoModel { source })
}

fn io_error(file: &str, error: &io::Error) -> SaveError {
    SaveError::Io { file: file.into(), reason: error.to_string() }
}

/// What is written of a model.
struct Content<'m, T> {
    config: String,
    weights: Node<'m, T>,
}

impl<'m, T: Float> Content<'m, T> {
    fn of(model: &'m Model<T>) -> Result<Self, SaveError> {
        masks::check(model)?;
        let config = file_text(&super::model::model(model, "", model.name())?);
        let mut weights = Node::empty();
        weights::put(model, "", &mut weights)?;
        Ok(Content { config, weights })
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let metadata = json!({"keras_version": VERSION}).to_string();
        let metadata = |out: &mut dyn Write| out.write_all(metadata.as_bytes());
        let config = |out: &mut dyn Write| out.write_all(self.config.as_bytes());
        let weights = |out: &mut dyn Write| self.weights.write(out);
        let members = [
            Member { name: "metadata.json", content: &metadata },
            Member { name: "config.json", content: &config },
            Member { name: "model.weights.h5", content: &weights },
        ];
        zip::write(out, &members)
    }
}
