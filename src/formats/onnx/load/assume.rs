//! Which axes of the inputs are the batch and time.

use super::super::File;
use super::super::messages::{Dimension, ValueInfo};
use crate::formats::error::{Found, Problem};

/// What is taken for granted of each input of the graph, until a node says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::formats::onnx) struct Assumptions {
    inputs: Vec<Assumed>,
    /// All that was tried.
    tried: Vec<Vec<Assumed>>,
}

/// What is taken for granted of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Assumed {
    /// The axis that is the batch; none of an input of one row that has no axis for it.
    pub(super) batch: Option<usize>,
    /// The axis that is time, if any is known to be.
    pub(super) time: Option<usize>,
}

/// What a node has found out, by an input and one of its axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::formats::onnx) enum Again {
    Batch(usize, usize),
    Time(usize, usize),
    /// The input has no axis for the batch.
    NoBatch(usize),
}

impl Assumptions {
    pub(super) fn of(file: &File) -> Self {
        let first = |input: &ValueInfo| {
            let shape = input.shape.as_deref().unwrap_or(&[]);
            let is_named = |size: &Dimension| match size {
                Dimension::Named(name) => {
                    let name = name.to_ascii_lowercase();
                    name.contains("batch") || matches!(&name[..], "n" | "b" | "bs")
                }
                _ => false,
            };
            Assumed { batch: Some(shape.iter().position(is_named).unwrap_or(0)), time: None }
        };
        let inputs: Vec<Assumed> = file.model.graph.inputs.iter().map(first).collect();
        Assumptions { tried: vec![inputs.clone()], inputs }
    }

    pub(super) fn input(&self, at: usize) -> Assumed {
        self.inputs[at]
    }

    /// How often it may begin again.
    pub(super) fn most(&self) -> usize {
        (3 * self.inputs.len() + 2).min(256)
    }

    pub(super) fn change(&mut self, file: &File, again: Again) -> Found<()> {
        let infos = &file.model.graph.inputs;
        match again {
            Again::Batch(input, axis) => {
                self.set_batch(input, axis);
                // Others with the same size by name have the same batch.
                let name =
                    |at: usize, axis: usize| infos[at].shape.as_deref().and_then(|shape| shape.get(axis)).cloned();
                if let Some(Dimension::Named(own)) = name(input, axis) {
                    for (at, info) in infos.iter().enumerate().filter(|(at, _)| *at != input) {
                        let shape = info.shape.as_deref().unwrap_or(&[]);
                        if let Some(axis) = shape.iter().position(|size| *size == Dimension::Named(own.clone())) {
                            self.set_batch(at, axis);
                        }
                    }
                }
            }
            Again::Time(input, axis) => self.inputs[input].time = Some(axis),
            Again::NoBatch(input) => self.inputs[input] = Assumed { batch: None, time: Some(0) },
        }
        if self.tried.contains(&self.inputs) {
            let input = match again {
                Again::Batch(input, _) | Again::Time(input, _) | Again::NoBatch(input) => input,
            };
            let name = infos[input].name.clone();
            let reason = "which of its axes is the batch can't be told: nodes take it to be different ones".into();
            return Err(Problem::OnnxValue { what: "input", name, reason });
        }
        self.tried.push(self.inputs.clone());
        Ok(())
    }

    fn set_batch(&mut self, input: usize, axis: usize) {
        let own = &mut self.inputs[input];
        own.batch = Some(axis);
        own.time = own.time.filter(|&time| time != axis);
    }
}
