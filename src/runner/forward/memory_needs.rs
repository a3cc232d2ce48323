//! The memory that a call takes.

use super::Recurrence;
use super::masked_rows::Deferred;
use super::project_ahead::ProjectedInputs;
use crate::cells::{Cell, FusedCell, mask_widths, steps_with_masks};
use crate::memory::MemoryNeeds;
use crate::runner::memory::{Call, Held};
use crate::runner::threads;

impl<C: Cell> Recurrence<'_, C> {
    /// Adds what [`run`](Self::run) takes: a line for each of its buffers.
    pub(crate) fn memory_needs(&self, call: Call, held: Held<'_, C::Elem>, needs: &mut MemoryNeeds) {
        let Call { batch, timesteps, recorded, .. } = call;
        let (width, cell) = (self.state_width, self.cell);
        let draws = call.dropout && !cell.dropout().is_empty();
        let (masks, widest) = if draws { mask_widths(cell.dropout()) } else { (0, 0) };
        let masks = masks.saturating_mul(steps_with_masks(cell.dropout(), timesteps));
        needs.buffer::<C::Elem>(
            held.in_scratch(|scratch| scratch.dropout.len()),
            &[batch, masks.saturating_add(widest)],
        );
        if recorded {
            needs.buffer::<C::Elem>(held.in_node(|node| node.x.len()), &[batch, timesteps, cell.input_size()]);
            needs.buffer::<C::Elem>(held.in_node(|node| node.tape.len()), &[batch, timesteps, cell.tape_len()]);
            needs.buffer::<C::Elem>(
                held.in_node(|node| node.states.len()),
                &[batch, timesteps.saturating_add(1), width],
            );
            needs.buffer::<bool>(held.in_node(|node| node.live.capacity()), &[batch, timesteps]);
            needs.buffer::<bool>(held.in_node(|node| node.cut.capacity()), &[batch, timesteps]);
            needs.buffer::<C::Elem>(held.in_node(|node| node.dropout.capacity()), &[batch, masks]);
            // Lists of rows for the parts of a step: halved so often that there are none left.
            needs.buffer::<usize>(held.in_scratch(|scratch| scratch.indices.len()), &[batch, 8]);
        } else {
            needs.buffer::<C::Elem>(held.in_scratch(|scratch| scratch.state.len()), &[batch, width]);
        }
        let cut = if recorded && call.resets { batch } else { 0 };
        needs.buffer::<C::Elem>(held.in_scratch(|scratch| scratch.cut.len()), &[cut, width]);
        let (slots, projected) = ProjectedInputs::sizes(cell, batch, timesteps, draws);
        needs.buffer::<C::Elem>(held.in_scratch(|scratch| scratch.projected.len()), &[batch, slots, projected]);
        let parts = if recorded { threads::scratch_parts(batch, self.work) } else { 1 };
        needs.buffer::<C::Elem>(
            held.in_scratch(|scratch| scratch.work.len()),
            &[parts, cell.fused().rows_scratch_len(batch)],
        );
        needs.buffer::<Deferred>(held.in_scratch(|scratch| scratch.deferred.len()), &[batch]);
        needs.buffer::<usize>(held.in_scratch(|scratch| scratch.rows.capacity()), &[batch]);
        needs.buffer::<usize>(held.in_scratch(|scratch| scratch.all_rows.len()), &[batch]);
    }
}
