//! Files in, whatever their format; and what was saved as bytes.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::prelude::*;
use recurrent::file::{self, LoadError, Problem, Saved};
use recurrent::{keras, onnx};

use crate::by_type::{ByType, Number, is_double};
use crate::errors::{Outcome, Refusal, check_readable, detached, refuse};
use crate::layer::Layer;
use crate::model::Model;

/// What a file holds.
#[derive(IntoPyObject)]
pub enum Loaded {
    Model(Model),
    Layer(Layer),
}

/// Loads a model: of Keras (`.keras`, `.h5`), of ONNX, or a file of our own, which may hold a layer.
///
/// The file's first bytes say what it is, unless `format` does: "keras", "onnx" or "recurrent". `dtype` is what the
/// model computes in, "float32" or "float64"; without it that is float32, or what a file of our own says, which has no
/// other type. A model of Keras that was made in float64 asks for `dtype="float64"`.
/// `half_as_float32` lets models of Keras in half precision be read. `external_data` lets a model of ONNX have its weights
/// in other files of its folder. A `state_dict` of PyTorch's is opened by
/// `pytorch_file`.
#[pyfunction]
#[pyo3(signature = (path, format=None, dtype=None, *, half_as_float32=false, external_data=false))]
pub fn load(
    py: Python<'_>,
    path: PathBuf,
    format: Option<&str>,
    dtype: Option<&str>,
    half_as_float32: bool,
    external_data: bool,
) -> Outcome<Loaded> {
    let double = is_double(dtype)?;
    check_readable(&path)?;
    let format = match format {
        Some("keras") => Format::Keras,
        Some("onnx") => Format::Onnx,
        Some("recurrent" | "safetensors") => Format::Own,
        Some(other) => return refuse(format!("format must be \"keras\", \"onnx\" or \"recurrent\", got {other:?}")),
        None => Format::of(&path)?,
    };
    detached(py, || match (format, double) {
        (Format::Own, _) => Reader { double, read: By::Path(&path) }.whatever_it_is(),
        (Format::Tensors, _) => tensors(&path, double, half_as_float32),
        (Format::Keras, Some(true)) => Ok(Loaded::Model(of_keras::<f64>(&path, half_as_float32)?.into())),
        (Format::Keras, _) => Ok(Loaded::Model(of_keras::<f32>(&path, half_as_float32)?.into())),
        (Format::Onnx, Some(true)) => Ok(Loaded::Model(of_onnx::<f64>(&path, external_data)?.into())),
        (Format::Onnx, _) => Ok(Loaded::Model(of_onnx::<f32>(&path, external_data)?.into())),
    })
}

/// The `Model` or `Layer` whose `to_bytes` gave these.
#[pyfunction]
pub fn from_bytes(py: Python<'_>, data: &[u8]) -> Outcome<Loaded> {
    detached(py, || Reader { double: None, read: By::Bytes(data) }.whatever_it_is())
}

/// Python's `from_bytes`, by which pickles are made again.
pub fn maker(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("recurrent_layers._native")?.getattr("from_bytes")
}

enum Format {
    Keras,
    Onnx,
    Own,
    /// Of our own, or of Keras's with examples.
    Tensors,
}

impl Format {
    /// By the first bytes: a zip container, HDF5, the length and the brace of a safetensors file, or else protobuf.
    fn of(path: &Path) -> Outcome<Self> {
        let mut first = Vec::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(9).read_to_end(&mut first));
        if let Err(error) = read {
            return Err(Refusal::File(format!("{}: can't be read: {error}", path.display())));
        }
        Ok(match &first[..] {
            [b'P', b'K', 3, 4, ..] | [0x89, b'H', b'D', b'F', ..] => Format::Keras,
            [_, _, _, _, _, _, 0, 0, b'{'] => Format::Tensors,
            _ => match path.extension().and_then(|suffix| suffix.to_str()) {
                Some("keras" | "h5" | "hdf5") => Format::Keras,
                Some("safetensors") => Format::Tensors,
                _ => Format::Onnx,
            },
        })
    }
}

fn of_keras<T: Number>(path: &Path, half: bool) -> Result<recurrent::Model<T>, LoadError> {
    keras::load_with(path, &keras::Options::new().half_as_f32(half))
}

fn of_onnx<T: Number>(path: &Path, external_data: bool) -> Result<recurrent::Model<T>, LoadError> {
    let mut file = onnx::File::open(path)?;
    if external_data {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        file = file.with_external_data(folder.unwrap_or(Path::new(".")))?;
    }
    file.model()
}

/// A safetensors file: one of our own, or a model of Keras's that was written with examples.
fn tensors(path: &Path, double: Option<bool>, half: bool) -> Outcome<Loaded> {
    match file::load::<recurrent::Model<f32>>(path) {
        Err(error) if matches!(error.problem(), Problem::Format { .. }) => {
            let model = match double {
                Some(true) => of_keras::<f64>(path, half).map(Model::from),
                _ => of_keras::<f32>(path, half).map(Model::from),
            };
            match model {
                Err(error) if matches!(error.problem(), Problem::Format { .. }) => refuse(format!(
                    "{}: it holds tensors, but no model: pytorch_file opens those of a PyTorch state_dict",
                    path.display()
                )),
                other => Ok(Loaded::Model(other?)),
            }
        }
        Ok(model) if double != Some(true) => Ok(Loaded::Model(model.into())),
        _ => Reader { double, read: By::Path(path) }.whatever_it_is(),
    }
}

enum By<'a> {
    Path(&'a Path),
    Bytes(&'a [u8]),
}

/// Reads a file of our own as one thing after the other, until it is what is there: the container is read, and a file of
/// something else is refused before its tensors are.
struct Reader<'a> {
    double: Option<bool>,
    read: By<'a>,
}

impl Reader<'_> {
    fn read<S: Saved>(&self) -> Result<S, LoadError> {
        match self.read {
            By::Path(path) => file::load(path),
            By::Bytes(bytes) => file::from_bytes(bytes),
        }
    }

    fn whatever_it_is(&self) -> Outcome<Loaded> {
        if self.double != Some(true) {
            match self.in_f32()? {
                Either::Loaded(loaded) => return Ok(loaded),
                Either::Other(error) if self.double == Some(false) => return Err(error.into()),
                Either::Other(_) => {}
            }
        }
        match self.in_f64()? {
            Either::Loaded(loaded) => Ok(loaded),
            Either::Other(error) => Err(error.into()),
        }
    }

    fn in_f32(&self) -> Outcome<Either> {
        let model = |model: recurrent::Model<f32>| Loaded::Model(model.into());
        let layer = |layer| Loaded::Layer(ByType::F32(Arc::new(layer)).into());
        self.model_or_layer::<f32>(model, layer)
    }

    fn in_f64(&self) -> Outcome<Either> {
        let model = |model: recurrent::Model<f64>| Loaded::Model(model.into());
        let layer = |layer| Loaded::Layer(ByType::F64(Arc::new(layer)).into());
        self.model_or_layer::<f64>(model, layer)
    }

    fn model_or_layer<T: Number>(
        &self,
        model: impl FnOnce(recurrent::Model<T>) -> Loaded,
        layer: impl FnOnce(Box<dyn recurrent::Layer<T>>) -> Loaded,
    ) -> Outcome<Either>
    where
        recurrent::Model<T>: Saved,
        Box<dyn recurrent::Layer<T>>: Saved,
    {
        match self.read::<recurrent::Model<T>>() {
            Ok(found) => return Ok(Either::Loaded(model(found))),
            Err(error) if !is_other(&error) => return Err(error.into()),
            Err(_) => {}
        }
        match self.read::<Box<dyn recurrent::Layer<T>>>() {
            Ok(found) => Ok(Either::Loaded(layer(found))),
            Err(error) if is_other(&error) => Ok(Either::Other(error)),
            Err(error) => Err(error.into()),
        }
    }
}

enum Either {
    Loaded(Loaded),
    /// It holds something else.
    Other(LoadError),
}

fn is_other(error: &LoadError) -> bool {
    matches!(error.problem(), Problem::Kind { .. })
}

/// What the examples of a file have shown. It prints as "matches PyTorch 2.15.0 to 2.4e-7 on 4 examples".
#[pyclass(frozen, module = "recurrent_layers")]
pub struct Verification {
    found: file::Verification,
}

#[pymethods]
impl Verification {
    /// Who computed the examples.
    #[getter]
    fn by(&self) -> &str {
        self.found.by()
    }

    /// The number of examples.
    #[getter]
    fn examples(&self) -> usize {
        self.found.examples()
    }

    /// The largest difference, relative to the largest number of its output, or absolute if that is below one.
    #[getter]
    fn error(&self) -> f64 {
        self.found.error()
    }

    /// What the file holds beside, in words: no example is of it.
    #[getter]
    fn unchecked(&self) -> Vec<String> {
        self.found.unchecked().to_vec()
    }

    fn __str__(&self) -> String {
        self.found.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<recurrent_layers.Verification {:?}>", self.found.to_string())
    }
}

/// Checks that what a file holds gives here what the examples in it say; an error names the first layer that differs.
#[pyfunction]
pub fn verify(py: Python<'_>, path: PathBuf) -> Outcome<Verification> {
    check_readable(&path)?;
    detached(py, || Ok(Verification { found: file::verify(&path)? }))
}
