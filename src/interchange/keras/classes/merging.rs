//! Layers that merge several inputs.

use super::{Built, Class, Holds, INPUTS};
use crate::float::Float;
use crate::model::op::{MergeOp, Op};

impl<T: Float> Class<T> {
    pub(super) const MERGING: &'static [Self] = &[
        Class::layer("Add", INPUTS, Holds::Nothing, |_| Ok(Built::with(Op::Merge(MergeOp::Add), 0))),
        Class::layer("Subtract", INPUTS, Holds::Nothing, |_| Ok(Built::with(Op::Merge(MergeOp::Subtract), 0))),
        Class::layer("Multiply", INPUTS, Holds::Nothing, |_| Ok(Built::with(Op::Merge(MergeOp::Multiply), 0))),
        Class::layer("Average", INPUTS, Holds::Nothing, |_| Ok(Built::with(Op::Merge(MergeOp::Average), 0))),
        Class::layer("Maximum", INPUTS, Holds::Nothing, |_| Ok(Built::with(Op::Merge(MergeOp::Maximum), 0))),
        Class::layer("Minimum", INPUTS, Holds::Nothing, |_| Ok(Built::with(Op::Merge(MergeOp::Minimum), 0))),
        Class::layer("Concatenate", INPUTS, Holds::Nothing, |reading| {
            Ok(Built::with(Op::Concatenate { axis: reading.axis()? }, 0))
        }),
    ];
}
