//! The operations of a model as nodes, by what they do.
//!
//! An operation describes itself ([`Words`]) and shows its weights; what is written follows from these alone, so that a
//! model from a file and one that was built are written alike. Masks are values of the graph: who makes them adds their
//! flags, and who reads them reads these.

mod elementwise;
mod layers;
mod merging;
mod nodes;
mod normalization;
mod products;
pub(super) mod quantized;
mod recurrent;
mod reductions;
mod regroup;
mod shapes;
mod steps;
mod windows;

use self::recurrent::Over;
use super::graph::{Held, Kind, Mask};
use super::words::{Weights, Words};
use super::writer::{HINT, Writer};
use super::{described, kept, weights_of};
use crate::float::Float;
use crate::formats::save_error::SaveError;
use crate::graph::operation::{Operation, Role};
use crate::graph::ops::noise::Dropout;
use crate::graph::shape::Shape;

/// What an operation gives.
type Outputs = Result<Vec<Held>, SaveError>;

/// A call of an operation.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) inputs: Vec<Held>,
    /// The mask that it reads, and the one that goes on with the outputs.
    pub(super) mask: Option<Mask>,
    pub(super) passes: Option<Mask>,
    /// The parts of an initial state.
    pub(super) initial: Vec<Held>,
    /// The shapes of the outputs.
    pub(super) shapes: Vec<Shape>,
    pub(super) keras_2: bool,
}

impl Call {
    fn x(&self) -> Held {
        self.inputs.first().cloned().unwrap_or_else(|| Held::new(String::new(), Kind::Float, vec![]))
    }

    fn shape(&self) -> Shape {
        self.shapes.first().cloned().unwrap_or_default()
    }

    /// The only output, with the mask that goes on.
    fn passing(&self, output: Held) -> Outputs {
        Ok(vec![output.masked(self.passes.clone())])
    }
}

impl<T: Float> Writer<T> {
    /// What an operation gives, its shapes and masks included.
    pub(super) fn operation(&mut self, op: &dyn Operation<T>, call: Call) -> Outputs {
        let outputs = match op.role() {
            Role::Model(model) => self.nested(model, call.inputs.clone())?,
            Role::Recurrent { layer, slot } => {
                if slot.is_some() {
                    return Err(self.refuse_option("stateful", true, STATEFUL));
                }
                let config = described(layer.describe(), &self.path)?;
                let mut weights = Vec::new();
                layer.visit_stored(&mut crate::weights::WeightVisitor::new(&mut |path, weight| {
                    weights.push((path.to_string(), weight));
                }));
                let mask = self.flags_of(call.mask.as_ref())?;
                let (sequence, state) = (layer.returns_sequences(), layer.returns_state());
                let over = Over { x: call.x(), mask, initial: call.initial.clone(), sequence, state };
                let ran = self.over_time(Words(&config), &Weights::new(weights, kept(op)), &over)?;
                let goes_on = call.passes.clone().filter(|_| sequence);
                let outputs = ran.outputs.into_iter().map(|output| output.masked(goes_on.clone()));
                outputs.chain(ran.states).collect()
            }
            Role::TimeDistributed(inner) => self.time_distributed(inner, &call)?,
            Role::ChannelsFirst(inner) => self.channels_first(inner, &call)?,
            _ => {
                let config = described(op.describe(), &self.path)?;
                self.by_class(Words(&config), &weights_of(op), &call)?
            }
        };
        let shaped =
            outputs.into_iter().zip(&call.shapes).map(|(output, shape)| Held { shape: shape.clone(), ..output });
        Ok(shaped.collect())
    }

    /// An operation by its description.
    fn by_class(&mut self, words: Words<'_>, weights: &Weights<'_, T>, call: &Call) -> Outputs {
        let made = match words.class() {
            "Unmasked" => {
                let Some(inner) = words.config("layer") else { return Err(self.refuse(HINT)) };
                let without = Call { mask: None, passes: None, ..call.clone() };
                let outputs = self.by_class(inner, weights, &without)?;
                return Ok(outputs.into_iter().map(|output| output.masked(None)).collect());
            }
            class if elementwise::CLASSES.contains(&class) => self.elementwise(words, call)?,
            class if quantized::CLASSES.contains(&class) => self.quantized(words, weights, call)?,
            class if layers::CLASSES.contains(&class) || Dropout::CLASSES.contains(&class) => {
                self.simple_layer(words, weights, call)?
            }
            class if merging::CLASSES.contains(&class) => self.merging(words, call)?,
            class if shapes::CLASSES.contains(&class) => self.shapes(words, call)?,
            class if regroup::CLASSES.contains(&class) => self.regroup(words, call)?,
            class if reductions::CLASSES.contains(&class) => self.reductions(words, call)?,
            class if normalization::CLASSES.contains(&class) => self.normalization(words, weights, call)?,
            class if products::CLASSES.contains(&class) => self.products(words, weights, call)?,
            class if windows::is_one(class) => self.windows(words, weights, call)?,
            _ => return Err(self.refuse("it isn't written as ONNX; recurrent::file::save writes it")),
        };
        Ok(made)
    }
}

const STATEFUL: &str =
    "ONNX keeps no state from call to call: give and return it, by an initial state and return_state";
