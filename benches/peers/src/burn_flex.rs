//! `burn` on its CPU backend Flex: `Lstm`, `BiLstm` and `Gru`, with the gradients of their weights in training.

use burn::module::Param;
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{BiLstm, BiLstmConfig, GateController, Lstm, LstmConfig, LstmState};
use burn::tensor::{Device, Tensor, TensorData};

use crate::case::Case;
use crate::{Failure, Work};

pub fn prepare(case: &Case) -> Result<Option<Box<dyn Work>>, Failure> {
    let device = if case.is("G") { Device::flex().autodiff() } else { Device::flex() };
    let w = &case.workload;
    let layer = match w.cell.as_str() {
        "lstm" => Layer::Lstm(lstm(case, "", LstmConfig::new(w.inputs, w.units, true).init(&device), &device)),
        "bilstm" => {
            let mut layer = BiLstmConfig::new(w.inputs, w.units, true).init(&device);
            layer.forward = lstm(case, "", layer.forward, &device);
            layer.reverse = lstm(case, "_reverse", layer.reverse, &device);
            Layer::BiLstm(layer)
        }
        "gru" => {
            let mut layer = GruConfig::new(w.inputs, w.units, true).init(&device);
            for (place, gate) in
                [&mut layer.reset_gate, &mut layer.update_gate, &mut layer.new_gate].into_iter().enumerate()
            {
                fill(case, "", gate, place, &device);
            }
            Layer::Gru(layer)
        }
        _ => return Ok(None),
    };
    let x = TensorData::new(case.tensor("x").to_vec(), [w.batch, w.steps, w.inputs]);
    let x = Tensor::<3>::from_data(x, &device);
    Ok(Some(Box::new(Module { layer, state: State::None, x, step: case.is("S"), train: case.is("G") })))
}

fn lstm(case: &Case, suffix: &str, mut layer: Lstm, device: &Device) -> Lstm {
    fill(case, suffix, &mut layer.input_gate, 0, device);
    if let Some(gate) = &mut layer.forget_gate {
        fill(case, suffix, gate, 1, device);
    }
    fill(case, suffix, &mut layer.cell_gate, 2, device);
    fill(case, suffix, &mut layer.output_gate, 3, device);
    layer
}

/// The gate that is the `place`-th in PyTorch's order.
fn fill(case: &Case, suffix: &str, gate: &mut GateController, place: usize, device: &Device) {
    let units = case.workload.units;
    let transforms =
        [("ih", case.workload.inputs, &mut gate.input_transform), ("hh", units, &mut gate.hidden_transform)];
    for (name, width, linear) in transforms {
        let weight = case.directed(&format!("weight_{name}"), suffix);
        let bias = case.directed(&format!("bias_{name}"), suffix);
        let rows = &weight[place * units * width..(place + 1) * units * width];
        let transposed: Vec<f32> = (0..width * units).map(|k| rows[k % units * width + k / units]).collect();
        linear.weight = Param::from_tensor(Tensor::from_data(TensorData::new(transposed, [width, units]), device));
        let bias = TensorData::new(bias[place * units..(place + 1) * units].to_vec(), [units]);
        linear.bias = Some(Param::from_tensor(Tensor::from_data(bias, device)));
    }
}

enum Layer {
    Lstm(Lstm),
    BiLstm(BiLstm),
    Gru(Gru),
}

enum State {
    None,
    Lstm(LstmState<2>),
    Gru(Tensor<2>),
}

struct Module {
    layer: Layer,
    state: State,
    x: Tensor<3>,
    step: bool,
    train: bool,
}

impl Module {
    fn run(&mut self) -> Tensor<3> {
        let x = self.x.clone();
        let state = std::mem::replace(&mut self.state, State::None);
        match (&self.layer, state) {
            (Layer::Lstm(layer), state) => {
                let (y, state) = layer.forward(x, if let State::Lstm(state) = state { Some(state) } else { None });
                if self.step {
                    self.state = State::Lstm(state);
                }
                y
            }
            (Layer::BiLstm(layer), _) => layer.forward(x, None).0,
            (Layer::Gru(layer), state) => {
                let y = layer.forward(x, if let State::Gru(state) = state { Some(state) } else { None });
                if self.step {
                    self.state = State::Gru(y.clone().squeeze_dim(1));
                }
                y
            }
        }
    }
}

impl Work for Module {
    fn call(&mut self) -> Result<(), Failure> {
        let y = self.run();
        if self.train {
            std::hint::black_box(y.sum().backward());
        } else {
            std::hint::black_box(y);
        }
        Ok(())
    }

    fn first_output(&mut self, _: &Case) -> Result<Vec<f32>, Failure> {
        let y = self.run();
        self.state = State::None;
        y.into_data().to_vec().map_err(|error| format!("{error:?}").into())
    }
}
