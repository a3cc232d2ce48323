//! Models of Keras: `.keras` files, legacy `.h5` files, `.weights.h5` files.
//!
//! ```no_run
//! use ndarray::prelude::*;
//! use recurrent::{Stream, keras};
//! let model = keras::load::<f32>("model.keras")?;
//! let outputs = model.predict(&[(&Array3::<f32>::ones((1, 50, 8))).into()])?;
//! let mut stream = Stream::new(Box::new(model.into_layer()?), 1)?;
//! stream.step_one(&[0.0; 8])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - What of Keras is read, and how its words translate: [`coming_from_keras`].
//! - What a file can do to a program, and what it can't: [`untrusted_files`].
//! - A whole model: [`load`]; trained further: [`Model::record`](crate::Model::record); one layer of a file, whatever the rest: [`File::layer`]; weights alone, into a layer that
//!   was built by hand: [`load_weights`].

#[cfg(doc)]
pub mod coming_from_keras;
mod config;
mod container;
mod cudnn;
mod file;
mod graph;
mod hand_built;
mod layers;
mod options;
mod policy;
#[cfg(doc)]
pub mod untrusted_files;
mod version;
mod weights;

use std::path::Path;

use serde_json::{Map, Value};

pub use self::file::{File, TensorInfo};
pub use self::options::Options;
pub use super::{Limits, LoadError, Problem};

use self::container::Parts;
use self::graph::ModelPlace;
use self::layers::Reader;
use self::version::Version;
use self::weights::{Layout, Place, Queue, Weights, list, trainable};
use super::error::Found;
use super::hdf5::Hdf5;
use crate::float::Float;
use crate::layers::Layer;
use crate::model::Model;
use crate::model::op::Op;

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

/// A file taken apart.
struct Contents<'a> {
    version: Version,
    model: Value,
    weights: Weights<'a>,
    layout: Layout,
    legacy: bool,
    options: &'a Options,
}

const NO_CONFIG: Problem = Problem::Incomplete {
    what: "configuration",
    hint: "it has weights only: load them into a layer with keras::load_weights or keras::File::weights_below, or open \
           it together with the text of model.to_json() by keras::File::open_parts",
};

/// Where the layers' groups are in a legacy file: below `model_weights/`, or at the top of a file of weights.
fn legacy_root(file: &Hdf5<'_>) -> Found<&'static str> {
    Ok(if file.member(file.root(), "model_weights")?.is_some() { "model_weights/" } else { "" })
}

impl<'a> Contents<'a> {
    fn open(parts: &'a Parts, options: &'a Options) -> Found<Self> {
        let weights = Weights::new(parts.weights(), options)?;
        let file = &weights.file;
        if let Some(config) = &parts.config {
            let metadata = parts.metadata.as_ref();
            let metadata = metadata.map(|text| container::json(text, "metadata.json", options)).transpose()?;
            let mut model = container::json(config, "config.json", options)?;
            let version = Version::of(metadata.as_ref(), &mut model)?;
            let root = legacy_root(file)?;
            let top = file.find(root)?.unwrap_or(file.root());
            let legacy = list(file, top, "layer_names", options.limits.tensors)?.is_some();
            let text = metadata.as_ref().and_then(|metadata| metadata.get("keras_version")).and_then(Value::as_str);
            let layout = weights.layout(text)?;
            return Ok(Contents { version, model, weights, layout, legacy, options });
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
        let model = container::json(config.as_bytes(), "model_config", options)?;
        Ok(Contents { version, model, weights, layout: Layout::Layers, legacy: true, options })
    }

    fn object(&self) -> Found<&Map<String, Value>> {
        let found = || Problem::Config {
            layer: String::new(),
            option: "the model".into(),
            expected: "a Sequential or Functional model".into(),
            found: config::show(&self.model),
        };
        let object = self.model.as_object().ok_or_else(found)?;
        if graph::is_model(object) {
            return Ok(object);
        }
        let hint = "models of the Sequential and the functional kind are read whole; of others, keras::File::tensors lists \
                    the tensors, and keras::File::weights_below loads those of a layer into one that you build";
        let class = layers::class_of(object);
        if class.is_empty() {
            Err(found())
        } else {
            Err(Problem::UnsupportedClass { layer: layers::name_of(object).into(), class: class.into(), hint })
        }
    }

    fn has_float64(&self) -> bool {
        fn any(value: &Value) -> bool {
            match value {
                Value::Object(map) => map.iter().any(|(key, value)| {
                    let here = key == "dtype"
                        && (value == "float64"
                            || value
                                .get("config")
                                .and_then(|config| config.get("name"))
                                .is_some_and(|n| n == "float64"));
                    here || any(value)
                }),
                Value::Array(list) => list.iter().any(any),
                _ => false,
            }
        }
        any(&self.model)
    }

    fn reader(&self) -> Reader<'_, 'a> {
        Reader {
            version: self.version,
            weights: Some(&self.weights),
            options: self.options,
            has_float64: self.has_float64(),
            layout: self.layout,
        }
    }

    fn model<T: Float>(&self) -> Found<Model<T>> {
        let object = self.object()?;
        let place = if self.legacy { ModelPlace::Legacy } else { ModelPlace::Group(Place::Group(String::new())) };
        let model = self.reader().model(object, "", &place, 0)?;
        self.weights.check_leftovers(if self.legacy { legacy_root(&self.weights.file)? } else { "" })?;
        Ok(model)
    }

    fn layer_names(&self) -> Found<Vec<String>> {
        fn collect(object: &Map<String, Value>, prefix: &str, names: &mut Vec<String>) -> Found<()> {
            for layer in graph::layers_of(object, prefix)? {
                let name = format!("{prefix}{}", layers::name_of(layer));
                if graph::is_model(layer) {
                    collect(layer, &format!("{name}/"), names)?;
                }
                names.push(name);
            }
            Ok(())
        }
        let mut names = Vec::new();
        collect(self.object()?, "", &mut names)?;
        Ok(names)
    }

    fn layer<T: Float>(&self, name: &str) -> Found<Box<dyn Layer<T>>> {
        let mut object = self.object()?;
        let mut place: Place<'static> = Place::Group(String::new());
        let mut rest = name;
        // From model to model, down to the layer.
        let layer = loop {
            let all = graph::layers_of(object, name)?;
            let places = graph::places(object, &all, &place, self.layout);
            let here = all.iter().position(|layer| layers::name_of(layer) == rest);
            if let Some(at) = here {
                place = places[at].clone();
                break all[at];
            }
            let inside = all.iter().enumerate().find_map(|(at, layer)| {
                let inner = rest.strip_prefix(layers::name_of(layer))?.strip_prefix('/')?;
                graph::is_model(layer).then_some((at, inner))
            });
            let Some((at, inner)) = inside else {
                return Err(Problem::UnknownLayer { name: name.into(), known: self.layer_names()? });
            };
            (object, rest, place) = (all[at], inner, places[at].clone());
        };
        let queue;
        if self.legacy {
            queue = self.queue_of(name)?;
            place = Place::Group(String::new());
            return self.take_out(name, layer, &Place::Queue(&queue), place);
        }
        let own = place.clone();
        self.take_out(name, layer, &own, place)
    }

    fn take_out<T: Float>(
        &self,
        name: &str,
        layer: &Map<String, Value>,
        place: &Place<'_>,
        _owner: Place<'static>,
    ) -> Found<Box<dyn Layer<T>>> {
        match self.reader().layer::<T>(name, layer, place, 0)?.op {
            Op::Recurrent { layer, .. } => Ok((*layer).clone()),
            Op::Dense(layer) => Ok(Box::new((*layer).clone())),
            Op::TimeDistributed(inner) => match *inner {
                Op::Dense(layer) => {
                    Ok(Box::new(crate::layers::time_distributed::TimeDistributed::new((*layer).clone())))
                }
                _ => Err(self.not_over_time(name, layer)),
            },
            _ => Err(self.not_over_time(name, layer)),
        }
    }

    fn not_over_time(&self, name: &str, layer: &Map<String, Value>) -> Problem {
        let hint = "recurrent layers, Bidirectional, Dense and TimeDistributed(Dense) can be taken out";
        Problem::UnsupportedClass { layer: name.into(), class: layers::class_of(layer).into(), hint }
    }

    /// The tensors of one layer in the legacy format; of a model within, those behind its other layers'.
    fn queue_of(&self, name: &str) -> Found<Queue> {
        let (mut object, mut rest) = (self.object()?, name);
        let mut outermost: Option<&Map<String, Value>> = None;
        // Of all weights of the outermost layer, those that are this layer's.
        let mut mine: Vec<bool> = Vec::new();
        loop {
            let all = graph::layers_of(object, name)?;
            let at = all.iter().position(|layer| {
                let own = layers::name_of(layer);
                rest == own
                    || rest.strip_prefix(own).is_some_and(|inner| inner.starts_with('/') && graph::is_model(layer))
            });
            let Some(at) = at else {
                return Err(Problem::UnknownLayer { name: name.into(), known: self.layer_names()? });
            };
            let count = |layer: &&Map<String, Value>| trainable(layer, true).len();
            if outermost.is_none() {
                mine = vec![true; count(&all[at])];
                outermost = Some(all[at]);
            } else {
                let before: usize = all[..at].iter().map(count).sum();
                let start = mine.iter().position(|&mine| mine).unwrap_or(0) + before;
                let own = start..start + count(&all[at]);
                mine.iter_mut().enumerate().for_each(|(i, mine)| *mine = own.contains(&i));
            }
            let own = layers::name_of(all[at]);
            if rest == own {
                break;
            }
            rest = rest.strip_prefix(own).and_then(|inner| inner.strip_prefix('/')).unwrap_or("");
            object = all[at];
        }
        let Some(outermost) = outermost else { return Err(NO_CONFIG) };
        let file = &self.weights.file;
        let group = format!("{}{}", legacy_root(file)?, layers::name_of(outermost));
        let missing = || Problem::MissingObject { what: "group", name: group.clone() };
        let found = file.find(&group)?.ok_or_else(missing)?;
        let names = list(file, found, "weight_names", self.options.limits.tensors)?.unwrap_or_default();
        let flags = trainable(outermost, true);
        let trained = (0..flags.len()).filter(|&i| flags[i]);
        let order: Vec<usize> = trained.chain((0..flags.len()).filter(|&i| !flags[i])).collect();
        let mut own: Vec<(usize, String)> = Vec::new();
        for (place, &weight) in order.iter().enumerate() {
            if let (true, Some(path)) = (mine.get(weight).copied().unwrap_or(false), names.get(place)) {
                own.push((weight, format!("{group}/{path}")));
            }
        }
        own.sort();
        let tensors: Vec<String> = own.into_iter().map(|(_, path)| path).collect();
        let all = vec![true; tensors.len()];
        Ok(Queue::new(name, tensors, &all))
    }
}
