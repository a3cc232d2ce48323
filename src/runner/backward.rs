//! Back in time: the loop of [`recurrence`](super::recurrence) from its last step to its first.
//!
//! ```text
//! for step in (0..timesteps).rev():
//!     for each row that was alive:  d_state[output] += d_sequence[step] + d_repeated;  d_repeated = 0
//!                                   d_state, d_input[time], d_weights = cell backward (d_state)
//!     for each other row:           d_state stays;  d_repeated += d_sequence[step], unless zeros were put out
//!     for each row that began anew: d_state = 0;  d_repeated = 0
//! ```
//!
//! `d_repeated` is the twin of the forward loop's previous output: a masked step repeats it, so its gradient waits for
//! the step that made it.

use ndarray::{ArrayRef2, ArrayViewD};

use super::pass::BackwardPass;
use super::recurrence::Recurrence;
use super::run::check_results;
use super::scratch::{Scratch, take};
use super::sequence::{Sequence, SequenceMut};
use super::tape::{Node, Tape};
use crate::cells::{BackwardRows, Cell};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::{Gradients, OutputGradient, WeightGradients};
use crate::layers::Layer;
use crate::rows::{Rows, RowsMut};
use crate::weights::WeightVisitor;

impl<C: Cell> Recurrence<'_, C> {
    /// The way back through a recorded call.
    pub(crate) fn backward(
        &self,
        node: &mut Node<C::Elem>,
        pass: BackwardPass<'_, C::Elem>,
        scratch: &mut Scratch<C::Elem>,
    ) -> Result<()> {
        let BackwardPass { d_sequence, flipped, d_last, d_state, mut d_input, mut d_initial, mut gradients } = pass;
        let (batch, timesteps, width) = (node.batch, node.timesteps, self.state_width);
        let (input_size, outputs, left) = (self.cell.input_size(), self.output.len(), self.cell.tape_len());

        let (first, second) = take(&mut scratch.state, 2 * batch * width).split_at_mut(batch * width);
        let (mut d_next, mut d_prev) = (RowsMut::packed(first, width), RowsMut::packed(second, width));
        let mut d_repeated = RowsMut::packed(take(&mut scratch.carry, batch * outputs), outputs);
        let mut d_x = RowsMut::packed(take(&mut scratch.outputs, batch * input_size), input_size);
        let work = take(&mut scratch.work, self.cell.rows_backward_scratch_len(batch));

        for row in 0..batch {
            d_next.row_mut(row).copy_from_slice(d_state.row(row));
            let ends_in_zeros = node.zero_last && timesteps > 0 && !node.is_live(timesteps - 1, row);
            match d_last {
                Some(d_last) if !ends_in_zeros => d_repeated.row_mut(row).copy_from_slice(d_last.row(row)),
                _ => d_repeated.row_mut(row).fill(C::Elem::default()),
            }
        }
        for step in (0..timesteps).rev() {
            let d_outputs = d_sequence.map(|all| all.at(if flipped { timesteps - 1 - step } else { step }));
            scratch.rows.clear();
            for row in 0..batch {
                let d_repeated = d_repeated.row_mut(row);
                if node.is_live(step, row) {
                    scratch.rows.push(row);
                    if let Some(d_outputs) = d_outputs {
                        add(d_repeated, d_outputs.row(row));
                    }
                    add(&mut d_next.row_mut(row)[self.output.clone()], d_repeated);
                    d_repeated.fill(C::Elem::default());
                } else {
                    d_prev.row_mut(row).copy_from_slice(d_next.row(row));
                    match d_outputs {
                        Some(d_outputs) if !node.zero_sequence => add(d_repeated, d_outputs.row(row)),
                        _ => {}
                    }
                    if node.zero_last {
                        d_repeated.fill(C::Elem::default());
                    }
                }
            }
            // A row that began anew did so from the initial state; what stands there is the one before.
            let kept = take(&mut scratch.cut, batch * width);
            let cut = &node.cut[step * batch..][..batch];
            for row in (0..batch).filter(|&row| cut[row]) {
                let prev = &mut node.states[(step * batch + row) * width..][..width];
                kept[row * width..][..width].copy_from_slice(prev);
                self.cell.initial_state(prev);
            }
            let states = Rows::packed(&node.states, width);
            let masks = node.dropout.len() / batch.max(1);
            if !scratch.rows.is_empty() {
                let call = BackwardRows {
                    rows: &scratch.rows,
                    x: Rows::packed(&node.x, input_size).skip(step * batch),
                    prev: states.skip(step * batch),
                    next: states.skip((step + 1) * batch),
                    tape: Rows::packed(&node.saved, left).skip(step * batch),
                    dropout: (masks > 0).then(|| Rows::packed(&node.dropout, masks)),
                    d_next: d_next.as_rows(),
                    d_prev: d_prev.reborrow(),
                    d_x: d_x.reborrow(),
                    scratch: &mut *work,
                };
                self.cell.step_rows_backward(call, &mut gradients)?;
                if let Some(d_input) = &mut d_input {
                    let time = if self.go_backwards { timesteps - 1 - step } else { step };
                    let mut d_input = d_input.at(time);
                    for &row in &scratch.rows {
                        add(d_input.row_mut(row), d_x.row(row));
                    }
                }
            }
            for row in (0..batch).filter(|&row| cut[row]) {
                node.states[(step * batch + row) * width..][..width].copy_from_slice(&kept[row * width..][..width]);
                d_prev.row_mut(row).fill(C::Elem::default());
                d_repeated.row_mut(row).fill(C::Elem::default());
            }
            std::mem::swap(&mut d_next, &mut d_prev);
        }
        for row in 0..batch {
            d_initial.row_mut(row).copy_from_slice(d_next.row(row));
        }
        Ok(())
    }
}

/// `sums += values`
pub(crate) fn add<T: Float>(sums: &mut [T], values: &[T]) {
    sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
}

/// A checked way back: [`Layer::backward`] ends here.
pub(crate) fn backward<T: Float, L: Layer<T> + ?Sized>(
    layer: &L,
    tape: &mut Tape<T>,
    upstream: OutputGradient<'_, T>,
    gradients: &mut Gradients<T>,
) -> Result<()> {
    tape.check(layer.state_layout())?;
    let (batch, timesteps) = (tape.node.batch, tape.node.timesteps);
    let (outputs, width) = (layer.output_size(), layer.state_layout().width());
    let mut shapes = gradients.weights.iter().map(|gradient| gradient.shape());
    let mut fits = true;
    layer.visit_weights(&mut WeightVisitor::new(&mut |_, weight: ArrayViewD<'_, T>| {
        fits &= shapes.next() == Some(weight.shape());
    }));
    if !fits || shapes.next().is_some() || gradients.state.layout() != layer.state_layout() {
        return Err(Error::GradientsLayer);
    }
    check_results(layer, (batch, timesteps), upstream.sequence, upstream.last, upstream.state)?;

    gradients.prepare(batch, timesteps, layer.input_size());
    let mut call = std::mem::take(&mut tape.scratch.call);
    let [sequence_copy, last_copy] = &mut call.copies;
    let zeros = take(&mut call.zeros, width);
    zeros.fill(T::zero());
    let pass = BackwardPass {
        d_sequence: upstream.sequence.map(|array| Sequence::new(array, sequence_copy)),
        flipped: false,
        d_last: upstream.last.map(|array| Rows::packed(in_row_order(array, last_copy), outputs)),
        d_state: match upstream.state {
            Some(state) => state.rows(),
            None => Rows::new(zeros, 0, 0, width),
        },
        d_input: gradients.input.as_mut().and_then(|array| {
            let input_size = layer.input_size();
            Some(SequenceMut::packed(array.as_slice_mut()?, timesteps, input_size))
        }),
        d_initial: RowsMut::packed(gradients.state.as_mut_slice(), width),
        gradients: WeightGradients::new(&mut gradients.weights),
    };
    let result = layer.backward_into(&mut tape.node, pass, &mut tape.scratch);
    tape.scratch.call = call;
    tape.spend();
    result
}

/// The elements of an array in row order, by way of a copy if they don't lie so.
fn in_row_order<'a, T: Float>(array: &'a ArrayRef2<T>, copy: &'a mut Vec<T>) -> &'a [T] {
    array.as_slice().unwrap_or_else(|| {
        copy.clear();
        copy.extend(array.iter());
        copy
    })
}
