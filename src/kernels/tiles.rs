//! Cutting a count into nearly equal pieces.

use std::ops::Range;

/// Cuts `0..count` into the fewest pieces of at most `most`, as equal as can be: 32 rows by 6 are 6, 6, 5, 5, 5, 5.
pub(super) fn split(count: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let pieces = count.div_ceil(most);
    let (small, larger) = (count / pieces.max(1), count % pieces.max(1));
    let start = move |i: usize| i * small + i.min(larger);
    (0..pieces).map(move |i| start(i)..start(i + 1))
}
