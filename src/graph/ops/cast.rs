//! Numbers as numbers of another type, as flags of a class, as something that is always the same.

use ndarray::ArrayD;

use super::places::{Kind, Read, blank, in_order, written};
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, OverTime, misfit};
use crate::graph::shape::{self, Misfit, Shape, axis_at};
use crate::graph::stream::{Buffer, MOST_AXES, Step};
use crate::graph::tensor::{Tensor, Value, whole};

/// As numbers of another type: Keras's `ops.cast`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cast {
    Float,
    /// Through f32, where the model computes in f64.
    Narrow,
    /// Whole numbers, cut off.
    Int,
    Bool,
}

impl Cast {
    /// All by name.
    pub(crate) const NAMES: [(&'static str, Cast); 4] =
        [("float", Cast::Float), ("through_f32", Cast::Narrow), ("int", Cast::Int), ("bool", Cast::Bool)];

    fn kind(self) -> Kind {
        match self {
            Cast::Float | Cast::Narrow => Kind::Float,
            Cast::Int => Kind::Int,
            Cast::Bool => Kind::Bool,
        }
    }

    /// Whether it hands on what it is given, with its mask, as TensorFlow does.
    fn keeps<T>(self, value: &Value<T>) -> bool {
        let wide = self == Cast::Float || size_of::<T>() == 4;
        match value {
            Value::Float(_) => self.kind() == Kind::Float && wide,
            Value::Int(_) => self == Cast::Int,
            Value::Bool(_) => self == Cast::Bool,
        }
    }

    fn compute<T: Float>(self, x: Read<'_, T>, output: &mut Buffer<T>) {
        let narrow = |x: T| if self == Cast::Narrow { T::from_f64((x.into_f64() as f32).into()) } else { x };
        match output {
            Buffer::Float(to) => to.iter_mut().enumerate().for_each(|(at, to)| *to = narrow(x.float(at))),
            Buffer::Int(to) => to.iter_mut().enumerate().for_each(|(at, to)| {
                *to = if x.kind() == Kind::Float { whole(x.float(at).into_f64()) } else { x.integer(at) };
            }),
            Buffer::Bool(to) => to.iter_mut().enumerate().for_each(|(at, to)| *to = x.flag(at)),
        }
    }
}

impl<T: Float> Operation<T> for Cast {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let name = Self::NAMES.iter().find(|(_, own)| own == self).map_or("", |(name, _)| *name);
        Ok(Config::new("Cast").with("to", name))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let [x] = inputs else { return shape::misfit("one input", inputs) };
        Ok(vec![x.clone()])
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        if self.keeps(&inputs[0].value) {
            return Ok(vec![inputs[0].clone()]);
        }
        let value = in_order(&inputs[0].value);
        let x = Read::value(&value)?;
        let mut output = blank(self.kind(), x.shape);
        self.compute(x, &mut output);
        Ok(vec![written(output)])
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let floats = matches!((back.input()?, self.kind()), (Value::Float(_), Kind::Float));
        let narrow = |d: T| if *self == Cast::Narrow { T::from_f64((d.into_f64() as f32).into()) } else { d };
        let d = back.of_output()?;
        Ok(vec![floats.then(|| d.mapv_into(narrow))])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        self.compute(Read::buffer(step.input(0))?, step.output());
        Ok(())
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn steps_alone(&self) -> bool {
        true
    }
}

/// Ids as rows of zeros with a one at their places: Keras's `ops.one_hot`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OneHot {
    pub(crate) classes: usize,
    /// Where the new axis stands.
    pub(crate) axis: i64,
    pub(crate) on: f64,
    pub(crate) off: f64,
}

impl OneHot {
    fn compute<T: Float>(&self, x: Read<'_, T>, output: &mut Buffer<T>) -> Result<()> {
        let at = axis_at(self.axis, output.shape().len()).ok_or_else(misfit)?;
        let inner: usize = output.shape()[at + 1..].iter().product();
        let (on, off) = (T::from_f64(self.on), T::from_f64(self.off));
        let to = output.as_floats()?;
        to.fill(off);
        for place in 0..x.len() {
            let id = if x.kind() == Kind::Float { whole(x.float(place).into_f64()) } else { x.integer(place) };
            if let Some(id) = usize::try_from(id).ok().filter(|&id| id < self.classes) {
                to[(place / inner * self.classes + id) * inner + place % inner] = on;
            }
        }
        Ok(())
    }
}

impl<T: Float> Operation<T> for OneHot {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let config = Config::new("OneHot").with("classes", self.classes).with("axis", self.axis);
        Ok(config.with("on", self.on).with("off", self.off))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let [x] = inputs else { return shape::misfit("one input", inputs) };
        let mut hot = x.clone();
        match axis_at(self.axis, x.len() + 1) {
            Some(at) if x.len() < MOST_AXES => hot.insert(at, Some(self.classes)),
            _ => return shape::misfit(format!("an axis {}", self.axis), inputs),
        }
        Ok(vec![hot])
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let value = in_order(&inputs[0].value);
        let x = Read::value(&value)?;
        let mut shape = x.shape.to_vec();
        shape.insert(axis_at(self.axis, shape.len() + 1).ok_or_else(misfit)?, self.classes);
        let mut output = blank(Kind::Float, &shape);
        self.compute(x, &mut output)?;
        Ok(vec![written(output)])
    }

    /// Ids have no gradient.
    fn backward(&self, _back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        Ok(vec![None])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        self.compute(Read::buffer(step.input(0))?, step.output())
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        let at = ranks.first().and_then(|&rank| axis_at(self.axis, rank + 1));
        if at.is_some_and(|at| at > 1) { OverTime::Alone } else { OverTime::Whole }
    }
}

/// One number everywhere, in the shape of the input: Keras's `ops.zeros_like` and `ops.full_like`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FullLike {
    pub(crate) number: f64,
    /// What it is a number of; else of the input's.
    pub(crate) of: Option<Cast>,
}

impl FullLike {
    fn fill<T: Float>(&self, output: &mut Buffer<T>) {
        match output {
            Buffer::Float(to) => to.fill(T::from_f64(self.number)),
            Buffer::Int(to) => to.fill(self.number as i64),
            Buffer::Bool(to) => to.fill(self.number != 0.0),
        }
    }
}

impl<T: Float> Operation<T> for FullLike {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let of = self.of.map(|of| Cast::NAMES.iter().find(|(_, own)| *own == of).map_or("", |(name, _)| *name));
        Ok(Config::new("FullLike").with("number", self.number).with("of", of))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let [x] = inputs else { return shape::misfit("one input", inputs) };
        Ok(vec![x.clone()])
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let value = &inputs[0].value;
        let own = match value {
            Value::Float(_) => Kind::Float,
            Value::Int(_) => Kind::Int,
            Value::Bool(_) => Kind::Bool,
        };
        let mut output = blank(self.of.map_or(own, Cast::kind), value.shape());
        self.fill(&mut output);
        Ok(vec![written(output)])
    }

    fn backward(&self, back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        Ok(vec![back.wants_input().then(|| back.input().map(|x| ArrayD::zeros(x.shape()))).transpose()?])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        self.fill(step.output());
        Ok(())
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }

    fn steps_alone(&self) -> bool {
        true
    }
}
