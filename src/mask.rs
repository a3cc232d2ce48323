//! Which steps of which rows are real: masks and lengths, as the runner reads them.

/// The real steps of a batch. Time is the input's, whatever direction a layer takes.
#[derive(Debug, Clone, Copy)]
pub enum TimeMask<'a> {
    /// Every step of every row.
    All,
    /// The first `lengths[row]` steps of each row.
    Lengths(&'a [usize]),
    /// `mask[row * timesteps + time]`: any pattern.
    Steps {
        /// (batch, timesteps), row by row.
        mask: &'a [bool],
        /// The length of a row of the mask.
        timesteps: usize,
    },
}

impl TimeMask<'_> {
    /// Whether this step of this row is real.
    #[inline]
    pub fn is_live(&self, row: usize, time: usize) -> bool {
        match self {
            TimeMask::All => true,
            TimeMask::Lengths(lengths) => time < lengths[row],
            TimeMask::Steps { mask, timesteps } => mask[row * timesteps + time],
        }
    }

    /// Writes the rows that are real at this step into `live`, in order.
    pub(crate) fn live_rows(&self, batch: usize, time: usize, live: &mut Vec<usize>) {
        live.clear();
        live.reserve(batch); // once for all steps, however many rows are real
        live.extend((0..batch).filter(|&row| self.is_live(row, time)));
    }
}

#[cfg(feature = "rayon")]
impl TimeMask<'_> {
    /// The real steps of the first `batch` rows, of `timesteps` steps each.
    pub(crate) fn steps(&self, batch: usize, timesteps: usize) -> usize {
        (0..batch).map(|row| self.steps_of(row, timesteps)).sum()
    }

    fn steps_of(&self, row: usize, timesteps: usize) -> usize {
        match self {
            TimeMask::All => timesteps,
            TimeMask::Lengths(lengths) => lengths[row].min(timesteps),
            TimeMask::Steps { mask, .. } => mask[row * timesteps..][..timesteps].iter().filter(|&&live| live).count(),
        }
    }

    /// How many of the first rows have together nearest to `share / of` of the real steps, so that threads that begin
    /// together end together.
    pub(crate) fn rows_of_share(&self, batch: usize, timesteps: usize, (share, of): (usize, usize)) -> usize {
        let all = self.steps(batch, timesteps);
        let mut before = 0;
        for row in 0..batch {
            let steps = self.steps_of(row, timesteps);
            // Whether more than half of this row is beyond the share.
            if (2 * before + steps) * of > 2 * all * share {
                return row;
            }
            before += steps;
        }
        batch
    }

    /// The mask of the first `rows` rows and that of the others.
    pub(crate) fn split_rows(self, rows: usize) -> (Self, Self) {
        match self {
            TimeMask::All => (TimeMask::All, TimeMask::All),
            TimeMask::Lengths(lengths) => {
                let (first, second) = lengths.split_at(rows);
                (TimeMask::Lengths(first), TimeMask::Lengths(second))
            }
            TimeMask::Steps { mask, timesteps } => {
                let (first, second) = mask.split_at(rows * timesteps);
                (TimeMask::Steps { mask: first, timesteps }, TimeMask::Steps { mask: second, timesteps })
            }
        }
    }
}

#[cfg(all(test, feature = "rayon"))]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shared_by_their_real_steps() {
        let lengths = [1, 1, 1, 9, 9, 3];
        let shares =
            |mask: TimeMask<'_>| [(1, 2), (1, 3), (2, 3), (1, 100)].map(|share| mask.rows_of_share(6, 9, share));
        assert_eq!(shares(TimeMask::Lengths(&lengths)), [4, 4, 4, 0]);
        let mask: Vec<bool> = lengths.iter().flat_map(|&length| (0..9).map(move |time| time >= 9 - length)).collect();
        assert_eq!(shares(TimeMask::Steps { mask: &mask, timesteps: 9 }), [4, 4, 4, 0]);
        assert_eq!(shares(TimeMask::All), [3, 2, 4, 0]);
        assert_eq!(TimeMask::Lengths(&lengths).steps(6, 8), 1 + 1 + 1 + 8 + 8 + 3);
        assert_eq!(TimeMask::Lengths(&[0; 6]).rows_of_share(6, 9, (1, 2)), 6);
    }
}
