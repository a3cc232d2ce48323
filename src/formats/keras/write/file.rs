//! Into files: what can be written, and the parts of a `.keras` file.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::super::value::file_text;
use super::{masks, weights};
use crate::cells::Cell;
use crate::error::Error;
use crate::float::Float;
use crate::formats::disk;
use crate::formats::hdf5::Node;
use crate::formats::save_error::SaveError;
use crate::formats::zip::{self, Member};
use crate::graph::{AnyLayer, Model, Sequential};
use crate::layers::Layer;
use crate::layers::bidirectional::Bidirectional;
use crate::layers::dense::Dense;
use crate::layers::embedding::Embedding;
use crate::layers::recurrent::Recurrent;
use crate::layers::stacked::Stacked;
use crate::layers::time_distributed::TimeDistributed;

/// The version whose words are written.
const VERSION: &str = "3.15.1";

/// What [`save`] takes: a [`Model`]; every layer, boxed ones too; an [`Embedding`]. A layer is written as a
/// `Sequential` with an `Input` of its features, a [`Stacked`] as one of its layers.
///
/// Sealed.
pub trait Saved: sealed::Sealed {
    /// The type of its numbers.
    #[doc(hidden)]
    type Elem: Float;

    /// As a model.
    #[doc(hidden)]
    fn as_model(&self) -> Result<Cow<'_, Model<Self::Elem>>, Error>;
}

mod sealed {
    /// Implemented by what can be written only.
    pub trait Sealed {}
}

/// One after another as a model.
fn sequential<T: Float>(layers: Vec<AnyLayer<T>>) -> Result<Cow<'static, Model<T>>, Error> {
    let builder = layers.into_iter().fold(Sequential::builder("sequential"), |model, layer| model.layer(layer));
    builder.build().map(Cow::Owned)
}

macro_rules! saved {
    ($([$($generics:tt)*] $type:ty, $elem:ty;)*) => {$(
        impl<$($generics)*> sealed::Sealed for $type {}

        impl<$($generics)*> Saved for $type {
            type Elem = $elem;

            fn as_model(&self) -> Result<Cow<'_, Model<$elem>>, Error> {
                sequential(vec![self.clone().into()])
            }
        }
    )*};
}

saved! {
    [C: Cell] Recurrent<C>, C::Elem;
    [T: Float] Bidirectional<T>, T;
    [T: Float] Dense<T>, T;
    [T: Float] TimeDistributed<T>, T;
    [T: Float] Embedding<T>, T;
    [T: Float] AnyLayer<T>, T;
}

impl<T: Float> sealed::Sealed for Model<T> {}

impl<T: Float> Saved for Model<T> {
    type Elem = T;

    fn as_model(&self) -> Result<Cow<'_, Model<T>>, Error> {
        Ok(Cow::Borrowed(self))
    }
}

impl<T: Float> sealed::Sealed for Stacked<T> {}

impl<T: Float> Saved for Stacked<T> {
    type Elem = T;

    fn as_model(&self) -> Result<Cow<'_, Model<T>>, Error> {
        match self.returns_state() {
            // It is refused there.
            true => sequential(vec![self.clone().into()]),
            false => sequential(self.parts().into_iter().map(|(_, layer)| layer.boxed_clone().into()).collect()),
        }
    }
}

impl<T: Float> sealed::Sealed for Box<dyn Layer<T>> {}

impl<T: Float> Saved for Box<dyn Layer<T>> {
    type Elem = T;

    fn as_model(&self) -> Result<Cow<'_, Model<T>>, Error> {
        match self.class_name() {
            // A stack in a box is one, too.
            "Stacked" if !self.returns_state() => {
                sequential(self.parts().into_iter().map(|(_, layer)| layer.boxed_clone().into()).collect())
            }
            _ => sequential(vec![self.clone().into()]),
        }
    }
}

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
