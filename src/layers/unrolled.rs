//! The one thing that Keras's `unroll` changes: where an unrolled layer goes backwards and outputs zeros for masked
//! steps, Keras (the TensorFlow backend, of both versions) takes those zeros by a mask that it forgot to turn around.
//!
//! ```text
//! states, and what a masked step repeats:  by mask[time], as always
//! outputs[step] = 0 where mask[step] says masked, though the step's time is timesteps - 1 - step
//! last output   = 0 where the last step is masked, as always
//! ```

use crate::float::Float;
use crate::mask::TimeMask;
use crate::runner::pass::{BackwardPass, MaskedOutput, Pass};
use crate::runner::sequence::Sequence;
use crate::runner::tape::Node;
use crate::strided::RowsMut;

/// Runs a layer that repeats outputs, then puts the zeros where Keras has them.
pub(super) fn process<T: Float>(mut pass: Pass<'_, T>, zeros: MaskedOutput, run: impl FnOnce(Pass<'_, T>)) {
    let Pass { batch, timesteps, mask, .. } = pass;
    if let Some(node) = &mut pass.tape {
        node.turned_zeros = Some(zeros);
    }
    let inner = Pass {
        input: pass.input,
        resets: pass.resets,
        prev: pass.prev,
        next: pass.next,
        carry: pass.carry.reborrow(),
        sequence: pass.sequence.as_mut().map(|sequence| sequence.reborrow()),
        masked_output: Some(MaskedOutput::default()),
        tape: pass.tape,
        dropout: pass.dropout,
        ..pass
    };
    run(inner);
    if let Some(sequence) = &mut pass.sequence {
        for step in 0..timesteps {
            zero(&mut sequence.at(step), batch, &mask, step);
        }
    }
    if zeros.zero_last && timesteps > 0 {
        // The last step that is processed is the first in time.
        zero(&mut pass.carry, batch, &mask, 0);
    }
}

fn zero<T: Float>(rows: &mut RowsMut<'_, T>, batch: usize, mask: &TimeMask<'_>, time: usize) {
    for row in (0..batch).filter(|&row| !mask.is_live(row, time)) {
        rows.row_mut(row).fill(T::zero());
    }
}

/// The backward pass: what became zero has no gradient.
pub(super) fn backward<T: Float, R>(
    node: &mut Node<T>,
    zeros: MaskedOutput,
    pass: BackwardPass<'_, T>,
    run: impl FnOnce(&mut Node<T>, BackwardPass<'_, T>) -> R,
) -> R {
    let (batch, timesteps) = (node.batch, node.timesteps);
    // A tape has the steps in their order: the mask at a time is that of the step from the other end.
    let masked = |time: usize, row: usize| !node.is_live(timesteps - 1 - time, row);
    let width = pass.d_sequence.filter(|_| timesteps > 0).map_or(0, |all| all.at(0).width());
    let mut d_sequence = vec![T::zero(); batch * timesteps * width];
    if let Some(all) = &pass.d_sequence {
        for (at, to) in d_sequence.chunks_exact_mut(width.max(1)).enumerate() {
            let (row, step) = (at / timesteps, at % timesteps);
            if !masked(step, row) {
                to.copy_from_slice(all.at(if pass.flipped { timesteps - 1 - step } else { step }).row(row));
            }
        }
    }
    let last_width = pass.d_last.map_or(0, |d_last| d_last.width());
    let mut d_last = vec![T::zero(); batch * last_width];
    if let Some(all) = &pass.d_last {
        for (row, to) in d_last.chunks_exact_mut(last_width.max(1)).enumerate() {
            if !(zeros.zero_last && timesteps > 0 && masked(0, row)) {
                to.copy_from_slice(all.row(row));
            }
        }
    }
    let pass = BackwardPass {
        d_sequence: pass.d_sequence.map(|_| Sequence::packed(&d_sequence, timesteps, width)),
        flipped: false,
        d_last: pass.d_last.map(|_| crate::strided::Rows::packed(&d_last, last_width)),
        ..pass
    };
    run(node, pass)
}
