//! `rust-lstm`, which computes in f64. Its GRU has other equations, so only the LSTM is here.

use ndarray15::Array2;
use rust_lstm::layers::lstm_cell::LSTMCell;
use rust_lstm::models::lstm_network::{LSTMNetwork, LSTMState};

use crate::case::Case;
use crate::{Failure, Work};

pub fn prepare(case: &Case) -> Result<Option<Box<dyn Work>>, Failure> {
    let w = &case.workload;
    if w.cell != "lstm" {
        return Ok(None);
    }
    let matrix = |name: &str, width: usize| {
        let values = case.tensor(name).iter().map(|&value| f64::from(value)).collect();
        Array2::from_shape_vec((4 * w.units, width), values)
    };
    let mut cell = LSTMCell::new(w.inputs, w.units);
    cell.w_ih = matrix("weight_ih", w.inputs)?;
    cell.w_hh = matrix("weight_hh", w.units)?;
    cell.b_ih = matrix("bias_ih", 1)?;
    cell.b_hh = matrix("bias_hh", 1)?;
    let network = LSTMNetwork::from_cells(vec![cell], w.inputs, w.units);
    // One column for each row of the batch.
    let x = case.tensor("x");
    let at = |row: usize, step: usize, feature: usize| f64::from(x[(row * w.steps + step) * w.inputs + feature]);
    let x =
        (0..w.steps).map(|step| Array2::from_shape_fn((w.inputs, w.batch), |(feature, row)| at(row, step, feature)));
    let state = network.zero_state(w.batch);
    Ok(Some(Box::new(Network { network, state, x: x.collect(), step: case.is("S"), train: case.is("G") })))
}

struct Network {
    network: LSTMNetwork,
    state: LSTMState,
    x: Vec<Array2<f64>>,
    step: bool,
    train: bool,
}

impl Work for Network {
    fn call(&mut self) -> Result<(), Failure> {
        if self.step {
            self.state = self.network.forward(&self.x[0], &self.state).1;
        } else if self.train {
            let (outputs, caches) = self.network.forward_sequence_with_cache(&self.x);
            let upstream: Vec<_> = outputs.iter().map(|(h, _)| Array2::ones(h.dim())).collect();
            std::hint::black_box(self.network.backward_sequence(&upstream, &caches));
        } else {
            std::hint::black_box(self.network.forward_sequence(&self.x));
        }
        Ok(())
    }

    fn first_output(&mut self, case: &Case) -> Result<Vec<f32>, Failure> {
        let outputs = self.network.forward_sequence(&self.x);
        let w = &case.workload;
        let mut rows = Vec::with_capacity(w.batch * w.steps * w.units);
        for row in 0..w.batch {
            for output in &outputs {
                rows.extend(output.column(row).iter().map(|&value| value as f32));
            }
        }
        Ok(rows)
    }
}
