//! Layers out of the safetensors file of a `state_dict` of PyTorch's.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use recurrent::{Activation, Sequential, pytorch};

use crate::arrays;
use crate::by_type::{ByType, is_double};
use crate::errors::{Outcome, check_readable, detached, refuse};
use crate::layer::Layer;
use crate::model::Model;

/// A safetensors file with the tensors of a `state_dict`. `print(file)` shows what the tensors below each prefix could
/// be; the caller names kind and prefix, and each must fit.
#[pyclass(frozen, module = "recurrent_layers")]
pub struct PytorchFile {
    file: pytorch::File,
}

/// Opens the safetensors file of a PyTorch `state_dict`, as `safetensors.torch.save_file` writes it.
#[pyfunction]
pub fn pytorch_file(py: Python<'_>, path: PathBuf) -> Outcome<PytorchFile> {
    check_readable(&path)?;
    detached(py, || Ok(PytorchFile { file: pytorch::File::open(&path)? }))
}

/// A layer by the method of this name, in the type that is asked for.
macro_rules! layer {
    ($py:expr, $file:expr, $dtype:expr, $x:ident => $made:expr) => {{
        let (double, $x) = (is_double($dtype)?, &$file.file);
        detached($py, || {
            Ok(match double {
                Some(true) => {
                    let layer: Box<dyn recurrent::Layer<f64>> = $made?;
                    ByType::F64(Arc::new(layer))
                }
                _ => {
                    let layer: Box<dyn recurrent::Layer<f32>> = $made?;
                    ByType::F32(Arc::new(layer))
                }
            }
            .into())
        })
    }};
}

#[pymethods]
impl PytorchFile {
    /// An `nn.LSTM`, of any number of layers and directions. It returns sequences and states, is batch first, and its
    /// outputs at padding are zero: a packed sequence is a call with `lengths`.
    #[pyo3(signature = (prefix="", dtype=None))]
    fn lstm(&self, py: Python<'_>, prefix: &str, dtype: Option<&str>) -> Outcome<Layer> {
        layer!(py, self, dtype, file => file.lstm(prefix))
    }

    /// An `nn.GRU`: see `lstm`.
    #[pyo3(signature = (prefix="", dtype=None))]
    fn gru(&self, py: Python<'_>, prefix: &str, dtype: Option<&str>) -> Outcome<Layer> {
        layer!(py, self, dtype, file => file.gru(prefix))
    }

    /// An `nn.RNN`: see `lstm`. Its nonlinearity, "tanh" or "relu", isn't in the file.
    #[pyo3(signature = (prefix="", nonlinearity="tanh", dtype=None))]
    fn rnn(&self, py: Python<'_>, prefix: &str, nonlinearity: &str, dtype: Option<&str>) -> Outcome<Layer> {
        let activation = nonlinearity_of(nonlinearity)?;
        layer!(py, self, dtype, file => file.rnn(prefix, activation.clone()))
    }

    /// An `nn.LSTMCell`, as a layer over time: a step of its stream is a call of the cell.
    #[pyo3(signature = (prefix="", dtype=None))]
    fn lstm_cell(&self, py: Python<'_>, prefix: &str, dtype: Option<&str>) -> Outcome<Layer> {
        layer!(py, self, dtype, file => file.lstm_cell(prefix))
    }

    /// An `nn.GRUCell`: see `lstm_cell`.
    #[pyo3(signature = (prefix="", dtype=None))]
    fn gru_cell(&self, py: Python<'_>, prefix: &str, dtype: Option<&str>) -> Outcome<Layer> {
        layer!(py, self, dtype, file => file.gru_cell(prefix))
    }

    /// An `nn.RNNCell`: see `lstm_cell` and `rnn`.
    #[pyo3(signature = (prefix="", nonlinearity="tanh", dtype=None))]
    fn rnn_cell(&self, py: Python<'_>, prefix: &str, nonlinearity: &str, dtype: Option<&str>) -> Outcome<Layer> {
        let activation = nonlinearity_of(nonlinearity)?;
        layer!(py, self, dtype, file => file.rnn_cell(prefix, activation.clone()))
    }

    /// An `nn.Linear`, over the last axis of (batch, timesteps, features).
    #[pyo3(signature = (prefix="", dtype=None))]
    fn linear(&self, py: Python<'_>, prefix: &str, dtype: Option<&str>) -> Outcome<Layer> {
        let double = is_double(dtype)?;
        detached(py, || {
            Ok(match double {
                Some(true) => ByType::F64(Arc::new(Box::new(self.file.linear::<f64>(prefix)?) as Box<_>)),
                _ => ByType::F32(Arc::new(Box::new(self.file.linear::<f32>(prefix)?) as Box<_>)),
            }
            .into())
        })
    }

    /// An `nn.Embedding`, as a model that reads ids (batch, timesteps).
    #[pyo3(signature = (prefix="", dtype=None))]
    fn embedding(&self, py: Python<'_>, prefix: &str, dtype: Option<&str>) -> Outcome<Model> {
        let double = is_double(dtype)?;
        detached(py, || {
            Ok(match double {
                Some(true) => Sequential::builder(prefix).layer(self.file.embedding::<f64>(prefix)?).build()?.into(),
                _ => Sequential::builder(prefix).layer(self.file.embedding::<f32>(prefix)?).build()?.into(),
            })
        })
    }

    /// The names and shapes of all tensors.
    #[getter]
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.file.tensors().iter().map(|tensor| (tensor.path.clone(), tensor.shape.clone())).collect()
    }

    /// A tensor by its name, as an array.
    #[pyo3(signature = (name, dtype=None))]
    fn tensor<'py>(&self, py: Python<'py>, name: &str, dtype: Option<&str>) -> Outcome<Bound<'py, PyAny>> {
        Ok(match is_double(dtype)? {
            Some(true) => arrays::out(py, self.file.tensor::<f64>(name)?),
            _ => arrays::out(py, self.file.tensor::<f32>(name)?),
        })
    }

    /// The texts that stand beside the tensors.
    #[getter]
    fn metadata(&self) -> std::collections::BTreeMap<String, String> {
        self.file.metadata().iter().cloned().collect()
    }

    fn __str__(&self) -> String {
        self.file.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<recurrent_layers.PytorchFile of {} tensors>", self.file.tensors().len())
    }
}

fn nonlinearity_of(name: &str) -> Outcome<Activation> {
    match name {
        "tanh" => Ok(Activation::Tanh),
        "relu" => Ok("relu".parse()?),
        _ => refuse(format!("nonlinearity must be \"tanh\" or \"relu\", got {name:?}")),
    }
}

/// Layers one after another, as one layer: `stack([file.lstm("encoder"), file.linear("head")])`.
///
/// Each but the last must return sequences.
#[pyfunction]
pub fn stack(layers: Vec<PyRef<'_, Layer>>) -> Outcome<Layer> {
    let doubles = layers.iter().filter(|layer| matches!(layer.layer, ByType::F64(_))).count();
    if doubles != 0 && doubles != layers.len() {
        return refuse("some of the layers are of float32, others of float64");
    }
    let (mut singles, mut double) = (recurrent::Stacked::builder(), recurrent::Stacked::builder());
    for layer in &layers {
        match &layer.layer {
            ByType::F32(layer) => singles = singles.layer(layer.boxed_clone()),
            ByType::F64(layer) => double = double.layer(layer.boxed_clone()),
        }
    }
    Ok(match doubles {
        0 => ByType::F32(Arc::new(Box::new(singles.build()?) as Box<_>)),
        _ => ByType::F64(Arc::new(Box::new(double.build()?) as Box<_>)),
    }
    .into())
}
