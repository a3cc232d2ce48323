//! Operations that take each element from a place along each axis: Tile, Repeat, Pad, Roll, Take.

use super::places::{Elements, Kind, Read, all_known, blank, distances, in_order, written};
use crate::config::{Config, ConfigError, Value as Described};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, OverTime, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape, axis_at, known};
use crate::graph::stream::{Buffer, MOST_AXES, Step};
use crate::graph::tensor::Tensor;
use ndarray::ArrayD;

/// Along some axes each element from another place: Keras's `ops.tile`, `ops.repeat`, `ops.pad`, `ops.roll` and
/// `ops.take` of fixed places.
#[derive(Debug, Clone)]
pub(crate) struct Gather {
    pub(crate) axes: Vec<(i64, From)>,
    /// What stands where nothing is taken.
    pub(crate) fill: f64,
}

/// From which places along an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    /// All of it so many times.
    Tile(usize),
    /// Each element so many times.
    Repeat(usize),
    /// So many new ones before and after.
    Pad(usize, usize),
    /// So many places further, around the end.
    Roll(i64),
    /// These places, counted from the end if negative.
    Take(Vec<i64>),
}

impl From {
    /// The new size; nothing if it can't be.
    fn size(&self, size: Option<usize>) -> Option<Option<usize>> {
        Some(match self {
            From::Tile(count) | From::Repeat(count) => match size {
                Some(size) => Some(size.checked_mul(*count)?),
                None => None,
            },
            From::Pad(before, after) => match size {
                Some(size) => Some(size.checked_add(*before)?.checked_add(*after)?),
                None => None,
            },
            From::Roll(_) => size,
            From::Take(places) => {
                let fits = size.is_none_or(|size| places.iter().all(|&place| axis_at(place, size).is_some()));
                Some(fits.then_some(places.len())?)
            }
        })
    }

    /// Where an element comes from.
    fn place(&self, at: usize, size: usize) -> Option<usize> {
        match self {
            From::Tile(_) => at.checked_rem(size),
            From::Repeat(count) => at.checked_div(*count),
            From::Pad(before, _) => at.checked_sub(*before).filter(|&at| at < size),
            From::Roll(by) => {
                let size = i64::try_from(size).ok().filter(|&size| size > 0)?;
                usize::try_from((at as i64 - by % size).rem_euclid(size)).ok()
            }
            From::Take(places) => places.get(at).and_then(|&place| axis_at(place, size)),
        }
    }

    fn describe(&self) -> (&'static str, Vec<i64>) {
        let whole = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        match self {
            From::Tile(count) => ("tile", vec![whole(*count)]),
            From::Repeat(count) => ("repeat", vec![whole(*count)]),
            From::Pad(before, after) => ("pad", vec![whole(*before), whole(*after)]),
            From::Roll(by) => ("roll", vec![*by]),
            From::Take(places) => ("take", places.clone()),
        }
    }

    /// What a description says.
    #[cfg(feature = "file")]
    pub(crate) fn described(how: &str, numbers: &[i64]) -> Option<Self> {
        let size = |at: usize| numbers.get(at).and_then(|&number| usize::try_from(number).ok());
        let count = if how == "pad" { 2 } else { 1 };
        if how != "take" && numbers.len() != count {
            return None;
        }
        Some(match how {
            "tile" => From::Tile(size(0)?),
            "repeat" => From::Repeat(size(0)?),
            "pad" => From::Pad(size(0)?, size(1)?),
            "roll" => From::Roll(*numbers.first()?),
            "take" => From::Take(numbers.to_vec()),
            _ => return None,
        })
    }
}

impl Gather {
    fn infer(&self, x: &Shape) -> Option<Shape> {
        let mut shape = x.clone();
        for (axis, from) in &self.axes {
            let at = axis_at(*axis, shape.len())?;
            shape[at] = from.size(shape[at])?;
        }
        (x.len() <= MOST_AXES).then_some(shape)
    }

    /// The place of an element of the result in what was read.
    fn place(&self, number: usize, from: &[usize], apart: &[usize]) -> Option<usize> {
        let (mut place, mut rest) = (0, number);
        for (axis, &size) in from.iter().enumerate() {
            let (at, left) = (rest / apart[axis], rest % apart[axis]);
            rest = left;
            let mut own = Some(at);
            for (axis_of, how) in &self.axes {
                if axis_at(*axis_of, from.len()) == Some(axis) {
                    own = own.and_then(|at| how.place(at, size));
                }
            }
            place = place * size + own?;
        }
        Some(place)
    }

    /// Each element of the result with its place in what was read.
    fn each(&self, from: &[usize], to: &[usize], mut each: impl FnMut(usize, Option<usize>)) {
        let apart = distances(to);
        for number in 0..to.iter().product() {
            each(number, self.place(number, from, &apart));
        }
    }

    fn compute<T: Float>(&self, x: Read<'_, T>, output: &mut Buffer<T>) -> Result<()> {
        let mut shape = [0; MOST_AXES];
        let rank = output.shape().len();
        shape[..rank].copy_from_slice(output.shape());
        let (shape, fill) = (&shape[..rank], self.fill);
        match (x.elements, output) {
            (Elements::Float(from), Buffer::Float(to)) => {
                let (to, fill) = (to.as_slice_mut().ok_or_else(misfit)?, T::from_f64(fill));
                self.each(x.shape, shape, |at, place| to[at] = place.map_or(fill, |place| from[place]));
            }
            (Elements::Int(from), Buffer::Int(to)) => {
                let to = to.as_slice_mut().ok_or_else(misfit)?;
                self.each(x.shape, shape, |at, place| to[at] = place.map_or(fill as i64, |place| from[place]));
            }
            (Elements::Bool(from), Buffer::Bool(to)) => {
                let to = to.as_slice_mut().ok_or_else(misfit)?;
                self.each(x.shape, shape, |at, place| to[at] = place.map_or(fill != 0.0, |place| from[place]));
            }
            _ => return Err(misfit()),
        }
        Ok(())
    }
}

impl<T: Float> Operation<T> for Gather {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let each = self.axes.iter().map(|(axis, from)| {
            let (how, numbers) = from.describe();
            Described::from(Config::new("From").with("axis", *axis).with("how", how).with("numbers", numbers))
        });
        Ok(Config::new("Gather").with("axes", each.collect::<Vec<_>>()).with("fill", self.fill))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let [x] = inputs else { return shape::misfit("one input", inputs) };
        match self.infer(x) {
            Some(shape) => Ok(vec![shape]),
            None => shape::misfit(format!("what {:?} can be taken of", self.axes), inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let value = in_order(&inputs[0].value);
        let x = Read::value(&value)?;
        if x.kind() != Kind::Float && self.fill.fract() != 0.0 {
            return Err(mismatch(format!("floats, as {} is one", self.fill), x.shape));
        }
        let shape = all_known(&[self.infer(&known(x.shape)).ok_or_else(misfit)?])?;
        let mut output = blank(x.kind(), &shape);
        self.compute(x, &mut output)?;
        Ok(vec![written(output)])
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x) = (back.of_output()?, back.input()?);
        let mut own = ArrayD::zeros(x.shape());
        let (from, to) = (d.as_slice().ok_or_else(misfit)?, own.as_slice_mut().ok_or_else(misfit)?);
        self.each(x.shape(), d.shape(), |at, place| {
            if let Some(place) = place {
                to[place] += from[at];
            }
        });
        Ok(vec![Some(own)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        self.compute(Read::buffer(step.input(0))?, step.output())
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        let rank = ranks.first().copied().unwrap_or(0);
        let beyond = |axis: i64| axis_at(axis, rank).is_some_and(|at| at > 1);
        let same = |from: &From| matches!(from, From::Tile(1) | From::Repeat(1) | From::Pad(0, 0) | From::Roll(0));
        let alone = rank > 1 && self.axes.iter().all(|(axis, from)| beyond(*axis) || same(from));
        if alone { OverTime::Alone } else { OverTime::Whole }
    }
}
