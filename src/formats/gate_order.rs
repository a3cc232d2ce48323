//! In which order the gates' columns stand side by side, by framework.

use ndarray::{ArrayD, ArrayViewD, Axis, Slice, concatenate};

/// A gate, by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// LSTM: how much of the candidate comes in.
    Input,
    /// LSTM: how much of the cell state stays.
    Forget,
    /// LSTM: how much of the cell state goes out.
    Output,
    /// GRU: how much of the old state stays.
    Update,
    /// GRU: how much of the old state the candidate sees.
    Reset,
    /// What would come in: the LSTM's g (Keras: c), the GRU's n (Keras: h), all of a SimpleRNN.
    Candidate,
}

/// The gates of a cell, the first one first.
pub(crate) type GateOrder = &'static [Gate];

/// This crate's orders, which are Keras's.
pub(crate) mod keras {
    use super::Gate::*;
    use super::GateOrder;

    pub(crate) const SIMPLE_RNN: GateOrder = &[Candidate];
    pub(crate) const LSTM: GateOrder = &[Input, Forget, Candidate, Output];
    pub(crate) const GRU: GateOrder = &[Update, Reset, Candidate];
    /// An LSTM's without a forget gate of its own.
    #[cfg(feature = "onnx")]
    pub(crate) const COUPLED_LSTM: GateOrder = &[Input, Candidate, Output];
    /// Of an LSTM, those that see the cell state.
    #[cfg(feature = "onnx")]
    pub(crate) const PEEPHOLES: GateOrder = &[Input, Forget, Output];
    #[cfg(feature = "onnx")]
    pub(crate) const COUPLED_PEEPHOLES: GateOrder = &[Input, Output];
}

/// PyTorch's orders.
#[cfg(any(feature = "pytorch", test))]
pub(crate) mod pytorch {
    use super::Gate::*;
    use super::GateOrder;

    pub(crate) const RNN: GateOrder = &[Candidate];
    pub(crate) const LSTM: GateOrder = &[Input, Forget, Candidate, Output];
    pub(crate) const GRU: GateOrder = &[Reset, Update, Candidate];
}

/// ONNX's orders.
#[cfg(feature = "onnx")]
pub(crate) mod onnx {
    use super::Gate::*;
    use super::GateOrder;

    pub(crate) const RNN: GateOrder = &[Candidate];
    pub(crate) const LSTM: GateOrder = &[Input, Output, Forget, Candidate];
    /// Those that see the cell state.
    pub(crate) const PEEPHOLES: GateOrder = &[Input, Output, Forget];
    pub(crate) const GRU: GateOrder = &[Update, Reset, Candidate];
}

/// Puts the gates' blocks of equal width along an axis into another order. Both orders have the same gates, and the
/// axis is as many times a width as there are.
pub(crate) fn reorder<T: Clone>(array: ArrayViewD<'_, T>, axis: Axis, from: GateOrder, to: GateOrder) -> ArrayD<T> {
    let width = array.len_of(axis) / from.len();
    let block = |gate: &Gate| {
        let at = from.iter().position(|other| other == gate).unwrap_or_default();
        array.slice_axis(axis, Slice::from(at * width..(at + 1) * width))
    };
    let blocks: Vec<_> = to.iter().map(block).collect();
    match from == to {
        true => array.to_owned(),
        false => concatenate(axis, &blocks).unwrap_or_else(|_| array.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn blocks_move_whole() {
        let rows = array![[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0], [8.0, 9.0], [10.0, 11.0]].into_dyn();
        let keras = reorder(rows.view(), Axis(0), pytorch::GRU, keras::GRU);
        assert_eq!(keras, array![[4.0, 5.0], [6.0, 7.0], [0.0, 1.0], [2.0, 3.0], [8.0, 9.0], [10.0, 11.0]].into_dyn());
        assert_eq!(reorder(keras.view(), Axis(0), keras::GRU, pytorch::GRU), rows);
        assert_eq!(reorder(rows.t(), Axis(1), pytorch::GRU, keras::GRU), keras.t());
    }

    /// Each order names each gate of the cell once: what the search for a block relies on.
    #[test]
    fn the_same_gates() {
        for (a, b) in [(keras::LSTM, pytorch::LSTM), (keras::GRU, pytorch::GRU), (keras::SIMPLE_RNN, pytorch::RNN)] {
            assert_eq!(a.len(), b.len());
            assert!(a.iter().all(|gate| b.contains(gate)) && b.iter().all(|gate| a.contains(gate)));
        }
    }
}
