//! Many streams that come and go.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use recurrent::ndarray::{Array1, Array2, Ix1, Ix2};

use crate::arrays;
use crate::by_type::{ByType, Number, each, map};
use crate::errors::{Outcome, detached, refuse};
use crate::live::Pool;
use crate::state::{InState, Of, State};
use crate::stream::lock;

/// Many live streams of one row each. They come and go, a sample for some of them arrives, and `step` runs those that
/// have one as a batch and leaves the others alone. A stream has the bits that it would have alone.
#[pyclass(frozen, module = "recurrent_layers")]
pub struct StreamPool {
    pool: ByType<Mutex<Pool<f32>>, Mutex<Pool<f64>>>,
}

/// A stream of a pool. It is good until the stream is removed, and never again.
#[pyclass(frozen, eq, hash, ord, module = "recurrent_layers")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(recurrent::StreamId);

#[pymethods]
impl StreamId {
    /// The stream's number, which no other stream of the process has.
    #[getter]
    fn number(&self) -> u64 {
        self.0.number()
    }

    fn __repr__(&self) -> String {
        format!("<recurrent_layers.StreamId {}>", self.0)
    }
}

#[pymethods]
impl StreamPool {
    /// A new stream, with the layer's initial state, or one that goes on from a `State` of one row.
    #[pyo3(signature = (state=None))]
    fn insert(&self, py: Python<'_>, state: Option<&Bound<'_, PyAny>>) -> Outcome<StreamId> {
        let state = state.map(State::read).transpose()?;
        detached(py, || each!(&self.pool, pool => insert(pool, state.as_ref())))
    }

    /// Gives a stream its next sample, (features,); `step` takes it.
    fn push(&self, py: Python<'_>, id: &StreamId, x: &Bound<'_, PyAny>) -> Outcome<()> {
        each!(&self.pool, pool => push(py, pool, *id, x))
    }

    /// Gives several streams a sample each: ids, and (streams, features). An error leaves the samples before it given.
    fn push_all(&self, py: Python<'_>, ids: Vec<PyRef<'_, StreamId>>, x: &Bound<'_, PyAny>) -> Outcome<()> {
        let ids: Vec<StreamId> = ids.iter().map(|id| **id).collect();
        each!(&self.pool, pool => push_all(py, pool, &ids, x))
    }

    /// One step of all streams that have a sample, as one batch; how many they were.
    fn step(&self, py: Python<'_>) -> Outcome<usize> {
        detached(py, || Ok(each!(&self.pool, pool => lock(pool).step())))
    }

    /// The output of a stream's last step, (units,).
    fn output<'py>(&self, py: Python<'py>, id: &StreamId) -> Outcome<Bound<'py, PyAny>> {
        each!(&self.pool, pool => {
            let output = detached(py, || Ok(Array1::from(lock(pool).output(id.0)?.to_vec())))?;
            Ok(arrays::out(py, output))
        })
    }

    /// The outputs of several streams' last steps, (streams, units).
    fn outputs<'py>(&self, py: Python<'py>, ids: Vec<PyRef<'_, StreamId>>) -> Outcome<Bound<'py, PyAny>> {
        let ids: Vec<StreamId> = ids.iter().map(|id| **id).collect();
        each!(&self.pool, pool => Ok(arrays::out(py, detached(py, || outputs(pool, &ids))?)))
    }

    /// The state of a stream now, of one row.
    fn state(&self, py: Python<'_>, id: &StreamId) -> Outcome<State> {
        detached(py, || Ok(State { state: map!(&self.pool, pool => Of::Layer(lock(pool).state(id.0)?)) }))
    }

    /// Makes a stream go on from a state of one row: a `State`, or its bytes.
    fn set_state(&self, py: Python<'_>, id: &StreamId, state: &Bound<'_, PyAny>) -> Outcome<()> {
        let state = State::read(state)?;
        detached(py, || each!(&self.pool, pool => set_state(pool, *id, &state)))
    }

    /// Starts a stream over.
    fn reset(&self, py: Python<'_>, id: &StreamId) -> Outcome<()> {
        detached(py, || each!(&self.pool, pool => lock(pool).reset(id.0)))
    }

    /// Ends a stream, and returns its state.
    fn remove(&self, py: Python<'_>, id: &StreamId) -> Outcome<State> {
        detached(py, || Ok(State { state: map!(&self.pool, pool => Of::Layer(lock(pool).remove(id.0)?)) }))
    }

    /// Ends a stream that is to wait elsewhere, and returns its state as bytes.
    fn evict<'py>(&self, py: Python<'py>, id: &StreamId) -> Outcome<Bound<'py, PyBytes>> {
        let bytes = detached(py, || each!(&self.pool, pool => lock(pool).evict(id.0)))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// A stream that was evicted goes on, under a new id.
    fn restore(&self, py: Python<'_>, data: &[u8]) -> Outcome<StreamId> {
        detached(py, || Ok(StreamId(each!(&self.pool, pool => lock(pool).restore(data)?))))
    }

    /// Whether a stream has a sample that waits for the next step.
    fn is_ready(&self, py: Python<'_>, id: &StreamId) -> Outcome<bool> {
        detached(py, || each!(&self.pool, pool => lock(pool).is_ready(id.0)))
    }

    /// The steps of the pool since a stream last took part in one.
    fn idle_steps(&self, py: Python<'_>, id: &StreamId) -> Outcome<u64> {
        detached(py, || each!(&self.pool, pool => lock(pool).idle_steps(id.0)))
    }

    /// The ids of all streams, in no order that means anything.
    fn ids(&self, py: Python<'_>) -> Outcome<Vec<StreamId>> {
        let ids = detached(py, || Ok(each!(&self.pool, pool => lock(pool).ids())))?;
        Ok(ids.into_iter().map(StreamId).collect())
    }

    /// The number of streams that there is room for before the pool grows.
    #[getter]
    fn capacity(&self, py: Python<'_>) -> Outcome<usize> {
        detached(py, || Ok(each!(&self.pool, pool => lock(pool).capacity())))
    }

    /// "float32" or "float64".
    #[getter]
    fn dtype(&self) -> &'static str {
        self.pool.dtype()
    }

    fn __len__(&self, py: Python<'_>) -> Outcome<usize> {
        detached(py, || Ok(each!(&self.pool, pool => lock(pool).len())))
    }

    fn __contains__(&self, py: Python<'_>, id: &StreamId) -> Outcome<bool> {
        detached(py, || Ok(each!(&self.pool, pool => lock(pool).contains(id.0))))
    }

    fn __repr__(&self, py: Python<'_>) -> Outcome<String> {
        Ok(format!("<recurrent_layers.StreamPool of {} streams, {}>", self.__len__(py)?, self.dtype()))
    }
}

impl StreamPool {
    pub fn new(pool: ByType<Pool<f32>, Pool<f64>>) -> Self {
        StreamPool { pool: map!(pool, pool => Mutex::new(pool)) }
    }
}

fn insert<T: InState>(pool: &Mutex<Pool<T>>, state: Option<&State>) -> Outcome<StreamId> {
    let state = state.map(|state| state.of_layer::<T>()).transpose()?;
    Ok(StreamId(lock(pool).insert(state)?))
}

fn set_state<T: InState>(pool: &Mutex<Pool<T>>, id: StreamId, state: &State) -> Outcome<()> {
    lock(pool).set_state(id.0, state.of_layer::<T>()?)
}

fn push<T: Number>(py: Python<'_>, pool: &Mutex<Pool<T>>, id: StreamId, x: &Bound<'_, PyAny>) -> Outcome<()> {
    let x = arrays::floats::<T, Ix1>(x)?;
    let x = x.as_array();
    detached(py, || match x.as_slice() {
        Some(x) => lock(pool).push(id.0, x),
        None => lock(pool).push(id.0, &x.to_vec()),
    })
}

fn push_all<T: Number>(py: Python<'_>, pool: &Mutex<Pool<T>>, ids: &[StreamId], x: &Bound<'_, PyAny>) -> Outcome<()> {
    let x = arrays::floats::<T, Ix2>(x)?;
    let x = x.as_array();
    if x.nrows() != ids.len() {
        return refuse(format!("there must be a sample for each of the {} streams, got {}", ids.len(), x.nrows()));
    }
    detached(py, || {
        let (x, mut pool) = (x.as_standard_layout(), lock(pool));
        x.outer_iter().zip(ids).try_for_each(|(row, id)| pool.push(id.0, row.as_slice().unwrap_or(&[])))
    })
}

fn outputs<T: Number>(pool: &Mutex<Pool<T>>, ids: &[StreamId]) -> Outcome<Array2<T>> {
    let pool = lock(pool);
    let mut all = Vec::new();
    for id in ids {
        all.extend_from_slice(pool.output(id.0)?);
    }
    let units = all.len().checked_div(ids.len()).unwrap_or(0);
    Array2::from_shape_vec((ids.len(), units), all).or_else(|_| refuse("the streams' outputs have different sizes"))
}
