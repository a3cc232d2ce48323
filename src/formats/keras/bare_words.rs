//! Python's words for numbers that JSON doesn't have: `NaN`, `Infinity`, `-Infinity`, which stand in files without quotes.
//!
//! A text that isn't JSON is tried again with each of them as a text of the same length, whose place is remembered: so
//! whatever else is wrong is where it was, and no text of the file is taken for one of them.

/// A number without digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    NaN,
    Infinity,
    NegativeInfinity,
}

/// The words, and texts that are as long; that of one isn't the start of another's.
const WORDS: [(Word, &str, &str); 3] = [
    (Word::NaN, "NaN", "\"N\""),
    (Word::Infinity, "Infinity", "\"Infini\""),
    (Word::NegativeInfinity, "-Infinity", "\"-Infini\""),
];

impl Word {
    /// That of a number which isn't finite.
    pub(super) fn of(number: f64) -> Self {
        match number {
            f64::INFINITY => Word::Infinity,
            f64::NEG_INFINITY => Word::NegativeInfinity,
            _ => Word::NaN,
        }
    }

    pub(super) fn number(self) -> f64 {
        match self {
            Word::NaN => f64::NAN,
            Word::Infinity => f64::INFINITY,
            Word::NegativeInfinity => f64::NEG_INFINITY,
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Word::NaN => "NaN",
            Word::Infinity => "Infinity",
            Word::NegativeInfinity => "-Infinity",
        }
    }

    /// What stands for it in JSON of our own: a text that no file of Python's has.
    pub(super) fn marked(self) -> String {
        format!("\u{0}{}", self.text())
    }

    /// The word that a text stands for.
    pub(super) fn of_marked(text: &str) -> Option<Self> {
        let word = text.strip_prefix('\u{0}')?;
        WORDS.iter().find(|(_, own, _)| *own == word).map(|(word, ..)| *word)
    }
}

/// Where the words of a text stand.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The address at which the text begins: only compared.
    start: usize,
    /// From there on, in order.
    places: Vec<usize>,
}

impl Places {
    /// The word that stands in the place of this part of the text.
    pub(super) fn word(&self, part: &str) -> Option<Word> {
        if self.places.is_empty() {
            return None;
        }
        let at = (part.as_ptr() as usize).checked_sub(self.start)?.checked_sub(1)?;
        self.places.binary_search(&at).ok()?;
        WORDS.iter().find(|(.., quoted)| quoted.trim_matches('"') == part).map(|(word, ..)| *word)
    }
}

/// The text with its words as texts, if it has some.
pub(super) fn quoted(text: &[u8]) -> Option<(Vec<u8>, Places)> {
    let (mut copy, mut places) = (Vec::new(), Vec::new());
    let (mut at, mut in_text) = (0, false);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            b'N' | b'I' | b'-' if !in_text => {
                let rest = &text[at..];
                let whole = |word: &str| {
                    rest.starts_with(word.as_bytes())
                        && !rest.get(word.len()).is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'"')
                };
                if let Some((_, word, quoted)) = WORDS.iter().find(|(_, word, _)| whole(word)) {
                    if copy.is_empty() {
                        copy = text.to_vec();
                    }
                    copy[at..at + word.len()].copy_from_slice(quoted.as_bytes());
                    places.push(at);
                    at += word.len();
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    let start = copy.as_ptr() as usize;
    (!places.is_empty()).then_some((copy, Places { start, places }))
}
