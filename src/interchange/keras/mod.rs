//! Models of Keras: `.keras` files, legacy `.h5` files, `.weights.h5` files.
//!
//! ```no_run
//! use ndarray::prelude::*;
//! use recurrent::{Stream, keras};
//! let model = keras::load::<f32>("model.keras")?;
//! println!("{}", model.predict_one(&Array3::<f32>::ones((1, 50, 8)))?);
//! let mut stream = Stream::new(model.into_layer()?, 1)?;
//! stream.step_one(&[0.0; 8])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - What of Keras is read, and how its words translate: [`coming_from_keras`].
//! - What a file can do to a program, and what it can't: [`untrusted_files`].
//! - A whole model: [`load`]; trained further: [`Model::record`](crate::Model::record); one layer of a file, whatever the rest: [`File::layer`]; weights alone, into a layer that
//!   was built by hand: [`load_weights`].

mod classes;
#[cfg(doc)]
pub mod coming_from_keras;
mod container;
mod cudnn;
mod description;
mod graph;
mod hand_built;
mod identity;
mod json;
mod places;
mod take_out;
mod unsupported;
#[cfg(doc)]
pub mod untrusted_files;
mod version;
mod weights;

use std::path::Path;

use serde_json::Value;

pub use super::{Limits, LoadError, Problem};

use self::classes::Reader;
use self::container::Parts;
use self::description::Described;
use self::graph::ModelPlace;
use self::json::Json;
use self::version::Version;
use self::weights::{Place, Weights};
use super::error::Found;
use super::hdf5::Hdf5;
use crate::float::Float;
use crate::layers::Layer;
use crate::model::Model;

/// How to read a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    limits: Limits,
    sha256: Option<String>,
    finite_only: bool,
}

impl Options {
    /// The default limits, no expected digest, any numbers.
    pub fn new() -> Self {
        Options::default()
    }

    /// What the file may ask for.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The SHA-256 that the file must have, in hexadecimal digits: what `sha256sum` prints.
    pub fn sha256(mut self, digest: impl Into<String>) -> Self {
        self.sha256 = Some(digest.into());
        self
    }

    /// Whether to refuse weights that are NaN or infinite.
    pub fn refuse_non_finite(mut self, yes: bool) -> Self {
        self.finite_only = yes;
        self
    }
}

/// Loads a whole model from a `.keras` or a legacy `.h5` file.
///
/// # Errors
/// A [`LoadError`] that names the file, and the layer or tensor where it was refused.
pub fn load<T: Float>(path: impl AsRef<Path>) -> Result<Model<T>, LoadError> {
    load_with(path, &Options::new())
}

/// [`load`] with options.
///
/// # Errors
/// Those of [`load`], and [`Problem::Digest`], [`Problem::NonFinite`], [`Problem::Limit`] by the options.
pub fn load_with<T: Float>(path: impl AsRef<Path>, options: &Options) -> Result<Model<T>, LoadError> {
    File::open_with(path, options)?.model()
}

/// Loads weights into a layer that was built by hand, a [`Stacked`](crate::Stacked) among them: from a `.weights.h5`
/// file, or from a whole model's file.
///
/// The file's layers and the stack's must be of the same classes, in order; layers without weights don't count. A
/// layer that isn't a stack takes the weights of the file's one layer.
///
/// # Errors
/// [`Problem::MissingTensor`], [`Problem::TensorShape`], [`Problem::LeftoverTensor`] where the two don't agree; the
/// layer is unchanged then.
pub fn load_weights<T: Float>(path: impl AsRef<Path>, layer: &mut dyn Layer<T>) -> Result<(), LoadError> {
    File::open(path)?.weights_into(layer)
}

/// A file that was opened: what it holds, and layers taken out one by one.
///
/// ```no_run
/// use recurrent::{Layer, keras};
/// let file = keras::File::open("model.keras")?;
/// println!("{:?}", file.layer_names()?);
/// let lstm = file.layer::<f32>("lstm_1")?; // whatever else the model is made of
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct File {
    name: String,
    /// The file, or its weights alone if the description was given apart.
    bytes: Vec<u8>,
    config: Option<Vec<u8>>,
    options: Options,
}

impl File {
    /// Opens a file with the default options.
    ///
    /// # Errors
    /// [`Problem::Io`], [`Problem::Format`], [`Problem::Limit`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Self::open_with(path, &Options::new())
    }

    /// Opens a file.
    ///
    /// # Errors
    /// Those of [`open`](File::open), and [`Problem::Digest`].
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Self, LoadError> {
        let name = path.as_ref().display().to_string();
        let bytes = container::read(path.as_ref(), options).map_err(|problem| LoadError::new(&name, problem))?;
        Self::from_bytes(&name, bytes, options)
    }

    /// A file in memory; `name` is for messages.
    ///
    /// # Errors
    /// Those of [`open_with`](File::open_with).
    pub fn from_bytes(name: &str, bytes: Vec<u8>, options: &Options) -> Result<Self, LoadError> {
        let check = || {
            let (limit, given) = (options.limits.file_bytes, bytes.len() as u64);
            if given > limit {
                return Err(Problem::Limit { what: "file_bytes", limit, given });
            }
            container::check_digest(&bytes, options)?;
            container::open(&bytes).map(drop)
        };
        check().map_err(|problem| LoadError::new(name, problem))?;
        Ok(File { name: name.into(), bytes, config: None, options: options.clone() })
    }

    /// A `.keras` file that was taken apart: the text of its `config.json`, and the bytes of its `model.weights.h5`.
    /// `name` is for messages.
    ///
    /// # Errors
    /// [`Problem::Limit`]; [`Problem::Digest`] compares the bytes of the weights.
    pub fn from_parts(name: &str, config: Vec<u8>, weights: Vec<u8>, options: &Options) -> Result<Self, LoadError> {
        let (limit, given) = (options.limits.file_bytes, (config.len() as u64).saturating_add(weights.len() as u64));
        if given > limit {
            return Err(LoadError::new(name, Problem::Limit { what: "file_bytes", limit, given }));
        }
        container::check_digest(&weights, options).map_err(|problem| LoadError::new(name, problem))?;
        Ok(File { name: name.into(), bytes: weights, config: Some(config), options: options.clone() })
    }

    fn parts(&self) -> Found<Parts<'_>> {
        match &self.config {
            Some(config) => Ok(Parts::Keras3 { metadata: None, config, weights: &self.bytes }),
            None => container::open(&self.bytes),
        }
    }

    /// The whole model.
    ///
    /// # Errors
    /// Those of [`load`].
    pub fn model<T: Float>(&self) -> Result<Model<T>, LoadError> {
        self.within(|contents| contents.model())
    }

    /// The names of all layers, those of models within behind the model's: `encoder/lstm`.
    ///
    /// # Errors
    /// Those of [`load`] as far as they concern the description.
    pub fn layer_names(&self) -> Result<Vec<String>, LoadError> {
        self.within(|contents| contents.layer_names())
    }

    /// The type that the model computes in, by its layers: `float32`, or `float64` if any of them says so.
    ///
    /// # Errors
    /// Those of [`load`] as far as they concern the description.
    pub fn dtype(&self) -> Result<&'static str, LoadError> {
        self.within(|contents| Ok(if contents.has_dtype("float64") { "float64" } else { "float32" }))
    }

    /// One layer over time by its name (of a model within: by its path), whatever else the model is made of.
    ///
    /// # Errors
    /// [`Problem::UnknownLayer`] lists the names; [`Problem::UnsupportedClass`] if that layer isn't one over time.
    pub fn layer<T: Float>(&self, name: &str) -> Result<Box<dyn Layer<T>>, LoadError> {
        self.within(|contents| contents.layer(name))
    }

    /// Loads the file's weights into a layer that was built by hand: see [`load_weights`].
    ///
    /// # Errors
    /// Those of [`load_weights`].
    pub fn weights_into<T: Float>(&self, layer: &mut dyn Layer<T>) -> Result<(), LoadError> {
        let result = self.parts().and_then(|parts| {
            let bytes = match parts {
                Parts::Keras3 { weights, .. } => weights,
                Parts::Hdf5(bytes) => bytes,
            };
            hand_built::load(&Weights::new(bytes, &self.options)?, &self.options, layer)
        });
        result.map_err(|problem| LoadError::new(&self.name, problem))
    }

    fn within<V>(&self, go: impl FnOnce(&Contents<'_>) -> Found<V>) -> Result<V, LoadError> {
        self.parts()
            .and_then(|parts| Contents::open(parts, &self.options))
            .and_then(|contents| go(&contents))
            .map_err(|problem| LoadError::new(&self.name, problem))
    }
}

/// A file taken apart.
struct Contents<'a> {
    version: Version,
    model: Value,
    weights: Weights<'a>,
    legacy: bool,
    options: &'a Options,
}

/// A file of weights, and what can be done with it: in Keras 3's layout the description can be given beside it.
fn no_config(file: &Hdf5<'_>) -> Problem {
    let legacy = file.strings(file.root(), "layer_names").is_ok_and(|names| names.is_some());
    let hint = match legacy {
        true => "it has weights only: load them into layers built by hand with keras::load_weights",
        false => {
            "it has weights only: give the text of model.to_json() and them to keras::File::from_parts, or load them into \
             layers built by hand with keras::load_weights"
        }
    };
    Problem::Incomplete { what: "configuration", hint }
}

/// Where the layers' groups are in a legacy file: below `model_weights/`, or at the top of a file of weights.
fn legacy_root(file: &Hdf5<'_>) -> Found<&'static str> {
    Ok(if file.member(file.root(), "model_weights")?.is_some() { "model_weights/" } else { "" })
}

impl<'a> Contents<'a> {
    fn open(parts: Parts<'a>, options: &'a Options) -> Found<Self> {
        match parts {
            Parts::Keras3 { metadata, config, weights } => {
                // Keras can do without the metadata; it is then the version that the format is from.
                let version = match metadata {
                    None => Version::Keras3,
                    Some(metadata) => {
                        let metadata = container::json(metadata, "metadata.json", options)?;
                        let version = Json::root(&metadata).glance("an object", |fields| {
                            fields.need("keras_version", "a version")?.text("a version")
                        })?;
                        Version::parse(version, false)?
                    }
                };
                let model = container::json(config, "config.json", options)?;
                let weights = Weights::new(weights, options)?;
                Ok(Contents { version, model, weights, legacy: false, options })
            }
            Parts::Hdf5(bytes) => {
                let weights = Weights::new(bytes, options)?;
                let file = &weights.file;
                let text = |name: &str| Ok(file.strings(file.root(), name)?.and_then(|texts| texts.first().copied()));
                let config = text("model_config")?.ok_or_else(|| no_config(file))?;
                let version = text("keras_version")?;
                let version = match version {
                    Some(version) => Version::parse(version, true)?,
                    None => {
                        let hint = "it doesn't say by which version it was written, so its words can't be read";
                        return Err(Problem::Version { version: "unknown".into(), hint });
                    }
                };
                let model = container::json(config.as_bytes(), "model_config", options)?;
                Ok(Contents { version, model, weights, legacy: true, options })
            }
        }
    }

    /// The description of the model, whose kind must be one that is read.
    fn described(&self) -> Found<Described<'_>> {
        let model = Described::root(&Json::root(&self.model))?;
        let hint = "models of the Sequential and the functional kind are read; load weights of others into layers";
        if model.is_model() { Ok(model) } else { Err(model.unsupported(hint)) }
    }

    /// Whether any layer is of this type.
    fn has_dtype(&self, dtype: &str) -> bool {
        Json::root(&self.model).mentions_dtype(dtype)
    }

    fn reader(&self) -> Reader<'_, 'a> {
        Reader {
            version: self.version,
            weights: Some(&self.weights),
            options: self.options,
            has_float64: self.has_dtype("float64"),
            has_float32: self.has_dtype("float32"),
        }
    }

    fn model<T: Float>(&self) -> Found<Model<T>> {
        let model = self.described()?;
        let place = if self.legacy { ModelPlace::Legacy } else { ModelPlace::Group(Place::Group(String::new())) };
        let model = self.reader().model(&model, &place, 0).map_err(|problem| self.true_hint::<T>(problem))?;
        self.weights.check_leftovers(if self.legacy { legacy_root(&self.weights.file)? } else { "" })?;
        Ok(model)
    }

    /// A hint at [`File::layer`] only where the file has a layer that can be taken out.
    fn true_hint<T: Float>(&self, problem: Problem) -> Problem {
        match problem {
            Problem::UnsupportedClass { layer, class, hint } if hint.contains("keras::File::layer") => {
                let names = self.layer_names().unwrap_or_default();
                // Files of many layers that can't be taken out aren't worth more.
                let some = names.iter().take(256).any(|name| self.layer::<T>(name).is_ok());
                let hint = if some { hint } else { unsupported::NOTHING_TO_TAKE_OUT };
                Problem::UnsupportedClass { layer, class, hint }
            }
            other => other,
        }
    }
}
