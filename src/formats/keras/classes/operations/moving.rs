//! Operations that move elements: parts of arrays, axes in another order, other shapes.

use serde_json::json;

use super::super::super::identity::Identity;
use super::super::super::json::Json;
use super::super::{Class, Reading};
use super::{X, XS};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::operation::Op;
use crate::graph::ops::gather::{From, Gather};
use crate::graph::ops::get_item::{Index, Parts, Slice, Split, View};
use crate::graph::ops::whole_shape::{BroadcastTo, ReshapeAll, Stack};

impl<T: Float> Class<T> {
    pub(in super::super) const MOVING: &'static [Self] = &[
        Self::operation("GetItem", &["x", "key"], |reading| get_item(reading, "key")),
        Self::operation("Transpose", X, |reading| Ok(Op::new(View::Transpose(reading.integers_said("axes")?)))),
        Self::operation("Swapaxes", X, |reading| {
            let axis = |name: &'static str| reading.must_say(name, "a whole number")?.integer();
            Ok(Op::new(View::SwapAxes(axis("axis1")?, axis("axis2")?)))
        }),
        Self::operation("Moveaxis", X, |reading| {
            let axes = |name: &'static str| reading.must_say(name, "whole numbers")?.integers();
            Ok(Op::new(View::MoveAxis(axes("source")?, axes("destination")?)))
        }),
        Self::operation("Squeeze", X, |reading| Ok(Op::new(View::Squeeze(reading.integers_said("axis")?)))),
        Self::operation("Flip", X, |reading| Ok(Op::new(View::Flip(reading.integers_said("axis")?)))),
        Self::operation("Reshape", X, |reading| reshape(reading, "newshape")),
        Self::operation("BroadcastTo", X, |reading| broadcast_to(reading)),
        Self::operation("Stack", XS, |reading| stack(reading)),
        Self::operation("Split", X, split),
        Self::operation("Unstack", X, |reading| unstack(reading)),
        Self::operation("Tile", X, |reading| tile(reading, "repeats")),
        Self::operation("Repeat", X, |reading| repeat(reading)),
        Self::operation("Pad", &["x", "constant_values"], |reading| pad(reading, "pad_width", "constant")),
        Self::operation("Roll", X, |reading| roll(reading)),
        Self::operation("Take", &["x", "indices"], |reading| take(reading)),
    ];
}

const INDEX: &str = "a whole number, a slice, an ellipsis, null, or a list of them";

/// Python's indexing.
pub(super) fn get_item<T: Float>(reading: &Reading<'_, '_>, name: &'static str) -> Found<Op<T>> {
    let key = reading.must_say(name, INDEX)?;
    let indices = match key.is_list() {
        true => key.list(INDEX)?.iter().map(index).collect::<Found<_>>()?,
        false => vec![index(&key)?],
    };
    if indices.iter().filter(|index| **index == Index::Rest).count() > 1 {
        return Err(key.wrong("one ellipsis at most"));
    }
    Ok(Op::new(View::GetItem(indices)))
}

fn index(json: &Json<'_>) -> Found<Index> {
    if json.is_null() {
        return Ok(Index::New);
    }
    if json.is_number() {
        return json.integer().map(Index::At);
    }
    if !json.is_object() {
        return Err(json.unsupported("whole numbers and slices are supported, and new axes"));
    }
    json.fields(INDEX, |fields| {
        if !fields.has("class_name") {
            return slice(fields);
        }
        let class = Identity::take(fields)?.class;
        let config = fields.take("config").unwrap_or_else(|| json.clone());
        match class {
            "__ellipsis__" => {
                config.glance(INDEX, |_| Ok(()))?;
                Ok(Index::Rest)
            }
            "__slice__" => config.fields(INDEX, |fields| slice(fields)),
            _ => Err(json.wrong(INDEX)),
        }
    })
}

fn slice(fields: &super::super::super::json::Fields<'_>) -> Found<Index> {
    let part = |name: &'static str| fields.need(name, "a whole number or null").map(Json::given);
    let integer = |json: Option<Json<'_>>| match json {
        Some(json) if !json.is_number() => Err(json.unsupported("numbers are supported here, not tensors")),
        json => json.map(|json| json.integer()).transpose(),
    };
    let (start, stop, step) = (integer(part("start")?)?, integer(part("stop")?)?, part("step")?);
    let by = integer(step.clone())?.unwrap_or(1);
    match step.filter(|_| by == 0) {
        Some(step) => Err(step.wrong("a step other than 0")),
        None => Ok(Index::Slice(Slice { start, stop, step: by })),
    }
}

pub(super) fn reshape<T: Float>(reading: &Reading<'_, '_>, name: &'static str) -> Found<Op<T>> {
    let shape = reading.must_say(name, "sizes, one of which may be -1")?;
    let sizes = match shape.is_list() {
        // Keras writes what it doesn't know as null.
        true => shape.list("sizes")?.into_iter().map(|size| size.given().map_or(Ok(-1), |size| size.integer())),
        false => return Err(shape.unsupported("a shape of numbers is supported")),
    };
    let sizes = sizes.collect::<Found<Vec<_>>>()?;
    if sizes.iter().filter(|&&size| size == -1).count() > 1 || sizes.iter().any(|&size| size < -1) {
        return Err(shape.wrong("sizes, one of which may be -1"));
    }
    Ok(Op::new(ReshapeAll(sizes)))
}

pub(super) fn broadcast_to<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    let shape = reading.must_say("shape", "sizes")?;
    let sizes = shape.integers()?.into_iter().map(|size| usize::try_from(size).map_err(|_| shape.wrong("sizes")));
    Ok(Op::new(BroadcastTo(sizes.collect::<Found<_>>()?)))
}

pub(super) fn stack<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    Ok(Op::new(Stack(reading.integer_said("axis")?.unwrap_or(0))))
}

fn split<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    let parts = reading.must_say("indices_or_sections", "a whole number, or places")?;
    let axis = reading.integer_said("axis")?.unwrap_or(0);
    let parts = match parts.is_list() {
        true => Parts::At(parts.integers()?),
        false => Parts::Equal(parts.size(MOST_PARTS)?),
    };
    Ok(Op::new(Split { axis, parts }))
}

/// The most parts that an array is split into.
pub(super) const MOST_PARTS: usize = 1 << 12;

pub(super) fn unstack<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    let axis = reading.integer_said("axis")?.unwrap_or(0);
    match reading.stated("num")? {
        Some(count) => Ok(Op::new(Split { axis, parts: Parts::Each(count.size(MOST_PARTS)?) })),
        None => Ok(Op::new(Split { axis, parts: Parts::All })),
    }
}

/// So many times along each axis, the last ones if there are fewer.
pub(super) fn tile<T: Float>(reading: &Reading<'_, '_>, name: &'static str) -> Found<Op<T>> {
    let repeats = reading.must_say(name, "whole numbers of at least 0")?;
    let counts = repeats.integers()?;
    let from_end = |at: usize| at as i64 - counts.len() as i64;
    let each = counts.iter().enumerate().map(|(at, &count)| match usize::try_from(count) {
        Ok(count) => Ok((from_end(at), From::Tile(count))),
        Err(_) => Err(repeats.wrong("whole numbers of at least 0")),
    });
    Ok(Op::new(Gather { axes: each.collect::<Found<_>>()?, fill: 0.0 }))
}

pub(super) fn repeat<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    let (repeats, axis) = (reading.must_say("repeats", "a whole number")?, reading.integer_said("axis")?);
    match (repeats.integers()?[..].first(), repeats.integers()?.len(), axis) {
        (Some(&count), 1, Some(axis)) if count >= 0 => {
            let axes = vec![(axis, From::Repeat(usize::try_from(count).unwrap_or(0)))];
            Ok(Op::new(Gather { axes, fill: 0.0 }))
        }
        _ => Err(reading.unsupported("all elements along one axis as often is supported")),
    }
}

pub(super) fn pad<T: Float>(reading: &Reading<'_, '_>, widths: &'static str, mode: &str) -> Found<Op<T>> {
    reading.only("mode", &json!(mode), "only padding by a constant is supported")?;
    let fill = reading.says("constant_values").map_or(Ok(0.0), |json| json.any_number())?;
    let each = reading.must_say(widths, "two sizes for each axis")?;
    let mut axes = Vec::new();
    for (axis, pair) in each.list("two sizes for each axis")?.iter().enumerate() {
        let sizes = pair.list("two sizes")?.iter().map(|size| size.index("a size")).collect::<Found<Vec<_>>>()?;
        let [before, after] = sizes[..] else { return Err(pair.wrong("two sizes")) };
        axes.push((axis as i64, From::Pad(before, after)));
    }
    Ok(Op::new(Gather { axes, fill }))
}

pub(super) fn roll<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    let (shifts, axes) = (reading.must_say("shift", "whole numbers")?.integers()?, reading.integers_said("axis")?);
    match axes {
        Some(axes) if axes.len() == shifts.len() => {
            let each = axes.into_iter().zip(shifts).map(|(axis, by)| (axis, From::Roll(by)));
            Ok(Op::new(Gather { axes: each.collect(), fill: 0.0 }))
        }
        _ => Err(reading.unsupported("a shift along each of some axes is supported")),
    }
}

/// One element along an axis.
fn one_along(axis: i64, at: i64) -> Vec<Index> {
    let all = |count: i64| vec![Index::Slice(Slice::ALL); usize::try_from(count.min(8)).unwrap_or(0)];
    match axis < 0 {
        true => [vec![Index::Rest, Index::At(at)], all(-1 - axis)].concat(),
        false => [all(axis), vec![Index::At(at)]].concat(),
    }
}

/// Fixed places along an axis; one place takes the axis away.
pub(super) fn take<T: Float>(reading: &Reading<'_, '_>) -> Found<Op<T>> {
    const FIXED: &str = "fixed places along one axis are supported";
    let (indices, axis) = (reading.says("indices"), reading.integer_said("axis")?);
    let (Some(indices), Some(axis)) = (indices, axis) else { return Err(reading.unsupported(FIXED)) };
    if indices.is_number() {
        return Ok(Op::new(View::GetItem(one_along(axis, indices.integer()?))));
    }
    if !indices.is_list() {
        return Err(indices.unsupported(FIXED));
    }
    Ok(Op::new(Gather { axes: vec![(axis, From::Take(indices.integers()?))], fill: 0.0 }))
}
