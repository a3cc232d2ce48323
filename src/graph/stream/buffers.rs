//! What the tensors of a stream hold: arrays of their own, overwritten in each step.

use ndarray::{Array, ArrayD, ArrayView, ArrayViewMut, Dimension, IxDyn};

use super::{Kept, OwnStream};
use crate::buffers::take;
use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::misfit;
use crate::graph::outside::Moved;
use crate::graph::tensor::{Given, Mask, Value, in_order, whole};

/// The most dimensions that a tensor of a stream may have. Up to four of them are written down without an allocation.
pub(crate) const MOST_AXES: usize = 8;

/// A tensor's values, in row order.
#[derive(Debug, Clone)]
pub(crate) enum Buffer<T> {
    Float(ArrayD<T>),
    Int(ArrayD<i64>),
    Bool(ArrayD<bool>),
}

/// A mask: see [`Mask`].
#[derive(Debug, Clone)]
pub(crate) struct MaskBuffer {
    pub(crate) flags: ArrayD<bool>,
    pub(crate) graded: bool,
}

impl MaskBuffer {
    pub(super) fn like(mask: &Mask) -> Self {
        MaskBuffer { flags: ArrayD::from_elem(mask.shape(), true), graded: false }
    }
}

impl<T: Float> Buffer<T> {
    /// One of the same kind and shape, with the same values.
    pub(super) fn of(value: &Value<T>) -> Self {
        fn owned<A: Clone>(array: &ndarray::ArcArray<A, IxDyn>) -> ArrayD<A> {
            array.as_standard_layout().into_owned()
        }
        match value {
            Value::Float(array) => Buffer::Float(owned(array)),
            Value::Int(array) => Buffer::Int(owned(array)),
            Value::Bool(array) => Buffer::Bool(owned(array)),
        }
    }

    pub(crate) fn shape(&self) -> &[usize] {
        match self {
            Buffer::Float(array) => array.shape(),
            Buffer::Int(array) => array.shape(),
            Buffer::Bool(array) => array.shape(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Buffer::Float(array) => array.len(),
            Buffer::Int(array) => array.len(),
            Buffer::Bool(array) => array.len(),
        }
    }

    /// The floats, if it holds some.
    pub(crate) fn as_float_slice(&self) -> Option<&[T]> {
        match self {
            Buffer::Float(array) => array.as_slice(),
            _ => None,
        }
    }

    pub(crate) fn is_float(&self) -> bool {
        matches!(self, Buffer::Float(_))
    }

    /// The floats; those that it holds or, in `work`, those that it is read as.
    pub(crate) fn floats<'b>(&'b self, work: &'b mut Vec<T>) -> Result<&'b [T]> {
        if let Buffer::Float(array) = self {
            return array.as_slice().ok_or_else(misfit);
        }
        let floats = take(work, self.len());
        self.each_float(|at, value| floats[at] = value);
        Ok(floats)
    }

    /// Each value as a float, with its place.
    pub(crate) fn each_float(&self, mut each: impl FnMut(usize, T)) {
        match self {
            Buffer::Float(array) => in_order(array, each),
            Buffer::Int(array) => in_order(array, |at, id| each(at, T::from_f64(id as f64))),
            Buffer::Bool(array) => in_order(array, |at, flag| each(at, if flag { T::one() } else { T::zero() })),
        }
    }

    /// Each value as an integer, with its place.
    pub(crate) fn each_integer(&self, mut each: impl FnMut(usize, i64)) {
        match self {
            Buffer::Float(array) => in_order(array, |at, x| each(at, whole(x.into_f64()))),
            Buffer::Int(array) => in_order(array, each),
            Buffer::Bool(array) => in_order(array, |at, flag| each(at, flag.into())),
        }
    }

    /// Whether each value isn't zero, with its place.
    pub(crate) fn each_flag(&self, mut each: impl FnMut(usize, bool)) {
        match self {
            Buffer::Float(array) => in_order(array, |at, x| each(at, x != T::zero())),
            Buffer::Int(array) => in_order(array, |at, id| each(at, id != 0)),
            Buffer::Bool(array) => in_order(array, each),
        }
    }

    /// A copy, as whole runs read it.
    pub(crate) fn value(&self) -> Value<T> {
        match self {
            Buffer::Float(array) => Value::Float(array.to_shared()),
            Buffer::Int(array) => Value::Int(array.to_shared()),
            Buffer::Bool(array) => Value::Bool(array.to_shared()),
        }
    }

    /// What a whole run has made.
    pub(crate) fn set(&mut self, value: &Value<T>) -> Result<()> {
        self.copy_from(&Buffer::of(value))
    }

    /// The values as this one's, which has as many.
    pub(crate) fn copy_from(&mut self, other: &Buffer<T>) -> Result<()> {
        match (self, other) {
            (Buffer::Float(to), Buffer::Float(from)) => copy(to, from),
            (Buffer::Int(to), Buffer::Int(from)) => copy(to, from),
            (Buffer::Bool(to), Buffer::Bool(from)) => copy(to, from),
            _ => Err(misfit()),
        }
    }

    pub(crate) fn as_floats(&mut self) -> Result<&mut [T]> {
        match self {
            Buffer::Float(array) => array.as_slice_mut().ok_or_else(misfit),
            _ => Err(misfit()),
        }
    }

    pub(crate) fn as_integers(&mut self) -> Result<&mut [i64]> {
        match self {
            Buffer::Int(array) => array.as_slice_mut().ok_or_else(misfit),
            _ => Err(misfit()),
        }
    }

    pub(crate) fn as_flags(&mut self) -> Result<&mut [bool]> {
        match self {
            Buffer::Bool(array) => array.as_slice_mut().ok_or_else(misfit),
            _ => Err(misfit()),
        }
    }
}

fn copy<A: Copy>(to: &mut ArrayD<A>, from: &ArrayD<A>) -> Result<()> {
    match (to.as_slice_mut(), from.as_slice()) {
        (Some(to), Some(from)) if to.len() == from.len() => to.copy_from_slice(from),
        _ => return Err(misfit()),
    }
    Ok(())
}

/// What one step of an operation reads and writes.
pub(crate) struct Step<'a, T: Float> {
    /// All that was made before.
    pub(super) values: &'a [Buffer<T>],
    pub(super) masks: &'a [MaskBuffer],
    pub(super) inputs: &'a [usize],
    /// The mask of each input.
    pub(super) attached: &'a [Option<usize>],
    /// The mask that the operation reads.
    pub(super) mask: Option<usize>,
    pub(crate) outputs: &'a mut [Buffer<T>],
    /// The mask that it makes itself.
    pub(crate) made: Option<&'a mut MaskBuffer>,
    /// What the operation keeps from step to step.
    pub(crate) kept: Option<&'a mut Kept<T>>,
    /// Whether it gives something in this step: what thins out a sequence does in some. If not, its output is left.
    pub(crate) due: bool,
    /// What operations work in.
    pub(crate) work: &'a mut Work<T>,
}

/// Memory that the operations of a stream share.
#[derive(Debug, Default)]
pub(crate) struct Work<T> {
    pub(crate) floats: Vec<T>,
    pub(crate) more: Vec<T>,
    pub(crate) most: Vec<T>,
}

impl<'a, T: Float> Step<'a, T> {
    /// An input, by its place.
    pub(crate) fn input(&self, place: usize) -> &'a Buffer<T> {
        &self.values[self.inputs[place]]
    }

    /// All inputs, with their masks.
    pub(crate) fn inputs(
        &self,
    ) -> impl ExactSizeIterator<Item = (&'a Buffer<T>, Option<&'a MaskBuffer>)> + Clone + use<'a, T> {
        let (values, masks) = (self.values, self.masks);
        let attached = self.attached.iter().map(move |mask| mask.map(|mask| &masks[mask]));
        self.inputs.iter().map(move |&input| &values[input]).zip(attached)
    }

    /// The mask that the operation reads.
    pub(crate) fn mask(&self) -> Option<&'a MaskBuffer> {
        self.mask.map(|mask| &self.masks[mask])
    }

    /// The one output.
    pub(crate) fn output(&mut self) -> &mut Buffer<T> {
        &mut self.outputs[0]
    }

    /// The stream of a recurrent layer.
    pub(crate) fn stream(&mut self) -> Result<&mut OwnStream<T>> {
        self.kept.as_deref_mut().ok_or_else(misfit)?.layer()
    }

    /// The values of the first input in the one output, as floats.
    pub(crate) fn copied(&mut self) -> Result<&mut [T]> {
        let input = self.input(0);
        let output = self.output().as_floats()?;
        input.each_float(|at, value| output[at] = value);
        Ok(output)
    }
}

/// Where in a smaller array an element of a larger one is found, over which it is spread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    /// Of each axis from the last to the first: its size in the larger array, and the step in the smaller one.
    axes: [(usize, usize); MOST_AXES + 1],
    rank: usize,
    same: bool,
}

impl Spread {
    /// Of an array of this shape (of the same rank: with ones where it is spread) over a larger one.
    pub(crate) fn new(shape: impl DoubleEndedIterator<Item = usize>, over: &[usize]) -> Self {
        let mut spread = Spread { axes: [(1, 0); MOST_AXES + 1], rank: 0, same: true };
        let mut step = 1;
        for (axis, (size, &wide)) in spread.axes.iter_mut().zip(shape.rev().zip(over.iter().rev())) {
            *axis = (wide, if size == 1 { 0 } else { step });
            step *= size;
            spread.rank += 1;
            spread.same &= size == wide;
        }
        spread
    }

    /// The place of the element that belongs to one of the larger array's.
    pub(crate) fn at(&self, mut place: usize) -> usize {
        if self.same {
            return place;
        }
        let mut at = 0;
        for &(size, step) in &self.axes[..self.rank] {
            at += place % size * step;
            place /= size;
        }
        at
    }
}

/// An array's axes in another order, as they stand in memory otherwise.
pub(crate) fn permuted<A>(view: ArrayView<'_, A, IxDyn>, axes: impl Iterator<Item = usize>) -> ArrayView<'_, A, IxDyn> {
    let mut order = [0; MOST_AXES];
    let rank = view.ndim();
    order.iter_mut().zip(axes).for_each(|(to, axis)| *to = axis);
    view.permuted_axes(IxDyn(&order[..rank]))
}

/// The same, to be changed.
pub(crate) fn permuted_mut<A>(
    view: ArrayViewMut<'_, A, IxDyn>,
    axes: impl Iterator<Item = usize>,
) -> ArrayViewMut<'_, A, IxDyn> {
    let mut order = [0; MOST_AXES];
    let rank = view.ndim();
    order.iter_mut().zip(axes).for_each(|(to, axis)| *to = axis);
    view.permuted_axes(IxDyn(&order[..rank]))
}

/// Copies what was given into an array of as many elements.
pub(super) fn write<T: Float>(given: &Given<'_, T>, to: &mut Buffer<T>, through_f32: bool) -> Result<()> {
    match to {
        Buffer::Float(array) => {
            let values = array.as_slice_mut().ok_or_else(misfit)?;
            let round = |x: T| if through_f32 { T::from_f64((x.into_f64() as f32).into()) } else { x };
            given.each_float(|at, value| values[at] = round(value));
        }
        Buffer::Int(array) => {
            let values = array.as_slice_mut().ok_or_else(misfit)?;
            given.each_integer(|at, value| values[at] = value);
        }
        Buffer::Bool(array) => {
            let values = array.as_slice_mut().ok_or_else(misfit)?;
            given.each_flag(|at, value| values[at] = value);
        }
    }
    Ok(())
}

/// The array's elements, whose axes are in another order.
pub(super) fn fill_outside<T: Float>(to: &mut ArrayD<T>, from: &Buffer<T>, moved: Moved) -> Result<()> {
    let to = to.as_slice_mut().ok_or_else(misfit)?;
    match from {
        Buffer::Float(array) => {
            let values = array.as_slice().ok_or_else(misfit)?;
            if moved.stays() && to.len() == values.len() {
                to.copy_from_slice(values);
                return Ok(());
            }
            to.iter_mut().enumerate().for_each(|(at, to)| *to = values[moved.at(at)]);
        }
        Buffer::Int(array) => {
            let values = array.as_slice().ok_or_else(misfit)?;
            to.iter_mut().enumerate().for_each(|(at, to)| *to = T::from_f64(values[moved.at(at)] as f64));
        }
        Buffer::Bool(array) => {
            let values = array.as_slice().ok_or_else(misfit)?;
            to.iter_mut()
                .enumerate()
                .for_each(|(at, to)| *to = if values[moved.at(at)] { T::one() } else { T::zero() });
        }
    }
    Ok(())
}

/// The array's elements in row order.
pub(super) fn fill<T: Float, D: Dimension>(to: &mut Array<T, D>, from: &Buffer<T>) -> Result<()> {
    let to = to.as_slice_mut().ok_or_else(misfit)?;
    from.each_float(|at, value| to[at] = value);
    Ok(())
}
