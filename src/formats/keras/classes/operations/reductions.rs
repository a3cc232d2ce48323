//! Operations that make one number of all along some axes.

use serde_json::json;

use super::super::{Class, Reading};
use super::X;
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::operation::Op;
use crate::graph::ops::reduce::{All, Reduce, Whole};

impl<T: Float> Class<T> {
    pub(in super::super) const REDUCTIONS: &'static [Self] = &[
        Self::operation("Sum", X, |reading| reduce(reading, All::Sum)),
        Self::operation("Mean", X, |reading| reduce(reading, All::Mean)),
        Self::operation("Average", &["x", "weights"], |reading| {
            reading.only("weights", &json!(null), "an average without weights is supported")?;
            Ok(Op::new(Reduce::new(All::Mean, reading.integers_said("axis")?, false)))
        }),
        Self::operation("Max", X, |reading| reduce(reading, All::Max)),
        Self::operation("Min", X, |reading| reduce(reading, All::Min)),
        Self::operation("Amax", X, |reading| reduce(reading, All::Max)),
        Self::operation("Amin", X, |reading| reduce(reading, All::Min)),
        Self::operation("Prod", X, |reading| reduce(reading, All::Prod)),
        Self::operation("Var", X, |reading| reduce(reading, All::Var)),
        Self::operation("Std", X, |reading| reduce(reading, All::Std)),
        Self::operation("Logsumexp", X, |reading| reduce(reading, All::LogSumExp)),
        Self::operation("Norm", X, |reading| {
            let euclidean = reading.says("ord").is_none_or(|json| json.number() == Ok(2.0));
            match reading.integers_said("axis")? {
                Some(axes) if axes.len() == 1 && euclidean => {
                    let keepdims = reading.flag_said("keepdims")?;
                    Ok(Op::new(Reduce::new(All::Norm, Some(axes), keepdims)))
                }
                _ => Err(reading.unsupported("the Euclidean norm along one axis is supported")),
            }
        }),
        Self::operation("All", X, |reading| reduce(reading, All::Every)),
        Self::operation("Argmax", X, |reading| reduce(reading, All::ArgMax)),
        Self::operation("Argmin", X, |reading| reduce(reading, All::ArgMin)),
        Self::operation("CountNonzero", X, |reading| {
            Ok(Op::new(Reduce::new(All::Count, reading.integers_said("axis")?, false)))
        }),
    ];
}

fn reduce<T: Float>(reading: &Reading<'_, '_>, how: All) -> Found<Op<T>> {
    reading.only("initial", &json!(null), "reductions without an initial value are supported")?;
    reading.own_type("dtype")?;
    let (axes, keepdims) = (reading.integers_said("axis")?, reading.flag_said("keepdims")?);
    Ok(Op::new(Reduce::new(how, axes, keepdims)))
}

/// TensorFlow's, whose means of whole numbers are whole.
pub(super) fn tensorflow<T: Float>(reading: &Reading<'_, '_>, how: All) -> Found<Op<T>> {
    let mut axes = reading.integers_said("axis")?;
    if matches!(how, All::ArgMax | All::ArgMin) {
        axes = Some(axes.unwrap_or_else(|| vec![0]));
        for name in ["output_type", "dimension"] {
            reading.only(name, &json!("int64"), "only int64 is supported")?;
        }
    }
    let keepdims = reading.flag_said("keepdims")?;
    Ok(Op::new(Reduce { whole_numbers: Whole::Refused, ..Reduce::new(how, axes, keepdims) }))
}
