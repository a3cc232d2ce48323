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
//! - Every class that is read: [`what_is_read`].
//! - What a file can do to a program, and what it can't: [`untrusted_files`].
//! - A whole model: [`load`]; trained further: [`Fit`](crate::training::Fit), with the file's regularizers and constraints
//!   by [`weight_rules`]; one layer of a file, whatever the rest: [`File::layer`]; weights alone, into a layer that was
//!   built by hand: [`load_weights`].
//!
//! # Writing
//!
//! What was built, read or trained here goes back: [`save`] writes a `.keras` file, which `keras.models.load_model` of
//! Keras 3 takes, [`save_weights`] a `.weights.h5` file for `model.load_weights`.
//!
//! ```
//! use ndarray::prelude::*;
//! use recurrent::{Dense, Lstm, Sequential, keras};
//! # let folder = std::env::temp_dir().join(format!("recurrent-doc-keras-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("model.keras");
//! let lstm = Lstm::<f32>::builder(8, 16).dropout(0.25).build()?;
//! let model = Sequential::builder("forecast").layer(lstm).layer(Dense::new(16, 1)).build()?;
//! keras::save(&path, &model)?; // in Python: keras.models.load_model("model.keras")
//! let again = keras::load::<f32>(&path)?;
//! let x = Array3::<f32>::ones((2, 5, 8));
//! assert_eq!(again.predict_one(&x)?, model.predict_one(&x)?); // the same bits
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - What can be written is [`Saved`]: models, and layers alone, which become a `Sequential`. Options and initializers
//!   are written, the seeds that were drawn among them. Shapes, names of layers and weights are Keras's; outputs with
//!   names of their own are a dictionary, which Keras sorts by name.
//! - A model of a file of Keras 3 comes out with the configuration that it came in with: what means nothing here
//!   (regularizers, constraints, names of what is inside) is kept with its layers, in files of our own too. A layer that
//!   is taken out of its model keeps its options and initializers, not these. Layers of Keras's `quantize("int8")` come
//!   out as they came in, but for those inside `TimeDistributed`, which compute in floats there
//!   ([`fewer_bits`](crate::fewer_bits#what-keras-quantized)).
//! - It isn't compiled: `model.compile(..)` and `model.fit(..)` go on with it. No optimizer is written.
//! - What Keras hasn't got (IndRnn, Mgu, LayerNormLstm, peepholes, projections, a user's own cells, ..) is refused by name
//!   ([`SaveError`]); `file::save` (feature `file`) writes it.
//! - Equal content gives equal bytes: there is no date in a file. It is written whole or not at all, to another one beside
//!   it that takes its place.

mod bare_words;
mod behind;
mod classes;
#[cfg(doc)]
pub mod coming_from_keras;
mod container;
mod cudnn;
mod description;
mod file;
mod graph;
mod hand_built;
mod identity;
mod json;
mod options;
mod own_code;
mod places;
mod policy;
mod rules;
mod store;
mod take_out;
mod unsupported;
#[cfg(doc)]
pub mod untrusted_files;
mod value;
mod version;
mod vocabulary;
mod weights;
#[cfg(doc)]
pub mod what_is_read;
mod words;
mod write;

use std::path::Path;

pub use self::file::File;
pub use self::options::Options;
pub use self::own_code::{LayerConfig, LayerTensors};
pub use self::rules::weight_rules;
pub use self::vocabulary::vocabulary;
pub use self::write::{Saved, save, save_weights, to_bytes};
pub use super::{Difference, Limits, LoadError, Problem, SaveError, TensorInfo};

use self::classes::Reader;
use self::container::Parts;
use self::description::Described;
use self::identity::FOREIGN;
use self::json::{DTypes, Json};
use self::options::{AnyCode, Settings};
use self::own_code::Wanted;
use self::store::Store;
use self::value::Value;
use self::version::Version;
use self::weights::{Layout, ModelPlace, Place, Weights, list};
use super::error::Found;
use crate::float::Float;
use crate::graph::Model;
use crate::layers::Layer;

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
/// Those of [`load`], and [`Problem::Digest`], [`Problem::NonFinite`], [`Problem::Limit`] by the options; by the code in
/// them [`Problem::UnknownCode`], [`Problem::UnusedTensors`], [`Problem::Call`], and [`Problem::Layer`] for its errors.
pub fn load_with<T: Float>(path: impl AsRef<Path>, options: &Options<T>) -> Result<Model<T>, LoadError> {
    File::open_with(path, &options.without_code())?.model_with(options)
}

/// The names of the classes that are read, for a test of the page that lists them.
#[doc(hidden)]
pub fn class_names() -> Vec<&'static str> {
    classes::names()
}

/// The name of a type of numbers.
fn type_name<T: Float>() -> &'static str {
    if size_of::<T>() == 4 { "f32" } else { "f64" }
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

/// A file taken apart.
struct Contents<'a> {
    version: Version,
    model: Value<'a>,
    weights: Weights<'a>,
    vocabularies: &'a [(String, Vec<u8>)],
    layout: Layout,
    legacy: bool,
    options: &'a Settings,
    /// The program's own code; what it takes the place of is marked.
    code: Option<&'a dyn AnyCode>,
}

const NO_CONFIG: Problem = Problem::Incomplete {
    what: "configuration",
    hint: "it has weights only: load them into a layer with keras::load_weights or keras::File::weights_below, or open \
           it together with the text of model.to_json() by keras::File::open_parts (bytes: keras::File::from_parts)",
};

/// Where the layers' groups are in a legacy file: below `model_weights/`, or at the top of a file of weights.
fn legacy_root(file: &Store<'_>) -> Found<&'static str> {
    Ok(if file.find("model_weights")?.is_some() { "model_weights/" } else { "" })
}

impl<'a> Contents<'a> {
    /// The same with code of the program's own.
    fn open_with(parts: &'a Parts, options: &'a Settings, code: &'a dyn AnyCode) -> Found<Self> {
        let mut contents = Contents::open(parts, options)?;
        Wanted::new(code).mark(&mut contents.model)?;
        Ok(Contents { code: Some(code), ..contents })
    }

    fn open(parts: &'a Parts, options: &'a Settings) -> Found<Self> {
        let weights = Weights::new(&parts.weights, options)?;
        let (file, vocabularies) = (&weights.file, &parts.vocabularies[..]);
        if let Some(config) = &parts.config {
            let metadata = parts.metadata.as_ref();
            let metadata = metadata.map(|text| container::json(text, "metadata.json", options)).transpose()?;
            let mut model = container::json(config, "config.json", options)?;
            let version = Version::of(metadata.as_ref(), &mut model)?;
            behind::start(&mut model, &options.behind)?;
            let root = legacy_root(file)?;
            let top = file.find(root)?.unwrap_or(file.root());
            let legacy = list(file, top, "layer_names", options.limits.tensors)?.is_some();
            let text = metadata.as_ref().and_then(|metadata| metadata.get("keras_version")).and_then(Value::as_text);
            let layout = weights.layout(text)?;
            return Ok(Contents { version, model, weights, vocabularies, layout, legacy, options, code: None });
        }
        let text = |name: &str| Ok(file.strings(file.root(), name)?.and_then(|texts| texts.first().copied()));
        let config = text("model_config")?.ok_or(NO_CONFIG)?;
        let version = match text("keras_version")? {
            Some(version) => Version::parse(version)?,
            None => {
                let hint = "it doesn't say by which version it was written, so its words can't be read";
                return Err(Problem::Version { version: "unknown".into(), hint });
            }
        };
        let mut model = container::json(config.as_bytes(), "model_config", options)?;
        behind::start(&mut model, &options.behind)?;
        let layout = Layout::Layers;
        Ok(Contents { version, model, weights, vocabularies, layout, legacy: true, options, code: None })
    }

    /// The description of the model, whose kind must be one that is read.
    fn described(&self) -> Found<Described<'_>> {
        let model = Described::root(&Json::root(&self.model))?;
        let hint = "models of the Sequential and the functional kind are read whole; of others, keras::File::tensors lists \
                    the tensors, and keras::File::weights_below loads those of a layer into one that you build";
        if model.is_model() {
            return Ok(model);
        }
        Err(match model.unsupported(hint) {
            // Whosever class it is.
            Problem::UnsupportedClass { layer, class, .. } => {
                Problem::UnsupportedClass { layer, class, hint: hint.into() }
            }
            other => other,
        })
    }

    /// The types that layers are of.
    fn dtypes(&self) -> DTypes {
        Json::root(&self.model).dtypes()
    }

    fn reader(&self) -> Reader<'_, 'a> {
        Reader {
            version: self.version,
            weights: Some(&self.weights),
            vocabularies: self.vocabularies,
            options: self.options,
            code: self.code,
            dtypes: self.dtypes(),
            layout: self.layout,
        }
    }

    fn model<T: Float>(&self) -> Found<Model<T>> {
        let model = self.described()?;
        let place = if self.legacy { ModelPlace::Legacy } else { ModelPlace::Group(Place::Group(String::new())) };
        let model = self.reader().model(&model, &place, 0).map_err(|problem| self.true_hint::<T>(problem))?;
        self.weights.check_leftovers(if self.legacy { legacy_root(&self.weights.file)? } else { "" })?;
        Ok(model)
    }

    /// What to do that works in this file: the line of code to write, with the layer's shapes; [`File::layer`] only where
    /// there is a layer that can be taken out.
    fn true_hint<T: Float>(&self, problem: Problem) -> Problem {
        let (layer, class, hint) = match problem {
            Problem::UnsupportedClass { layer, class, hint } => (layer, class, hint),
            other => return other,
        };
        if let Some((layer, class, line)) = own_code::advice::<T>(self, (&layer, &class)) {
            let or = match hint == FOREIGN || self.has_layer_to_take_out::<T>() {
                true => unsupported::OR_TAKE_OUT,
                false => unsupported::OR_CHANGE,
            };
            let hint = format!("{}{line}{or}", unsupported::what_it_is(&class, &hint)).into();
            return Problem::UnsupportedClass { layer, class, hint };
        }
        let advises = hint.contains("keras::File::layer") && !hint.contains("keras::Options") && hint != FOREIGN;
        let misleads = advises && !self.has_layer_to_take_out::<T>();
        let hint = if misleads { unsupported::NOTHING_TO_TAKE_OUT.into() } else { hint };
        Problem::UnsupportedClass { layer, class, hint }
    }

    fn has_layer_to_take_out<T: Float>(&self) -> bool {
        let names = self.layer_names().unwrap_or_default();
        // Files of many layers that can't be taken out aren't worth more.
        names.iter().take(256).any(|name| self.layer::<T>(name).is_ok())
    }
}
