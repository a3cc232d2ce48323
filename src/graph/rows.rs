//! Rows of an input, in another order, gathered into memory that is reused: what a batch is made of.

use std::borrow::Cow;

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};

use super::tensor::{Given, Input, Integers};
use crate::float::Float;

/// Rows of one input, with its type; memory of its own.
#[derive(Debug)]
pub(crate) enum Gathered<T> {
    Float(ArrayD<T>),
    Int(ArrayD<i64>),
    Bool(ArrayD<bool>),
}

impl<T: Float> Gathered<T> {
    /// As floats, whatever the input holds.
    pub(crate) fn floats() -> Self {
        Gathered::Float(ArrayD::zeros(IxDyn(&[0])))
    }

    /// As integers, whatever the input holds.
    pub(crate) fn classes() -> Self {
        Gathered::Int(ArrayD::zeros(IxDyn(&[0])))
    }

    /// Of the input's own type.
    pub(crate) fn like(input: &Input<'_, T>) -> Self {
        match &input.0 {
            Given::Float(_) => Gathered::floats(),
            Given::Int(_) => Gathered::classes(),
            Given::Bool(_) => Gathered::Bool(ArrayD::from_elem(IxDyn(&[0]), false)),
        }
    }

    /// Takes these rows of the input; of each, if it says so, only so many steps.
    pub(crate) fn gather(&mut self, input: &Input<'_, T>, rows: &[usize], steps: Option<usize>) {
        let mut sizes = [0; 8];
        let given = input.shape();
        // More axes than that are taken by way of the heap.
        let mut many;
        let shape = if given.len() <= sizes.len() {
            &mut sizes[..given.len()]
        } else {
            many = given.to_vec();
            &mut many
        };
        shape.copy_from_slice(given);
        shape[0] = rows.len();
        if let (Some(steps), [_, time, ..]) = (steps, &mut *shape) {
            *time = steps.min(*time);
        }
        match self {
            Gathered::Float(array) => {
                resize(array, shape, T::zero());
                fill(array, rows, |row, to| input.row(row, steps).0.each_float(|at, x| to[at] = x));
            }
            Gathered::Int(array) => {
                resize(array, shape, 0);
                fill(array, rows, |row, to| input.row(row, steps).0.each_integer(|at, x| to[at] = x));
            }
            Gathered::Bool(array) => {
                resize(array, shape, false);
                fill(array, rows, |row, to| input.row(row, steps).0.each_flag(|at, x| to[at] = x));
            }
        }
    }

    /// What was gathered, as an input.
    pub(crate) fn input(&self) -> Input<'_, T> {
        match self {
            Gathered::Float(array) => array.into(),
            Gathered::Int(array) => array.into(),
            Gathered::Bool(array) => array.into(),
        }
    }
}

fn fill<A>(array: &mut ArrayD<A>, rows: &[usize], row: impl Fn(usize, &mut [A])) {
    let Some(slice) = array.as_slice_mut() else { return };
    let width = slice.len() / rows.len().max(1);
    for (&from, to) in rows.iter().zip(slice.chunks_exact_mut(width.max(1))) {
        row(from, to);
    }
}

/// Another shape in the same memory.
pub(crate) fn resize<A: Clone>(array: &mut ArrayD<A>, shape: &[usize], fill: A) {
    if array.shape() == shape {
        return;
    }
    let mut memory = std::mem::replace(array, ArrayD::from_elem(IxDyn(&[0]), fill.clone())).into_raw_vec_and_offset().0;
    memory.resize(shape.iter().product(), fill);
    if let Ok(resized) = ArrayD::from_shape_vec(IxDyn(shape), memory) {
        *array = resized;
    }
}

impl<'a, T: Float> Input<'a, T> {
    /// One row of it, and of that, if it says so, only so many steps.
    fn row(&self, row: usize, steps: Option<usize>) -> Input<'_, T> {
        Input(match &self.0 {
            Given::Float(array) => Given::Float(cut(array.index_axis(Axis(0), row), steps)),
            Given::Int(array) => Given::Int(array.row(row, steps)),
            Given::Bool(array) => Given::Bool(cut(array.index_axis(Axis(0), row), steps)),
        })
    }

    /// The same array, borrowed for as long as this one is.
    pub(crate) fn view(&self) -> Input<'_, T> {
        Input(match &self.0 {
            Given::Float(array) => Given::Float(array.view()),
            Given::Int(array) => Given::Int(array.view()),
            Given::Bool(array) => Given::Bool(array.view()),
        })
    }

    /// The numbers in row order: its own memory, if they lie so.
    pub(crate) fn floats(&self) -> Cow<'a, [T]> {
        if let Given::Float(array) = &self.0
            && let Some(slice) = array.to_slice()
        {
            return Cow::Borrowed(slice);
        }
        let mut floats = Vec::with_capacity(self.shape().iter().product());
        self.0.each_float(|_, x| floats.push(x));
        Cow::Owned(floats)
    }

    /// The numbers as integers in row order: its own memory, if it is that of `i64`s.
    pub(crate) fn classes(&self) -> Cow<'a, [i64]> {
        if let Given::Int(Integers::I64(array)) = &self.0
            && let Some(slice) = array.to_slice()
        {
            return Cow::Borrowed(slice);
        }
        let mut classes = Vec::with_capacity(self.shape().iter().product());
        self.0.each_integer(|_, x| classes.push(x));
        Cow::Owned(classes)
    }

    /// Each value as a float, with its place in row order.
    pub(crate) fn each_float(&self, each: impl FnMut(usize, T)) {
        self.0.each_float(each);
    }

    /// Whether each value isn't zero, with its place.
    pub(crate) fn each_flag(&self, each: impl FnMut(usize, bool)) {
        self.0.each_flag(each);
    }
}

/// Only so many of the first axis.
pub(super) fn cut<A>(mut array: ArrayViewD<'_, A>, steps: Option<usize>) -> ArrayViewD<'_, A> {
    if let Some(steps) = steps.filter(|&steps| array.shape().first().is_some_and(|&first| steps < first)) {
        array.slice_axis_inplace(Axis(0), (..steps).into());
    }
    array
}
