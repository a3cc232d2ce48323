//! Other shapes, and other ways to look at a value: Reshape, Permute, numpy's indexing, parts.

use super::{Call, Outputs};
use crate::config::Value;
use crate::float::Float;
use crate::formats::onnx::write::graph::{Attribute, Held, Mask};
use crate::formats::onnx::write::words::{Words, number};
use crate::formats::onnx::write::writer::{HINT, Writer};
use crate::formats::save_error::SaveError;
use crate::graph::shape::axis_at;

pub(super) const CLASSES: [&str; 12] = [
    "Flatten",
    "Reshape",
    "ReshapeAll",
    "Permute",
    "RepeatVector",
    "ExpandDims",
    "GetItem",
    "Transpose",
    "SwapAxes",
    "MoveAxis",
    "Squeeze",
    "Split",
];

impl<T: Float> Writer<T> {
    pub(super) fn shapes(&mut self, words: Words<'_>, call: &Call) -> Outputs {
        let x = call.x().masked(None::<Mask>);
        let axis = |name: &str, rank: usize| axis_at(words.integer(name), rank);
        Ok(vec![match words.class() {
            "Flatten" if x.rank() == 1 => self.unsqueeze(&x, 1),
            "Flatten" => {
                let name = self.one("Flatten", &[&x.name], &[("axis", Attribute::Int(1))]);
                Held::new(name, x.kind, call.shape())
            }
            "Reshape" => {
                let size = |value: &Value| number(value).map_or(-1, |size| size as i64);
                let target: Vec<i64> = std::iter::once(0).chain(words.list("target_shape").iter().map(size)).collect();
                self.reshape(&x, &target, call.shape())
            }
            "ReshapeAll" => self.reshape(&x, &words.integers("shape"), call.shape()),
            "Permute" => {
                let dims = words.integers("dims");
                let order: Vec<usize> = std::iter::once(0).chain(dims.iter().map(|&axis| axis as usize)).collect();
                self.transpose(&x, &order)
            }
            "RepeatVector" => {
                let wide = self.unsqueeze(&x, 1);
                let to = self.list(&[1, words.integer("n"), 1]);
                self.expand(&wide, &to, call.shape())
            }
            "ExpandDims" => match axis("axis", x.rank() + 1) {
                Some(axis) => self.unsqueeze(&x, axis),
                None => return Err(self.refuse(HINT)),
            },
            "GetItem" => self.get_item(words, x)?,
            "Squeeze" => {
                let named = words.axes("axis");
                let all = |axis: &usize| match &named {
                    None => x.shape[*axis] == Some(1),
                    Some(axes) => axes.iter().any(|&own| axis_at(own, x.rank()) == Some(*axis)),
                };
                let axes: Vec<usize> = (0..x.rank()).filter(all).collect();
                axes.into_iter().rev().fold(x, |x, axis| self.squeeze(&x, axis))
            }
            "Split" => return self.split(words, &x, call),
            _ => {
                let order = order(words, x.rank()).ok_or_else(|| self.refuse(HINT))?;
                self.transpose(&x, &order)
            }
        }])
    }

    /// Python's indices, from the first axis on.
    fn get_item(&mut self, words: Words<'_>, x: Held) -> Result<Held, SaveError> {
        let indices = words.list("index");
        let takes = |value: &&Value| matches!(value, Value::Integer(_) | Value::Config(_));
        let rest = x.rank().saturating_sub(indices.iter().filter(takes).count());
        let (mut x, mut axis) = (x, 0);
        for index in indices {
            match index {
                Value::Integer(at) => x = self.pick(&x, axis, *at),
                Value::Config(config) => {
                    x = self.sliced(x, axis, Words(config));
                    axis += 1;
                }
                Value::Text(text) if text == "new" => {
                    x = self.unsqueeze(&x, axis);
                    axis += 1;
                }
                Value::Text(text) if text == "rest" => axis += rest,
                _ => return Err(self.refuse(HINT)),
            }
        }
        Ok(x)
    }

    fn sliced(&mut self, x: Held, axis: usize, slice: Words<'_>) -> Held {
        let edge = |name: &str| if slice.is_null(name) { None } else { Some(slice.integer(name)) };
        let (start, stop, step) = (edge("start"), edge("stop"), slice.integer("step"));
        if step == 1 && matches!(start, None | Some(0)) && stop.is_none() {
            return x;
        }
        let (first, last) = if step > 0 { (0, i64::MAX) } else { (i64::MAX, i64::MIN) };
        self.slice(&x, axis, (start.unwrap_or(first), stop.unwrap_or(last), step))
    }

    /// Several parts side by side along an axis.
    fn split(&mut self, words: Words<'_>, x: &Held, call: &Call) -> Outputs {
        let axis = axis_at(words.integer("axis"), x.rank()).ok_or_else(|| self.refuse(HINT))?;
        let count = call.shapes.len();
        let parts = match words.text("parts") {
            "each" | "all" => (0..count as i64).map(|at| self.pick(x, axis, at)).collect(),
            "equal" => {
                let along = [("axis", Attribute::Int(axis as i64))];
                let names = self.node("Split", &[&x.name], &vec![true; count], &along);
                names.into_iter().map(|name| Held::new(name, x.kind, vec![])).collect()
            }
            "sizes" => {
                let mut start = 0;
                let mut parts = Vec::new();
                for size in words.integers("sizes") {
                    parts.push(self.slice(x, axis, (start, start + size, 1)));
                    start += size;
                }
                parts
            }
            _ => {
                let places = words.integers("places");
                let edges = |at: usize| {
                    let start = at.checked_sub(1).map_or(0, |before| places[before]);
                    (start, places.get(at).copied().unwrap_or(i64::MAX), 1)
                };
                (0..=places.len()).map(|at| self.slice(x, axis, edges(at))).collect()
            }
        };
        Ok(parts)
    }
}

/// The order of the axes.
fn order(words: Words<'_>, rank: usize) -> Option<Vec<usize>> {
    let at = |axis: i64| axis_at(axis, rank);
    match words.class() {
        "Transpose" => match words.axes("axes") {
            None => Some((0..rank).rev().collect()),
            Some(axes) => axes.into_iter().map(at).collect(),
        },
        "SwapAxes" => {
            let mut order: Vec<usize> = (0..rank).collect();
            order.swap(at(words.integer("axis1"))?, at(words.integer("axis2"))?);
            Some(order)
        }
        _ => {
            let places = |name: &str| words.integers(name).into_iter().map(at).collect::<Option<Vec<_>>>();
            let (from, to) = (places("source")?, places("destination")?);
            let mut moved: Vec<(usize, usize)> = to.into_iter().zip(from.iter().copied()).collect();
            moved.sort_unstable();
            let mut order: Vec<usize> = (0..rank).filter(|axis| !from.contains(axis)).collect();
            for (to, from) in moved {
                order.insert(to.min(order.len()), from);
            }
            Some(order)
        }
    }
}
