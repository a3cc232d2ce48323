//! The part of a convolution in which each channel stays by itself.

use super::Windows;
use crate::float::Float;
use crate::kernels::Depthwise;
use crate::strided::{Rows, RowsMut};

/// The sizes of a depthwise kernel: each of `channels` becomes `multiplier` of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByChannel {
    pub(super) taps: usize,
    pub(super) channels: usize,
    pub(super) multiplier: usize,
}

impl ByChannel {
    pub(super) fn width(&self) -> usize {
        self.channels * self.multiplier
    }

    /// The elements that [`forward`](ByChannel::forward) works in.
    pub(super) fn work_len(&self, positions: usize) -> Option<usize> {
        if self.multiplier == 1 { Some(0) } else { positions.checked_mul(self.width()) }
    }

    /// The positions of a sequence with each channel as often as it is weighed.
    fn spread<'r, T: Float>(&self, x: &'r [T], work: &'r mut [T]) -> Rows<'r, T> {
        if self.multiplier == 1 {
            return Rows::packed(x, self.channels);
        }
        for (to, &x) in work.chunks_exact_mut(self.multiplier).zip(x) {
            to.fill(x);
        }
        Rows::packed(work, self.width())
    }

    /// Writes (batch, count, width). `work` holds [`work_len`](ByChannel::work_len) elements.
    pub(super) fn forward<T: Float>(
        &self,
        kernel: &[T],
        bias: Option<&[T]>,
        windows: Windows<'_, T>,
        out: &mut [T],
        work: &mut [T],
    ) {
        let Windows { count, stride, dilation, .. } = windows;
        if count == 0 {
            return;
        }
        for (at, out) in out.chunks_exact_mut(count * self.width()).enumerate().take(windows.batch) {
            Depthwise {
                weights: Rows::packed(kernel, self.width()),
                taps: self.taps,
                bias,
                x: self.spread(windows.sequence(at), work),
                stride,
                dilation,
                count,
                out: RowsMut::packed(out, self.width()),
            }
            .run();
        }
    }

    /// From the gradient of what came out to those of the positions and of the kernel, which are added.
    pub(super) fn backward<T: Float>(
        &self,
        kernel: &[T],
        windows: Windows<'_, T>,
        dz: &[T],
        mut d_x: Option<&mut [T]>,
        mut d_kernel: Option<&mut [T]>,
    ) {
        let (width, multiplier) = (self.width(), self.multiplier);
        for (row, dz) in dz.chunks_exact(width).enumerate() {
            let (sequence, at) = (row / windows.count, row % windows.count);
            let x = windows.sequence(sequence);
            for tap in 0..self.taps {
                let position = (at * windows.stride + tap * windows.dilation) * self.channels;
                if let Some(d_kernel) = d_kernel.as_deref_mut() {
                    let x = &x[position..][..self.channels];
                    let sums = d_kernel[tap * width..][..width].chunks_exact_mut(multiplier);
                    for ((sums, dz), &x) in sums.zip(dz.chunks_exact(multiplier)).zip(x) {
                        sums.iter_mut().zip(dz).for_each(|(sum, &dz)| *sum += x * dz);
                    }
                }
                if let Some(d_x) = d_x.as_deref_mut() {
                    let kernel = kernel[tap * width..][..width].chunks_exact(multiplier);
                    let to = &mut d_x[sequence * x.len() + position..][..self.channels];
                    for ((to, dz), kernel) in to.iter_mut().zip(dz.chunks_exact(multiplier)).zip(kernel) {
                        *to = dz.iter().zip(kernel).fold(*to, |sum, (&dz, &weight)| sum + dz * weight);
                    }
                }
            }
        }
    }
}
