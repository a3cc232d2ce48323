//! A model as a graph of layers: what a file of Keras describes.
//!
//! A [`Model`] is a list of parts (layers, by name) and a list of calls in an order in which they can be done. Each
//! call reads some tensors and writes new ones; a part that is called twice is a shared layer. Masks travel with the
//! tensors as Keras attaches them: see [`run`]. Gradients go the calls' backward pass: see [`backward`].

pub(crate) mod assembly;
mod backward;
mod builder;
pub(crate) mod by_hand;
mod chain;
#[cfg(feature = "file")]
pub(crate) mod classes;
mod described;
mod gradients;
mod layer;
mod masked;
mod model_state;
mod named;
mod network;
pub(crate) mod operation;
pub(crate) mod ops;
mod order;
pub(crate) mod outside;
pub(crate) mod pass;
mod per_step;
mod predict_one;
mod quantize;
#[cfg(feature = "file")]
pub(crate) mod read;
pub(crate) mod rows;
mod run;
mod sequential;
pub(crate) mod shape;
mod stream;
mod summary;
pub(crate) mod tape;
pub(crate) mod tensor;
pub(crate) mod training;
pub(crate) mod weights;

use std::sync::Arc;

use ndarray::ArrayD;

pub use self::builder::{CallOptions, ModelBuilder, ModelNode};
pub use self::layer::AnyLayer;
pub use self::model_state::ModelState;
pub use self::network::Network;
#[cfg(feature = "file")]
pub use self::run::Watch;
pub use self::sequential::{Sequential, SequentialBuilder};
pub use self::stream::ModelStream;
pub use self::tensor::{Input, InputElement};

use self::operation::{Op, Role, misfit};
use self::outside::Outside;
use self::shape::{Misfit, Shape};
use crate::error::{Error, Result, or_panic};
use crate::float::Float;
use crate::layers::Layer;
use crate::layers::embedding::Embedding;
use crate::stamp::Stamp;
use crate::state::StateLayout;

/// A whole model: several inputs and outputs, shared layers, models within models. [`keras::load`](crate::keras::load)
/// makes one from a file.
///
/// [`predict`](Model::predict) runs it on whole inputs. Step by step it runs as a [`ModelStream`], or, if it is a
/// chain of layers, as the [`Layer`] that [`into_layer`](Model::into_layer) makes of it. [`record`](Model::record) and
/// [`backward`](Model::backward) give its gradients. Its `Display` is the table that Keras's `summary()` prints.
///
/// ```no_run
/// use ndarray::prelude::*;
/// use recurrent::keras;
/// let model = keras::load::<f32>("model.keras")?;
/// println!("{model}");
/// println!("{}", model.predict_one(&Array3::<f32>::ones((1, 50, 8)))?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Model<T: Float = f32> {
    pub(crate) name: String,
    /// Whether it is a `Sequential`: what its table looks like.
    pub(crate) sequential: bool,
    /// The first tensors are the inputs, in order.
    pub(crate) inputs: Vec<InputSpec>,
    /// The layers, in the file's order.
    pub(crate) parts: Vec<Part<T>>,
    /// In an order in which they can be done.
    pub(crate) calls: Vec<CallSpec>,
    pub(crate) outputs: Vec<usize>,
    /// A name for each output.
    pub(crate) output_names: Vec<String>,
    /// How the outputs are outside; none where they are as inside.
    pub(crate) outside: Vec<Option<Outside>>,
    pub(crate) tensors: Vec<TensorSpec>,
    /// The states of stateful layers, those of models within included.
    pub(crate) stateful: Vec<Arc<StateLayout>>,
    /// The number of rows that stateful layers are made for.
    pub(crate) batch: Option<usize>,
    /// The calls of one run, models within included.
    pub(crate) cost: usize,
    /// The most elements that a tensor may have.
    pub(crate) elements: usize,
    /// Whether it is Keras 2's, where some calls mean other things: see [`run`].
    pub(crate) keras_2: bool,
    /// Of all weights, and of the model itself.
    pub(crate) stamp: Stamp,
    pub(crate) kept: Kept,
}

/// What the file of a layer or a model said beyond what is known here: options that change no output, such as
/// regularizers. It is a text in the words of that format, which has no meaning here, and which is written again.
pub(crate) type Kept = Option<Arc<str>>;

/// What a model reads.
#[derive(Debug, Clone)]
pub(crate) struct InputSpec {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) kind: InputKind,
    /// How the arrays are that a caller gives, if they are others.
    pub(crate) outside: Option<Outside>,
}

/// What an input layer makes of what it is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum InputKind {
    /// Floats; those of an f64 model whose input is declared f32 pass through f32.
    Float {
        through_f32: bool,
    },
    /// Integers in this range.
    Int {
        min: i64,
        max: i64,
    },
    Bool,
}

/// A layer of a model.
#[derive(Debug, Clone)]
pub(crate) struct Part<T: Float> {
    pub(crate) name: String,
    pub(crate) class: String,
    /// `None` for an input layer.
    pub(crate) op: Option<Op<T>>,
    pub(crate) trainable: usize,
    pub(crate) non_trainable: usize,
    pub(crate) kept: Kept,
}

/// One call of a layer.
#[derive(Debug, Clone)]
pub(crate) struct CallSpec {
    pub(crate) part: usize,
    pub(crate) inputs: Vec<usize>,
    /// Masks that the call names: one, or one for each input of a model within.
    pub(crate) masks: Vec<Option<usize>>,
    pub(crate) initial_state: Vec<usize>,
    pub(crate) outputs: Vec<usize>,
    /// Tensors that no later call needs.
    pub(crate) drops: Vec<usize>,
}

/// Where a tensor comes from, and its shape as far as it is known.
#[derive(Debug, Clone)]
pub(crate) struct TensorSpec {
    pub(crate) part: usize,
    /// Which call of the part, in the file's order.
    pub(crate) node: usize,
    pub(crate) index: usize,
    pub(crate) shape: Shape,
}

impl InputKind {
    /// Any integers.
    pub(crate) const IDS: InputKind = InputKind::Int { min: i64::MIN, max: i64::MAX };
}

impl<T: Float> Model<T> {
    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the inputs, and their shapes with the batch first (those of an ONNX file as they are there); `None`
    /// is any size.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &[Option<usize>])> {
        self.inputs.iter().map(|input| (input.name.as_str(), input.given_shape()))
    }

    /// The names of the outputs ([`output_names`](Model::output_names)), and their shapes with the batch first (those of
    /// an ONNX file as they are there).
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &[Option<usize>])> {
        let shape = |(place, &output): (usize, &usize)| match self.outside.get(place) {
            Some(Some(outside)) => &outside.shape[..],
            _ => &self.tensors[output].shape[..],
        };
        self.output_names().zip(self.outputs.iter().enumerate().map(shape))
    }

    /// The names of the layers, in the file's order.
    pub fn layer_names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.name.as_str())
    }

    /// A layer over time by its name: SimpleRNN, LSTM, GRU, RNN, Bidirectional, Dense, or TimeDistributed(Dense).
    /// Those of a model within are named by path, `encoder/lstm`.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are.
    pub fn layer(&self, name: &str) -> Result<&dyn Layer<T>> {
        self.find_layer(name).ok_or_else(|| {
            let mut known = Vec::new();
            self.collect_layers("", &mut known);
            Error::unknown_name("layer", name, known.into_iter())
        })
    }

    fn find_layer(&self, name: &str) -> Option<&dyn Layer<T>> {
        for part in &self.parts {
            let Some(op) = &part.op else { continue };
            match op.role() {
                Role::Model(model) => {
                    let inner = name.strip_prefix(part.name.as_str()).and_then(|rest| rest.strip_prefix('/'));
                    if let Some(found) = inner.and_then(|inner| model.find_layer(inner)) {
                        return Some(found);
                    }
                }
                _ if part.name == name => return op.as_layer(),
                _ => {}
            }
        }
        None
    }

    fn collect_layers(&self, prefix: &str, names: &mut Vec<String>) {
        for part in &self.parts {
            let Some(op) = &part.op else { continue };
            match op.role() {
                Role::Model(model) => model.collect_layers(&format!("{prefix}{}/", part.name), names),
                _ if op.as_layer().is_some() => names.push(format!("{prefix}{}", part.name)),
                _ => {}
            }
        }
    }

    /// An Embedding by its name; one of a model within by its path.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are, [`Error::QuantizedWeight`] for one in fewer bits.
    pub fn embedding(&self, name: &str) -> Result<&Embedding<T>> {
        fn find<'m, T: Float>(
            model: &'m Model<T>,
            prefix: &str,
            name: &str,
            known: &mut Vec<String>,
            quantized: &mut bool,
        ) -> Option<&'m Embedding<T>> {
            for part in &model.parts {
                let path = format!("{prefix}{}", part.name);
                let Some(op) = &part.op else { continue };
                match op.role() {
                    Role::Embedding(table) if path == name => return Some(table),
                    Role::Embedding(_) => known.push(path),
                    Role::QuantizedEmbedding(_) if path == name => {
                        *quantized = true;
                        return None;
                    }
                    Role::Model(inner) => {
                        if let Some(found) = find(inner, &format!("{path}/"), name, known, quantized) {
                            return Some(found);
                        }
                    }
                    _ => {}
                }
            }
            None
        }
        let (mut known, mut quantized) = (Vec::new(), false);
        find(self, "", name, &mut known, &mut quantized).ok_or_else(|| match quantized {
            true => Error::QuantizedWeight { name: format!("{name}/embeddings") },
            false => Error::unknown_name("embedding", name, known.into_iter()),
        })
    }

    /// Runs the model on arrays, in the order of its inputs, and returns an array for each output, in their order.
    /// Stateful layers begin with zeros: see [`predict_stateful`](Model::predict_stateful).
    ///
    /// # Errors
    /// [`Error::ModelInputs`] and [`Error::ModelInput`] for inputs that aren't the model's, [`Error::InLayer`] for
    /// whatever a layer refuses, [`Error::TensorTooLarge`].
    pub fn predict(&self, inputs: &[Input<'_, T>]) -> Result<Vec<ArrayD<T>>> {
        self.run(None, inputs, None, None)
    }

    /// [`predict`](Model::predict), heard: each call's first output, by the layer's name.
    #[cfg(feature = "file")]
    pub(crate) fn predict_watched(
        &self,
        inputs: &[Input<'_, T>],
        watch: Option<run::Watch<'_, T>>,
    ) -> Result<Vec<ArrayD<T>>> {
        self.run(None, inputs, None, watch)
    }

    /// [`predict`](Model::predict) with the state of stateful layers kept in `state` from call to call.
    ///
    /// # Errors
    /// Those of [`predict`](Model::predict), [`Error::StateBatch`] for another number of rows than the state's,
    /// [`Error::StateLayout`] for another model's state; the state is as before then.
    pub fn predict_stateful(&self, state: &mut ModelState<T>, inputs: &[Input<'_, T>]) -> Result<Vec<ArrayD<T>>> {
        self.run(Some(state), inputs, None, None)
    }

    /// Zeros for the stateful layers of the model, for `batch` rows.
    ///
    /// # Panics
    /// If there is no memory for so many rows: use [`try_initial_state`](Model::try_initial_state) for a number that
    /// isn't known to be sound.
    #[track_caller]
    pub fn initial_state(&self, batch: usize) -> ModelState<T> {
        or_panic(self.try_initial_state(batch))
    }

    /// [`initial_state`](Model::initial_state), or an error.
    ///
    /// # Errors
    /// [`Error::TensorTooLarge`] for more rows than there is memory for.
    pub fn try_initial_state(&self, batch: usize) -> Result<ModelState<T>> {
        ModelState::zeros(&self.stateful, batch)
    }

    /// Whether any layer is `stateful`.
    pub fn is_stateful(&self) -> bool {
        !self.stateful.is_empty()
    }

    /// The number of all weights' elements, shared layers counted once.
    pub fn count_params(&self) -> usize {
        self.parts.iter().map(|part| part.trainable + part.non_trainable).sum()
    }

    /// The layer that a call is of.
    pub(super) fn called(&self, call: &CallSpec) -> Result<(&str, &Op<T>)> {
        let Part { name, op, .. } = &self.parts[call.part];
        debug_assert!(op.is_some(), "an input layer isn't called");
        Ok((name, op.as_ref().ok_or_else(misfit)?))
    }

    /// The shapes of the outputs, from those of the inputs.
    pub(crate) fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let refuse = || {
            let specs: Vec<Shape> = self.inputs.iter().map(|input| input.shape.clone()).collect();
            Misfit { expected: shape::display_all(&specs), found: shape::display_all(inputs) }
        };
        if inputs.len() != self.inputs.len() {
            return Err(refuse());
        }
        let mut shapes: Vec<Option<Shape>> = vec![None; self.tensors.len()];
        for (i, (spec, shape)) in self.inputs.iter().zip(inputs).enumerate() {
            shapes[i] = Some(spec.accept(shape).ok_or_else(refuse)?);
        }
        for call in &self.calls {
            let inputs: Option<Vec<Shape>> =
                call.inputs.iter().map(|&input| shapes.get(input).cloned().flatten()).collect();
            let (_, op) = self.called(call).map_err(|_| refuse())?;
            let outputs = op.infer(&inputs.ok_or_else(refuse)?)?;
            for (&to, shape) in call.outputs.iter().zip(outputs) {
                shapes[to] = Some(shape);
            }
        }
        self.outputs.iter().map(|&output| shapes.get(output).cloned().flatten().ok_or_else(refuse)).collect()
    }
}

impl InputSpec {
    /// The shape that a caller gives.
    pub(super) fn given_shape(&self) -> &[Option<usize>] {
        self.outside.as_ref().map_or(&self.shape, |outside| &outside.shape)
    }

    /// The shape that the model sees: Keras adds or takes away a last dimension of one. Sizes that are fixed must be
    /// the same, but for the batch.
    pub(crate) fn accept(&self, shape: &[Option<usize>]) -> Option<Shape> {
        let rank = self.shape.len();
        let mut shape = shape.to_vec();
        if shape.len() == rank + 1 && shape.last() == Some(&Some(1)) {
            shape.pop();
        } else if shape.len() + 1 == rank && self.shape.last() == Some(&Some(1)) {
            shape.push(Some(1));
        }
        let fits = |(i, (own, given)): (usize, (&Option<usize>, &Option<usize>))| {
            i == 0 || own.is_none() || given.is_none() || own == given
        };
        (shape.len() == rank && self.shape.iter().zip(&shape).enumerate().all(fits)).then_some(shape)
    }
}
