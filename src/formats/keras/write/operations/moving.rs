//! Operations that move elements.

use serde_json::{Value as Json, json};

use super::super::super::words::values::plain;
use super::{Argument, KerasOperation, Made, Words};
use crate::config::{Config, Value};

/// Python's indexing: `GetItem`, or `Take` of one place along an axis.
pub(super) fn get_item(words: Words<'_>) -> Made {
    let Value::List(indices) = words.get("index") else { return Err(words.unsaid("index")) };
    if words.around.class == "Take"
        && let Some((axis, at)) = one_along(indices)
    {
        let args = vec![Argument::Input, Argument::Constant(at.into())];
        return Ok(vec![KerasOperation::new("Take", args).with("axis", axis)]);
    }
    let key = indices.iter().map(index).collect::<Option<Vec<_>>>();
    let key = key.ok_or_else(|| words.unsaid("index"))?;
    Ok(vec![KerasOperation::new("GetItem", vec![Argument::Input, Argument::Constant(key.into())])])
}

fn index(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Integer(at) => (*at).into(),
        Value::Text(text) if text == "new" => Json::Null,
        Value::Text(text) if text == "rest" => json!({"class_name": "__ellipsis__", "config": {}}),
        Value::Config(slice) => {
            let part = |name: &str| {
                let said = slice.options.iter().find(|(own, _)| own == name);
                said.map_or(Json::Null, |(_, value)| plain(value))
            };
            let (start, stop, step) = (part("start"), part("stop"), part("step"));
            let step = if step == json!(1) { Json::Null } else { step };
            json!({"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step}})
        }
        _ => return None,
    })
}

/// The axis, and the place along it, of indices that take one place along one axis alone.
fn one_along(indices: &[Value]) -> Option<(i64, i64)> {
    let whole = |value: &Value| index(value) == index(&Config::new("Slice").with("step", 1_i64).into());
    let count = |indices: &[Value]| i64::try_from(indices.len()).ok().filter(|_| indices.iter().all(whole));
    match indices {
        [Value::Text(rest), Value::Integer(at), after @ ..] if rest == "rest" => Some((-1 - count(after)?, *at)),
        [before @ .., Value::Integer(at)] => Some((count(before)?, *at)),
        _ => None,
    }
}

/// Parts of an array: `Split`, or `Unstack` if each is one element long.
pub(super) fn split(words: Words<'_>) -> Made {
    let axis = words.integer("axis");
    let of_parts =
        |parts: Json| Ok(vec![KerasOperation::of_one("Split").with("indices_or_sections", parts).with("axis", axis)]);
    let unstacked = |count: Json| Ok(vec![KerasOperation::of_one("Unstack").with("num", count).with("axis", axis)]);
    match words.text("parts") {
        "equal" => of_parts(words.integer("count").into()),
        "at" => of_parts(words.integers("places").into()),
        // TensorFlow says how long they are, Keras where they begin.
        "sizes" => {
            let sizes = words.integers("sizes");
            let mut at = 0_i64;
            let each = sizes.iter().map(|size| {
                at = at.saturating_add(*size);
                at
            });
            of_parts(each.take(sizes.len().saturating_sub(1)).collect::<Vec<_>>().into())
        }
        "each" => unstacked(words.integer("count").into()),
        "all" => unstacked(Json::Null),
        _ => Err(words.unsaid("parts")),
    }
}

/// Elements at other places: `Tile`, `Repeat`, `Pad`, `Roll`, `Take`, each along its axes.
pub(super) fn gather(words: Words<'_>) -> Made {
    let unsaid = || words.unsaid("axes");
    let Value::List(axes) = words.get("axes") else { return Err(unsaid()) };
    let each = axes.iter().map(From::of).collect::<Option<Vec<_>>>().ok_or_else(unsaid)?;
    let how = each.first().map_or("", |from| from.how);
    if each.iter().any(|from| from.how != how) {
        return Err(unsaid());
    }
    let all: Vec<i64> = each.iter().map(|from| from.axis).collect();
    let first = |from: &From<'_>| from.numbers.first().copied().unwrap_or(0);
    let firsts: Vec<i64> = each.iter().map(first).collect();
    let rank = i64::try_from(each.len()).unwrap_or(0);
    let made = match (how, &each[..]) {
        ("tile", _) if all.iter().copied().eq(-rank..0) => KerasOperation::of_one("Tile").with("repeats", firsts),
        ("repeat", [one]) => KerasOperation::of_one("Repeat").with("repeats", first(one)).with("axis", one.axis),
        ("roll", [one]) => KerasOperation::of_one("Roll").with("shift", first(one)).with("axis", one.axis),
        ("roll", _) => KerasOperation::of_one("Roll").with("shift", firsts).with("axis", all),
        ("take", [one]) => {
            let places = Argument::Constant(one.numbers.clone().into());
            KerasOperation::new("Take", vec![Argument::Input, places]).with("axis", one.axis)
        }
        ("pad", _) if all.iter().copied().eq(0..rank) => {
            let widths: Vec<Json> = each.iter().map(|from| json!(from.numbers)).collect();
            let mut made = KerasOperation::of_one("Pad").with("pad_width", widths).with("mode", "constant");
            let fill = match words.number("fill") {
                0.0 => Json::Null,
                fill if fill.is_finite() => json!(fill),
                _ => return Err(words.unsaid("fill")),
            };
            made.kwargs.insert("constant_values".into(), fill);
            made
        }
        _ => return Err(unsaid()),
    };
    Ok(vec![made])
}

/// What is gathered along an axis.
struct From<'c> {
    axis: i64,
    how: &'c str,
    numbers: Vec<i64>,
}

impl<'c> From<'c> {
    fn of(value: &'c Value) -> Option<Self> {
        let Value::Config(config) = value else { return None };
        let get = |name: &str| config.options.iter().find(|(own, _)| own == name).map(|(_, value)| value);
        let (Some(Value::Integer(axis)), Some(Value::Text(how)), Some(Value::List(numbers))) =
            (get("axis"), get("how"), get("numbers"))
        else {
            return None;
        };
        let number = |value: &Value| if let Value::Integer(number) = *value { Some(number) } else { None };
        Some(From { axis: *axis, how, numbers: numbers.iter().map(number).collect::<Option<_>>()? })
    }
}
