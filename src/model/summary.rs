//! The table that Keras's `summary()` prints into 80 columns.

use std::fmt;

use super::shape::{Shape, display};
use super::{CallSpec, Model, TensorSpec};
use crate::float::Float;
use crate::layers::summary::thousands;

/// A column: its title, its width, whether it is aligned to the right.
type Column = (&'static str, usize, bool);

const CHAIN: [Column; 3] = [("Layer (type)", 31, false), ("Output Shape", 22, false), ("Param #", 13, true)];
const GRAPH: [Column; 4] =
    [("Layer (type)", 19, false), ("Output Shape", 17, false), ("Param #", 10, true), ("Connected to", 17, false)];

impl<T: Float> fmt::Display for Model<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Model: \"{}\"", self.name)?;
        let columns: &[Column] = if self.is_chain() { &CHAIN } else { &GRAPH };
        let rule = |f: &mut fmt::Formatter<'_>, [left, line, middle, right]: [&str; 4]| {
            let lines: Vec<String> = columns.iter().map(|(_, width, _)| line.repeat(width + 2)).collect();
            writeln!(f, "{left}{}{right}", lines.join(middle))
        };
        rule(f, ["┏", "━", "┳", "┓"])?;
        row(f, columns, "┃", &columns.iter().map(|(title, ..)| title.to_string()).collect::<Vec<_>>())?;
        rule(f, ["┡", "━", "╇", "┩"])?;
        let lists = Lists::of(self);
        let mut first = true;
        for (index, part) in self.parts.iter().enumerate() {
            if self.sequential && part.op.is_none() {
                continue;
            }
            if !std::mem::take(&mut first) {
                rule(f, ["├", "─", "┼", "┤"])?;
            }
            let mut cells = vec![
                format!("{} ({})", part.name, part.class),
                self.output_shapes(&lists.tensors[index]),
                thousands(part.trainable + part.non_trainable),
            ];
            if columns.len() == GRAPH.len() {
                cells.push(self.connections(&lists.calls[index]));
            }
            row(f, columns, "│", &cells)?;
        }
        rule(f, ["└", "─", "┴", "┘"])?;
        let trainable: usize = self.parts.iter().map(|part| part.trainable).sum();
        let non_trainable: usize = self.parts.iter().map(|part| part.non_trainable).sum();
        let line = |count: usize| format!("{} ({})", thousands(count), memory(count * size_of::<T>()));
        writeln!(f, " Total params: {}", line(trainable + non_trainable))?;
        writeln!(f, " Trainable params: {}", line(trainable))?;
        write!(f, " Non-trainable params: {}", line(non_trainable))
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
        calls.sort_by_key(|call| call.outputs.first().and_then(|&output| self.tensors.get(output)).map(|t| t.node));
        let read = |call: &CallSpec| {
            let all =
                call.inputs.iter().chain(&call.initial_state).copied().chain(call.masks.iter().flatten().copied());
            all.collect::<Vec<usize>>()
        };
        let names = calls.into_iter().flat_map(read).filter_map(|tensor| {
            let tensor = self.tensors.get(tensor)?;
            let name = &self.parts.get(tensor.part)?.name;
            Some(format!("{name}[{}][{}]", tensor.node, tensor.index))
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

/// `1.50 KB`, as Keras writes it.
fn memory(bytes: usize) -> String {
    let (mut size, mut unit) = (bytes as f64, "B");
    for larger in ["KB", "MB", "GB", "TB", "PB"] {
        if size / 1024.0 < 1.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    format!("{size:.2} {unit}")
}

/// A row of cells, each as many lines as the longest takes.
fn row(f: &mut fmt::Formatter<'_>, columns: &[Column], edge: &str, cells: &[String]) -> fmt::Result {
    let cells: Vec<Vec<String>> = cells.iter().zip(columns).map(|(cell, column)| wrap(cell, column.1)).collect();
    let lines = cells.iter().map(Vec::len).max().unwrap_or(0);
    for line in 0..lines {
        for (cell, &(_, width, right)) in cells.iter().zip(columns) {
            let text = cell.get(line).map_or("", String::as_str);
            let text = if right { format!("{text:>width$}") } else { format!("{text:<width$}") };
            write!(f, "{edge} {text} ")?;
        }
        writeln!(f, "{edge}")?;
    }
    Ok(())
}

/// Breaks a text between words; a word that is too long for a line is cut, with an ellipsis.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let (whole, bare) = (word.chars().count(), word.trim_end().chars().count());
        if used > 0 && used + bare > width {
            lines.push(String::new());
            used = 0;
        }
        used += whole;
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
        if line.chars().count() > width {
            *line = line.chars().take(width - 1).chain(['…']).collect();
        }
    }
    lines
}
