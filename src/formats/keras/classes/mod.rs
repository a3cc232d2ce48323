//! The classes of Keras that are read, each in one place: its name, what its `call` takes, the weights that it holds,
//! and how it is read.
//!
//! A group of classes is a file here, with a part of the table: see [`Class`]. A class of Keras's that isn't in the
//! table is refused by name.

pub(super) mod activations;
mod arguments;
mod attention;
mod bidirectional;
mod bytes;
mod categories;
mod cells;
mod conv_lstm;
mod convolution;
mod dense;
mod einsum_dense;
mod embedding;
mod holds;
pub(super) mod initializers;
mod masking;
mod merging;
mod multi_head;
mod normalization;
mod operations;
mod options;
mod pooling;
mod preprocessing;
mod recurrent;
mod shapes;
mod spatial;
mod spectral;
mod time_distributed;
mod training_only;

use std::sync::Arc;

use super::description::Described;
use super::json::{DTypes, Fields, Json};
use super::options::{AnyCode, Settings};
use super::unsupported::{TAKE_OUT, way_out};
use super::version::Version;
use super::weights::{Layout, Place, Weights};
use super::words::{Said, Unsaid};
use crate::float::Float;
use crate::formats::error::{Found, within};
use crate::graph::operation::{Op, Operation};
use crate::state::StateLayout;

use self::arguments::Arguments;
pub(super) use self::arguments::{Argument, Says, same};
pub(super) use self::attention::ARGUMENTS_OF_ATTENTION;
pub(super) use self::bidirectional::DIRECTIONS;
pub(super) use self::cells::CellKind;
pub(super) use self::holds::{Holds, trained};
pub(super) use self::multi_head::{ARGUMENTS_OF_HEADS, GROUPS_OF_HEADS, TENSORS_OF_HEADS};
pub(super) use self::operations::tensorflow::arguments as legacy_arguments;

/// A class of Keras's.
pub(super) struct Class<T: Float> {
    pub(super) name: &'static str,
    /// What Keras's `call` takes, in order.
    pub(super) arguments: &'static [&'static str],
    pub(super) holds: Holds,
    pub(super) reads: Reads<T>,
    pub(super) written: Written,
    /// Whether its inputs are one argument, a list, even if there is one alone.
    pub(super) takes_list: bool,
}

/// How a class is written: from what its layer says of itself ([`Operation::describe`], whose words are Keras's).
#[derive(Clone, Copy)]
pub(super) enum Written {
    /// Option by option, but for these, which Keras hasn't got: sizes that it finds out by itself.
    Without(&'static [&'static str]),
    /// In a way of its own.
    By(fn(&mut Said<'_>) -> Result<(), Unsaid>),
}

/// How a class is read.
pub(super) enum Reads<T: Float> {
    /// An input of the model, which has no operation.
    Input,
    Layer(fn(&Reading<'_, '_>) -> Found<Built<T>>),
    /// A layer of one cell over time.
    Recurrent(CellKind),
    /// A cell, which is no layer by itself.
    Cell(CellKind),
    /// An operation that isn't a layer.
    Operation(fn(&Reading<'_, '_>) -> Found<Op<T>>),
    /// By code of the program's own.
    Own,
}

/// Option by option, all of them.
const AS_SAID: Written = Written::Without(&[]);

/// What layers of one input take.
const INPUTS: &[&str] = &["inputs"];
const INPUTS_AND_TRAINING: &[&str] = &["inputs", "training"];
const INPUTS_TRAINING_MASK: &[&str] = &["inputs", "training", "mask"];

/// What a model takes when it is called as a layer.
pub(super) const ARGUMENTS_OF_A_MODEL: &[&str] = INPUTS_TRAINING_MASK;

impl<T: Float> Class<T> {
    const INPUT: &'static [Class<T>] = &[Class {
        name: "InputLayer",
        arguments: &[],
        holds: Holds::Nothing,
        reads: Reads::Input,
        written: AS_SAID,
        takes_list: false,
    }];

    /// Whatever code of the program's own stands in the place of.
    const OWN: &'static Class<T> = &Class {
        name: "",
        arguments: INPUTS_TRAINING_MASK,
        holds: Holds::Nothing,
        reads: Reads::Own,
        written: AS_SAID,
        takes_list: false,
    };

    /// All classes, those of one group together; layers come before operations.
    const ALL: &'static [&'static [Class<T>]] = &[
        Self::INPUT,
        Self::RECURRENT,
        Self::CELLS,
        Self::BIDIRECTIONAL,
        Self::TIME_DISTRIBUTED,
        Self::DENSE,
        Self::EINSUM_DENSE,
        Self::SPECTRAL,
        Self::CONVOLUTION,
        Self::POOLING,
        Self::SPATIAL,
        Self::OVER_TWO,
        Self::OVER_THREE,
        Self::CONV_LSTM,
        Self::EMBEDDING,
        Self::MASKING,
        Self::ACTIVATIONS,
        Self::NORMALIZATION,
        Self::SHAPES,
        Self::MERGING,
        Self::ATTENTION,
        Self::MULTI_HEAD,
        Self::PREPROCESSING,
        Self::CATEGORIES,
        Self::TRAINING_ONLY,
        Self::OPERATIONS,
        Self::ELEMENTWISE,
        Self::REDUCTIONS,
        Self::MOVING,
        Self::PRODUCTS,
        Self::TENSORFLOW,
    ];

    /// The class of a layer, which must be Keras's and known.
    pub(super) fn of(layer: &Described<'_>) -> Found<&'static Self> {
        if layer.identity.code.is_some() {
            return Ok(Self::OWN);
        }
        let name = layer.identity.keras(layer.path())?;
        let operation = layer.identity.is_operation();
        let fits =
            |class: &&Self| class.name == name && operation.is_none_or(|operation| operation == class.is_operation());
        Self::ALL
            .iter()
            .copied()
            .flatten()
            .find(fits)
            .ok_or_else(|| layer.unsupported(way_out(name, operation == Some(true))))
    }

    /// A class that is a layer, by its name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().copied().flatten().find(|class| class.name == name && !class.is_operation())
    }

    pub(super) fn is_operation(&self) -> bool {
        matches!(self.reads, Reads::Operation(_))
    }

    const fn layer(
        name: &'static str,
        arguments: &'static [&'static str],
        holds: Holds,
        read: fn(&Reading<'_, '_>) -> Found<Built<T>>,
    ) -> Self {
        Class { name, arguments, holds, reads: Reads::Layer(read), written: AS_SAID, takes_list: false }
    }

    /// The same, written without these options.
    const fn without(self, without: &'static [&'static str]) -> Self {
        Class { written: Written::Without(without), ..self }
    }

    /// The same, written in a way of its own.
    const fn by(self, write: fn(&mut Said<'_>) -> Result<(), Unsaid>) -> Self {
        Class { written: Written::By(write), ..self }
    }

    /// The same of a list of inputs.
    const fn of_list(self) -> Self {
        Class { takes_list: true, ..self }
    }
}

/// The names of all classes, each under one.
pub(super) fn names() -> Vec<&'static str> {
    let names = Class::<f32>::ALL.iter().copied().flatten().map(|class| class.name);
    names.filter(|name| *name != multi_head::IN_PYTHON).collect()
}

/// Whether it is an operation that isn't a layer: those have no weights.
pub(super) fn is_operation(layer: &Described<'_>) -> bool {
    layer.identity.code.is_none() && is_listed_operation(layer)
}

fn is_listed_operation(layer: &Described<'_>) -> bool {
    layer.identity.is_operation().unwrap_or_else(|| Class::<f32>::of(layer).is_ok_and(Class::is_operation))
}

/// What all layers of a file share while they are built.
pub(super) struct Reader<'r, 'a> {
    pub(super) version: Version,
    pub(super) weights: Option<&'r Weights<'a>>,
    /// Vocabularies beside these, by the members' names.
    pub(super) vocabularies: &'r [(String, Vec<u8>)],
    pub(super) options: &'r Settings,
    /// The program's own code, in the place of what is marked.
    pub(super) code: Option<&'r dyn AnyCode>,
    /// The types that layers of the file compute in.
    pub(super) dtypes: DTypes,
    pub(super) layout: Layout,
}

/// A layer that was built.
pub(super) struct Built<T: Float> {
    pub(super) op: Op<T>,
    pub(super) trainable: usize,
    pub(super) non_trainable: usize,
    /// The state that it keeps from call to call, if it is stateful.
    pub(super) stateful: Option<Arc<StateLayout>>,
}

impl<T: Float> Built<T> {
    /// A layer with `trainable` elements of weights.
    fn with(operation: impl Operation<T>, trainable: usize) -> Self {
        Built { op: Op::new(operation), trainable, non_trainable: 0, stateful: None }
    }
}

/// A layer that is being read.
pub(super) struct Reading<'e, 'a> {
    reader: &'e Reader<'e, 'a>,
    /// Its options.
    fields: &'e Fields<'e>,
    /// Where its weights are.
    place: &'e Place<'e>,
    depth: usize,
    /// Whether its weights are Keras's bytes; and whether those are numbers as they are: see [`Described::bare`].
    bytes: bool,
    bare: bool,
    /// What the call of an operation says.
    arguments: Arguments<'e>,
}

impl<'a> Reader<'_, 'a> {
    /// Builds a layer; models are built elsewhere.
    pub(super) fn layer<T: Float>(&self, layer: &Described<'_>, place: &Place<'_>, depth: usize) -> Found<Built<T>> {
        self.called_layer(layer, place, depth, &[])
    }

    /// Builds a layer whose calls say something besides tensors.
    pub(super) fn called_layer<T: Float>(
        &self,
        layer: &Described<'_>,
        place: &Place<'_>,
        depth: usize,
        says: &[Argument<'_>],
    ) -> Found<Built<T>> {
        if let Some(code) = layer.identity.code {
            return self.own_layer(layer, place, depth, code);
        }
        self.open_called::<T, _>(layer, place, depth, says, |reading| {
            let mut built = match Class::<T>::of(layer)?.reads {
                Reads::Layer(read) => read(reading)?,
                Reads::Recurrent(kind) => recurrent::read(reading, kind)?,
                _ => return Err(layer.unsupported(TAKE_OUT)),
            };
            if !reading.fields.flag_or("trainable", true)? {
                built.non_trainable += std::mem::take(&mut built.trainable);
            }
            Ok(built)
        })
    }

    /// Builds an operation that isn't a layer.
    pub(super) fn operation<T: Float>(&self, operation: &Described<'_>, says: &[Argument<'_>]) -> Found<Op<T>> {
        let Reads::Operation(read) = Class::<T>::of(operation)?.reads else {
            return Err(operation.unsupported(way_out(operation.class(), true)));
        };
        let place = Place::Group(String::new());
        operation.config.fields("an object", |fields| {
            fields.take("name");
            let arguments = Arguments::new(says.to_vec());
            let reading =
                Reading { reader: self, fields, place: &place, depth: 0, bytes: false, bare: false, arguments };
            let op = read(&reading)?;
            match reading.arguments.left() {
                None => Ok(op),
                Some(left) => Err(reading.unsupported_argument(left, "operations are read without it")),
            }
        })
    }

    /// Opens a layer's options, and reads those that all layers have.
    fn open<T: Float, V>(
        &self,
        layer: &Described<'_>,
        place: &Place<'_>,
        depth: usize,
        read: impl FnOnce(&Reading<'_, 'a>) -> Found<V>,
    ) -> Found<V> {
        self.open_called::<T, V>(layer, place, depth, &[], read)
    }

    /// The same of a layer whose calls say something besides tensors.
    fn open_called<T: Float, V>(
        &self,
        layer: &Described<'_>,
        place: &Place<'_>,
        depth: usize,
        says: &[Argument<'_>],
        read: impl FnOnce(&Reading<'_, 'a>) -> Found<V>,
    ) -> Found<V> {
        within("depth", depth, self.options.limits.depth)?;
        layer.identity.keras(layer.path())?;
        layer.config.fields("an object", |fields| {
            // Read with the layer's description, as the graph needs it.
            fields.take("name");
            fields.flag_or("trainable", true)?;
            let has_bytes = bytes::CLASSES.contains(&layer.class());
            let bytes = self.dtype_of::<T>(fields.take("dtype").as_ref(), has_bytes)?;
            options::serialized(fields, &["activity_regularizer"])?;
            // The shape that a layer was built for: it is inferred.
            for key in ["batch_input_shape", "batch_shape"] {
                fields.take(key).and_then(Json::given).map(|shape| shape.shape()).transpose()?;
            }
            read(&Reading {
                reader: self,
                fields,
                place,
                depth,
                bytes,
                bare: layer.bare,
                arguments: Arguments::new(says.to_vec()),
            })
        })
    }
}
