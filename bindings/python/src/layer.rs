//! Layers over time.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use recurrent::ndarray::Ix3;
use recurrent::{Layer as _, Run, file, keras};

use crate::arrays::{self, View};
use crate::by_type::{ByType, Number, each, map};
use crate::errors::{Outcome, Refusal, detached, refuse};
use crate::loading;
use crate::model::{Format, precision};
use crate::pool::StreamPool;
use crate::rows::{Given, Ragged};
use crate::state::{InState, Of, State};
use crate::stream::Stream;
use crate::whole::{Boxed, makes_a_mask};

const OWN_MASK: &str = "a layer with a Masking makes its own mask, and takes no lengths: the model's predict does";

/// A layer over time: (batch, timesteps, features) in, its output and state out.
///
/// `pytorch_file` and files of our own give layers, `Model.layer` those of a model. It never changes; threads share it.
#[pyclass(frozen, module = "recurrent_layers")]
#[derive(Clone)]
pub struct Layer {
    pub layer: ByType<Boxed<f32>, Boxed<f64>>,
}

impl From<ByType<Boxed<f32>, Boxed<f64>>> for Layer {
    fn from(layer: ByType<Boxed<f32>, Boxed<f64>>) -> Self {
        Layer { layer }
    }
}

/// What `Layer.run` returns.
#[pyclass(frozen, module = "recurrent_layers")]
pub struct Output {
    last: Py<PyAny>,
    sequence: Result<Py<PyAny>, String>,
    state: Result<Py<State>, String>,
}

#[pymethods]
impl Output {
    /// The output of the last step, (batch, units).
    #[getter]
    fn last(&self, py: Python<'_>) -> Py<PyAny> {
        self.last.clone_ref(py)
    }

    /// The outputs of all steps, (batch, timesteps, units), of a layer that returns sequences.
    #[getter]
    fn sequence(&self, py: Python<'_>) -> Outcome<Py<PyAny>> {
        self.sequence.as_ref().map(|array| array.clone_ref(py)).map_err(|words| Refusal::Words(words.clone()))
    }

    /// The state after the last step, of a layer that returns it.
    #[getter]
    fn state(&self, py: Python<'_>) -> Outcome<Py<State>> {
        self.state.as_ref().map(|state| state.clone_ref(py)).map_err(|words| Refusal::Words(words.clone()))
    }
}

#[pymethods]
impl Layer {
    /// What the layer gives for `x`, (batch, timesteps, features): all steps' outputs (batch, timesteps, units) if it
    /// returns sequences, else the last one's (batch, units).
    ///
    /// Rows of different length are a list of arrays, (timesteps, features) each, or one padded array with `lengths`:
    /// see `Model.predict`.
    #[pyo3(signature = (x, batch_size=None, verbose=None, *, lengths=None))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        batch_size: Option<Bound<'py, PyAny>>,
        verbose: Option<Bound<'py, PyAny>>,
        lengths: Option<&Bound<'py, PyAny>>,
    ) -> Outcome<Bound<'py, PyAny>> {
        drop((batch_size, verbose));
        each!(&self.layer, layer => predict(py, layer, x, lengths))
    }

    /// Runs the layer with all that one call can say: `lengths` of the rows, or a `mask` (batch, timesteps) that is true
    /// for live steps; `resets` (batch, timesteps), true where a new sequence begins; the state to begin with.
    #[pyo3(signature = (x, *, lengths=None, mask=None, resets=None, initial_state=None))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        lengths: Option<&Bound<'py, PyAny>>,
        mask: Option<&Bound<'py, PyAny>>,
        resets: Option<&Bound<'py, PyAny>>,
        initial_state: Option<&State>,
    ) -> Outcome<Output> {
        let said = Said { lengths, mask, resets, initial_state };
        each!(&self.layer, layer => run(py, layer, x, &said))
    }

    /// The layer run step by step, over `batch` rows, with a state of its own.
    #[pyo3(signature = (batch=1))]
    fn stream(&self, py: Python<'_>, batch: usize) -> Outcome<Stream> {
        let live = detached(py, || Ok(map!(&self.layer, layer => crate::live::Live::of_layer(layer, "x", batch)?)))?;
        Ok(Stream::new(live, self.clone().into()))
    }

    /// Many streams that come and go, stepped as one batch; with a capacity, of so many places and no more.
    #[pyo3(signature = (capacity=None))]
    fn pool(&self, capacity: Option<usize>) -> Outcome<StreamPool> {
        Ok(StreamPool::new(map!(&self.layer, layer => crate::live::Pool::of_layer(layer, capacity)?)))
    }

    /// The state that a call without one begins with, of so many rows.
    #[pyo3(signature = (batch=1))]
    fn initial_state(&self, batch: usize) -> Outcome<State> {
        Ok(State { state: map!(&self.layer, layer => Of::Layer(layer.try_initial_state(batch)?)) })
    }

    /// The layer with its weights in fewer bits: "int8", "int8_fast" or "bfloat16" ("bf16").
    fn quantize(&self, py: Python<'_>, precision: &str) -> Outcome<Self> {
        detached(py, || self.quantized(precision))
    }

    /// Writes it to a file: `.keras` for Keras, `.safetensors` in a format of our own.
    fn save(&self, py: Python<'_>, path: PathBuf) -> Outcome<()> {
        let format = Format::of(&path)?;
        detached(py, || {
            each!(&self.layer, layer => match format {
                Format::Keras => keras::save(&path, &**layer)?,
                Format::Own => file::save(&path, &**layer)?,
            });
            Ok(())
        })
    }

    /// The content of the file that `save` writes with the suffix `.safetensors`.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyBytes>> {
        let bytes = detached(py, || Ok(each!(&self.layer, layer => file::to_bytes(&**layer)?)))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// The layer of such bytes.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> Outcome<Self> {
        detached(py, || match file::from_bytes::<Box<dyn recurrent::Layer<f32>>>(data) {
            Ok(layer) => Ok(ByType::F32(Arc::new(layer)).into()),
            Err(error) => match file::from_bytes::<Box<dyn recurrent::Layer<f64>>>(data) {
                Ok(layer) => Ok(ByType::F64(Arc::new(layer)).into()),
                Err(_) => Err(error.into()),
            },
        })
    }

    /// Prints the layer as a table.
    #[pyo3(signature = (print_fn=None))]
    fn summary(&self, py: Python<'_>, print_fn: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let print = print_fn.map_or_else(|| py.import("builtins")?.getattr("print"), Ok)?;
        print.call1((self.__str__(),)).map(drop)
    }

    /// The layer's kind in Keras's words: "LSTM", "Bidirectional", ..
    #[getter]
    fn class_name(&self) -> &'static str {
        each!(&self.layer, layer => layer.class_name())
    }

    /// "float32" or "float64": what it computes in.
    #[getter]
    fn dtype(&self) -> &'static str {
        self.layer.dtype()
    }

    /// The number of features of the input.
    #[getter]
    fn input_size(&self) -> usize {
        each!(&self.layer, layer => layer.input_size())
    }

    /// The number of features of the output.
    #[getter]
    fn output_size(&self) -> usize {
        each!(&self.layer, layer => layer.output_size())
    }

    /// Whether `predict` gives the outputs of all steps.
    #[getter]
    fn returns_sequences(&self) -> bool {
        each!(&self.layer, layer => layer.returns_sequences())
    }

    /// Whether `run(..).state` is there.
    #[getter]
    fn returns_state(&self) -> bool {
        each!(&self.layer, layer => layer.returns_state())
    }

    /// The number of all weights.
    fn count_params(&self) -> usize {
        each!(&self.layer, layer => layer.count_params())
    }

    /// All weights by their names, as arrays of their own.
    fn weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let weights = PyDict::new(py);
        each!(&self.layer, layer => {
            for (name, array) in layer.weights() {
                weights.set_item(name, arrays::out(py, array.to_owned()))?;
            }
        });
        Ok(weights)
    }

    fn __str__(&self) -> String {
        each!(&self.layer, layer => layer.to_string())
    }

    fn __repr__(&self) -> String {
        let (read, given) = (self.input_size(), self.output_size());
        format!("<recurrent_layers.Layer {}, {read} to {given}, {}>", self.class_name(), self.dtype())
    }

    fn __copy__(&self) -> Self {
        self.clone()
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Self {
        self.clone()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Outcome<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        Ok((loading::maker(py)?, PyTuple::new(py, [self.to_bytes(py)?])?))
    }
}

impl Layer {
    pub fn quantized(&self, name: &str) -> Outcome<Self> {
        let precision = precision(name)?;
        Ok(map!(&self.layer, layer => Arc::new(layer.quantize(precision)?)).into())
    }
}

/// What a call says, as Python said it.
struct Said<'a, 'py> {
    lengths: Option<&'a Bound<'py, PyAny>>,
    mask: Option<&'a Bound<'py, PyAny>>,
    resets: Option<&'a Bound<'py, PyAny>>,
    initial_state: Option<&'a State>,
}

fn predict<'py, T: Number>(
    py: Python<'py>,
    layer: &Boxed<T>,
    x: &Bound<'py, PyAny>,
    lengths: Option<&Bound<'py, PyAny>>,
) -> Outcome<Bound<'py, PyAny>> {
    let given: Given<'py, T> = Given::of_floats(x, 3)?;
    let (rows, said) = (given.lengths(), lengths.map(arrays::lengths).transpose()?);
    if rows.is_some() && said.is_some() {
        return refuse("a list of rows has its lengths: give lengths with a padded array only");
    }
    let View::Float(view) = given.view() else { return refuse("a layer reads floats") };
    let shape = view.shape().to_vec();
    let Ok(view) = view.into_dimensionality::<Ix3>() else {
        return refuse(format!("x must be of the shape (batch, timesteps, features), got {shape:?}"));
    };
    let lengths = rows.or(said.as_deref());
    if lengths.is_some() && makes_a_mask(&***layer) {
        return refuse(OWN_MASK);
    }
    let output = detached(py, || {
        let run = lengths.map_or(Run::new(), |lengths| Run::new().lengths(lengths));
        let output = layer.run(&view, run)?;
        Ok(match (output.sequence().is_ok(), lengths) {
            (true, Some(lengths)) => Ragged::sequence(output.into_sequence()?.into_dyn(), lengths),
            (true, None) => Ragged { array: output.into_sequence()?.into_dyn(), steps: None },
            _ => Ragged { array: output.into_last().into_dyn(), steps: None },
        })
    })?;
    Ok(output.out(py, rows.is_some())?)
}

fn run<'py, T: InState>(
    py: Python<'py>,
    layer: &Boxed<T>,
    x: &Bound<'py, PyAny>,
    said: &Said<'_, 'py>,
) -> Outcome<Output> {
    let x = arrays::floats::<T, Ix3>(x)?;
    let lengths = said.lengths.map(arrays::lengths).transpose()?;
    let (mask, resets) = (said.mask.map(arrays::flags).transpose()?, said.resets.map(arrays::flags).transpose()?);
    let initial = said.initial_state.map(|state| state.of_layer::<T>()).transpose()?;
    if (lengths.is_some() || mask.is_some()) && makes_a_mask(&***layer) {
        return refuse(OWN_MASK);
    }
    let (x, mask, resets) = (x.as_array(), mask.as_ref().map(|m| m.as_array()), resets.as_ref().map(|r| r.as_array()));
    let output = detached(py, || {
        let mut run = Run::new();
        if let Some(lengths) = &lengths {
            run = run.lengths(lengths);
        }
        if let Some(mask) = &mask {
            run = run.mask(mask);
        }
        if let Some(resets) = &resets {
            run = run.resets(resets);
        }
        if let Some(state) = initial {
            run = run.initial_state(state);
        }
        Ok(layer.run(&x, run)?)
    })?;
    let words = |error: recurrent::Error| error.to_string();
    let state = match output.state() {
        Ok(state) => Ok(Py::new(py, State::of(Of::Layer(state.clone())))?),
        Err(error) => Err(words(error)),
    };
    let sequence = output.sequence().map(|array| arrays::out(py, array.clone()).unbind()).map_err(words);
    Ok(Output { last: arrays::out(py, output.into_last()).unbind(), sequence, state })
}
