//! A step of those streams that have a sample: by batches that stay in a near cache.
//!
//! The states of streams lie wherever there was a place. A batch's are copied side by side, make their step, and are
//! copied back: two passes over what the step reads anyway, from a cache in which it then stays for all tiles of the
//! weights. A batch of all streams at once would read each state from far away once for each tile.

use super::table::{PAGE, Page, Widths};
use crate::aligned::Aligned;
use crate::error::Result;
use crate::float::Float;
use crate::layers::Layer;
use crate::runner::scratch::Scratch;
use crate::stream::Sizes;
use crate::strided::{Rows, RowsMut};

/// What the inputs and states of a batch may take: part of a core's own cache, beside some weights.
const NEAR_BYTES: usize = 256 << 10;
/// The fewest rows of a full batch, for which all weights are read once.
const FEWEST_ROWS: usize = 96;
/// Kernels take 2, 3, 4, 6 or 8 rows at a time.
const ROWS_OF_KERNELS: usize = 24;

/// The rows of a full batch.
pub(super) fn batch_rows<T>(widths: &Widths) -> usize {
    let values = [widths.input, widths.state, widths.state, widths.carry].into_iter().fold(1, usize::saturating_add);
    let rows = NEAR_BYTES / values.saturating_mul(size_of::<T>());
    rows.max(FEWEST_ROWS) / ROWS_OF_KERNELS * ROWS_OF_KERNELS
}

/// Where a batch makes its step.
pub(super) struct Batch<T> {
    /// The rows that there is room for.
    rows: usize,
    x: Vec<T>,
    prev: Aligned<T>,
    next: Aligned<T>,
    carry: Aligned<T>,
    scratch: Scratch<T>,
}

impl<T: Float> Batch<T> {
    /// Room for no row yet.
    pub(super) fn new() -> Self {
        let empty = Aligned::default;
        Batch { rows: 0, x: Vec::new(), prev: empty(), next: empty(), carry: empty(), scratch: Scratch::new() }
    }

    /// Room for so many rows, and all memory that their steps take.
    pub(super) fn reserve(&mut self, layer: &(impl Layer<T> + ?Sized), sizes: &Sizes, rows: usize) -> Result<()> {
        if rows <= self.rows {
            return Ok(());
        }
        sizes.check_memory(layer, rows)?;
        *self = Batch {
            rows,
            x: vec![T::zero(); rows * sizes.input],
            prev: Aligned::zeros(rows * sizes.state),
            next: Aligned::zeros(rows * sizes.state),
            carry: Aligned::zeros(rows * sizes.carry),
            ..Batch::new()
        };
        // Inputs that differ: some of them may be what a Masking layer hides.
        for hidden in [0, rows / 2, rows] {
            self.x.fill(T::one());
            self.x[..hidden * sizes.input].fill(T::zero());
            self.step(layer, sizes, rows);
        }
        self.step(layer, sizes, 1);
        Ok(())
    }

    fn step(&mut self, layer: &(impl Layer<T> + ?Sized), sizes: &Sizes, rows: usize) {
        layer.step_into(
            rows,
            Rows::packed(&self.x, sizes.input),
            Rows::packed(&self.prev, sizes.state),
            RowsMut::packed(&mut self.next, sizes.state),
            RowsMut::packed(&mut self.carry, sizes.carry),
            &mut self.scratch,
        );
    }
}

/// What the batches of a step have in common.
pub(super) struct Stepping<'a, L: ?Sized> {
    pub(super) layer: &'a L,
    pub(super) sizes: &'a Sizes,
    pub(super) widths: &'a Widths,
}

impl<L: ?Sized> Stepping<'_, L> {
    /// A step of the streams at these places, in order; on several threads if it is worth it and they may.
    pub(super) fn run<T: Float>(
        &self,
        pages: &mut [Page<T>],
        places: &[usize],
        batches: &mut Vec<Batch<T>>,
        threads: bool,
    ) where
        L: Layer<T>,
    {
        #[cfg(feature = "rayon")]
        if threads {
            let parts = crate::runner::threads::parts_of_rows(self.layer.spec().work, places.len());
            // Without memory for more it is done here.
            if parts > 1 && self.make_batches(batches, parts).is_ok() {
                return self.fork(pages, 0, places, &mut batches[..parts]);
            }
        }
        let _ = threads;
        if let Some(batch) = batches.first_mut() {
            self.part(pages, 0, places, batch);
        }
    }

    /// Those of the places in these pages, of which the first is number `first`.
    fn part<T: Float>(&self, pages: &mut [Page<T>], first: usize, places: &[usize], batch: &mut Batch<T>)
    where
        L: Layer<T>,
    {
        if places.is_empty() {
            return;
        }
        // Even batches: no small one is left over.
        let batches = places.len().div_ceil(batch.rows.max(1));
        let rows = places.len().div_ceil(batches).next_multiple_of(ROWS_OF_KERNELS).min(batch.rows);
        for places in places.chunks(rows) {
            self.batch(pages, first, places, batch);
        }
    }

    fn batch<T: Float>(&self, pages: &mut [Page<T>], first: usize, places: &[usize], batch: &mut Batch<T>)
    where
        L: Layer<T>,
    {
        let (sizes, widths) = (self.sizes, self.widths);
        for (row, &place) in places.iter().enumerate() {
            let (page, at) = (&pages[place / PAGE - first], place % PAGE);
            batch.x[row * sizes.input..][..sizes.input].copy_from_slice(page.input(at, widths));
            batch.prev[row * sizes.state..][..sizes.state].copy_from_slice(page.state(at, widths));
            // Nothing, where the previous outputs aren't kept.
            batch.carry[row * sizes.carry..][..widths.carry].copy_from_slice(page.carry(at, widths));
        }
        batch.step(self.layer, sizes, places.len());
        for (row, &place) in places.iter().enumerate() {
            let (state, carry) = pages[place / PAGE - first].parts_mut(place % PAGE, widths);
            state.copy_from_slice(&batch.next[row * sizes.state..][..sizes.state]);
            carry.copy_from_slice(&batch.carry[row * sizes.carry..][..widths.carry]);
        }
    }
}

#[cfg(feature = "rayon")]
impl<L: ?Sized> Stepping<'_, L> {
    /// As many batches as there are parts, each with the room of the first.
    fn make_batches<T: Float>(&self, batches: &mut Vec<Batch<T>>, parts: usize) -> Result<()>
    where
        L: Layer<T>,
    {
        let rows = batches.first().map_or(0, |batch| batch.rows);
        if batches.len() < parts {
            batches.resize_with(parts, Batch::new);
        }
        batches[..parts].iter_mut().try_for_each(|batch| batch.reserve(self.layer, self.sizes, rows))
    }

    /// Halves the places until there is a part for each batch. A page belongs to one part.
    fn fork<T: Float>(&self, pages: &mut [Page<T>], first: usize, places: &[usize], batches: &mut [Batch<T>])
    where
        L: Layer<T>,
    {
        let parts = batches.len();
        let (own, others) = batches.split_at_mut(parts / 2);
        if own.is_empty() {
            return others.iter_mut().for_each(|batch| self.part(pages, first, places, batch));
        }
        let page = places.get(places.len() * own.len() / parts).map_or(first, |place| place / PAGE);
        let (before, after) = places.split_at(places.partition_point(|place| place / PAGE < page));
        let (pages_before, pages_after) = pages.split_at_mut(page - first);
        rayon::join(|| self.fork(pages_before, first, before, own), || self.fork(pages_after, page, after, others));
    }
}
