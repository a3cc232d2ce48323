//! A model or layer that is run step by step.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use recurrent::ndarray::{ArrayD, Axis};

use crate::arrays::{self, Held, View};
use crate::by_type::{ByType, Number, each, map};
use crate::errors::{Outcome, detached, refuse};
use crate::layer::Layer;
use crate::live::Live;
use crate::model::{Model, by_name, names, one_or_list};
use crate::rows::list;
use crate::state::{InState, State};

/// A model or a layer run step by step: it goes on from what it has seen. The steps give what the whole sequence
/// gives, bit for bit.
#[pyclass(frozen, module = "recurrent_layers")]
pub struct Stream {
    /// Threads that share a stream take turns. Nothing of Python's is touched behind the lock.
    live: ByType<Mutex<Live<f32>>, Mutex<Live<f64>>>,
    source: Source,
}

/// What it is a stream of.
#[derive(Clone)]
pub enum Source {
    Model(Model),
    Layer(Layer),
}

impl From<Model> for Source {
    fn from(model: Model) -> Self {
        Source::Model(model)
    }
}

impl From<Layer> for Source {
    fn from(layer: Layer) -> Self {
        Source::Layer(layer)
    }
}

/// Whatever a thread that failed has left is sound: a step is made whole or not at all.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[pymethods]
impl Stream {
    /// One step: (batch, features), or (batch,) ids; of several inputs a list or a dict. A stream of one row also takes
    /// it without the batch, and then returns it so. Returns the output, or a list of several.
    fn step<'py>(&self, py: Python<'py>, x: &Bound<'py, PyAny>) -> Outcome<Bound<'py, PyAny>> {
        each!(&self.live, live => call(py, live, x, Steps::One))
    }

    /// A block of any number of steps: (batch, timesteps, features), or (batch, timesteps) of ids. Returns the outputs
    /// of all steps, (batch, timesteps, units).
    fn process<'py>(&self, py: Python<'py>, x: &Bound<'py, PyAny>) -> Outcome<Bound<'py, PyAny>> {
        each!(&self.live, live => call(py, live, x, Steps::Block))
    }

    /// Gives a decoder what it needs before its first step: the inputs named by `start_inputs`, whole.
    fn start(&self, py: Python<'_>, x: &Bound<'_, PyAny>) -> Outcome<()> {
        each!(&self.live, live => start(py, live, x))
    }

    /// Starts over.
    fn reset(&self, py: Python<'_>) -> Outcome<()> {
        detached(py, || {
            each!(&self.live, live => lock(live).reset());
            Ok(())
        })
    }

    /// The state now, a value of its own.
    fn state(&self, py: Python<'_>) -> Outcome<State> {
        detached(py, || Ok(State { state: map!(&self.live, live => lock(live).state()) }))
    }

    /// Goes on from a state that was saved: a `State`, or its bytes.
    fn set_state(&self, py: Python<'_>, state: &Bound<'_, PyAny>) -> Outcome<()> {
        let state = State::read(state)?;
        detached(py, || each!(&self.live, live => set_state(live, &state)))
    }

    /// The number of rows.
    #[getter]
    fn batch(&self, py: Python<'_>) -> Outcome<usize> {
        detached(py, || Ok(each!(&self.live, live => lock(live).batch())))
    }

    /// "float32" or "float64".
    #[getter]
    fn dtype(&self) -> &'static str {
        self.live.dtype()
    }

    /// The names of the inputs that a step takes.
    #[getter]
    fn inputs(&self, py: Python<'_>) -> Outcome<Vec<String>> {
        detached(py, || Ok(each!(&self.live, live => owned(lock(live).inputs()))))
            .map(|inputs| inputs.into_iter().map(|(name, _)| name).collect())
    }

    /// The names of the inputs that `start` takes; none for most models.
    #[getter]
    fn start_inputs(&self, py: Python<'_>) -> Outcome<Vec<String>> {
        detached(py, || Ok(each!(&self.live, live => owned(lock(live).start_inputs()))))
            .map(|inputs| inputs.into_iter().map(|(name, _)| name).collect())
    }

    fn __copy__<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        let (make, arguments) = self.__reduce__(py)?;
        Ok(make.call1(arguments)?)
    }

    fn __deepcopy__<'py>(&self, py: Python<'py>, _memo: &Bound<'py, PyAny>) -> Outcome<Bound<'py, PyAny>> {
        self.__copy__(py)
    }

    /// What it is a stream of, and the state.
    fn __reduce__<'py>(&self, py: Python<'py>) -> Outcome<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        if !self.start_inputs(py)?.is_empty() {
            return refuse("a stream that begins with inputs of its own can't be copied: copy its state");
        }
        let source = match self.source.clone() {
            Source::Model(model) => Bound::new(py, model)?.into_any(),
            Source::Layer(layer) => Bound::new(py, layer)?.into_any(),
        };
        let state = Bound::new(py, self.state(py)?)?;
        let arguments = (source, self.batch(py)?, state).into_pyobject(py)?;
        Ok((py.import("recurrent_layers._native")?.getattr("_restore_stream")?, arguments))
    }

    fn __repr__(&self, py: Python<'_>) -> Outcome<String> {
        Ok(format!("<recurrent_layers.Stream of batch {}, {}>", self.batch(py)?, self.dtype()))
    }
}

impl Stream {
    pub fn new(live: ByType<Live<f32>, Live<f64>>, source: Source) -> Self {
        Stream { live: map!(live, live => Mutex::new(live)), source }
    }
}

/// A stream of a model or layer that goes on from a state.
#[pyfunction]
pub fn _restore_stream<'py>(
    source: &Bound<'py, PyAny>,
    batch: usize,
    state: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let stream = source.call_method1("stream", (batch,))?;
    stream.call_method1("set_state", (state,))?;
    Ok(stream)
}

#[derive(Clone, Copy, PartialEq)]
enum Steps {
    One,
    Block,
}

fn owned(names: Vec<(&str, usize)>) -> Vec<(String, usize)> {
    names.into_iter().map(|(name, axes)| (name.to_string(), axes)).collect()
}

/// The inputs, as a list, a dict, or the one that there is.
fn held<'py, T: Number>(
    x: &Bound<'py, PyAny>,
    declared: &[(&str, usize)],
    of: impl Fn(&Bound<'py, PyAny>) -> Outcome<Held<'py, T>>,
) -> Outcome<Vec<Held<'py, T>>> {
    if let Ok(named) = x.cast::<PyDict>() {
        return by_name(declared, named, |item, _| of(item));
    }
    match (declared.len(), list(x)) {
        (1, _) => Ok(vec![of(x)?]),
        (count, Some(items)) if items.len() == count => items.iter().map(of).collect(),
        _ => refuse(format!("give a list of as many arrays as there are inputs, or a dict: {}", names(declared))),
    }
}

fn call<'py, T: Number>(
    py: Python<'py>,
    live: &Mutex<Live<T>>,
    x: &Bound<'py, PyAny>,
    steps: Steps,
) -> Outcome<Bound<'py, PyAny>> {
    let (declared, is_layer, batch) = detached(py, || {
        let live = lock(live);
        Ok((owned(live.inputs()), live.is_layer(), live.batch()))
    })?;
    let declared: Vec<(&str, usize)> = declared.iter().map(|(name, axes)| (name.as_str(), *axes)).collect();
    let held = held(x, &declared, |item| match is_layer {
        true => Ok(Held::Float(arrays::typed(arrays::as_array(item)?)?)),
        false => Held::of(item),
    })?;
    let mut views: Vec<View<'_, T>> = held.iter().map(Held::view).collect();
    let axes = declared.first().map_or(0, |(_, axes)| axes + usize::from(steps == Steps::Block));
    let without_batch = batch == 1 && views.len() == 1 && views[0].shape().len() + 1 == axes;
    if without_batch {
        views = views.into_iter().map(View::with_a_batch).collect();
    }
    let outputs = detached(py, || match steps {
        Steps::One => lock(live).step(&views),
        Steps::Block => lock(live).process(&views).map(Some),
    })?;
    let Some(outputs) = outputs else { return Ok(py.None().into_bound(py)) };
    let row = |output: ArrayD<T>| match without_batch && output.shape().first() == Some(&1) {
        true => output.index_axis_move(Axis(0), 0),
        false => output,
    };
    one_or_list(py, outputs.into_iter().map(|output| arrays::out(py, row(output))).collect())
}

fn start<T: Number>(py: Python<'_>, live: &Mutex<Live<T>>, x: &Bound<'_, PyAny>) -> Outcome<()> {
    let declared = detached(py, || Ok(owned(lock(live).start_inputs())))?;
    if declared.is_empty() {
        return refuse("it begins without inputs of its own");
    }
    let declared: Vec<(&str, usize)> = declared.iter().map(|(name, axes)| (name.as_str(), *axes)).collect();
    let held = held(x, &declared, Held::of)?;
    let views: Vec<View<'_, T>> = held.iter().map(Held::view).collect();
    detached(py, || lock(live).start(&views))
}

fn set_state<T: InState>(live: &Mutex<Live<T>>, state: &State) -> Outcome<()> {
    lock(live).set_state(state.in_type()?)
}
