//! Several parts of an array, side by side along an axis.

use ndarray::ArrayD;

use super::{Index, Slice, View};
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, OverTime, misfit};
use crate::graph::shape::{self, Misfit, Shape, axis_at, known};
use crate::graph::stream::{Buffer, Step};
use crate::graph::tensor::{Tensor, Value};

/// Several parts of an array, side by side along an axis: Keras's `ops.split` and `ops.unstack`.
#[derive(Debug, Clone)]
pub(crate) struct Split {
    pub(crate) axis: i64,
    pub(crate) parts: Parts,
}

/// Where the parts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parts {
    /// So many of one size.
    Equal(usize),
    /// From one of these places to the next.
    At(Vec<i64>),
    /// Of these sizes.
    Sizes(Vec<usize>),
    /// So many, each of one element, without the axis.
    Each(usize),
    /// All elements, each by itself, without the axis.
    All,
}

/// The most parts that there may be.
const MOST_PARTS: usize = 1 << 13;

impl Split {
    fn count(&self, size: Option<usize>) -> Option<usize> {
        match &self.parts {
            Parts::Equal(count) | Parts::Each(count) => Some(*count),
            Parts::At(places) => Some(places.len() + 1),
            Parts::Sizes(sizes) => Some(sizes.len()),
            Parts::All => size,
        }
    }

    /// A part as a view.
    fn part(&self, number: usize, size: Option<usize>, rank: usize) -> Option<View> {
        let at = axis_at(self.axis, rank)?;
        let whole = |stop: &i64| Some(*stop);
        let index = match &self.parts {
            Parts::Each(_) | Parts::All => Index::At(number as i64),
            Parts::Equal(count) => {
                let size = size.map(|size| (size / count) as i64);
                let edge = |number: usize| size.map(|size| size * number as i64);
                Index::Slice(Slice { start: edge(number), stop: edge(number + 1), step: 1 })
            }
            Parts::Sizes(sizes) => {
                let edge = |number: usize| {
                    Some(sizes[..number].iter().fold(0, |sum: usize, &size| sum.saturating_add(size)) as i64)
                };
                Index::Slice(Slice { start: edge(number), stop: edge(number + 1), step: 1 })
            }
            Parts::At(places) => {
                let start = number.checked_sub(1).and_then(|before| places.get(before)).and_then(whole);
                Index::Slice(Slice { start, stop: places.get(number).and_then(whole), step: 1 })
            }
        };
        let mut indices = vec![Index::Slice(Slice::ALL); at];
        indices.push(index);
        Some(View::GetItem(indices))
    }

    fn views(&self, shape: &[Option<usize>]) -> Option<Vec<View>> {
        let size = axis_at(self.axis, shape.len()).and_then(|at| shape[at]);
        let fits = match (&self.parts, size) {
            (_, None) => true,
            (Parts::Equal(count), Some(size)) => *count > 0 && size % count == 0,
            (Parts::Each(count), Some(size)) => *count == size,
            (Parts::Sizes(sizes), Some(size)) => {
                sizes.iter().try_fold(0, |sum: usize, &own| sum.checked_add(own)) == Some(size)
            }
            // As Keras asks for it: one behind the other.
            (Parts::At(places), Some(_)) => places.is_sorted(),
            (Parts::All, Some(_)) => true,
        };
        let count = self.count(size).filter(|&count| count <= MOST_PARTS)?;
        (0..count).map(|number| self.part(number, size, shape.len()).filter(|_| fits)).collect()
    }
}

impl<T: Float> Operation<T> for Split {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let config = Config::new("Split").with("axis", self.axis);
        Ok(match &self.parts {
            Parts::Equal(count) => config.with("parts", "equal").with("count", *count),
            Parts::Each(count) => config.with("parts", "each").with("count", *count),
            Parts::At(places) => config.with("parts", "at").with("places", places.clone()),
            Parts::Sizes(sizes) => config.with("parts", "sizes").with("sizes", sizes.clone()),
            Parts::All => config.with("parts", "all"),
        })
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let [x] = inputs else { return shape::misfit("one input", inputs) };
        let shapes = self.views(x).and_then(|views| views.iter().map(|view| view.infer(x)).collect::<Option<_>>());
        shapes.map_or_else(|| shape::misfit(format!("what {:?} can be taken of", self.parts), inputs), Ok)
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let views = self.views(&known(inputs[0].shape())).ok_or_else(misfit)?;
        let each = views.iter().map(|view| -> Result<Tensor<T>> {
            // Each an array of its own, also where one is the whole.
            Ok(Tensor::unmasked(match &inputs[0].value {
                Value::Float(x) => Value::Float(view.of(x.view())?.to_owned().into_shared()),
                Value::Int(x) => Value::Int(view.of(x.view())?.to_owned().into_shared()),
                Value::Bool(x) => Value::Bool(view.of(x.view())?.to_owned().into_shared()),
            }))
        });
        each.collect()
    }

    fn backward(&self, back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let x = back.input()?;
        let mut own = ArrayD::zeros(x.shape());
        let views = self.views(&known(x.shape())).ok_or_else(misfit)?;
        for (view, d) in views.iter().zip(&back.upstream) {
            if let Some(d) = d {
                let mut part = view.of(own.view_mut())?;
                part += d;
            }
        }
        Ok(vec![Some(own)])
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        let rank = input.shape().len();
        let at = axis_at(self.axis, rank).ok_or_else(misfit)?;
        let row: usize = input.shape()[at + 1..].iter().product();
        let (size, mut start) = (input.shape()[at], 0);
        for output in step.outputs.iter_mut() {
            let outer: usize = input.shape()[..at].iter().product();
            let own = output.len() / (outer * row).max(1);
            // Of each outer element, so many elements from the start of the part on.
            let from = move |i: usize| i / (own * row) * (size * row) + start * row + i % (own * row);
            match (input, output) {
                (Buffer::Float(from_), Buffer::Float(to)) => part(from_, to, from)?,
                (Buffer::Int(from_), Buffer::Int(to)) => part(from_, to, from)?,
                (Buffer::Bool(from_), Buffer::Bool(to)) => part(from_, to, from)?,
                _ => return Err(misfit()),
            }
            start += own;
        }
        Ok(())
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        let at = ranks.first().and_then(|&rank| axis_at(self.axis, rank));
        if at.is_some_and(|at| at > 1) { OverTime::Alone } else { OverTime::Whole }
    }
}

fn part<A: Copy>(from: &ArrayD<A>, to: &mut ArrayD<A>, place: impl Fn(usize) -> usize) -> Result<()> {
    let from = from.as_slice().ok_or_else(misfit)?;
    to.iter_mut().enumerate().for_each(|(i, to)| *to = from[place(i)]);
    Ok(())
}
