//! Arrays in, as views where they lie in memory as numpy has them, and out.

use numpy::{
    IntoPyArray, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use recurrent::model::Input;
use recurrent::ndarray::{Array, ArrayD, ArrayViewD, Axis, Dimension, Slice};

use crate::by_type::Number;
use crate::errors::{Outcome, Refusal, refuse};

/// The most axes that are taken.
const MOST_AXES: usize = 16;

/// An array of Python's, for a model of `T`: floats are of the model's own type, integers of the widest.
pub enum Held<'py, T: Number> {
    Float(PyReadonlyArrayDyn<'py, T>),
    Int(PyReadonlyArrayDyn<'py, i64>),
    Bool(PyReadonlyArrayDyn<'py, bool>),
}

/// What is read of it.
#[derive(Clone)]
pub enum View<'a, T> {
    Float(ArrayViewD<'a, T>),
    Int(ArrayViewD<'a, i64>),
    Bool(ArrayViewD<'a, bool>),
}

/// An array of our own.
pub enum Own<T> {
    Float(ArrayD<T>),
    Int(ArrayD<i64>),
    Bool(ArrayD<bool>),
}

impl<'py, T: Number> Held<'py, T> {
    /// Whatever numpy makes an array of.
    pub fn of(any: &Bound<'py, PyAny>) -> Outcome<Self> {
        let array = as_array(any)?;
        Ok(match kind(&array)? {
            b'f' => Held::Float(typed(array)?),
            b'b' => Held::Bool(typed(array)?),
            _ => Held::Int(typed(array)?),
        })
    }

    pub fn view(&self) -> View<'_, T> {
        match self {
            Held::Float(array) => View::Float(array.as_array()),
            Held::Int(array) => View::Int(array.as_array()),
            Held::Bool(array) => View::Bool(array.as_array()),
        }
    }
}

/// The same code for whatever the numbers are, with the result of the same kind.
macro_rules! of_kind {
    ($value:expr, $from:ident, $to:ident, $x:ident => $body:expr) => {
        match $value {
            $from::Float($x) => $to::Float($body),
            $from::Int($x) => $to::Int($body),
            $from::Bool($x) => $to::Bool($body),
        }
    };
}

impl<T: Number> View<'_, T> {
    pub fn input(&self) -> Input<'_, T> {
        match self {
            View::Float(array) => array.into(),
            View::Int(array) => array.into(),
            View::Bool(array) => array.into(),
        }
    }

    pub fn shape(&self) -> &[usize] {
        match self {
            View::Float(array) => array.shape(),
            View::Int(array) => array.shape(),
            View::Bool(array) => array.shape(),
        }
    }

    /// The numbers as floats, in an array of their own.
    pub fn floats(&self) -> ArrayD<T> {
        match self {
            View::Float(array) => array.to_owned(),
            View::Int(array) => array.mapv(|number| T::from_f64(number as f64)),
            View::Bool(array) => array.mapv(|flag| if flag { T::one() } else { T::zero() }),
        }
    }

    /// One step of (batch, timesteps, ..).
    pub fn step(&self, time: usize) -> View<'_, T> {
        of_kind!(self, View, View, array => array.index_axis(Axis(1), time))
    }

    /// One row as a batch.
    pub fn with_a_batch(self) -> Self {
        of_kind!(self, View, View, array => array.insert_axis(Axis(0)))
    }

    /// Some rows, and of each so many steps, if it has any.
    pub fn rows(&self, rows: &[usize], steps: Option<usize>) -> Own<T> {
        of_kind!(self, View, Own, array => {
            let mut array = array.view();
            if let Some(steps) = steps {
                array.slice_axis_inplace(Axis(1), Slice::from(..steps));
            }
            array.select(Axis(0), rows)
        })
    }
}

impl<T: Number> Own<T> {
    pub fn view(&self) -> View<'_, T> {
        of_kind!(self, Own, View, array => array.view())
    }
}

/// An array of numpy's, made of whatever it is.
pub fn as_array<'py>(any: &Bound<'py, PyAny>) -> Outcome<Bound<'py, PyUntypedArray>> {
    if let Ok(array) = any.cast::<PyUntypedArray>() {
        return Ok(array.clone());
    }
    let made = any.py().import("numpy")?.call_method1("asarray", (any,));
    let made = made.map_err(|error| match error.is_instance_of::<pyo3::exceptions::PyValueError>(any.py()) {
        true => Refusal::Words(format!("it can't be made an array: {}", error.value(any.py()))),
        false => Refusal::Python(error),
    })?;
    Ok(made.cast_into::<PyUntypedArray>().map_err(PyErr::from)?)
}

/// `f`, `i`, `u` or `b`.
pub fn kind(array: &Bound<'_, PyUntypedArray>) -> Outcome<u8> {
    match array.dtype().kind() {
        kind @ (b'f' | b'i' | b'u' | b'b') => Ok(kind),
        _ => refuse(format!("an input must hold floats, integers or bools, got an array of dtype {}", array.dtype())),
    }
}

/// The array in this type: itself, if it is of it and lies in memory as a view can have it; else a copy.
pub fn typed<'py, A: numpy::Element>(array: Bound<'py, PyUntypedArray>) -> Outcome<PyReadonlyArrayDyn<'py, A>> {
    kind(&array)?;
    let (py, axes) = (array.py(), array.ndim());
    if axes > MOST_AXES {
        return refuse(format!("an array may have up to {MOST_AXES} axes, got {axes}"));
    }
    let of_type = match array.cast::<PyArrayDyn<A>>() {
        Ok(array) if lies_well::<A>(array) => array.clone(),
        _ => {
            let copied = array.call_method1("astype", (numpy::dtype::<A>(py), "C"))?;
            copied.cast_into::<PyArrayDyn<A>>().map_err(PyErr::from)?
        }
    };
    read_only(&of_type)
}

fn read_only<'py, A: numpy::Element, D: Dimension>(
    array: &Bound<'py, numpy::PyArray<A, D>>,
) -> Outcome<numpy::PyReadonlyArray<'py, A, D>> {
    array.try_readonly().map_err(|_| Refusal::Words("the array is being written elsewhere".into()))
}

/// Whether a view can have the array as it is: each stride is a number of elements.
fn lies_well<A>(array: &Bound<'_, PyArrayDyn<impl numpy::Element>>) -> bool {
    let whole = |stride: &isize| stride % size_of::<A>() as isize == 0;
    array.is_c_contiguous() && array.is_aligned()
        || array.is_aligned() && !array.is_empty() && array.strides().iter().all(whole)
}

/// Floats of so many axes.
pub fn floats<'py, T: Number, D: Dimension>(any: &Bound<'py, PyAny>) -> Outcome<numpy::PyReadonlyArray<'py, T, D>> {
    let array = typed::<T>(as_array(any)?)?;
    let (axes, shape) = (D::NDIM.unwrap_or(0), array.shape().to_vec());
    match array.cast::<numpy::PyArray<T, D>>() {
        Ok(array) => read_only(array),
        Err(_) => refuse(format!("the array must have {axes} axes, got the shape {shape:?}")),
    }
}

/// A mask or resets: (batch, timesteps).
pub fn flags<'py>(any: &Bound<'py, PyAny>) -> Outcome<numpy::PyReadonlyArray2<'py, bool>> {
    let array = typed::<bool>(as_array(any)?)?;
    let shape = array.shape().to_vec();
    match array.cast::<numpy::PyArray2<bool>>() {
        Ok(array) => read_only(array),
        Err(_) => refuse(format!("it must be of the shape (batch, timesteps), got {shape:?}")),
    }
}

/// The numbers of steps of rows: any integers that aren't negative.
pub fn lengths(any: &Bound<'_, PyAny>) -> Outcome<Vec<usize>> {
    let array = as_array(any)?;
    if !matches!(kind(&array)?, b'i' | b'u') && !array.is_empty() || array.ndim() != 1 {
        return refuse(format!(
            "lengths must be whole numbers, one for each row, got dtype {} and the shape {:?}",
            array.dtype(),
            array.shape()
        ));
    }
    let array = typed::<i64>(array)?;
    let whole = |&length: &i64| match usize::try_from(length) {
        Ok(length) => Ok(length),
        Err(_) => refuse(format!("a length must be at least 0, got {length}")),
    };
    array.as_array().iter().map(whole).collect()
}

/// An array for Python, which gets its memory.
pub fn out<'py, T: Number, D: Dimension>(py: Python<'py>, array: Array<T, D>) -> Bound<'py, PyAny> {
    array.into_pyarray(py).into_any()
}
