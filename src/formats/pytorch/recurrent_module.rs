//! PyTorch's recurrent modules: their tensors by names and shapes.

use std::fmt;

use super::modules::{Shapes, Tensors, check, matrix, shape};
use crate::formats::gate_order::{GateOrder, keras, pytorch};
use crate::formats::mismatch::Mismatch;

/// A recurrent cell of PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    Rnn,
    Lstm,
    Gru,
}

impl Cell {
    /// PyTorch's order of the gates.
    pub(super) fn gates(self) -> GateOrder {
        match self {
            Cell::Rnn => pytorch::RNN,
            Cell::Lstm => pytorch::LSTM,
            Cell::Gru => pytorch::GRU,
        }
    }

    /// This crate's order of the gates.
    pub(super) fn own_gates(self) -> GateOrder {
        match self {
            Cell::Rnn => keras::SIMPLE_RNN,
            Cell::Lstm => keras::LSTM,
            Cell::Gru => keras::GRU,
        }
    }
}

/// A recurrent module: `nn.LSTM` and its kin, or `nn.LSTMCell` and its kin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recurrent {
    pub(super) cell: Cell,
    /// Whether it is a module of one step: `nn.LSTMCell`.
    pub(super) one_step: bool,
    pub(super) input: usize,
    pub(super) units: usize,
    /// The width of h, if it isn't `units`: an `nn.LSTM`'s `proj_size`.
    pub(super) projection: Option<usize>,
    pub(super) layers: usize,
    pub(super) bidirectional: bool,
    pub(super) bias: bool,
}

impl Recurrent {
    /// `nn.LSTM`, `nn.LSTMCell`.
    pub(super) fn kind(cell: Cell, one_step: bool) -> &'static str {
        match (cell, one_step) {
            (Cell::Rnn, false) => "nn.RNN",
            (Cell::Lstm, false) => "nn.LSTM",
            (Cell::Gru, false) => "nn.GRU",
            (Cell::Rnn, true) => "nn.RNNCell",
            (Cell::Lstm, true) => "nn.LSTMCell",
            (Cell::Gru, true) => "nn.GRUCell",
        }
    }

    /// What the tensors are if they are those of this kind, or what is wrong with them.
    pub(super) fn of(cell: Cell, one_step: bool, shapes: &Shapes<'_>) -> Result<Self, Mismatch> {
        let first = if one_step { "" } else { "_l0" };
        let [weight_ih, weight_hh] = ["weight_ih", "weight_hh"].map(|name| format!("{name}{first}"));
        let [input_rows, input] = matrix(shapes, &weight_ih)?;
        let [rows, width] = matrix(shapes, &weight_hh)?;
        let gates = cell.gates().len();
        let projected = cell == Cell::Lstm && !one_step && shapes.contains_key("weight_hr_l0");
        let (units, projection) = match projected {
            false => (width, None),
            true => {
                let [width, units] = matrix(shapes, "weight_hr_l0")?;
                if width >= units {
                    let expected = "fewer rows than columns: a projection makes h narrower";
                    return Err(shape("weight_hr_l0", expected.into(), &[width, units]));
                }
                (units, Some(width))
            }
        };
        let of_gates = units.saturating_mul(gates);
        if projection.is_none() && rows != of_gates {
            let found = vec![rows, units];
            // A square one, of a single gate, lies either way.
            return Err(match gates > 1 && rows.checked_mul(gates) == Some(units) {
                true => Mismatch::Transposed { tensor: weight_hh, expected: vec![units, rows], found },
                false => shape(&weight_hh, times(gates), &found),
            });
        }
        if input_rows != of_gates && input == of_gates {
            let (expected, found) = (vec![input, input_rows], vec![input_rows, input]);
            return Err(Mismatch::Transposed { tensor: weight_ih, expected, found });
        }
        let layers = (0..).take_while(|layer| shapes.contains_key(&format!("weight_ih_l{layer}")[..])).count();
        let module = Recurrent {
            cell,
            one_step,
            input,
            units,
            projection,
            layers: if one_step { 1 } else { layers },
            bidirectional: !one_step && shapes.contains_key("weight_ih_l0_reverse"),
            bias: ["ih", "hh"].iter().any(|part| shapes.contains_key(&format!("bias_{part}{first}")[..])),
        };
        check(&module.tensors(), shapes).map(|()| module)
    }

    /// What stands behind the names of a direction's parameters.
    pub(super) fn suffix(&self, layer: usize, reverse: bool) -> String {
        if self.one_step { String::new() } else { format!("_l{layer}{}", if reverse { "_reverse" } else { "" }) }
    }

    pub(super) fn directions(&self) -> impl Iterator<Item = bool> + use<> {
        [false, true].into_iter().take(if self.bidirectional { 2 } else { 1 })
    }

    /// The features that a layer reads.
    pub(super) fn features(&self, layer: usize) -> usize {
        match layer {
            0 => self.input,
            _ => self.projection.unwrap_or(self.units).saturating_mul(self.directions().count()),
        }
    }

    /// All parameters with their shapes.
    pub(super) fn tensors(&self) -> Tensors {
        let mut tensors = Vec::new();
        let (rows, width) = (self.units.saturating_mul(self.cell.gates().len()), self.projection.unwrap_or(self.units));
        for layer in 0..self.layers {
            for reverse in self.directions() {
                let suffix = self.suffix(layer, reverse);
                tensors.push((format!("weight_ih{suffix}"), vec![rows, self.features(layer)]));
                tensors.push((format!("weight_hh{suffix}"), vec![rows, width]));
                if self.bias {
                    tensors.extend(["ih", "hh"].map(|part| (format!("bias_{part}{suffix}"), vec![rows])));
                }
                tensors.extend(self.projection.map(|width| (format!("weight_hr{suffix}"), vec![width, self.units])));
            }
        }
        tensors
    }
}

fn times(gates: usize) -> String {
    if gates == 1 { "as many rows as columns".into() } else { format!("{gates} times as many rows as columns") }
}

impl fmt::Display for Recurrent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}, {}", Self::kind(self.cell, self.one_step), self.input, self.units)?;
        if self.layers > 1 {
            write!(f, ", num_layers={}", self.layers)?;
        }
        if !self.bias {
            f.write_str(", bias=False")?;
        }
        if self.bidirectional {
            f.write_str(", bidirectional=True")?;
        }
        if let Some(width) = self.projection {
            write!(f, ", proj_size={width}")?;
        }
        f.write_str(")")
    }
}
