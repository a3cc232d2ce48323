//! What one row of one step reads and writes, forward and backward.

use super::fused::StepRows;
use super::{Cell, CellDropout, FusedCell};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::strided::{DropoutRows, Input, Rows, RowsMut};

/// One row of one step: what [`Cell::step`] reads and writes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Step<'a, T> {
    /// The features: `input_size` values.
    pub x: &'a [T],
    /// The state before the step, all parts side by side.
    pub prev: &'a [T],
    /// The state after the step, to be written; what it holds before is undefined.
    pub next: &'a mut [T],
    /// The dropout masks of a training call; empty otherwise.
    pub dropout: StepDropout<'a, T>,
    /// In a recorded run, [`Cell::tape_len`] values to be written for the backward pass.
    pub tape: Option<&'a mut [T]>,
    /// [`Cell::scratch_len`] values, undefined before and after.
    pub scratch: &'a mut [T],
}

impl<'a, T> Step<'a, T> {
    /// A step without scratch and dropout, to try out a cell alone. Nothing is checked here: a built-in cell that is
    /// given slices of other sizes than its own fills `next` with NaN. [`for_cell`](Step::for_cell) refuses them.
    ///
    /// ```
    /// use recurrent::{Cell, Lstm, cell::Step};
    /// let cell = Lstm::<f64>::builder(2, 3).build_cell()?;
    /// let mut next = [0.0; 6]; // h and c
    /// cell.step(Step::for_cell(&cell, &[0.5, -0.5], &[0.0; 6], &mut next)?);
    /// assert!(next.iter().all(|value| value.is_finite()));
    /// assert!(Step::for_cell(&cell, &[0.5], &[0.0; 6], &mut next).is_err());
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn new(x: &'a [T], prev: &'a [T], next: &'a mut [T]) -> Self {
        Step { x, prev, next, dropout: StepDropout::default(), tape: None, scratch: &mut [] }
    }

    /// [`new`](Step::new) for a cell whose sizes the slices must have.
    ///
    /// # Errors
    /// [`Error::StepSize`] if one of them has another length.
    pub fn for_cell<C: Cell<Elem = T>>(cell: &C, x: &'a [T], prev: &'a [T], next: &'a mut [T]) -> Result<Self> {
        let width = cell.state_layout().width();
        let sizes = [("x", cell.input_size(), x.len()), ("prev", width, prev.len()), ("next", width, next.len())];
        match sizes.into_iter().find(|(_, expected, given)| expected != given) {
            Some((what, expected, given)) => Err(Error::StepSize { cell: cell.class_name(), what, expected, given }),
            None => Ok(Step::new(x, prev, next)),
        }
    }

    /// This step with as much scratch as the cell wants: a caller of a cell by hand may have brought none, then it is
    /// `own`. A step that doesn't fit a cell with a state of this width is none: then NaN has been written.
    pub(super) fn fitted<C: Cell<Elem = T>>(self, cell: &C, width: usize, own: &'a mut Vec<T>) -> Option<Self>
    where
        T: Float,
    {
        let dropout = cell.dropout().first();
        let masks = |given: &[T], expected: Option<usize>| given.is_empty() || Some(given.len()) == expected;
        let fits = (self.x.len(), self.prev.len(), self.next.len()) == (cell.input_size(), width, width)
            && self.tape.as_ref().is_none_or(|tape| tape.len() == cell.tape_len())
            && masks(self.dropout.input, dropout.map(CellDropout::input_width))
            && masks(self.dropout.recurrent, dropout.map(CellDropout::recurrent_width));
        if !fits {
            self.next.fill(T::nan());
            return None;
        }
        let wanted = cell.scratch_len().max(cell.fused().rows_scratch_len(1));
        if self.scratch.len() >= wanted {
            return Some(self);
        }
        own.resize(wanted, T::zero());
        Some(Step { scratch: own, ..self })
    }

    /// A fitted step as one of a batch of one row, and its dropout masks.
    pub(super) fn into_rows(self) -> (StepRows<'a, T>, Option<DropoutRows<'a, T>>) {
        let masks = |masks: &'a [T]| (!masks.is_empty()).then(|| Rows::packed(masks, masks.len()));
        let dropout = DropoutRows { input: masks(self.dropout.input), recurrent: masks(self.dropout.recurrent) };
        let rows = StepRows {
            rows: &[0],
            input: Input::Raw(Rows::packed(self.x, self.x.len())),
            prev: Rows::packed(self.prev, self.prev.len()),
            next: RowsMut::packed(self.next, self.prev.len()),
            dropout: None,
            tape: self.tape.map(|tape| {
                let width = tape.len();
                RowsMut::packed(tape, width)
            }),
            scratch: self.scratch,
            odd: false,
        };
        (rows, (dropout.input.is_some() || dropout.recurrent.is_some()).then_some(dropout))
    }
}

/// The backward pass through one row of one step: what [`Cell::step_backward`] reads and writes.
#[derive(Debug)]
#[non_exhaustive]
pub struct StepBackward<'a, T> {
    /// The features of the step.
    pub x: &'a [T],
    /// The state before the step.
    pub prev: &'a [T],
    /// The state after the step.
    pub next: &'a [T],
    /// The step's tape.
    pub tape: &'a [T],
    /// The dropout masks of the call, or of the step where these are new in each; empty without dropout.
    pub dropout: StepDropout<'a, T>,
    /// The gradient of the state after the step; that of the output is in it.
    pub d_next: &'a [T],
    /// The gradient of the state before the step, to be written.
    pub d_prev: &'a mut [T],
    /// The gradient of the features, to be written.
    pub d_x: &'a mut [T],
    /// [`Cell::backward_scratch_len`] values, undefined before and after.
    pub scratch: &'a mut [T],
}

/// The dropout masks of one row: values to multiply with, the same at every step of a call unless
/// [`CellDropout::each_step`] says that each has its own.
///
/// Each slice is empty where nothing is to be dropped (always, in inference), and else holds the masks side by side,
/// as many as the cell's [`CellDropout`] says.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct StepDropout<'a, T> {
    /// Masks of the input, each `input_size` values.
    pub input: &'a [T],
    /// Masks of the previous hidden state, each as wide as the cell's output.
    pub recurrent: &'a [T],
}

impl<T> Default for StepDropout<'_, T> {
    fn default() -> Self {
        StepDropout { input: &[], recurrent: &[] }
    }
}
