//! The oracle: Keras's equations in f64, as they stand in its documentation, over its own weight shapes. It shares
//! nothing with the kernels, not even their activations.

use crate::activation::Activation;

/// A layer's weights in Keras's shapes, in f64.
#[derive(Debug, Clone)]
pub struct Weights {
    pub input_size: usize,
    pub units: usize,
    pub kernel: Vec<f64>,
    pub recurrent_kernel: Vec<f64>,
    pub bias: Vec<f64>,
}

/// An operand and its dropout masks: none, one for all gates, or one for each gate.
#[derive(Debug, Clone, Copy)]
pub struct Operand<'a> {
    pub values: &'a [f64],
    pub mask: Option<&'a [f64]>,
}

impl Operand<'_> {
    fn get(&self, gate: usize, k: usize) -> f64 {
        let n = self.values.len();
        match self.mask {
            None => self.values[k],
            Some(mask) if mask.len() == n => self.values[k] * mask[k],
            Some(mask) => self.values[k] * mask[gate * n + k],
        }
    }

    /// Column `gate * units + unit` of `operand @ matrix`.
    fn dot(&self, matrix: &[f64], columns: usize, units: usize, gate: usize, unit: usize) -> f64 {
        (0..self.values.len()).map(|k| self.get(gate, k) * matrix[k * columns + gate * units + unit]).sum()
    }
}

pub fn activate(activation: &Activation, values: &mut [f64]) {
    match activation {
        Activation::Linear => {}
        Activation::Relu => values.iter_mut().for_each(|v| *v = v.max(0.0)),
        Activation::Tanh => values.iter_mut().for_each(|v| *v = v.tanh()),
        Activation::Sigmoid => values.iter_mut().for_each(|v| *v = 1.0 / (1.0 + (-*v).exp())),
        Activation::HardSigmoid => values.iter_mut().for_each(|v| *v = (*v / 6.0 + 0.5).clamp(0.0, 1.0)),
        Activation::Softsign => values.iter_mut().for_each(|v| *v /= 1.0 + v.abs()),
        Activation::Softmax => {
            let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            values.iter_mut().for_each(|v| *v = (*v - max).exp());
            let sum: f64 = values.iter().sum();
            values.iter_mut().for_each(|v| *v /= sum);
        }
        other => panic!("no naive form of {other:?}"),
    }
}

/// `h` after the step.
pub fn simple_rnn(w: &Weights, x: Operand, h: Operand, activation: &Activation) -> Vec<f64> {
    let n = w.units;
    let mut next: Vec<f64> =
        (0..n).map(|u| w.bias[u] + x.dot(&w.kernel, n, n, 0, u) + h.dot(&w.recurrent_kernel, n, n, 0, u)).collect();
    activate(activation, &mut next);
    next
}

/// `h` and `c` after the step, and the gates i, f, g, o.
pub fn lstm(
    w: &Weights,
    x: Operand,
    h: Operand,
    c: &[f64],
    activation: &Activation,
    recurrent_activation: &Activation,
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (n, columns) = (w.units, 4 * w.units);
    let mut gates = Vec::new();
    for gate in 0..4 {
        let mut z: Vec<f64> = (0..n)
            .map(|u| {
                w.bias[gate * n + u]
                    + x.dot(&w.kernel, columns, n, gate, u)
                    + h.dot(&w.recurrent_kernel, columns, n, gate, u)
            })
            .collect();
        activate(if gate == 2 { activation } else { recurrent_activation }, &mut z);
        gates.extend(z);
    }
    let c: Vec<f64> = (0..n).map(|u| gates[n + u] * c[u] + gates[u] * gates[2 * n + u]).collect();
    let mut h = c.clone();
    activate(activation, &mut h);
    (0..n).for_each(|u| h[u] *= gates[3 * n + u]);
    (h, c, gates)
}

/// `h` after the step, and z, r, the candidate, and its recurrent part (with `reset_after`) or `r h` (without).
pub fn gru(
    w: &Weights,
    reset_after: bool,
    x: Operand,
    h: Operand,
    activation: &Activation,
    recurrent_activation: &Activation,
) -> (Vec<f64>, Vec<f64>) {
    let (n, columns) = (w.units, 3 * w.units);
    let recurrent_bias = |at: usize| if reset_after { w.bias[columns + at] } else { 0.0 };
    let mut gates = Vec::new();
    for gate in 0..2 {
        let mut z: Vec<f64> = (0..n)
            .map(|u| {
                w.bias[gate * n + u]
                    + x.dot(&w.kernel, columns, n, gate, u)
                    + recurrent_bias(gate * n + u)
                    + h.dot(&w.recurrent_kernel, columns, n, gate, u)
            })
            .collect();
        activate(recurrent_activation, &mut z);
        gates.extend(z);
    }
    let r = &gates[n..];
    let inner: Vec<f64> = if reset_after {
        (0..n).map(|u| recurrent_bias(2 * n + u) + h.dot(&w.recurrent_kernel, columns, n, 2, u)).collect()
    } else {
        (0..n).map(|u| r[u] * h.get(2, u)).collect()
    };
    let mut candidate: Vec<f64> = (0..n)
        .map(|u| {
            let x_part = w.bias[2 * n + u] + x.dot(&w.kernel, columns, n, 2, u);
            x_part
                + if reset_after {
                    r[u] * inner[u]
                } else {
                    Operand { values: &inner, mask: None }.dot(&w.recurrent_kernel, columns, n, 2, u)
                }
        })
        .collect();
    activate(activation, &mut candidate);
    let next = (0..n).map(|u| gates[u] * h.values[u] + (1.0 - gates[u]) * candidate[u]).collect();
    gates.extend(candidate);
    gates.extend(inner);
    (next, gates)
}
