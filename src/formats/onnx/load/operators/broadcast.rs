//! Values that are spread over each other, as numpy does it: the same axes at the same places, in tensors that may have
//! them in different orders.

use crate::float::Float;
use crate::formats::error::Found;
use crate::formats::onnx::load::item::{Axis, Held, Item, Kind};
use crate::formats::onnx::load::size::Size;
use crate::formats::onnx::load::{Importer, Made};
use crate::formats::onnx::node::Node;
use crate::graph::ops::binary::{Binary, Two};
use crate::graph::ops::cast::{Cast, FullLike};
use crate::graph::ops::constant::Constant;
use crate::graph::ops::get_item::{Index, Slice, View};
use crate::graph::tensor::Value;

/// An axis of a tensor by what it is in the value: which axis, and which part of it. The batch is always the first.
type Key = Option<(usize, usize)>;

fn keys(held: &Held) -> Vec<Key> {
    let mut keys = vec![None; held.stored.len()];
    for (axis, parts) in held.axes.iter().enumerate() {
        for (at, &part) in parts.iter().enumerate().filter(|(_, part)| **part != 0) {
            keys[part] = Some((axis, at));
        }
    }
    keys
}

/// Values that go together: an array for each, tensors or constants, and the result's axes.
#[derive(Debug)]
pub(super) struct Together<T: Float> {
    pub(super) operands: Vec<Operand<T>>,
    pub(super) stored: Vec<Axis>,
    pub(super) axes: Vec<Vec<usize>>,
}

/// What an operation reads at a place.
#[derive(Debug, Clone)]
pub(super) enum Operand<T: Float> {
    Tensor(usize),
    Constant(Value<T>),
}

impl<'f, T: Float> Importer<'f, T> {
    /// Lays values of which one at least is a tensor side by side.
    pub(super) fn together(&mut self, node: &Node<'f>, items: &[Item<T>]) -> Made<Together<T>> {
        let rank = items.iter().map(Item::rank).max().unwrap_or(0);
        let mut all = items.to_vec();
        for item in &mut all {
            if let Item::Held(held) = item {
                (held.axes.len()..rank).for_each(|_| held.axes.insert(0, Vec::new()));
            }
        }
        self.take_off_spreads(&mut all);
        let tensors: Vec<&Held> =
            all.iter().filter_map(|item| if let Item::Held(held) = item { Some(held) } else { None }).collect();
        if !self.alike(&tensors) || self.crosses(&all, rank) {
            // Each axis by itself everywhere.
            for item in &mut all {
                if let Item::Held(held) = item {
                    let order = held.natural_order();
                    *held = self.arrange(node, held, &order)?;
                }
            }
        }
        let (mut result, mut stored, mut batch) = (vec![None], vec![None::<Axis>], None);
        for item in &all {
            let Item::Held(held) = item else { continue };
            if let Some(axis) = held.batch_axis() {
                if batch.is_some_and(|batch| batch != axis) {
                    return Err(node.refuse("the axes of the batch don't meet").into());
                }
                batch = Some(axis);
            }
            for (key, own) in keys(held).into_iter().zip(&held.stored) {
                match result.iter().position(|other| *other == key) {
                    Some(at) => stored[at] = Some(joined(node, stored[at].as_ref(), own)?),
                    None => {
                        result.push(key);
                        stored.push(Some(own.clone()));
                    }
                }
            }
        }
        let mut axes = axes_of(&all, rank, &result);
        self.add_axes_of_constants(node, &all, (&mut result, &mut stored, &mut axes))?;
        let stored: Vec<Axis> = stored.into_iter().map(|axis| axis.unwrap_or_else(|| Size::ONE.into())).collect();
        let mut operands = Vec::new();
        for item in &all {
            operands.push(match item {
                Item::Held(held) => Operand::Tensor(self.laid_out(node, held, &result)?),
                Item::Known(value) => Operand::Constant(self.constant_laid_out(node, value, &axes, &stored)?),
                _ => return Err(node.refuse("what is spread to a size that isn't known can't be read here").into()),
            });
        }
        Ok(Together { operands, stored, axes })
    }

    /// Adds the axes that only constants have.
    fn add_axes_of_constants(
        &self,
        node: &Node<'f>,
        all: &[Item<T>],
        (result, stored, axes): (&mut Vec<Key>, &mut Vec<Option<Axis>>, &mut [Vec<usize>]),
    ) -> Made<()> {
        let rank = axes.len();
        for item in all {
            let Item::Known(value) = item else { continue };
            let ones = rank - value.shape().len();
            for (at, &size) in value.shape().iter().enumerate().filter(|(_, size)| **size != 1) {
                let axis = at + ones;
                if axes[axis].is_empty() {
                    axes[axis] = vec![result.len()];
                    result.push(Some((axis, 0)));
                    stored.push(Some(Size::known(size).into()));
                } else if let [part] = axes[axis][..]
                    && let Some(own) = &stored[part]
                {
                    stored[part] = Some(joined(node, Some(own), &Size::known(size).into())?);
                }
            }
        }
        Ok(())
    }

    /// Makes constants of what is spread along axes that a tensor has in the same sizes: that one spreads them.
    fn take_off_spreads(&self, all: &mut [Item<T>]) {
        let rank = all.iter().map(Item::rank).max().unwrap_or(0);
        let held = |axis: usize, all: &[Item<T>]| -> Vec<Size> {
            let each = all.iter().filter_map(|item| if let Item::Held(held) = item { held.size(axis) } else { None });
            each.collect()
        };
        for at in 0..all.len() {
            let Item::Spread { of, shape } = &all[at] else { continue };
            let ones = rank - shape.len();
            let mut spread = shape.iter().zip(of.shape()).enumerate();
            let fits = spread.all(|(axis, (size, &own))| {
                size.as_known() == Some(own) || own == 1 && held(axis + ones, all).contains(size)
            });
            if fits {
                all[at] = Item::Known(of.clone());
            }
        }
    }

    /// Whether all have the same parts of the same axes, where they have any.
    fn alike(&self, all: &[&Held]) -> bool {
        let sizes = |held: &Held, axis: usize| {
            held.axes[axis].iter().map(|&part| held.stored[part].size.clone()).collect::<Vec<_>>()
        };
        let rank = all.first().map_or(0, |held| held.axes.len());
        (0..rank).all(|axis| {
            let mut parts = all.iter().map(|held| sizes(held, axis)).filter(|parts| !parts.is_empty());
            let first = parts.next().unwrap_or_default();
            parts.all(|other| other == first || first.len() == 1 && other.len() == 1)
        })
    }

    /// Whether a constant goes along an axis that is several in a tensor.
    fn crosses(&self, all: &[Item<T>], rank: usize) -> bool {
        let along = |axis: usize| {
            all.iter().any(|item| match item {
                Item::Known(value) => {
                    (axis + value.shape().len()).checked_sub(rank).is_some_and(|at| value.shape()[at] != 1)
                }
                _ => false,
            })
        };
        let merged = |axis: usize| all.iter().any(|item| matches!(item, Item::Held(held) if held.axes[axis].len() > 1));
        (0..rank).any(|axis| along(axis) && merged(axis))
    }

    /// The tensor with its axes at these places, and axes of one where it has none.
    fn laid_out(&mut self, node: &Node<'f>, held: &Held, result: &[Key]) -> Found<usize> {
        let own = keys(held);
        let order: Vec<usize> = result.iter().filter_map(|key| own.iter().position(|other| other == key)).collect();
        let moved = self.permute(node, held, &order)?;
        if own.len() == result.len() {
            return Ok(moved.tensor);
        }
        let indices = result.iter().map(|key| if own.contains(key) { Index::Slice(Slice::ALL) } else { Index::New });
        self.one(node, "expand", View::GetItem(indices.collect()), moved.tensor)
    }

    /// The same of a constant.
    fn constant_laid_out(
        &mut self,
        node: &Node<'f>,
        value: &Value<T>,
        axes: &[Vec<usize>],
        stored: &[Axis],
    ) -> Made<Value<T>> {
        if value.shape().iter().all(|&size| size == 1) {
            return self.reshaped(node, value, &[]);
        }
        // Its axes that are longer than one, in their order, then in that of the result.
        let ones = axes.len() - value.shape().len();
        let long: Vec<(usize, usize)> = value
            .shape()
            .iter()
            .enumerate()
            .filter(|(_, size)| **size != 1)
            .map(|(at, &size)| (at + ones, size))
            .collect();
        let sizes: Vec<usize> = long.iter().map(|(_, size)| *size).collect();
        let mut value = self.reshaped(node, value, &sizes)?;
        let places: Vec<usize> = long.iter().map(|(axis, _)| axes[*axis].first().copied().unwrap_or(0)).collect();
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|&at| places[at]);
        value = self.compute(node, View::Transpose(Some(order.iter().map(|&at| at as i64).collect())), &[value])?;
        let mut shape = vec![1; stored.len()];
        order.iter().for_each(|&at| shape[places[at]] = sizes[at]);
        // A constant for each step is no longer than it must be.
        let first = shape.iter().position(|&size| size != 1).unwrap_or(shape.len());
        self.reshaped(node, &value, &shape[first..])
    }

    /// What an operation makes of two values of which one at least is a tensor.
    pub(super) fn two(&mut self, node: &Node<'f>, how: Two, kind: Kind, a: &Item<T>, b: &Item<T>) -> Made<Item<T>> {
        let Together { operands, stored, axes } = self.together(node, &[a.clone(), b.clone()])?;
        let constant = |operand: &Operand<T>| match operand {
            Operand::Constant(value) => Some(Constant::of(value.clone())),
            Operand::Tensor(_) => None,
        };
        let (left, right) = (constant(&operands[0]), constant(&operands[1]));
        let tensors: Vec<usize> = tensors(&operands);
        let tensor = self.several(node, "", Binary { how, left, right }, &tensors)?;
        Ok(Item::Held(Held { tensor, kind, stored, axes }))
    }

    /// A constant, or one that is spread, as a tensor of as many rows as another one has.
    pub(super) fn like(&mut self, node: &Node<'f>, template: &Held, item: &Item<T>) -> Made<Held> {
        let (of, shape) = match item {
            Item::Known(value) => (value.clone(), item.shape()),
            Item::Spread { of, shape } => (of.clone(), Some(shape.clone())),
            _ => return Err(node.refuse("it isn't a constant").into()),
        };
        let shape = shape.ok_or_else(|| node.refuse("a shape is too large"))?;
        let batch = template.batch_axis().filter(|&axis| axis < shape.len());
        let rows = &template.stored[0].size;
        let Some(axis) = batch else { return Err(node.refuse("a constant has no axis for the batch").into()) };
        if shape[axis] != *rows && !shape[axis].is_one() {
            let reason = "a constant is of so many rows, and the batch of another number, or of any: export the model \
                          with as many rows, or give the constant one";
            return Err(node.refuse(reason).into());
        }
        let known: Option<Vec<usize>> = shape
            .iter()
            .enumerate()
            .map(|(axis, size)| if Some(axis) == batch { Some(of.shape()[axis]) } else { size.as_known() })
            .collect();
        let known = known.ok_or_else(|| node.refuse("a constant is spread to a size that isn't known"))?;
        let wide = crate::graph::ops::whole_shape::BroadcastTo(known);
        let wide = self.compute(node, wide, &[of])?;
        let (kind, cast) = match &wide {
            Value::Float(_) => (Kind::Float, Cast::Float),
            Value::Int(_) => (Kind::Int, Cast::Int),
            Value::Bool(_) => return Err(node.refuse("flags can't be spread over the batch").into()),
        };
        // Zeros of one for each row, and the constant to them.
        let first = vec![Index::At(0); template.stored.len() - 1];
        let one =
            self.one(node, "row", View::GetItem([vec![Index::Slice(Slice::ALL)], first].concat()), template.tensor)?;
        let zeros = self.one(node, "zeros", FullLike { number: 0.0, of: Some(cast) }, one)?;
        let mut axes = vec![Vec::new(); shape.len()];
        if let Some(batch) = batch {
            axes[batch] = vec![0];
        }
        let zeros = Held { tensor: zeros, kind, stored: vec![template.stored[0].clone()], axes };
        match self.two(node, Two::Add, kind, &Item::Held(zeros), &Item::Known(wide))? {
            Item::Held(held) => Ok(held),
            _ => Err(node.refuse("it isn't a constant").into()),
        }
    }
}

/// Of each axis of the result, the tensor's axes that it is.
fn axes_of<T: Float>(all: &[Item<T>], rank: usize, result: &[Key]) -> Vec<Vec<usize>> {
    let template: Vec<&Held> =
        all.iter().filter_map(|item| if let Item::Held(held) = item { Some(held) } else { None }).collect();
    (0..rank)
        .map(|axis| {
            let most = template.iter().map(|held| held.axes[axis].len()).max().unwrap_or(0);
            let widest = template.iter().find(|held| held.axes[axis].len() == most);
            let parts = widest.map_or(&[][..], |held| &held.axes[axis]);
            let place = |(at, &part): (usize, &usize)| match part {
                0 => Some(0),
                _ => result.iter().position(|key| *key == Some((axis, at))),
            };
            parts.iter().enumerate().filter_map(place).collect()
        })
        .collect()
}

pub(super) fn tensors<T: Float>(operands: &[Operand<T>]) -> Vec<usize> {
    let tensor = |operand: &Operand<T>| if let Operand::Tensor(tensor) = operand { Some(*tensor) } else { None };
    operands.iter().filter_map(tensor).collect()
}

/// An axis that is the same in two values, or one in one of them.
fn joined(node: &Node<'_>, a: Option<&Axis>, b: &Axis) -> Found<Axis> {
    match a {
        None => Ok(b.clone()),
        Some(a) if a.size.is_one() => Ok(b.clone()),
        Some(a) if b.size.is_one() || a.size == b.size => Ok(a.clone()),
        // Sizes that aren't known may be the same when the model runs, which is checked then.
        Some(a) if a.size.as_known().is_none() => Ok(if b.size.as_known().is_some() { b.clone() } else { a.clone() }),
        Some(a) if b.size.as_known().is_none() => Ok(a.clone()),
        Some(_) => Err(node.refuse("its inputs don't spread over each other")),
    }
}
