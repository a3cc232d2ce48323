//! A workload with its tensors, as `cases.py` wrote it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use crate::Failure;

#[derive(Deserialize)]
pub struct Workload {
    pub name: String,
    /// S, Q, B, M, G or C: see `cases.py`.
    pub kind: String,
    pub cell: String,
    pub inputs: usize,
    pub units: usize,
    pub batch: usize,
    pub steps: usize,
    /// Before a convolution and pooling; else the same.
    pub input_steps: usize,
    /// Steps of all rows without padding: what a time is divided by.
    pub row_steps: usize,
}

pub struct Case {
    pub workload: Workload,
    folder: PathBuf,
    tensors: HashMap<String, Vec<f32>>,
    pub lengths: Vec<usize>,
}

pub fn read(folder: &Path) -> Result<Vec<Case>, Failure> {
    let workloads: Vec<Workload> = serde_json::from_slice(&std::fs::read(folder.join("workloads.json"))?)?;
    workloads.into_iter().map(|workload| Case::read(folder, workload)).collect()
}

impl Case {
    fn read(folder: &Path, workload: Workload) -> Result<Self, Failure> {
        let bytes = std::fs::read(folder.join(format!("{}.safetensors", workload.name)))?;
        let (mut tensors, mut lengths) = (HashMap::new(), Vec::new());
        for (name, tensor) in SafeTensors::deserialize(&bytes)?.iter() {
            if tensor.dtype() == Dtype::F32 {
                let (words, _) = tensor.data().as_chunks::<4>();
                tensors.insert(name.to_owned(), words.iter().map(|word| f32::from_le_bytes(*word)).collect());
            } else {
                let (words, _) = tensor.data().as_chunks::<8>();
                lengths = words.iter().map(|word| i64::from_le_bytes(*word) as usize).collect();
            }
        }
        Ok(Case { workload, folder: folder.to_owned(), tensors, lengths })
    }

    pub fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.workload.name))
    }

    /// `x` (batch, input_steps, inputs), `expected`, or a weight under PyTorch's name, in PyTorch's order of gates.
    pub fn tensor(&self, name: &str) -> &[f32] {
        let weight = format!("layer.{name}_l0");
        &self.tensors[if self.tensors.contains_key(&weight) { &weight } else { name }]
    }

    pub fn is(&self, kind: &str) -> bool {
        self.workload.kind == kind
    }

    /// The input as ONNX has it: (input_steps, batch, inputs).
    pub fn x_by_steps(&self) -> Vec<f32> {
        swap_axes(self.tensor("x"), self.workload.batch, self.workload.input_steps)
    }

    /// (steps, batch, units) of a recurrent node back to (batch, steps, units).
    pub fn by_rows(&self, y: &[f32]) -> Vec<f32> {
        let Workload { steps, batch, units, ref cell, .. } = self.workload;
        if cell != "bilstm" {
            return swap_axes(y, steps, batch);
        }
        // (steps, 2, batch, units): both directions side by side.
        let mut rows = Vec::with_capacity(y.len());
        for row in 0..batch {
            for step in 0..steps {
                for way in 0..2 {
                    let start = ((step * 2 + way) * batch + row) * units;
                    rows.extend_from_slice(&y[start..start + units]);
                }
            }
        }
        rows
    }

    /// Over the steps that aren't padding.
    pub fn largest_error(&self, given: &[f32]) -> Result<f32, Failure> {
        let expected = self.tensor("expected");
        if given.len() != expected.len() {
            return Err(
                format!("{}: expected {} numbers, got {}", self.workload.name, expected.len(), given.len()).into()
            );
        }
        let units = expected.len() / (self.workload.batch * self.workload.steps);
        let mut largest: f32 = 0.0;
        for (row, &length) in self.lengths.iter().enumerate() {
            let start = row * self.workload.steps * units;
            let live = start..start + length * units;
            for (a, b) in expected[live.clone()].iter().zip(&given[live]) {
                let error = (a - b).abs();
                largest = if error <= largest { largest } else { error }; // NaN stays
            }
        }
        Ok(largest)
    }
}

/// (a, b, width) to (b, a, width).
fn swap_axes(values: &[f32], a: usize, b: usize) -> Vec<f32> {
    let width = values.len() / (a * b);
    let mut swapped = Vec::with_capacity(values.len());
    for j in 0..b {
        for i in 0..a {
            swapped.extend_from_slice(&values[(i * b + j) * width..][..width]);
        }
    }
    swapped
}
