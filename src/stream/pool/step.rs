//! A step of those streams that have a sample: by batches that stay in a near cache.
//!
//! The states of streams lie wherever there was a place. A batch's are copied side by side, make their step, and are
//! copied back: two passes over what the step reads anyway, from a cache in which it then stays for all tiles of the
//! weights. A batch of all streams at once would read each state from far away once for each tile.

use std::marker::PhantomData;

use super::pooled::{Beginning, Pooled, Refused, RowsOfStep};
use super::table::{PAGE, Page, Widths};
use crate::aligned::Aligned;
use crate::error::Result;
use crate::float::Float;
use crate::runner::scratch::Scratch;
use crate::stream::Sizes;

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
    pub(super) scratch: Scratch<T>,
    /// What was refused.
    pub(super) refused: Vec<Refused>,
}

impl<T: Float> Batch<T> {
    /// Room for no row yet.
    pub(super) fn new() -> Self {
        let (prev, next, carry) = (Aligned::default(), Aligned::default(), Aligned::default());
        Batch { rows: 0, x: Vec::new(), prev, next, carry, scratch: Scratch::new(), refused: Vec::new() }
    }

    /// Room for so many rows, and all memory that their steps take.
    pub(super) fn reserve<By>(
        &mut self,
        runs: &(impl Pooled<T, By> + ?Sized),
        begin: &Beginning<T>,
        rows: usize,
    ) -> Result<()> {
        if rows <= self.rows {
            return Ok(());
        }
        runs.reserve(rows, begin, &mut self.scratch)?;
        let sizes = begin.sizes;
        self.x = vec![T::zero(); rows * sizes.input];
        self.prev = Aligned::zeros(rows * sizes.state);
        self.next = Aligned::zeros(rows * sizes.state);
        self.carry = Aligned::zeros(rows * sizes.carry);
        self.rows = rows;
        Ok(())
    }

    /// One step of `count` rows, from row `first` on.
    fn step<By>(
        &mut self,
        runs: &(impl Pooled<T, By> + ?Sized),
        sizes: Sizes,
        first: usize,
        count: usize,
    ) -> Result<()> {
        let Batch { x, prev, next, carry, scratch, .. } = self;
        let (x, prev) = (&x[first * sizes.input..], &prev[first * sizes.state..]);
        let (next, carry) = (&mut next[first * sizes.state..], &mut carry[first * sizes.carry..]);
        runs.step_rows(RowsOfStep { count, x, prev, next, carry, sizes }, scratch)
    }
}

/// What the batches of a step have in common.
pub(super) struct Stepping<'a, T, L: ?Sized, By> {
    pub(super) runs: &'a L,
    pub(super) begin: &'a Beginning<T>,
    pub(super) widths: &'a Widths,
    pub(super) by: PhantomData<fn() -> By>,
}

impl<T: Float, L: Pooled<T, By> + ?Sized, By> Stepping<'_, T, L, By> {
    /// A step of the streams at these places, in order; on several threads if it is worth it and they may.
    #[cfg_attr(not(feature = "rayon"), allow(clippy::ptr_arg, reason = "on several threads it makes more batches"))]
    pub(super) fn run(&self, pages: &mut [Page<T>], places: &[usize], batches: &mut Vec<Batch<T>>, threads: bool) {
        #[cfg(feature = "rayon")]
        if threads {
            let parts = crate::runner::threads::parts_of_rows(self.runs.work(), places.len());
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
    fn part(&self, pages: &mut [Page<T>], first: usize, places: &[usize], batch: &mut Batch<T>) {
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

    fn batch(&self, pages: &mut [Page<T>], first: usize, places: &[usize], batch: &mut Batch<T>) {
        let (sizes, widths) = (self.begin.sizes, self.widths);
        for (row, &place) in places.iter().enumerate() {
            let (page, at) = (&pages[place / PAGE - first], place % PAGE);
            batch.x[row * sizes.input..][..sizes.input].copy_from_slice(page.input(at, widths));
            batch.prev[row * sizes.state..][..sizes.state].copy_from_slice(page.state(at, widths));
            // Nothing, where the previous outputs aren't kept.
            batch.carry[row * sizes.carry..][..widths.carry].copy_from_slice(page.carry(at, widths));
        }
        let all = batch.step(self.runs, sizes, 0, places.len());
        for (row, &place) in places.iter().enumerate() {
            // What one row's sample is refused for concerns no other one.
            if all.is_err()
                && let Err(error) = batch.step(self.runs, sizes, row, 1)
            {
                batch.refused.push((place, error));
                continue;
            }
            let (state, carry) = pages[place / PAGE - first].parts_mut(place % PAGE, widths);
            state.copy_from_slice(&batch.next[row * sizes.state..][..sizes.state]);
            carry.copy_from_slice(&batch.carry[row * sizes.carry..][..widths.carry]);
        }
    }
}

#[cfg(feature = "rayon")]
impl<T: Float, L: Pooled<T, By> + ?Sized, By> Stepping<'_, T, L, By> {
    /// As many batches as there are parts, each with the room of the first.
    fn make_batches(&self, batches: &mut Vec<Batch<T>>, parts: usize) -> Result<()> {
        let rows = batches.first().map_or(0, |batch| batch.rows);
        if batches.len() < parts {
            batches.resize_with(parts, Batch::new);
        }
        batches[..parts].iter_mut().try_for_each(|batch| batch.reserve(self.runs, self.begin, rows))
    }

    /// Halves the places until there is a part for each batch. A page belongs to one part.
    fn fork(&self, pages: &mut [Page<T>], first: usize, places: &[usize], batches: &mut [Batch<T>]) {
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
