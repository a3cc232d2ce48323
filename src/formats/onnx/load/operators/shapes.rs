//! Operators that order axes, add some of one and take them away, and spread.

use crate::float::Float;
use crate::formats::onnx::load::item::{Held, Item};
use crate::formats::onnx::load::size::{Num, Size};
use crate::formats::onnx::load::{Importer, Made};
use crate::formats::onnx::messages::MOST_DIMENSIONS;
use crate::formats::onnx::node::Node;
use crate::graph::ops::concatenate::Concatenate;
use crate::graph::ops::gather::{From, Gather};
use crate::graph::ops::get_item::{Index, Slice, View};
use crate::graph::ops::merge::MaskRule;
use crate::graph::shape::axis_at;

/// The most times that something is put side by side with itself.
const MOST_TILES: usize = 1 << 10;

impl<'f, T: Float> Importer<'f, T> {
    pub(super) fn transpose(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let item = self.need(node, 0)?;
        let rank = item.rank();
        let order: Vec<usize> = match node.ints("perm")? {
            None => (0..rank).rev().collect(),
            Some(order) => order.iter().map(|&axis| usize::try_from(axis).unwrap_or(usize::MAX)).collect(),
        };
        if order.len() != rank || (0..rank).any(|axis| !order.contains(&axis)) {
            return Err(node.refuse("its perm must name each axis once").into());
        }
        let axes = order.iter().map(|&axis| axis as i64).collect();
        let view = View::Transpose(Some(axes));
        Ok(match item {
            Item::Held(held) => {
                let axes = order.iter().map(|&axis| held.axes[axis].clone()).collect();
                Item::Held(Held { axes, ..held })
            }
            Item::Spread { of, shape } => {
                let shape = order.iter().map(|&axis| shape[axis].clone()).collect();
                Item::Spread { of: self.compute(node, view, &[of])?, shape }
            }
            item => self.moved(node, view, &[&item])?.ok_or_else(|| node.refuse("it can't be transposed"))?,
        })
    }

    /// The axes that a node names, in an attribute or in an input, of so many.
    pub(super) fn axes(&mut self, node: &Node<'f>, place: usize, rank: usize) -> Made<Option<Vec<usize>>> {
        let named = match node.ints("axes")? {
            Some(axes) => Some(axes.to_vec()),
            None if node.input(place).is_some() => Some(self.integers_of(node, place)?),
            None => None,
        };
        let Some(named) = named else { return Ok(None) };
        if named.len() > rank {
            return Err(node.refuse(format!("it names {} axes of {rank}", named.len())).into());
        }
        let mut axes: Vec<usize> = Vec::new();
        for axis in named {
            let at = axis_at(axis, rank).filter(|at| !axes.contains(at));
            axes.push(at.ok_or_else(|| node.refuse(format!("axis {axis} isn't one of {rank}, or is named twice")))?);
        }
        Ok(Some(axes))
    }

    pub(super) fn squeeze(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let item = self.need(node, 0)?;
        let rank = item.rank();
        let shape = item.shape().ok_or_else(|| node.refuse("a shape is too large"))?;
        let axes = match self.axes(node, 1, rank)? {
            Some(axes) => axes,
            None => (0..rank).filter(|&axis| shape[axis].is_one()).collect(),
        };
        if let Some(&axis) = axes.iter().find(|&&axis| !shape[axis].is_one()) {
            return Err(node.refuse(format!("axis {axis} can't be taken away: its size isn't known to be 1")).into());
        }
        let left = |axis: &usize| !axes.contains(axis);
        match item {
            Item::Held(mut held) => {
                for &axis in &axes {
                    held = self.without(node, held, axis)?;
                }
                let axes = (0..rank).filter(left).map(|axis| held.axes[axis].clone()).collect();
                Ok(Item::Held(Held { axes, ..held }))
            }
            item => {
                let shape: Vec<Size> = (0..rank).filter(left).map(|axis| shape[axis].clone()).collect();
                self.reshape_known(node, item, shape)
            }
        }
    }

    /// The axes of the tensor that an axis of one is, taken away; the batch stays, and isn't seen.
    fn without(&mut self, node: &Node<'f>, held: Held, axis: usize) -> Made<Held> {
        let mut gone: Vec<usize> = held.axes[axis].iter().copied().filter(|&part| part != 0).collect();
        let mut held = held;
        held.axes[axis].clear();
        gone.sort_unstable();
        if gone.is_empty() {
            return Ok(held);
        }
        let view = View::Squeeze(Some(gone.iter().map(|&part| part as i64).collect()));
        held.tensor = self.one(node, "squeeze", view, held.tensor)?;
        for &part in gone.iter().rev() {
            held.stored.remove(part);
            let later = held.axes.iter_mut().flatten();
            later.filter(|own| **own > part).for_each(|own| *own -= 1);
        }
        Ok(held)
    }

    pub(super) fn unsqueeze(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let item = self.need(node, 0)?;
        let count = match (node.ints("axes")?, node.input(1)) {
            (Some(axes), _) => axes.len(),
            (None, Some(_)) => self.integers_of(node, 1)?.len(),
            (None, None) => return Err(node.refuse("it has no axes").into()),
        };
        let rank = item.rank().saturating_add(count);
        if rank > MOST_DIMENSIONS {
            return Err(node.refuse(format!("it gives {rank} axes, more than {MOST_DIMENSIONS}")).into());
        }
        let mut axes = self.axes(node, 1, rank)?.unwrap_or_default();
        axes.sort_unstable();
        match item {
            Item::Held(mut held) => {
                axes.iter().for_each(|&axis| held.axes.insert(axis, Vec::new()));
                Ok(Item::Held(held))
            }
            item => {
                let mut shape = item.shape().ok_or_else(|| node.refuse("a shape is too large"))?;
                axes.iter().for_each(|&axis| shape.insert(axis, Size::ONE));
                self.reshape_known(node, item, shape)
            }
        }
    }

    /// What is no tensor of the model in another shape: axes of one come or go, or all is known.
    pub(super) fn reshape_known(&mut self, node: &Node<'f>, item: Item<T>, shape: Vec<Size>) -> Made<Item<T>> {
        let known = |shape: &[Size]| shape.iter().map(Size::as_known).collect::<Option<Vec<usize>>>();
        if let Item::Spread { of, shape: before } = item {
            // What is spread stays so if the same axes are there, but for some of one.
            let long = |shape: &[Size]| shape.iter().filter(|size| !size.is_one()).cloned().collect::<Vec<_>>();
            let uniform = of.shape().iter().all(|&size| size == 1);
            let of_shape: Vec<usize> = match uniform {
                true => vec![1; shape.len()],
                false if long(&before) == long(&shape) => {
                    let sizes = before.iter().zip(of.shape()).filter(|(size, _)| !size.is_one());
                    let mut sizes = sizes.map(|(_, &size)| size);
                    shape.iter().map(|size| if size.is_one() { 1 } else { sizes.next().unwrap_or(1) }).collect()
                }
                false => return Err(node.refuse("what is spread to a size that isn't known can't be reshaped").into()),
            };
            let of = self.reshaped(node, &of, &of_shape)?;
            return self.spread(node, of, shape);
        }
        let shape = known(&shape).ok_or_else(|| node.refuse("a constant can't have a size that isn't known"))?;
        let sizes = shape.iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
        let reshape = crate::graph::ops::whole_shape::ReshapeAll(sizes);
        Ok(self.moved(node, reshape, &[&item])?.ok_or_else(|| node.refuse("it can't be reshaped"))?)
    }

    pub(super) fn expand(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let item = self.need(node, 0)?;
        let mut target = self.sizes_of(node, 1)?;
        let mut shape = item.shape().ok_or_else(|| node.refuse("a shape is too large"))?;
        let rank = shape.len().max(target.len());
        let ones = rank - shape.len();
        shape.splice(0..0, vec![Size::ONE; ones]);
        let missing = rank - target.len();
        target.splice(0..0, vec![Size::ONE; missing]);
        let mut wide = Vec::new();
        for (own, new) in shape.iter().zip(target) {
            wide.push(match (own, new) {
                (own, new) if new.is_one() => own.clone(),
                (own, new) if own.is_one() || *own == new => new,
                _ => return Err(node.refuse("the shapes don't spread over each other").into()),
            });
        }
        match item {
            Item::Held(mut held) => {
                (0..ones).for_each(|_| held.axes.insert(0, Vec::new()));
                for (axis, size) in wide.iter().enumerate().filter(|(axis, size)| **size != shape[*axis]) {
                    let count = size
                        .as_known()
                        .ok_or_else(|| node.refuse("a tensor can't be spread to a size that isn't known"))?;
                    held = self.repeat(node, held, axis, count)?;
                }
                Ok(Item::Held(held))
            }
            Item::Known(value) => {
                let shape: Vec<usize> = vec![1; ones].into_iter().chain(value.shape().iter().copied()).collect();
                let value = self.reshaped(node, &value, &shape)?;
                self.spread(node, value, wide)
            }
            Item::Spread { of, .. } => {
                let shape: Vec<usize> = vec![1; ones].into_iter().chain(of.shape().iter().copied()).collect();
                let of = self.reshaped(node, &of, &shape)?;
                self.spread(node, of, wide)
            }
            Item::Numbers(numbers) if numbers.table.len() == 1 && numbers.places.len() == 1 => {
                Ok(Item::Repeated { number: numbers.table[0].clone(), shape: wide })
            }
            Item::Numbers(_) | Item::Part(_) => {
                Err(node.refuse("several sizes that aren't known before a call can't be spread").into())
            }
            Item::Repeated { number, .. } => Ok(Item::Repeated { number, shape: wide }),
        }
    }

    pub(super) fn tile(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let mut item = self.need(node, 0)?;
        let repeats = self.integers_of(node, 1)?;
        if repeats.len() != item.rank() {
            return Err(node.refuse(format!("its repeats must be {} numbers, one for each axis", item.rank())).into());
        }
        for (axis, &count) in repeats.iter().enumerate().filter(|(_, count)| **count != 1) {
            let count = usize::try_from(count).map_err(|_| node.refuse("its repeats must not be below 0"))?;
            item = self.tiled(node, item, axis, count)?;
        }
        Ok(item)
    }

    /// An axis so many times, one behind the other.
    fn tiled(&mut self, node: &Node<'f>, item: Item<T>, axis: usize, count: usize) -> Made<Item<T>> {
        if !(1..=MOST_TILES).contains(&count) {
            return Err(node.refuse(format!("its repeats must be 1 to {MOST_TILES}, got {count}")).into());
        }
        let side_by_side = |axis: usize| Concatenate { axis: axis as i64, masks: MaskRule::None };
        let mut held = match item {
            Item::Held(held) => held,
            item => {
                let tiled = self.moved(node, side_by_side(axis), &vec![&item; count])?;
                return Ok(tiled.ok_or_else(|| node.refuse("it repeats what is spread to a size that isn't known"))?);
            }
        };
        if held.axes[axis].is_empty() {
            return Ok(Item::Held(self.repeat(node, held, axis, count)?));
        }
        if held.axes[axis].contains(&0) {
            return Err(node.refuse("the batch can't be repeated").into());
        }
        held = self.single(node, &held, axis)?;
        let part = held.axes[axis][0];
        held.tensor = self.several(node, "", side_by_side(part), &vec![held.tensor; count])?;
        let size = held.stored[part].size.times(&Size::known(count));
        held.stored[part] = size.ok_or_else(|| node.refuse("an axis is too long"))?.into();
        Ok(Item::Held(held))
    }

    /// Each row backwards, if all rows are as long as the axis is: what tf2onnx writes for a direction.
    pub(super) fn reverse_sequence(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let item = self.need(node, 0)?;
        let (batch, time) = (node.int("batch_axis", 1)?, node.int("time_axis", 0)?);
        let axis = axis_at(time, item.rank()).filter(|_| batch != time && axis_at(batch, item.rank()).is_some());
        let axis = axis.ok_or_else(|| node.refuse("its batch_axis and time_axis must be two of its input's axes"))?;
        let length = match self.need(node, 1)? {
            Item::Repeated { number, .. } => Some(number),
            Item::Known(value) => {
                let lengths = value.integers();
                lengths
                    .first()
                    .filter(|first| lengths.iter().all(|length| length == *first))
                    .map(|&first| Num::Known(first))
            }
            _ => None,
        };
        let shape = item.shape().ok_or_else(|| node.refuse("a shape is too large"))?;
        if length.is_none_or(|length| length != Num::from(shape[axis].clone())) {
            return Err(node.refuse("rows of which only a part is turned around aren't supported").into());
        }
        self.take(node, item, axis, Index::Slice(Slice { start: None, stop: None, step: -1 }))
    }

    /// An axis of one so many times.
    fn repeat(&mut self, node: &Node<'f>, held: Held, axis: usize, count: usize) -> Made<Held> {
        if held.axes[axis].contains(&0) {
            return Err(node.refuse("the batch can't be spread").into());
        }
        let mut held = self.bring_last(node, &held, axis)?;
        let place = held.stored.len() - 1;
        let repeat = Gather { axes: vec![(place as i64, From::Repeat(count))], fill: 0.0 };
        held.tensor = self.one(node, "", repeat, held.tensor)?;
        held.stored[place] = Size::known(count).into();
        Ok(held)
    }
}
