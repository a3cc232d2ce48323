//! Values whose elements stand elsewhere: axes in another order, parts, other shapes.

use super::graph::{Attribute, Held, Kind};
use super::writer::Writer;
use crate::float::Float;
use crate::graph::shape::Shape;

impl<T: Float> Writer<T> {
    /// The axes in another order.
    pub(super) fn transpose(&mut self, x: &Held, order: &[usize]) -> Held {
        if order.iter().copied().eq(0..x.rank()) {
            return x.clone();
        }
        let order_given = Attribute::Ints(order.iter().map(|&axis| axis as i64).collect());
        let name = self.one("Transpose", &[&x.name], &[("perm", order_given)]);
        Held::new(name, x.kind, order.iter().map(|&axis| x.shape[axis]).collect())
    }

    /// Without an axis of one.
    pub(super) fn squeeze(&mut self, x: &Held, axis: usize) -> Held {
        let axes = self.list(&[axis as i64]);
        let mut shape = x.shape.clone();
        shape.remove(axis);
        Held::new(self.one("Squeeze", &[&x.name, &axes], &[]), x.kind, shape)
    }

    /// With a new axis of one.
    pub(super) fn unsqueeze(&mut self, x: &Held, axis: usize) -> Held {
        let axes = self.list(&[axis as i64]);
        let mut shape = x.shape.clone();
        shape.insert(axis, Some(1));
        Held::new(self.one("Unsqueeze", &[&x.name, &axes], &[]), x.kind, shape)
    }

    /// In another shape, as the operator takes it: 0 for a size that stays, -1 for what is left.
    pub(super) fn reshape(&mut self, x: &Held, target: &[i64], shape: Shape) -> Held {
        let target = self.list(target);
        Held::new(self.one("Reshape", &[&x.name, &target], &[]), x.kind, shape)
    }

    /// In another shape that a value says.
    pub(super) fn reshape_to(&mut self, x: &Held, target: &str, shape: Shape) -> Held {
        Held::new(self.one("Reshape", &[&x.name, target], &[]), x.kind, shape)
    }

    /// The sizes of a value.
    pub(super) fn shape_of(&mut self, x: &Held) -> Held {
        Held::new(self.one("Shape", &[&x.name], &[]), Kind::Int, vec![Some(x.rank())])
    }

    /// Python's slice along an axis.
    pub(super) fn slice(&mut self, x: &Held, axis: usize, (start, stop, step): (i64, i64, i64)) -> Held {
        let [start_name, stop_name] = [start, stop].map(|edge| self.list(&[edge]));
        let (axis_name, step_name) = (self.list(&[axis as i64]), self.list(&[step]));
        let inputs = [&x.name[..], &start_name, &stop_name, &axis_name, &step_name];
        let mut shape = x.shape.clone();
        shape[axis] = shape[axis].and_then(|size| count(size, start, stop, step));
        Held::new(self.one("Slice", &inputs, &[]), x.kind, shape)
    }

    /// Turned around along an axis.
    pub(super) fn flip(&mut self, x: &Held, axis: usize) -> Held {
        let flipped = self.slice(x, axis, (-1, i64::MIN, -1));
        Held { shape: x.shape.clone(), ..flipped }
    }

    /// One element along an axis, which goes.
    pub(super) fn pick(&mut self, x: &Held, axis: usize, at: i64) -> Held {
        let at = self.integer(at).name;
        let mut shape = x.shape.clone();
        shape.remove(axis);
        Held::new(self.one("Gather", &[&x.name, &at], &[("axis", Attribute::Int(axis as i64))]), x.kind, shape)
    }

    /// Elements at these places along an axis.
    pub(super) fn take(&mut self, x: &Held, axis: usize, places: &[i64]) -> Held {
        let at = self.list(places);
        let mut shape = x.shape.clone();
        shape[axis] = Some(places.len());
        Held::new(self.one("Gather", &[&x.name, &at], &[("axis", Attribute::Int(axis as i64))]), x.kind, shape)
    }

    /// Side by side along an axis.
    pub(super) fn concat(&mut self, all: &[Held], axis: usize) -> Held {
        let Some(first) = all.first() else { return Held::new(String::new(), Kind::Float, vec![]) };
        if all.len() == 1 {
            return first.clone();
        }
        let names: Vec<&str> = all.iter().map(|one| &one.name[..]).collect();
        let mut shape = first.shape.clone();
        if axis < shape.len() {
            shape[axis] = all.iter().try_fold(0, |sum: usize, one| sum.checked_add(one.shape[axis]?));
        }
        Held::new(self.one("Concat", &names, &[("axis", Attribute::Int(axis as i64))]), first.kind, shape)
    }

    /// Spread over a shape that a value says.
    pub(super) fn expand(&mut self, x: &Held, to: &str, shape: Shape) -> Held {
        Held::new(self.one("Expand", &[&x.name, to], &[]), x.kind, shape)
    }

    /// New elements before and after, along each axis.
    pub(super) fn pad(&mut self, x: &Held, pads: &[(usize, usize)], fill: f64, shape: Shape) -> Held {
        let ends = pads.iter().map(|pad| pad.0).chain(pads.iter().map(|pad| pad.1));
        let ends = self.list(&ends.map(|size| size as i64).collect::<Vec<_>>());
        let fill = match x.kind {
            Kind::Float => self.number(fill),
            Kind::Int => self.integer(fill as i64),
            Kind::Bool => self.flags(&[], &[fill != 0.0]),
        };
        Held::new(self.one("Pad", &[&x.name, &ends, &fill.name], &[]), x.kind, shape)
    }

    /// What is made of all along some axes; sizes of one stay if asked for. `axes` are places.
    pub(super) fn reduce(&mut self, operator: &str, x: &Held, axes: &[usize], keeps: bool) -> Held {
        let given: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        let keepdims = ("keepdims", Attribute::Int(keeps.into()));
        let name = match operator {
            "ReduceSum" => {
                let axes = self.list(&given);
                self.one(operator, &[&x.name, &axes], &[keepdims])
            }
            _ => self.one(operator, &[&x.name], &[("axes", Attribute::Ints(given)), keepdims]),
        };
        let shape = x.shape.iter().enumerate().filter_map(|(axis, &size)| match axes.contains(&axis) {
            true => keeps.then_some(Some(1)),
            false => Some(size),
        });
        Held::new(name, x.kind, shape.collect())
    }
}

/// The number of elements of a slice.
fn count(size: usize, start: i64, stop: i64, step: i64) -> Option<usize> {
    let size = i64::try_from(size).ok()?;
    let (least, most) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let place = |at: i64| (if at < 0 { at.saturating_add(size) } else { at }).clamp(least, most);
    let way = if step > 0 { place(stop) - place(start) } else { place(start) - place(stop) };
    usize::try_from(if way > 0 { (way - 1) / step.checked_abs()? + 1 } else { 0 }).ok()
}
