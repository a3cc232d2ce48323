//! What code is given of a file: a layer's options and its tensors, to be read.

use std::cell::RefCell;

use ndarray::ArrayD;

use super::super::json::Json;
use super::super::value::file_text;
use crate::float::Float;
use crate::formats::error::Problem;

/// The options of a layer or a cell that code takes the place of: what its `get_config()` gave. Options that aren't
/// asked for are left alone.
pub struct LayerConfig<'c> {
    pub(super) config: &'c Json<'c>,
}

/// Its tensors, by name and in order. In a `.keras` file the names are the paths that
/// [`File::tensors`](super::super::File::tensors) shows behind the layer's own: `vars/0`, `vars/1`, .. as its weights
/// were made, those that are trained before the others; `dense/vars/0` of a layer inside. In an `.h5` file they are the
/// weights' own names, `scale` (whole paths, if two have one name).
pub struct LayerTensors<'t, T> {
    pub(super) layer: &'t str,
    pub(super) tensors: &'t [(String, ArrayD<T>)],
    pub(super) asked: RefCell<Vec<bool>>,
}

impl LayerConfig<'_> {
    /// The layer's path in the model.
    pub fn path(&self) -> &str {
        self.config.layer()
    }

    /// All options, as the text that the file has: JSON, with Python's words for infinities and NaN.
    pub fn json(&self) -> String {
        file_text(&self.config.to_json())
    }

    /// Whether there is an option of this name that isn't null.
    pub fn has(&self, name: &str) -> bool {
        self.config.member(name).is_some_and(|value| !value.is_null())
    }

    fn get(&self, name: &str, expected: &str) -> Result<Json<'_>, Problem> {
        self.config.member(name).ok_or_else(|| self.config.lacks(name, expected))
    }

    /// An option that is a number.
    ///
    /// # Errors
    /// [`Problem::Config`] names an option that isn't there, or that is something else.
    pub fn number(&self, name: &str) -> Result<f64, Problem> {
        self.get(name, "a number")?.any_number()
    }

    /// An option that is a whole number.
    ///
    /// # Errors
    /// Those of [`number`](LayerConfig::number).
    pub fn integer(&self, name: &str) -> Result<i64, Problem> {
        self.get(name, "a whole number")?.integer()
    }

    /// An option that is true or false.
    ///
    /// # Errors
    /// Those of [`number`](LayerConfig::number).
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        self.get(name, "true or false")?.flag()
    }

    /// An option that is a text.
    ///
    /// # Errors
    /// Those of [`number`](LayerConfig::number).
    pub fn text(&self, name: &str) -> Result<String, Problem> {
        Ok(self.get(name, "a text")?.text("a text")?.into())
    }
}

impl std::fmt::Debug for LayerConfig<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LayerConfig").field(&self.json()).finish()
    }
}

impl<T: Float> LayerTensors<'_, T> {
    /// The paths.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|(name, _)| name.as_str())
    }

    /// A tensor by its path.
    ///
    /// # Errors
    /// [`Problem::UnknownTensor`] lists those there are.
    pub fn get(&self, name: &str) -> Result<ArrayD<T>, Problem> {
        match self.tensors.iter().position(|(own, _)| own == name) {
            Some(at) => {
                self.asked.borrow_mut()[at] = true;
                Ok(self.tensors[at].1.clone())
            }
            None => Err(Problem::UnknownTensor {
                name: format!("{}/{name}", self.layer),
                known: self.names().map(String::from).collect(),
            }),
        }
    }

    /// A tensor by its place among them, counted from 0.
    ///
    /// # Errors
    /// Those of [`get`](LayerTensors::get).
    pub fn at(&self, place: usize) -> Result<ArrayD<T>, Problem> {
        let name = self.tensors.get(place).map(|(name, _)| name.clone());
        self.get(&name.unwrap_or_else(|| format!("number {place}")))
    }

    /// Those that weren't asked for.
    pub(super) fn left(&self) -> Vec<String> {
        let asked = self.asked.borrow();
        self.names().zip(&*asked).filter(|(_, asked)| !**asked).map(|(name, _)| name.into()).collect()
    }
}

impl<T: Float> std::fmt::Debug for LayerTensors<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shapes = self.tensors.iter().map(|(name, array)| (name, array.shape()));
        f.debug_map().entries(shapes).finish()
    }
}
