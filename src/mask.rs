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

    /// The mask of the first `rows` rows and that of the others.
    #[cfg(feature = "rayon")]
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
