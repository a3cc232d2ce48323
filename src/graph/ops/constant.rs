//! Constants among what an operation reads.

use ndarray::ArrayD;

use super::places::{Kind, Read};
use crate::config::{Config, Value as Described};
use crate::error::Result;
use crate::float::Float;
use crate::graph::shape::{Shape, known};
use crate::graph::tensor::{Value, in_row_order};

/// What an operation reads at a place: the next of its inputs, or always the same.
pub(crate) type Operand<T> = Option<Constant<T>>;

/// An array that is the same in all calls, in row order.
#[derive(Debug, Clone)]
pub(crate) struct Constant<T>(Value<T>);

impl<T: Float> Constant<T> {
    /// Of numbers of this kind in row order; nothing if there are too many or too few of them.
    pub(super) fn new(kind: Kind, shape: &[usize], numbers: &[f64]) -> Option<Self> {
        let array = ArrayD::from_shape_vec(shape, numbers.to_vec()).ok()?;
        Some(Constant(match kind {
            Kind::Float => Value::Float(array.mapv(T::from_f64).into_shared()),
            Kind::Int => Value::Int(array.mapv(|number| number as i64).into_shared()),
            Kind::Bool => Value::Bool(array.mapv(|number| number != 0.0).into_shared()),
        }))
    }

    /// An array that is there.
    #[cfg(feature = "onnx")]
    pub(crate) fn of(value: Value<T>) -> Self {
        Constant(super::places::in_order(&value))
    }

    /// Floats.
    pub(crate) fn floats(shape: &[usize], numbers: &[f64]) -> Option<Self> {
        Constant::new(Kind::Float, shape, numbers)
    }

    /// Whole numbers, which an f64 holds.
    pub(crate) fn integers(shape: &[usize], numbers: &[f64]) -> Option<Self> {
        Constant::new(Kind::Int, shape, numbers)
    }

    pub(crate) fn flags(shape: &[usize], numbers: &[f64]) -> Option<Self> {
        Constant::new(Kind::Bool, shape, numbers)
    }

    /// Its numbers as floats.
    pub(crate) fn into_floats(self) -> ArrayD<T> {
        in_row_order(&self.0.floats())
    }

    pub(super) fn shape(&self) -> Shape {
        known(self.0.shape())
    }

    pub(super) fn read(&self) -> Result<Read<'_, T>> {
        Read::value(&self.0)
    }

    /// As an option of a description.
    pub(super) fn describe(&self) -> Described {
        let (kind, numbers): (Kind, Vec<f64>) = match &self.0 {
            Value::Float(array) => (Kind::Float, array.iter().map(|value| value.into_f64()).collect()),
            Value::Int(array) => (Kind::Int, array.iter().map(|&value| value as f64).collect()),
            Value::Bool(array) => (Kind::Bool, array.iter().map(|&value| u8::from(value).into()).collect()),
        };
        let config = Config::new("Constant").with("kind", kind.name()).with("shape", self.0.shape().to_vec());
        config.with("numbers", numbers).into()
    }
}

/// Zero.
impl<T: Float> Default for Constant<T> {
    fn default() -> Self {
        Constant(Value::Float(ArrayD::zeros(vec![]).into_shared()))
    }
}

/// An operand as an option of a description; null for an input.
pub(super) fn describe<T: Float>(operand: &Operand<T>) -> Described {
    operand.as_ref().map_or(Described::Null, Constant::describe)
}

/// The operands of an operation: its inputs in order, and constants where they stand.
pub(super) fn reads<'r, T: Float, const N: usize>(
    operands: [&'r Operand<T>; N],
    mut inputs: impl Iterator<Item = Result<Read<'r, T>>>,
) -> Result<[Read<'r, T>; N]> {
    let mut all = [Read { shape: &[], elements: super::places::Elements::Bool(&[]) }; N];
    for (to, operand) in all.iter_mut().zip(operands) {
        *to = match operand {
            Some(constant) => constant.read()?,
            None => inputs.next().ok_or_else(crate::graph::operation::misfit)??,
        };
    }
    Ok(all)
}

/// The shapes of the operands; nothing if there are too many or too few inputs.
pub(super) fn shapes<T: Float, const N: usize>(operands: [&Operand<T>; N], inputs: &[Shape]) -> Option<Vec<Shape>> {
    let mut inputs = inputs.iter();
    let each = operands.iter().map(|operand| match operand {
        Some(constant) => Some(constant.shape()),
        None => inputs.next().cloned(),
    });
    let shapes: Option<Vec<Shape>> = each.collect();
    shapes.filter(|_| inputs.next().is_none())
}

/// Whether constants and inputs of these ranks meet element by element in each step: no constant is longer than one
/// along time, and all inputs have the same axes.
pub(super) fn each_step_alone<T: Float, const N: usize>(operands: [&Operand<T>; N], ranks: &[usize]) -> bool {
    let rank = ranks.iter().copied().max().unwrap_or(0);
    let fits = |operand: &&Operand<T>| match operand {
        None => true,
        Some(constant) => {
            let shape = constant.0.shape();
            // Axis 1 of the result, in the constant's own count, and the batch before it.
            shape.len() <= rank && shape.iter().rev().skip(rank.saturating_sub(2)).all(|&size| size == 1)
        }
    };
    ranks.iter().all(|&own| own == rank) && rank > 1 && operands.iter().all(fits)
}
