//! Which steps of which rows are live: masks and lengths, as the runner reads them.

/// The live steps of a batch. Time is the input's, whatever direction a layer takes.
#[derive(Debug, Clone, Copy)]
pub enum TimeMask<'a> {
    /// Every step of every row.
    All,
    /// The steps before `lengths[row]` of each row.
    Lengths {
        /// Counted from the beginning of the sequence.
        lengths: &'a [usize],
        /// The step of the sequence at which time begins here.
        first: usize,
    },
    /// `mask[row * timesteps + time]`: any pattern.
    Steps {
        /// (batch, timesteps), row by row.
        mask: &'a [bool],
        /// How far apart the rows of the mask are.
        timesteps: usize,
    },
}

impl<'a> TimeMask<'a> {
    /// The first so many steps of each row.
    pub(crate) fn lengths(lengths: &'a [usize]) -> Self {
        TimeMask::Lengths { lengths, first: 0 }
    }

    /// Without the first `steps` steps.
    pub(crate) fn skip_steps(self, steps: usize) -> Self {
        match self {
            TimeMask::All => TimeMask::All,
            TimeMask::Lengths { lengths, first } => TimeMask::Lengths { lengths, first: first + steps },
            TimeMask::Steps { mask, timesteps } => TimeMask::Steps { mask: &mask[steps.min(mask.len())..], timesteps },
        }
    }

    /// Whether this step of this row is live.
    #[inline]
    pub fn is_live(&self, row: usize, time: usize) -> bool {
        match self {
            TimeMask::All => true,
            TimeMask::Lengths { lengths, first } => first + time < lengths[row],
            TimeMask::Steps { mask, timesteps } => mask[row * timesteps + time],
        }
    }

    /// Writes the rows that are live at this step into `live`, in order.
    pub(crate) fn live_rows(&self, batch: usize, time: usize, live: &mut Vec<usize>) {
        live.clear();
        live.reserve_exact(batch); // once for all steps, however many rows are live
        live.extend((0..batch).filter(|&row| self.is_live(row, time)));
    }
}

#[cfg(feature = "rayon")]
impl TimeMask<'_> {
    /// The live steps of the first `batch` rows, of `timesteps` steps each.
    pub(crate) fn steps(&self, batch: usize, timesteps: usize) -> usize {
        (0..batch).map(|row| self.steps_of(row, timesteps)).sum()
    }

    fn steps_of(&self, row: usize, timesteps: usize) -> usize {
        match self {
            TimeMask::All => timesteps,
            TimeMask::Lengths { lengths, first } => lengths[row].saturating_sub(*first).min(timesteps),
            TimeMask::Steps { mask, timesteps: stride } => {
                mask[row * stride..][..timesteps].iter().filter(|&&live| live).count()
            }
        }
    }

    /// How many of the first rows have together nearest to `share / of` of the live steps, so that threads that begin
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
            TimeMask::Lengths { lengths, first } => {
                let (lengths, others) = lengths.split_at(rows);
                (TimeMask::Lengths { lengths, first }, TimeMask::Lengths { lengths: others, first })
            }
            TimeMask::Steps { mask, timesteps } => {
                let (first, second) = mask.split_at(rows * timesteps);
                (TimeMask::Steps { mask: first, timesteps }, TimeMask::Steps { mask: second, timesteps })
            }
        }
    }
}

/// Where rows are reset: `true` at a step means that the state before it is the initial one.
#[derive(Debug, Clone, Copy)]
pub struct Resets<'a> {
    /// (batch, timesteps), row by row.
    flags: &'a [bool],
    /// How far apart the rows of the flags are.
    timesteps: usize,
}

impl<'a> Resets<'a> {
    /// Flags of (batch, timesteps).
    pub(crate) fn new(flags: &'a [bool], timesteps: usize) -> Self {
        Resets { flags, timesteps }
    }

    /// Whether this row is reset before this step.
    #[inline]
    pub(crate) fn at(&self, row: usize, time: usize) -> bool {
        self.flags[row * self.timesteps + time]
    }

    /// Without the first `steps` steps.
    pub(crate) fn skip_steps(self, steps: usize) -> Self {
        Resets { flags: &self.flags[steps.min(self.flags.len())..], ..self }
    }

    /// As they are seen from the other end of time: what lay between t - 1 and t lies before step T - t.
    ///
    /// A mask isn't turned around for the layers behind a backward one: Keras doesn't either.
    pub(crate) fn turned(self, turned: &mut Vec<bool>) -> Resets<'_> {
        turned.clear();
        turned.reserve_exact(self.flags.len());
        for row in self.flags.chunks_exact(self.timesteps.max(1)) {
            turned.push(false);
            turned.extend(row[1..].iter().rev());
        }
        Resets { flags: turned, timesteps: self.timesteps }
    }
}

#[cfg(feature = "rayon")]
impl Resets<'_> {
    /// Those of the first `rows` rows and those of the others.
    pub(crate) fn split_rows(self, rows: usize) -> (Self, Self) {
        let (flags, others) = self.flags.split_at((rows * self.timesteps).min(self.flags.len()));
        (Resets { flags, ..self }, Resets { flags: others, ..self })
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
        assert_eq!(shares(TimeMask::lengths(&lengths)), [4, 4, 4, 0]);
        let mask: Vec<bool> = lengths.iter().flat_map(|&length| (0..9).map(move |time| time >= 9 - length)).collect();
        assert_eq!(shares(TimeMask::Steps { mask: &mask, timesteps: 9 }), [4, 4, 4, 0]);
        assert_eq!(shares(TimeMask::All), [3, 2, 4, 0]);
        assert_eq!(TimeMask::lengths(&lengths).steps(6, 8), 1 + 1 + 1 + 8 + 8 + 3);
        assert_eq!(TimeMask::lengths(&[0; 6]).rows_of_share(6, 9, (1, 2)), 6);
    }
}
