//! One call of a layer, its shapes checked, its arrays as slices.

use super::sequence::{Sequence, SequenceMut};
use super::tape::Node;
use crate::gradients::WeightGradients;
use crate::mask::{Resets, TimeMask};
use crate::seeds::DropoutGenerator;
use crate::strided::{Rows, RowsMut};

/// What a layer's core reads and writes in one call.
///
/// All shapes fit: the maker of a pass has checked them. States, previous outputs and sequences may be column ranges
/// of larger arrays, so that wrappers hand parts of theirs to the layers inside.
#[doc(hidden)]
#[derive(Debug)]
pub struct Pass<'a, T> {
    /// The number of rows.
    pub batch: usize,
    /// The number of steps; 0 only in a stream.
    pub timesteps: usize,
    /// (batch, timesteps, input_size)
    pub input: Sequence<'a, T>,
    /// Which steps are live.
    pub mask: TimeMask<'a>,
    /// Where rows are reset.
    pub resets: Option<Resets<'a>>,
    /// The state before the first step: (batch, state width).
    pub prev: Rows<'a, T>,
    /// The state after the last step.
    pub next: RowsMut<'a, T>,
    /// The previous outputs of the layer and the layers inside, before and after: (batch, carry width). The layer's
    /// own output is in the last columns.
    pub carry: RowsMut<'a, T>,
    /// The outputs of all steps, if they are wanted: (batch, timesteps, output_size).
    pub sequence: Option<SequenceMut<'a, T>>,
    /// What a masked step outputs, where a wrapper decides it instead of the layer.
    pub masked_output: Option<MaskedOutput>,
    /// Where to record what the backward pass needs.
    pub tape: Option<&'a mut Node<T>>,
    /// Training: the dropout generators of the layer and the layers inside, in order; `None` in inference.
    pub dropout: Option<&'a mut [DropoutGenerator]>,
}

#[cfg(feature = "rayon")]
impl<'a, T: crate::float::Float> Pass<'a, T> {
    /// The first `rows` rows and the others, for two threads. Only for a pass without tape and dropout.
    pub(crate) fn split_rows(self, rows: usize) -> (Self, Self) {
        let Pass { batch, timesteps, input, mask, resets, prev, next, carry, sequence, masked_output, .. } = self;
        let (first_next, next) = next.split_rows(rows);
        let (first_carry, carry) = carry.split_rows(rows);
        let (first_sequence, sequence) = sequence.map(|sequence| sequence.split_rows(rows)).unzip();
        let (first_mask, mask) = mask.split_rows(rows);
        let (first_resets, resets) = resets.map(|resets| resets.split_rows(rows)).unzip();
        let part = |batch, input, mask, resets, prev, next, carry, sequence| Pass {
            batch,
            timesteps,
            input,
            mask,
            resets,
            prev,
            next,
            carry,
            sequence,
            masked_output,
            tape: None,
            dropout: None,
        };
        (
            part(rows, input, first_mask, first_resets, prev, first_next, first_carry, first_sequence),
            part(batch - rows, input.skip_rows(rows), mask, resets, prev.skip(rows), next, carry, sequence),
        )
    }
}

/// What masked steps output: zeros, or else the previous output.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default)]
pub struct MaskedOutput {
    /// Zeros in the sequence.
    pub zero_sequence: bool,
    /// Zeros as the last output.
    pub zero_last: bool,
}

/// What a layer's backward pass reads and writes. All shapes fit those of the recorded run.
#[doc(hidden)]
#[derive(Debug)]
pub struct BackwardPass<'a, T> {
    /// The gradient of the outputs: (batch, timesteps, output_size).
    pub d_sequence: Option<Sequence<'a, T>>,
    /// Whether the steps of `d_sequence` stand in the opposite order, as Bidirectional's backward layer has them.
    pub flipped: bool,
    /// The gradient of the last output: (batch, output_size).
    pub d_last: Option<Rows<'a, T>>,
    /// The gradient of the final state: (batch, state width).
    pub d_state: Rows<'a, T>,
    /// The gradient of the input, to be added to: (batch, timesteps, input_size).
    pub d_input: Option<SequenceMut<'a, T>>,
    /// The gradient of the initial state, to be written.
    pub d_initial: RowsMut<'a, T>,
    /// The gradients of the weights, to be added to.
    pub gradients: WeightGradients<'a, T>,
}
