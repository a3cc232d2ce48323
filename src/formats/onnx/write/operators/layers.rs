//! Layers that look at each element, or at the features of a step: Dense, Embedding, activations, masks.

use super::{Call, Outputs};
use crate::float::Float;
use crate::formats::onnx::write::graph::{Attribute, Held, Kind, Mask};
use crate::formats::onnx::write::words::{Weights, Words};
use crate::formats::onnx::write::writer::{HINT, Writer};
use crate::formats::save_error::SaveError;
use crate::graph::operation::Operation;
use crate::graph::ops::noise::Dropout;
use crate::graph::shape::known;

/// Those of noise are in [`Dropout::CLASSES`].
pub(super) const CLASSES: [&str; 8] =
    ["Dense", "Embedding", "Activation", "PReLU", "Softmax", "Identity", "Masking", "SequenceMask"];

impl<T: Float> Writer<T> {
    pub(super) fn simple_layer(&mut self, words: Words<'_>, weights: &Weights<'_, T>, call: &Call) -> Outputs {
        let x = call.x();
        let output = match words.class() {
            "Dense" => self.dense(words, weights, &x)?,
            "Activation" => {
                let activation = self.activation_of(words, "activation")?;
                self.activation(&x, &activation)
            }?,
            "PReLU" => self.prelu(weights, &x),
            "Softmax" => self.softmax(words, call)?,
            // It hands on the very tensor.
            "Identity" => {
                let kept = call.passes.clone().filter(|_| words.flag("keeps_mask"));
                return Ok(vec![x.masked(kept)]);
            }
            // In inference so do these.
            class if Dropout::CLASSES.contains(&class) => return Ok(vec![x.masked(call.passes.clone())]),
            "Embedding" => {
                let ids = self.cast(&x, Kind::Int);
                let table = self.array("embeddings", &weights.get("embeddings"));
                let rows = self.one("Gather", &[&table.name, &ids.name], &[("axis", Attribute::Int(0))]);
                let mask = words.flag("mask_zero").then(|| Mask::Flags(Box::new(self.as_flags(&x))));
                return Ok(vec![Held::new(rows, Kind::Float, call.shape()).masked(mask)]);
            }
            "Masking" => {
                let (shown, flags) = self.masking(&x, words.number("mask_value"));
                return Ok(vec![shown.masked(Some(Mask::Flags(Box::new(flags))))]);
            }
            _ => return self.sequence_mask(call),
        };
        call.passing(output)
    }

    /// `activation(x kernel + bias)` of the last axis.
    pub(super) fn dense(&mut self, words: Words<'_>, weights: &Weights<'_, T>, x: &Held) -> Result<Held, SaveError> {
        let x = self.as_floats(x);
        let kernel = weights.get("kernel");
        let units = kernel.shape().last().copied();
        let kernel = self.array("kernel", &kernel);
        let mut shape = x.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = units;
        }
        let mut output = Held::new(self.one("MatMul", &[&x.name, &kernel.name], &[]), Kind::Float, shape);
        if let Some(bias) = weights.find("bias") {
            let bias = self.array("bias", &bias);
            output = self.two("Add", &output, &bias);
        }
        self.activation(&output, &self.activation_of(words, "activation")?)
    }

    fn prelu(&mut self, weights: &Weights<'_, T>, x: &Held) -> Held {
        let x = self.as_floats(x);
        let alpha = weights.get("alpha");
        let spread = [&[1], alpha.shape()].concat();
        let alpha = self.floats("alpha", &spread, alpha.iter().copied());
        Held::new(self.one("PRelu", &[&x.name, &alpha.name], &[]), Kind::Float, x.shape.clone())
    }

    /// What is masked counts for nothing.
    fn softmax(&mut self, words: Words<'_>, call: &Call) -> Result<Held, SaveError> {
        let (mut x, mask) = (self.as_floats(&call.x()), self.flags_of(call.mask.as_ref())?);
        let replaces = words.text("masks") != "adds";
        if let Some(mask) = &mask {
            let low = self.number(-1e9);
            x = if replaces {
                self.choose(mask, &x, &low)
            } else {
                let zero = self.number(0.0);
                let added = self.choose(mask, &zero, &low);
                self.two("Add", &x, &added)
            };
        }
        let output = self.same("Softmax", &x, &[("axis", Attribute::Int(words.integer("axis")))]);
        Ok(match mask.filter(|_| replaces) {
            Some(mask) => {
                let zero = self.number(0.0);
                self.choose(&mask, &output, &zero)
            }
            None => output,
        })
    }

    /// The flags of the first steps of each row.
    fn sequence_mask(&mut self, call: &Call) -> Outputs {
        let [x, lengths, ..] = &call.inputs[..] else { return Err(self.refuse(HINT)) };
        let lengths = self.cast(lengths, Kind::Int);
        let (zero, one, count) = (self.integer(0), self.integer(1), self.steps_of(x));
        let places = self.one("Range", &[&zero.name, &count.name, &one.name], &[]);
        let places = Held::new(places, Kind::Int, vec![x.shape[1]]);
        let ends = self.unsqueeze(&lengths, 1);
        let flags = self.two("Less", &places, &ends);
        Ok(vec![Held { lengths: Some(lengths.name), ..flags }])
    }

    /// An operation for each step.
    pub(super) fn time_distributed(&mut self, inner: &dyn Operation<T>, call: &Call) -> Outputs {
        if call.mask.is_some() && (call.keras_2 || inner.takes_mask()) {
            return Err(self.refuse_option("mask", "read by a layer for each step", HINT));
        }
        let x = call.x();
        let shape = call.shape();
        let steps = [0, 1].map(|axis| x.shape.get(axis).copied().flatten());
        let rows = match steps {
            [Some(batch), Some(steps)] => batch.checked_mul(steps),
            _ => None,
        };
        let output = if self.is_alone(inner) {
            let inner_call = Call { mask: None, passes: None, ..call.clone() };
            self.operation(inner, inner_call)?
        } else {
            // Time as more rows.
            let rest = &x.shape[2..];
            let all = self.shape_of(&x);
            let features = self.slice(&all, 0, (2, i64::MAX, 1));
            let open = Held::new(self.list(&[-1]), Kind::Int, known(&[1]));
            let target = self.concat(&[open.clone(), features], 0);
            let flat = self.reshape_to(&x, &target.name, [&[rows], rest].concat());
            let own = [&[rows], &shape[2..]].concat();
            let inner_call = Call { inputs: vec![flat], mask: None, passes: None, shapes: vec![own], ..call.clone() };
            let output = self.operation(inner, inner_call)?.into_iter().next().unwrap_or(x);
            let mask = output.mask.clone();
            let ends = self.slice(&all, 0, (0, 2, 1));
            let sizes = self.shape_of(&output);
            let sizes = self.slice(&sizes, 0, (1, i64::MAX, 1));
            let target = self.concat(&[ends, sizes], 0);
            vec![self.reshape_to(&output, &target.name, shape).masked(mask)]
        };
        // Of Keras 2 the mask that is made in each step goes on.
        let made = call.keras_2 && output.iter().any(|output| output.mask.is_some());
        let mask = if made { Some(Mask::Unwritten("made in each step")) } else { call.passes.clone() };
        Ok(output.into_iter().map(|output| output.masked(mask.clone())).collect())
    }

    /// Whether an operation treats the last axis, or each element, alone, whatever comes before it.
    fn is_alone(&self, inner: &dyn Operation<T>) -> bool {
        let Ok(config) = inner.describe() else { return false };
        let words = Words(&config);
        match words.class() {
            "Dense" | "QuantizedDense" | "Activation" | "Elementwise" | "Identity" => true,
            class if Dropout::CLASSES.contains(&class) => true,
            "LayerNormalization" | "BatchNormalization" | "RMSNormalization" => words.integers("axis") == [-1],
            "Softmax" => words.integer("axis") == -1,
            _ => false,
        }
    }

    /// An operation that reads channels last, on what has them first.
    pub(super) fn channels_first(&mut self, inner: &dyn Operation<T>, call: &Call) -> Outputs {
        let x = call.x();
        let rank = x.rank();
        let last: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
        let turned = self.transpose(&x, &last).masked(None);
        let shapes = inner.infer(std::slice::from_ref(&turned.shape)).map_err(|_| self.refuse(HINT))?;
        let inner_call = Call { inputs: vec![turned], passes: None, shapes, ..call.clone() };
        let outputs = self.operation(inner, inner_call)?;
        let back = outputs.into_iter().map(|output| {
            let rank = output.rank();
            if rank < 3 {
                return output.masked(None);
            }
            let first: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
            self.transpose(&output, &first).masked(None)
        });
        Ok(back.collect())
    }

    /// A layer over the features of each step, by its description.
    pub(super) fn on_features(
        &mut self,
        words: Words<'_>,
        weights: &Weights<'_, T>,
        x: &Held,
    ) -> Result<Held, SaveError> {
        let call = Call {
            inputs: vec![x.clone()],
            mask: None,
            passes: None,
            initial: vec![],
            shapes: vec![x.shape.clone()],
            keras_2: false,
        };
        let outputs = self.by_class(words, weights, &call)?;
        outputs.into_iter().next().ok_or_else(|| self.refuse(HINT))
    }
}
