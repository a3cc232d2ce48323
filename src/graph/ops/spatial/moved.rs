//! What moves rows and columns: zeros around them, fewer of them, each several times.

use ndarray::ArrayD;

use super::places;
use crate::config::{Config, ConfigError, Value as Described};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, misfit};
use crate::graph::ops::moved_steps::MovedSteps;
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::{Buffer, Step};
use crate::graph::tensor::{Shared, Tensor, Value, in_row_order};

/// Where the elements of (batch, sizes.., channels) go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moved {
    pub(crate) rank: usize,
    /// Along each dimension; those that there aren't come first.
    pub(crate) each: [MovedSteps; 3],
}

impl Moved {
    /// Along the dimensions that there are.
    pub(crate) fn new(each: &[MovedSteps]) -> Self {
        let mut all = [MovedSteps::Repeated(1); 3];
        let first = 3_usize.saturating_sub(each.len());
        all[first..].iter_mut().zip(each).for_each(|(own, moved)| *own = *moved);
        Moved { rank: each.len().min(3), each: all }
    }

    fn own(&self) -> &[MovedSteps] {
        &self.each[3 - self.rank..]
    }

    fn counts(&self, sizes: [usize; 3]) -> Option<[usize; 3]> {
        let mut counts = sizes;
        for (count, moved) in counts.iter_mut().zip(self.each) {
            *count = moved.count(*count)?;
        }
        Some(counts)
    }

    /// Of each element of the output in order, where it comes from; nothing for zeros.
    fn sources(self, sizes: [usize; 3], counts: [usize; 3]) -> impl Iterator<Item = Option<usize>> {
        places(counts).map(move |at| {
            let mut place = 0;
            for axis in 0..3 {
                place = place * sizes[axis] + self.each[axis].source(at[axis], sizes[axis])?;
            }
            Some(place)
        })
    }

    fn whole<A: Copy>(&self, shape: &[usize], zero: A, x: &[A], out: &mut [A]) -> Result<()> {
        let sizes = super::sizes(shape, self.rank).ok_or_else(misfit)?;
        let counts = self.counts(sizes).ok_or_else(misfit)?;
        let channels = shape[shape.len() - 1];
        let (from, to) = (sizes.iter().product::<usize>() * channels, counts.iter().product::<usize>() * channels);
        if from == 0 || to == 0 {
            return Ok(());
        }
        for (x, out) in x.chunks_exact(from).zip(out.chunks_exact_mut(to)) {
            for (source, out) in self.sources(sizes, counts).zip(out.chunks_exact_mut(channels)) {
                match source {
                    Some(place) => out.copy_from_slice(&x[place * channels..][..channels]),
                    None => out.fill(zero),
                }
            }
        }
        Ok(())
    }

    fn array<A: Copy>(&self, x: &Shared<A>, zero: A) -> Result<Shared<A>> {
        let x = in_row_order(x);
        let shape = x.shape();
        let counts = super::sizes(shape, self.rank).and_then(|sizes| self.counts(sizes)).ok_or_else(misfit)?;
        let shape_out = [&shape[..1], &counts[3 - self.rank..], &shape[shape.len() - 1..]].concat();
        let mut out = ArrayD::from_elem(shape_out, zero);
        self.whole(shape, zero, x.as_slice().ok_or_else(misfit)?, out.as_slice_mut().ok_or_else(misfit)?)?;
        Ok(out.into_shared())
    }
}

impl<T: Float> Operation<T> for Moved {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let pair = |moved: &MovedSteps| match *moved {
            MovedSteps::Padded(before, after) | MovedSteps::Cropped(before, after) => vec![before, after].into(),
            MovedSteps::Repeated(size) => Described::from(size),
        };
        let all: Vec<Described> = self.own().iter().map(pair).collect();
        let (name, option) = match self.own().first() {
            Some(MovedSteps::Padded(..)) => ("ZeroPadding", "padding"),
            Some(MovedSteps::Cropped(..)) => ("Cropping", "cropping"),
            _ => ("UpSampling", "size"),
        };
        Ok(Config::new(&format!("{name}{}D", self.rank)).with(option, all))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let refuse = || super::misfit(self.rank, ", more than are cropped", inputs);
        let [batch, sizes @ .., channels] = &shape::only(inputs)?[..] else { return refuse() };
        if sizes.len() != self.rank {
            return refuse();
        }
        let along = |(&size, moved): (&Option<usize>, &MovedSteps)| match size {
            None => Some(None),
            Some(size) => moved.count(size).map(Some),
        };
        match sizes.iter().zip(self.own()).map(along).collect::<Option<Vec<_>>>() {
            Some(sizes) => Ok(vec![[&[*batch], &sizes[..], &[*channels]].concat()]),
            None => refuse(),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        Ok(vec![Tensor::unmasked(match &inputs[0].value {
            Value::Float(x) => Value::Float(self.array(x, T::zero())?),
            Value::Int(x) => Value::Int(self.array(x, 0)?),
            Value::Bool(x) => Value::Bool(self.array(x, false)?),
        })])
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let (d, x) = (back.of_output()?, back.input()?);
        let shape = x.shape();
        let sizes = super::sizes(shape, self.rank).ok_or_else(misfit)?;
        let counts = self.counts(sizes).ok_or_else(misfit)?;
        let channels = shape[shape.len() - 1].max(1);
        let (positions, outputs) = (sizes.iter().product::<usize>(), counts.iter().product::<usize>());
        let mut d_x = ArrayD::zeros(shape);
        let (d, to) = (d.as_slice().ok_or_else(misfit)?, d_x.as_slice_mut().ok_or_else(misfit)?);
        let rows = d.chunks_exact((outputs * channels).max(1)).zip(to.chunks_exact_mut((positions * channels).max(1)));
        for (d, to) in rows {
            for (source, d) in self.sources(sizes, counts).zip(d.chunks_exact(channels)) {
                if let Some(place) = source {
                    to[place * channels..][..channels].iter_mut().zip(d).for_each(|(to, &d)| *to += d);
                }
            }
        }
        Ok(vec![Some(d_x)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        fn go<A: Copy>(moved: &Moved, x: &ArrayD<A>, zero: A, out: &mut ArrayD<A>) -> Result<()> {
            let from = x.as_slice().ok_or_else(misfit)?;
            moved.whole(x.shape(), zero, from, out.as_slice_mut().ok_or_else(misfit)?)
        }
        let input = step.input(0);
        match (input, step.output()) {
            (Buffer::Float(x), Buffer::Float(out)) => go(self, x, T::zero(), out),
            (Buffer::Int(x), Buffer::Int(out)) => go(self, x, 0, out),
            (Buffer::Bool(x), Buffer::Bool(out)) => go(self, x, false, out),
            _ => Err(misfit()),
        }
    }
}
