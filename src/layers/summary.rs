//! One line for each layer, as Keras's `summary()` prints it.

use std::fmt;

use super::Layer;
use crate::float::Float;

/// The widths of Keras's columns in a terminal of 80: name and class, output shape, parameters.
const WIDTHS: [usize; 3] = [31, 22, 13];

/// `lstm (LSTM)  |  (None, None, 4)  |  128`, in Keras's columns.
pub(crate) fn line<T: Float, L: Layer<T> + ?Sized>(f: &mut fmt::Formatter<'_>, layer: &L) -> fmt::Result {
    line_in_stack(f, layer, 0, true)
}

/// The same for a layer of a stack: the `number`th of its class (`lstm_1`), on a sequence or on one step.
pub(crate) fn line_in_stack<T: Float, L: Layer<T> + ?Sized>(
    f: &mut fmt::Formatter<'_>,
    layer: &L,
    number: usize,
    on_sequence: bool,
) -> fmt::Result {
    let class = layer.class_name();
    let number = if number == 0 { String::new() } else { format!("_{number}") };
    let columns = [
        wrap(&format!("{}{number} ({class})", snake_case(class)), WIDTHS[0]),
        wrap(&shapes(layer, on_sequence && layer.returns_sequences()), WIDTHS[1]),
        vec![thousands(layer.count_params())],
    ];
    for line in 0..columns.iter().map(Vec::len).max().unwrap_or(0) {
        let [name, shape, count] = columns.each_ref().map(|column| column.get(line).map_or("", String::as_str));
        let [first, second, third] = WIDTHS;
        write!(f, "{}│ {name:<first$} │ {shape:<second$} │ {count:>third$} │", if line > 0 { "\n" } else { "" })?;
    }
    Ok(())
}

/// The shape of the output, `(None, 4)`, or a list of all that Keras returns: outputs, then states.
fn shapes<T: Float, L: Layer<T> + ?Sized>(layer: &L, sequence: bool) -> String {
    let outputs = match layer.unmerged() {
        Some(forward) => vec![forward, layer.output_size() - forward],
        None => vec![layer.output_size()],
    };
    let output = |width| if sequence { format!("(None, None, {width})") } else { format!("(None, {width})") };
    let mut shapes: Vec<String> = outputs.into_iter().map(output).collect();
    if layer.returns_state() {
        shapes.extend(layer.state_layout().widths().map(|width| format!("(None, {width})")));
    }
    if shapes.len() == 1 { shapes.concat() } else { format!("[{}]", shapes.join(", ")) }
}

/// Lines of at most `width` characters, broken between words; a word that is longer stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
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

/// 1234567 as `1,234,567`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
