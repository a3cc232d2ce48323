//! Modules into a file, as `load_state_dict` takes them.

use std::path::Path;

use ndarray::ArrayD;

use super::build::join;
use super::modules::{Kind, Matrix, Norm, Shapes};
use super::written;
use crate::float::Float;
use crate::formats::disk;
use crate::formats::mismatch::Mismatch;
use crate::formats::safetensors::{self, Entry, Values};
use crate::formats::save_error::SaveError;
use crate::graph::ops::normalization::{BatchNormalization, LayerNormalization, Normalization, Statistics};
use crate::layers::Layer;
use crate::layers::convolution::conv1d::Conv1D;
use crate::layers::embedding::Embedding;

/// Writes modules into a safetensors file whose tensors `load_state_dict` takes (strict), each under its prefix: layers
/// over time, [`Dense`](crate::Dense), [`Embedding`], [`LayerNormalization`], [`BatchNormalization`], of one float
/// type.
///
/// ```no_run
/// use recurrent::{Bidirectional, Dense, Lstm, pytorch};
/// let encoder = Bidirectional::new(Lstm::<f32>::builder(8, 16))?;
/// let head = Dense::<f32>::new(32, 5);
/// pytorch::save("tagger.safetensors", &[("encoder", &encoder), ("head", &head)])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```python
/// model.load_state_dict(safetensors.torch.load_file("tagger.safetensors"))
/// ```
///
/// The file's metadata say under `modules` how each is made in Python: `encoder = nn.LSTM(8, 16, bidirectional=True)`.
/// PyTorch has two biases where an LSTM and a SimpleRnn have one here: the second one is written as zeros. A
/// BatchNorm's `num_batches_tracked` isn't known here, and PyTorch does without. What acts in a run alone (dropout,
/// `return_sequences`, what is put out at padding) isn't part of a `state_dict`.
///
/// The file is written whole or not at all: to another one beside it, which then takes its place.
///
/// # Errors
/// [`SaveError`]: a layer or an option that PyTorch doesn't have (a GRU without `reset_after`, another activation),
/// layers of a stack that aren't alike, two tensors of one name, or what the operating system says. An old file is as
/// it was.
pub fn save<T: Float>(path: impl AsRef<Path>, modules: &[(&str, &dyn Module<T>)]) -> Result<(), SaveError> {
    let (mut tensors, mut made) = (Vec::new(), Vec::new());
    for (prefix, module) in modules {
        let Written { python, tensors: own } = module.written(prefix)?;
        made.push(format!("{} = {python}", if prefix.is_empty() { "model" } else { prefix }));
        tensors.extend(
            own.into_iter()
                .map(|(name, array)| Entry { name: join(prefix, &name), elements: Values::Floats(array).into() }),
        );
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(SaveError::Twice { tensor: pair[0].name.clone() });
    }
    let metadata = [("format", "pt".to_string()), ("modules", made.join("\n"))];
    let path = path.as_ref();
    disk::write(path, |out| safetensors::write(out, &metadata, &mut tensors))
        .map_err(|error| SaveError::Io { file: path.display().to_string(), reason: error.to_string() })
}

/// What [`save`] writes: every [`Layer`] of PyTorch's kinds, [`Conv1D`], [`Embedding`],
/// [`LayerNormalization`], [`BatchNormalization`], and [`OneStep`]. Sealed.
pub trait Module<T: Float>: sealed::Sealed<T> {
    /// Its tensors under PyTorch's names, and how it is made in Python.
    #[doc(hidden)]
    fn written(&self, prefix: &str) -> Result<Written<T>, SaveError>;
}

mod sealed {
    pub trait Sealed<T> {}
}

/// A module as it is written.
#[doc(hidden)]
#[derive(Debug)]
pub struct Written<T> {
    pub(super) python: String,
    /// By their names in the module.
    pub(super) tensors: Vec<(String, ArrayD<T>)>,
}

/// A layer that is written as PyTorch's module of one step: an [`Lstm`](crate::Lstm) as `nn.LSTMCell`.
///
/// ```no_run
/// use recurrent::{Lstm, pytorch};
/// let lstm = Lstm::<f32>::new(8, 16);
/// pytorch::save("cell.safetensors", &[("", &pytorch::OneStep(&lstm))])?; // nn.LSTMCell(8, 16)
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OneStep<'l, L: ?Sized>(pub &'l L);

impl<T: Float, L: Layer<T>> sealed::Sealed<T> for L {}

impl<T: Float, L: Layer<T>> Module<T> for L {
    fn written(&self, prefix: &str) -> Result<Written<T>, SaveError> {
        match self.class_name() {
            "Dense" => written::linear(prefix, self),
            class @ "TimeDistributed" => {
                let hint = "write the layer inside (TimeDistributed::layer): nn.Linear takes each step by itself";
                Err(SaveError::Class { prefix: prefix.into(), class: class.into(), hint })
            }
            _ => written::recurrent(prefix, self, false),
        }
    }
}

/// As [`Stacked::layers`](crate::Stacked::layers) and [`Model::layer`](crate::Model::layer) give it.
impl<T: Float> sealed::Sealed<T> for &dyn Layer<T> {}

impl<T: Float> Module<T> for &dyn Layer<T> {
    fn written(&self, prefix: &str) -> Result<Written<T>, SaveError> {
        self.boxed_clone().written(prefix)
    }
}

impl<T: Float, L: Layer<T>> sealed::Sealed<T> for OneStep<'_, L> {}

impl<T: Float, L: Layer<T>> Module<T> for OneStep<'_, L> {
    fn written(&self, prefix: &str) -> Result<Written<T>, SaveError> {
        written::recurrent(prefix, self.0, true)
    }
}

impl<T: Float> sealed::Sealed<T> for Embedding<T> {}

impl<T: Float> Module<T> for Embedding<T> {
    fn written(&self, prefix: &str) -> Result<Written<T>, SaveError> {
        let tensors = vec![("weight".to_string(), self.embeddings().to_owned().into_dyn())];
        checked(Kind::Embedding, prefix, tensors, |shapes| {
            Matrix::embedding(shapes).map(|it| format!("nn.Embedding({}, {})", it.rows, it.columns))
        })
    }
}

impl<T: Float> sealed::Sealed<T> for LayerNormalization<T> {}

impl<T: Float> Module<T> for LayerNormalization<T> {
    fn written(&self, prefix: &str) -> Result<Written<T>, SaveError> {
        let Normalization { statistics, .. } = &self.0;
        let epsilon = if let Statistics::Own { epsilon } = statistics { *epsilon } else { 0.0 };
        checked(Kind::LayerNorm, prefix, affine(&self.0), |shapes| {
            let Norm { features, bias, .. } = Norm::layer(shapes)?;
            let bias = if bias { "" } else { ", bias=False" };
            Ok(format!("nn.LayerNorm({features}, eps={epsilon}{bias})"))
        })
    }
}

impl<T: Float> sealed::Sealed<T> for BatchNormalization<T> {}

impl<T: Float> Module<T> for BatchNormalization<T> {
    fn written(&self, prefix: &str) -> Result<Written<T>, SaveError> {
        let (mut tensors, mut epsilon) = (affine(&self.0), T::zero());
        if let Statistics::Moving(moving) = &self.0.statistics {
            tensors.push(("running_mean".to_string(), moving.mean.clone()));
            tensors.push(("running_var".to_string(), moving.variance.clone()));
            epsilon = moving.epsilon;
        }
        checked(Kind::BatchNorm, prefix, tensors, |shapes| {
            let Norm { features, weight, .. } = Norm::batch(shapes)?;
            let affine = if weight { "" } else { ", affine=False" };
            Ok(format!("nn.BatchNorm1d({features}, eps={epsilon}{affine})"))
        })
    }
}

impl<T: Float> sealed::Sealed<T> for Conv1D<T> {}

impl<T: Float> Module<T> for Conv1D<T> {
    fn written(&self, prefix: &str) -> Result<Written<T>, SaveError> {
        written::conv1d(prefix, self)
    }
}

fn affine<T: Float>(normalization: &Normalization<T>) -> Vec<(String, ArrayD<T>)> {
    let own = [("weight", &normalization.gamma), ("bias", &normalization.beta)];
    own.into_iter().filter_map(|(name, array)| Some((name.to_string(), array.clone()?))).collect()
}

/// Checks that the reader would take the tensors for this kind of module.
pub(super) fn checked<T: Float>(
    kind: Kind,
    prefix: &str,
    tensors: Vec<(String, ArrayD<T>)>,
    python: impl FnOnce(&Shapes<'_>) -> Result<String, Mismatch>,
) -> Result<Written<T>, SaveError> {
    let shapes: Shapes<'_> = tensors.iter().map(|(name, array)| (&name[..], array.shape())).collect();
    let python = python(&shapes).map_err(|reason| {
        let (prefix, expected) = (prefix.into(), kind.name());
        SaveError::Module { prefix, expected, reason }
    })?;
    Ok(Written { python, tensors })
}
