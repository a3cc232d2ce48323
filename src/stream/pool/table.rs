//! Which streams there are, and what belongs to each: ids, states, samples that wait.
//!
//! Places come in pages of 64, so that a pool grows without moving what is there, and so that which of them have a
//! sample is one word. A place is taken by one stream after the other; each has a number of its own, which is never
//! drawn again, so that an id stays invalid once its stream is removed.

use std::fmt;

use crate::aligned::Aligned;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory::MemoryNeeds;
use crate::stamp::next_number;

/// The places of a page: the bits of a word.
pub(crate) const PAGE: usize = 64;

/// A stream of a [`StreamPool`](crate::StreamPool). Once the stream is removed it is invalid for ever, in other pools
/// too, unless [`adopt`](crate::StreamPool::adopt) gives it back to the same stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// Different for all streams of a process, and larger for later ones.
    pub(super) number: u64,
    pub(super) place: usize,
}

impl StreamId {
    /// The stream's number, which no other stream of the process has, in any pool; later ones have larger ones.
    pub fn number(self) -> u64 {
        self.number
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.number, f)
    }
}

/// The widths of what a stream has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Widths {
    pub(crate) input: usize,
    pub(crate) state: usize,
    /// Of the previous outputs, if they must be kept from step to step.
    pub(crate) carry: usize,
    pub(crate) output: usize,
    /// Where in the state the output begins; else it is the end of the previous outputs.
    pub(crate) output_in_state: Option<usize>,
}

/// The streams of 64 places.
pub(crate) struct Page<T> {
    /// The number of each stream; 0 where there is none.
    numbers: [u64; PAGE],
    /// Those that have a sample, a bit each.
    ready: u64,
    /// Those that have an output.
    stepped: u64,
    /// The steps that the pool had made when each last took part in one, or began.
    last: [u64; PAGE],
    inputs: Aligned<T>,
    states: Aligned<T>,
    carries: Aligned<T>,
}

impl<T: Float> Page<T> {
    fn new(widths: Widths) -> Self {
        Page {
            numbers: [0; PAGE],
            ready: 0,
            stepped: 0,
            last: [0; PAGE],
            inputs: Aligned::zeros(PAGE * widths.input),
            states: Aligned::zeros(PAGE * widths.state),
            carries: Aligned::zeros(PAGE * widths.carry),
        }
    }

    pub(crate) fn input(&self, at: usize, widths: &Widths) -> &[T] {
        &self.inputs[at * widths.input..][..widths.input]
    }

    pub(crate) fn state(&self, at: usize, widths: &Widths) -> &[T] {
        &self.states[at * widths.state..][..widths.state]
    }

    pub(crate) fn carry(&self, at: usize, widths: &Widths) -> &[T] {
        &self.carries[at * widths.carry..][..widths.carry]
    }

    /// A stream's state and previous outputs, to be written.
    pub(crate) fn parts_mut(&mut self, at: usize, widths: &Widths) -> (&mut [T], &mut [T]) {
        let state = &mut self.states[at * widths.state..][..widths.state];
        (state, &mut self.carries[at * widths.carry..][..widths.carry])
    }
}

/// All pages.
pub(crate) struct Table<T> {
    pub(crate) widths: Widths,
    pub(crate) pages: Vec<Page<T>>,
    /// Places without a stream.
    free: Vec<usize>,
    /// The places that there may be, if their number is fixed.
    pub(super) fixed: Option<usize>,
    len: usize,
    /// The steps until now.
    pub(crate) steps: u64,
    /// The numbers of streams whose last sample was refused, and why.
    refused: Vec<(u64, Error)>,
}

impl<T: Float> Table<T> {
    /// Without a place yet.
    pub(crate) fn new(widths: Widths) -> Self {
        Table { widths, pages: Vec::new(), free: Vec::new(), fixed: None, len: 0, steps: 0, refused: Vec::new() }
    }

    /// With so many places and never more: nothing is allocated from now on.
    pub(crate) fn with_capacity(widths: Widths, capacity: usize) -> Result<Self> {
        if capacity == 0 {
            return Err(Error::ZeroSize { what: "the capacity of a pool" });
        }
        let mut table = Table { fixed: Some(capacity), ..Table::new(widths) };
        table.grow(capacity.div_ceil(PAGE))?;
        Ok(table)
    }

    /// So many pages more, all at once or none.
    pub(crate) fn grow(&mut self, pages: usize) -> Result<()> {
        let Widths { input, state, carry, .. } = self.widths;
        let width = [input, state, carry].into_iter().try_fold(0, usize::checked_add).unwrap_or(usize::MAX);
        let mut needs = MemoryNeeds::default();
        needs.array::<T>(&[pages, PAGE, width]);
        needs.array::<[u64; 4]>(&[pages, PAGE]);
        needs.check(&[pages, PAGE, width])?;
        let first = self.places();
        self.pages.extend((0..pages).map(|_| Page::new(self.widths)));
        let end = self.fixed.unwrap_or(usize::MAX).min(self.places());
        // Room for all places: a removal allocates nothing. The lowest ones are taken first.
        self.free.reserve_exact(self.places() - self.free.len());
        self.free.splice(0..0, (first..end).rev());
        Ok(())
    }

    /// The places that there are, those beyond a fixed number too.
    pub(crate) fn places(&self) -> usize {
        self.pages.len() * PAGE
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether the next stream makes it grow.
    pub(crate) fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = StreamId> {
        let all = self.pages.iter().flat_map(|page| &page.numbers).enumerate();
        all.filter(|(_, number)| **number != 0).map(|(place, &number)| StreamId { number, place })
    }

    /// A new stream; its state and previous outputs are to be written. There must be a place.
    pub(crate) fn insert(&mut self) -> Result<StreamId> {
        let full = Error::PoolFull { capacity: self.fixed.unwrap_or(self.places()) };
        let place = self.free.pop().ok_or(full)?;
        let id = StreamId { number: next_number(), place };
        self.begin(id);
        self.len += 1;
        Ok(id)
    }

    /// A stream under an id of another table. `None`: it is here already.
    pub(crate) fn adopt(&mut self, id: StreamId) -> Result<Option<StreamId>> {
        let end = self.fixed.unwrap_or(usize::MAX).min(self.places());
        if id.place >= end {
            return Err(Error::PoolFull { capacity: end });
        }
        let there = self.pages[id.place / PAGE].numbers[id.place % PAGE];
        if there > id.number {
            return Err(Error::StreamGone { number: id.number });
        }
        if there == id.number {
            return Ok(None);
        }
        if there == 0 {
            self.free.retain(|&place| place != id.place);
            self.len += 1;
        }
        self.begin(id);
        Ok(Some(id))
    }

    fn begin(&mut self, id: StreamId) {
        let at = id.place % PAGE;
        let page = &mut self.pages[id.place / PAGE];
        (page.numbers[at], page.last[at]) = (id.number, self.steps);
        page.ready &= !(1 << at);
        page.stepped &= !(1 << at);
    }

    /// The page of a stream and its place in it.
    pub(crate) fn find(&self, id: StreamId) -> Result<(&Page<T>, usize)> {
        match self.pages.get(id.place / PAGE) {
            Some(page) if page.numbers[id.place % PAGE] == id.number => Ok((page, id.place % PAGE)),
            _ => Err(Error::StreamGone { number: id.number }),
        }
    }

    pub(crate) fn find_mut(&mut self, id: StreamId) -> Result<(&mut Page<T>, usize)> {
        match self.pages.get_mut(id.place / PAGE) {
            Some(page) if page.numbers[id.place % PAGE] == id.number => Ok((page, id.place % PAGE)),
            _ => Err(Error::StreamGone { number: id.number }),
        }
    }

    pub(crate) fn push(&mut self, id: StreamId, x: &[T]) -> Result<()> {
        let widths = self.widths;
        let (page, at) = self.find_mut(id)?;
        if x.len() != widths.input {
            return Err(Error::StepShape { expected: (1, widths.input), given: (1, x.len()) });
        }
        if page.ready & 1 << at != 0 {
            return Err(Error::SampleWaits { number: id.number });
        }
        page.inputs[at * widths.input..][..widths.input].copy_from_slice(x);
        page.ready |= 1 << at;
        self.accept(id.number);
        Ok(())
    }

    /// Whether a stream has a sample.
    pub(crate) fn is_ready(&self, id: StreamId) -> Result<bool> {
        self.find(id).map(|(page, at)| page.ready & 1 << at != 0)
    }

    pub(crate) fn output(&self, id: StreamId) -> Result<&[T]> {
        let widths = &self.widths;
        let (page, at) = self.find(id)?;
        if page.stepped & 1 << at == 0 {
            let refused = self.refused.iter().find(|(number, _)| *number == id.number);
            return Err(refused.map_or(Error::NoOutputYet { number: id.number }, |(_, error)| error.clone()));
        }
        Ok(match widths.output_in_state {
            Some(start) => &page.state(at, widths)[start..][..widths.output],
            None => &page.carry(at, widths)[widths.carry - widths.output..],
        })
    }

    /// The stream at this place has been refused its step: its state is as before, and its output is the error.
    pub(super) fn refuse(&mut self, place: usize, error: Error) {
        let (page, at) = (&mut self.pages[place / PAGE], place % PAGE);
        page.stepped &= !(1 << at);
        self.refused.push((page.numbers[at], error));
    }

    /// Whatever a stream was refused is over.
    fn accept(&mut self, number: u64) {
        if !self.refused.is_empty() {
            self.refused.retain(|(refused, _)| *refused != number);
        }
    }

    /// The stream has another state: its output is gone. Its state and previous outputs are to be written.
    pub(crate) fn restate(&mut self, id: StreamId) -> Result<(&mut [T], &mut [T])> {
        let widths = self.widths;
        self.accept(id.number);
        let (page, at) = self.find_mut(id)?;
        page.stepped &= !(1 << at);
        Ok(page.parts_mut(at, &widths))
    }

    pub(crate) fn remove(&mut self, id: StreamId) -> Result<()> {
        let (page, at) = self.find_mut(id)?;
        page.numbers[at] = 0;
        page.ready &= !(1 << at);
        self.accept(id.number);
        self.free.push(id.place);
        self.len -= 1;
        Ok(())
    }

    /// The steps of the table since a stream last took part in one, or began.
    pub(crate) fn idle_steps(&self, id: StreamId) -> Result<u64> {
        self.find(id).map(|(page, at)| self.steps - page.last[at])
    }

    /// Takes the samples: the places that have one, in order, which are to make a step now.
    pub(crate) fn take_ready(&mut self, places: &mut Vec<usize>) {
        places.clear();
        self.steps += 1;
        for (number, page) in self.pages.iter_mut().enumerate() {
            let mut ready = std::mem::take(&mut page.ready);
            page.stepped |= ready;
            while ready != 0 {
                let at = ready.trailing_zeros() as usize;
                ready &= ready - 1;
                page.last[at] = self.steps;
                places.push(number * PAGE + at);
            }
        }
    }

    /// Has the streams that `other` has, under their ids, with the samples that wait there. Those that are in both
    /// keep their state here; `begin` is told of the others. `other` has no more pages, and inputs of the same width.
    pub(super) fn follow(&mut self, other: &Table<T>, mut begin: impl FnMut(&mut [T], &mut [T])) {
        let widths = self.widths;
        self.free.clear();
        for number in (0..self.pages.len()).rev() {
            let page = &mut self.pages[number];
            let theirs = other.pages.get(number);
            for at in (0..PAGE).rev() {
                let stream = theirs.map_or(0, |theirs| theirs.numbers[at]);
                if stream == 0 && number * PAGE + at < self.fixed.unwrap_or(usize::MAX) {
                    self.free.push(number * PAGE + at);
                }
                if stream != page.numbers[at] {
                    page.numbers[at] = stream;
                    page.stepped &= !(1 << at);
                    let (state, carry) = page.parts_mut(at, &widths);
                    begin(state, carry);
                }
            }
            page.ready = theirs.map_or(0, |theirs| theirs.ready);
            if let Some(theirs) = theirs {
                page.last = theirs.last;
                page.inputs.copy_from_slice(&theirs.inputs);
            }
        }
        (self.len, self.steps) = (other.len, other.steps);
    }
}
