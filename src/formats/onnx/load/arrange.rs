//! Tensors with their axes in another order, or several of them as one, where an operation wants them so.

use super::super::node::Node;
use super::item::{Axis, Held};
use super::size::Size;
use super::{Importer, Made};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::AnyLayer;
use crate::graph::ops::get_item::{Index, Slice, View};
use crate::graph::ops::shapes::{Permute, Reshape};

impl<T: Float> Importer<'_, T> {
    /// The same value in a tensor that has the batch first, then the value's axes in this order, each by itself. The
    /// batch isn't in the order.
    pub(super) fn arrange(&mut self, node: &Node<'_>, held: &Held, order: &[usize]) -> Made<Held> {
        let batch = held.batch_axis();
        if batch.is_some_and(|axis| held.axes[axis].len() > 1) {
            return Err(node.refuse("the batch is one axis with another there, which isn't supported").into());
        }
        let parts: Vec<usize> = [0].into_iter().chain(order.iter().flat_map(|&axis| held.axes[axis].clone())).collect();
        let moved = self.permute(node, held, &parts)?;
        // One stored axis for each of the order, behind the batch.
        let groups: Vec<usize> = [1].into_iter().chain(order.iter().map(|&axis| moved.axes[axis].len())).collect();
        let grouped = self.group(node, moved, &groups)?;
        let mut axes = vec![Vec::new(); held.axes.len()];
        if let Some(batch) = batch {
            axes[batch] = vec![0];
        }
        order.iter().enumerate().for_each(|(at, &axis)| axes[axis] = vec![at + 1]);
        Ok(Held { axes, ..grouped })
    }

    /// An axis of the value as the tensor's last one, by itself; the others as they are.
    pub(super) fn bring_last(&mut self, node: &Node<'_>, held: &Held, axis: usize) -> Made<Held> {
        let own = &held.axes[axis];
        if own.contains(&0) {
            return Err(node.refuse("it works along the axis of the batch, which isn't supported").into());
        }
        let others: Vec<usize> = (0..held.stored.len()).filter(|part| !own.contains(part)).collect();
        let parts: Vec<usize> = others.iter().chain(own).copied().collect();
        let moved = self.permute(node, held, &parts)?;
        let groups: Vec<usize> = others.iter().map(|_| 1).chain([own.len()]).collect();
        let mut axes = moved.axes.clone();
        axes[axis] = vec![others.len()];
        Ok(Held { axes, ..self.group(node, moved, &groups)? })
    }

    /// An axis of the value as an axis of the tensor by itself; where it is one, the tensor stays as it is.
    pub(super) fn single(&mut self, node: &Node<'_>, held: &Held, axis: usize) -> Made<Held> {
        match held.axes[axis].len() {
            1 => Ok(held.clone()),
            _ => self.bring_last(node, held, axis),
        }
    }

    /// The tensor's axes in this order.
    pub(super) fn permute(&mut self, node: &Node<'_>, held: &Held, order: &[usize]) -> Found<Held> {
        if order.first() != Some(&0) || order.len() != held.stored.len() {
            return Err(node.refuse("the batch can't be moved there"));
        }
        let mut back = vec![0; order.len()];
        order.iter().enumerate().for_each(|(at, &part)| back[part] = at);
        let stored: Vec<Axis> = order.iter().map(|&part| held.stored[part].clone()).collect();
        let axes = held.axes.iter().map(|parts| parts.iter().map(|&part| back[part]).collect()).collect();
        let moved = Held { tensor: held.tensor, kind: held.kind, stored, axes };
        if order.iter().enumerate().all(|(at, &part)| at == part) {
            return Ok(moved);
        }
        // From where the tensor was permuted already, if it was.
        let (source, order) = match self.permuted.get(&held.tensor) {
            Some((source, before)) => (*source, order.iter().map(|&part| before[part]).collect()),
            None => (held.tensor, order.to_vec()),
        };
        if order.iter().enumerate().all(|(at, &part)| at == part) {
            return Ok(Held { tensor: source, ..moved });
        }
        let tensor = self.call(node, "permute", Permute::new(&order[1..]), &[source])?[0];
        self.permuted.insert(tensor, (source, order));
        Ok(Held { tensor, ..moved })
    }

    /// So many axes side by side as one each; none is a new axis of one. The value's axes are the caller's to say.
    fn group(&mut self, node: &Node<'_>, held: Held, groups: &[usize]) -> Found<Held> {
        if groups.iter().all(|&count| count == 1) {
            return Ok(held);
        }
        let (mut sizes, mut at) = (Vec::new(), 0);
        for &count in groups {
            let parts = &held.stored[at..at + count];
            let size = Size::product(parts.iter().map(|axis| &axis.size));
            let origin = if count == 1 { parts[0].origin } else { None };
            sizes.push(Axis { size: size.ok_or_else(|| node.refuse("an axis is too long"))?, origin });
            at += count;
        }
        let tensor = match groups.iter().all(|&count| count <= 1) {
            true => {
                let indices =
                    groups.iter().map(|&count| if count == 1 { Index::Slice(Slice::ALL) } else { Index::New });
                self.one(node, "expand", View::GetItem(indices.collect()), held.tensor)?
            }
            false => self.reshape_to(node, &held, &sizes)?,
        };
        Ok(Held { tensor, stored: sizes, ..held })
    }

    /// The elements in row order in a tensor of these sizes, whose first one is the batch.
    pub(super) fn reshape_to(&mut self, node: &Node<'_>, held: &Held, sizes: &[Axis]) -> Found<usize> {
        let wanted: Vec<Size> = sizes.iter().map(|axis| axis.size.clone()).collect();
        let own: Vec<Size> = held.stored.iter().map(|axis| axis.size.clone()).collect();
        if wanted == own {
            return Ok(held.tensor);
        }
        let (source, before) = self.reshaped.get(&held.tensor).cloned().unwrap_or((held.tensor, own));
        if before == wanted {
            return Ok(source);
        }
        let target: Vec<Option<usize>> = wanted[1..].iter().map(Size::as_known).collect();
        if target.iter().filter(|size| size.is_none()).count() > 1 {
            return Err(node.refuse("a shape with several sizes that aren't known before a call isn't supported"));
        }
        let tensor = self.call(node, "reshape", AnyLayer::from(Reshape::new(target)), &[source])?[0];
        self.reshaped.insert(tensor, (source, before));
        Ok(tensor)
    }
}
