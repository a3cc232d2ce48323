//! Several cells as one: each reads the output of the one before, within the same step.

mod builder;
#[cfg(feature = "file")]
mod read;

pub use self::builder::StackedCellsBuilder;
use super::{BackwardPlan, BackwardRows, Cell, CellDropout, FusedCell, Step, StepRows, check_output, mask_widths};
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::memory;
use crate::state::StateLayout;
use crate::strided::{Input, RowInput, RowStep, Rows, RowsMut};
use crate::structure::{DebugText, StructureVisitor};
use crate::weights::{QuantizedVisitor, WeightVisitor, WeightVisitorMut};
use std::ops::Range;

/// Cells on top of each other in one step: Keras's `StackedRNNCells`, what `RNN([cells])` makes of a list.
///
/// The state holds each cell's parts behind its number: `0/h`, `0/c`, `1/h`, ...; the output is the last cell's. It is
/// a cell itself, so stacks nest (`1/0/h`).
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gru, Layer, Lstm, Recurrent, StackedCells};
/// let cells = StackedCells::builder()
///     .cell(Lstm::<f32>::builder(3, 4).build_cell()?)
///     .cell(Gru::<f32>::builder(4, 2).build_cell()?)
///     .build()?;
/// let layer = Recurrent::from_cell(cells).return_state(true);
/// let state = layer.forward(&Array3::ones((1, 5, 3)))?.into_state()?;
/// assert_eq!(state.names().collect::<Vec<_>>(), ["0/h", "0/c", "1/h"]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug)]
pub struct StackedCells<T: Float> {
    cells: Vec<Part<T>>,
    layout: StateLayout,
    dropout: Vec<CellDropout>,
    /// The widest output that is handed from one cell to the next.
    widest: usize,
    depth: usize,
}

/// A cell of the stack and where its things are.
#[derive(Debug)]
struct Part<T: Float> {
    cell: Box<dyn StackCell<T>>,
    name: String,
    /// The columns of the stack's state that are the cell's.
    state: Range<usize>,
    /// The columns of the stack's state that are the cell's output.
    output: Range<usize>,
    /// The columns of the dropout masks that are the cell's.
    dropout: Range<usize>,
    /// The columns of what a step leaves that are the cell's.
    tape: Range<usize>,
    /// The places of the cell's weights among the stack's.
    weights: Range<usize>,
}

/// A cell in a box: one that can be cloned, if it can be cloned, and its [hooks](FusedCell).
pub(crate) trait StackCell<T: Float>: Cell<Elem = T> {
    fn clone_box(&self) -> Option<Box<dyn StackCell<T>>>;
    fn projected_len(&self) -> usize;
    fn project(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>);
    fn rows_scratch_len(&self, batch: usize) -> usize;
    fn step_rows(&self, call: StepRows<'_, T>);
    fn step_row(&self, step: &mut RowStep<'_, T>, scratch: &mut [T], odd: bool);
    fn rows_backward_scratch_len(&self, batch: usize) -> usize;
    fn step_rows_backward(&self, call: BackwardRows<'_, T>, gradients: &mut WeightGradients<'_, T>) -> Result<()>;
    fn may_fail_backward(&self) -> bool;
}

impl<C: Cell> StackCell<C::Elem> for C {
    fn clone_box(&self) -> Option<Box<dyn StackCell<C::Elem>>> {
        Some(Box::new(self.try_clone()?))
    }

    fn projected_len(&self) -> usize {
        self.fused().projected_len()
    }

    fn project(&self, count: usize, x: Rows<'_, C::Elem>, out: RowsMut<'_, C::Elem>) {
        self.fused().project(count, x, out);
    }

    fn rows_scratch_len(&self, batch: usize) -> usize {
        self.fused().rows_scratch_len(batch)
    }

    fn step_rows(&self, call: StepRows<'_, C::Elem>) {
        self.fused().step_rows(call);
    }

    fn step_row(&self, step: &mut RowStep<'_, C::Elem>, scratch: &mut [C::Elem], odd: bool) {
        self.fused().step_row(step, scratch, odd);
    }

    fn rows_backward_scratch_len(&self, batch: usize) -> usize {
        self.fused().rows_backward_scratch_len(batch)
    }

    fn step_rows_backward(
        &self,
        call: BackwardRows<'_, C::Elem>,
        gradients: &mut WeightGradients<'_, C::Elem>,
    ) -> Result<()> {
        self.fused().step_rows_backward(call, gradients)
    }

    fn may_fail_backward(&self) -> bool {
        self.fused().may_fail_backward()
    }
}

impl<T: Float> StackedCells<T> {
    /// An empty stack to put cells on.
    pub fn builder() -> StackedCellsBuilder<T> {
        StackedCellsBuilder { cells: Vec::new() }
    }

    fn from_cells(cells: Vec<Box<dyn StackCell<T>>>) -> Result<Self> {
        let deepest = cells.iter().map(|cell| cell.depth()).max().unwrap_or(0);
        let depth = memory::check_depth(deepest.saturating_add(1))?;
        let layouts: Vec<StateLayout> = cells.iter().map(|cell| cell.state_layout()).collect();
        let layout = StateLayout::nested(layouts.iter().enumerate().map(|(i, layout)| (i.to_string(), layout)));
        let (mut state, mut masks, mut tape, mut weights) = (0, 0, 0, 0);
        let mut parts = Vec::with_capacity(cells.len());
        for (i, (cell, layout)) in cells.into_iter().zip(&layouts).enumerate() {
            let output = check_output(cell.class_name(), cell.output(), layout.width())?;
            let (state_start, masks_start, tape_start, weights_start) = (state, masks, tape, weights);
            state = memory::add_width("state", state, layout.width())?;
            let (own_masks, _) = mask_widths(cell.dropout());
            masks = memory::add_width("dropout masks", masks, own_masks)?;
            tape = memory::add_width("tape", tape, cell.tape_len())?;
            cell.visit_weights(&mut WeightVisitor::new(&mut |_, _| weights += 1));
            parts.push(Part {
                name: i.to_string(),
                state: state_start..state,
                output: state_start + output.start..state_start + output.end,
                dropout: masks_start..masks,
                tape: tape_start..tape,
                weights: weights_start..weights,
                cell,
            });
        }
        let dropout = parts.iter().flat_map(|part| part.cell.dropout().iter().cloned()).collect();
        let widest = parts.iter().map(|part| part.output.len()).max().unwrap_or(0);
        Ok(StackedCells { cells: parts, layout, dropout, widest, depth })
    }
}

impl<T: Float> Cell for StackedCells<T> {
    type Elem = T;

    fn input_size(&self) -> usize {
        self.cells.first().map_or(0, |part| part.cell.input_size())
    }

    fn state_layout(&self) -> StateLayout {
        self.layout.clone()
    }

    fn output(&self) -> Range<usize> {
        self.cells.last().map_or(0..0, |part| part.output.clone())
    }

    fn step(&self, step: Step<'_, T>) {
        let mut own = Vec::new();
        if let Some(step) = step.fitted(self, self.layout.width(), &mut own) {
            // A stack's masks aren't split into input and recurrent ones, so a step by hand has none.
            let (call, _) = step.into_rows();
            self.fused().step_rows(call);
        }
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        for part in &self.cells {
            visitor.nested(&part.name, |visitor| part.cell.visit_weights(visitor));
        }
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        for part in &mut self.cells {
            visitor.nested(&part.name, |visitor| part.cell.visit_weights_mut(visitor));
        }
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        for part in &self.cells {
            visitor.nested(&part.name, |visitor| part.cell.visit_quantized(visitor));
        }
    }

    fn initial_state(&self, row: &mut [T]) {
        for part in &self.cells {
            part.cell.initial_state(&mut row[part.state.clone()]);
        }
    }

    fn scratch_len(&self) -> usize {
        self.fused().rows_scratch_len(1)
    }

    fn dropout(&self) -> &[CellDropout] {
        &self.dropout
    }

    fn try_clone(&self) -> Option<Self> {
        let cells = self.cells.iter().map(|part| part.cell.clone_box()).collect::<Option<Vec<_>>>()?;
        StackedCells::from_cells(cells).ok()
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        let cells = self.cells.iter().map(|part| part.cell.describe()).collect::<Result<Vec<_>, _>>()?;
        Ok(Config::new("StackedRNNCells").with("cells", cells))
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.value("cells", self.cells.len());
        for part in &self.cells {
            visitor.nested(&part.name, |visitor| {
                visitor.value("class", DebugText(part.cell.class_name()));
                visitor.value("output", &part.output);
                part.cell.visit_structure(visitor);
            });
        }
    }

    fn tape_len(&self) -> usize {
        self.cells.last().map_or(0, |part| part.tape.end)
    }

    fn can_train(&self) -> Result<()> {
        self.cells.iter().try_for_each(|part| part.cell.can_train())
    }

    fn backward_scratch_len(&self) -> usize {
        self.fused().rows_backward_scratch_len(1)
    }

    fn fused(&self) -> impl FusedCell<Elem = T> {
        self
    }
}

impl<T: Float> FusedCell for &StackedCells<T> {
    type Elem = T;

    fn projected_len(&self) -> usize {
        self.cells.first().map_or(0, |part| part.cell.projected_len())
    }

    fn project(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        if let Some(part) = self.cells.first() {
            part.cell.project(count, x, out);
        }
    }

    fn rows_scratch_len(&self, batch: usize) -> usize {
        let cells = self.cells.iter().map(|part| part.cell.rows_scratch_len(batch)).max().unwrap_or(0);
        batch.saturating_mul(self.widest).saturating_add(cells)
    }

    fn step_row(&self, step: &mut RowStep<'_, T>, scratch: &mut [T], odd: bool) {
        // A cell's features are the output of the one below, which stands in the state before its own.
        let (mut input, mut rest) = (step.input, &mut *step.next);
        for part in &self.cells {
            let (next, others) = rest.split_at_mut(part.state.len());
            let prev = &step.prev[part.state.clone()];
            part.cell.step_row(&mut RowStep { input, prev, next: &mut *next }, &mut *scratch, odd);
            input = RowInput::Raw(&next[part.output.start - part.state.start..part.output.end - part.state.start]);
            rest = others;
        }
    }

    fn step_rows(&self, mut call: StepRows<'_, T>) {
        // The outputs that go from cell to cell are copied: they stand in the state that the next cell writes to.
        let batch = call.rows.last().map_or(0, |last| last + 1);
        let (outputs, scratch) = call.scratch.split_at_mut(batch * self.widest);
        for (i, part) in self.cells.iter().enumerate() {
            let below = i.checked_sub(1).and_then(|below| self.cells.get(below));
            let input = match below {
                None => call.input,
                Some(below) => {
                    let width = below.output.len();
                    for &row in call.rows {
                        let output = &call.next.row(row)[below.output.clone()];
                        outputs[row * width..][..width].copy_from_slice(output);
                    }
                    Input::Raw(Rows::packed(outputs, width))
                }
            };
            let tape = call.tape.as_mut().map(|tape| tape.reborrow().columns(part.tape.clone()));
            part.cell.step_rows(StepRows {
                rows: call.rows,
                input,
                prev: call.prev.columns(part.state.clone()),
                next: call.next.reborrow().columns(part.state.clone()),
                dropout: call.dropout.map(|masks| masks.columns(part.dropout.clone())),
                tape,
                scratch: &mut *scratch,
                odd: call.odd,
            });
        }
    }

    fn may_fail_backward(&self) -> bool {
        self.cells.iter().any(|part| part.cell.may_fail_backward())
    }

    fn rows_backward_scratch_len(&self, batch: usize) -> usize {
        let cells = self.cells.iter().map(|part| part.cell.rows_backward_scratch_len(batch)).max().unwrap_or(0);
        let width = self.layout.width().saturating_add(self.widest);
        batch.saturating_mul(width).saturating_add(cells)
    }

    fn step_rows_backward(&self, mut call: BackwardRows<'_, T>, gradients: &mut WeightGradients<'_, T>) -> Result<()> {
        // From the last cell to the first: what a cell says about its features is added to the state of the one below,
        // so that state's gradient is a copy.
        let batch = call.rows.last().map_or(0, |last| last + 1);
        let width = self.layout.width();
        let (d_state, scratch) = call.scratch.split_at_mut(batch * width);
        let (d_features, scratch) = scratch.split_at_mut(batch * self.widest);
        let mut d_state = RowsMut::packed(d_state, width);
        for &row in call.rows {
            d_state.row_mut(row).copy_from_slice(call.d_next.row(row));
        }
        for (i, part) in self.cells.iter().enumerate().rev() {
            let below = i.checked_sub(1).and_then(|below| self.cells.get(below));
            let (x, d_x) = match below {
                None => (call.x, call.d_x.reborrow()),
                Some(below) => {
                    let width = below.output.len();
                    (call.next.columns(below.output.clone()), RowsMut::packed(&mut *d_features, width))
                }
            };
            let (_, mut own) = gradients.split(part.weights.start);
            let (mut own, _) = own.split(part.weights.len());
            part.cell.step_rows_backward(
                BackwardRows {
                    rows: call.rows,
                    x,
                    prev: call.prev.columns(part.state.clone()),
                    next: call.next.columns(part.state.clone()),
                    tape: call.tape.columns(part.tape.clone()),
                    dropout: call.dropout.map(|masks| masks.columns(part.dropout.clone())),
                    d_next: d_state.as_rows().columns(part.state.clone()),
                    d_prev: call.d_prev.reborrow().columns(part.state.clone()),
                    d_x,
                    scratch: &mut *scratch,
                },
                &mut own,
            )?;
            if let Some(below) = below {
                let width = below.output.len();
                for &row in call.rows {
                    let d_output = &mut d_state.row_mut(row)[below.output.clone()];
                    let d_features = &d_features[row * width..][..width];
                    d_output.iter_mut().zip(d_features).for_each(|(sum, &d)| *sum += d);
                }
            }
        }
        Ok(())
    }

    fn backward_plan(&self) -> Option<BackwardPlan<'_, T>> {
        None
    }
}
