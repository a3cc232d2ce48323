//! `candle-nn`: `LSTM` and `GRU`, with the gradients of their weights in training.

use std::collections::HashMap;

use candle_core::{Device, Tensor, Var};
use candle_nn::rnn::{GRUState, LSTMState};
use candle_nn::{GRU, GRUConfig, LSTM, LSTMConfig, RNN, VarBuilder};

use crate::case::Case;
use crate::{Failure, Work};

pub fn prepare(case: &Case) -> Result<Option<Box<dyn Work>>, Failure> {
    let w = &case.workload;
    let gates = match w.cell.as_str() {
        "lstm" => 4,
        "gru" => 3,
        _ => return Ok(None),
    };
    let mut weights = HashMap::new();
    for (name, width) in
        [("weight_ih", Some(w.inputs)), ("weight_hh", Some(w.units)), ("bias_ih", None), ("bias_hh", None)]
    {
        let values = case.tensor(name).to_vec();
        let rows = gates * w.units;
        let tensor = match width {
            Some(width) => Tensor::from_vec(values, (rows, width), &Device::Cpu)?,
            None => Tensor::from_vec(values, rows, &Device::Cpu)?,
        };
        // Only a variable has a gradient.
        let tensor = if case.is("G") { Var::from_tensor(&tensor)?.into_inner() } else { tensor };
        weights.insert(format!("{name}_l0"), tensor);
    }
    let builder = VarBuilder::from_tensors(weights, candle_core::DType::F32, &Device::Cpu);
    let x = Tensor::from_slice(case.tensor("x"), (w.batch, w.steps, w.inputs), &Device::Cpu)?;
    let (step, train) = (case.is("S"), case.is("G"));
    Ok(Some(if gates == 4 {
        let layer = LSTM::new(w.inputs, w.units, LSTMConfig::default(), builder)?;
        let state = layer.zero_state(w.batch)?;
        Box::new(Layer { layer, state, x, step, train, hidden: |state: &LSTMState| state.h().clone() })
    } else {
        let layer = GRU::new(w.inputs, w.units, GRUConfig::default(), builder)?;
        let state = layer.zero_state(w.batch)?;
        Box::new(Layer { layer, state, x, step, train, hidden: |state: &GRUState| state.h().clone() })
    }))
}

struct Layer<L: RNN> {
    layer: L,
    state: L::State,
    x: Tensor,
    step: bool,
    train: bool,
    hidden: fn(&L::State) -> Tensor,
}

impl<L: RNN> Layer<L> {
    /// (batch, steps, units)
    fn sequence(&self) -> Result<Tensor, Failure> {
        let states = self.layer.seq(&self.x)?;
        let hidden: Vec<Tensor> = states.iter().map(self.hidden).collect();
        Ok(Tensor::stack(&hidden, 1)?)
    }
}

impl<L: RNN> Work for Layer<L> {
    fn call(&mut self) -> Result<(), Failure> {
        if self.step {
            self.state = self.layer.step(&self.x.squeeze(1)?, &self.state)?;
        } else {
            let sequence = self.sequence()?;
            if self.train {
                std::hint::black_box(sequence.sum_all()?.backward()?);
            }
        }
        Ok(())
    }

    fn first_output(&mut self, _: &Case) -> Result<Vec<f32>, Failure> {
        let output = if self.step {
            (self.hidden)(&self.layer.step(&self.x.squeeze(1)?, &self.state)?)
        } else {
            self.sequence()?
        };
        Ok(output.flatten_all()?.to_vec1()?)
    }
}
