//! Parts of an array, and its axes in another order: what looks at the same elements in another way.

mod slice;
mod split;

use ndarray::{ArrayBase, ArrayD, Axis, IxDyn, RawData, Slice as Range};

pub(crate) use self::slice::Slice;
pub(crate) use self::split::{Parts, Split};
use crate::config::{Config, ConfigError, Value as Described};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, OverTime, misfit};
use crate::graph::shape::{self, Misfit, Shape, axis_at};
use crate::graph::stream::{Buffer, MOST_AXES, Step};
use crate::graph::tensor::{Tensor, Value};

/// What is taken along one axis after the other: numpy's indexing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Index {
    /// One element, counted from the end if negative; the axis goes.
    At(i64),
    Slice(Slice),
    /// A new axis of one.
    New,
    /// As many whole axes as the others leave.
    Rest,
}

/// Another way to look at an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum View {
    GetItem(Vec<Index>),
    /// The axes in this order; turned around if none is given.
    Transpose(Option<Vec<i64>>),
    SwapAxes(i64, i64),
    /// Axes to other places, the others in their order.
    MoveAxis(Vec<i64>, Vec<i64>),
    /// Without these axes of one; all of one if none is given.
    Squeeze(Option<Vec<i64>>),
    /// Backwards along these axes; all if none is given.
    Flip(Option<Vec<i64>>),
}

/// What is done to the axes of an array of some rank, one after the other.
#[derive(Debug, Clone, Copy)]
enum Move {
    /// Along an axis, a range of it, whose count is known if the size is.
    Take {
        axis: usize,
        slice: Slice,
    },
    Pick {
        axis: usize,
        at: i64,
    },
    Insert {
        axis: usize,
    },
}

impl View {
    /// The order of the axes, for what only orders them.
    fn order(&self, rank: usize) -> Option<Vec<usize>> {
        let at = |axis: &i64| axis_at(*axis, rank);
        let order: Vec<usize> = match self {
            View::Transpose(None) => (0..rank).rev().collect(),
            View::Transpose(Some(axes)) => axes.iter().map(at).collect::<Option<_>>()?,
            View::SwapAxes(a, b) => {
                let mut order: Vec<usize> = (0..rank).collect();
                order.swap(at(a)?, at(b)?);
                order
            }
            View::MoveAxis(from, to) => {
                let from = from.iter().map(at).collect::<Option<Vec<_>>>()?;
                let mut moved: Vec<(usize, usize)> =
                    to.iter().map(at).collect::<Option<Vec<_>>>()?.into_iter().zip(from.iter().copied()).collect();
                moved.sort_unstable();
                let mut order: Vec<usize> = (0..rank).filter(|axis| !from.contains(axis)).collect();
                for (to, from) in moved {
                    order.insert(to.min(order.len()), from);
                }
                order
            }
            _ => return None,
        };
        (order.len() == rank && (0..rank).all(|axis| order.contains(&axis))).then_some(order)
    }

    /// What is to be done, from the first axis on; nothing if there are too many indices.
    fn moves(&self, shape: &[Option<usize>], mut each: impl FnMut(Move)) -> Option<()> {
        let rank = shape.len();
        match self {
            View::GetItem(indices) => {
                let used = indices.iter().filter(|index| matches!(index, Index::At(_) | Index::Slice(_))).count();
                let rest = rank.checked_sub(used)?;
                if indices.iter().filter(|index| **index == Index::Rest).count() > 1 {
                    return None;
                }
                let mut axis = 0;
                for index in indices {
                    match *index {
                        Index::At(at) => each(Move::Pick { axis, at }),
                        Index::Slice(slice) => {
                            each(Move::Take { axis, slice });
                            axis += 1;
                        }
                        Index::New => {
                            each(Move::Insert { axis });
                            axis += 1;
                        }
                        Index::Rest => axis += rest,
                    }
                }
            }
            View::Squeeze(axes) => {
                // From the last on, so that the places of the others stay.
                for axis in (0..rank).rev() {
                    let named = axes.as_ref().map(|axes| axes.iter().any(|&own| axis_at(own, rank) == Some(axis)));
                    if named.unwrap_or(shape[axis] == Some(1)) {
                        each(Move::Pick { axis, at: 0 });
                    }
                }
            }
            View::Flip(axes) => {
                let named = |axis: usize| axes.iter().flatten().any(|&own| axis_at(own, rank) == Some(axis));
                let flipped = (0..rank).filter(|&axis| axes.is_none() || named(axis));
                flipped.for_each(|axis| each(Move::Take { axis, slice: Slice::BACKWARDS }));
            }
            View::Transpose(_) | View::SwapAxes(..) | View::MoveAxis(..) => {}
        }
        Some(())
    }

    fn infer(&self, x: &Shape) -> Option<Shape> {
        if x.len() > MOST_AXES {
            return None;
        }
        match self {
            View::Transpose(_) | View::SwapAxes(..) | View::MoveAxis(..) => {
                return Some(self.order(x.len())?.into_iter().map(|axis| x[axis]).collect());
            }
            View::Squeeze(Some(axes)) | View::Flip(Some(axes)) => {
                for &axis in axes {
                    let at = axis_at(axis, x.len())?;
                    if matches!(self, View::Squeeze(_)) && x[at].is_some_and(|size| size != 1) {
                        return None;
                    }
                }
            }
            _ => {}
        }
        let (mut shape, mut fits) = (x.clone(), true);
        self.moves(x, |step| match step {
            Move::Take { axis, slice } => shape[axis] = slice.of_unknown(shape[axis]),
            Move::Insert { axis } => shape.insert(axis, Some(1)),
            Move::Pick { axis, at } => {
                let size = shape.remove(axis);
                fits &= size.is_none_or(|size| axis_at(at, size).is_some());
            }
        })?;
        (fits && shape.len() <= MOST_AXES).then_some(shape)
    }

    /// The same elements seen in this way.
    fn of<S: RawData>(&self, mut array: ArrayBase<S, IxDyn>) -> Result<ArrayBase<S, IxDyn>> {
        if let View::Transpose(_) | View::SwapAxes(..) | View::MoveAxis(..) = self {
            // In place, by swaps: nothing is allocated, but for the order of a MoveAxis.
            let mut now = [0, 1, 2, 3, 4, 5, 6, 7];
            let rank = array.ndim();
            for axis in 0..rank {
                let wanted = self.axis_of(axis, rank).ok_or_else(misfit)?;
                let at = now[..rank].iter().position(|&own| own == wanted).ok_or_else(misfit)?;
                now.swap(axis, at);
                array.swap_axes(axis, at);
            }
            return Ok(array);
        }
        let mut sizes = [None; MOST_AXES];
        let rank = array.ndim().min(MOST_AXES);
        sizes.iter_mut().zip(array.shape()).for_each(|(to, &size)| *to = Some(size));
        let mut array = Some(array);
        let mut failed = false;
        self.moves(&sizes[..rank], |step| {
            array = array.take().and_then(|mut array| match step {
                Move::Take { axis, slice } => {
                    let (range, backwards) = slice.range(array.len_of(Axis(axis)));
                    array.slice_axis_inplace(Axis(axis), Range::new(range.start, Some(range.end), range.step));
                    if backwards {
                        array.invert_axis(Axis(axis));
                    }
                    Some(array)
                }
                Move::Insert { axis } => Some(array.insert_axis(Axis(axis))),
                Move::Pick { axis, at } => {
                    let at = axis_at(at, array.len_of(Axis(axis)))?;
                    array.collapse_axis(Axis(axis), at);
                    Some(array.remove_axis(Axis(axis)))
                }
            });
            failed |= array.is_none();
        });
        array.filter(|_| !failed).ok_or_else(misfit)
    }

    /// Whether only axes of one come or go.
    fn keeps_all_in_order(&self) -> bool {
        match self {
            View::Squeeze(_) => true,
            View::GetItem(indices) => indices
                .iter()
                .all(|index| matches!(index, Index::New | Index::Rest) || *index == Index::Slice(Slice::ALL)),
            _ => false,
        }
    }

    /// The axis that comes to this place.
    fn axis_of(&self, place: usize, rank: usize) -> Option<usize> {
        match self {
            View::Transpose(None) => Some(rank - 1 - place),
            View::Transpose(Some(axes)) => axes.get(place).and_then(|&axis| axis_at(axis, rank)),
            View::SwapAxes(a, b) => {
                let (a, b) = (axis_at(*a, rank)?, axis_at(*b, rank)?);
                Some(if place == a {
                    b
                } else if place == b {
                    a
                } else {
                    place
                })
            }
            _ => self.order(rank)?.get(place).copied(),
        }
    }
}

fn copy<A: Copy>(view: &View, from: &ArrayD<A>, to: &mut ArrayD<A>) -> Result<()> {
    let from = view.of(from.view())?;
    match (from.as_slice(), to.as_slice_mut()) {
        (Some(from), Some(to)) if from.len() == to.len() => to.copy_from_slice(from),
        _ => to.iter_mut().zip(&from).for_each(|(to, &from)| *to = from),
    }
    Ok(())
}

impl<T: Float> Operation<T> for View {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(match self {
            View::GetItem(indices) => {
                let indices: Vec<Described> = indices.iter().map(Index::describe).collect();
                Config::new("GetItem").with("index", indices)
            }
            View::Transpose(axes) => Config::new("Transpose").with("axes", axes.clone()),
            View::SwapAxes(a, b) => Config::new("SwapAxes").with("axis1", *a).with("axis2", *b),
            View::MoveAxis(from, to) => {
                Config::new("MoveAxis").with("source", from.clone()).with("destination", to.clone())
            }
            View::Squeeze(axes) => Config::new("Squeeze").with("axis", axes.clone()),
            View::Flip(axes) => Config::new("Flip").with("axis", axes.clone()),
        })
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let [x] = inputs else { return shape::misfit("one input", inputs) };
        match self.infer(x) {
            Some(shape) => Ok(vec![shape]),
            None => shape::misfit(format!("what {self:?} can be taken of"), inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        Ok(vec![Tensor::unmasked(match &inputs[0].value {
            Value::Float(x) => Value::Float(self.of(x.clone())?),
            Value::Int(x) => Value::Int(self.of(x.clone())?),
            Value::Bool(x) => Value::Bool(self.of(x.clone())?),
        })])
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let d = back.of_output()?;
        let mut own = ArrayD::zeros(back.input()?.shape());
        self.of(own.view_mut())?.assign(&d);
        Ok(vec![Some(own)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        if self.keeps_all_in_order() {
            let from = step.input(0);
            return step.output().copy_from(from);
        }
        match (step.input(0), step.output()) {
            (Buffer::Float(from), Buffer::Float(to)) => copy(self, from, to),
            (Buffer::Int(from), Buffer::Int(to)) => copy(self, from, to),
            (Buffer::Bool(from), Buffer::Bool(to)) => copy(self, from, to),
            _ => Err(misfit()),
        }
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        let rank = ranks.first().copied().unwrap_or(0);
        let stays = |axis: usize| self.axis_of(axis, rank) == Some(axis);
        let untouched = |axes: &[i64]| axes.iter().all(|&axis| axis_at(axis, rank).is_some_and(|axis| axis > 1));
        let alone = rank > 1
            && match self {
                View::GetItem(indices) => return slice::over_time(indices, rank),
                View::Squeeze(Some(axes)) | View::Flip(Some(axes)) => untouched(axes),
                View::Squeeze(None) | View::Flip(None) => false,
                _ => stays(0) && stays(1),
            };
        if alone { OverTime::Alone } else { OverTime::Whole }
    }
}
