//! Values in messages, in words.

/// The ids of an embedding, in words.
pub(super) fn ids(vocabulary: usize) -> String {
    vocabulary.checked_sub(1).map_or("no ids".into(), |last| format!("the ids 0 to {last}"))
}

/// A number in few digits: with an exponent where it would take many.
pub(crate) fn number(value: f64) -> String {
    let plain = value == 0.0 || !value.is_finite() || (1e-5..1e16).contains(&value.abs());
    if plain { value.to_string() } else { format!("{value:e}") }
}

/// The value of an option, a flag in words.
pub(super) fn option_value(option: &str, value: usize) -> String {
    match option {
        "go_backwards" | "return_sequences" | "return_state" => (value != 0).to_string(),
        _ => value.to_string(),
    }
}

/// The names that there are.
pub(crate) fn names(known: &[String]) -> String {
    if known.is_empty() { "there is none at all".into() } else { format!("the names are {}", known.join(", ")) }
}
