//! A model's rows of the table that Keras's `summary()` prints.

use std::fmt::{self, Write};

use super::shape::display;
use super::{CallSpec, Model};
use crate::float::Float;
use crate::layers::summary::{CHAIN, Column, Table, in_python, quantized, thousands};

const GRAPH: [Column; 4] =
    [("Layer (type)", 19, false), ("Output Shape", 17, false), ("Param #", 10, true), ("Connected to", 17, false)];

impl<T: Float> fmt::Display for Model<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = Grouped::new(self.parts.len(), self.calls.iter().map(|call| call.part));
        let tensors = Grouped::new(self.parts.len(), self.tensors.iter().map(|tensor| tensor.part));
        let columns: &'static [Column] = if self.is_chain(&calls) { &CHAIN } else { &GRAPH };
        let mut table = Table::new(f, &self.name, columns)?;
        let mut cells: [String; GRAPH.len()] = Default::default();
        for (index, part) in self.parts.iter().enumerate() {
            if self.sequential && part.op.is_none() {
                continue;
            }
            cells.iter_mut().for_each(String::clear);
            let [name, shapes, count, connected] = &mut cells;
            name.extend([&part.name, " (", in_python(&part.class), ")"]);
            shapes.push_str(&self.output_shapes(tensors.of(index)));
            count.push_str(&thousands(part.trainable + part.non_trainable));
            if columns.len() == GRAPH.len() {
                self.connections(calls.of(index), connected)?;
            }
            table.row(cells.iter().take(columns.len()).map(String::as_str))?;
        }
        let (trainable, non_trainable) = self.counts();
        let [quantized, bytes] = quantized(self);
        let stored = |count: usize| count * size_of::<T>();
        let of_others = stored(non_trainable.saturating_sub(quantized)) + bytes;
        table.finish([trainable, stored(trainable)], [non_trainable, of_others])?;
        for (at, (input, output)) in self.state_pairs().into_iter().enumerate() {
            let before = if at == 0 { "\n States of a stream: " } else { ", " };
            write!(f, "{before}{} from {}", self.inputs[input].name, self.output_names[output])?;
        }
        Ok(())
    }
}

impl<T: Float> Model<T> {
    /// Whether each layer reads nothing but the layer before it. `calls`: those of each part.
    fn is_chain(&self, calls: &Grouped) -> bool {
        self.sequential
            || self.inputs.len() == 1
                && (0..self.parts.len()).all(|part| calls.of(part).len() <= 1)
                && self.calls.iter().all(|call| reads(call).count() == 1)
                && self.calls.windows(2).all(|pair| pair[1].inputs.iter().all(|input| pair[0].outputs.contains(input)))
    }

    /// The shapes of the last call's outputs, as Keras shows them.
    fn output_shapes(&self, tensors: &[usize]) -> String {
        let tensors = tensors.iter().map(|&tensor| &self.tensors[tensor]);
        let node = tensors.clone().map(|tensor| tensor.node).max();
        let mut shapes = tensors.filter(|tensor| Some(tensor.node) == node).map(|tensor| &tensor.shape);
        match (shapes.next(), shapes.next()) {
            (Some(one), None) => display(one),
            (first, second) => {
                let all: Vec<String> =
                    first.into_iter().chain(second).chain(shapes).map(|shape| display(shape)).collect();
                format!("[{}]", all.join(", "))
            }
        }
    }

    /// Writes down what the calls read, in the order of the part's calls.
    fn connections(&self, calls: &[usize], text: &mut String) -> fmt::Result {
        let mut calls: Vec<&CallSpec> = calls.iter().map(|&call| &self.calls[call]).collect();
        calls.sort_by_key(|call| call.outputs.first().map(|&output| self.tensors[output].node));
        for tensor in calls.into_iter().flat_map(reads) {
            let tensor = &self.tensors[tensor];
            text.push_str(if text.is_empty() { "" } else { ", " });
            write!(text, "{}[{}][{}]", self.parts[tensor.part].name, tensor.node, tensor.index)?;
        }
        if text.is_empty() {
            text.push('-');
        }
        Ok(())
    }
}

/// The numbers of what belongs to each part, in the model's order: found once for all of them.
struct Grouped {
    /// Where each part's begin, and where the last one's end.
    starts: Vec<usize>,
    all: Vec<usize>,
}

impl Grouped {
    /// `part_of`: the part that each belongs to.
    fn new(parts: usize, part_of: impl Iterator<Item = usize> + Clone) -> Self {
        let mut starts = vec![0; parts + 1];
        part_of.clone().for_each(|part| starts[part + 1] += 1);
        (0..parts).for_each(|part| starts[part + 1] += starts[part]);
        let (mut next, mut all) = (starts.clone(), vec![0; starts[parts]]);
        for (number, part) in part_of.enumerate() {
            all[next[part]] = number;
            next[part] += 1;
        }
        Grouped { starts, all }
    }

    fn of(&self, part: usize) -> &[usize] {
        &self.all[self.starts[part]..self.starts[part + 1]]
    }
}

/// The tensors that a call reads.
fn reads(call: &CallSpec) -> impl Iterator<Item = usize> {
    call.inputs.iter().chain(&call.initial_state).chain(call.masks.iter().flatten()).copied()
}
