//! Operators that take parts of values, or put values side by side.

use ndarray::ArrayD;

use super::Outputs;
use crate::float::Float;
use crate::formats::onnx::load::assume::Again;
use crate::formats::onnx::load::item::{Held, Item};
use crate::formats::onnx::load::size::{Num, Size};
use crate::formats::onnx::load::{Importer, Made, Stop};
use crate::formats::onnx::node::Node;
use crate::graph::ops::concatenate::Concatenate;
use crate::graph::ops::gather::{From, Gather};
use crate::graph::ops::get_item::{Index, Slice, View};
use crate::graph::ops::merge::MaskRule;
use crate::graph::shape::axis_at;
use crate::graph::tensor::Value;

impl<'f, T: Float> Importer<'f, T> {
    pub(super) fn slice(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let item = self.need(node, 0)?;
        let by_attribute = node.has("starts");
        let numbers = |importer: &Self, name: &'static str, place: usize| -> Made<Option<Vec<Num>>> {
            if by_attribute {
                return Ok(node.ints(name)?.map(|all| all.iter().map(|&number| Num::Known(number)).collect()));
            }
            let there = node.input(place).is_some();
            Ok(if there { Some(importer.numbers_of(node, place)?.iter().cloned().collect()) } else { None })
        };
        let (starts, ends) = (numbers(self, "starts", 1)?, numbers(self, "ends", 2)?);
        let (Some(starts), Some(ends)) = (starts, ends) else {
            return Err(node.refuse("it has no starts or ends").into());
        };
        let axes = self.axes(node, 3, item.rank())?.unwrap_or_else(|| (0..starts.len()).collect());
        let steps = numbers(self, "steps", 4)?.unwrap_or_else(|| vec![Num::Known(1); starts.len()]);
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || axes.len() > item.rank() {
            return Err(node.refuse("its starts, ends, axes and steps must be as many").into());
        }
        let shape = item.shape().ok_or_else(|| node.refuse("a shape is too large"))?;
        let mut item = item;
        for (at, &axis) in axes.iter().enumerate() {
            let step = steps[at].as_known().filter(|&step| step != 0);
            let step = step.ok_or_else(|| node.refuse("its steps must be known, and not 0"))?;
            let size = &shape[axis];
            // The end that isn't known, as where nothing is left.
            let is_end = |number: &Num| matches!(number, Num::Of(own, 0) if own == size);
            if (step > 0 && is_end(&starts[at])) || (step < 0 && is_end(&ends[at])) {
                return Err(node.refuse("a slice of an axis that begins at its unknown end isn't supported").into());
            }
            let slice = Slice {
                start: place(&starts[at], size)
                    .ok_or_else(|| self.unknown_end(node))?
                    .filter(|&start| start != 0 || step < 0),
                stop: place(&ends[at], size)
                    .ok_or_else(|| self.unknown_end(node))?
                    .filter(|&end| !is_behind(end, size, step)),
                step,
            };
            item = self.take(node, item, axis, Index::Slice(slice))?;
        }
        Ok(item)
    }

    fn unknown_end(&self, node: &Node<'f>) -> crate::formats::error::Problem {
        node.refuse("where it begins or ends must be known, or counted from the axis's own end")
    }

    /// A part of an axis, or one place of it, without the axis then.
    pub(super) fn take(&mut self, node: &Node<'f>, item: Item<T>, axis: usize, index: Index) -> Made<Item<T>> {
        let is_all = index == Index::Slice(Slice::ALL);
        if is_all {
            return Ok(item);
        }
        let view = |axis: usize| View::GetItem([vec![Index::Slice(Slice::ALL); axis], vec![index]].concat());
        match item {
            Item::Held(held) => {
                if held.axes[axis].contains(&0) {
                    return Err(self.not_the_batch(node, &held, "a part of the batch can't be taken"));
                }
                let mut held = self.single(node, &held, axis)?;
                let part = held.axes[axis][0];
                held.tensor = self.one(node, "", view(part), held.tensor)?;
                match index {
                    Index::Slice(slice) => {
                        let known = held.stored[part].size.as_known();
                        let size = match known {
                            Some(size) => Size::known(slice.count(size)),
                            None if slice.start == Some(-1) && slice.stop.is_none() && slice.step == 1 => Size::ONE,
                            None if slice.start.is_none() && slice.stop == Some(1) && slice.step == 1 => Size::ONE,
                            None if slice.start.is_none() && slice.stop.is_none() && slice.step == -1 => {
                                held.stored[part].size.clone()
                            }
                            None => self.new_size(),
                        };
                        held.stored[part] = size.into();
                    }
                    _ => {
                        held.stored.remove(part);
                        held.axes.remove(axis);
                        let later = held.axes.iter_mut().flatten();
                        later.filter(|own| **own > part).for_each(|own| *own -= 1);
                    }
                }
                Ok(Item::Held(held))
            }
            Item::Spread { of, shape } => self.take_spread(node, of, shape, axis, index),
            item => {
                Ok(self.moved(node, view(axis), &[&item])?.ok_or_else(|| node.refuse("no part of it can be taken"))?)
            }
        }
    }

    /// The same of what is spread.
    fn take_spread(
        &mut self,
        node: &Node<'f>,
        of: Value<T>,
        mut shape: Vec<Size>,
        axis: usize,
        index: Index,
    ) -> Made<Item<T>> {
        let view = |axis: usize| View::GetItem([vec![Index::Slice(Slice::ALL); axis], vec![index]].concat());
        if of.shape()[axis] == 1 {
            match (index, shape[axis].as_known()) {
                (Index::At(_), _) => {
                    shape.remove(axis);
                }
                (Index::Slice(slice), Some(size)) => shape[axis] = Size::known(slice.count(size)),
                _ => return Err(node.refuse("a part of an axis whose size isn't known can't be taken").into()),
            }
            let of_shape: Vec<usize> = shape.iter().map(|_| 1).collect();
            let uniform = of.shape().iter().all(|&size| size == 1);
            let of = match index {
                Index::At(_) if uniform => self.reshaped(node, &of, &of_shape)?,
                Index::At(_) => self.compute(node, view(axis), &[of])?,
                _ => of,
            };
            return self.spread(node, of, shape);
        }
        let of = self.compute(node, view(axis), &[of])?;
        match index {
            Index::Slice(_) => shape[axis] = Size::known(of.shape()[axis]),
            _ => {
                shape.remove(axis);
            }
        }
        self.spread(node, of, shape)
    }

    /// An axis that was taken to be the batch and isn't, as a part of it is taken: the next one may be.
    fn not_the_batch(&self, node: &Node<'f>, held: &Held, reason: &str) -> Stop {
        let origin = held.stored[0].origin.filter(|(input, axis)| {
            let shape = self.file.model.graph.inputs[*input].shape.as_deref().unwrap_or(&[]);
            *axis == 0 && shape.len() > 2
        });
        match origin {
            Some((input, axis)) => Stop::Again(Again::Batch(input, axis + 1)),
            None => node.refuse(reason).into(),
        }
    }

    pub(super) fn split(&mut self, node: &Node<'f>) -> Made<Outputs<T>> {
        let item = self.need(node, 0)?;
        let shape = item.shape().ok_or_else(|| node.refuse("a shape is too large"))?;
        let axis = node.int("axis", 0)?;
        let axis = axis_at(axis, shape.len()).ok_or_else(|| node.refuse(format!("there is no axis {axis}")))?;
        let size = shape[axis].as_known().ok_or_else(|| node.refuse("it splits an axis whose size isn't known"))?;
        let count = node.proto.outputs.len();
        if node.int("num_outputs", count as i64)? != count as i64 || count == 0 {
            return Err(node.refuse("its num_outputs isn't the number of its outputs").into());
        }
        let told = match node.ints("split")? {
            Some(sizes) => Some(sizes.to_vec()),
            None if node.input(1).is_some() => Some(self.integers_of(node, 1)?),
            None => None,
        };
        let sizes: Vec<usize> = match told {
            Some(sizes) => sizes.iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect(),
            None => {
                // The last one is smaller if it must be.
                let part = size.div_ceil(count);
                (0..count).map(|at| part.min(size.saturating_sub(at * part))).collect()
            }
        };
        if sizes.len() != count || sizes.iter().copied().fold(0, usize::saturating_add) != size {
            return Err(node.refuse(format!("its parts must add up to {size}")).into());
        }
        let (mut outputs, mut start) = (Vec::new(), 0_i64);
        for (at, size) in sizes.into_iter().enumerate() {
            let stop = start.saturating_add(i64::try_from(size).unwrap_or(i64::MAX));
            let slice = Slice { start: Some(start), stop: Some(stop), step: 1 };
            start = stop;
            let part = self.reads(node, at).then(|| self.take(node, item.clone(), axis, Index::Slice(slice)));
            outputs.push(part.transpose()?);
        }
        Ok(outputs)
    }

    pub(super) fn gather(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let (item, indices) = (self.need(node, 0)?, self.need(node, 1)?);
        let axis = node.int("axis", 0)?;
        let axis = axis_at(axis, item.rank()).ok_or_else(|| node.refuse(format!("there is no axis {axis}")))?;
        if let (Item::Known(table), Item::Held(ids)) = (&item, &indices) {
            if let (Value::Int(numbers), 0) = (table, axis) {
                return self.quantized_table(node, &numbers.clone(), ids);
            }
            let bytes = self.bytes_of(node, 0);
            return self.embedding(node, table, bytes.as_deref(), ids, axis);
        }
        let Item::Known(Value::Int(places)) = &indices else {
            return Err(node.refuse("places that come from an input are read of a table of constants alone").into());
        };
        match places.shape() {
            [] => {
                let at = places.iter().next().copied().unwrap_or(0);
                self.take(node, item, axis, Index::At(at))
            }
            [_] => {
                let places = places.iter().copied().collect();
                let gather = |axis: usize, places| Gather { axes: vec![(axis as i64, From::Take(places))], fill: 0.0 };
                let Item::Held(held) = item else {
                    let moved = self.moved(node, gather(axis, places), &[&item])?;
                    return Ok(moved.ok_or_else(|| node.refuse("no places can be taken of it"))?);
                };
                if held.axes[axis].contains(&0) {
                    return Err(node.refuse("rows of the batch can't be taken").into());
                }
                let mut held = self.single(node, &held, axis)?;
                let part = held.axes[axis][0];
                let size = Size::known(places.len());
                held.tensor = self.one(node, "", gather(part, places), held.tensor)?;
                held.stored[part] = size.into();
                Ok(Item::Held(held))
            }
            _ => Err(node.refuse("places of two dimensions and more aren't supported").into()),
        }
    }

    pub(super) fn concat(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let items: Vec<Item<T>> =
            (0..node.proto.inputs.len()).map(|place| self.need(node, place)).collect::<Result<_, _>>()?;
        let Some(first) = items.first() else { return Err(node.refuse("it has no inputs").into()) };
        let rank = first.rank();
        if items.iter().any(|item| item.rank() != rank) {
            return Err(node.refuse("its inputs have several numbers of axes").into());
        }
        let axis = node.int_if("axis")?.unwrap_or(1);
        let axis = axis_at(axis, rank).ok_or_else(|| node.refuse(format!("there is no axis {axis}")))?;
        if items.len() == 1 {
            return Ok(first.clone());
        }
        let concatenate = |axis: usize| Concatenate { axis: axis as i64, masks: MaskRule::None };
        if let Some(moved) = self.moved(node, concatenate(axis), &items.iter().collect::<Vec<_>>())? {
            return Ok(moved);
        }
        if let Some(spread) = self.concat_spread(&items, axis) {
            return Ok(spread);
        }
        let template =
            items.iter().find_map(|item| if let Item::Held(held) = item { Some(held.clone()) } else { None });
        let template = template.ok_or_else(|| node.refuse("its inputs can't be put side by side"))?;
        let order = template.natural_order();
        let (mut tensors, mut all) = (Vec::new(), Vec::new());
        for item in &items {
            let held = match item {
                Item::Held(held) => held.clone(),
                other => self.like(node, &template, other)?,
            };
            if held.batch_axis() != template.batch_axis() || held.batch_axis() == Some(axis) {
                return Err(node.refuse("it puts rows of the batch side by side").into());
            }
            if held.kind != template.kind {
                return Err(node.refuse("its inputs are of several types").into());
            }
            let held = self.arrange(node, &held, &order)?;
            tensors.push(held.tensor);
            all.push(held);
        }
        let mut made = all[0].clone();
        let part = made.axes[axis][0];
        let sizes: Option<Vec<usize>> = all.iter().map(|held| held.stored[part].size.as_known()).collect();
        let size = match sizes {
            Some(sizes) => Size::known(sizes.into_iter().fold(0, usize::saturating_add)),
            None => self.new_size(),
        };
        made.stored[part] = size.into();
        made.tensor = self.several(node, "", concatenate(part), &tensors)?;
        Ok(Item::Held(made))
    }

    /// Values that are one number everywhere side by side.
    fn concat_spread(&self, items: &[Item<T>], axis: usize) -> Option<Item<T>> {
        let (mut number, mut shape) = (None::<Value<T>>, None::<Vec<Size>>);
        for item in items {
            let of = match item {
                Item::Spread { of, .. } | Item::Known(of) => of,
                _ => return None,
            };
            let floats = of.floats();
            let first = *floats.first()?;
            if !matches!(of, Value::Float(_)) || floats.iter().any(|&value| value != first) {
                return None;
            }
            if number.as_ref().is_some_and(|number| number.floats().first() != Some(&first)) {
                return None;
            }
            let own = item.shape()?;
            number = Some(Value::Float(ArrayD::from_elem(vec![1; own.len()], first).into_shared()));
            match &mut shape {
                None => shape = Some(own),
                Some(shape) => {
                    let sum = shape[axis].as_known()?.checked_add(own[axis].as_known()?)?;
                    if (0..own.len()).any(|other| other != axis && shape[other] != own[other]) {
                        return None;
                    }
                    shape[axis] = Size::known(sum);
                }
            }
        }
        Some(Item::Spread { of: number?, shape: shape? })
    }
}

/// A place along an axis; one that is counted from an unknown end is negative. Nothing inside if it is that end.
fn place(number: &Num, size: &Size) -> Option<Option<i64>> {
    match number {
        Num::Known(number) => Some(Some(*number)),
        Num::Of(own, more) if own == size && *more == 0 => Some(None),
        Num::Of(own, more) if own == size && *more < 0 => Some(Some(*more)),
        Num::Of(..) => None,
    }
}

/// Whether a slice that goes up to there goes to the axis's end.
fn is_behind(end: i64, size: &Size, step: i64) -> bool {
    let size = size.as_known().and_then(|size| i64::try_from(size).ok());
    match step > 0 {
        true => end >= i64::from(i32::MAX) || size.is_some_and(|size| end >= size),
        false => end <= i64::from(i32::MIN) || size.is_some_and(|size| end < -size),
    }
}
