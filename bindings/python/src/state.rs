//! States, by name, and as bytes.

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use recurrent::file;
use recurrent::model::ModelState;
use recurrent::ndarray::Ix2;

use crate::arrays;
use crate::by_type::{ByType, Number, each, map};
use crate::errors::{Outcome, Refusal, refuse};

/// The state of a layer, or those of a model's layers.
#[derive(Debug, Clone, PartialEq)]
pub enum Of<T> {
    Layer(recurrent::State<T>),
    Model(ModelState<T>),
}

/// What a stream remembers, by name: `h` and `c` of an LSTM; parts of a stack, or of a model, have a path, `0/h`.
///
/// It is a value: `to_bytes` and `from_bytes`, `pickle` and `copy` keep every bit.
#[pyclass(module = "recurrent_layers")]
#[derive(Debug, Clone)]
pub struct State {
    pub state: ByType<Of<f32>, Of<f64>>,
}

/// A type of numbers whose states can be told from those of the other.
pub trait InState: Number {
    fn pick(state: &State) -> Option<&Of<Self>>;
    fn wrap(of: Of<Self>) -> State;
}

impl InState for f32 {
    fn pick(state: &State) -> Option<&Of<f32>> {
        match &state.state {
            ByType::F32(of) => Some(of),
            ByType::F64(_) => None,
        }
    }

    fn wrap(of: Of<f32>) -> State {
        State { state: ByType::F32(of) }
    }
}

impl InState for f64 {
    fn pick(state: &State) -> Option<&Of<f64>> {
        match &state.state {
            ByType::F64(of) => Some(of),
            ByType::F32(_) => None,
        }
    }

    fn wrap(of: Of<f64>) -> State {
        State { state: ByType::F64(of) }
    }
}

impl State {
    pub fn of<T: InState>(of: Of<T>) -> Self {
        T::wrap(of)
    }

    /// The state in numbers of `T`.
    pub fn in_type<T: InState>(&self) -> Outcome<&Of<T>> {
        let refused = || format!("the state is of {}, the layer of {}", self.state.dtype(), T::DTYPE);
        T::pick(self).ok_or_else(|| Refusal::Words(refused()))
    }

    /// The state of a layer.
    pub fn of_layer<T: InState>(&self) -> Outcome<&recurrent::State<T>> {
        match self.in_type::<T>()? {
            Of::Layer(state) => Ok(state),
            Of::Model(_) => {
                refuse("the state is that of predict(x, state=..), or of a whole model's stream: not of a layer")
            }
        }
    }

    /// A state, or its bytes.
    pub fn read(any: &Bound<'_, PyAny>) -> Outcome<Self> {
        if let Ok(state) = any.cast::<State>() {
            return Ok(state.try_borrow().map_err(PyErr::from)?.clone());
        }
        match any.cast::<PyBytes>() {
            Ok(bytes) => State::from_bytes(bytes.as_bytes()),
            Err(_) => refuse(format!("a state must be a State or its bytes, got a {}", any.get_type().name()?)),
        }
    }
}

/// The states, with the path that the parts of each have.
fn parts<T: Number>(of: &Of<T>) -> Vec<(String, &recurrent::State<T>)> {
    match of {
        Of::Layer(state) => vec![(String::new(), state)],
        Of::Model(states) => states.states().iter().enumerate().map(|(at, state)| (format!("{at}/"), state)).collect(),
    }
}

fn names<T: Number>(of: &Of<T>) -> Vec<String> {
    let of_one = |(path, state): (String, &recurrent::State<T>)| -> Vec<String> {
        state.names().map(|name| format!("{path}{name}")).collect()
    };
    parts(of).into_iter().flat_map(of_one).collect()
}

/// A part by its whole name: the state that it is in, and its name there.
fn find<T: Number>(of: &Of<T>, name: &str) -> PyResult<(usize, String)> {
    for (at, (path, state)) in parts(of).into_iter().enumerate() {
        let own = name.strip_prefix(&path[..]).filter(|own| state.names().any(|known| known == *own));
        if let Some(own) = own {
            return Ok((at, own.to_string()));
        }
    }
    Err(PyKeyError::new_err(format!("there is no state part {name:?}: {}", names(of).join(", "))))
}

fn get<'py, T: Number>(py: Python<'py>, of: &Of<T>, name: &str) -> Outcome<Bound<'py, PyAny>> {
    let (at, own) = find(of, name)?;
    Ok(arrays::out(py, parts(of)[at].1.get(&own)?.to_owned()))
}

fn set<T: Number>(of: &mut Of<T>, name: &str, values: &Bound<'_, PyAny>) -> Outcome<()> {
    let (at, own) = find(of, name)?;
    let values = arrays::floats::<T, Ix2>(values)?;
    let state = match of {
        Of::Layer(state) => Some(state),
        Of::Model(states) => states.states_mut().get_mut(at),
    };
    if let Some(state) = state {
        state.set(&own, &values.as_array())?;
    }
    Ok(())
}

fn bytes_of<T: Number>(of: &Of<T>) -> Outcome<Vec<u8>> {
    Ok(match of {
        Of::Layer(state) => state.to_bytes(),
        Of::Model(states) => file::to_bytes(states)?,
    })
}

#[pymethods]
impl State {
    /// The parts' names.
    #[getter]
    fn names(&self) -> Vec<String> {
        each!(&self.state, of => names(of))
    }

    /// The number of rows.
    #[getter]
    fn batch(&self) -> usize {
        each!(&self.state, of => match of {
            Of::Layer(state) => state.batch(),
            Of::Model(states) => states.batch(),
        })
    }

    /// "float32" or "float64".
    #[getter]
    fn dtype(&self) -> &'static str {
        self.state.dtype()
    }

    /// A part, (batch, width), as an array of its own.
    fn __getitem__<'py>(&self, py: Python<'py>, name: &str) -> Outcome<Bound<'py, PyAny>> {
        each!(&self.state, of => get(py, of, name))
    }

    fn __setitem__(&mut self, name: &str, values: &Bound<'_, PyAny>) -> Outcome<()> {
        each!(&mut self.state, of => set(of, name, values))
    }

    fn __contains__(&self, name: &str) -> bool {
        self.names().iter().any(|own| own == name)
    }

    fn __len__(&self) -> usize {
        self.names().len()
    }

    /// The state as bytes: the names and widths of its parts, then its numbers, bit for bit.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &each!(&self.state, of => bytes_of(of)?)))
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyBytes>> {
        self.to_bytes(py)
    }

    /// The state of such bytes.
    #[staticmethod]
    pub fn from_bytes(data: &[u8]) -> Outcome<Self> {
        if !data.starts_with(b"rstt") {
            return match file::from_bytes::<ModelState<f32>>(data) {
                Ok(states) => Ok(State::of(Of::Model(states))),
                Err(error) => match file::from_bytes::<ModelState<f64>>(data) {
                    Ok(states) => Ok(State::of(Of::Model(states))),
                    Err(_) => Err(error.into()),
                },
            };
        }
        // The width of a number stands behind the version of the format.
        Ok(match data.get(5) {
            Some(8) => State::of(Of::Layer(recurrent::State::<f64>::from_bytes(data)?)),
            _ => State::of(Of::Layer(recurrent::State::<f32>::from_bytes(data)?)),
        })
    }

    fn __eq__(&self, other: &State) -> bool {
        match (&self.state, &other.state) {
            (ByType::F32(a), ByType::F32(b)) => a == b,
            (ByType::F64(a), ByType::F64(b)) => a == b,
            _ => false,
        }
    }

    fn __copy__(&self) -> Self {
        self.clone()
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Self {
        State { state: map!(&self.state, of => of.clone()) }
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Outcome<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let make = py.import("recurrent_layers._native")?.getattr("_state_from_bytes")?;
        Ok((make, PyTuple::new(py, [self.to_bytes(py)?])?))
    }

    fn __repr__(&self) -> String {
        let (names, batch) = (self.names().join(", "), self.batch());
        format!("<recurrent_layers.State {names}, batch {batch}, {}>", self.dtype())
    }
}

#[pyfunction]
pub fn _state_from_bytes(data: &[u8]) -> Outcome<State> {
    State::from_bytes(data)
}
