//! The order of rows in an epoch.

use std::cmp::Reverse;
use std::ops::Range;

use crate::random::shuffle;

/// How rows are shuffled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As they come.
    Given,
    /// As Keras does from this seed: alike in each epoch.
    Keras(i64),
    /// Anew in each epoch: as Keras does from the seed and the epoch's number.
    Anew(i64),
}

impl Order {
    fn seed(self, epoch: usize) -> Option<i64> {
        match self {
            Order::Given => None,
            Order::Keras(seed) => Some(seed),
            Order::Anew(seed) => Some(seed.wrapping_add(epoch as i64)),
        }
    }

    /// The rows of an epoch, from 0.
    pub(super) fn of_epoch(self, epoch: usize, range: Range<usize>, rows: &mut Vec<usize>) {
        match self.seed(epoch) {
            Some(seed) => {
                shuffle(seed, range.len(), rows);
                rows.iter_mut().for_each(|row| *row += range.start);
            }
            None => {
                rows.clear();
                rows.extend(range);
            }
        }
    }

    /// Mixes batches of like lengths, so that short ones don't come first.
    pub(super) fn mix(self, epoch: usize, batches: &mut [Range<usize>]) {
        if let Some(seed) = self.seed(epoch) {
            let (mut places, given) = (Vec::new(), batches.to_vec());
            shuffle(seed, batches.len(), &mut places);
            batches.iter_mut().zip(places).for_each(|(batch, place)| *batch = given[place].clone());
        }
    }
}

/// Rows of like length in one batch, so that little is padded.
#[derive(Debug, Clone)]
pub(super) struct Buckets(pub(super) Vec<usize>);

impl Buckets {
    /// Long rows first; of equal ones the order stays.
    pub(super) fn sort(&self, rows: &mut [usize]) {
        rows.sort_by_key(|&row| Reverse(self.0[row]));
    }

    /// The length of the longest of these rows, at least one step.
    pub(super) fn longest(&self, rows: &[usize]) -> usize {
        rows.iter().map(|&row| self.0[row]).max().unwrap_or(1).max(1)
    }
}
