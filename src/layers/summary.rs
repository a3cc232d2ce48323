//! One line for each layer, as Keras's `summary()` prints it.

use std::fmt;

use super::Layer;
use crate::float::Float;

/// `lstm (LSTM)  |  (None, None, 4)  |  128`, in Keras's columns.
pub(crate) fn line<T: Float, L: Layer<T> + ?Sized>(f: &mut fmt::Formatter<'_>, layer: &L) -> fmt::Result {
    let class = layer.class_name();
    let name = format!("{} ({class})", snake_case(class));
    let shape = match layer.returns_sequences() {
        true => format!("(None, None, {})", layer.output_size()),
        false => format!("(None, {})", layer.output_size()),
    };
    write!(f, "│ {name:<31} │ {shape:<22} │ {:>13} │", thousands(layer.count_params()))
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
