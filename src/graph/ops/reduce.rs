//! Operations that make one number of all along some axes: sums, means, the largest.

mod backward;

use super::places::{Kind, Read, Walk, all_known, blank, distances, in_order, written};
use super::unary::WHOLE;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, OverTime, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape, axis_at, known};
use crate::graph::stream::{Buffer, MOST_AXES, Step};
use crate::graph::tensor::Tensor;
use crate::math;

/// All along some axes as one number: Keras's `ops.sum` and its like.
#[derive(Debug, Clone)]
pub(crate) struct Reduce {
    pub(crate) how: All,
    /// All axes if they aren't named.
    pub(crate) axes: Option<Vec<i64>>,
    pub(crate) keepdims: bool,
    /// What a mean of whole numbers is.
    pub(crate) whole_numbers: Whole,
}

/// What a mean of whole numbers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whole {
    /// Keras 3: a float.
    Float,
    /// TensorFlow, and so Keras 2: refused, as it is a whole number again.
    Refused,
}

/// What is made of many numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum All {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
    Var,
    Std,
    LogSumExp,
    /// The root of the sum of squares.
    Norm,
    Every,
    Any,
    /// The place of the first of the largest.
    ArgMax,
    ArgMin,
    /// How many aren't zero.
    Count,
}

impl All {
    /// All by name.
    pub(crate) const NAMES: [(&'static str, All); 14] = [
        ("sum", All::Sum),
        ("mean", All::Mean),
        ("max", All::Max),
        ("min", All::Min),
        ("prod", All::Prod),
        ("var", All::Var),
        ("std", All::Std),
        ("logsumexp", All::LogSumExp),
        ("norm", All::Norm),
        ("all", All::Every),
        ("any", All::Any),
        ("argmax", All::ArgMax),
        ("argmin", All::ArgMin),
        ("count_nonzero", All::Count),
    ];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, own)| *own == self).map_or("", |(name, _)| *name)
    }

    fn kind(self, of: Kind) -> Kind {
        match self {
            All::Sum | All::Prod if of == Kind::Bool => Kind::Int,
            All::Sum | All::Prod | All::Max | All::Min => of,
            All::Mean | All::Var | All::Std | All::LogSumExp | All::Norm => Kind::Float,
            All::Every | All::Any => Kind::Bool,
            All::ArgMax | All::ArgMin | All::Count => Kind::Int,
        }
    }

    /// Of floats, in order. Sums are summed in f64, so that long ones are as exact as Keras's, which has them in parts.
    pub(super) fn of_floats<T: Float>(self, values: impl Iterator<Item = T> + Clone, count: usize) -> T {
        let n = count as f64;
        let sum = |of: &dyn Fn(f64) -> f64| values.clone().fold(0.0, |sum, x| sum + of(x.into_f64()));
        match self {
            All::Sum => T::from_f64(sum(&|x| x)),
            All::Mean => T::from_f64(sum(&|x| x) / n),
            All::Prod => T::from_f64(values.fold(1.0, |product, x| product * x.into_f64())),
            All::Max => values.reduce(|a, b| if a >= b || a.is_nan() { a } else { b }).unwrap_or(T::neg_infinity()),
            All::Min => values.reduce(|a, b| if a <= b || a.is_nan() { a } else { b }).unwrap_or(T::infinity()),
            All::Var | All::Std => {
                let mean = sum(&|x| x) / n;
                let variance = sum(&|x| (x - mean) * (x - mean)) / n;
                T::from_f64(if self == All::Std { variance.sqrt() } else { variance })
            }
            All::LogSumExp => {
                let most = All::Max.of_floats(values.clone(), count).into_f64();
                let most = if most.is_finite() { most } else { 0.0 };
                T::from_f64(math::ln(sum(&|x| math::exp(x - most))) + most)
            }
            All::Norm => T::from_f64(sum(&|x| x * x).sqrt()),
            All::Every | All::Any | All::ArgMax | All::ArgMin | All::Count => T::zero(),
        }
    }

    fn of_integers(self, mut values: impl Iterator<Item = i64>) -> Option<i64> {
        let result = match self {
            All::Max => values.reduce(i64::max)?,
            All::Min => values.reduce(i64::min)?,
            All::Prod => values.try_fold(1_i64, i64::checked_mul)?,
            _ => values.try_fold(0_i64, i64::checked_add)?,
        };
        i32::try_from(result).is_ok().then_some(result)
    }

    /// The place of the first of the largest or the smallest.
    fn place<A: PartialOrd>(self, values: impl Iterator<Item = A>) -> i64 {
        let mut best: Option<(usize, A)> = None;
        for (at, value) in values.enumerate() {
            let wins = match &best {
                None => true,
                Some((_, best)) if self == All::ArgMax => value > *best,
                Some((_, best)) => value < *best,
            };
            if wins {
                best = Some((at, value));
            }
        }
        best.map_or(0, |(at, _)| at as i64)
    }
}

/// The ways through an array that is reduced: to the first element of each result, and from there to all of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ways {
    pub(super) results: Walk,
    pub(super) along: Walk,
}

impl Ways {
    /// Through an array of this shape.
    pub(super) fn of(shape: &[usize], is_reduced: impl Fn(usize) -> bool) -> Self {
        let (rank, apart) = (shape.len(), distances(shape));
        let of = |reduced: bool| {
            let is_reduced = &is_reduced;
            let axes = (0..rank).filter(move |&axis| is_reduced(axis) == reduced);
            Walk::new(axes.map(move |axis| (shape[axis], apart[axis])))
        };
        Ways { results: of(false), along: of(true) }
    }
}

impl Reduce {
    /// Over these axes.
    pub(crate) fn new(how: All, axes: Option<Vec<i64>>, keepdims: bool) -> Self {
        Reduce { how, axes, keepdims, whole_numbers: Whole::Float }
    }

    fn is_reduced(&self, axis: usize, rank: usize) -> bool {
        let axes = self.axes.as_deref();
        axes.is_none_or(|axes| axes.iter().any(|&own| axis_at(own, rank) == Some(axis)))
    }

    pub(super) fn ways(&self, shape: &[usize]) -> Ways {
        Ways::of(shape, |axis| self.is_reduced(axis, shape.len()))
    }

    fn compute<T: Float>(&self, x: Read<'_, T>, output: &mut Buffer<T>) -> Result<()> {
        let (Ways { results, along }, how) = (self.ways(x.shape), self.how);
        let count = along.len();
        let places = |result: usize| {
            let first = results.at(result);
            (0..count).map(move |number| first + along.at(number))
        };
        match output {
            Buffer::Float(to) => {
                let each = to.iter_mut().enumerate();
                each.for_each(|(i, to)| *to = how.of_floats(places(i).map(|at| x.float(at)), count));
            }
            Buffer::Int(to) => {
                for (i, to) in to.iter_mut().enumerate() {
                    *to = match how {
                        All::Count => places(i).filter(|&at| x.flag(at)).count() as i64,
                        All::ArgMax | All::ArgMin if x.kind() == Kind::Float => {
                            how.place(places(i).map(|at| x.float(at)))
                        }
                        All::ArgMax | All::ArgMin => how.place(places(i).map(|at| x.integer(at))),
                        _ => how
                            .of_integers(places(i).map(|at| x.integer(at)))
                            .ok_or_else(|| mismatch(WHOLE.into(), x.shape))?,
                    };
                }
            }
            Buffer::Bool(to) => to.iter_mut().enumerate().for_each(|(i, to)| {
                *to = match how {
                    All::Every | All::Min => places(i).all(|at| x.flag(at)),
                    _ => places(i).any(|at| x.flag(at)),
                }
            }),
        }
        Ok(())
    }
}

impl<T: Float> Operation<T> for Reduce {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let config = Config::new("Reduce").with("function", self.how.name()).with("axis", self.axes.clone());
        let refused = self.whole_numbers == Whole::Refused;
        Ok(config.with("keepdims", self.keepdims).with("floats_only", refused))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let [x] = inputs else { return shape::misfit("one input", inputs) };
        let axes = self.axes.as_deref().unwrap_or(&[]);
        if x.len() > MOST_AXES || axes.iter().any(|&axis| axis_at(axis, x.len()).is_none()) {
            return shape::misfit(format!("axes {axes:?} of at most eight"), inputs);
        }
        if matches!(self.how, All::ArgMax | All::ArgMin) && axes.len() != 1 {
            return shape::misfit("one axis", inputs);
        }
        let kept = |(axis, &size): (usize, &Option<usize>)| match (self.is_reduced(axis, x.len()), self.keepdims) {
            (false, _) => Some(size),
            (true, true) => Some(Some(1)),
            (true, false) => None,
        };
        Ok(vec![x.iter().enumerate().filter_map(kept).collect()])
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let value = in_order(&inputs[0].value);
        let x = Read::value(&value)?;
        if self.whole_numbers == Whole::Refused && x.kind() != Kind::Float && self.how == All::Mean {
            return Err(mismatch("floats: a mean of whole numbers is rounded in TensorFlow".into(), x.shape));
        }
        let empty = self.ways(x.shape).along.len() == 0;
        if empty && matches!(self.how, All::ArgMax | All::ArgMin) {
            return Err(mismatch("at least one element along the axis".into(), x.shape));
        }
        let shapes = Operation::<T>::infer(self, &[known(x.shape)]).map_err(|_| misfit())?;
        let mut output = blank(self.how.kind(x.kind()), &all_known(&shapes)?);
        self.compute(x, &mut output)?;
        Ok(vec![written(output)])
    }

    fn backward(&self, back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        backward::backward(self, back)
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        self.compute(Read::buffer(step.input(0))?, step.output())
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        let rank = ranks.first().copied().unwrap_or(0);
        let whole = rank < 2 || self.is_reduced(0, rank) || self.is_reduced(1, rank);
        if whole { OverTime::Whole } else { OverTime::Alone }
    }
}
