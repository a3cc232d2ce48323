//! Sentences to rows of ids.

use std::collections::BTreeMap;

use ndarray::prelude::*;

/// The classes, in the order of the model's outputs.
pub const CLASSES: [&str; 3] = ["good", "bad", "neutral"];

/// Of padding, and of words that aren't in the part that is learned from.
const PADDING: i32 = 0;
const UNKNOWN: i32 = 1;

/// A sentence's words, and its class.
type Sentence<'t> = (Vec<&'t str>, i32);

pub struct Corpus<'t> {
    train: Vec<Sentence<'t>>,
    test: Vec<Sentence<'t>>,
    ids: BTreeMap<&'t str, i32>,
}

impl<'t> Corpus<'t> {
    /// Reads lines `class: sentence` in the sections `[train]` and `[test]`; lines that begin with # are notes.
    pub fn read(text: &'t str) -> Result<Self, String> {
        let mut corpus = Corpus { train: vec![], test: vec![], ids: BTreeMap::new() };
        let mut is_test = false;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let "[train]" | "[test]" = line {
                is_test = line == "[test]";
                continue;
            }
            let sentence = line.split_once(": ").and_then(|(class, sentence)| {
                let class = CLASSES.iter().position(|own| *own == class)?;
                Some((words(sentence).collect(), class as i32))
            });
            let sentence = sentence.ok_or_else(|| format!("not a class and a sentence: {line}"))?;
            if is_test { corpus.test.push(sentence) } else { corpus.train.push(sentence) }
        }
        let known = corpus.train.iter().flat_map(|(words, _)| words.iter().copied());
        let mut known: Vec<_> = known.collect();
        known.sort_unstable();
        known.dedup();
        corpus.ids = known.into_iter().zip(UNKNOWN + 1..).collect();
        Ok(corpus)
    }

    /// The number of ids, those of padding and unknown words among them.
    pub fn words(&self) -> usize {
        self.ids.len() + 2
    }

    /// Ids (sentences, longest) and classes to learn from.
    pub fn train(&self) -> (Array2<i32>, Array1<i32>) {
        self.arrays(&self.train)
    }

    /// The same of the sentences to test.
    pub fn test(&self) -> (Array2<i32>, Array1<i32>) {
        self.arrays(&self.test)
    }

    pub fn ids_of(&self, sentences: &[&str]) -> Array2<i32> {
        let sentences: Vec<Vec<&str>> = sentences.iter().map(|sentence| words(sentence).collect()).collect();
        self.padded(sentences.iter())
    }

    fn arrays(&self, sentences: &[Sentence<'_>]) -> (Array2<i32>, Array1<i32>) {
        let ids = self.padded(sentences.iter().map(|(words, _)| words));
        (ids, sentences.iter().map(|(_, class)| *class).collect())
    }

    fn padded<'s>(&self, sentences: impl ExactSizeIterator<Item = &'s Vec<&'s str>> + Clone) -> Array2<i32> {
        let longest = sentences.clone().map(Vec::len).max().unwrap_or(0);
        let mut ids = Array2::from_elem((sentences.len(), longest), PADDING);
        for (mut row, words) in ids.rows_mut().into_iter().zip(sentences) {
            for (id, word) in row.iter_mut().zip(words) {
                *id = self.ids.get(word).copied().unwrap_or(UNKNOWN);
            }
        }
        ids
    }
}

fn words(sentence: &str) -> impl Iterator<Item = &str> {
    sentence.split([' ', ',']).filter(|word| !word.is_empty())
}
