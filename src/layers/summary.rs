//! The table that Keras's `summary()` prints into 80 columns: of models, and of layers as a `Sequential` of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::Layer;
use crate::float::Float;
use crate::parameters::Parameters;
use crate::weights::QuantizedVisitor;

/// A column: its title, its width, whether it is aligned to the right.
pub(crate) type Column = (&'static str, usize, bool);

/// The columns of a model in which each layer reads the one before.
pub(crate) const CHAIN: [Column; 3] = [("Layer (type)", 31, false), ("Output Shape", 22, false), ("Param #", 13, true)];

/// A table under way: head, rows, and [`finish`](Table::finish).
pub(crate) struct Table<'f, 'b> {
    f: &'f mut fmt::Formatter<'b>,
    columns: &'static [Column],
    empty: bool,
    /// What stands between two rows.
    between: String,
    /// As many blanks as the widest column has room for.
    blanks: String,
    /// The row that is being written, kept for its memory.
    text: String,
}

impl<'f, 'b> Table<'f, 'b> {
    /// Begins the table of a model of this name.
    pub(crate) fn new(
        f: &'f mut fmt::Formatter<'b>,
        model: &str,
        columns: &'static [Column],
    ) -> Result<Self, fmt::Error> {
        writeln!(f, "Model: \"{model}\"")?;
        let between = rule(columns, ["├", "─", "┼", "┤"]);
        let blanks = " ".repeat(columns.iter().map(|(_, width, _)| *width).max().unwrap_or(0));
        let mut table = Table { f, columns, empty: true, between, blanks, text: String::new() };
        table.rule(["┏", "━", "┳", "┓"])?;
        table.cells("┃", columns.iter().map(|(title, ..)| *title))?;
        table.rule(["┡", "━", "╇", "┩"])?;
        Ok(table)
    }

    /// A layer: a cell for each column.
    pub(crate) fn row<'c>(&mut self, cells: impl IntoIterator<Item = &'c str>) -> fmt::Result {
        if !std::mem::take(&mut self.empty) {
            self.f.write_str(&self.between)?;
        }
        self.cells("│", cells)
    }

    /// The end of the table, and the numbers of weights' elements, each with the bytes that they take.
    pub(crate) fn finish(mut self, trainable: [usize; 2], non_trainable: [usize; 2]) -> fmt::Result {
        self.rule(["└", "─", "┴", "┘"])?;
        let line = |[count, bytes]: [usize; 2]| format!("{} ({})", thousands(count), memory(bytes));
        let total = [trainable[0] + non_trainable[0], trainable[1] + non_trainable[1]];
        writeln!(self.f, " Total params: {}", line(total))?;
        writeln!(self.f, " Trainable params: {}", line(trainable))?;
        write!(self.f, " Non-trainable params: {}", line(non_trainable))
    }

    fn rule(&mut self, signs: [&str; 4]) -> fmt::Result {
        self.f.write_str(&rule(self.columns, signs))
    }

    /// Cells side by side, each as many lines as the longest takes.
    fn cells<'c>(&mut self, edge: &str, cells: impl IntoIterator<Item = &'c str>) -> fmt::Result {
        // What is left of each.
        let mut cells: Vec<Option<&str>> = cells.into_iter().map(Some).collect();
        self.text.clear();
        while cells.iter().any(Option::is_some) {
            for (cell, &(_, width, right)) in cells.iter_mut().zip(self.columns) {
                let (line, left) = cell.map_or((Line::default(), None), |text| first_line(text, width));
                *cell = left;
                let blank = width - line.chars.min(width);
                let (before, after) = if right { (blank, 0) } else { (0, blank) };
                self.text.extend([edge, " ", &self.blanks[..before], &line.text, &self.blanks[..after], " "]);
            }
            self.text.extend([edge, "\n"]);
        }
        self.f.write_str(&self.text)
    }
}

/// A line from one side of the columns to the other: its left end, what it is made of, what it crosses, its right end.
fn rule(columns: &[Column], [left, line, middle, right]: [&str; 4]) -> String {
    let lines: Vec<String> = columns.iter().map(|(_, width, _)| line.repeat(width + 2)).collect();
    format!("{left}{}{right}\n", lines.join(middle))
}

/// A layer as Keras shows a `Sequential` of it; a stack as the `Sequential` that it is.
pub(crate) fn table<T: Float, L: Layer<T> + ?Sized>(f: &mut fmt::Formatter<'_>, layer: &L) -> fmt::Result {
    let (mut names, mut rows) = (Names::default(), Vec::new());
    match layer.class_name() {
        "Sequential" => {
            let mut on_sequence = true;
            for (_, part) in layer.parts() {
                add_rows(part, on_sequence, &mut names, &mut rows);
                on_sequence &= part.returns_sequences();
            }
        }
        _ => add_rows(layer, true, &mut names, &mut rows),
    }
    let mut table = Table::new(f, &names.next("Sequential"), &CHAIN)?;
    for row in &rows {
        table.row(row.iter().map(String::as_str))?;
    }
    let [quantized, bytes] = quantized(layer);
    let trainable = layer.count_params() - quantized;
    table.finish([trainable, trainable * size_of::<T>()], [quantized, bytes])
}

/// The elements of weights in fewer bits, which aren't trained, and the bytes that they take.
pub(crate) fn quantized<T: Float>(holder: &(impl Parameters<T> + ?Sized)) -> [usize; 2] {
    let mut sums = [0; 2];
    holder.visit_quantized(&mut QuantizedVisitor::new(&mut |_, weight| {
        sums[0] += weight.len();
        sums[1] += weight.bytes;
    }));
    sums
}

/// The rows of a layer that reads a sequence or one step: one, but for a Masking, which holds the layers behind it.
fn add_rows<T: Float, L: Layer<T> + ?Sized>(
    layer: &L,
    on_sequence: bool,
    names: &mut Names,
    rows: &mut Vec<[String; 3]>,
) {
    let class = layer.class_name();
    names.pass(layer);
    let named = format!("{} ({class})", names.next(class));
    match (class, &layer.parts()[..]) {
        ("Masking", [(_, behind)]) => {
            rows.push([named, output(on_sequence, behind.input_size()), thousands(0)]);
            let stack = behind.class_name() == "Sequential";
            let parts = if stack { behind.parts() } else { vec![("", *behind)] };
            let mut on_sequence = on_sequence;
            for (_, part) in parts {
                add_rows(part, on_sequence, names, rows);
                on_sequence &= part.returns_sequences();
            }
        }
        _ => {
            let shape = shapes(layer, on_sequence && layer.returns_sequences());
            rows.push([named, shape, thousands(layer.count_params())]);
        }
    }
}

/// Keras's names: the class in snake case, and from the second one on a number. Layers within others count.
#[derive(Default)]
struct Names(BTreeMap<String, usize>);

impl Names {
    fn next(&mut self, class: &str) -> String {
        let name = snake_case(class);
        let count = self.0.entry(name.clone()).or_default();
        *count += 1;
        if *count == 1 { name } else { format!("{name}_{}", *count - 1) }
    }

    /// Counts the layers within a layer, which were made before it.
    fn pass<T: Float, L: Layer<T> + ?Sized>(&mut self, layer: &L) {
        match layer.class_name() {
            "TimeDistributed" => drop(self.next("Dense")),
            // Both directions are copies of one layer.
            "Bidirectional" => {
                let forward = layer.parts().first().map(|(_, forward)| forward.class_name());
                forward.into_iter().for_each(|class| drop(self.next(class)));
            }
            "Sequential" => {
                for (_, part) in layer.parts() {
                    self.pass(part);
                    self.next(part.class_name());
                }
            }
            _ => {}
        }
    }
}

fn output(sequence: bool, width: usize) -> String {
    if sequence { format!("(None, None, {width})") } else { format!("(None, {width})") }
}

/// The shape of the output, `(None, 4)`, or a list of all that Keras returns: outputs, then states.
fn shapes<T: Float, L: Layer<T> + ?Sized>(layer: &L, sequence: bool) -> String {
    let outputs = match layer.spec().unmerged {
        Some(forward) => vec![forward, layer.output_size() - forward],
        None => vec![layer.output_size()],
    };
    let mut shapes: Vec<String> = outputs.into_iter().map(|width| output(sequence, width)).collect();
    if layer.returns_state() {
        shapes.extend(layer.state_layout().widths().map(|width| format!("(None, {width})")));
    }
    if shapes.len() == 1 { shapes.concat() } else { format!("[{}]", shapes.join(", ")) }
}

/// Keras's default name of a layer: the class name in snake case, `SimpleRNN` to `simple_rnn`.
pub(crate) fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().collect();
    let mut name = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let starts_word = letter.is_uppercase()
            && i > 0
            && (letters[i - 1].is_lowercase() || letters.get(i + 1).is_some_and(|next| next.is_lowercase()));
        if starts_word {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// What Keras's own code calls a class that it registers under another name.
pub(crate) fn in_python(class: &str) -> &str {
    if class == "GroupQueryAttention" { "GroupedQueryAttention" } else { class }
}

/// 1234567 as `1,234,567`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    if digits.len() <= 3 {
        return digits;
    }
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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

/// A line of a cell, and how many characters it has.
#[derive(Default)]
struct Line<'t> {
    text: Cow<'t, str>,
    chars: usize,
}

impl<'t> Line<'t> {
    /// A text without what is blank at its end; if it is too long it is cut, with an ellipsis.
    fn new(text: &'t str, width: usize) -> Self {
        let text = text.trim_end();
        let chars = text.chars().count();
        if chars > width {
            let text: String = text.chars().take(width - 1).chain(['…']).collect();
            return Line { text: text.into(), chars: width };
        }
        Line { text: text.into(), chars }
    }
}

/// The first line of a text that is broken between words, and what is left of it; a word that is too long for a line is
/// cut.
fn first_line(text: &str, width: usize) -> (Line<'_>, Option<&str>) {
    let (mut used, mut end) = (0, 0);
    // No more bytes than there is room for characters is one line, as most cells are.
    let words = if text.len() > width { text } else { "" };
    for word in words.split_inclusive(' ') {
        let (whole, bare) = (word.chars().count(), word.trim_end().chars().count());
        if used > 0 && used + bare > width {
            return (Line::new(&text[..end], width), Some(&text[end..]));
        }
        used += whole;
        end += word.len();
    }
    (Line::new(text, width), None)
}
