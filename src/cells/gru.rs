//! The GRU cell (Cho et al. 2014), in both of the forms that Keras has.

use std::fmt;

use super::weights::CellWeights;
use super::{Cell, CellDropout, DropoutRows, Rows, RowsMut, Step, StepRows};
use crate::activation::Activation;
use crate::float::Float;
use crate::kernels::{GruKernel, KernelStep};
use crate::state::StateLayout;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// One step of a GRU. Its state is `h`; the gates stand in Keras's order z, r, h.
///
/// ```text
/// z  = recurrent_activation(x Kz + h Rz + bz)       update gate
/// r  = recurrent_activation(x Kr + h Rr + br)       reset gate
/// g  = activation(x Kh + bh + r (h Rh + ch))        candidate, reset_after (the default, cuDNN's and PyTorch's form)
/// g  = activation(x Kh + bh + (r h) Rh)             candidate, otherwise (the form of the paper)
/// h' = z h + (1 - z) g
/// ```
///
/// With `reset_after` the bias is (2, 3 units), the input's in row 0 and the recurrent one in row 1; both are added.
#[derive(Clone)]
pub struct GruCell<T: Float = f32> {
    pub(crate) weights: CellWeights<T>,
    pub(crate) activation: Activation,
    pub(crate) recurrent_activation: Activation,
    pub(crate) reset_after: bool,
    pub(crate) dropout: Vec<CellDropout>,
    /// The weights again, in the order in which a step reads them.
    packed: GruKernel<T>,
}

impl<T: Float> GruCell<T> {
    pub(crate) fn new(
        weights: CellWeights<T>,
        activation: Activation,
        recurrent_activation: Activation,
        reset_after: bool,
        dropout: Vec<CellDropout>,
    ) -> Self {
        let packed = GruKernel::new(weights.input_size(), weights.units(), reset_after);
        let mut cell = GruCell { weights, activation, recurrent_activation, reset_after, dropout, packed };
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
            saved: None,
            dropout,
            scratch: call.scratch,
            odd_step: call.odd,
            activation: &self.activation,
            recurrent_activation: &self.recurrent_activation,
        });
    }
}

impl<T: Float> Cell for GruCell<T> {
    type Elem = T;

    fn input_size(&self) -> usize {
        self.weights.input_size()
    }

    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("h", self.weights.units())])
    }

    fn step(&self, step: Step<'_, T>) {
        let mut own = Vec::new();
        let (call, dropout) = step.as_rows(self.scratch_len(), &mut own);
        self.advance(call, dropout);
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.weights.visit(visitor);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        self.weights.visit_mut(visitor);
    }

    fn scratch_len(&self) -> usize {
        self.packed.scratch_len()
    }

    fn dropout(&self) -> &[CellDropout] {
        &self.dropout
    }

    fn class_name(&self) -> &'static str {
        "GRU"
    }

    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
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

    fn step_rows(&self, call: StepRows<'_, T>) {
        let dropout = super::only_masks(&self.dropout, call.dropout);
        self.advance(call, dropout);
    }
}

impl<T: Float> fmt::Debug for GruCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GruCell")
            .field("input_size", &self.weights.input_size())
            .field("units", &self.weights.units())
            .field("activation", &self.activation)
            .field("recurrent_activation", &self.recurrent_activation)
            .field("reset_after", &self.reset_after)
            .field("use_bias", &self.weights.bias.is_some())
            .finish_non_exhaustive()
    }
}
