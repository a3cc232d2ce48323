//! A cell of whatever type, in the place of one that a file of another framework can't say.

use std::ops::Range;
use std::sync::Arc;

use super::stacked::StackCell;
use super::{BackwardPlan, BackwardRows, Cell, CellDropout, FusedCell, QuantizedCell, Step, StepBackward, StepRows};
use crate::config::{Config, ConfigError, Entry, Value};
use crate::error::Result;
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::precision::Precision;
use crate::state::StateLayout;
use crate::strided::{RowStep, Rows, RowsMut};
use crate::structure::StructureVisitor;
use crate::weights::{QuantizedVisitor, WeightVisitor, WeightVisitorMut};

/// A cell of the program's own, with what stands for it in the file.
#[derive(Debug)]
pub(crate) struct BoxedCell<T: Float> {
    cell: Box<dyn StackCell<T>>,
    entry: Option<Arc<Entry>>,
    /// Of the weights for which the entry stands.
    weights: u64,
}

impl<T: Float> BoxedCell<T> {
    pub(crate) fn new(cell: impl Cell<Elem = T>) -> Self {
        BoxedCell { cell: Box::new(cell), entry: None, weights: 0 }
    }

    /// The same with what stands for it as it is now.
    pub(crate) fn in_place_of(self, entry: Entry) -> Self {
        let weights = self.digest();
        BoxedCell { entry: Some(Arc::new(entry)), weights, ..self }
    }

    /// A number of all bits of the weights (FNV-1a).
    fn digest(&self) -> u64 {
        let mut digest = 0xcbf2_9ce4_8422_2325_u64;
        let mut each = |bits: u64| digest = (digest ^ bits).wrapping_mul(0x0000_0100_0000_01b3);
        self.cell.visit_weights(&mut WeightVisitor::new(&mut |_, weight| {
            weight.iter().for_each(|value| each(value.into_f64().to_bits()));
        }));
        digest
    }
}

impl<T: Float> Cell for BoxedCell<T> {
    type Elem = T;

    fn input_size(&self) -> usize {
        self.cell.input_size()
    }

    fn state_layout(&self) -> StateLayout {
        self.cell.state_layout()
    }

    fn output(&self) -> Range<usize> {
        self.cell.output()
    }

    fn step(&self, step: Step<'_, T>) {
        self.cell.step(step);
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.cell.visit_weights(visitor);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        self.cell.visit_weights_mut(visitor);
    }

    fn quantized(&self, precision: Precision) -> Result<QuantizedCell> {
        self.cell.quantized(precision)
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        self.cell.visit_quantized(visitor);
    }

    fn initial_state(&self, row: &mut [T]) {
        self.cell.initial_state(row);
    }

    fn scratch_len(&self) -> usize {
        self.cell.scratch_len()
    }

    fn dropout(&self) -> &[CellDropout] {
        self.cell.dropout()
    }

    fn tape_len(&self) -> usize {
        self.cell.tape_len()
    }

    fn step_backward(&self, step: StepBackward<'_, T>, gradients: &mut WeightGradients<'_, T>) -> Result<()> {
        self.cell.step_backward(step, gradients)
    }

    fn backward_scratch_len(&self) -> usize {
        self.cell.backward_scratch_len()
    }

    fn can_train(&self) -> Result<()> {
        self.cell.can_train()
    }

    fn class_name(&self) -> &'static str {
        self.cell.class_name()
    }

    fn try_clone(&self) -> Option<Self> {
        Some(BoxedCell { cell: self.cell.clone_box()?, entry: self.entry.clone(), weights: self.weights })
    }

    fn depth(&self) -> usize {
        self.cell.depth()
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        self.cell.visit_structure(visitor);
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        match &self.entry {
            // Its tensors stand for the weights as long as those are what they were.
            Some(entry) if self.digest() == self.weights => {
                Ok(Config::new(Entry::CLASS).with(Entry::CLASS, Value::Entry(Arc::clone(entry))))
            }
            Some(entry) => {
                Err(ConfigError::custom("cell", format!("{}, whose weights aren't the file's any more,", entry.class)))
            }
            None => self.cell.describe(),
        }
    }

    fn fused(&self) -> impl FusedCell<Elem = T> {
        self
    }
}

impl<T: Float> FusedCell for &BoxedCell<T> {
    type Elem = T;

    fn projected_len(&self) -> usize {
        self.cell.projected_len()
    }

    fn project(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        self.cell.project(count, x, out);
    }

    fn rows_scratch_len(&self, batch: usize) -> usize {
        self.cell.rows_scratch_len(batch)
    }

    fn step_rows(&self, call: StepRows<'_, T>) {
        self.cell.step_rows(call);
    }

    fn step_row(&self, step: &mut RowStep<'_, T>, scratch: &mut [T], odd: bool) {
        self.cell.step_row(step, scratch, odd);
    }

    fn rows_backward_scratch_len(&self, batch: usize) -> usize {
        self.cell.rows_backward_scratch_len(batch)
    }

    fn step_rows_backward(&self, call: BackwardRows<'_, T>, gradients: &mut WeightGradients<'_, T>) -> Result<()> {
        self.cell.step_rows_backward(call, gradients)
    }

    fn may_fail_backward(&self) -> bool {
        self.cell.may_fail_backward()
    }

    fn backward_plan(&self) -> Option<BackwardPlan<'_, T>> {
        None
    }
}
