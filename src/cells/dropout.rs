//! What dropout a cell has, and its masks.

use super::StepDropout;
use crate::strided::{DropoutRows, Rows};

/// What dropout a cell has: the runner draws the masks, with Keras's numbers, and hands them to each step.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "setters return the description"]
#[non_exhaustive]
pub struct CellDropout {
    /// The fraction of input units to drop, 0 to 1.
    pub rate: f64,
    /// How many masks of the input are drawn: one for all gates, or one for each.
    pub masks: usize,
    /// The fraction of the previous hidden state's units to drop, 0 to 1.
    pub recurrent_rate: f64,
    /// How many masks of the previous hidden state are drawn.
    pub recurrent_masks: usize,
    /// The width of the input.
    pub input_size: usize,
    /// The width of the previous hidden state.
    pub units: usize,
    /// Keras's `seed`.
    pub seed: i64,
    /// Whether each step has masks of its own, as in zoneout; else those of a call are the same at every step.
    pub each_step: bool,
}

impl CellDropout {
    /// No dropout yet, of a cell of these sizes: one mask of the input, one of the previous hidden state, seed 0.
    pub fn new(input_size: usize, units: usize) -> Self {
        let (masks, recurrent_masks) = (1, 1);
        CellDropout {
            rate: 0.0,
            masks,
            recurrent_rate: 0.0,
            recurrent_masks,
            input_size,
            units,
            seed: 0,
            each_step: false,
        }
    }

    /// The fraction of input units to drop, and how many masks are drawn.
    pub fn rate(mut self, rate: f64, masks: usize) -> Self {
        (self.rate, self.masks) = (rate, masks);
        self
    }

    /// The fraction of the previous hidden state's units to drop, and how many masks are drawn.
    pub fn recurrent_rate(mut self, rate: f64, masks: usize) -> Self {
        (self.recurrent_rate, self.recurrent_masks) = (rate, masks);
        self
    }

    /// Keras's `seed`.
    pub fn seed(mut self, seed: i64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether masks are drawn for each step anew, in the order in which steps are taken.
    pub fn each_step(mut self, yes: bool) -> Self {
        self.each_step = yes;
        self
    }

    /// Values in a row of all masks side by side: the input's first, as they are drawn.
    pub(crate) fn width(&self) -> usize {
        self.input_width().saturating_add(self.recurrent_width())
    }

    pub(super) fn recurrent_width(&self) -> usize {
        self.recurrent_masks.saturating_mul(self.units)
    }

    /// How many masks Keras draws in a call: none for a rate of exactly 0 or 1, nor for what it hasn't got.
    pub(crate) fn draws(&self) -> u64 {
        if self.each_step {
            return 0;
        }
        let count = |rate: f64, masks: usize| if rate > 0.0 && rate < 1.0 { masks as u64 } else { 0 };
        count(self.rate, self.masks).saturating_add(count(self.recurrent_rate, self.recurrent_masks))
    }

    pub(super) fn input_width(&self) -> usize {
        self.masks.saturating_mul(self.input_size)
    }

    /// The cell's masks within rows that hold those of several cells; its own start at column `start`.
    pub(crate) fn masks<'a, T>(&self, all: Rows<'a, T>, start: usize) -> DropoutRows<'a, T> {
        let (input, end) = (start.saturating_add(self.input_width()), start.saturating_add(self.width()));
        DropoutRows {
            input: (self.masks > 0).then(|| all.columns(start..input)),
            recurrent: (self.recurrent_masks > 0).then(|| all.columns(input..end)),
        }
    }
}

/// The masks of one row, for a cell that has its whole row of masks to itself.
pub(super) fn step_dropout<'a, T>(dropout: &[CellDropout], all: Option<Rows<'a, T>>, row: usize) -> StepDropout<'a, T> {
    let masks = only_masks(dropout, all);
    let row_of = |rows: Option<Rows<'a, T>>| rows.map_or(&[][..], |rows| rows.row(row));
    masks.map_or_else(StepDropout::default, |masks| StepDropout {
        input: row_of(masks.input),
        recurrent: row_of(masks.recurrent),
    })
}

/// The masks of a cell that has its whole row of masks to itself.
pub(super) fn only_masks<'a, T>(dropout: &[CellDropout], all: Option<Rows<'a, T>>) -> Option<DropoutRows<'a, T>> {
    dropout.first().zip(all).map(|(dropout, all)| dropout.masks(all, 0))
}

/// For how many of so many steps a cell wants masks: for one that serves all, unless each has its own.
pub(crate) fn steps_with_masks(generators: &[CellDropout], timesteps: usize) -> usize {
    if generators.iter().any(|generator| generator.each_step) { timesteps } else { 1 }
}

/// The width of all masks of a row side by side, and that of the widest: room is asked for both.
pub(crate) fn mask_widths(generators: &[CellDropout]) -> (usize, usize) {
    let width = generators.iter().fold(0, |sum: usize, generator| sum.saturating_add(generator.width()));
    (width, generators.iter().map(|generator| generator.input_size.max(generator.units)).max().unwrap_or(0))
}
