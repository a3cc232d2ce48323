//! Refusals as Python exceptions, with the crate's words.

use std::any::Any;
use std::path::Path;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use recurrent::file::{LoadError, Problem, SaveError};

pyo3::create_exception!(
    recurrent_layers,
    RecurrentError,
    PyValueError,
    "What was given doesn't fit: the message says what was expected and what was given."
);

/// Why a call failed: what Python raises then.
#[derive(Debug)]
pub enum Refusal {
    /// What doesn't fit, in words.
    Words(String),
    /// What the operating system says of a file.
    File(String),
    /// Python's own.
    Python(PyErr),
}

pub type Outcome<T> = Result<T, Refusal>;

/// A refusal in words.
pub fn refuse<T>(words: impl Into<String>) -> Outcome<T> {
    Err(Refusal::Words(words.into()))
}

impl From<Refusal> for PyErr {
    fn from(refusal: Refusal) -> PyErr {
        match refusal {
            Refusal::Words(words) => RecurrentError::new_err(words),
            Refusal::File(words) => PyOSError::new_err(words),
            Refusal::Python(error) => error,
        }
    }
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Refusal::Python(error)
    }
}

impl From<recurrent::Error> for Refusal {
    fn from(error: recurrent::Error) -> Self {
        Refusal::Words(error.to_string())
    }
}

impl From<LoadError> for Refusal {
    fn from(error: LoadError) -> Self {
        match error.problem() {
            Problem::Io { .. } => Refusal::File(error.to_string()),
            // What to write in Rust is of no use here.
            Problem::Kind { holds, .. } => Refusal::Words(format!("{}: it holds {holds}", error.file())),
            Problem::ExternalData { tensor, file } => Refusal::Words(format!(
                "{}: the numbers of tensor {tensor:?} are in another file, {file:?}: load(path, external_data=True) reads \
                 files of the same folder, too",
                error.file()
            )),
            _ => Refusal::Words(error.to_string()),
        }
    }
}

impl From<SaveError> for Refusal {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::Io { .. } => Refusal::File(error.to_string()),
            _ => Refusal::Words(error.to_string()),
        }
    }
}

/// Raises what Python raises of a file that isn't there or can't be read: `FileNotFoundError` and its like.
pub fn check_readable(path: &Path) -> PyResult<()> {
    let Err(error) = std::fs::File::open(path) else { return Ok(()) };
    let words = error.to_string();
    // Without the number, which Python adds.
    let reason = words.split(" (os error").next().unwrap_or(&words).to_string();
    // OSError chooses its subclass by the number.
    Err(match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, reason, path.as_os_str().to_os_string())),
        None => PyOSError::new_err(words),
    })
}

/// Runs without the interpreter's lock. A panic, which would be a fault of the crate's, is a refusal as well.
pub fn detached<R: Send>(py: Python<'_>, work: impl FnOnce() -> Outcome<R> + Send) -> Outcome<R> {
    let work = std::panic::AssertUnwindSafe(work);
    py.detach(|| std::panic::catch_unwind(work)).unwrap_or_else(|panic| Err(fault(&*panic)))
}

fn fault(panic: &(dyn Any + Send)) -> Refusal {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    Refusal::Words(format!("a fault in recurrent, please report it: {}", words.unwrap_or("a panic")))
}
