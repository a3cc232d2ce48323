//! What a window that slides over a sequence keeps of it from step to step: the steps that it looks back at.

use std::sync::Arc;

use crate::buffers::take;
use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::misfit;
use crate::graph::stream::{Buffer, Kept, Trace};
use crate::layers::convolution::window::{Padding, Window};
use crate::state::StateLayout;

/// The largest ring whose places each float can count.
const LARGEST_RING: usize = 1 << 24;

/// Why a window can't take one step after another, if it can't. `ways_out`: what it says of padding on both sides.
pub(super) fn check(window: Window, ways_out: &'static str) -> Result<(), &'static str> {
    let Window { size, dilation, padding, .. } = window;
    match padding {
        Padding::Same if size > 1 => Err(ways_out),
        _ if (size - 1).saturating_mul(dilation) > LARGEST_RING => Err("its window reaches too far back"),
        _ => Ok(()),
    }
}

/// Begins to keep, of each row, the steps that the next windows read, the oldest first; with a dilation a ring of them,
/// and the place of the oldest in it. A window of one step keeps nothing.
pub(super) fn keep<T: Float>(trace: &mut Trace<T>, window: Window, channels: usize) -> Result<()> {
    if window.size == 1 {
        return Ok(());
    }
    let inputs = ("inputs", (window.size - 1) * window.dilation * channels);
    trace.keep(Arc::new(match window.dilation {
        1 => StateLayout::new([inputs]),
        _ => StateLayout::new([inputs, ("position", 1)]),
    }))
}

/// The windows that end with a step, (batch, size, channels), in `work`. From now on the step is one that is kept.
pub(super) fn next_windows<'w, T: Float>(
    window: Window,
    channels: usize,
    step: &Buffer<T>,
    kept: &mut Kept<T>,
    work: &'w mut Vec<T>,
) -> Result<&'w [T]> {
    let Window { size, dilation, .. } = window;
    let batch = step.shape().first().copied().unwrap_or(0);
    let windows = take(work, batch * size * channels);
    if channels == 0 {
        return Ok(windows);
    }
    if step.len() != batch * channels {
        return Err(misfit());
    }
    step.each_float(|at, x| windows[(at / channels * size + size - 1) * channels + at % channels] = x);
    let width = (size - 1) * dilation * channels + usize::from(dilation > 1);
    for (kept, own) in kept.values()?.chunks_exact_mut(width).zip(windows.chunks_exact_mut(size * channels)) {
        next_window(window, channels, kept, own);
    }
    Ok(windows)
}

/// Of one row, the window that ends with the newest input, which is in its place already.
fn next_window<T: Float>(Window { size, dilation, .. }: Window, channels: usize, kept: &mut [T], window: &mut [T]) {
    let (past, newest) = window.split_at_mut((size - 1) * channels);
    if dilation == 1 {
        past.copy_from_slice(kept);
        kept.copy_within(channels.., 0);
        let last = kept.len() - channels;
        kept[last..].copy_from_slice(newest);
        return;
    }
    let slots = (size - 1) * dilation;
    let (ring, position) = kept.split_at_mut(slots * channels);
    // A state of a caller's own may say anything.
    let oldest = (position[0].into_f64() as usize) % slots;
    for (tap, past) in past.chunks_exact_mut(channels).enumerate() {
        let slot = (oldest + tap * dilation) % slots;
        past.copy_from_slice(&ring[slot * channels..][..channels]);
    }
    ring[oldest * channels..][..channels].copy_from_slice(newest);
    position[0] = T::from_f64(((oldest + 1) % slots) as f64);
}
