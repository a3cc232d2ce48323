//! Operations that aren't layers: Keras 3's, which stand between layers in a functional model, and those that it writes
//! itself into a file whose model passes masks on.

mod elementwise;
mod moving;
mod products;
mod reductions;
pub(super) mod tensorflow;

use serde_json::json;

use super::{AS_SAID, Class, Holds, Reading, Reads};
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::operation::{Op, Operation};
use crate::graph::ops::concatenate::Concatenate;
use crate::graph::ops::flags::{Any, LogicalOr};
use crate::graph::ops::merge::MaskRule;
use crate::graph::ops::shapes::ExpandDims;
use crate::graph::ops::unmasked::Unmasked;

const X: &[&str] = &["x"];
const XS: &[&str] = &["xs"];
const TWO: &[&str] = &["x1", "x2"];

impl<T: Float> Class<T> {
    pub(super) const OPERATIONS: &'static [Self] = &[
        Self::operation("LogicalOr", TWO, |_| Ok(Op::new(LogicalOr))),
        Self::operation("Any", X, any),
        Self::operation("ExpandDims", X, |reading| expand_dims(reading)),
        Self::operation("Concatenate", XS, |reading| concatenate(reading, "axis")),
    ];

    pub(super) const fn operation(
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

fn any<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    let axes = reading.integers_said("axis")?;
    Ok(Op::new(Any { axes, keepdims: reading.flag_said("keepdims")? }))
}

fn expand_dims<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    let axis = reading.must_say("axis", "a whole number")?;
    match axis.integers()?[..] {
        [axis] => Ok(Op::new(ExpandDims(axis))),
        _ => Err(axis.unsupported("one axis is supported")),
    }
}

fn concatenate<T: Float>(reading: &Reading<'_, '_>, axis: &'static str) -> Found<Op<T>> {
    let axis = reading.must_say(axis, "a whole number")?.integer()?;
    Ok(Op::new(Concatenate { axis, masks: MaskRule::None }))
}

/// What a layer does, as an operation.
fn unmasked<T: Float>(operation: impl Operation<T>) -> Op<T> {
    Op::new(Unmasked(Op::new(operation)))
}

impl Reading<'_, '_> {
    /// The name of the class.
    fn class(&self) -> &str {
        self.fields.owner().class
    }

    /// What is wrong with an operation that is read otherwise.
    fn unsupported(&self, hint: &'static str) -> Problem {
        Problem::UnsupportedClass { layer: self.path().into(), class: self.class().into(), hint: hint.into() }
    }

    /// Options that say nothing but this.
    fn only(&self, name: &'static str, supported: &serde_json::Value, reason: &'static str) -> Found<()> {
        self.says(name).map_or(Ok(()), |json| json.only(supported, reason))
    }

    /// The result's type, which may be said if it is what it is anyway.
    fn own_type(&self, name: &'static str) -> Found<()> {
        self.only(name, &json!("float32"), "only results of the inputs' type are supported")
    }
}
