//! Draws the dropout masks of one call: Keras's numbers, in Keras's order.

use crate::buffers::take;
use crate::cells::{CellDropout, mask_widths, steps_with_masks};
use crate::float::Float;
use crate::random::stateless::dropout_mask;
use crate::seeds::DropoutGenerator;
use crate::strided::{Rows, RowsMut, copy_rows};

/// The masks of all of a cell's generators, side by side in one row for each batch row; for each step if any of them
/// has masks of its own there: [step][row].
///
/// For each generator Keras draws all masks of the input, then all of the hidden state, each as a (batch, width)
/// tensor.
pub(crate) fn draw_masks<'b, T: Float>(
    generators: &[CellDropout],
    states: &mut [DropoutGenerator],
    (batch, timesteps): (usize, usize),
    buffer: &'b mut Vec<T>,
) -> Rows<'b, T> {
    let (width, widest) = mask_widths(generators);
    let steps = steps_with_masks(generators, timesteps);
    let (masks, drawn) = take(buffer, batch * (steps * width + widest)).split_at_mut(steps * batch * width);
    let mut start = 0;
    for (generator, state) in generators.iter().zip(states) {
        let end = start + generator.width();
        for step in 0..steps {
            let own = &mut masks[step * batch * width..];
            if step == 0 || generator.each_step {
                let rows = RowsMut::packed(&mut own[..batch * width], width).columns(start..end);
                draw_row_by_row(generator, state, batch, (rows, &mut *drawn));
            } else {
                let (first, own) = masks.split_at_mut(step * batch * width);
                let first = Rows::packed(first, width).columns(start..end);
                copy_rows(batch, first, RowsMut::packed(own, width).columns(start..end));
            }
        }
        start = end;
    }
    Rows::packed(masks, width)
}

/// The masks of one generator: all of the input, then all of the hidden state.
fn draw_row_by_row<T: Float>(
    generator: &CellDropout,
    state: &mut DropoutGenerator,
    batch: usize,
    (mut rows, drawn): (RowsMut<'_, T>, &mut [T]),
) {
    let input = (generator.masks, generator.input_size, generator.rate);
    let recurrent = (generator.recurrent_masks, generator.units, generator.recurrent_rate);
    let mut start = 0;
    for (count, width, rate) in [input, recurrent] {
        for _ in 0..count {
            let drawn = &mut drawn[..batch * width];
            draw(state, rate, drawn);
            for row in 0..batch {
                rows.row_mut(row)[start..start + width].copy_from_slice(&drawn[row * width..][..width]);
            }
            start += width;
        }
    }
}

/// One mask. A rate of exactly 0 or 1 draws nothing in Keras either.
fn draw<T: Float>(state: &mut DropoutGenerator, rate: f64, mask: &mut [T]) {
    if rate <= 0.0 {
        mask.fill(T::one());
    } else if rate >= 1.0 {
        mask.fill(T::zero());
    } else {
        dropout_mask(state.seed, state.take(), rate, mask);
    }
}
