//! Layers that merge several inputs.

use super::{Built, Class, Holds, INPUTS, Reading};
use crate::float::Float;
use crate::graph::ops::concatenate::Concatenate;
use crate::graph::ops::merge::{Merge, MergeOp};

impl<T: Float> Class<T> {
    pub(super) const MERGING: &'static [Self] = &[
        Class::layer("Add", INPUTS, Holds::Nothing, |reading| Ok(merge(reading, MergeOp::Add)))
            .without(&["masks"])
            .of_list(),
        Class::layer("Subtract", INPUTS, Holds::Nothing, |reading| Ok(merge(reading, MergeOp::Subtract)))
            .without(&["masks"])
            .of_list(),
        Class::layer("Multiply", INPUTS, Holds::Nothing, |reading| Ok(merge(reading, MergeOp::Multiply)))
            .without(&["masks"])
            .of_list(),
        Class::layer("Average", INPUTS, Holds::Nothing, |reading| Ok(merge(reading, MergeOp::Average)))
            .without(&["masks"])
            .of_list(),
        Class::layer("Maximum", INPUTS, Holds::Nothing, |reading| Ok(merge(reading, MergeOp::Maximum)))
            .without(&["masks"])
            .of_list(),
        Class::layer("Minimum", INPUTS, Holds::Nothing, |reading| Ok(merge(reading, MergeOp::Minimum)))
            .without(&["masks"])
            .of_list(),
        Class::layer("Concatenate", INPUTS, Holds::Nothing, |reading| {
            let masks = reading.reader.version.mask_rule();
            Ok(Built::with(Concatenate { axis: reading.axis()?, masks }, 0))
        })
        .without(&["masks"])
        .of_list(),
    ];
}

fn merge<T: Float>(reading: &Reading<'_, '_>, how: MergeOp) -> Built<T> {
    Built::with(Merge { how, masks: reading.reader.version.mask_rule() }, 0)
}
