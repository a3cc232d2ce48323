//! Whole models.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use recurrent::{Precision, file, keras};

use crate::arrays::{self, View};
use crate::by_type::{ByType, Number, each, map};
use crate::errors::{Outcome, detached, refuse};
use crate::layer::Layer;
use crate::loading;
use crate::pool::StreamPool;
use crate::rows::{Given, list};
use crate::state::{InState, Of, State};
use crate::stream::Stream;
use crate::whole::{Chain, Whole};

/// A model: a graph of layers with any number of inputs and outputs.
///
/// `load` makes one of a file. It never changes; threads share it.
#[pyclass(frozen, module = "recurrent_layers")]
#[derive(Clone)]
pub struct Model {
    pub whole: ByType<Arc<Whole<f32>>, Arc<Whole<f64>>>,
}

impl From<recurrent::Model<f32>> for Model {
    fn from(model: recurrent::Model<f32>) -> Self {
        Model { whole: ByType::F32(Arc::new(Whole::new(model))) }
    }
}

impl From<recurrent::Model<f64>> for Model {
    fn from(model: recurrent::Model<f64>) -> Self {
        Model { whole: ByType::F64(Arc::new(Whole::new(model))) }
    }
}

impl Model {
    fn as_layer(&self) -> Outcome<Layer> {
        Ok(map!(&self.whole, whole => match whole.chain() {
            Chain::Layer(layer) => Arc::clone(layer),
            // The error says why.
            _ => Arc::new(recurrent::Model::clone(&whole.model).into_layer()?),
        })
        .into())
    }
}

#[pymethods]
impl Model {
    /// The model's outputs for `x`: an array for one output, a list of arrays for several, in their order.
    ///
    /// `x` is what Keras's `predict` takes: an array with the batch first, (batch, timesteps, features) or
    /// (batch, timesteps) of ids; a list of arrays, one for each input; a dict of them by the inputs' names. Numbers of
    /// other types become the model's own. `batch_size` and `verbose` are taken as Keras takes them and change no
    /// number.
    ///
    /// Rows of different length are a list of arrays, (timesteps, features) each, or one padded array with `lengths`.
    /// Each row's result is what it has alone, bit for bit. With a list, an output that has steps is a list of arrays,
    /// one for each row; with `lengths` it is one array, with zeros beyond each row's length.
    ///
    /// Stateful layers begin with zeros in each call; or with `state`, made by `initial_state`, which is changed.
    #[pyo3(signature = (x, batch_size=None, verbose=None, steps=None, callbacks=None, *, lengths=None, state=None))]
    #[expect(clippy::too_many_arguments, reason = "Keras's")]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        batch_size: Option<Bound<'py, PyAny>>,
        verbose: Option<Bound<'py, PyAny>>,
        steps: Option<Bound<'py, PyAny>>,
        callbacks: Option<Bound<'py, PyAny>>,
        lengths: Option<&Bound<'py, PyAny>>,
        state: Option<&Bound<'py, State>>,
    ) -> Outcome<Bound<'py, PyAny>> {
        drop((batch_size, verbose));
        if steps.is_some() || callbacks.is_some() {
            return refuse("predict takes arrays, and so neither steps nor callbacks");
        }
        each!(&self.whole, whole => match state {
            None => predict(py, whole, x, lengths),
            Some(_) if lengths.is_some() => refuse("a call goes on from a state or has lengths, not both"),
            Some(state) => predict_stateful(py, &whole.model, x, state),
        })
    }

    /// Zeros for the stateful layers of the model, for so many rows: for `predict(x, state=state)`.
    fn initial_state(&self, batch: usize) -> Outcome<State> {
        Ok(State { state: map!(&self.whole, whole => Of::Model(whole.model.try_initial_state(batch)?)) })
    }

    /// `predict(x, lengths=lengths)`.
    #[pyo3(signature = (x, *, lengths=None))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        lengths: Option<&Bound<'py, PyAny>>,
    ) -> Outcome<Bound<'py, PyAny>> {
        each!(&self.whole, whole => predict(py, whole, x, lengths))
    }

    /// The model run step by step, over `batch` rows, with a state of its own.
    #[pyo3(signature = (batch=1))]
    fn stream(&self, py: Python<'_>, batch: usize) -> Outcome<Stream> {
        let live = detached(py, || Ok(map!(&self.whole, whole => crate::live::Live::of_model(whole, batch)?)))?;
        Ok(Stream::new(live, self.clone().into()))
    }

    /// Many streams that come and go, stepped as one batch; with a capacity, of so many places and no more.
    #[pyo3(signature = (capacity=None))]
    fn pool(&self, capacity: Option<usize>) -> Outcome<StreamPool> {
        Ok(StreamPool::new(map!(&self.whole, whole => crate::live::Pool::of_model(whole, capacity)?)))
    }

    /// The model as one `Layer`, if it is a chain of layers over time that reads (batch, timesteps, features).
    fn to_layer(&self, py: Python<'_>) -> Outcome<Layer> {
        detached(py, || self.as_layer())
    }

    /// A layer over time by its name; one of a model within by its path, `encoder/lstm`.
    fn layer(&self, name: &str) -> Outcome<Layer> {
        Ok(map!(&self.whole, whole => Arc::new(whole.model.layer(name)?.boxed_clone())).into())
    }

    /// The model as a `Layer` with its weights in fewer bits: "int8", "int8_fast" or "bfloat16" ("bf16").
    ///
    /// It must be a chain of layers over time (`to_layer`), of float32.
    fn quantize(&self, py: Python<'_>, precision: &str) -> Outcome<Layer> {
        detached(py, || self.as_layer()?.quantized(precision))
    }

    /// Writes it to a file: `.keras` for Keras, `.safetensors` in a format of our own. The file is written whole or not
    /// at all.
    fn save(&self, py: Python<'_>, path: PathBuf) -> Outcome<()> {
        let format = Format::of(&path)?;
        detached(py, || {
            each!(&self.whole, whole => match format {
                Format::Keras => keras::save(&path, &*whole.model)?,
                Format::Own => file::save(&path, &*whole.model)?,
            });
            Ok(())
        })
    }

    /// The content of the file that `save` writes with the suffix `.safetensors`.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyBytes>> {
        let bytes = detached(py, || Ok(each!(&self.whole, whole => file::to_bytes(&*whole.model)?)))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// The model of such bytes.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> Outcome<Self> {
        detached(py, || match file::from_bytes::<recurrent::Model<f32>>(data) {
            Ok(model) => Ok(model.into()),
            Err(error) => match file::from_bytes::<recurrent::Model<f64>>(data) {
                Ok(model) => Ok(model.into()),
                Err(_) => Err(error.into()),
            },
        })
    }

    /// The table that Keras's `summary()` prints; `print_fn` gets it instead of `print`.
    #[pyo3(signature = (print_fn=None))]
    fn summary(&self, py: Python<'_>, print_fn: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let print = print_fn.map_or_else(|| py.import("builtins")?.getattr("print"), Ok)?;
        print.call1((self.__str__(),)).map(drop)
    }

    #[getter]
    fn name(&self) -> &str {
        each!(&self.whole, whole => whole.model.name())
    }

    /// "float32" or "float64": what it computes in.
    #[getter]
    fn dtype(&self) -> &'static str {
        self.whole.dtype()
    }

    /// The names of the inputs, and their shapes with the batch first; None is any size.
    #[getter]
    fn inputs(&self) -> Vec<(String, Vec<Option<usize>>)> {
        each!(&self.whole, whole => named(whole.model.inputs()))
    }

    /// The names of the outputs, and their shapes.
    #[getter]
    fn outputs(&self) -> Vec<(String, Vec<Option<usize>>)> {
        each!(&self.whole, whole => named(whole.model.outputs()))
    }

    /// The names of the layers, in the file's order.
    #[getter]
    fn layer_names(&self) -> Vec<String> {
        each!(&self.whole, whole => whole.model.layer_names().map(String::from).collect())
    }

    /// The number of all weights.
    fn count_params(&self) -> usize {
        each!(&self.whole, whole => whole.model.count_params())
    }

    /// All weights by their names, as arrays of their own.
    fn weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let weights = PyDict::new(py);
        each!(&self.whole, whole => {
            for (name, array) in whole.model.weights() {
                weights.set_item(name, arrays::out(py, array.to_owned()))?;
            }
        });
        Ok(weights)
    }

    fn __str__(&self) -> String {
        each!(&self.whole, whole => whole.model.to_string())
    }

    fn __repr__(&self) -> String {
        format!("<recurrent_layers.Model {:?}, {}>", self.name(), self.dtype())
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

type Shapes = Vec<(String, Vec<Option<usize>>)>;

fn named<'m>(each: impl Iterator<Item = (&'m str, &'m [Option<usize>])>) -> Shapes {
    each.map(|(name, shape)| (name.to_string(), shape.to_vec())).collect()
}

/// What to write.
pub enum Format {
    Keras,
    Own,
}

impl Format {
    /// By the suffix.
    pub fn of(path: &std::path::Path) -> Outcome<Self> {
        match path.extension().and_then(|suffix| suffix.to_str()) {
            Some("keras") => Ok(Format::Keras),
            Some("safetensors") => Ok(Format::Own),
            _ => refuse("the file's name must end in .keras or .safetensors: that says what is written"),
        }
    }
}

pub fn precision(name: &str) -> Outcome<Precision> {
    Ok(if name == "bf16" { Precision::Bf16 } else { name.parse::<Precision>()? })
}

fn predict<'py, T: Number>(
    py: Python<'py>,
    whole: &Whole<T>,
    x: &Bound<'py, PyAny>,
    lengths: Option<&Bound<'py, PyAny>>,
) -> Outcome<Bound<'py, PyAny>> {
    let given = inputs(&whole.model, x)?;
    let lengths = lengths.map(arrays::lengths).transpose()?;
    let views: Vec<View<'_, T>> = given.iter().map(Given::view).collect();
    let has_rows = given.iter().any(|input| input.lengths().is_some());
    if has_rows && lengths.is_some() {
        return refuse("a list of rows has its lengths: give lengths with a padded array only");
    }
    let outputs: Vec<Bound<'py, PyAny>> = if has_rows || lengths.is_some() {
        let open = whole.model.inputs().map(|(_, shape)| shape.len() > 1 && (shape[1].is_none() || shape.len() > 2));
        let of_all = open.map(|open| lengths.as_deref().filter(|_| open));
        let each: Vec<_> = given.iter().zip(of_all).map(|(input, of_all)| input.lengths().or(of_all)).collect();
        let outputs = detached(py, || whole.predict_rows(&views, &each))?;
        outputs.into_iter().map(|output| output.out(py, has_rows)).collect::<PyResult<_>>()?
    } else {
        let outputs = detached(py, || {
            let inputs: Vec<_> = views.iter().map(View::input).collect();
            Ok(whole.model.predict(&inputs)?)
        })?;
        outputs.into_iter().map(|output| arrays::out(py, output)).collect()
    };
    one_or_list(py, outputs)
}

/// A call that goes on from a state, which is as before if the call is refused.
fn predict_stateful<'py, T: InState>(
    py: Python<'py>,
    model: &recurrent::Model<T>,
    x: &Bound<'py, PyAny>,
    state: &Bound<'py, State>,
) -> Outcome<Bound<'py, PyAny>> {
    let given = inputs(model, x)?;
    let before = state.try_borrow().map_err(PyErr::from)?.in_type::<T>()?.clone();
    let Of::Model(mut states) = before else { return refuse("the state is that of a layer, not of a whole model") };
    if given.iter().any(|input| input.lengths().is_some()) {
        return refuse("a call goes on from a state or has rows of different length, not both");
    }
    let views: Vec<View<'_, T>> = given.iter().map(Given::view).collect();
    let outputs = detached(py, || {
        let inputs: Vec<_> = views.iter().map(View::input).collect();
        Ok(model.predict_stateful(&mut states, &inputs)?)
    })?;
    *state.try_borrow_mut().map_err(PyErr::from)? = State::of(Of::Model(states));
    one_or_list(py, outputs.into_iter().map(|output| arrays::out(py, output)).collect())
}

/// One output as it is, several as a list.
pub fn one_or_list<'py>(py: Python<'py>, mut outputs: Vec<Bound<'py, PyAny>>) -> Outcome<Bound<'py, PyAny>> {
    match (outputs.len(), outputs.pop()) {
        (1, Some(output)) => Ok(output),
        (_, last) => {
            outputs.extend(last);
            Ok(PyList::new(py, outputs)?.into_any())
        }
    }
}

/// The inputs of a model: an array, a list or a dict of arrays, or rows of different length in the place of an array.
fn inputs<'py, T: Number>(model: &recurrent::Model<T>, x: &Bound<'py, PyAny>) -> Outcome<Vec<Given<'py, T>>> {
    let declared: Vec<(&str, usize)> = model.inputs().map(|(name, shape)| (name, shape.len())).collect();
    if let Ok(named) = x.cast::<PyDict>() {
        return by_name(&declared, named, Given::of);
    }
    match (&declared[..], list(x)) {
        // Keras takes a list of one array, too.
        ([(_, axes)], Some(items)) => match &items[..] {
            [only] if is_whole(only, *axes) => Ok(vec![Given::of(only, *axes)?]),
            _ => Ok(vec![Given::of(x, *axes)?]),
        },
        (_, Some(items)) if items.len() == declared.len() => {
            items.iter().zip(&declared).map(|(item, (_, axes))| Given::of(item, *axes)).collect()
        }
        ([(_, axes)], None) => Ok(vec![Given::of(x, *axes)?]),
        (_, items) => refuse(format!(
            "the model has the inputs {}: give a list of as many arrays, or a dict; got {}",
            names(&declared),
            items.map_or("one array".into(), |items| format!("a list of {}", items.len()))
        )),
    }
}

/// Whether it is an array with the batch.
fn is_whole(item: &Bound<'_, PyAny>, axes: usize) -> bool {
    use numpy::PyUntypedArrayMethods;
    item.cast::<numpy::PyUntypedArray>().is_ok_and(|array| array.ndim() == axes)
}

/// A dict's values in the order of the names.
pub fn by_name<'py, G>(
    declared: &[(&str, usize)],
    named: &Bound<'py, PyDict>,
    of: impl Fn(&Bound<'py, PyAny>, usize) -> Outcome<G>,
) -> Outcome<Vec<G>> {
    for key in named.keys() {
        let text = key.cast::<PyString>().map_err(PyErr::from)?.to_string();
        if !declared.iter().any(|(name, _)| *name == text) {
            return refuse(format!("there is no input {text:?}: {}", names(declared)));
        }
    }
    let each = declared.iter().map(|&(name, axes)| match named.get_item(name)? {
        Some(item) => of(&item, axes),
        None => refuse(format!("input {name:?} is missing: {}", names(declared))),
    });
    each.collect()
}

pub fn names(declared: &[(&str, usize)]) -> String {
    declared.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}
