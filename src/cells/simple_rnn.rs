//! The simple recurrent cell (Elman 1990): the smallest whole example of a cell.

use std::fmt;

use super::gate::GatesBackward;
use super::weights::CellWeights;
use super::{BackwardPlan, Cell, CellDropout, DropoutRows, RowStep, Rows, RowsMut, Step, StepBackward, StepRows};
use crate::activation::Activation;
use crate::error::Result;
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::backward::Form;
use crate::kernels::{KernelStep, SimpleRnnKernel};
use crate::state::StateLayout;
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// One step of a SimpleRNN. Its state is `h`.
///
/// ```text
/// h' = activation(x K + h R + b)
/// ```
#[derive(Clone)]
pub struct SimpleRnnCell<T: Float = f32> {
    pub(crate) weights: CellWeights<T>,
    pub(crate) activation: Activation,
    pub(crate) dropout: Vec<CellDropout>,
    /// The weights again, in the order in which a step reads them.
    packed: SimpleRnnKernel<T>,
}

impl<T: Float> SimpleRnnCell<T> {
    pub(crate) fn new(weights: CellWeights<T>, activation: Activation, dropout: Vec<CellDropout>) -> Self {
        let packed = SimpleRnnKernel::new(weights.input_size(), weights.units());
        let mut cell = SimpleRnnCell { weights, activation, dropout, packed };
        cell.weights_changed();
        cell
    }

    /// One step by the kernel.
    fn advance(&self, call: StepRows<'_, T>, dropout: Option<DropoutRows<'_, T>>) {
        self.packed.step(KernelStep {
            rows: call.rows,
            input: call.input,
            prev: call.prev,
            next: call.next,
            saved: call.tape,
            dropout,
            scratch: call.scratch,
            odd_step: call.odd,
            activation: &self.activation,
            recurrent_activation: &self.activation,
        });
    }
}

impl<T: Float> Cell for SimpleRnnCell<T> {
    type Elem = T;

    fn input_size(&self) -> usize {
        self.weights.input_size()
    }

    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("h", self.weights.units())])
    }

    fn step(&self, step: Step<'_, T>) {
        let mut own = Vec::new();
        let Some((call, dropout)) = step.into_rows(self, &mut own) else { return };
        self.advance(call, dropout);
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.weights.visit(visitor);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        self.weights.visit_mut(visitor);
    }

    fn scratch_len(&self) -> usize {
        self.packed.scratch_len(1)
    }

    fn rows_scratch_len(&self, batch: usize) -> usize {
        self.packed.scratch_len(batch)
    }

    fn dropout(&self) -> &[CellDropout] {
        &self.dropout
    }

    fn class_name(&self) -> &'static str {
        "SimpleRNN"
    }

    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.value("activation", &self.activation);
    }

    fn weights_changed(&mut self) {
        let (kernel, recurrent_kernel, bias) = self.weights.slices();
        self.packed.pack(kernel, recurrent_kernel, bias);
    }

    fn projected_len(&self) -> usize {
        self.packed.projected_len()
    }

    fn project(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        self.packed.project(count, x, out);
    }

    #[inline]
    fn step_row(&self, step: &mut RowStep<'_, T>, scratch: &mut [T], odd: bool) {
        self.packed.step_row(step, &self.activation, &self.activation, odd, scratch);
    }

    fn step_rows(&self, call: StepRows<'_, T>) {
        let dropout = super::only_masks(&self.dropout, call.dropout);
        self.advance(call, dropout);
    }

    fn can_train(&self) -> Result<()> {
        self.activation.check_derivative()
    }

    fn backward_plan(&self) -> Option<BackwardPlan<'_, T>> {
        BackwardPlan::new(Form::SimpleRnn, &self.weights, &self.activation, &self.activation)
    }

    fn may_fail_backward(&self) -> bool {
        false
    }

    fn backward_scratch_len(&self) -> usize {
        2 * self.weights.units()
    }

    /// ```text
    /// dz = activation'(z) dh'
    /// dh = dz R^T,  dx = dz K^T,  dK += x dz,  dR += h dz,  db += dz
    /// ```
    fn step_backward(&self, step: StepBackward<'_, T>, gradients: &mut WeightGradients<'_, T>) -> Result<()> {
        let units = self.weights.units();
        step.d_x.fill(T::zero());
        step.d_prev.fill(T::zero());
        let (dz, buffer) = step.scratch[..2 * units].split_at_mut(units);
        dz.copy_from_slice(step.d_next);
        GatesBackward {
            weights: &self.weights,
            x: step.x,
            h: step.prev,
            dropout: step.dropout,
            d_x: step.d_x,
            d_h: step.d_prev,
            gradients,
        }
        .gate(0, &self.activation, step.next, dz, buffer);
        Ok(())
    }
}

impl<T: Float> fmt::Debug for SimpleRnnCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimpleRnnCell")
            .field("input_size", &self.weights.input_size())
            .field("units", &self.weights.units())
            .field("activation", &self.activation)
            .field("use_bias", &self.weights.bias.is_some())
            .finish_non_exhaustive()
    }
}
