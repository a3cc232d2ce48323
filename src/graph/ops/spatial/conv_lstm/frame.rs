//! One step of one row: the equations, and which elements of it are live.

use super::ConvLstm;
use super::dropped::Dropped;
use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::{misfit, mismatch};
use crate::graph::stream::Spread;
use crate::kernels::activate::activate;
use crate::kernels::isa::Isa;

/// The sizes of what a step reads and of its states.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    rank: usize,
    /// Those that aren't there come first.
    sizes: [usize; 3],
    counts: [usize; 3],
    pub(super) channels: usize,
    pub(super) filters: usize,
    channels_first: bool,
}

/// The elements of a step that aren't masked.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::large_enum_variant, reason = "one at a time, on the stack")]
pub(super) enum Live<'m> {
    All,
    None,
    Some { flags: &'m [bool], spread: Spread, frame: Frame },
}

/// How the mask of a step lies over its elements.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaskOver {
    /// Flags for each step.
    len: usize,
    spread: Spread,
    frame: Frame,
}

impl Frame {
    /// (1, sizes.., channels), and how much of it there is.
    fn shape(&self, sizes: [usize; 3], channels: usize) -> ([usize; 5], usize) {
        let mut shape = [1; 5];
        shape[1..=self.rank].copy_from_slice(&sizes[3 - self.rank..]);
        shape[self.rank + 1] = channels;
        (shape, self.rank + 2)
    }

    fn places(&self) -> usize {
        self.sizes.iter().product()
    }

    fn outputs(&self) -> usize {
        self.counts.iter().product()
    }

    /// The elements that a step reads.
    pub(super) fn len(&self) -> usize {
        self.places() * self.channels
    }

    /// Those of a state.
    pub(super) fn state_len(&self) -> usize {
        self.outputs() * self.filters
    }

    /// The shape of a state but for the batch, as outside.
    pub(super) fn state_dims(&self) -> Vec<usize> {
        let mut dims = self.counts[3 - self.rank..].to_vec();
        dims.insert(if self.channels_first { 0 } else { self.rank }, self.filters);
        dims
    }

    /// What a step reads, its channels last.
    pub(super) fn turn_input<T: Copy>(&self, from: &[T], to: &mut [T]) {
        turn(from, if self.channels_first { self.places() } else { 1 }, to);
    }

    /// The gradient of what a step reads, as outside.
    pub(super) fn turn_gradient<T: Copy>(&self, from: &[T], to: &mut [T]) {
        turn(from, if self.channels_first { self.channels } else { 1 }, to);
    }

    /// A state from outside.
    pub(super) fn turn_in<T: Copy>(&self, from: &[T], to: &mut [T]) {
        turn(from, if self.channels_first { self.outputs() } else { 1 }, to);
    }

    /// A state as outside.
    pub(super) fn turn_out<T: Copy>(&self, from: &[T], to: &mut [T]) {
        turn(from, if self.channels_first { self.filters } else { 1 }, to);
    }

    /// A mask of (batch, timesteps, ..) over the elements of a step: its axes are the first ones of these, as outside.
    pub(super) fn mask_over(&self, mask: &[usize], steps: [usize; 2]) -> Result<MaskOver> {
        let dims = self.dims_outside();
        let dims = &dims[..=self.rank];
        let refuse = || mismatch(format!("a mask of shape [{}, {}, ..] over {dims:?}", steps[0], steps[1]), mask);
        let [batch, timesteps, own @ ..] = mask else { return Err(refuse()) };
        let fits = own.iter().zip(dims).all(|(&own, &size)| own == 1 || own == size);
        if [*batch, *timesteps] != steps || own.len() > dims.len() || !fits {
            return Err(refuse());
        }
        let mut spread = [1; 4];
        spread[..own.len()].copy_from_slice(own);
        let spread = Spread::new(spread[..=self.rank].iter().copied(), dims);
        Ok(MaskOver { len: own.iter().product(), spread, frame: *self })
    }

    fn dims_outside(&self) -> [usize; 4] {
        let mut dims = [1; 4];
        let first = usize::from(self.channels_first);
        dims[first..first + self.rank].copy_from_slice(&self.counts[3 - self.rank..]);
        dims[if self.channels_first { 0 } else { self.rank }] = self.filters;
        dims
    }
}

/// A matrix of rows of this many columns the other way round.
fn turn<T: Copy>(from: &[T], columns: usize, to: &mut [T]) {
    if columns == 1 {
        return to.copy_from_slice(from);
    }
    let rows = from.len() / columns;
    for (at, &value) in from.iter().enumerate() {
        to[at % columns * rows + at / columns] = value;
    }
}

impl MaskOver {
    /// The flags of step `step` among all of all rows.
    pub(super) fn live<'m>(&self, flags: &'m [bool], step: usize) -> Live<'m> {
        let flags = &flags[step * self.len..][..self.len];
        match flags.iter().filter(|&&flag| flag).count() {
            0 => Live::None,
            count if count == flags.len() => Live::All,
            _ => Live::Some { flags, spread: self.spread, frame: self.frame },
        }
    }
}

impl Live<'_> {
    /// Whether an element of a state is, by its place with the channels last.
    pub(super) fn at(&self, place: usize) -> bool {
        match self {
            Live::All => true,
            Live::None => false,
            Live::Some { flags, spread, frame: Frame { channels_first: false, .. } } => flags[spread.at(place)],
            Live::Some { flags, spread, frame } => {
                let outside = place % frame.filters * frame.outputs() + place / frame.filters;
                flags[spread.at(outside)]
            }
        }
    }
}

/// Of the gates of a place, one.
pub(super) fn gate<T>(row: &[T], at: usize) -> &[T] {
    let filters = row.len() / 4;
    &row[at * filters..][..filters]
}

impl<T: Float> ConvLstm<T> {
    /// The sizes of a step of (.., sizes.., channels) or (.., channels, sizes..).
    pub(super) fn frame(&self, dims: &[usize]) -> Result<Frame> {
        let (rank, channels_first) = (self.rank(), self.options.channels_first);
        let own = if channels_first { dims.get(1..) } else { dims.get(..rank) };
        let own = own.filter(|own| own.len() == rank).ok_or_else(misfit)?;
        let mut sizes = [1; 3];
        sizes[3 - rank..].copy_from_slice(own);
        let (channels, filters) = (self.channels(), self.filters());
        let mut frame = Frame { rank, sizes, counts: [1; 3], channels, filters, channels_first };
        let (shape, len) = frame.shape(sizes, channels);
        frame.counts = self.input.windows.stand(&shape[..len]).ok_or_else(misfit)?.counts();
        Ok(frame)
    }

    /// The elements of memory that [`preactivations`](Self::preactivations) and [`advance`](Self::advance) take.
    pub(super) fn work_len(frame: &Frame) -> Option<usize> {
        frame.state_len().checked_mul(9)?.checked_add(frame.len())
    }

    /// `K * x + b + R * h` into the first of four parts of `work` for each gate.
    pub(super) fn preactivations(
        &self,
        frame: &Frame,
        (x, h): (&[T], &[T]),
        (dropped, row): (Option<&Dropped<T>>, usize),
        work: &mut [T],
        memory: &mut Vec<T>,
    ) -> Result<()> {
        let len = 4 * frame.state_len();
        let (z, rest) = work.split_at_mut(len);
        let (of_h, rest) = rest.split_at_mut(len);
        let turned = &mut rest[frame.state_len()..][..frame.len()];
        frame.turn_input(x, turned);
        let (shape, rank) = frame.shape(frame.sizes, frame.channels);
        let [input, recurrent] = self.products(dropped);
        input.forward(row, (&shape[..rank], turned), z, memory)?;
        let (shape, rank) = frame.shape(frame.counts, frame.filters);
        recurrent.forward(row, (&shape[..rank], h), of_h, memory)?;
        z.iter_mut().zip(of_h).for_each(|(z, of_h)| *z += *of_h);
        Ok(())
    }

    /// The gates of the preactivations, in their place.
    pub(super) fn activate(&self, frame: &Frame, z: &mut [T]) {
        let isa = Isa::detect();
        for row in z.chunks_exact_mut(4 * frame.filters) {
            for (at, gate) in row.chunks_exact_mut(frame.filters).enumerate() {
                let activation = if at == 2 { &self.options.activation } else { &self.options.recurrent_activation };
                activate(isa, activation, gate);
            }
        }
    }

    /// The next state, from the gates in the first part of `work`.
    pub(super) fn advance(&self, frame: &Frame, live: &Live<'_>, h: &mut [T], c: &mut [T], work: &mut [T]) {
        let filters = frame.filters;
        let (z, rest) = work.split_at_mut(4 * frame.state_len());
        let y = &mut rest[..filters];
        let rows = z.chunks_exact(4 * filters).zip(h.chunks_exact_mut(filters)).zip(c.chunks_exact_mut(filters));
        for (place, ((z, h), c)) in rows.enumerate() {
            let [i, f, g, o] = [0, 1, 2, 3].map(|at| gate(z, at));
            for at in 0..filters {
                y[at] = f[at] * c[at] + i[at] * g[at];
                if live.at(place * filters + at) {
                    c[at] = y[at];
                }
            }
            activate(Isa::detect(), &self.options.activation, y);
            for at in (0..filters).filter(|at| live.at(place * filters + at)) {
                h[at] = o[at] * y[at];
            }
        }
    }

    /// The sizes of both convolutions' inputs, to go back through them.
    pub(super) fn stands(&self, frame: &Frame) -> Result<[super::super::Stand; 2]> {
        let (shape, rank) = frame.shape(frame.sizes, frame.channels);
        let input = self.input.windows.stand(&shape[..rank]).ok_or_else(misfit)?;
        let (shape, rank) = frame.shape(frame.counts, frame.filters);
        Ok([input, self.recurrent.windows.stand(&shape[..rank]).ok_or_else(misfit)?])
    }
}
