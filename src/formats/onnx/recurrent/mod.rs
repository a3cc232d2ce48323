//! RNN, LSTM and GRU nodes: what their attributes say, their weights, and the layer that computes the same.

mod activations;
mod build;

use ndarray::ArrayD;

use self::activations::Activations;
pub(super) use self::build::layer;
use super::bytes::Bytes;
use super::node::Node;
use crate::float::Float;
use crate::formats::error::{Found, within};
use crate::formats::gate_order::{GateOrder, keras, onnx};
use crate::formats::limits::Limits;

/// ONNX Runtime's operator of an LSTM whose weights are bytes, of the domain com.microsoft.
pub(super) const LSTM_IN_BYTES: &str = "DynamicQuantizeLSTM";

/// What a recurrent node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    Rnn,
    Lstm,
    Gru,
}

impl Cell {
    pub(super) const ALL: [Cell; 3] = [Cell::Rnn, Cell::Lstm, Cell::Gru];

    /// ONNX's name of the operator.
    pub(super) fn operator(self) -> &'static str {
        match self {
            Cell::Rnn => "RNN",
            Cell::Lstm => "LSTM",
            Cell::Gru => "GRU",
        }
    }

    pub(super) fn of(operator: &str) -> Option<Self> {
        Cell::ALL.into_iter().find(|cell| cell.operator() == operator)
    }

    pub(super) fn gates(self) -> GateOrder {
        match self {
            Cell::Rnn => onnx::RNN,
            Cell::Lstm => onnx::LSTM,
            Cell::Gru => onnx::GRU,
        }
    }

    /// The same in this crate's order.
    fn own_gates(self, input_forget: bool) -> GateOrder {
        match self {
            Cell::Rnn => keras::SIMPLE_RNN,
            Cell::Lstm if input_forget => keras::COUPLED_LSTM,
            Cell::Lstm => keras::LSTM,
            Cell::Gru => keras::GRU,
        }
    }

    /// How many states there are: of an LSTM Y_h and Y_c.
    pub(super) fn states(self) -> usize {
        if self == Cell::Lstm { 2 } else { 1 }
    }

    /// How many inputs there are at most.
    pub(super) fn inputs(self) -> usize {
        if self == Cell::Lstm { Self::PEEPHOLES + 1 } else { Self::INITIAL_H + 1 }
    }

    /// The places of the inputs behind B.
    pub(super) const SEQUENCE_LENS: usize = 4;
    pub(super) const INITIAL_H: usize = 5;
    pub(super) const INITIAL_C: usize = 6;
    pub(super) const PEEPHOLES: usize = 7;
}

/// Which way the steps are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Reverse,
    Both,
}

/// What the attributes of a recurrent node say.
#[derive(Debug)]
pub(super) struct Recurrent {
    pub(super) cell: Cell,
    pub(super) direction: Direction,
    /// Whether the batch is the first axis of X, Y and the states: `layout`.
    pub(super) batch_first: bool,
    hidden_size: Option<i64>,
    clip: Option<f64>,
    input_forget: bool,
    linear_before_reset: bool,
    /// Of each direction.
    activations: Vec<Activations>,
}

/// The weights of a recurrent node, as they stand in it.
#[derive(Debug)]
pub(super) struct Weights<T> {
    pub(super) w: ArrayD<T>,
    pub(super) r: ArrayD<T>,
    pub(super) b: Option<ArrayD<T>>,
    pub(super) p: Option<ArrayD<T>>,
    /// W and R as they are kept, if they are of bytes; `w` and `r` are what they mean.
    pub(super) bytes: Option<[Bytes; 2]>,
}

impl Recurrent {
    pub(super) fn read(node: &Node<'_>, cell: Cell) -> Found<Self> {
        if node.opset < 7 {
            return Err(node.refuse(
                "recurrent operators are read from opset 7 on: convert the model with onnx.version_converter",
            ));
        }
        let direction = match node.text("direction")? {
            None | Some("forward") => Direction::Forward,
            Some("reverse") => Direction::Reverse,
            Some("bidirectional") => Direction::Both,
            Some(other) => {
                return Err(
                    node.refuse(format!("its direction must be forward, reverse or bidirectional, found {other:?}"))
                );
            }
        };
        let directions = if direction == Direction::Both { 2 } else { 1 };
        let (alpha, beta) = (node.floats("activation_alpha")?, node.floats("activation_beta")?);
        let names = node.texts("activations")?;
        let activations = activations::read(node, cell, directions, names, [alpha, beta])?;
        let clip = node.float_if("clip")?;
        // ONNX Runtime bounds nothing by a clip of zero or less.
        if clip.is_some_and(|clip| clip.is_nan() || clip <= 0.0) {
            return Err(node.refuse("its clip must be above zero"));
        }
        let read = Recurrent {
            cell,
            direction,
            batch_first: node.flag("layout", false)?,
            hidden_size: node.int_if("hidden_size")?,
            clip,
            input_forget: cell == Cell::Lstm && node.flag("input_forget", false)?,
            linear_before_reset: cell == Cell::Gru && node.flag("linear_before_reset", false)?,
            activations,
        };
        node.finish()?;
        Ok(read)
    }

    pub(super) fn directions(&self) -> usize {
        if self.direction == Direction::Both { 2 } else { 1 }
    }

    /// The sizes of the input and of a state, if the weights have the shapes that go with them.
    fn sizes<T: Float>(&self, node: &Node<'_>, weights: &Weights<T>, limits: &Limits) -> Found<(usize, usize)> {
        let (directions, gates) = (self.directions(), self.cell.gates().len());
        let [.., input] = *weights.w.shape() else { return Err(node.refuse("its W must have three dimensions")) };
        let [.., hidden] = *weights.r.shape() else { return Err(node.refuse("its R must have three dimensions")) };
        if self.hidden_size.is_some_and(|told| usize::try_from(told) != Ok(hidden)) {
            return Err(node.refuse(format!("its hidden_size is another one than that of R, {hidden}")));
        }
        within("units", input.max(hidden), limits.units)?;
        let rows = gates.saturating_mul(hidden);
        let expected = [
            ("W", Some(weights.w.shape()), vec![directions, rows, input]),
            ("R", Some(weights.r.shape()), vec![directions, rows, hidden]),
            ("B", weights.b.as_ref().map(|b| b.shape()), vec![directions, rows.saturating_mul(2)]),
            ("P", weights.p.as_ref().map(|p| p.shape()), vec![directions, hidden.saturating_mul(3)]),
        ];
        for (name, shape, expected) in expected {
            if shape.is_some_and(|shape| shape != expected) {
                let found = shape.unwrap_or(&[]);
                return Err(node.refuse(format!("its {name} must have the shape {expected:?}, found {found:?}")));
            }
        }
        Ok((input, hidden))
    }
}
