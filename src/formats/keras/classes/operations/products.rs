//! Operations that sum products: matrix products, einsum; and vectors of length one.

use serde_json::json;

use super::super::{Class, Reading};
use super::{TWO, X, unmasked};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::operation::Op;
use crate::graph::ops::contract::{Contract, Pattern, Unit};
use crate::graph::ops::unit::UnitNormalization;

impl<T: Float> Class<T> {
    pub(in super::super) const PRODUCTS: &'static [Self] = &[
        Self::operation("Matmul", TWO, |reading| product(reading, MATMUL, TWO)),
        Self::operation("Dot", TWO, |reading| product(reading, Pattern::Dot, TWO)),
        Self::operation("Einsum", OPERANDS, |reading| {
            let subscripts = reading.must_say("subscripts", SUBSCRIPTS)?.text(SUBSCRIPTS)?;
            product(reading, Pattern::Einsum(subscripts.into()), OPERANDS)
        }),
        Self::operation("Normalize", X, |reading| {
            reading.has_axis()?;
            reading.only("order", &json!(2), "only the Euclidean length is supported")?;
            let least = reading.number_said("epsilon")?.map_or(Unit::KERAS, |least| Unit(least * least));
            let axes = reading.integers_said("axis")?.unwrap_or_else(|| vec![-1]);
            Ok(unmasked(UnitNormalization { axes, least }))
        }),
    ];
}

const OPERANDS: &[&str] = &["operand 1", "operand 2"];
const SUBSCRIPTS: &str = "letters for the axes of two arrays and their product, \"btf,bsf->bts\"";

pub(super) const MATMUL: Pattern = Pattern::Matmul { transpose_left: false, transpose_right: false };

pub(super) fn product<T: Float>(reading: &Reading<'_, '_>, pattern: Pattern, names: &[&'static str]) -> Found<Op<T>> {
    let [left, right] = names else { return Err(reading.unsupported("it reads two arrays")) };
    let (left, right) = (reading.operand(left)?, reading.operand(right)?);
    Ok(Op::new(Contract { pattern, unit: None, left, right }))
}

/// TensorFlow's matrix product.
pub(super) fn tensorflow<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    for name in ["adjoint_a", "adjoint_b", "a_is_sparse", "b_is_sparse"] {
        reading.only(name, &json!(false), "products of real, dense matrices are supported")?;
    }
    let (transpose_left, transpose_right) = (reading.flag_said("transpose_a")?, reading.flag_said("transpose_b")?);
    product(reading, Pattern::Matmul { transpose_left, transpose_right }, &["a", "b"])
}

/// TensorFlow's vectors of length one.
pub(super) fn l2_normalize<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    let least = reading.number_said("epsilon")?.map_or(Unit::TENSORFLOW, Unit);
    match reading.integers_said("axis")? {
        Some(axes) => Ok(unmasked(UnitNormalization { axes, least })),
        None => Err(reading.unsupported("l2_normalize along named axes is supported")),
    }
}
