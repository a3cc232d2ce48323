//! A file that was opened: the whole model, layers taken out of it, tensors by path.

use std::path::Path;

use ndarray::ArrayD;

#[cfg(doc)]
use super::Problem;
use super::container::{self, Parts};
use super::options::Settings;
use super::weights::Weights;
use super::{Contents, LoadError, Options, hand_built};
use crate::float::Float;
use crate::formats::disk;
use crate::formats::error::Found;
#[cfg(feature = "file")]
use crate::formats::safetensors::Safetensors;
use crate::formats::tensors::TensorInfo;
use crate::graph::Model;
use crate::layers::Layer;

/// A file that was opened: what it holds, and layers taken out one by one.
///
/// ```no_run
/// use recurrent::{Layer, keras};
/// let file = keras::File::open("model.keras")?;
/// println!("{:?}", file.layer_names()?);
/// let lstm = file.layer::<f32>("lstm_1")?; // whatever else the model is made of
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A model of a class of your own has no description that could be read, but its tensors are there, under the names of
/// the attributes:
///
/// ```no_run
/// use recurrent::{Lstm, keras};
/// let file = keras::File::open("subclassed.keras")?;
/// for tensor in file.tensors()? {
///     println!("{tensor}"); // encoder/cell/vars/0: float32 [3, 16]
/// }
/// let mut lstm = Lstm::<f32>::new(3, 4);
/// file.weights_below("encoder", &mut lstm)?;
/// let scale = file.tensor::<f32>("vars/0")?; // a weight of the model itself
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct File {
    name: String,
    parts: Parts,
    options: Options,
}

impl File {
    /// Opens a file with the default options.
    ///
    /// # Errors
    /// Those of [`open_with`](File::open_with).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Self::open_with(path, &Options::new())
    }

    /// Opens a file: `.keras`, `.h5`, `.weights.h5`; or a folder that holds what a `.keras` file does.
    ///
    /// # Errors
    /// [`Problem::Io`], [`Problem::Format`], [`Problem::Limit`]; [`Problem::Digest`] by the options; of a `.keras` file
    /// also [`Problem::Zip`], [`Problem::MissingMember`], [`Problem::CompressedMember`], [`Problem::Checksum`].
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let parts = || match path.is_dir() {
            true => Parts::open_folder(path, &options.settings),
            false => {
                let bytes = disk::read(path, &options.settings.limits)?;
                container::check_digest(&bytes, &options.settings)?;
                Parts::open(bytes, &options.settings)
            }
        };
        Self::of(&path.display().to_string(), options, parts)
    }

    /// Opens a description and its weights that are two files: the text that `model.to_json()` gave, or a
    /// `config.json`; and what `model.save_weights("model.weights.h5")` wrote, or Keras 2's
    /// `save_weights("weights.h5")`.
    ///
    /// ```no_run
    /// use recurrent::keras::{File, Options};
    /// let model = File::open_parts("model.json", "model.weights.h5", &Options::new())?.model::<f32>()?;
    /// # Ok::<(), recurrent::keras::LoadError>(())
    /// ```
    ///
    /// # Errors
    /// [`Problem::Io`], [`Problem::Limit`]; [`Problem::Digest`] compares the bytes of the weights. Messages name the
    /// file of the weights.
    pub fn open_parts(
        config: impl AsRef<Path>,
        weights: impl AsRef<Path>,
        options: &Options,
    ) -> Result<Self, LoadError> {
        let (config, weights) = (config.as_ref(), weights.as_ref());
        let read = |path: &Path| {
            disk::read(path, &options.settings.limits)
                .map_err(|problem| LoadError::new(&path.display().to_string(), problem))
        };
        Self::from_parts(&weights.display().to_string(), read(config)?, read(weights)?, options)
    }

    /// A file in memory; `name` is for messages.
    ///
    /// # Errors
    /// Those of [`open_with`](File::open_with).
    pub fn from_bytes(name: &str, bytes: Vec<u8>, options: &Options) -> Result<Self, LoadError> {
        Self::of(name, options, || {
            disk::check_size(bytes.len() as u64, &options.settings.limits)?;
            container::check_digest(&bytes, &options.settings)?;
            Parts::open(bytes, &options.settings)
        })
    }

    /// [`open_parts`](File::open_parts) in memory: the text of the description, and the bytes of the weights. `name` is
    /// for messages.
    ///
    /// # Errors
    /// [`Problem::Limit`]; [`Problem::Digest`] compares the bytes of the weights.
    pub fn from_parts(name: &str, config: Vec<u8>, weights: Vec<u8>, options: &Options) -> Result<Self, LoadError> {
        Self::of(name, options, || {
            disk::check_size((config.len() as u64).saturating_add(weights.len() as u64), &options.settings.limits)?;
            container::check_digest(&weights, &options.settings)?;
            Ok(Parts::new(config, weights))
        })
    }

    /// A model whose configuration and tensors are a safetensors file.
    #[cfg(feature = "file")]
    pub(crate) fn of_tensors(name: &str, file: Safetensors, options: &Options) -> Result<Self, LoadError> {
        Self::of(name, options, || Parts::of_tensors(file))
    }

    /// That file.
    #[cfg(feature = "file")]
    pub(crate) fn stored(&self) -> Option<&Safetensors> {
        match &self.parts.weights {
            container::Held::Tensors(file) => Some(file),
            container::Held::Hdf5 { .. } => None,
        }
    }

    fn of(name: &str, options: &Options, parts: impl FnOnce() -> Found<Parts>) -> Result<Self, LoadError> {
        let parts = parts().map_err(|problem| LoadError::new(name, problem))?;
        Ok(File { name: name.into(), parts, options: options.clone() })
    }

    /// The whole model.
    ///
    /// # Errors
    /// Those of [`load_with`](super::load_with); [`Problem::CodeType`] if the file was opened with code for numbers of
    /// another type.
    pub fn model<T: Float>(&self) -> Result<Model<T>, LoadError> {
        self.of_type::<T>().and_then(|options| self.model_with(&options))
    }

    /// The whole model, with these options in the place of those that the file was opened with: with code for numbers
    /// that aren't f32.
    ///
    /// # Errors
    /// Those of [`load_with`](super::load_with).
    pub fn model_with<T: Float>(&self, options: &Options<T>) -> Result<Model<T>, LoadError> {
        self.with(options, |contents| contents.model())
    }

    /// The names of all layers, those of models within behind the model's: `encoder/lstm`.
    ///
    /// # Errors
    /// Those of [`load`](super::load) as far as they concern the description.
    pub fn layer_names(&self) -> Result<Vec<String>, LoadError> {
        self.within(|contents| contents.layer_names())
    }

    /// The type that the model computes in, by its layers: `float32`, or `float64` if any of them says so.
    ///
    /// # Errors
    /// Those of [`load`](super::load) as far as they concern the description.
    pub fn dtype(&self) -> Result<&'static str, LoadError> {
        self.within(|contents| Ok(if contents.dtypes().float64 { "float64" } else { "float32" }))
    }

    /// One layer over time by its name (of a model within: by its path), whatever else the model is made of.
    ///
    /// # Errors
    /// [`Problem::UnknownLayer`] lists the names; [`Problem::UnsupportedClass`] if that layer isn't one over time.
    pub fn layer<T: Float>(&self, name: &str) -> Result<Box<dyn Layer<T>>, LoadError> {
        self.of_type::<T>().and_then(|options| self.layer_with(name, &options))
    }

    /// The same with these options in the place of those that the file was opened with: with the code of a cell.
    ///
    /// # Errors
    /// Those of [`layer`](File::layer), and those of the code.
    pub fn layer_with<T: Float>(&self, name: &str, options: &Options<T>) -> Result<Box<dyn Layer<T>>, LoadError> {
        self.with(options, |contents| contents.layer(name))
    }

    /// Loads the file's weights into a layer that was built by hand: see [`load_weights`](super::load_weights).
    ///
    /// # Errors
    /// Those of [`load_weights`](super::load_weights).
    pub fn weights_into<T: Float>(&self, layer: &mut dyn Layer<T>) -> Result<(), LoadError> {
        self.read(|weights| hand_built::load(weights, &self.options.settings, layer))
    }

    /// Loads the weights below a path into a layer that was built by hand: those of one attribute of a model of your
    /// own class, or of one layer of any other.
    ///
    /// The path is that of the layer's group as [`tensors`](File::tensors) shows it, without what stands for the parts
    /// of the layer itself: `encoder` for the tensors `encoder/cell/vars/0` and so on; the group of a cell,
    /// `encoder/cell`, will do, too. Keras files a model that is an attribute by its class, `layers/sequential`; it
    /// goes into a [`Stacked`](crate::Stacked). In a legacy `.h5` file it is the layer's name, and the tensors below
    /// are taken in the file's order.
    ///
    /// # Errors
    /// [`Problem::UnknownObject`] lists the groups there are if there is nothing at the path;
    /// [`Problem::MissingTensor`],
    /// [`Problem::TensorShape`], [`Problem::TensorNames`], [`Problem::LeftoverTensor`] where the two don't agree; the
    /// layer is unchanged then.
    pub fn weights_below<T: Float>(&self, path: &str, layer: &mut dyn Layer<T>) -> Result<(), LoadError> {
        self.read(|weights| hand_built::load_below(weights, &self.options.settings, path, layer))
    }

    /// All tensors of the file, an optimizer's and metrics' among them, sorted by path.
    ///
    /// # Errors
    /// [`Problem::Hdf5`], [`Problem::Hdf5Feature`], [`Problem::Limit`].
    pub fn tensors(&self) -> Result<Vec<TensorInfo>, LoadError> {
        self.read(|weights| weights.tensors())
    }

    /// A tensor by its path, in the type that is asked for: as in Keras, whatever numbers the file holds are cast, so
    /// that float64 is rounded to f32.
    ///
    /// # Errors
    /// [`Problem::UnknownObject`] lists those there are, [`Problem::TensorType`] if it holds no numbers,
    /// [`Problem::NonFinite`] by the options.
    pub fn tensor<T: Float>(&self, path: &str) -> Result<ArrayD<T>, LoadError> {
        self.read(|weights| weights.tensor(path))
    }

    fn read<V>(&self, go: impl FnOnce(&Weights<'_>) -> Found<V>) -> Result<V, LoadError> {
        let weights = Weights::new(&self.parts.weights, &self.options.settings);
        weights.and_then(|weights| go(&weights)).map_err(|problem| LoadError::new(&self.name, problem))
    }

    fn within<V>(&self, go: impl FnOnce(&Contents<'_>) -> Found<V>) -> Result<V, LoadError> {
        Contents::open(&self.parts, &self.options.settings)
            .and_then(|contents| go(&contents))
            .map_err(|problem| LoadError::new(&self.name, problem))
    }

    /// The same of the whole file, wherever the model is to begin.
    pub(super) fn as_it_is<V>(&self, go: impl FnOnce(&Contents<'_>) -> Found<V>) -> Result<V, LoadError> {
        let settings = Settings { behind: vec![], ..self.options.settings.clone() };
        Contents::open(&self.parts, &settings)
            .and_then(|contents| go(&contents))
            .map_err(|problem| LoadError::new(&self.name, problem))
    }

    /// The options for numbers of this type.
    fn of_type<T: Float>(&self) -> Result<Options<T>, LoadError> {
        self.options.of_type().map_err(|problem| LoadError::new(&self.name, problem))
    }

    fn with<T: Float, V>(
        &self,
        options: &Options<T>,
        go: impl FnOnce(&Contents<'_>) -> Found<V>,
    ) -> Result<V, LoadError> {
        Contents::open_with(&self.parts, &options.settings, &options.code)
            .and_then(|contents| go(&contents))
            .map_err(|problem| LoadError::new(&self.name, problem))
    }
}
