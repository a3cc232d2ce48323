//! How a stack of cells is put together.

use super::{StackCell, StackedCells};
use crate::cells::Cell;
use crate::error::{Error, Result};
use crate::float::Float;

/// Takes the cells of a [`StackedCells`], the one that reads the input first.
#[derive(Debug)]
#[must_use = "a builder makes nothing until `build`"]
pub struct StackedCellsBuilder<T: Float> {
    pub(super) cells: Vec<Box<dyn StackCell<T>>>,
}

impl<T: Float> StackedCellsBuilder<T> {
    /// Puts a cell on top: a built-in one from [`Builder::build_cell`](crate::builder::Builder::build_cell), or one of your own.
    pub fn cell(mut self, cell: impl Cell<Elem = T>) -> Self {
        self.cells.push(Box::new(cell));
        self
    }

    /// Makes the stack.
    ///
    /// # Errors
    /// [`Error::EmptyStack`] without a cell, [`Error::StackWidth`] if a cell doesn't read what the one below outputs,
    /// [`Error::CellOutput`] for a cell whose output isn't part of its state, [`Error::NestedTooDeep`] for stacks in
    /// stacks in stacks, [`Error::WidthOverflow`] for sizes that can't be addressed together.
    pub fn build(self) -> Result<StackedCells<T>> {
        if self.cells.is_empty() {
            return Err(Error::EmptyStack);
        }
        for (below, pair) in self.cells.windows(2).enumerate() {
            let (expected, given) = (pair[1].input_size(), pair[0].output().len());
            if expected != given {
                return Err(Error::StackWidth { index: below + 1, expected, given });
            }
        }
        StackedCells::from_cells(self.cells)
    }
}
