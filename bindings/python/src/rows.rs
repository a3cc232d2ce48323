//! Lists of rows of different length, as one padded array with lengths; and results cut to them.

use numpy::PyUntypedArrayMethods;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use recurrent::ndarray::{ArrayD, ArrayViewD, ArrayViewMutD, Axis, IxDyn, Slice};

use crate::arrays::{self, Held, Own, View};
use crate::by_type::Number;
use crate::errors::{Outcome, refuse};

/// An input of a call: an array, or rows of different length that were put side by side.
pub enum Given<'py, T: Number> {
    Array(Held<'py, T>),
    Rows { padded: Own<T>, lengths: Vec<usize> },
}

impl<'py, T: Number> Given<'py, T> {
    /// An array, or a list of rows, each of one axis less than `axes`, which is what the batch has.
    pub fn of(any: &Bound<'py, PyAny>, axes: usize) -> Outcome<Self> {
        let Some(items) = list(any) else { return Held::of(any).map(Given::Array) };
        let mut rows = Vec::with_capacity(items.len());
        for item in &items {
            match arrays::as_array(item) {
                Ok(row) if arrays::kind(&row).is_ok() => rows.push(row),
                // What has no rows is refused as a whole.
                _ => return Held::of(any).map(Given::Array),
            }
        }
        let is_row = |ndim: usize| ndim > 0 && ndim + 1 == axes;
        if rows.is_empty() || !rows.iter().all(|row| is_row(row.ndim())) {
            return Held::of(any).map(Given::Array);
        }
        let held = rows.iter().map(|row| Held::of(row.as_any())).collect::<Outcome<Vec<_>>>()?;
        let views: Vec<View<'_, T>> = held.iter().map(Held::view).collect();
        let lengths = views.iter().map(|view| view.shape()[0]).collect();
        Ok(Given::Rows { padded: side_by_side(&views)?, lengths })
    }

    /// The same, as floats, whatever the numbers are.
    pub fn of_floats(any: &Bound<'py, PyAny>, axes: usize) -> Outcome<Self> {
        Ok(match Given::of(any, axes)? {
            Given::Array(held @ Held::Float(_)) => Given::Array(held),
            Given::Array(_) => Given::Array(Held::Float(arrays::typed(arrays::as_array(any)?)?)),
            Given::Rows { padded, lengths } => Given::Rows { padded: Own::Float(padded.view().floats()), lengths },
        })
    }

    pub fn view(&self) -> View<'_, T> {
        match self {
            Given::Array(held) => held.view(),
            Given::Rows { padded, .. } => padded.view(),
        }
    }

    pub fn lengths(&self) -> Option<&[usize]> {
        match self {
            Given::Array(_) => None,
            Given::Rows { lengths, .. } => Some(lengths),
        }
    }
}

/// The items of a list or a tuple.
pub fn list<'py>(any: &Bound<'py, PyAny>) -> Option<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = any.cast::<PyList>() {
        return Some(list.iter().collect());
    }
    any.cast::<PyTuple>().ok().map(|tuple| tuple.iter().collect())
}

/// Rows as a batch, those that are shorter than the longest one with zeros behind them.
fn side_by_side<T: Number>(rows: &[View<'_, T>]) -> Outcome<Own<T>> {
    let steps = rows.iter().map(|row| row.shape()[0]).max().unwrap_or(0);
    let rest = rows.first().map_or(&[][..], |row| &row.shape()[1..]);
    if let Some(other) = rows.iter().find(|row| row.shape()[1..] != *rest) {
        return refuse(format!(
            "the rows of a list must have the same shape behind their steps: {rest:?} and {:?}",
            &other.shape()[1..]
        ));
    }
    let shape = IxDyn(&[&[rows.len(), steps], rest].concat());
    let all_int = rows.iter().all(|row| matches!(row, View::Int(_)));
    let all_bool = rows.iter().all(|row| matches!(row, View::Bool(_)));
    Ok(match (all_int, all_bool) {
        (true, _) => Own::Int(padded(rows, shape, 0, |mut to, row| match row {
            View::Int(row) => to.assign(row),
            _ => to.fill(0),
        })),
        (_, true) => Own::Bool(padded(rows, shape, false, |mut to, row| match row {
            View::Bool(row) => to.assign(row),
            _ => to.fill(false),
        })),
        _ => Own::Float(padded(rows, shape, T::zero(), |mut to, row| match row {
            View::Float(row) => to.assign(row),
            other => to.assign(&other.floats()),
        })),
    })
}

/// A batch whose rows `write` fills as far as they go.
fn padded<T: Number, A: Copy>(
    rows: &[View<'_, T>],
    shape: IxDyn,
    zero: A,
    write: impl Fn(ArrayViewMutD<'_, A>, &View<'_, T>),
) -> ArrayD<A> {
    let mut all = ArrayD::from_elem(shape, zero);
    for (mut to, row) in all.outer_iter_mut().zip(rows) {
        write(to.slice_axis_mut(Axis(0), Slice::from(..row.shape()[0])), row);
    }
    all
}

/// An output for a batch of rows with lengths.
pub struct Ragged<T> {
    /// With zeros beyond each row's steps.
    pub array: ArrayD<T>,
    /// The steps of each row, if the output has an axis of steps.
    pub steps: Option<Vec<usize>>,
}

impl<T: Number> Ragged<T> {
    /// A sequence whose steps beyond a row's length mean nothing.
    pub fn sequence(mut array: ArrayD<T>, steps: &[usize]) -> Self {
        for (mut row, &steps) in array.outer_iter_mut().zip(steps) {
            row.slice_axis_mut(Axis(0), Slice::from(steps..)).fill(T::zero());
        }
        Ragged { array, steps: Some(steps.to_vec()) }
    }

    /// For Python: a list of arrays, one for each row, if the rows came as a list.
    pub fn out<'py>(self, py: Python<'py>, as_list: bool) -> PyResult<Bound<'py, PyAny>> {
        match self.steps {
            Some(steps) if as_list => {
                let cut = |(row, steps): (ArrayViewD<'_, T>, usize)| {
                    arrays::out(py, row.slice_axis(Axis(0), Slice::from(..steps)).to_owned())
                };
                Ok(PyList::new(py, self.array.outer_iter().zip(steps).map(cut).collect::<Vec<_>>())?.into_any())
            }
            _ => Ok(arrays::out(py, self.array)),
        }
    }
}
