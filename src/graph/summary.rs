//! A model's rows of the table that Keras's `summary()` prints.

use std::fmt;

use super::shape::{Shape, display};
use super::{CallSpec, Model, TensorSpec};
use crate::float::Float;
use crate::layers::summary::{CHAIN, Column, Table, thousands};

const GRAPH: [Column; 4] =
    [("Layer (type)", 19, false), ("Output Shape", 17, false), ("Param #", 10, true), ("Connected to", 17, false)];

impl<T: Float> fmt::Display for Model<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: &'static [Column] = if self.is_chain() { &CHAIN } else { &GRAPH };
        let mut table = Table::new(f, &self.name, columns)?;
        let lists = Lists::of(self);
        for (index, part) in self.parts.iter().enumerate() {
            if self.sequential && part.op.is_none() {
                continue;
            }
            let mut cells = vec![
                format!("{} ({})", part.name, part.class),
                self.output_shapes(&lists.tensors[index]),
                thousands(part.trainable + part.non_trainable),
            ];
            if columns.len() == GRAPH.len() {
                cells.push(self.connections(&lists.calls[index]));
            }
            table.row(cells.iter().map(String::as_str))?;
        }
        let trainable: usize = self.parts.iter().map(|part| part.trainable).sum();
        let non_trainable: usize = self.parts.iter().map(|part| part.non_trainable).sum();
        table.finish(trainable, non_trainable, size_of::<T>())
    }
}

impl<T: Float> Model<T> {
    /// Whether each layer reads nothing but the layer before it.
    fn is_chain(&self) -> bool {
        self.sequential
            || self.inputs.len() == 1
                && Lists::of(self).calls.iter().all(|calls| calls.len() <= 1)
                && self.calls.iter().all(|call| reads(call) == 1)
                && self.calls.windows(2).all(|pair| pair[1].inputs.iter().all(|input| pair[0].outputs.contains(input)))
    }

    /// The shapes of the last call's outputs, as Keras shows them.
    fn output_shapes(&self, tensors: &[&TensorSpec]) -> String {
        let node = tensors.iter().map(|tensor| tensor.node).max();
        let shapes: Vec<&Shape> =
            tensors.iter().filter(|tensor| Some(tensor.node) == node).map(|tensor| &tensor.shape).collect();
        match &shapes[..] {
            [one] => display(one),
            many => format!("[{}]", many.iter().map(|shape| display(shape)).collect::<Vec<_>>().join(", ")),
        }
    }

    fn connections(&self, calls: &[&CallSpec]) -> String {
        let mut calls = calls.to_vec();
        calls.sort_by_key(|call| call.outputs.first().map(|&output| self.tensors[output].node));
        let read = |call: &CallSpec| {
            let all =
                call.inputs.iter().chain(&call.initial_state).copied().chain(call.masks.iter().flatten().copied());
            all.collect::<Vec<usize>>()
        };
        let names = calls.into_iter().flat_map(read).map(|tensor| {
            let tensor = &self.tensors[tensor];
            format!("{}[{}][{}]", self.parts[tensor.part].name, tensor.node, tensor.index)
        });
        let names: Vec<String> = names.collect();
        if names.is_empty() { "-".into() } else { names.join(", ") }
    }
}

/// What belongs to each part, in the model's order: found once for all of them.
struct Lists<'m> {
    calls: Vec<Vec<&'m CallSpec>>,
    tensors: Vec<Vec<&'m TensorSpec>>,
}

impl<'m> Lists<'m> {
    fn of<T: Float>(model: &'m Model<T>) -> Self {
        let parts = model.parts.len();
        let mut lists = Lists { calls: vec![Vec::new(); parts], tensors: vec![Vec::new(); parts] };
        for call in &model.calls {
            if let Some(list) = lists.calls.get_mut(call.part) {
                list.push(call);
            }
        }
        for tensor in &model.tensors {
            if let Some(list) = lists.tensors.get_mut(tensor.part) {
                list.push(tensor);
            }
        }
        lists
    }
}

fn reads(call: &CallSpec) -> usize {
    call.inputs.len() + call.initial_state.len() + call.masks.iter().flatten().count()
}
