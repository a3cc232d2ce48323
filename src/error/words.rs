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

/// What a name that isn't there may have been meant for, in brackets; nothing if there is no such name.
pub(crate) fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    // Long names are no typing errors, and comparing them would take time.
    const LONGEST: usize = 64;
    let plain = |name: &str| name.replace(['_', '-', ' '], "").to_lowercase();
    let given = plain(name);
    let short = known.into_iter().filter(|known| given.len().max(known.len()) <= LONGEST);
    let nearest = short.map(|known| (distance(&given, &plain(known)), known)).min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, known)) if distance * 3 <= given.len() => format!(" (did you mean {known:?}?)"),
        _ => String::new(),
    }
}

/// [`meant`], for names of ours that other frameworks have other names for.
pub(super) fn meant_here<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let starts = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
    if starts(&["weight_ih", "weight_hh", "bias_ih", "bias_hh"]) {
        return " (PyTorch's name: ours are on the page pytorch::coming_from_pytorch)".into();
    }
    if starts(&["xavier", "Xavier"]) { " (PyTorch's name for glorot)".into() } else { meant(name, known) }
}

/// How many letters must be changed, added or taken away to make one name of the other (Levenshtein's distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A shape that is the other way round.
pub(super) fn transposed(expected: &[usize], given: &[usize]) -> &'static str {
    match (expected, given) {
        ([a, b], [c, d]) if a == d && b == c => ": transposed? PyTorch and ONNX keep (gates * units, features)",
        _ => "",
    }
}

/// An input whose features stand where its steps should.
pub(super) fn swapped(expected: usize, [_, timesteps, _]: [usize; 3]) -> &'static str {
    if timesteps == expected { "; are timesteps and features swapped?" } else { "" }
}
