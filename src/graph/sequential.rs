//! One layer after another, built by hand.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use super::assembly::{Assembly, Most};
use super::builder::refused;
use super::layer::{AnyLayer, Reads};
use super::{CallSpec, InputKind, Model};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::summary::snake_case;

/// Models of one layer after another: [`Sequential::builder`] builds a [`Model`], the type that a file gives.
///
/// A [`Stacked`](crate::Stacked) is what must be one [`Layer`](crate::Layer).
///
/// ```
/// use recurrent::{Dense, Embedding, Gru, Sequential};
///
/// let model = Sequential::<f32>::builder("classifier")
///     .layer(Embedding::builder(500, 16).mask_zero(true).build()?)
///     .layer(Gru::new(16, 32))
///     .layer(Dense::new(32, 3))
///     .build()?;
/// assert_eq!(model.predict_one(&ndarray::array![[4, 17, 0], [8, 1, 2]])?.shape(), [2, 3]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug)]
pub struct Sequential<T>(PhantomData<T>);

/// Takes the layers of a [`Model`], the first one first: made by [`Sequential::builder`].
#[derive(Debug)]
#[must_use = "a builder makes nothing until `build`"]
pub struct SequentialBuilder<T: Float = f32> {
    name: String,
    shape: Option<Vec<Option<usize>>>,
    layers: Vec<(Option<String>, AnyLayer<T>)>,
}

impl<T: Float> Sequential<T> {
    /// A builder for a model of this name. It may begin with an [`Embedding`](crate::Embedding) or a
    /// [`Masking`](crate::Masking), whose mask goes on from layer to layer as in Keras.
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Activation, Bidirectional, Dense, Embedding, Lstm, Sequential};
    /// let model = Sequential::<f32>::builder("sentiment")
    ///     .layer(Embedding::builder(1000, 16).mask_zero(true).build()?)
    ///     .layer(Bidirectional::new(Lstm::builder(16, 32))?)
    ///     .layer(Dense::builder(64, 2).activation(Activation::Softmax).build()?)
    ///     .build()?;
    /// println!("{model}"); // Keras's summary
    /// let ids = array![[5, 8, 13, 0, 0], [2, 3, 5, 7, 11]]; // padded rows; the mask goes along
    /// assert_eq!(model.predict_one(&ids)?.shape(), [2, 2]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn builder(name: &str) -> SequentialBuilder<T> {
        SequentialBuilder { name: name.into(), shape: None, layers: vec![] }
    }
}

impl<T: Float> SequentialBuilder<T> {
    /// Adds a layer behind the others, under Keras's name: `lstm`, then `lstm_1`.
    pub fn layer(mut self, layer: impl Into<AnyLayer<T>>) -> Self {
        self.layers.push((None, layer.into()));
        self
    }

    /// Adds a layer under a name.
    pub fn named(mut self, name: &str, layer: impl Into<AnyLayer<T>>) -> Self {
        self.layers.push((Some(name.into()), layer.into()));
        self
    }

    /// The shape of the input without the batch; `None` is any size. Without it the first layer says it: (timesteps,
    /// features), or (timesteps,) of ids.
    pub fn input_shape(mut self, shape: impl AsRef<[Option<usize>]>) -> Self {
        self.shape = Some(shape.as_ref().to_vec());
        self
    }

    /// Makes the model.
    ///
    /// # Errors
    /// [`Error::EmptyModel`] without a layer, [`Error::InputUnknown`] if neither a layer nor
    /// [`input_shape`](SequentialBuilder::input_shape) says what is read, [`Error::DuplicateName`],
    /// [`Error::NestedTooDeep`], [`Error::ModelCall`] for a layer that can't read what the one before it gives,
    /// [`Error::TensorTooLarge`].
    pub fn build(self) -> Result<Model<T>> {
        let Some((_, first)) = self.layers.first() else { return Err(Error::EmptyModel { model: self.name }) };
        let shape = match self.shape {
            Some(shape) => shape,
            None => read_by(&self.layers).ok_or_else(|| Error::InputUnknown { model: self.name.clone() })?,
        };
        let kind = match first.reads {
            Reads::Ids => InputKind::IDS,
            _ => InputKind::Float { through_f32: false },
        };
        let mut assembly = Assembly::new(&self.name, true, false, Most::default());
        let part = assembly.add_input_layer("input");
        let input = assembly.add_input("input".into(), [&[None], &shape[..]].concat(), kind, part);
        let mut outputs = vec![input.map_err(|refusal| refused("input", refusal))?];
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for (name, layer) in self.layers {
            let name = name.unwrap_or_else(|| default_name(layer.class, &mut names));
            if assembly.model.parts.iter().any(|part| part.op.is_some() && part.name == name) {
                return Err(Error::DuplicateName { what: "layer", name });
            }
            let part = assembly.add_layer(&name, layer)?;
            let call = CallSpec {
                part,
                inputs: outputs,
                masks: vec![],
                initial_state: vec![],
                outputs: vec![],
                drops: vec![],
            };
            outputs = assembly.add_call(0, call).map_err(|refusal| refused(&name, refusal))?;
        }
        Ok(assembly.finish(outputs, vec![]))
    }
}

/// What the first layers say of the input.
fn read_by<T: Float>(layers: &[(Option<String>, AnyLayer<T>)]) -> Option<Vec<Option<usize>>> {
    match layers.iter().map(|(_, layer)| layer.reads).find(|reads| *reads != Reads::AsTheNext)? {
        Reads::Ids => Some(vec![None]),
        Reads::Features(features) => Some(vec![None, Some(features)]),
        Reads::AsTheNext | Reads::Unknown => None,
    }
}

/// Keras's: the class in snake case, and from the second one on a number.
fn default_name(class: &str, names: &mut BTreeMap<String, usize>) -> String {
    let name = snake_case(class);
    let count = names.entry(name.clone()).or_default();
    *count += 1;
    if *count == 1 { name } else { format!("{name}_{}", *count - 1) }
}
