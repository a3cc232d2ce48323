//! A file of PyTorch's tensors that was opened, and layers taken out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use ndarray::ArrayD;

use super::build::{self, join};
use super::format;
use super::modules::{Convolution, Kind, Matrix, Norm, Shapes, candidates, make_plain, own};
use super::recurrent_module::{Cell, Recurrent};
use crate::activation::Activation;
use crate::float::Float;
use crate::formats::disk;
use crate::formats::error::{Found, Problem, within};
use crate::formats::limits::Limits;
use crate::formats::load_error::LoadError;
use crate::formats::mismatch::Mismatch;
use crate::formats::safetensors::Safetensors;
use crate::formats::tensors::{Element, TensorInfo};
use crate::graph::ops::normalization::{BatchNormalization, LayerNormalization};
use crate::layers::Layer;
use crate::layers::convolution::ConvolutionBuilder;
use crate::layers::convolution::conv1d::Conv1D;
use crate::layers::dense::Dense;
use crate::layers::embedding::Embedding;

/// A safetensors file with the tensors of a `state_dict`.
///
/// A `state_dict` has names and shapes, but says neither what its modules are nor how they are called. So the caller
/// names kind and prefix, and each must fit: all tensors below the prefix are used, in the shapes that the module has.
/// `println!("{file}")` shows what the tensors below each prefix could be. The prefix of a file that holds one module,
/// whose names have none, is empty: `file.gru::<f32>("")`.
///
/// ```no_run
/// use ndarray::prelude::*;
/// use recurrent::{Layer, Run, pytorch};
/// let file = pytorch::File::open("model.safetensors")?;
/// println!("{file}"); // encoder: nn.GRU(8, 16, num_layers=2, bidirectional=True), float32 ..
/// let encoder = file.gru::<f32>("encoder")?;
/// let output = encoder.run(&Array3::ones((2, 20, 8)), Run::new().lengths(&[20, 7]))?;
/// println!("{}", output.sequence()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct File {
    name: String,
    content: Safetensors,
    tensors: Vec<TensorInfo>,
    limits: Limits,
}

impl File {
    /// Opens a safetensors file with the default limits.
    ///
    /// # Errors
    /// Those of [`open_with`](File::open_with).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Self::open_with(path, &Limits::new())
    }

    /// Opens a safetensors file.
    ///
    /// # Errors
    /// [`Problem::Io`], [`Problem::Format`], [`Problem::Limit`], [`Problem::Json`], [`Problem::Safetensors`],
    /// [`Problem::TensorType`].
    pub fn open_with(path: impl AsRef<Path>, limits: &Limits) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = disk::read(path, limits).map_err(|problem| LoadError::new(&name, problem))?;
        Self::from_bytes(&name, bytes, limits)
    }

    /// A file in memory; `name` is for messages.
    ///
    /// # Errors
    /// Those of [`open_with`](File::open_with).
    pub fn from_bytes(name: &str, bytes: Vec<u8>, limits: &Limits) -> Result<Self, LoadError> {
        let content = disk::check_size(bytes.len() as u64, limits)
            .and_then(|()| format::check(&bytes))
            .and_then(|()| Safetensors::new(bytes, limits))
            .map_err(|problem| LoadError::new(name, problem))?;
        Ok(Self::of(name, content, limits))
    }

    /// Tensors that were read. Those of examples aren't a module's.
    pub(crate) fn of(name: &str, content: Safetensors, limits: &Limits) -> Self {
        let tensors = content.tensors_but_examples();
        File { name: name.into(), content, tensors, limits: *limits }
    }

    /// The container.
    #[cfg(feature = "file")]
    pub(crate) fn content(&self) -> &Safetensors {
        &self.content
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The texts that stand beside the tensors, by their keys: safetensors' `__metadata__`.
    pub fn metadata(&self) -> &[(String, String)] {
        self.content.metadata()
    }

    /// A tensor by its name, as numbers of `T`. What `T` holds exactly (narrower numbers of any kind) is exact; f64,
    /// and whole numbers too large, are rounded once.
    ///
    /// # Errors
    /// [`Problem::UnknownTensor`] lists the names; [`Problem::TensorType`] for an f64 beyond the range of f32;
    /// [`Problem::Limit`].
    pub fn tensor<T: Float>(&self, name: &str) -> Result<ArrayD<T>, LoadError> {
        self.told(self.read(name))
    }

    /// An `nn.RNN`. Its `nonlinearity`, [`Activation::Tanh`] or [`Activation::Relu`], isn't in the file. See
    /// [`lstm`](File::lstm).
    ///
    /// # Errors
    /// Those of [`lstm`](File::lstm), and [`Problem::UnsupportedOption`] for another nonlinearity.
    pub fn rnn<T: Float>(&self, prefix: &str, nonlinearity: Activation) -> Result<Box<dyn Layer<T>>, LoadError> {
        self.recurrent(Cell::Rnn, false, prefix, nonlinearity)
    }

    /// An `nn.LSTM`: of one layer and one direction an [`Lstm`](crate::Lstm), of both directions a
    /// [`Bidirectional`](crate::Bidirectional), of several layers a [`Stacked`](crate::Stacked) of those; `proj_size`
    /// is `projection_units`. It returns sequences and states, is batch first, and its outputs at padding are zero, as
    /// PyTorch's are: a packed sequence is a call with [`lengths`](crate::Run::lengths).
    ///
    /// # Errors
    /// [`Problem::Module`] if there is no such module below the prefix: it says what doesn't fit, and what the tensors
    /// could be. [`Problem::TensorType`] for numbers that aren't floating-point, or not in the range of `T`;
    /// [`Problem::Limit`]; [`Problem::Layer`] for a size of zero.
    pub fn lstm<T: Float>(&self, prefix: &str) -> Result<Box<dyn Layer<T>>, LoadError> {
        self.recurrent(Cell::Lstm, false, prefix, Activation::Tanh)
    }

    /// An `nn.GRU`: a [`Gru`](crate::Gru) with `reset_after`, which is PyTorch's form. See [`lstm`](File::lstm).
    ///
    /// # Errors
    /// Those of [`lstm`](File::lstm).
    pub fn gru<T: Float>(&self, prefix: &str) -> Result<Box<dyn Layer<T>>, LoadError> {
        self.recurrent(Cell::Gru, false, prefix, Activation::Tanh)
    }

    /// An `nn.RNNCell`, as a layer over time: a step of a [`Stream`](crate::Stream) is a call of the cell.
    ///
    /// # Errors
    /// Those of [`rnn`](File::rnn).
    pub fn rnn_cell<T: Float>(&self, prefix: &str, nonlinearity: Activation) -> Result<Box<dyn Layer<T>>, LoadError> {
        self.recurrent(Cell::Rnn, true, prefix, nonlinearity)
    }

    /// An `nn.LSTMCell`, as a layer over time: a step of a [`Stream`](crate::Stream) is a call of the cell.
    ///
    /// # Errors
    /// Those of [`lstm`](File::lstm).
    pub fn lstm_cell<T: Float>(&self, prefix: &str) -> Result<Box<dyn Layer<T>>, LoadError> {
        self.recurrent(Cell::Lstm, true, prefix, Activation::Tanh)
    }

    /// An `nn.GRUCell`, as a layer over time: a step of a [`Stream`](crate::Stream) is a call of the cell.
    ///
    /// # Errors
    /// Those of [`lstm`](File::lstm).
    pub fn gru_cell<T: Float>(&self, prefix: &str) -> Result<Box<dyn Layer<T>>, LoadError> {
        self.recurrent(Cell::Gru, true, prefix, Activation::Tanh)
    }

    /// An `nn.Linear`.
    ///
    /// # Errors
    /// Those of [`lstm`](File::lstm).
    pub fn linear<T: Float>(&self, prefix: &str) -> Result<Dense<T>, LoadError> {
        let matrix = self.module(Kind::Linear, prefix, Matrix::linear);
        self.told(matrix.and_then(|matrix| build::linear(prefix, matrix, &|name| self.weight(prefix, name))))
    }

    /// An `nn.Embedding`. PyTorch's `padding_idx` masks nothing: its row is an ordinary one when the model runs.
    /// (`max_norm`, which changes rows whenever they are read, isn't in the file and isn't here.)
    ///
    /// # Errors
    /// Those of [`lstm`](File::lstm).
    pub fn embedding<T: Float>(&self, prefix: &str) -> Result<Embedding<T>, LoadError> {
        let matrix = self.module(Kind::Embedding, prefix, Matrix::embedding);
        self.told(matrix.and_then(|matrix| build::embedding(prefix, matrix, &|name| self.weight(prefix, name))))
    }

    /// An `nn.LayerNorm` over the last axis, with PyTorch's default `eps` of 1e-5; the file doesn't tell another one,
    /// which is set by [`epsilon`](LayerNormalization::epsilon). It is called in a [`Model`](crate::Model).
    ///
    /// # Errors
    /// Those of [`lstm`](File::lstm).
    pub fn layer_norm<T: Float>(&self, prefix: &str) -> Result<LayerNormalization<T>, LoadError> {
        let norm = self.module(Kind::LayerNorm, prefix, Norm::layer);
        self.told(norm.and_then(|norm| build::layer_norm(prefix, norm, &|name| self.weight(prefix, name))))
    }

    /// An `nn.BatchNorm1d` as `model.eval()` runs it, with PyTorch's default `eps` of 1e-5; the file doesn't tell
    /// another one, which is set by [`epsilon`](BatchNormalization::epsilon). It normalizes the last axis: PyTorch's
    /// own is the second one, (batch, features, timesteps). It is called in a [`Model`](crate::Model).
    ///
    /// # Errors
    /// Those of [`lstm`](File::lstm).
    pub fn batch_norm<T: Float>(&self, prefix: &str) -> Result<BatchNormalization<T>, LoadError> {
        let norm = self.module(Kind::BatchNorm, prefix, Norm::batch);
        self.told(norm.and_then(|norm| build::batch_norm(prefix, norm, &|name| self.weight(prefix, name))))
    }

    /// An `nn.Conv1d` over (batch, timesteps, channels); PyTorch's own is (batch, channels, timesteps). Its `groups`,
    /// stride, padding and dilation aren't in the file: `options` says the last three. `padding="same"` is
    /// [`Padding::Same`](crate::Padding::Same); zeros on one side or both are
    /// [`Padding::Causal`](crate::Padding::Causal), or a [`ZeroPadding1D`](crate::ops::ZeroPadding1D) before it. (A
    /// transposed convolution has tensors of the same form, and is none.)
    ///
    /// ```no_run
    /// use recurrent::{Padding, pytorch};
    /// let file = pytorch::File::open("model.safetensors")?;
    /// // nn.Conv1d(3, 8, 5, stride=2), of one group
    /// let conv = file.conv1d::<f32>("conv", 1, |conv| conv.strides(2))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`lstm`](File::lstm), and [`Problem::Layer`] for options that don't go together.
    pub fn conv1d<T: Float>(
        &self,
        prefix: &str,
        groups: usize,
        options: impl FnOnce(ConvolutionBuilder<'static, Conv1D<T>>) -> ConvolutionBuilder<'static, Conv1D<T>>,
    ) -> Result<Conv1D<T>, LoadError> {
        let module = self.module(Kind::Convolution, prefix, Convolution::of);
        let read = |name: &str| self.weight(prefix, name);
        self.told(module.and_then(|module| build::conv1d(prefix, module, groups, options, &read)))
    }

    fn recurrent<T: Float>(
        &self,
        cell: Cell,
        one_step: bool,
        prefix: &str,
        activation: Activation,
    ) -> Result<Box<dyn Layer<T>>, LoadError> {
        let kind = Kind::Recurrent { cell, one_step };
        let module = self.module(kind, prefix, |shapes| Recurrent::of(cell, one_step, shapes));
        self.told(module.and_then(|module| {
            build::check_nonlinearity(prefix, kind.name(), &activation)?;
            build::recurrent(prefix, &module, &activation, &|name| self.weight(prefix, name))
        }))
    }

    /// What the tensors below a prefix are, if they are of this kind.
    fn module<M>(&self, kind: Kind, prefix: &str, of: impl FnOnce(&Shapes<'_>) -> Result<M, Mismatch>) -> Found<M> {
        let below = self.below(prefix);
        let plain = make_plain(&below);
        let shapes = own(below);
        for &size in shapes.values().copied().flatten() {
            within("units", size, self.limits.units)?;
        }
        of(&shapes).map_err(|reason| Problem::Module {
            prefix: prefix.into(),
            expected: kind.name(),
            reason: Box::new(if shapes.is_empty() { Mismatch::NoSuchPrefix } else { named(reason, prefix) }),
            hint: plain.unwrap_or_else(|| self.hint(kind, prefix, &shapes)),
        })
    }

    /// What to do where a module doesn't fit.
    fn hint(&self, kind: Kind, prefix: &str, shapes: &Shapes<'_>) -> String {
        let candidates = candidates(shapes);
        if !candidates.is_empty() {
            return format!("it could be {}", candidates.join(" or "));
        }
        let modules = modules(&self.tensors);
        let inside = |name: &str| prefix.is_empty() || name.strip_prefix(prefix).is_some_and(|it| it.starts_with('.'));
        let fitting = || modules.iter().filter(|(_, shapes)| kind.fits(shapes)).map(|(name, _)| *name);
        let near: Vec<&str> = fitting().filter(|name| inside(name)).collect();
        let (kind, all) = (kind.name(), fitting().collect::<Vec<_>>());
        if !near.is_empty() || shapes.is_empty() && !all.is_empty() {
            return format!("{} could be an {kind}", quoted(if near.is_empty() { &all } else { &near }));
        }
        match (shapes.is_empty(), all.is_empty()) {
            (true, _) if modules.is_empty() => "the file has no tensors".into(),
            (true, _) => format!("there are tensors below {}", quoted(&modules.into_keys().collect::<Vec<_>>())),
            (false, true) => format!("its tensors are {}", listed(shapes)),
            (false, false) => format!("its tensors are {}; {} could be an {kind}", listed(shapes), quoted(&all)),
        }
    }

    /// The shapes of the tensors below a prefix, by the rest of their names.
    fn below<'a>(&'a self, prefix: &str) -> Shapes<'a> {
        let rest = |tensor: &'a TensorInfo| match prefix {
            "" => Some((&tensor.path[..], &tensor.shape[..])),
            prefix => Some((tensor.path.strip_prefix(prefix)?.strip_prefix('.')?, &tensor.shape[..])),
        };
        self.tensors.iter().filter_map(rest).collect()
    }

    /// A module's tensor: floating-point numbers alone. Whole ones would be weights that were quantized, whose scale
    /// stands elsewhere.
    fn weight<T: Float>(&self, prefix: &str, name: &str) -> Found<ArrayD<T>> {
        let name = join(prefix, name);
        match self.content.form(&name) {
            Some((element, _)) if !element.is_float() => {
                let expected = "floating-point numbers (File::tensor reads whole ones)";
                Err(Problem::TensorType { tensor: name, expected, found: element.name() })
            }
            _ => self.read(&name),
        }
    }

    fn read<T: Float>(&self, name: &str) -> Found<ArrayD<T>> {
        let tensor = self.content.tensor(name)?.ok_or_else(|| Problem::UnknownTensor {
            name: name.into(),
            known: self.tensors.iter().map(|tensor| tensor.path.clone()).collect(),
        })?;
        let array = tensor.array::<T>("", name, false)?;
        within("elements", array.len(), self.limits.elements)?;
        if tensor.element == Element::F64 && array.iter().any(|number| number.is_infinite()) {
            let exact = tensor.array::<f64>("", name, false)?;
            let beyond = exact.iter().zip(&array).find(|(exact, number)| exact.is_finite() && number.is_infinite());
            if let Some((number, _)) = beyond {
                let (expected, found) = ("numbers in the range of f32 (or a layer of f64)", format!("{number:e}"));
                return Err(Problem::TensorType { tensor: name.into(), expected, found });
            }
        }
        Ok(array)
    }

    fn told<V>(&self, found: Found<V>) -> Result<V, LoadError> {
        found.map_err(|problem| LoadError::new(&self.name, problem))
    }
}

/// What each module could be.
impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} tensors", self.name, self.tensors.len())?;
        let mut types: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for tensor in &self.tensors {
            types.entry(split(&tensor.path).0).or_default().insert(&tensor.dtype);
        }
        for (prefix, shapes) in modules(&self.tensors) {
            let candidates = candidates(&shapes);
            let what = if candidates.is_empty() { listed(&shapes) } else { candidates.join(" or ") };
            let types: Vec<&str> = types.get(prefix).into_iter().flatten().copied().collect();
            write!(f, "\n  {}: {what}, {}", if prefix.is_empty() { "\"\"" } else { prefix }, types.join(" and "))?;
        }
        Ok(())
    }
}

/// A mismatch with its tensor's name as the file has it.
fn named(mut mismatch: Mismatch, prefix: &str) -> Mismatch {
    use Mismatch::{Leftover, Missing, NoSuchPrefix, Shape, Transposed};
    match &mut mismatch {
        Missing { tensor } | Shape { tensor, .. } | Transposed { tensor, .. } | Leftover { tensor } => {
            *tensor = join(prefix, tensor);
        }
        NoSuchPrefix => {}
    }
    mismatch
}

/// The module's name and the tensor's own.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// The tensors of each module: those whose names differ in the last part only.
fn modules(tensors: &[TensorInfo]) -> BTreeMap<&str, Shapes<'_>> {
    let mut modules: BTreeMap<&str, Shapes<'_>> = BTreeMap::new();
    for tensor in tensors {
        let (prefix, name) = split(&tensor.path);
        modules.entry(prefix).or_default().insert(name, &tensor.shape);
    }
    modules
}

/// Names and shapes, for messages; not all of very many.
fn listed(shapes: &Shapes<'_>) -> String {
    some(shapes.iter().map(|(name, shape)| format!("{name} {shape:?}")), shapes.len())
}

fn quoted(names: &[&str]) -> String {
    some(names.iter().map(|name| format!("{name:?}")), names.len())
}

fn some(texts: impl Iterator<Item = String>, count: usize) -> String {
    let mut texts: Vec<String> = texts.take(12).collect();
    if count > texts.len() {
        texts.push(format!("and {} more", count - texts.len()));
    }
    texts.join(", ")
}
