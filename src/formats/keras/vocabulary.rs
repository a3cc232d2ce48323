//! The vocabulary of a layer that makes ids of tokens or texts.

use std::path::Path;

#[cfg(doc)]
use super::Problem;
use super::json::{Fields, Json};
use super::weights::Place;
use super::{Contents, File, LoadError, Options, places};
use crate::formats::error::Found;
use crate::formats::error::Problem as Refusal;

/// The vocabulary of a `TextVectorization`, a `StringLookup` or an `IntegerLookup`: the token of each id, as Keras's
/// `get_vocabulary()` gives it; that of the mask, if it has one, and those of what isn't known in front.
///
/// Texts have no place in a model of this crate. Load it with
/// [`Options::start_behind`](super::Options::start_behind), make ids of texts with this list, and give it those:
///
/// ```no_run
/// use std::collections::HashMap;
/// use recurrent::keras;
/// let words = keras::vocabulary("reviews.keras", "text_vectorization")?;
/// let ids: HashMap<&str, i64> = words.iter().zip(0..).map(|(word, id)| (word.as_str(), id)).collect();
/// // Its default: lower case, without punctuation, split at white space; 1 for what isn't known.
/// let text = "The film wasn't bad".to_lowercase().replace(|c: char| c.is_ascii_punctuation(), "");
/// let row: Vec<i64> = text.split_whitespace().map(|word| ids.get(word).copied().unwrap_or(1)).collect();
/// let options = keras::Options::<f32>::new().start_behind("text_vectorization");
/// let model = keras::load_with("reviews.keras", &options)?;
/// let ids = ndarray::Array2::from_shape_vec((1, row.len()), row)?;
/// println!("{}", model.predict(&[(&ids).into()])?[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`File::open`] and [`File::vocabulary`].
pub fn vocabulary(path: impl AsRef<Path>, layer: &str) -> Result<Vec<String>, LoadError> {
    File::open_with(path, &Options::new())?.vocabulary(layer)
}

impl File {
    /// The vocabulary of one of the model's layers: see [`vocabulary`].
    ///
    /// # Errors
    /// [`Problem::UnknownLayer`] lists the names; [`Problem::UnsupportedClass`] for a layer of another kind,
    /// [`Problem::Config`] if the file doesn't hold the list.
    pub fn vocabulary(&self, layer: &str) -> Result<Vec<String>, LoadError> {
        self.as_it_is(|contents| contents.vocabulary(layer))
    }
}

const TOKENS: &str = "a list of tokens, or a vocabulary beside the weights in a .keras file";

impl Contents<'_> {
    fn vocabulary(&self, name: &str) -> Found<Vec<String>> {
        let model = self.described()?;
        let layers = model.model()?.layers;
        let known = || layers.iter().map(|layer| layer.name.to_string()).collect();
        let at = layers.iter().position(|layer| layer.name == name);
        let at = at.ok_or_else(|| Refusal::UnknownLayer { name: name.into(), known: known() })?;
        let root = Place::Group(String::new());
        let groups = places::of_layers(model.is_sequential(), &layers, &root, self.layout)?;
        let layer = &layers[at];
        if !matches!(layer.class(), "TextVectorization" | "StringLookup" | "IntegerLookup") {
            let hint = "TextVectorization, StringLookup and IntegerLookup have vocabularies".into();
            return Err(Refusal::UnsupportedClass { layer: name.into(), class: layer.class().into(), hint });
        }
        layer.config.glance("an object", |fields| match fields.take("vocabulary").and_then(Json::given) {
            Some(list) => {
                let tokens = list.list(TOKENS)?.iter().map(token).collect::<Found<Vec<String>>>()?;
                with_special(fields, layer.class() == "TextVectorization", tokens)
            }
            None => {
                let lines =
                    beside(self.vocabularies, &groups[at]).ok_or_else(|| fields.absent("vocabulary", TOKENS))?;
                Ok(lines.into_iter().map(String::from).collect())
            }
        })
    }
}

fn token(json: &Json<'_>) -> Found<String> {
    if json.is_text() { json.text(TOKENS).map(String::from) } else { json.integer().map(|token| token.to_string()) }
}

/// The tokens of a list behind those that have no words of their own, which the list may begin with.
fn with_special(fields: &Fields<'_>, of_text: bool, tokens: Vec<String>) -> Found<Vec<String>> {
    let ids = fields.take("output_mode").is_none_or(|mode| mode.text("") == Ok("int"));
    let given = |key| fields.take(key).and_then(Json::given).map(|json| token(&json)).transpose();
    let (mask, unknown, count) = match of_text {
        true => (Some(String::new()), "[UNK]".into(), 1),
        false => {
            let count = fields.take("num_oov_indices").map_or(Ok(1), |count| count.index("a whole number"))?;
            (given("mask_token")?, given("oov_token")?.unwrap_or_else(|| "[UNK]".into()), count)
        }
    };
    let mut special: Vec<String> = mask.filter(|_| ids).into_iter().collect();
    // Hostile files may say anything.
    special.extend(std::iter::repeat_n(unknown, count.min(1 << 16)));
    Ok(if tokens.starts_with(&special) { tokens } else { [special, tokens].concat() })
}

/// The lines of the vocabulary beside the weights of this group.
pub(super) fn beside<'v>(all: &'v [(String, Vec<u8>)], place: &Place<'_>) -> Option<Vec<&'v str>> {
    let Place::Group(path) = place else { return None };
    let member = format!("assets/{path}/vocabulary.txt");
    let (_, bytes) = all.iter().find(|(name, _)| *name == member)?;
    let mut lines: Vec<&str> = std::str::from_utf8(bytes).ok()?.lines().collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    Some(lines)
}
