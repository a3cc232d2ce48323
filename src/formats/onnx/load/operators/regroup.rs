//! Reshape and Flatten: which axes become one, and which are taken apart.

use crate::float::Float;
use crate::formats::onnx::load::item::{Axis, Held, Item};
use crate::formats::onnx::load::size::{Num, Size};
use crate::formats::onnx::load::{Importer, Made};
use crate::formats::onnx::messages::MOST_DIMENSIONS;
use crate::formats::onnx::node::Node;
use crate::graph::shape::axis_at;

impl<'f, T: Float> Importer<'f, T> {
    pub(super) fn reshape(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let item = self.need(node, 0)?;
        let keeps_zero = node.flag("allowzero", false)?;
        let shape = item.shape().ok_or_else(|| node.refuse("a shape is too large"))?;
        let numbers: Vec<Num> = match node.ints("shape")? {
            Some(numbers) => numbers.iter().map(|&number| Num::Known(number)).collect(),
            None => self.numbers_of(node, 1)?.iter().cloned().collect(),
        };
        if numbers.len() > MOST_DIMENSIONS {
            return Err(node
                .refuse(format!("its shape has {} axes, more than {MOST_DIMENSIONS}", numbers.len()))
                .into());
        }
        let (mut target, mut open) = (Vec::new(), None);
        for (at, number) in numbers.iter().enumerate() {
            target.push(match number {
                Num::Known(-1) if open.is_none() => {
                    open = Some(at);
                    Size::ONE
                }
                Num::Known(0) if !keeps_zero => shape
                    .get(at)
                    .cloned()
                    .ok_or_else(|| node.refuse("a size of 0 stands for an axis that isn't there"))?,
                number => {
                    number.size().ok_or_else(|| node.refuse(format!("its shape can't have the size {number:?}")))?
                }
            });
        }
        if let Some(at) = open {
            let left =
                Size::product(shape.iter()).zip(Size::product(target.iter())).and_then(|(all, own)| all.over(&own));
            target[at] = left.ok_or_else(|| node.refuse("the size that is left open can't be told"))?;
        }
        self.reshape_item(node, item, target)
    }

    pub(super) fn flatten(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let item = self.need(node, 0)?;
        let axis = node.int("axis", 1)?;
        let shape = item.shape().ok_or_else(|| node.refuse("a shape is too large"))?;
        let at = if axis == shape.len() as i64 { Some(shape.len()) } else { axis_at(axis, shape.len()) };
        let at = at.ok_or_else(|| node.refuse(format!("there is no axis {axis}")))?;
        let sides = [&shape[..at], &shape[at..]].map(|side| Size::product(side.iter()));
        let [Some(rows), Some(columns)] = sides else { return Err(node.refuse("a shape is too large").into()) };
        self.reshape_item(node, item, vec![rows, columns])
    }

    fn reshape_item(&mut self, node: &Node<'f>, item: Item<T>, target: Vec<Size>) -> Made<Item<T>> {
        match item {
            Item::Held(held) => Ok(Item::Held(self.regroup(node, &held, &target)?)),
            item => self.reshape_known(node, item, target),
        }
    }

    /// The value in another shape: axes that become one are only taken together; one that is taken apart is so in the
    /// tensor, too.
    fn regroup(&mut self, node: &Node<'f>, held: &Held, target: &[Size]) -> Made<Held> {
        let mut held = held.clone();
        let mut waiting: Vec<usize> = held.axes.iter().flatten().copied().collect();
        waiting.reverse();
        let mut axes: Vec<Vec<usize>> = Vec::new();
        for wanted in target {
            let (mut parts, mut size) = (Vec::new(), Size::ONE);
            if wanted.is_one() {
                // An axis of one that is there, else a new one.
                if waiting.last().is_some_and(|&part| held.stored[part].size.is_one()) {
                    parts.extend(waiting.pop());
                }
                axes.push(parts);
                continue;
            }
            while size != *wanted {
                let Some(part) = waiting.pop() else { return Err(self.cant(node)) };
                let own = held.stored[part].size.clone();
                let all = size.times(&own);
                if all.as_ref().is_some_and(|all| wanted.over(all).is_some()) {
                    parts.push(part);
                    size = all.unwrap_or(Size::ONE);
                    continue;
                }
                // Only a part of that axis is in this one.
                let first = wanted.over(&size).filter(|_| part != 0);
                let rest = first.as_ref().and_then(|first| own.over(first));
                let (Some(first), Some(rest)) = (first, rest) else { return Err(self.cant(node)) };
                held = self.take_apart(node, &held, part, [first, rest])?;
                let behind = |own: &mut usize| *own += usize::from(*own > part);
                parts.iter_mut().chain(&mut waiting).chain(axes.iter_mut().flatten()).for_each(behind);
                waiting.push(part + 1);
                waiting.push(part);
            }
            axes.push(parts);
        }
        for part in waiting.into_iter().rev() {
            // Axes of one that are left belong to the last.
            match axes.last_mut() {
                Some(last) if held.stored[part].size.is_one() => last.push(part),
                _ => return Err(self.cant(node)),
            }
        }
        Ok(Held { axes, ..held })
    }

    fn cant(&self, node: &Node<'f>) -> crate::formats::onnx::load::Stop {
        node.refuse("this shape takes axes apart in a way that isn't supported").into()
    }

    /// An axis of the tensor as two. The value's axes are the caller's to say.
    fn take_apart(&mut self, node: &Node<'f>, held: &Held, part: usize, sizes: [Size; 2]) -> Made<Held> {
        let mut stored = held.stored.clone();
        stored.splice(part..=part, sizes.into_iter().map(Axis::from));
        let tensor = self.reshape_to(node, held, &stored)?;
        Ok(Held { tensor, stored, ..held.clone() })
    }
}
