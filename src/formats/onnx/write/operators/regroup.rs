//! Elements at other places along some axes: padding, cropping, repeating, turning around.

use super::{Call, Outputs};
use crate::config::Value;
use crate::float::Float;
use crate::formats::onnx::write::graph::{Held, Mask};
use crate::formats::onnx::write::words::{Words, number};
use crate::formats::onnx::write::writer::{HINT, Writer};
use crate::formats::save_error::SaveError;
use crate::graph::shape::axis_at;

pub(super) const CLASSES: [&str; 11] = [
    "Gather",
    "Flip",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
];

impl<T: Float> Writer<T> {
    pub(super) fn regroup(&mut self, words: Words<'_>, call: &Call) -> Outputs {
        let x = call.x().masked(None::<Mask>);
        let class = words.class();
        Ok(vec![if class == "Gather" {
            self.gathered(words, x, call)?
        } else if class == "Flip" {
            let named = words.axes("axis");
            let turned = |axis: &usize| match &named {
                None => true,
                Some(axes) => axes.iter().any(|&own| axis_at(own, x.rank()) == Some(*axis)),
            };
            let axes: Vec<usize> = (0..x.rank()).filter(turned).collect();
            axes.into_iter().fold(x, |x, axis| self.flip(&x, axis))
        } else if class.starts_with("ZeroPadding") {
            let pads = pairs(words, "padding");
            let all = [&[(0, 0)], &pads[..], &[(0, 0)]].concat();
            self.pad(&x, &all, 0.0, call.shape())
        } else if class.starts_with("Cropping") {
            let each = pairs(words, "cropping").into_iter().enumerate();
            each.fold(x, |x, (at, (before, after))| {
                let stop = if after == 0 { i64::MAX } else { -(after as i64) };
                self.slice(&x, at + 1, (before as i64, stop, 1))
            })
        } else {
            let sizes = match words.get("size") {
                Value::List(list) => list.iter().filter_map(number).map(|size| size as usize).collect(),
                _ => vec![words.size("size")],
            };
            let each = sizes.into_iter().enumerate();
            each.fold(x, |x, (at, count)| self.repeated(&x, at + 1, count))
        }])
    }

    /// Each element along an axis so many times.
    fn repeated(&mut self, x: &Held, axis: usize, count: usize) -> Held {
        if count == 1 {
            return x.clone();
        }
        let wide = self.unsqueeze(x, axis + 1);
        let mut times = vec![1_i64; wide.rank()];
        times[axis + 1] = count as i64;
        let times = self.list(&times);
        let tiled = self.one("Tile", &[&wide.name, &times], &[]);
        let tiled = Held::new(tiled, x.kind, wide.shape);
        // Axes before it stay; it takes what is left, if those behind it are known.
        let mut shape = x.shape.clone();
        shape[axis] = shape[axis].and_then(|size| size.checked_mul(count));
        let behind: Option<Vec<i64>> = shape[axis + 1..].iter().map(|size| size.map(|size| size as i64)).collect();
        match behind {
            Some(behind) => {
                let target = [&vec![0; axis][..], &[-1], &behind].concat();
                self.reshape(&tiled, &target, shape)
            }
            None => {
                let sizes = self.shape_of(x);
                let mut scale = vec![1_i64; x.rank()];
                scale[axis] = count as i64;
                let scale = self.integers(&[x.rank()], &scale);
                let target = self.two("Mul", &sizes, &scale);
                self.reshape_to(&tiled, &target.name, shape)
            }
        }
    }

    /// Tile, Repeat, Pad, Roll, Take.
    fn gathered(&mut self, words: Words<'_>, x: Held, call: &Call) -> Result<Held, SaveError> {
        let mut x = x;
        for from in words.configs("axes") {
            let Some(axis) = axis_at(from.integer("axis"), x.rank()) else { return Err(self.refuse(HINT)) };
            let numbers = from.integers("numbers");
            let first = numbers.first().copied().unwrap_or(0);
            let size = x.shape[axis].map(|size| size as i64);
            x = match (from.text("how"), size) {
                ("tile", _) => {
                    let mut times = vec![1; x.rank()];
                    times[axis] = first;
                    let times = self.list(&times);
                    let mut shape = x.shape.clone();
                    shape[axis] = shape[axis].and_then(|size| size.checked_mul(usize::try_from(first).ok()?));
                    Held::new(self.one("Tile", &[&x.name, &times], &[]), x.kind, shape)
                }
                ("repeat", _) => self.repeated(&x, axis, usize::try_from(first).unwrap_or(1)),
                ("take", _) => self.take(&x, axis, &numbers),
                ("pad", _) => {
                    let mut pads = vec![(0, 0); x.rank()];
                    let size = |at: usize| numbers.get(at).and_then(|&size| usize::try_from(size).ok()).unwrap_or(0);
                    pads[axis] = (size(0), size(1));
                    let mut shape = x.shape.clone();
                    shape[axis] = shape[axis].map(|own| own + size(0) + size(1));
                    self.pad(&x, &pads, words.number("fill"), shape)
                }
                ("roll", Some(size)) if size > 0 => {
                    let places: Vec<i64> = (0..size).map(|at| (at - first).rem_euclid(size)).collect();
                    self.take(&x, axis, &places)
                }
                (how, _) => return Err(self.refuse_option("how", how, "of a size that isn't known it isn't written")),
            };
        }
        Ok(Held { shape: call.shape(), ..x })
    }
}

/// Two sizes of each dimension; of one dimension they stand alone.
fn pairs(words: Words<'_>, name: &str) -> Vec<(usize, usize)> {
    let sizes = |list: &[Value]| -> Vec<usize> { list.iter().filter_map(number).map(|size| size as usize).collect() };
    let pair = |list: &[Value]| match sizes(list)[..] {
        [before, after] => (before, after),
        _ => (0, 0),
    };
    let list = words.list(name);
    match list.first() {
        Some(Value::List(_)) => {
            list.iter().map(|one| if let Value::List(two) = one { pair(two) } else { (0, 0) }).collect()
        }
        _ => vec![pair(list)],
    }
}
