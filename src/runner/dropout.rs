//! Draws the dropout masks of one call: Keras's numbers, in Keras's order.

use crate::buffers::take;
use crate::cells::{CellDropout, mask_widths};
use crate::float::Float;
use crate::random::stateless::dropout_mask;
use crate::seeds::DropoutGenerator;
use crate::strided::{Rows, RowsMut};

/// The masks of all of a cell's generators, side by side in one row for each batch row.
///
/// For each generator Keras draws all masks of the input, then all of the hidden state, each as a (batch, width)
/// tensor.
pub(crate) fn draw_masks<'b, T: Float>(
    generators: &[CellDropout],
    states: &mut [DropoutGenerator],
    batch: usize,
    buffer: &'b mut Vec<T>,
) -> Rows<'b, T> {
    let (width, widest) = mask_widths(generators);
    let (masks, drawn) = take(buffer, batch * (width + widest)).split_at_mut(batch * width);
    let mut rows = RowsMut::packed(masks, width);
    let mut start = 0;
    for (generator, state) in generators.iter().zip(states) {
        let input = (generator.masks, generator.input_size, generator.rate);
        let recurrent = (generator.recurrent_masks, generator.units, generator.recurrent_rate);
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
    Rows::packed(masks, width)
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
