//! Several values as one: merging layers, Concatenate, Stack.

use super::{Call, Outputs};
use crate::float::Float;
use crate::formats::onnx::write::graph::{Held, Kind, Mask};
use crate::formats::onnx::write::words::Words;
use crate::formats::onnx::write::writer::{HINT, Writer};
use crate::graph::shape::{axis_at, pad};

pub(super) const CLASSES: [&str; 8] =
    ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Stack"];

const MASKS: &str = "what is done with masked elements isn't written; recurrent::file::save writes it";

impl<T: Float> Writer<T> {
    pub(super) fn merging(&mut self, words: Words<'_>, call: &Call) -> Outputs {
        let kind = joined(&call.inputs);
        let inputs: Vec<Held> = call.inputs.iter().map(|input| self.cast(input, kind)).collect();
        let masks: Vec<Option<Mask>> = match words.text("masks") {
            "none" => vec![None; call.inputs.len()],
            _ => call.inputs.iter().map(|input| input.mask.clone()).collect(),
        };
        let masked = masks.iter().any(Option::is_some);
        Ok(vec![match words.class() {
            "Concatenate" => {
                let rank = call.shape().len();
                let axis = axis_at(words.integer("axis"), rank).ok_or_else(|| self.refuse(HINT))?;
                let mask = if axis + 1 == rank { self.any_of(&masks, words.text("masks")) } else { unwritten(masked) };
                self.concat(&inputs, axis).masked(mask)
            }
            "Stack" => {
                let rank = call.shape().len();
                let axis = axis_at(words.integer("axis"), rank).ok_or_else(|| self.refuse(HINT))?;
                let parts: Vec<Held> = inputs.iter().map(|input| self.unsqueeze(input, axis)).collect();
                self.concat(&parts, axis)
            }
            class => {
                if masked && words.text("masks") == "any" {
                    return Err(self.refuse_option("mask", "of one of its inputs", MASKS));
                }
                let rank = inputs.iter().map(Held::rank).max().unwrap_or(0);
                let inputs: Vec<Held> = inputs.into_iter().map(|input| self.as_wide(input, rank)).collect();
                self.merged_values(class, inputs).masked(unwritten(masked))
            }
        }])
    }

    /// With axes of one behind the batch, so that it has this rank.
    fn as_wide(&mut self, x: Held, rank: usize) -> Held {
        if x.rank() >= rank {
            return x;
        }
        let missing: Vec<i64> = (1..=(rank - x.rank()) as i64).collect();
        let axes = self.list(&missing);
        let shape = pad(&x.shape, rank, Some(1));
        Held::new(self.one("Unsqueeze", &[&x.name, &axes], &[]), x.kind, shape)
    }

    fn merged_values(&mut self, class: &str, inputs: Vec<Held>) -> Held {
        match class {
            "Add" => self.folded("Add", &inputs),
            "Subtract" => self.folded("Sub", &inputs),
            "Multiply" => self.folded("Mul", &inputs),
            "Maximum" => self.folded("Max", &inputs),
            "Minimum" => self.folded("Min", &inputs),
            _ => {
                let count = inputs.len() as f64;
                let sum = self.folded("Add", &inputs);
                let sum = self.as_floats(&sum);
                self.with_number("Div", &sum, count)
            }
        }
    }

    /// The mask of features side by side: a step is live where any of the masks says so, or where an input has none; or
    /// where all say so.
    fn any_of(&mut self, masks: &[Option<Mask>], rule: &str) -> Option<Mask> {
        let all = rule == "all";
        let mut flags: Vec<Held> = Vec::new();
        for mask in masks {
            match mask {
                None if all => {}
                None => return None,
                Some(Mask::Flags(own)) if flags.iter().any(|other| other.name == own.name) => {}
                Some(Mask::Flags(own)) => flags.push((**own).clone()),
                Some(Mask::Unwritten(why)) => return Some(Mask::Unwritten(why)),
            }
        }
        match &flags[..] {
            [] => None,
            [one] => Some(Mask::Flags(Box::new(one.clone()))),
            _ => Some(Mask::Flags(Box::new(self.folded(if all { "And" } else { "Or" }, &flags)))),
        }
    }
}

fn unwritten(masked: bool) -> Option<Mask> {
    masked.then_some(Mask::Unwritten("of values that were merged"))
}

/// The kind of what is made of several.
pub(super) fn joined(all: &[Held]) -> Kind {
    let has = |kind: Kind| all.iter().any(|one| one.kind == kind);
    if has(Kind::Float) {
        Kind::Float
    } else if has(Kind::Int) {
        Kind::Int
    } else {
        Kind::Bool
    }
}
