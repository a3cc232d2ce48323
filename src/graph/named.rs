//! Inputs by name.

use ndarray::ArrayD;

use super::{Input, Model};
use crate::error::{Error, Result};
use crate::float::Float;

impl<T: Float> Model<T> {
    /// The names of the inputs, in the order in which [`predict`](Model::predict) takes them.
    ///
    /// A model that was made of a dictionary has its keys for names, and they are sorted, as Keras sorts them: the
    /// order isn't that of the script. Any other has the names of its input layers.
    pub fn input_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.inputs.iter().map(|input| input.name.as_str())
    }

    /// The names of the outputs, in the order in which [`predict`](Model::predict) gives them: the sorted keys of a
    /// model that was made of a dictionary; else the names of the layers that they come from, one of which can come
    /// several times.
    pub fn output_names(&self) -> impl Iterator<Item = &str> {
        self.output_names.iter().map(String::as_str)
    }

    /// [`predict`](Model::predict) with the inputs by their names, in any order.
    ///
    /// ```no_run
    /// use ndarray::prelude::*;
    /// use recurrent::keras;
    /// let model = keras::load::<f32>("model.keras")?;
    /// let (tokens, features) = (Array2::<i64>::ones((1, 9)), Array3::<f32>::ones((1, 9, 4)));
    /// let outputs = model.predict_named(&[("tokens", (&tokens).into()), ("features", (&features).into())])?;
    /// for (name, output) in model.output_names().zip(&outputs) {
    ///     println!("{name}: {output}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownName`], [`Error::DuplicateName`], [`Error::MissingInput`] where the names aren't those of
    /// [`input_names`](Model::input_names), each once; those of [`predict`](Model::predict).
    pub fn predict_named(&self, inputs: &[(&str, Input<'_, T>)]) -> Result<Vec<ArrayD<T>>> {
        self.predict(&sorted(self.input_names(), inputs)?)
    }
}

/// Checks that each name is one of these, once.
pub(super) fn check<'n, T, N: Iterator<Item = &'n str>>(
    names: impl Fn() -> N,
    given: &[(&str, Input<'_, T>)],
) -> Result<()> {
    for (i, (name, _)) in given.iter().enumerate() {
        if !names().any(|known| known == *name) {
            return Err(Error::unknown_name("input", name, names().map(String::from)));
        }
        if given[..i].iter().any(|(before, _)| before == name) {
            return Err(Error::DuplicateName { what: "input", name: (*name).into() });
        }
    }
    match names().find(|known| !given.iter().any(|(name, _)| name == known)) {
        None => Ok(()),
        Some(missing) => Err(Error::MissingInput { name: missing.into(), known: names().map(String::from).collect() }),
    }
}

/// The inputs in the order of these names.
pub(super) fn sorted<'n, 'i, T: Float>(
    names: impl Iterator<Item = &'n str> + Clone,
    given: &[(&str, Input<'i, T>)],
) -> Result<Vec<Input<'i, T>>> {
    check(|| names.clone(), given)?;
    let inputs = names.filter_map(|name| given.iter().find(|(given, _)| *given == name));
    Ok(inputs.map(|(_, input)| input.clone()).collect())
}
