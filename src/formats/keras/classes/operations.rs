//! Operations that aren't layers, as far as masks are made with them: Keras writes them into a file whose model passes
//! masks on.

use serde_json::json;

use super::super::json::Json;
use super::super::write::{Said, Unsaid};
use super::{AS_SAID, Class, Holds, Reading, Reads};
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::operation::Op;
use crate::graph::ops::concatenate::Concatenate;
use crate::graph::ops::flags::{Any, Flags, LogicalOr, NotEqual};
use crate::graph::ops::merge::MaskRule;
use crate::graph::ops::shapes::ExpandDims;

impl<T: Float> Class<T> {
    pub(super) const OPERATIONS: &'static [Self] = &[
        // What it compares with is an argument of its call.
        Self::operation("NotEqual", &["x1", "x2"], not_equal).without(&["number"]),
        Self::operation("LogicalOr", &["x1", "x2"], |_| Ok(Op::new(LogicalOr))),
        Self::operation("Any", &["x"], any),
        Self::operation("ExpandDims", &["x"], |reading| Ok(Op::new(ExpandDims(reading.fields.integer("axis")?)))),
        Self::operation("ZerosLike", &["x"], |reading| flags(reading, false)).by(of_flags),
        Self::operation("OnesLike", &["x"], |reading| flags(reading, true)).by(of_flags),
        Self::operation("Concatenate", &["xs"], |reading| {
            Ok(Op::new(Concatenate { axis: reading.fields.integer("axis")?, masks: MaskRule::None }))
        })
        .without(&["masks"])
        .of_list(),
    ];

    const fn operation(
        name: &'static str,
        arguments: &'static [&'static str],
        read: fn(&Reading<'_, '_>) -> Found<Op<T>>,
    ) -> Self {
        Class {
            name,
            arguments,
            holds: Holds::Nothing,
            reads: Reads::Operation(read),
            written: AS_SAID,
            takes_list: false,
        }
    }
}

fn not_equal<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    reading.constant.map(|number| Op::new(NotEqual(number))).ok_or_else(|| Problem::UnsupportedClass {
        layer: reading.path().into(),
        class: "NotEqual".into(),
        hint: "it is supported as a comparison with a number, which masks are made with",
    })
}

fn any<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    let axes = reading.fields.need("axis", "whole numbers or null")?.given();
    let axes = axes.map(|axes: Json<'_>| axes.integers()).transpose()?;
    Ok(Op::new(Any { axes, keepdims: reading.fields.flag("keepdims")? }))
}

fn of_flags(said: &mut Said<'_>) -> Result<(), Unsaid> {
    said.write("dtype", "bool");
    Ok(())
}

fn flags<T: Float>(reading: &Reading<'_, '_>, value: bool) -> Found<Op<T>> {
    let dtype = reading.fields.need("dtype", "\"bool\"")?;
    dtype.only(&json!("bool"), "as part of a mask only")?;
    Ok(Op::new(Flags(value)))
}
