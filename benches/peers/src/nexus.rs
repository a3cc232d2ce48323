//! `nexus-inference`: one row, step by step. Its layers end in a linear projection: here of one output.

use nexus_inference::{TinyGru, TinyLstm};

use crate::case::Case;
use crate::{Failure, Work};

pub fn prepare(case: &Case) -> Result<Option<Box<dyn Work>>, Failure> {
    let w = &case.workload;
    if !(case.is("S") || case.is("Q")) {
        return Ok(None);
    }
    let parts = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map(|name| case.tensor(name));
    let [ih, hh, bias_ih, bias_hh] = parts;
    let (head, bias) = (vec![0.1; w.units], [0.0]);
    let cell = match w.cell.as_str() {
        "lstm" => Cell::Lstm(TinyLstm::from_parts(w.inputs, w.units, 1, ih, hh, bias_ih, bias_hh, &head, &bias)?),
        "gru" => Cell::Gru(TinyGru::from_parts(w.inputs, w.units, 1, ih, hh, bias_ih, bias_hh, &head, &bias)?),
        _ => return Ok(None),
    };
    Ok(Some(Box::new(Steps {
        cell,
        x: case.tensor("x").to_vec(),
        inputs: w.inputs,
        units: w.units,
        whole: case.is("Q"),
    })))
}

enum Cell {
    Lstm(TinyLstm),
    Gru(TinyGru),
}

impl Cell {
    fn step(&mut self, x: &[f32]) {
        let mut output = [0.0];
        match self {
            Cell::Lstm(cell) => cell.predict_into(x, &mut output),
            Cell::Gru(cell) => cell.predict_into(x, &mut output),
        }
        std::hint::black_box(output);
    }

    fn hidden(&self) -> &[f32] {
        match self {
            Cell::Lstm(cell) => cell.hidden_state(),
            Cell::Gru(cell) => cell.hidden_state(),
        }
    }

    fn reset(&mut self) {
        match self {
            Cell::Lstm(cell) => cell.reset(),
            Cell::Gru(cell) => cell.reset(),
        }
    }
}

struct Steps {
    cell: Cell,
    x: Vec<f32>,
    inputs: usize,
    units: usize,
    /// A sequence begins anew with each call.
    whole: bool,
}

impl Work for Steps {
    fn call(&mut self) -> Result<(), Failure> {
        if self.whole {
            self.cell.reset();
        }
        for x in self.x.chunks(self.inputs) {
            self.cell.step(x);
        }
        Ok(())
    }

    fn first_output(&mut self, _: &Case) -> Result<Vec<f32>, Failure> {
        let mut sequence = Vec::with_capacity(self.x.len() / self.inputs * self.units);
        for x in self.x.chunks(self.inputs) {
            self.cell.step(x);
            sequence.extend_from_slice(self.cell.hidden());
        }
        Ok(sequence)
    }
}
